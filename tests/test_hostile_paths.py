"""Paths and names that nobody means well with: each is refused with one error of ours, and nothing is written elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from hand_made import STORED, HandMade, trial_config

from raydistill.api.data import check_data, write_space
from raydistill.catalogue import find_space, find_study, load_space
from raydistill.certify.verify import verify_certificate
from raydistill.core.synthetic import Manifest, encode, hard_set
from raydistill.data.preprocess import Standardise
from raydistill.errors import InputError, RaydistillError, StoreError
from raydistill.report.grafana import install_dashboard
from raydistill.report.status import read_status
from raydistill.search.cluster_files import write_cluster_files
from raydistill.sets.exporting import export_set
from raydistill.sets.importing import Given, import_into, import_sets
from raydistill.sets.rerun import earlier_trial
from raydistill.sets.set_file import read_whole_set_file
from raydistill.spaces.paths import given_path
from raydistill.storage.lock import holder_of, study_lock
from raydistill.storage.store import Store

HOSTILE = {
    "NUL": "a\0b",
    "no text": "\ud800",
    "a name of 300 characters": "a" * 300,
    "a path of 9000 characters": "a/" * 4500,
    "the home of nobody": "~no-such-user-of-this-machine/x",
}
GIVEN = Given(dataset="digits", space="pixels")
SPACE = {"study": "s", "dataset": {"name": "image_folder", "size": 8}, "method": {"name": "random"}, "budget": {"trials": 1}}


def set_file(folder: Path, names: tuple[str, ...] = ("a", "b", "c")) -> str:
    """A small set, whose classes may have any names."""
    manifest = Manifest(
        preprocess=Standardise(mean=(0.5,), std=(0.2,)),
        class_names=names,
        config=json.loads(trial_config(0, 2).canonical_json()),
        code_sha256="c" * 64,
    )
    (folder / "images.safetensors").write_bytes(encode(hard_set(torch.zeros(6, 1, 4, 4), 3, 2, 1), manifest))
    return str(folder / "images.safetensors")


READERS: dict[str, Callable[[str, Path], object]] = {
    "a space": lambda path, _: find_space(path),
    "a study": lambda path, folder: find_study(path, str(folder)),
    "a store": lambda path, _: find_study("study", path),
    "a certificate": lambda path, _: verify_certificate(path),
    "a set": lambda path, _: read_whole_set_file(path),
    "a file of a set": lambda path, _: read_whole_set_file(f"{path}/images.safetensors"),
    "a published set": lambda path, _: import_sets(Path(f"{path}.pt"), GIVEN),
    "an exported set": lambda path, _: import_sets(Path(f"{path}.npz")),
    "an export": lambda path, folder: export_set(set_file(folder), path, "folder", accuracy=False),
    "an export as npz": lambda path, folder: export_set(set_file(folder), f"{path}.npz", "npz"),
    "own images": lambda path, _: check_data(path),
    "own images of a space": lambda path, _: load_space({**SPACE, "dataset": {**SPACE["dataset"], "path": path}}, (), None),
    "a first space": lambda path, folder: write_space(folder, out=path),
    "files of a cluster": lambda path, _: write_cluster_files(Path(path)),
    "a dashboard": lambda path, _: install_dashboard(Path(path)),
    "a lock": lambda path, _: study_lock(Store(path)).__enter__(),
    "a file in a store": lambda path, folder: Store(str(folder)).write(path.replace("~", "~/../"), b""),
}


@pytest.mark.parametrize("path", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_a_path_that_cannot_be_is_refused_with_one_error(
    reader: Callable[[str, Path], object], path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    with pytest.raises(RaydistillError) as refused:
        reader(path, inside)
    assert "\0" not in str(refused.value)
    assert {entry.name for entry in tmp_path.iterdir()} == {"inside"}
    assert not [entry for entry in inside.rglob("*") if entry.name != "images.safetensors"]


def test_a_path_is_told_short_and_such_that_it_can_be_printed() -> None:
    with pytest.raises(InputError, match=r"^'a\\x00b' cannot be a path \(embedded null byte\); give another$"):
        given_path("a\0b")
    with pytest.raises(InputError, match=r"^a{60}\.\.\. \(300 characters\) cannot be a path \(File name too long\)"):
        given_path("a" * 300)


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(InputError, match="cannot be a path"):
        given_path(tmp_path / "a" / "x")


def test_the_home_of_nobody_is_no_store() -> None:
    with pytest.raises(StoreError, match="give a folder without ~, or the name of a user there is"):
        Store("~no-such-user-of-this-machine").write("x", b"")


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "trials/../../escaped", "a\0b", "\ud800"])
def test_a_trials_id_does_not_lead_out_of_its_store(tmp_path: Path, name: str) -> None:
    store = Store(str(tmp_path / "store"))
    for call in (store.read, store.exists, store.delete, store.delete_folder, store.folders):
        with pytest.raises(StoreError, match=r"is outside of the store|cannot be a file in the store"):
            call(f"{name}/record.json")
    with pytest.raises(StoreError, match=r"is outside of the store|cannot be a file in the store"):
        store.write(f"{name}/record.json", b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("study", ["..", "../escaped", "/escaped", "a/b", "a\0b", "\ud800", "a" * 65, "~root", ""])
def test_a_studys_name_is_no_path(study: str) -> None:
    document = {**SPACE, "study": study, "dataset": {"name": "digits"}}
    with pytest.raises(RaydistillError, match="study"):
        load_space(document, (), None)


def test_a_lock_that_is_a_link_empties_nothing(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "study").mkdir()
    (tmp_path / "study/.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(StoreError, match=r"cannot write .*\.lock"), study_lock(Store(str(tmp_path / "study"))):
        pass
    assert (tmp_path / "precious").read_text() == "precious"
    assert holder_of(Store(str(tmp_path / "study"))) is None


def test_a_file_that_is_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    for name in ("x.json", "raydistill_grafana_dashboard.json"):
        (tmp_path / name).symlink_to(tmp_path / "precious")
    Store(str(tmp_path)).write("x.json", b"new")
    install_dashboard(tmp_path)
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "x.json").is_symlink()


@pytest.mark.parametrize("name", ["cluster.yaml", "clusters", "raydistill/methods", "search_spaces"])
@pytest.mark.parametrize("is_dangling", [True, False])
def test_files_of_a_cluster_are_not_written_through_links(tmp_path: Path, name: str, is_dangling: bool) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "cluster"
    if not is_dangling:
        elsewhere.mkdir()
    (folder / name).parent.mkdir(parents=True)
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(InputError, match=f"has links where files are to be written: {name}; what they point to would be"):
        write_cluster_files(folder, force=True)
    assert not elsewhere.exists() or not list(elsewhere.iterdir())
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_folders_of_an_export_are_named_safely_whatever_the_classes_are_called(tmp_path: Path) -> None:
    source = set_file(tmp_path, ("../../escaped", "/tmp/x", "a" * 1000))
    export_set(source, tmp_path / "out" / "export", "folder", accuracy=False)
    made = sorted(entry.name for entry in (tmp_path / "out/export").iterdir() if entry.is_dir())
    assert made == ["000-..-..-escaped", "001--tmp-x", "002-" + "a" * 200]
    assert {entry.name for entry in tmp_path.iterdir()} == {"images.safetensors", "out"}


@pytest.mark.parametrize("name", ["a\0b", "\ud800", 3, None])
def test_a_set_whose_classes_have_no_names_is_refused(tmp_path: Path, name: object) -> None:
    with pytest.raises(InputError, match=r"a class is named .*; expected text without NUL: make the file again"):
        read_whole_set_file(set_file(tmp_path, ("a", "b", name)))  # type: ignore[arg-type]


@pytest.mark.parametrize("out", ["a\0b", "a" * 300])
def test_a_set_is_not_imported_into_what_cannot_be_a_folder(tmp_path: Path, out: str) -> None:
    export_set(set_file(tmp_path), tmp_path / "set.npz", "npz")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError, match="cannot"):
        import_into(str(tmp_path / out), tmp_path / "set.npz", Given(), entry="last", data_root=None)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["search_space.yaml", "result.json"])
def test_a_pipe_in_a_study_is_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    store = HandMade(tmp_path).study
    store.write("search_space.yaml", yaml.safe_dump(STORED))
    store.delete(name)
    os.mkfifo(tmp_path / name)
    with pytest.raises(StoreError, match=rf"cannot read .*{name}: .*it is a pipe or a device, not a regular file"):
        read_status(store)


def test_a_lock_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".lock")
    with pytest.raises(StoreError, match=r"cannot read .*\.lock: it is a pipe or a device, not a regular file; remove it if no"):
        holder_of(Store(str(tmp_path)))
    with pytest.raises(StoreError, match=r"cannot write .*\.lock"), study_lock(Store(str(tmp_path))):
        pass


def test_a_set_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "set.npz")
    with pytest.raises(InputError, match=r"set.npz is no file; give the file of a published set"):
        import_sets(tmp_path / "set.npz")
    with pytest.raises(RaydistillError, match="pipe"):
        read_whole_set_file(str(tmp_path / "set.npz"))


def test_a_path_that_cannot_be_is_no_earlier_trial() -> None:
    with pytest.raises(InputError, match="cannot be a path"):
        earlier_trial("a" * 300, ())
