"""What readers and a search of the same study make of damaged files: the table of docs/files.md is what is expected."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up import SPACE, Told, space, workplace
from resealed import reseal

from raydistill.core.recipes import RECIPES
from raydistill.errors import InputError, RaydistillError, StoreError
from raydistill.methods import method_configs
from raydistill.report.read import read_whole
from raydistill.report.status import read_status
from raydistill.report.tables import read_study, refuse_damaged
from raydistill.search import driver
from raydistill.search.driver import run_search
from raydistill.search.repair import check_result, looks_before
from raydistill.sets.set_file import read_set_file
from raydistill.storage.manifest import damages, write_manifest
from raydistill.storage.record import read_trials
from raydistill.storage.result import SearchResult
from raydistill.storage.store import Store
from raydistill.trial import baseline

GUIDE = Path(__file__).parents[2] / "docs" / "files.md"
ROW = re.compile(r"^\| `([^`]+)` \| (noticed|not read) \| ([a-z ]+) \| (noticed|not read) \| ([a-z ]+) \|$", re.M)
TABLE = {name: ((read, then), (gone, then_gone)) for name, read, then, gone, then_gone in ROW.findall(GUIDE.read_text())}
SMALL = SPACE + "\nevaluation: {recipe: default, networks: 2, baseline_networks: 2, confirm_networks: 2}\n"
QUICK = ("method.random_inits=3", "method.batch_real=8", "ipc.high=6", "goal.margin_fraction=0.9", "budget.trials=2")


@pytest.fixture(scope="module", autouse=True)
def short_recipe() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, "default", replace(RECIPES["plain"], name="default", steps=5))
        patch.setattr(baseline, "is_admissible", lambda *_: True)
        threads = torch.get_num_threads()
        yield
        torch.set_num_threads(threads)


def search(folder: Path, watcher: Any = None) -> SearchResult:
    return run_search(space(*QUICK, text=SMALL), Store(str(folder)), workplace(watcher))


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, short_recipe: None) -> tuple[Path, SearchResult]:
    folder = tmp_path_factory.mktemp("ended")
    return folder, search(folder)


@pytest.fixture
def study(ended: tuple[Path, SearchResult], tmp_path: Path) -> Path:
    """A copy to be damaged."""
    shutil.copytree(ended[0], tmp_path, dirs_exist_ok=True)
    return tmp_path / "made-up"


def place(name: str, study: Path, result: SearchResult) -> Path:
    """The file of a row."""
    winner = str(result.winner_trial_id)
    other = next(folder.name for folder in sorted((study / "trials").iterdir()) if folder.name != winner)
    return study / name.replace("WINNER", winner).replace("OTHER", other)


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
        return
    if how == "changed":
        digits = (
            [i for i, byte in enumerate(data) if chr(byte).isdigit()] if path.suffix in (".json", ".yaml") else range(len(data))
        )
        data[digits[len(digits) // 2]] ^= 1
    path.write_bytes({"changed": data, "half": data[: len(data) // 2], "empty": b""}[how])


def is_noticed(study: Path, name: str) -> bool:
    """Whether `status` and `tables` both say so; a refusal names the file, or the study where it is the space that is gone."""
    said = []
    for read in (lambda store: read_status(store).damaged, lambda store: refuse_damaged(read_study(store, method_configs()))):
        try:
            lines: Any = read(Store(str(study)))
        except StoreError as error:
            lines = name in str(error)
        said.append(bool(lines))
    return all(said)


@pytest.mark.parametrize("how", ["changed", "half", "empty", "gone"])
@pytest.mark.parametrize("name", TABLE)
def test_readers_notice_a_damaged_file(study: Path, ended: tuple[Path, SearchResult], name: str, how: str) -> None:
    path = place(name, study, ended[1])
    damage(path, how)
    read, _ = TABLE[name][how == "gone"]
    assert is_noticed(study, path.name) == (read == "noticed")


@pytest.mark.parametrize("how", ["changed", "gone"])
@pytest.mark.parametrize("name", TABLE)
def test_a_search_makes_a_damaged_file_again_or_refuses(
    study: Path, ended: tuple[Path, SearchResult], name: str, how: str
) -> None:
    path = place(name, study, ended[1])
    before = path.read_bytes()
    damage(path, how)
    _, then = TABLE[name][how == "gone"]
    told = Told()
    if then == "refused":
        with pytest.raises(RaydistillError, match=path.name if path.name != "search_space.yaml" else "different search space"):
            search(study.parent, told)
        return
    again = search(study.parent, told)
    assert path.exists() != (then == "left so")
    if then == "made again":
        assert again == ended[1]
        assert path.read_bytes() == before
    if path.parent.parent.name == "trials" or path.name == "baseline.json":
        assert any(path.name in note for note in told.all("note"))
    assert not is_noticed(study, path.name)


def test_the_table_has_every_file_that_a_small_study_leaves(ended: tuple[Path, SearchResult]) -> None:
    folder, result = ended
    listed = {place(name, folder / "made-up", result) for name in TABLE}
    found = {path for path in (folder / "made-up").rglob("*") if path.is_file() and "artifacts" not in path.parts}
    left = {path.name for path in found - listed}
    assert left == {".lock", "network-1.json", "confirm-1.json"}


def test_what_is_damaged_is_among_the_notes_of_a_page(study: Path, ended: tuple[Path, SearchResult]) -> None:
    damage(place("trials/WINNER/images.safetensors", study, ended[1]), "changed")
    (note,) = read_whole(Store(str(study))).damaged
    assert note.endswith("images.safetensors was changed after the search ended")


@pytest.mark.parametrize("where", ["trials/WINNER", "winner"])
def test_a_set_that_is_not_that_of_the_record_is_not_read(study: Path, ended: tuple[Path, SearchResult], where: str) -> None:
    path = place(f"{where}/images.safetensors", study, ended[1])
    read_set_file(str(path.parent))
    damage(path, "changed")
    with pytest.raises(InputError, match=r"images.safetensors was changed after it was written: its hash is"):
        read_set_file(str(path.parent))


def test_a_result_that_changes_without_a_new_trial_is_refused(study: Path, ended: tuple[Path, SearchResult]) -> None:
    """As where a program that knows the hashes edits the answers of a confirmation, and the manifest is gone."""
    name = f"trials/{ended[1].winner_trial_id}/confirm-0.json"
    for index in range(2):
        reseal(Store(str(study)), name.replace("0.json", f"{index}.json"), confirm_correct="00" * 38)
    (study / "manifest.json").unlink()
    before = (study / "result.json").read_bytes()
    with pytest.raises(StoreError, match=r"result.json would change without a new trial \(the winner's gap was -?0\.\d+ and is"):
        search(study.parent)
    assert (study / "result.json").read_bytes() == before


def test_a_search_that_goes_on_takes_its_new_files_into_the_manifest(study: Path) -> None:
    more = space(*QUICK, "budget.trials=3", text=SMALL)
    run_search(more, Store(str(study.parent)), workplace(None))
    assert not read_status(Store(str(study))).damaged
    files = Store(str(study)).read("manifest.json").decode()
    assert files.count("/record.json") == 3


class PowerCutError(BaseException):
    """Nothing may catch it."""


def cut_off(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same search, cut off before it writes its result."""

    def cut(*_: object, **__: object) -> None:
        raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr(driver, "looks_before", cut)
        with pytest.raises(PowerCutError):
            search(study.parent)


def test_a_trial_that_ran_again_does_not_stop_a_search_that_was_cut_off_meanwhile(
    study: Path, ended: tuple[Path, SearchResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes its files anew, with other bits where the machine is another."""
    folder = study / "trials" / str(ended[1].winner_trial_id)
    (folder / "record.json").unlink()
    cut_off(study, monkeypatch)
    reseal(Store(str(study)), f"trials/{folder.name}/confirm-0.json", seed=1)
    assert search(study.parent).winner_trial_id == ended[1].winner_trial_id


def test_a_baseline_that_was_built_again_does_not_stop_a_search_that_was_cut_off_meanwhile(
    study: Path, ended: tuple[Path, SearchResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its networks took other seconds."""
    (study / "baseline" / "network-0.json").unlink()
    cut_off(study, monkeypatch)
    assert search(study.parent) == ended[1]


def test_what_a_killed_trial_leaves_is_not_in_the_manifest(study: Path, ended: tuple[Path, SearchResult]) -> None:
    folder = study / "trials" / str(ended[1].winner_trial_id)
    for name in ("progress.json", "checkpoint.safetensors"):
        (folder / name).write_text("left")
    write_manifest(Store(str(study)), [record for _, record in read_trials(Store(str(study)), method_configs()) if record])
    assert "left" not in (study / "manifest.json").read_text()
    listed = (study / "manifest.json").read_text()
    assert f"{folder.name}/record.json" in listed
    assert "progress.json" not in listed
    assert "checkpoint.safetensors" not in listed


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("trials/WINNER/confirm-0.json", "restore it, or delete it, and the search makes it again if it needs it"),
        ("baseline/network-0.json", "restore it, or delete it, and the search makes it again if it needs it"),
        ("trials/WINNER/images.safetensors", "restore it, or delete trials/WINNER/record.json, and the trial runs again"),
    ],
)
def test_the_advice_on_a_damaged_file_costs_no_more_than_that_file_and_helps(
    study: Path, ended: tuple[Path, SearchResult], name: str, remedy: str
) -> None:
    winner = str(ended[1].winner_trial_id)
    damage(place(name, study, ended[1]), "changed")
    with pytest.raises(StoreError, match=re.escape(remedy.replace("WINNER", winner))):
        search(study.parent)
    (study / (name if "delete it," in remedy else "trials/WINNER/record.json").replace("WINNER", winner)).unlink()
    again = search(study.parent)
    assert (again.winner_trial_id, again.gap_interval) == (winner, ended[1].gap_interval)


def test_a_search_that_is_refused_takes_nothing_out_of_the_manifest(study: Path) -> None:
    before = (study / "manifest.json").read_bytes()
    with pytest.raises(RaydistillError, match="different search space"):
        run_search(space(*QUICK, "network.width=7", text=SMALL), Store(str(study.parent)), workplace(None))
    assert (study / "manifest.json").read_bytes() == before


def test_a_search_that_only_loses_processes_changes_no_result(ended: tuple[Path, SearchResult]) -> None:
    """A lost process leaves no seconds, and its trial runs again: it is no new trial that would explain a change."""
    before = ended[1]
    lost = before.model_copy(update={"trials": {**before.trials, "crashed": 2}})
    check_result(before, lost, Store("memory://nowhere"))
    assert looks_before(before, lost, ()) == before.earlier_looks
    other = lost.model_copy(update={"verdict": "inconclusive"})
    with pytest.raises(StoreError, match=r"would change without a new trial \(verdict was 'lossless' and is 'inconclusive'\)"):
        check_result(before, other, Store("memory://nowhere"))


def test_a_trial_that_ended_without_a_cost_extends_a_search(ended: tuple[Path, SearchResult]) -> None:
    """A process that was ended from outside leaves no seconds."""
    before = ended[1]
    now = before.model_copy(update={"trials": {**before.trials, "timed_out": 1}})
    check_result(before, now, Store("memory://nowhere"))
    assert looks_before(before, now, ()) == before.earlier_looks + 1
    with pytest.raises(StoreError, match="would change without a new trial"):
        check_result(now, before, Store("memory://nowhere"))


def test_in_an_object_store_its_own_tags_are_compared(ended: tuple[Path, SearchResult], tmp_path: Path) -> None:
    """fsspec's memory file system stands for a bucket: a file that is written again is another one."""
    bucket = Store(f"memory://{tmp_path.name}")
    run_search(space(*QUICK, text=SMALL), bucket, workplace(None))
    study = bucket.at("made-up")
    assert "etag:" in study.read("manifest.json").decode()
    assert not damages(study, None, every=True)
    name = f"trials/{ended[1].winner_trial_id}/images.safetensors"
    study.write(name, study.read(name) + b" ")
    assert [found.name for found in damages(study, None, every=False)] == [name]
    copied = Store(str(tmp_path / "copied"))
    for file in study.stamps():
        copied.write(file, study.read(file))
    copied.delete(f"trials/{ended[1].winner_trial_id}/record.json")
    assert [
        found.in_words(copied).endswith("record.json is gone, and the search that ended had it")
        for found in damages(copied, None, every=True)
    ] == [True]
