"""Whether a study may be continued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_up import KNOWN, SPACE, baseline, record, space, write_config

from raydistill.errors import StoreError, StudyMismatchError
from raydistill.methods import METHODS
from raydistill.search.distributions import any_trial, complete_document
from raydistill.search.resume import as_started, check_resumable, differences
from raydistill.spaces.parse import parse_space
from raydistill.spaces.space import SearchSpace
from raydistill.storage.baseline import BaselineReading
from raydistill.storage.record import code_sha256, write_record
from raydistill.storage.store import Store

DATA = "d" * 64


@pytest.fixture
def study(tmp_path: Path) -> Store:
    """A study of the made-up space with one ended trial."""
    store = Store(str(tmp_path / "made-up"))
    store.write("search_space.yaml", yaml.safe_dump(complete_document(space()), sort_keys=False))
    config = any_trial(space().arms[0], DATA)
    write_config(store, config)
    write_record(store, record(config, gap=0.1))
    return store


def check(study: Store, searched: SearchSpace, **changes: Any) -> None:
    check_resumable(searched, study, **{"data_sha256": DATA, "accept_code_change": False, **changes})


def test_the_same_space_continues(study: Store) -> None:
    check(study, space())


def test_a_study_that_does_not_exist_may_begin(tmp_path: Path) -> None:
    check(Store(str(tmp_path / "none")), space())


@pytest.mark.parametrize(
    "overrides",
    [
        ("budget.trials=9",),
        ("resources.max_concurrent_trials=2",),
        ("evaluation.recipe=default", "method.mmd_weight=0.01"),
    ],
    ids=["more trials", "more at once", "defaults written out"],
)
def test_what_shapes_no_trial_may_change(study: Store, overrides: Sequence[str]) -> None:
    check(study, space(*overrides))


def test_how_many_trials_share_a_gpu_may_change(study: Store) -> None:
    shared = space("resources.gpus_per_trial=0.5")
    study.write("search_space.yaml", yaml.safe_dump(complete_document(space("resources.gpus_per_trial=0.25"))))
    check(study, shared)


def test_another_space_is_refused_with_every_difference(study: Store) -> None:
    changed = space("ipc.high=50", "method.init=noise", "goal.margin_fraction=0.03", "resources.gpus_per_trial=1")
    with pytest.raises(StudyMismatchError) as caught:
        check(study, changed)
    assert str(caught.value).splitlines() == [
        f"study {study.root} was started with a different search space:",
        "  goal.margin_fraction: was 0.02, is now 0.03",
        '  ipc: was {"low": 1, "high": 60, "log": false}, is now {"low": 1, "high": 50, "log": false}',
        '  method.init: was {"choices": ["real", "noise"]}, is now "noise"',
        "  resources.gpus_per_trial above 0: was false, is now true",
        "Only budget.trials, budget.hours, budget.gpu_hours, budget.trial_hours, budget.silence_minutes, "
        "resources.max_concurrent_trials and dataset.path may change: "
        "restore the old values, or give the new search another name (study: ...)",
    ]


def test_where_the_images_lie_is_no_difference() -> None:
    """The images themselves are held against their hash."""
    assert list(differences({"dataset": {"path": "/here"}}, {"dataset": {"path": "/there"}})) == []


def test_a_key_that_one_space_lacks_is_a_difference() -> None:
    assert list(differences({"a": {"b": 1}}, {"a": {"c": None}, "d": 2})) == [
        "a.b: was 1, is now not given",
        "d: was not given, is now 2",
    ]


def test_other_data_is_refused(study: Store) -> None:
    with pytest.raises(
        StudyMismatchError, match="started on data with hash dddddddddddd, but data set digits now has eeeeeeeeeeee: restore"
    ):
        check(study, space(), data_sha256="e" * 64)


def test_other_code_is_refused_unless_it_is_accepted(study: Store) -> None:
    config = any_trial(space("seed=1").arms[0], DATA)
    write_config(study, config)
    write_record(study, record(config, gap=0.1, code_sha256="c" * 64))
    with pytest.raises(
        StudyMismatchError, match=r"has 1 records of another version of the code \(hash cccccccccccc, now .*--accept-code-change"
    ):
        check(study, space())
    check(study, space(), accept_code_change=True)


def test_a_baseline_of_other_code_is_refused(study: Store) -> None:
    changed = baseline().model_copy(update={"code_sha256": "c" * 64})
    study.write("baseline/baseline.json", changed.model_dump_json())
    with pytest.raises(StudyMismatchError, match=r"has 1 records of another version of the code \(hash cccccccccccc"):
        check(study, space())


def network(**changes: Any) -> list[dict[str, Any]]:
    """A baseline network's file."""
    reading = BaselineReading(
        seed=1, steps=9, select_correct="ff", confirm_correct="ff", seconds=1.0, data_sha256=DATA, code_sha256=code_sha256()
    )
    return [reading.model_copy(update=changes).model_dump()] * 2


def test_a_network_of_an_unfinished_baseline_on_other_data_is_refused(tmp_path: Path) -> None:
    """Killed before the first trial and with the images changed since, half a baseline would be of each."""
    study = Store(str(tmp_path / "made-up"))
    study.write_json("baseline/network-1.json", network())
    check(study, space())
    with pytest.raises(
        StudyMismatchError, match="started on data with hash dddddddddddd, but data set digits now has eeeeeeeeeeee"
    ):
        check(study, space(), data_sha256="e" * 64)


def test_a_network_of_an_unfinished_baseline_of_other_code_is_refused(tmp_path: Path) -> None:
    study = Store(str(tmp_path / "made-up"))
    study.write_json("baseline/network-0.json", network(code_sha256="c" * 64))
    with pytest.raises(StudyMismatchError, match=r"has 2 records of another version of the code \(hash cccccccccccc"):
        check(study, space())
    check(study, space(), accept_code_change=True)


def test_a_network_from_before_hashes_were_written_is_taken(study: Store) -> None:
    study.write_json("baseline/network-0.json", network(data_sha256=None, code_sha256=None))
    check(study, space())


@pytest.mark.parametrize("text", ["{", "{}", "[{}]", "[1]", "3"])
def test_a_damaged_network_is_named(study: Store, text: str) -> None:
    study.write("baseline/network-0.json", text)
    with pytest.raises(StoreError, match=r"baseline/network-0\.json is damaged \(.*\); restore it, or delete it and base"):
        check(study, space())


@pytest.mark.parametrize("text", ["", "a: [", "only text", "study: made-up"])
def test_a_damaged_space_is_named(study: Store, text: str) -> None:
    study.write("search_space.yaml", text)
    with pytest.raises(StoreError, match=r"search_space\.yaml is damaged"):
        check(study, space())


def with_default_controls(text: str = SPACE.replace("controls: []\n", "")) -> SearchSpace:
    settings = {name: method.control.settings for name, method in METHODS.items() if method.control is not None}
    soft = [name for name, method in METHODS.items() if method.label_kind == "soft"]
    return parse_space(text, replace(KNOWN, controls=settings, soft_methods=soft), overrides=["budget.trials=6"])


def test_a_study_of_a_version_without_controls_goes_on_without_them(study: Store) -> None:
    """Its stored space has neither `controls` nor `search`."""
    stored = complete_document(space())
    study.write("search_space.yaml", yaml.safe_dump({key: stored[key] for key in stored if key not in ("controls", "search")}))
    searched = with_default_controls()
    assert len(searched.controls) == 5
    started = as_started(searched, study)
    assert started.controls == ()
    assert started.arms == searched.methods
    check(study, started)
    with pytest.raises(StudyMismatchError, match=r"controls\.random\.name: was not given, is now \"random\""):
        check(study, searched)


def test_controls_that_the_space_names_stay_and_are_refused_in_such_a_study(study: Store) -> None:
    stored = complete_document(space())
    study.write("search_space.yaml", yaml.safe_dump({key: stored[key] for key in stored if key != "controls"}))
    named = with_default_controls(SPACE.replace("controls: []", "controls: [random]"))
    assert as_started(named, study) == named
    with pytest.raises(StudyMismatchError, match=r"controls\.random\.name"):
        check(study, as_started(named, study))


def test_a_study_with_controls_and_a_new_one_keep_them(study: Store, tmp_path: Path) -> None:
    searched = with_default_controls()
    assert as_started(searched, Store(str(tmp_path / "none"))) == searched
    study.write("search_space.yaml", yaml.safe_dump(complete_document(searched)))
    assert as_started(searched, study) == searched
    check(study, searched)
