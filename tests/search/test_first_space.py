"""A first search space for one's own images: what is chosen, from what, and that it is taken as it stands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from own_images import fill, leak

import raydistill
from raydistill.catalogue import load_space
from raydistill.data.inspect import inspect_images
from raydistill.errors import DataError, InputError, SpaceError
from raydistill.methods import METHODS
from raydistill.search.first_margin import Images, images_for, least_margin, margin_for
from raydistill.search.first_space import Machine, Start, study_name, with_defaults, write_text
from raydistill.spaces.sections import ImageFolderConfig

LAPTOP, SERVER = Machine(cores=2, has_gpu=False), Machine(cores=32, has_gpu=True)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return fill(tmp_path / "pets", {"cat": 120, "dog": 80}, size=8)


def config(path: Path, **fields: Any) -> ImageFolderConfig:
    return ImageFolderConfig(name="image_folder", path=str(path), **{"size": 8, **fields})


def start(path: Path, machine: Machine = LAPTOP, **fields: Any) -> Start:
    given = config(path, **fields)
    return Start(config=given, report=inspect_images(given), smallest_class=48, machine=machine)


def document(begun: Start) -> dict[str, Any]:
    found = yaml.safe_load(write_text(begun, begun.config.path))
    assert isinstance(found, dict)
    return found


def test_what_is_written_is_taken_as_it_stands(pets: Path) -> None:
    notes: list[str] = []
    file = raydistill.write_space(pets, out=pets.parent / "pets.yaml", note=notes.append)
    text = file.read_text()
    space = load_space(file, (), None)
    assert [arm.label for arm in space.methods] == ["datadam", "dm"]
    assert space.study == "pets"
    assert "It takes about" in text.splitlines()[1]
    assert "  path: pets " in text
    assert notes[1] == "Images: train 90, select 30, confirm 40, test 40; 2 classes; 8 x 8 pixels"


def test_a_file_beside_no_images_names_them_in_full(pets: Path, tmp_path: Path) -> None:
    file = raydistill.write_space(pets, out=tmp_path / "elsewhere" / "space.yaml", methods=["random"])
    assert yaml.safe_load(file.read_text())["dataset"]["path"] == str(pets)


def test_no_file_is_replaced(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("mine")
    with pytest.raises(InputError, match=r"mine\.yaml exists; give another file with --out, or remove it"):
        raydistill.write_space(pets, out=tmp_path / "mine.yaml")
    assert (tmp_path / "mine.yaml").read_text() == "mine"


def test_images_with_problems_are_refused_with_the_answers(pets: Path, tmp_path: Path) -> None:
    (pets / "cat" / "x.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"cat/x\.png cannot be read(.|\n)*on_bad: skip"):
        raydistill.write_space(pets, out=tmp_path / "pets.yaml")
    assert not (tmp_path / "pets.yaml").exists()
    file = raydistill.write_space(pets, out=tmp_path / "pets.yaml", settings=["on_bad=skip"], methods=["random"])
    assert yaml.safe_load(file.read_text())["dataset"]["on_bad"] == "skip"


def test_the_command_that_shows_more_problems_can_be_pasted(pets: Path, tmp_path: Path) -> None:
    with_space = pets.rename(tmp_path / "my pets")
    (with_space / "cat" / "x.png").write_bytes(b"no image")
    with pytest.raises(DataError) as caught:
        raydistill.write_space(with_space, out=tmp_path / "pets.yaml", settings=["size=8", "background=[0, 0, 0]"])
    command = f"raydistill data check '{with_space}' --set size=8 --set 'background=[0, 0, 0]'"
    assert str(caught.value).endswith(f"  `{command}` shows the same and more.")


def test_mistaken_settings_are_refused(pets: Path, tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="unknown key 'sise'"):
        raydistill.write_space(pets, out=tmp_path / "pets.yaml", settings=["sise=8"])


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("machine", [LAPTOP, SERVER])
def test_every_method_gets_fields_that_the_images_serve(pets: Path, name: str, machine: Machine) -> None:
    begun = replace(start(pets, machine), methods=(name,))
    space = load_space(document(begun), (), None)
    (arm,) = space.methods
    assert arm.label == name


def test_real_images_of_a_step_are_no_more_than_the_smallest_class(pets: Path) -> None:
    assert {method["batch_real"] for method in document(start(pets))["methods"]} == {48}
    assert {method["batch_real"] for method in document(start(pets, SERVER))["methods"]} == {48}


def test_a_class_too_small_for_pads_filter_turns_it_off(tmp_path: Path) -> None:
    begun = replace(start(fill(tmp_path, {"a": 100, "b": 100}, size=8)), smallest_class=1, methods=("pad",))
    assert document(begun)["methods"][0]["filter_data"] is False
    assert "filter_data" not in document(replace(begun, smallest_class=48))["methods"][0]


def test_the_largest_set_has_no_more_images_than_the_smallest_class(pets: Path) -> None:
    assert document(start(pets))["ipc"]["high"] == 48
    assert document(replace(start(pets), smallest_class=1))["ipc"] == 1


def test_a_gpu_gets_a_wider_network_and_all_controls(pets: Path) -> None:
    slow, fast = document(start(pets)), document(start(pets, SERVER))
    assert (slow["network"]["width"], fast["network"]["width"]) == (32, 128)
    assert slow["controls"] == ["random", "k_means", "k_means_medoids"]
    assert fast["controls"] == ["random", "k_center", "herding", "k_means", "k_means_medoids"]
    assert fast["resources"] == {"cpus_per_trial": 4, "gpus_per_trial": 1}


@pytest.mark.parametrize(("size", "depth"), [(8, 2), (11, 2), (16, 3), (32, 3)])
def test_the_network_is_as_deep_as_the_images_allow(tmp_path: Path, size: int, depth: int) -> None:
    begun = start(fill(tmp_path, {"a": 100, "b": 100}, size=size), size=size)
    assert document(begun)["network"]["depth"] == depth


def test_images_too_small_for_two_blocks_leave_datadam_out(tmp_path: Path) -> None:
    begun = start(fill(tmp_path, {"a": 100, "b": 100}, size=3), size=3)
    assert [method["name"] for method in document(begun)["methods"]] == ["dm"]
    with pytest.raises(InputError, match=r"datadam needs a deeper .* 3 x 3 pixels allow \(depth 1\): give --method dm or "):
        write_text(replace(begun, methods=("datadam",)), "x")


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        (("datamad",), r"unknown method 'datamad'; allowed: datadam, .*: name one of these with --method"),
        (("dm", "datm"), "datm make soft labels and the other methods hard ones, and the two share no ranking"),
        (("dm", "random"), "random is a control, and controls are in every race: leave it out, or give it alone"),
    ],
)
def test_methods_that_do_not_fit_each_other_are_refused(pets: Path, methods: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_text(replace(start(pets), methods=methods), "x")


def test_leaked_images_are_dropped_and_the_file_says_so(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"cat": 60, "dog": 60}, size=8)
    fill(tmp_path / "test", {"cat": 40, "dog": 40}, size=8, seed=1)
    leak(tmp_path, 0.2)
    given = config(tmp_path)
    report = inspect_images(given)
    assert with_defaults(given, report, frozenset()).duplicates == "drop"
    assert with_defaults(given, report, frozenset({"duplicates"})).duplicates == "keep"
    assert "duplicates: drop" in write_text(start(tmp_path, duplicates="drop"), "x")


@pytest.mark.parametrize(("classes", "mirror"), [(("0", "1"), False), (("a", "b"), False), (("cat", "dog"), True)])
def test_letters_and_digits_are_not_mirrored(tmp_path: Path, classes: tuple[str, ...], mirror: bool) -> None:
    given = config(fill(tmp_path, dict.fromkeys(classes, 100), size=8))
    chosen = with_defaults(given, inspect_images(given), frozenset())
    assert chosen.mirror_keeps_class == mirror
    assert ("which a mirror changes" in write_text(start(tmp_path, mirror_keeps_class=mirror), "x")) != mirror


def test_few_images_give_a_fifth_to_the_confirm_part(pets: Path) -> None:
    given = config(pets)
    report = inspect_images(given)
    assert with_defaults(given, report, frozenset()).confirm_fraction == 0.2
    assert with_defaults(given, report, frozenset({"confirm_fraction"})).confirm_fraction == 0.1
    many = report.model_copy(update={"images": {"undivided": {"cat": 2000, "dog": 1000}}})
    assert with_defaults(given, many, frozenset()).confirm_fraction == 0.1


def test_a_gpu_trains_longer(pets: Path) -> None:
    recipes = [document(start(pets, machine))["evaluation"]["recipe"] for machine in (LAPTOP, SERVER)]
    assert recipes == ["default", "long"]


def test_the_margin_is_half_as_much_again_as_the_smallest(pets: Path) -> None:
    """124 confirm images with 6 networks decide 0.0295 at best. 1,000 select images with 6: 4 x sqrt(0.1 / 6,000) = 0.0163."""
    images = Images(select=1000, confirm=124, test=124)
    least = least_margin(images, is_race=True)
    assert margin_for(images, is_race=True) == pytest.approx(0.045)
    assert 0.029 < least < 0.03
    enough = images_for(0.02, is_race=True)
    assert least_margin(enough, is_race=True) <= 0.02
    for part in ("select", "confirm", "test"):
        fewer = replace(enough, **{part: getattr(enough, part) - 1})
        assert least_margin(fewer, is_race=True) > 0.02


def test_few_select_images_ask_for_a_larger_margin() -> None:
    """4 x sqrt(0.1 / (93 x 6)) = 0.0535, half as much again 0.0803."""
    assert margin_for(Images(select=93, confirm=1000, test=1000), is_race=True) == pytest.approx(0.085)


def test_many_images_have_the_margin_of_two_points(pets: Path) -> None:
    begun = start(pets)
    many = begun.report.model_copy(update={"parts": {"train": 6000, "select": 2000, "confirm": 1000, "test": 2000}})
    text = write_text(replace(begun, report=many), "x")
    assert "goal: {margin_fraction: 0.02," in text
    assert "# 2,000 select, 1,000 confirm and 2,000 test images decide one down to 0.01" in text


def test_too_few_images_to_decide_anything_are_refused() -> None:
    with pytest.raises(InputError, match=r"9 select, 4 confirm and 4 test images decide no margin below \d\.\d\d, so nothing"):
        margin_for(Images(select=9, confirm=4, test=4), is_race=True)
    with pytest.raises(InputError, match=r"9 select, 40 confirm and 0 test images decide no margin below 1\.00"):
        margin_for(Images(select=9, confirm=40, test=0), is_race=False)


@pytest.mark.parametrize(
    ("path", "name"),
    [("My Pets (2024)", "my-pets-2024"), ("labels.csv", "labels"), ("___", "my-images"), ("compare", "compare-images")],
)
def test_a_study_is_named_after_the_images(path: str, name: str) -> None:
    assert study_name(Path(path)) == name
