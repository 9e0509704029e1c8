"""The commands: what they print, what they write, how they end."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
import yaml
from hand_made import FIXED, SMALL, HandMade
from typer.testing import CliRunner, Result

import raydistill
from raydistill.cli import app
from raydistill.cli.common import TableFormat
from raydistill.core.recipes import RECIPES
from raydistill.errors import DataError, DivergedError, StoreError, StudyInUseError
from raydistill.report.progress import PlainWatcher
from raydistill.report.rendering import FORMATS
from raydistill.trial import baseline

QUICK = ["evaluation.recipe=plain", "evaluation.networks=2", "evaluation.baseline_networks=2", "evaluation.confirm_networks=2"]
QUICK += ["goal.margin_fraction=0.9"]
"""Overrides that make a search of the small space a matter of seconds; with that margin no trial is stopped early."""


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small space in a file, and a recipe of a few steps."""
    monkeypatch.setitem(RECIPES, "plain", dataclasses.replace(RECIPES["plain"], steps=30))
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    return path


def set_options(overrides: list[str]) -> list[str]:
    return [word for override in overrides for word in ("--set", override)]


def search_that_raises(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def search(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(raydistill, "search", search)


def test_help_names_every_command() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert all(name in result.output for name in ("search", "certify", "verify", "ablate", "evaluate", "spaces", "--version"))


def test_the_version_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: {"raydistill": "1.2.3"}[name])
    assert run("--version").output == "raydistill 1.2.3\n"


def test_a_search_logs_where_it_is_told(small: Path, tmp_path: Path) -> None:
    log = f"tensorboard={tmp_path}/board"
    result = run("search", str(small), "--local", "--store", str(tmp_path), *set_options(QUICK), "--log", log)
    assert result.exit_code == 0, result.output
    runs = {path.name.split("-")[0]: path for path in (tmp_path / "board" / "tiny").iterdir()}
    assert set(runs) == {"trial", "finding"}
    assert list(runs["finding"].glob("events.out.tfevents.*"))


def test_a_log_that_is_unknown_ends_the_search_before_it_begins(small: Path, tmp_path: Path) -> None:
    result = run("search", str(small), "--local", "--store", str(tmp_path / "studies"), "--log", "comet")
    assert result.exit_code == 2
    assert "unknown --log 'comet'; allowed: tensorboard, mlflow, wandb" in result.output
    assert not (tmp_path / "studies").exists()


def test_a_set_is_exported_and_imported_again(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    assert run("distill", str(small), *set_options(FIXED), "--set", "method={name: random}", "--out", str(out)).exit_code == 0
    result = run("export", str(out), "--out", str(tmp_path / "set.npz"), "--format", "npz")
    assert result.output.startswith(f"Written {tmp_path / 'set.npz'}: images and labels are bit for bit those of the set")
    assert result.output.splitlines()[1:] == ["Next:", f"  raydistill import {tmp_path / 'set.npz'} --out {tmp_path / 'set'}"]
    result = run("import", str(tmp_path / "set.npz"), "--out", str(tmp_path / "again"))
    assert result.output.splitlines() == [
        "set.npz: unchanged since its export",
        f"Written {tmp_path / 'again'}/images.safetensors",
        f"Written {tmp_path / 'again'}/images.png",
        "Next:",
        f"  raydistill evaluate {tmp_path / 'again'}",
        f"  raydistill export {tmp_path / 'again'} --out again-png",
    ]
    assert (out / "images.safetensors").read_bytes() == (tmp_path / "again" / "images.safetensors").read_bytes()


def test_a_published_set_is_imported_with_what_it_is_said_to_be(tmp_path: Path) -> None:
    torch.save([torch.rand(10, 1, 8, 8), torch.arange(10)], tmp_path / "set.pt")
    out = str(tmp_path / "mine")
    result = run("import", str(tmp_path / "set.pt"), "--dataset", "digits", "--space", "pixels", "--out", out)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[:2] == ["set.pt: a pair of images and labels", "hard labels, 1 images per class"]
    assert (tmp_path / "mine" / "images.safetensors").is_file()


def test_every_set_of_a_published_file_is_imported_and_can_be_evaluated_next(tmp_path: Path) -> None:
    torch.save({"data": [[torch.rand(10, 1, 8, 8), torch.arange(10)]] * 2}, tmp_path / "set.pt")
    given = ["import", str(tmp_path / "set.pt"), "--dataset", "digits", "--space", "pixels", "--out", str(tmp_path / "mine")]
    result = run(*given, "--entry", "all")
    assert result.exit_code == 0, result.output
    ends = [f"  raydistill evaluate {tmp_path / 'mine' / name}" for name in ("entry-1", "entry-2")]
    assert result.output.splitlines()[-3:] == ["Next:", *ends]
    result = run(*given, "--entry", "3")
    assert (result.exit_code, "it contains 2 sets, and --entry is 3; allowed: 1 to 2" in result.stderr) == (2, True)


@pytest.mark.parametrize("entry", ["0", "first", "-1"])
def test_an_entry_is_a_number_or_all(tmp_path: Path, entry: str) -> None:
    result = run("import", "x.pt", "--out", str(tmp_path / "mine"), "--entry", entry)
    assert (result.exit_code, f"given '{entry}'; allowed: a whole number" in result.stderr) == (2, True)


def test_a_file_that_cannot_be_imported_ends_with_2(tmp_path: Path) -> None:
    result = run("import", str(tmp_path / "x.pt"), "--dataset", "digits", "--space", "pixels", "--out", str(tmp_path / "mine"))
    assert (result.exit_code, "x.pt does not exist" in result.stderr) == (2, True)


def test_shipped_spaces_are_listed() -> None:
    result = run("spaces")
    assert result.exit_code == 0
    described = dict(line.split(maxsplit=1) for line in result.output.splitlines() if line)
    assert described["digits_datadam"].startswith("Handwritten digits (8 x 8) with DataDAM")
    assert result.output.splitlines()[-1].endswith("search_spaces; copy one to change it.")


def test_search_hands_its_options_over_and_prints_the_end(by_hand: HandMade, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand.trial(10)
    given: dict[str, Any] = {}

    def search(space: str, **options: Any) -> Any:
        given.update(options, space=space)
        return by_hand.result()

    monkeypatch.setattr(raydistill, "search", search)
    store = by_hand.study.root.rpartition("/")[0]
    words = (
        "--local",
        "--trials",
        "5",
        "--address",
        "auto",
        "--set",
        "a=1",
        "--set",
        "b=2",
        "--accept-code-change",
        "--log",
        "wandb",
    )
    result = run("search", "x", "--store", store, "--data-root", "/data", *words)
    assert result.exit_code == 0, result.output
    del given["watcher"]
    assert given == {
        "space": "x",
        "store": store,
        "data_root": "/data",
        "local": True,
        "trials": 5,
        "address": "auto",
        "overrides": ["a=1", "b=2"],
        "accept_code_change": True,
        "log": ["wandb"],
    }
    assert "Smallest lossless IPC          10 (trial 0123456789ab" in result.stdout
    assert result.stdout.splitlines()[-5:-2] == [
        "Next:",
        f"  raydistill report {by_hand.study.root}",
        f"  raydistill certify {by_hand.study.root} --data-root /data --local --address auto --accept-code-change",
    ]


def test_store_and_data_root_come_from_the_environment(by_hand: HandMade, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def search(space: str, **options: Any) -> Any:
        given.update(options)
        return by_hand.result()

    monkeypatch.setattr(raydistill, "search", search)
    monkeypatch.setenv("RAYDISTILL_STORE", by_hand.study.root.rpartition("/")[0])
    monkeypatch.setenv("RAYDISTILL_DATA", "/data")
    assert run("search", "x").exit_code == 0
    assert (given["store"], given["data_root"]) == (by_hand.study.root.rpartition("/")[0], "/data")


def test_experts_are_built_listed_and_pruned(small: Path, tmp_path: Path) -> None:
    method = "method={name: random_soft, experts: 1, expert_epochs: 1}"
    store = ("--store", str(tmp_path / "store"))
    built = run("experts", "build", str(small), *store, "--local", "--set", method)
    assert built.exit_code == 0, built.output
    key = built.stdout.strip()
    assert built.stderr.endswith(f"Next:\n  raydistill search {small} --store {store[1]} --local --set '{method}'\n")
    listed = run("experts", "list", *store)
    assert f"| {key} | digits" in listed.stdout
    assert run("experts", "prune", *store).stdout == f"Deleted {key}\n"
    assert run("experts", "prune", *store).stdout == "Nothing to delete.\n"
    assert run("experts", "prune", "abc", *store).exit_code == 2


def test_a_space_without_experts_builds_none(small: Path) -> None:
    assert run("experts", "build", str(small), "--local").stdout == "The method of this space reads no experts.\n"


@pytest.mark.parametrize("error", [DataError, StoreError, StudyInUseError])
def test_what_a_person_can_put_right_is_told_without_a_traceback(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    search_that_raises(monkeypatch, error("x is wrong; y is allowed: do z"))
    result = run("search", "digits_datadam")
    assert (result.exit_code, result.stderr) == (2, "Error: x is wrong; y is allowed: do z\n")


def test_a_set_that_diverges_is_a_failure_told_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    search_that_raises(monkeypatch, DivergedError(7, float("nan")))
    result = run("search", "digits_datadam")
    assert (result.exit_code, result.stderr) == (1, "Error: the loss is nan at step 7; lower the learning rates\n")


def test_the_unexpected_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    search_that_raises(monkeypatch, ZeroDivisionError("odd"))
    result = run("search", "digits_datadam")
    assert result.exit_code == 1
    assert isinstance(result.exception, ZeroDivisionError)


def test_an_interrupted_search_prints_the_line_that_resumes(monkeypatch: pytest.MonkeyPatch) -> None:
    search_that_raises(monkeypatch, KeyboardInterrupt())
    monkeypatch.setattr(sys, "argv", ["/bin/raydistill", "search", "my space.yaml", "--trials", "5"])
    result = run("search", "my space.yaml", "--trials", "5")
    assert result.exit_code == 130
    assert result.stderr.splitlines() == [
        "Interrupted. Finished work is saved; this continues:",
        "  raydistill search 'my space.yaml' --trials 5",
    ]


def test_a_distillation_that_is_interrupted_once_its_set_is_written_says_where(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    out = str(tmp_path / "out")
    monkeypatch.setattr("raydistill.sets.evaluating.compare_with_start", stop)
    result = run("distill", str(small), *set_options(FIXED), "--out", out)
    assert result.exit_code == 130
    assert Path(out, "images.safetensors").exists()
    assert result.stderr.splitlines()[-4:] == [
        f"Interrupted. The set is written, {out}/images.safetensors; its accuracy was not read to the end.",
        "Next:",
        f"  raydistill evaluate {out}",
        f"  raydistill export {out} --out out-png",
    ]
    monkeypatch.setattr("raydistill.sets.distilling.distil_once", stop)
    assert run("distill", str(small), *set_options(FIXED), "--out", out).stderr.endswith("Interrupted. Nothing was written.\n")


def test_a_search_ends_with_a_verdict_and_run_again_repeats_nothing(small: Path) -> None:
    words = ("search", str(small), "--local", "--store", str(small.parent / "store"), *set_options(QUICK))
    first = run(*words)
    assert first.exit_code == 0, first.output
    assert first.stderr.count("started, IPC") == 2
    assert "Verdict" in first.stdout
    again = run(*words)
    assert (again.exit_code, again.stdout) == (0, first.stdout)
    assert "started, IPC" not in again.stderr
    more = run(*words, "--trials", "3")
    assert more.stderr.count("started, IPC") == 1


def test_what_a_search_leaves_can_be_tabulated_and_evaluated(small: Path) -> None:
    store = small.parent / "store"
    assert run("search", str(small), "--local", "--store", str(store), *set_options(QUICK)).exit_code == 0
    tables = run("tables", "tiny", "--store", str(store), "--format", "csv")
    assert tables.exit_code == 0
    trial_id = tables.stdout.splitlines()[1].split(",")[0]
    result = run("evaluate", str(store / "tiny" / "trials" / trial_id), "--networks", "1")
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("(1 network), select images\n")


def test_the_winner_of_a_search_is_evaluated_and_exported_by_the_lines_that_end_it(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No full data of ten classes is above chance by a margin of 90 points, so that is not asked."""
    monkeypatch.setattr(baseline, "is_admissible", lambda *_: True)
    store = small.parent / "store"
    ended = run("search", str(small), "--local", "--store", str(store), *set_options(QUICK))
    certify, evaluate, export = (shlex.split(line)[1:] for line in ended.stdout.splitlines()[-3:])
    assert certify == ["certify", f"{store}/tiny", "--local"]
    evaluated = run(*evaluate, "--networks", "1")
    assert (evaluated.exit_code, evaluated.stdout.endswith("(1 network), select images\n")) == (0, True)
    assert evaluate == ["evaluate", f"{store}/tiny/winner"]
    export[export.index("--out") + 1] = str(small.parent / "png")
    assert run(*export).exit_code == 0
    assert len([path for path in (small.parent / "png").iterdir() if path.is_dir()]) == 10


def test_a_search_that_was_interrupted_continues(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("search", str(small), "--local", "--store", str(small.parent / "store"), *set_options(QUICK))
    readings = []

    def press_ctrl_c(self: PlainWatcher, config: Any, reading: Any) -> None:
        readings.append(reading)
        if len(readings) == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PlainWatcher, "reading", press_ctrl_c)
        interrupted = run(*words)
    assert interrupted.exit_code == 130
    assert "this continues:" in interrupted.stderr
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert result.stderr.count("started, IPC") == 1
    assert "ended, 2 of 2 trials" in run("status", "tiny", "--store", str(small.parent / "store")).stdout


def test_a_study_of_another_space_is_refused_with_the_differences(small: Path) -> None:
    words = ("search", str(small), "--local", "--store", str(small.parent / "store"), *set_options(QUICK))
    assert run(*words).exit_code == 0
    result = run(*words, "--set", "seed=3")
    assert result.exit_code == 2
    assert "seed: was 0, is now 3" in result.stderr


def test_all_mistakes_of_a_space_come_in_one_message(small: Path) -> None:
    small.write_text(yaml.safe_dump({**SMALL, "sed": 1, "ipc": {"low": 9, "high": 2}, "budget": {"trials": "many"}}))
    result = run("search", str(small), "--local", "--store", str(small.parent / "store"))
    assert result.exit_code == 2
    assert f"{small} has 3 mistakes:" in result.stderr
    assert "unknown key 'sed'; did you mean 'seed'?" in result.stderr
    assert not (small.parent / "store").exists()


def test_an_unknown_space_suggests_the_nearest() -> None:
    result = run("search", "digit_datadam")
    assert result.exit_code == 2
    assert "did you mean 'digits_datadam'?" in result.stderr


def test_a_budget_below_one_is_refused() -> None:
    result = run("search", "digits_datadam", "--trials", "0")
    assert result.exit_code == 2
    assert "--trials" in result.stderr


def test_distill_writes_the_set_and_compares_it_with_its_start(small: Path) -> None:
    out = small.parent / "out"
    result = run("distill", str(small), *set_options(FIXED), "--out", str(out))
    assert result.exit_code == 0, result.output
    assert [line.split("  ")[0] for line in result.stdout.splitlines()] == [
        "Distilled set",
        "Starting set",
        "Gain",
        "Written",
        "Written",
        "Next:",
        "",
        "",
    ]
    assert sorted(path.name for path in out.iterdir()) == ["images.png", "images.safetensors"]
    assert "distil: step 2 of 2, loss" in result.stderr


def test_distill_names_a_folder_by_the_config_where_none_is_given(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small.parent)
    for _ in range(2):
        assert run("distill", str(small), *set_options(FIXED)).exit_code == 0
    assert run("distill", str(small), *set_options([*FIXED, "ipc=2"])).exit_code == 0
    assert len(list((small.parent / "distilled").iterdir())) == 2


def test_distill_names_the_ranges_that_are_left(small: Path) -> None:
    result = run("distill", str(small), "--set", "ipc=3")
    assert result.exit_code == 2
    assert "add --set method.lr_images=VALUE" in result.stderr


def test_evaluate_prints_mean_and_spread(small: Path) -> None:
    out = str(small.parent / "out")
    run("distill", str(small), *set_options(FIXED), "--out", out)
    result = run("evaluate", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(" points over 2 networks), select images\n")


def test_evaluate_tabulates_networks(small: Path) -> None:
    out = str(small.parent / "out")
    run("distill", str(small), *set_options(FIXED), "--out", out)
    result = run("evaluate", out, "--network", "mlp:width=16, alexnet", "--networks", "1", "--format", "csv")
    assert result.exit_code == 0, result.output
    header, first, second = result.stdout.splitlines()
    assert header == "network,accuracy_fraction_mean,accuracy_fraction_std,networks,parameters,recipe,split,metric"
    own = run("evaluate", out, "--networks", "1", "--format", "csv").stdout.splitlines()
    assert (own[0], own[1].split(",")[0]) == (header, "convnet:depth=2:width=8:norm=instance:activation=relu:pooling=average")
    assert first.startswith("mlp:width=16,0.")
    assert first.endswith(",,1,1482,plain,select,accuracy")
    assert second.startswith("alexnet,0.")


def test_a_comparison_says_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "plain", dataclasses.replace(RECIPES["plain"], steps=10))
    small = ["--set", "evaluation.recipe=plain", "--set", "evaluation.networks=2", "--set", "network.width=4"]
    given = ["--methods", "random", "--ipc", "2", "--draws", "2", "--store", str(tmp_path), "--local", *small]
    result = run("compare", "digits_random", *given)
    assert result.exit_code == 0, result.output
    written = result.stdout.splitlines()[-1].removeprefix("Written ")
    again = f"raydistill compare digits_random --methods random --ipc 2 --draws 2 --split select --store {tmp_path} --local"
    assert f"Next:\n  {again} --set evaluation.recipe=plain" in result.stderr
    assert result.stderr.endswith("--set network.width=4 --format tex\n")
    comparison = json.loads(Path(written).read_text())
    assert comparison["rows"][0]["method"] == "random"
    assert all((tmp_path / file).exists() for file in comparison["outcomes"])


@pytest.mark.parametrize("command", ["certify", "ablate"])
def test_a_space_of_another_version_is_told(by_hand: HandMade, command: str) -> None:
    by_hand.trial(10)
    document = by_hand.study.read_json("search_space.yaml")
    by_hand.study.write_json("search_space.yaml", {**document, "resources": {"tpus": 1}})
    result = run(command, by_hand.study.root, "--local")
    assert (result.exit_code, "resources.tpus: Extra inputs are not permitted" in result.stderr) == (2, True)


ALL_WITH_TABLES = [
    ["tables", "s"],
    ["evaluate", "s"],
    ["compare", "digits_random", "--methods", "random", "--ipc", "1"],
    ["experts", "list"],
    ["reproduce", "--ledger"],
    ["bench"],
    ["bench", "unroll"],
    ["bench", "solver"],
]


def test_every_table_format_can_be_asked_for() -> None:
    (formats, _) = get_args(TableFormat)
    assert get_args(formats) == FORMATS


@pytest.mark.parametrize("words", ALL_WITH_TABLES, ids=" ".join)
def test_an_unknown_table_format_is_refused_before_anything_is_done(words: list[str]) -> None:
    result = run(*words, "--format", "xls")
    assert result.exit_code == 2
    assert "'xls' is not one of" in result.output


CONTRARY = [
    (["reproduce", "--ledger", "--scale", "full"], "--scale", "--ledger"),
    (["reproduce", "--ledger", "--reading", "as_specified"], "--reading", "--ledger"),
    (["bench", "--tune", "--cases", "digits"], "--cases", "--tune"),
    (["bench", "--tune", "--device", "cuda"], "--device", "--tune"),
    (["bench", "--cases", "digits", "solver"], "--cases", "solver"),
    (["bench", "--format", "csv", "solver"], "--format", "solver"),
]


@pytest.mark.parametrize(("words", "contrary", "to"), CONTRARY, ids=[" ".join(words) for words, *_ in CONTRARY])
def test_options_that_ask_for_different_things_are_refused(words: list[str], contrary: str, to: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    said = " ".join(word for word in result.output.split() if word != "│")
    assert f"Invalid value for {contrary}: it asks for something else than {to}" in said


def test_an_option_that_does_no_harm_is_accepted(tmp_path: Path) -> None:
    plain = run("reproduce", "--flops-only", "--format", "csv")
    where = ["--store", str(tmp_path), "--data-root", str(tmp_path), "--local", "--threads", "2"]
    beside = run("reproduce", "--flops-only", "--format", "csv", *where, "--scale", "full", "--reading", "as_specified")
    assert (beside.exit_code, beside.stdout) == (0, plain.stdout)
    ledger = run("reproduce", "--ledger", *where, "--gpus", "1")
    assert (ledger.exit_code, ledger.stdout) == (0, run("reproduce", "--ledger", "--store", str(tmp_path)).stdout)


def test_a_data_root_before_a_benchs_subcommand_is_accepted() -> None:
    result = run("bench", "--data-root", "/data", "solver", "--problems", "1", "--trials", "nine")
    assert (result.exit_code, "--data-root" in result.output) == (2, False)


def test_evaluate_opens_test_with_a_reason_only(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, store = str(small.parent / "out"), small.parent / "store"
    run("distill", str(small), *set_options(FIXED), "--out", out)
    assert run("evaluate", out, "--split", "test", "--store", str(store)).exit_code == 2
    assert not store.exists()
    result = run("evaluate", out, "--split", "test", "--reason", "a look", "--networks", "1", "--store", str(store))
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("(1 network), test images\n")
    assert len(list((store / "test_openings").iterdir())) == 1


def test_tables_of_one_study_are_written_and_printed(by_hand: HandMade) -> None:
    trial_id = by_hand.trial(10)
    result = run("tables", by_hand.study.root)
    assert result.exit_code == 0, result.output
    assert "gap (points)" in result.stdout
    assert "best gap (points)" in result.stdout
    assert trial_id in result.stdout
    assert by_hand.study.exists("tables/ipc.tex")


def test_tables_of_several_studies_print_a_row_each(tmp_path: Path) -> None:
    for name in ("one", "two"):
        made = HandMade(tmp_path / name)
        made.trial(10)
        made.result()
    result = run("tables", "one", "two", "--store", str(tmp_path), "--format", "csv")
    assert result.exit_code == 0, result.output
    header, first, second = result.stdout.splitlines()
    assert header.startswith("study,dataset,method,label_kind,network,verdict,smallest_lossless_ipc,")
    assert (first.split(",")[0], second.split(",")[0]) == ("one", "two")


def test_tables_of_no_study_are_refused(tmp_path: Path) -> None:
    result = run("tables", "nothing", "--store", str(tmp_path))
    assert result.exit_code == 2
    assert "neither nothing nor " in result.stderr


def test_the_command_line_ends_with_the_exit_code() -> None:
    command = [sys.executable, "-c", "from raydistill.cli import main; main()", "search", "digit_datadam"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "Error: digit_datadam is neither a file nor a shipped search space; did you mean 'digits_datadam'?"
    )


def test_a_search_is_certified_verified_and_taken_apart(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ends with 0 whatever it finds; a second certificate with 2; one that was edited with 1; one without a part with 3."""
    # K-center trains its features by the default recipe.
    monkeypatch.setitem(RECIPES, "default", dataclasses.replace(RECIPES["default"], steps=10))
    store = str(small.parent / "store")
    # The full data is above chance by 79 points.
    settings = [*QUICK, "goal.margin_fraction=0.7"]
    assert run("search", str(small), "--local", "--store", store, *set_options(settings)).exit_code == 0
    certified = run("certify", "tiny", "--store", store, "--local", "--networks", "2")
    assert certified.exit_code == 0, certified.output
    page = Path(store, "tiny", "certificate.md").read_text()
    assert certified.stdout == page
    path = Path(store, "tiny", "certificate.json")
    assert certified.stderr.splitlines()[-4:] == [
        f"Written {path} and {path.with_suffix('.md')}",
        "Next:",
        f"  raydistill verify {path}",
        f"  raydistill ablate {store}/tiny --local",
    ]
    held = run("verify", str(path))
    assert held.exit_code == 0, held.output
    assert held.stdout.splitlines()[0] == page.splitlines()[2]
    again = run("certify", "tiny", "--store", store, "--local", "--networks", "2")
    assert again.exit_code == 2
    assert "the test split is opened once" in again.stderr
    taken_apart = run("ablate", "tiny", "--store", store, "--local", "--draws", "2", "--networks", "1")
    assert taken_apart.exit_code == 0, taken_apart.output
    assert "| attention | attention_weight=0.0 | 2 (0) |" in taken_apart.stdout
    assert taken_apart.stderr.splitlines()[-1] == f"Written {store}/tiny/ablation.json and {store}/tiny/ablation.md"
    (network, *_) = Path(store, "tiny", "certificate/1/networks").iterdir()
    network.rename(network.with_suffix(".away"))
    without = run("verify", str(path))
    assert without.exit_code == 3
    assert "Not checked: 1 networks: the study no longer has them" in without.stdout
    network.with_suffix(".away").rename(network)
    document = json.loads(path.read_text())
    document["findings"]["gap"]["upper"] = 0.001
    path.write_text(json.dumps(document))
    edited = run("verify", str(path))
    assert edited.exit_code == 1
    assert "findings.gap.upper is 0.001, and computed again it is" in edited.stderr


def test_a_study_without_a_candidate_cannot_be_certified(by_hand: HandMade) -> None:
    by_hand.trial(10)
    by_hand.result(verdict="not_reached", winner_trial_id=None)
    result = run("certify", by_hand.study.root, "--local")
    assert result.exit_code == 2
    assert "has no candidate" in result.stderr


@pytest.mark.parametrize("command", ["certify", "ablate"])
def test_no_study_is_neither_certified_nor_ablated(tmp_path: Path, command: str) -> None:
    result = run(command, "nothing", "--store", str(tmp_path))
    assert (result.exit_code, "neither nothing nor " in result.stderr) == (2, True)


def test_training_again_needs_a_study(tmp_path: Path) -> None:
    result = run("verify", str(tmp_path), "--retrain", "--local")
    assert (result.exit_code, "no certificate at" in result.stderr) == (2, True)


def test_reproduce_prints_the_flops_without_data_or_store() -> None:
    result = run("reproduce", "--flops-only", "--format", "csv")
    assert result.exit_code == 0
    assert "61287040" in result.stdout
    assert "197960224" in result.stdout


def test_a_ledger_of_no_store_is_refused(tmp_path: Path) -> None:
    result = run("reproduce", "--ledger", "--store", str(tmp_path / "typo"))
    assert (result.exit_code, "there is no store " in result.stderr) == (2, True)


def test_tables_of_no_data_end_as_bad_input(tmp_path: Path) -> None:
    given = ["--local", "--store", str(tmp_path / "store"), "--data-root", str(tmp_path)]
    result = run("reproduce", "--table", "4", *given)
    assert (result.exit_code, "nothing was run, because data is missing: " in result.stderr) == (2, True)
    rows = [line for line in result.stdout.splitlines() if line.startswith("| mhist")]
    assert len(rows) == 4
    assert all("not run: " in row for row in rows)


def test_reproduce_lists_the_ledger_of_a_store(tmp_path: Path) -> None:
    result = run("reproduce", "--ledger", "--store", str(tmp_path))
    assert result.exit_code == 0
    assert "not run" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give exactly one of --table, --flops-only and --ledger"),
        (["--table", "1", "--ledger"], "give exactly one of --table, --flops-only and --ledger"),
        (["--table", "9"], "table '9'; allowed: 1 to 7"),
        (["--table", "1", "--reading", "as_told"], "'as_told' is not one of"),
        (["--table", "1", "--scale", "huge"], "'huge' is not one of"),
    ],
)
def test_reproduce_refuses_what_it_cannot_make(words: list[str], message: str) -> None:
    result = run("reproduce", *words)
    assert result.exit_code == 2
    assert message in result.output


def test_reproduce_prints_the_tables_of_a_store(tmp_path: Path) -> None:
    """Table II trains nothing."""
    result = run("reproduce", "--table", "2", "--local", "--store", str(tmp_path))
    assert result.exit_code == 0
    assert "Table 2 of the report (settings), as run" in result.stdout
    assert "zeta_theta" in result.stdout
    (code,) = (tmp_path / "reproduce").iterdir()
    assert {path.name for path in (code / "tables").iterdir()} == {f"2-as_run-small.{suffix}" for suffix in ("md", "csv", "tex")}


def test_evaluate_by_a_benchmarks_protocol(small: Path, tmp_path: Path) -> None:
    folder = str(tmp_path / "set")
    assert run("distill", str(small), *set_options(FIXED), "--out", folder).exit_code == 0
    result = run("evaluate", folder, "--protocol", "dd_ranking", "--networks", "2")
    assert result.exit_code == 0
    assert "label-robust score (LRS)" in result.stdout
    refused = run("evaluate", folder, "--protocol", "dd_rank")
    assert refused.exit_code == 2
    assert "did you mean 'dd_ranking'?" in refused.output
    useless = run("evaluate", folder, "--augmentations", "dsa")
    assert useless.exit_code == 2
    assert "Invalid value for --augmentations: only --protocol dc_bench" in useless.output
