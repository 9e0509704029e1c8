"""Records: what is written is read, what was damaged or changed is named, and bits are packed as documented."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_made import HandMade, trial_config, trial_record
from pydantic import ValidationError
from resealed import content, reseal

import raydistill
from raydistill.errors import StoreError
from raydistill.methods import method_configs
from raydistill.report.read import read_whole
from raydistill.storage.record import (
    FINAL_STATES,
    code_sha256,
    pack_bits,
    package_sha256,
    read_record,
    read_trials,
    unpack_bits,
    versions,
    write_record,
)
from raydistill.storage.sealed import seal, unseal
from raydistill.storage.store import Store


@pytest.fixture
def study(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "study"))


CONFIG = trial_config(0, ipc=5)
RECORD = trial_record(CONFIG, (0.96, 0.98))
PLACE = f"trials/{CONFIG.trial_id}/record.json"


def changed(study: Store, **changes: Any) -> None:
    """Write the record with some of its JSON values replaced."""
    write_record(study, RECORD)
    reseal(study, PLACE, **changes)


def test_a_record_is_read_as_it_was_written(study: Store) -> None:
    write_record(study, RECORD)
    assert read_record(study, CONFIG.trial_id) == RECORD


def test_a_record_carries_its_version(study: Store) -> None:
    write_record(study, RECORD)
    assert study.read_json(PLACE)["record_version"] == 1


def test_a_trial_without_a_record_has_none(study: Store) -> None:
    assert read_record(study, CONFIG.trial_id) is None


def test_a_record_speaks_of_its_config(study: Store) -> None:
    assert (RECORD.ipc, RECORD.ask_number) == (5, 0)


def test_the_gap_of_a_finished_trial_is_that_of_its_last_reading() -> None:
    """0.98 - (0.96 + 0.98) / 2 = 0.01."""
    assert RECORD.gap == pytest.approx(0.01)


def test_a_trial_that_did_not_finish_has_no_gap() -> None:
    assert trial_record(CONFIG, (0.5,), state="pruned").gap is None


def test_a_crashed_trial_is_the_only_one_that_is_run_again() -> None:
    assert {"finished", "pruned", "diverged", "out_of_memory", "timed_out"} == FINAL_STATES


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"null"])
def test_a_damaged_record_is_named_with_what_to_do(study: Store, data: bytes) -> None:
    study.write(PLACE, data)
    with pytest.raises(StoreError, match=rf"{CONFIG.trial_id}/record.json is damaged \(.*\); restore it, or delete it to run"):
        read_record(study, CONFIG.trial_id)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"record_version": 2}, r"written by another version of raydistill \(record_version 2; this version reads 1\): keep"),
        ({"state": "done"}, r"record.json is damaged \(state: "),
        ({"images": "many"}, r"record.json is damaged \(images: "),
        ({"extra": 1}, r"record.json is damaged \(extra: Extra inputs are not permitted\)"),
        ({"trial_id": "0123456789ab"}, "record.json is the record of trial 0123456789ab"),
    ],
)
def test_a_record_of_another_version_form_or_trial_is_refused(study: Store, changes: dict[str, Any], message: str) -> None:
    changed(study, **changes)
    with pytest.raises(StoreError, match=message):
        read_record(study, CONFIG.trial_id)


def test_a_record_without_a_finite_gap_is_refused(study: Store) -> None:
    write_record(study, RECORD)
    text = unseal(study.read(PLACE)).decode().replace(f'"gap": {RECORD.gap}', '"gap": NaN')
    study.write(PLACE, seal(text))
    with pytest.raises(StoreError, match=r"is damaged \(readings.0.gap: "):
        read_record(study, CONFIG.trial_id)


def test_a_record_that_was_edited_is_refused(study: Store) -> None:
    write_record(study, RECORD)
    study.write(PLACE, study.read(PLACE).decode().replace('"images": ', '"images": 1'))
    with pytest.raises(StoreError, match=r"record.json is damaged: its hash is .{12}, file_sha256 says .{12}: it was"):
        read_record(study, CONFIG.trial_id)


def test_a_record_whose_gap_is_not_that_of_its_accuracies_is_refused(study: Store) -> None:
    """Also where the file has no hash of itself, as in older versions: a gap and an accuracy add up to the baseline's."""
    write_record(study, RECORD)
    readings = content(study, PLACE)["readings"]
    start = {**readings[-1], "fraction": 0.0, "gap": readings[-1]["gap"] + 0.1}
    study.write_json(PLACE, {**content(study, PLACE), "readings": [start, *readings]})
    with pytest.raises(StoreError, match=r"contradicts itself \(its gaps and accuracies are not of one baseline\); restore"):
        read_record(study, CONFIG.trial_id)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("ff", "ff"), "an accuracy is 0.96, but its network has 8 of at most 8 images right"),
        (("ff",), "it has 2 accuracies and the answers of 1 networks"),
    ],
)
def test_a_record_whose_answers_give_another_accuracy_is_refused(study: Store, rows: tuple[str, ...], message: str) -> None:
    changed(study, select_correct=rows)
    with pytest.raises(StoreError, match=rf"record.json contradicts itself \({message}\)"):
        read_record(study, CONFIG.trial_id)


def test_answers_may_be_of_a_number_of_images_that_fills_no_whole_bytes(study: Store) -> None:
    """24 of 25 and 49 of 50 images: 4 and 7 bytes."""
    correct = [pack_bits(np.arange(25)[None] < 24)[0], pack_bits(np.arange(50)[None] < 49)[0]]
    changed(study, select_correct=correct)
    assert read_record(study, CONFIG.trial_id) is not None


def test_a_reading_takes_no_accuracy_that_is_not_finite() -> None:
    with pytest.raises(ValidationError, match="finite"):
        trial_record(CONFIG, (float("nan"),))


def test_bits_are_packed_with_the_first_image_highest_and_zeros_behind() -> None:
    """1011 0001 is b1; 1 with seven zeros is 80. 0000 0000 0 is 00 00."""
    correct = np.array([[1, 0, 1, 1, 0, 0, 0, 1, 1], [0] * 9], dtype=bool)
    assert pack_bits(correct) == ("b180", "0000")


@pytest.mark.parametrize("images", [1, 7, 8, 9, 250])
def test_bits_survive_packing(images: int) -> None:
    correct = np.random.default_rng(0).random((3, images)) < 0.5
    assert np.array_equal(unpack_bits(pack_bits(correct), images), correct)


def test_no_rows_are_no_rows_of_so_many_images() -> None:
    assert unpack_bits((), 5).shape == (0, 5)


@pytest.mark.parametrize("images", [7, 8, 17, 90])
def test_bits_of_other_images_are_refused(images: int) -> None:
    """Padded to 90 images they would look like networks that are wrong on the last 75."""
    rows = pack_bits(np.ones((2, 15), dtype=np.bool_))
    with pytest.raises(ValueError, match=f"16 bits for {images} images"):
        unpack_bits(rows, images)


def test_trials_come_in_the_order_of_asks(by_hand: HandMade) -> None:
    ids = [by_hand.trial(ipc) for ipc in (9, 1, 5, 7, 3)]
    assert [config.trial_id for config, _ in read_trials(by_hand.study, method_configs())] == ids


def test_a_trial_under_way_is_read_without_a_record(by_hand: HandMade) -> None:
    by_hand.trial(5)
    by_hand.trial(6, None)
    assert [record is None for _, record in read_trials(by_hand.study, method_configs())] == [False, True]


def test_a_folder_without_a_config_is_no_trial(by_hand: HandMade) -> None:
    by_hand.study.write("trials/0123456789ab/checkpoint.safetensors", b"")
    assert read_trials(by_hand.study, method_configs()) == []


def test_a_study_without_trials_has_none(study: Store) -> None:
    assert read_trials(study, method_configs()) == []


def test_trials_are_found_on_a_file_system_that_is_not_local() -> None:
    study = Store("memory://record/study")
    study.write(f"trials/{CONFIG.trial_id}/config.json", CONFIG.canonical_json())
    write_record(study, RECORD)
    assert read_trials(study, method_configs()) == [(CONFIG, RECORD)]


def test_a_config_that_was_changed_is_refused(by_hand: HandMade) -> None:
    name = f"trials/{by_hand.trial(5, None)}/config.json"
    config = by_hand.study.read_json(name)
    by_hand.study.write_json(name, {**config, "ipc": 6})
    with pytest.raises(
        StoreError, match=r"config.json is damaged \(it was changed after it was written: its hash is [0-9a-f]{12}\); delete it"
    ):
        read_trials(by_hand.study, method_configs())


@pytest.mark.parametrize("data", ["", "{}", '{"method": {"name": "datadam"}}'])
def test_a_damaged_config_is_named_with_what_to_do(by_hand: HandMade, data: str) -> None:
    by_hand.study.write(f"trials/{by_hand.trial(5, None)}/config.json", data)
    with pytest.raises(StoreError, match=r"config.json is damaged \((.|\n)*\); delete it, and the search asks again"):
        read_trials(by_hand.study, method_configs())


@pytest.mark.parametrize("data", [None, "", "{}", "changed"])
def test_a_config_that_is_gone_or_damaged_is_taken_from_its_record(by_hand: HandMade, data: str | None) -> None:
    name = f"trials/{by_hand.trial(5)}/config.json"
    before = read_trials(by_hand.study, method_configs())
    changed_text = json.dumps({**by_hand.study.read_json(name), "ipc": 6})
    by_hand.study.delete(name)
    if data is not None:
        by_hand.study.write(name, changed_text if data == "changed" else data)
    assert read_trials(by_hand.study, method_configs()) == before


def test_a_record_with_the_config_of_another_trial_replaces_none(by_hand: HandMade) -> None:
    one, other = by_hand.trial(5), by_hand.trial(6)
    place = f"trials/{one}/record.json"
    reseal(by_hand.study, place, config=content(by_hand.study, f"trials/{other}/record.json")["config"])
    with pytest.raises(StoreError, match=rf"record.json is damaged \(its config is not that of trial {one}\); restore it"):
        read_trials(by_hand.study, method_configs())


@pytest.mark.parametrize(
    ("key", "value"),
    [("method", {}), ("method", "datadam"), ("method", {"name": [[]]}), ("ask_number", "first"), ("dataset", None), ("ipc", -5)],
)
def test_a_record_whose_config_was_changed_is_refused(by_hand: HandMade, key: str, value: Any) -> None:
    """And so it is where somebody sealed it again."""
    one = by_hand.trial(5)
    place = f"trials/{one}/record.json"
    reseal(by_hand.study, place, config={**content(by_hand.study, place)["config"], key: value})
    damage = rf"record.json is damaged \(its config is not that of trial {one}\); restore it"
    with pytest.raises(StoreError, match=damage):
        read_trials(by_hand.study, method_configs())
    assert re.search(damage, " ".join(read_whole(by_hand.study).damaged))


def test_a_config_of_a_method_that_is_gone_is_told_of(by_hand: HandMade) -> None:
    by_hand.trial(5)
    others = {name: config for name, config in method_configs().items() if name != "datadam"}
    with pytest.raises(StoreError, match=r"this version of raydistill does not read the config in the record .*'datadam'.*"):
        read_trials(by_hand.study, others)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"readings": []}, r"contradicts itself \(it is finished and has no reading\)"),
        ({"readings": [{"step": 1, "fraction": 1.0, "accuracy_fractions": [], "gap": 0.0, "loss": None}]}, "is damaged"),
    ],
)
def test_a_finished_record_has_a_reading_with_accuracies(by_hand: HandMade, changes: dict[str, Any], cause: str) -> None:
    one = by_hand.trial(5)
    reseal(by_hand.study, f"trials/{one}/record.json", **changes)
    with pytest.raises(StoreError, match=rf"record.json {cause}"):
        read_record(by_hand.study, one)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in (("a.py", "1"), ("b/c.py", "2"), ("notes.txt", "3")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_hash_of_the_code_changes_with_a_file(package: Path) -> None:
    before = package_sha256(package)
    (package / "b" / "c.py").write_text("4")
    assert package_sha256(package) != before


def test_the_hash_of_the_code_changes_with_the_place_of_a_file(package: Path) -> None:
    before = package_sha256(package)
    (package / "a.py").rename(package / "d.py")
    assert package_sha256(package) != before


def test_the_hash_of_the_code_does_not_change_with_other_files(package: Path) -> None:
    before = package_sha256(package)
    (package / "notes.txt").write_text("4")
    (package / "b" / "c.pyc").write_text("4")
    assert package_sha256(package) == before


def test_the_hash_of_the_code_does_not_change_with_the_folder(package: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    before = package_sha256(package)
    moved = package.rename(tmp_path_factory.mktemp("elsewhere") / "package")
    assert package_sha256(moved) == before


def test_the_hash_of_the_code_is_that_of_this_package() -> None:
    assert code_sha256.__wrapped__() == package_sha256(Path(raydistill.__file__).parent)


def test_versions_name_what_shapes_a_number() -> None:
    assert {"torch", "numpy", "scikit-learn"} <= set(versions())


def test_a_record_on_disk_is_json_that_a_person_can_read(study: Store) -> None:
    write_record(study, RECORD)
    text = study.read(PLACE).decode()
    assert text.startswith('{\n  "record_version": 1,\n')
    assert json.loads(text)["config"]["ipc"] == 5
