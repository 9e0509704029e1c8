"""A trial distilled again from its folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hand_made import FIXED, SMALL, baseline
from resealed import content
from typer.testing import CliRunner

import raydistill
from raydistill.catalogue import load_space
from raydistill.cli import app
from raydistill.core.recipes import RECIPES
from raydistill.core.synthetic import SyntheticSet
from raydistill.errors import InputError
from raydistill.report.rerun import rerun_line
from raydistill.sets import rerun
from raydistill.sets.distilling import only_trial
from raydistill.sets.rerun import earlier_trial
from raydistill.sets.set_file import read_set_file
from raydistill.storage.record import read_record
from raydistill.storage.store import Store
from raydistill.trial import run as trial
from raydistill.trial.run import run_trial


@pytest.fixture
def ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The folder of a finished trial, which nothing stops."""
    monkeypatch.setitem(RECIPES, "plain", dataclasses.replace(RECIPES["plain"], steps=30))
    monkeypatch.setattr(trial, "is_hopeless", lambda *_: False)
    monkeypatch.setattr(trial, "commit", lambda: "abc-dirty")
    study = Store(str(tmp_path / "store/study"))
    study.write("baseline/baseline.json", baseline().model_dump_json())
    config = only_trial(load_space(SMALL, FIXED, None, for_search=False), None)
    study.write(f"trials/{config.trial_id}/config.json", config.canonical_json())
    run_trial(config, study, lambda _: None)
    return study.at("trials", config.trial_id)


def found(folder: Store) -> rerun.EarlierTrial:
    one = earlier_trial(folder.root, ())
    assert one is not None
    return one


def line(folder: Store, again: SyntheticSet, accuracy_fractions: Sequence[float]) -> str:
    rerun = found(folder).compare(again, accuracy_fractions)
    assert rerun is not None
    return rerun_line(rerun)


def test_a_record_has_the_commit_of_its_code(ended: Store) -> None:
    record = found(ended).record
    assert record is not None
    assert record.commit == "abc-dirty"


def test_a_record_from_before_commits_were_written_is_read(ended: Store) -> None:
    document: dict[str, Any] = content(ended, "record.json")
    del document["commit"]
    ended.write_json("record.json", document)
    record = read_record(ended.parent.parent, document["trial_id"])
    assert record is not None
    assert record.commit is None


def test_a_trial_run_again_from_its_folder_gives_its_set_to_the_last_bit(ended: Store, tmp_path: Path) -> None:
    again = raydistill.distill(ended.root, out=tmp_path / "again")
    read = found(ended).record.final.accuracy_fractions
    same = "The set equals the trial's to the last bit"
    assert line(ended, again, read) == f"{same}, and every network has the accuracy in the trial's record"
    assert line(ended, again, [0.5]).startswith(f"{same}, but its record has ")
    assert (tmp_path / "again/images.safetensors").read_bytes() == ended.read("images.safetensors")


def test_the_command_says_whether_the_set_came_out(ended: Store, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["distill", ended.root, "--out", str(tmp_path / "again")])
    assert result.exit_code == 0, result.output
    said = "The set equals the trial's to the last bit, and every network has the accuracy in the trial's record"
    assert f"\n{said}\nNext:\n" in result.stdout


def test_another_set_is_reported_with_both_codes(ended: Store) -> None:
    synthetic = read_set_file(ended.root)[0]
    said = line(ended, dataclasses.replace(synthetic, images=synthetic.images + 1), [0.5])
    assert said.startswith("The set differs from the trial's: the trial was made with commit abc-dirty, torch ")


def test_a_trial_without_a_set_is_compared_with_nothing(ended: Store) -> None:
    synthetic = read_set_file(ended.root)[0]
    ended.delete("images.safetensors")
    assert found(ended).compare(synthetic, [0.5]) is None


def test_the_experts_of_a_trial_are_those_of_its_store(ended: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ended.local_path())
    one = earlier_trial(".", ())
    assert one is not None
    assert one.store.root == str(tmp_path / "store")


def test_a_trial_takes_no_overrides(ended: Store) -> None:
    with pytest.raises(InputError, match=r"given --set ipc=4 for the trial .*, which is repeated unchanged: remove --set, or"):
        raydistill.distill(ended.root, overrides=["ipc=4"])


def test_a_damaged_trial_is_refused(ended: Store) -> None:
    ended.write("config.json", "{}")
    with pytest.raises(InputError, match=r"config\.json is damaged .*; give the folder of an undamaged trial"):
        raydistill.distill(ended.root)


def test_a_space_is_no_trial(tmp_path: Path) -> None:
    assert earlier_trial("digits_datadam", ()) is None
    assert earlier_trial(SMALL, ()) is None
    assert earlier_trial(tmp_path, ()) is None
