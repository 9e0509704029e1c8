"""A relative `dataset.path` is looked for beside the YAML file first, then below the data root."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from small_space import SPACE

from raydistill.catalogue import load_space
from raydistill.errors import SpaceError
from raydistill.search.submission import plan_submission


def fill(folder: Path) -> Path:
    for place, name in enumerate(("cats", "dogs")):
        for number in range(40):
            (folder / name).mkdir(parents=True, exist_ok=True)
            image = Image.new("L", (8, 8), 50 * place + number)
            image.putpixel((0, 0), 255)
            image.save(folder / name / f"{number:02d}.png")
    return folder


def write(folder: Path, path: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "x.yaml"
    dataset = {"name": "image_folder", "path": path, "size": 8}
    goal, method = {"margin_fraction": 0.9}, {"name": "dm", "batch_real": 4}
    file.write_text(yaml.safe_dump({**yaml.safe_load(SPACE), "goal": goal, "dataset": dataset, "method": method, "ipc": 2}))
    return file


def path_of(file: Path, data_root: Path | None = None) -> Any:
    return load_space(file, [], data_root).shared["dataset"]["path"]


@pytest.mark.parametrize(
    ("path", "place"),
    [("pets", "spaces/pets"), ("./pets", "spaces/pets"), ("../pets", "pets"), ("../spaces/../pets", "pets"), (".", "spaces")],
)
def test_a_path_beside_the_file_is_taken_from_there(tmp_path: Path, path: str, place: str) -> None:
    folder = fill(tmp_path / place)
    file = write(tmp_path / "spaces", path)
    if path == ".":
        file = file.rename(tmp_path / "spaces/.x.yaml")
    assert path_of(file, tmp_path / "nowhere") == str(folder)


def test_what_is_not_beside_the_file_is_below_the_data_root(tmp_path: Path) -> None:
    fill(tmp_path / "data/pets")
    assert path_of(write(tmp_path / "spaces", "pets"), tmp_path / "data") == "pets"


def test_an_absolute_path_is_unchanged(tmp_path: Path) -> None:
    folder = fill(tmp_path / "pets")
    assert path_of(write(tmp_path / "spaces", str(folder))) == str(folder)


def test_both_places_that_were_tried_are_named(tmp_path: Path) -> None:
    file = write(tmp_path / "spaces", "pets")
    with pytest.raises(SpaceError) as raised:
        load_space(file, [], tmp_path / "data")
    said = str(raised.value)
    assert f"dataset.path: {tmp_path}/data/pets is not a folder or file; give dataset.path as an absolute path" in said
    assert f"; beside the YAML file, {tmp_path}/spaces/pets is not there either" in said


def test_a_way_up_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"dataset.path: given '../pets'; .*: write it without '..'"):
        load_space(write(tmp_path / "spaces", "../pets"), [], None)


def test_a_cluster_gets_the_path_as_it_is_written(tmp_path: Path) -> None:
    """Only the file is uploaded, not what lies beside it."""
    fill(tmp_path / "spaces/pets")
    file = write(tmp_path / "spaces", "pets")
    assert plan_submission(str(file), store="/shared/studies").space.shared["dataset"]["path"] == "pets"
