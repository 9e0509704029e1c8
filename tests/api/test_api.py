"""The Python API: what importing it costs, and that `search` means what the command means."""

from __future__ import annotations

import importlib.metadata
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hand_made import STORED, HandMade

import raydistill
from raydistill import api
from raydistill.api.common import executor_for, resources_of
from raydistill.api.sets import Evaluation
from raydistill.errors import InputError
from raydistill.search import driver
from raydistill.sets.evaluating import NetworkReading
from raydistill.spaces.sections import ResourcesConfig
from raydistill.storage.store import Store


def in_a_fresh_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_study_that_asked_for_two_gpus_is_certified_with_the_one_that_it_used(tmp_path: Path) -> None:
    study = Store(str(tmp_path))
    sections = "study: x, seed: 0, dataset: {}, network: {}, evaluation: {}, goal: {}, budget: {}, search: {}, ipc: 1, method: {}"
    study.write("search_space.yaml", f"{{{sections}, resources: {{cpus_per_trial: 4, gpus_per_trial: 2}}}}")
    assert resources_of(study) == ResourcesConfig(cpus_per_trial=4, gpus_per_trial=1)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import raydistill, sys; print(sorted({'torch', 'ray', 'optuna', 'pandas', 'numpy', 'pydantic'} & set(sys.modules)))"
    assert in_a_fresh_process(code) == "[]"


@pytest.mark.parametrize(("name", "module"), [("search", "watcher"), ("certify", "certificate"), ("reproduce", "published")])
def test_a_function_is_not_replaced_by_the_package_of_its_name(name: str, module: str) -> None:
    code = f"import raydistill, raydistill.{name}.{module}; print(callable(raydistill.{name}))"
    assert in_a_fresh_process(code) == "True"


def test_dir_and_a_star_import_show_what_a_user_calls_and_nothing_else() -> None:
    functions = (
        "ablate build_experts certify check_data compare distill evaluate evaluate_for export_set import_set import_sets "
        "load_set load_study reproduce search status verify write_plots write_report write_space"
    ).split()
    assert dir(raydistill) == sorted(["__version__", "errors", *functions])
    code = "from raydistill import *; print([name for name in dir() if not name.startswith('__')])"
    assert in_a_fresh_process(code) == str(sorted(["errors", *functions]))
    assert sorted(api.__all__) == functions


def test_the_errors_module_shows_every_error_and_nothing_else() -> None:
    shown = {getattr(raydistill.errors, name) for name in raydistill.errors.__all__}
    assert {kind for kind in shown if not issubclass(kind, raydistill.errors.RaydistillError)} == {raydistill.errors.Mistake}
    assert all(kind.__doc__ and kind.__module__ == "raydistill.errors" for kind in shown)
    defined = {kind for kind in vars(raydistill.errors).values() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert defined <= shown


def test_a_mistake_in_a_space_is_caught_as_an_error_of_the_errors_module() -> None:
    with pytest.raises(raydistill.errors.SpaceError) as raised:
        raydistill.search("digits_datadam", overrides=["method.lr_imagse=1"])
    assert [mistake.key for mistake in raised.value.mistakes] == ["method.lr_imagse"]


def test_what_is_public_is_documented_and_typed() -> None:
    for name in set(raydistill.__all__) - {"__version__", "errors"}:
        function = getattr(raydistill, name)
        signature = inspect.signature(function)
        assert all(f"        {parameter}: " in function.__doc__ for parameter in signature.parameters)
        assert signature.return_annotation is not signature.empty


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    try:
        importlib.metadata.version("raydistill")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("raydistill is not installed")
    assert raydistill.__version__ == project["version"]


def test_an_attribute_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'raydistill' has no attribute 'serch'"):
        raydistill.serch  # noqa: B018


def test_one_process_and_a_cluster_exclude_each_other() -> None:
    with pytest.raises(InputError, match=r"given local and the address auto; .* give one of them"):
        executor_for(ResourcesConfig(), local=True, address="auto")


def test_an_evaluation_is_printed_in_a_line() -> None:
    """The mean of 0.9 and 0.91 is 90.50 %."""
    readings = tuple(
        NetworkReading(network=network, accuracy_fractions=(0.9, 0.91), parameters=5, recipe="plain", split="select")
        for network in ("mlp", "convnet")
    )
    said = "Evaluation(select images; mlp: 90.50 % over 2 networks; convnet: 90.50 % over 2 networks)"
    assert repr(Evaluation(readings=readings)) == said


def test_a_search_from_python_leaves_the_tables_of_its_study(by_hand: HandMade, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search itself is one that has ended before."""
    by_hand.trial(10)
    monkeypatch.setattr(driver, "run_search", lambda *_, **__: by_hand.result())
    name, store = by_hand.study.root.rpartition("/")[2], by_hand.study.parent.root
    raydistill.search({**STORED, "study": name, "controls": []}, store=store, local=True)
    assert by_hand.study.exists("tables/ipc.md")
    assert by_hand.study.exists("tables/trials.tex")
