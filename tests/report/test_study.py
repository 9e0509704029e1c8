"""Reading a study whole: what cannot be read is left out and named, and what Python gets is typed and short to print."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from hand_race import IPCS, pack, record, result, trial_id, write_race, write_trial

import raydistill
from raydistill.errors import InputError, StoreError
from raydistill.report.looks import looks_of
from raydistill.report.read import read_whole
from raydistill.report.study import Study
from raydistill.storage.lock import study_lock
from raydistill.storage.store import Store


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A race of forty trials, which no test changes."""
    return write_race(tmp_path_factory.mktemp("race") / "by-hand", 40)


@pytest.fixture
def copy(race: Path, tmp_path: Path) -> Path:
    """A race to change."""
    return Path(shutil.copytree(race, tmp_path / "by-hand"))


def read(folder: Path) -> Study:
    return read_whole(Store(str(folder)))


def test_a_study_is_found_by_its_name_in_a_store(race: Path) -> None:
    study = raydistill.load_study("by-hand", store=race.parent)
    assert (len(study.asked), len(study.finished), study.dataset, study.margin_fraction) == (40, 36, "digits", 0.03)
    assert study.states == {"finished": 36, "pruned": 4}
    assert study.trial(trial_id(3)) is study.asked[3]
    assert study.trial("0" * 11 + "g") is None


def test_arms_are_in_the_order_of_the_space_with_controls_last(race: Path) -> None:
    assert read(race).arms == {"datadam": False, "dm": False, "random": True, "k_means": True}


def test_an_arm_looks_the_same_whoever_was_tried_before_it(race: Path, tmp_path: Path) -> None:
    begun = read(write_race(tmp_path / "begun", 1, is_over=False))
    assert {trial.arm for trial in begun.asked} == {"datadam"}
    assert looks_of(begun.arms) == looks_of(read(race).arms)


def test_one_damaged_record_among_many_is_left_out_and_named(copy: Path) -> None:
    broken = copy / "trials" / trial_id(7) / "record.json"
    broken.write_text("{")
    study = read(copy)
    assert len(study.asked) == 39
    (note,) = study.damaged
    assert str(broken) in note
    assert "delete it to run the trial again" in note
    assert repr(study) == "Study(by-hand-race: lossless at IPC 13 (dm); 35 finished, 4 pruned, 1 damaged)"


def test_a_record_of_another_version_is_left_out_and_named(copy: Path) -> None:
    (copy / "trials" / trial_id(7) / "record.json").write_text(json.dumps({**record(7), "record_version": 9}))
    (note,) = read(copy).damaged
    assert "was written by another version of raydistill (record_version 9" in note


@pytest.mark.parametrize(
    ("config", "cause"),
    [("{", "Expecting property name"), ("[]", "no section"), ('{"ask_number": 41}', "its config: ipc: Field required")],
)
def test_a_trial_with_a_damaged_config_is_left_out_and_named(copy: Path, config: str, cause: str) -> None:
    folder = copy / "trials" / "ffffffffffff"
    folder.mkdir()
    (folder / "config.json").write_text(config)
    (note,) = read(copy).damaged
    assert "ffffffffffff/config.json is damaged" in note
    assert cause in note


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"holds no study \(no search_space.yaml\); give the folder <store>/<study>"):
        read(tmp_path)
    with pytest.raises(InputError, match="is a study"):
        raydistill.load_study("absent", store=tmp_path)


@pytest.mark.parametrize(("space", "cause"), [("a: [", "while parsing"), ("a: 1", "no section dataset"), ("- 1", "no section")])
def test_a_damaged_space_is_an_error_that_names_it(copy: Path, space: str, cause: str) -> None:
    (copy / "search_space.yaml").write_text(space)
    with pytest.raises(StoreError, match=f"search_space.yaml is damaged .*{cause}.*restore it"):
        read(copy)


def test_a_trial_without_a_record_waits_or_runs(copy: Path) -> None:
    write_trial(copy, record(40, state=None))
    write_trial(copy, record(41, state=None))
    progress = {"step": 3, "steps": 9, "readings": [], "seconds": {}, "experts_sha256": None}
    (copy / "trials" / trial_id(41) / "progress.json").write_text(json.dumps(progress))
    study = read(copy)
    assert [trial.state for trial in study.asked[-2:]] == ["waiting", "running"]
    assert not study.is_over
    assert study.finding is None, "a study that is extended holds the finding of its shorter self"


def test_a_study_that_was_cut_off_before_the_verdict_of_further_trials_is_not_over(copy: Path) -> None:
    (copy / "result.json").write_text(json.dumps(result(30)))
    study = read(copy)
    assert not study.is_over
    assert study.finding is None
    assert repr(study) == "Study(by-hand-race: no verdict yet; 36 finished, 4 pruned)"


def test_a_study_that_a_search_works_on_has_a_holder_and_no_verdict(copy: Path) -> None:
    with study_lock(Store(str(copy))):
        study = read(copy)
    assert study.holder is not None
    assert repr(study) == "Study(by-hand-race: no verdict yet; 36 finished, 4 pruned)"


def test_the_trials_are_a_frame_with_typed_columns(race: Path) -> None:
    frame = read(race).trials()
    assert len(frame) == 40
    assert list(frame.columns[:6]) == ["trial_id", "state", "ask_number", "arm", "is_control", "ipc"]
    types = {name: str(frame[name].dtype) for name in ("state", "arm", "ipc", "gap", "lr_images", "init", "is_control")}
    assert types == {
        "state": "category",
        "arm": "category",
        "ipc": "Int64",
        "gap": "float64",
        "lr_images": "float64",
        "init": "string",
        "is_control": "boolean",
    }
    assert frame["started_at"].max() == pd.Timestamp("2026-11-23T00:39:00Z")
    assert frame["gap"].isna().sum() == 4


def test_a_factor_that_one_trial_has_stands_in_the_row_of_every_trial(copy: Path) -> None:
    """A config leaves `factor` out where it is 1."""
    packed = pack(copy, 1)
    frame = read_whole(Store(str(copy))).trials()
    assert frame.set_index("trial_id")["factor"].to_dict()[packed] == 2
    assert sorted(set(frame["factor"])) == [1, 2]


def test_a_study_without_trials_has_frames_without_rows(copy: Path) -> None:
    shutil.rmtree(copy / "trials")
    study = read(copy)
    assert (len(study.trials()), len(study.curve())) == (0, 0)
    assert "gap" in study.trials()


def test_the_curve_has_the_best_trial_of_each_arm_and_ipc_with_bounds(race: Path) -> None:
    """Trial 1 is dm at IPC 1: 200 * (0.98 - 0.10) = 176 right, a gap of 10 points."""
    row = read(race).curve().query("arm == 'dm' and ipc == 1").iloc[0]
    assert row["trial_id"] == trial_id(1)
    assert row["gap"] == pytest.approx(0.10)
    assert row["gap_low"] < 0.10 < row["gap_high"]
    assert set(read(race).curve()["ipc"]) <= set(IPCS)


def test_values_print_in_a_line(race: Path) -> None:
    study = read(race)
    assert study.result is not None
    assert repr(study.result) == str(study.result) == "SearchResult(by-hand-race: lossless at IPC 13 (dm); 40 trials)"
    assert repr(study.asked[1].record) == f"TrialRecord({trial_id(1)}: dm at IPC 1, finished, gap 10.00 points)"
    assert repr(study.asked[9].record) == f"TrialRecord({trial_id(9)}: dm at IPC 3, pruned)"
    assert repr(study.finding).startswith("Finding(needed: distilling is needed: dm at IPC 13")
    assert max(len(repr(value)) for value in (study, study.result, study.asked[0].record)) < 100


@pytest.mark.parametrize(("largest", "words"), [(None, "not reached; 0"), (60, "not reached up to IPC 60; 0")])
def test_a_result_without_a_winner_says_how_far_it_looked(copy: Path, largest: int | None, words: str) -> None:
    changes = {"verdict": "not_reached", "smallest_lossless_ipc": None, "largest_ipc_tried": largest}
    (copy / "result.json").write_text(json.dumps(result(0, **changes)))
    assert repr(read(copy).result) == f"SearchResult(by-hand-race: {words} trials)"
