"""What is said about a person's images before anything is trained: everything at once, with the lines that decide."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from own_images import fill, leak, pictures
from PIL import Image

import raydistill
from raydistill.data.own.report import DataReport
from raydistill.data.own.words import report_lines, short_lines, twins_in_words
from raydistill.errors import DataError, InputError, SpaceError


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return fill(tmp_path / "pets", {"cat": 40, "dog": 20})


def check(path: Path, *settings: str) -> DataReport:
    return raydistill.check_data(path, settings=settings)


def kinds(report: DataReport) -> dict[str, int]:
    return {group.kind: group.count for group in report.problems}


def grey(path: Path, count: int) -> None:
    for number, image in enumerate(pictures(count, seed=7)):
        image.convert("L").save(path / f"grey{number}.png")


def transparent(path: Path) -> None:
    image = pictures(1, seed=8)[0].convert("RGBA")
    image.putalpha(128)
    image.save(path / "transparent.png")


def floats(path: Path) -> None:
    for number in range(5):
        levels = np.asarray(pictures(1, seed=9 + number)[0].convert("L"), dtype=np.float32)
        Image.fromarray(levels).save(path / f"float{number}.tiff")


def small(path: Path) -> None:
    pictures(1, size=12, seed=8)[0].save(path / "small.png")


def damaged(path: Path) -> None:
    (path / "damaged.jpg").write_bytes(b"no image")


def test_what_is_there_is_counted_by_part_and_class(pets: Path) -> None:
    report = check(pets, "size=16")
    assert report.is_fine
    assert report.images == {"undivided": {"cat": 40, "dog": 20}}
    assert report.parts == {"train": 36, "select": 6, "confirm": 6, "test": 12}
    assert (report.classes, report.count, report.channels, report.imbalance) == (("cat", "dog"), 60, 3, 2.0)
    assert (report.modes, report.smallest, report.largest) == ({"RGB": 60}, (24, 24), (24, 24))
    assert report.conversions == {"scaled_down": 60}


def test_mean_and_deviation_leave_out_the_test_images(tmp_path: Path) -> None:
    """Half black and half white: mean a half, deviation a half; the test images are grey."""
    for part, levels in (("train", [0, 255] * 10), ("test", [60] * 4)):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            for number, level in enumerate(levels):
                Image.new("L", (8, 8), level).save(tmp_path / part / name / f"{number}.png")
    report = check(tmp_path)
    assert (report.mean, report.deviation) == ((0.5,), (0.5,))


def test_a_size_is_proposed_where_none_is_given(pets: Path) -> None:
    """24 is the largest usual size that the images have; one smaller image in a hundred does not count."""
    assert (check(pets).size, check(pets).is_size_proposed) == (24, True)
    assert (check(pets, "size=8").size, check(pets, "size=8").is_size_proposed) == (8, False)
    fill(pets, {"cat": 90, "dog": 60})
    small(pets / "cat")
    assert check(pets).size == 24
    assert kinds(check(pets)) == {"small": 1}


def test_large_images_are_proposed_at_32(tmp_path: Path) -> None:
    assert check(fill(tmp_path, {"a": 12, "b": 12}, size=200)).size == 32


def test_images_smaller_than_any_usual_size_keep_theirs(tmp_path: Path) -> None:
    assert check(fill(tmp_path, {"a": 12, "b": 12}, size=5)).size == 5


def test_all_problems_come_at_once_with_counts_and_three_examples(pets: Path) -> None:
    for number in range(5):
        (pets / "cat" / f"broken{number}.jpg").write_bytes(b"no image")
    transparent(pets / "dog")
    grey(pets / "dog", 2)
    (pets / "bird").mkdir()
    report = check(pets, "size=16")
    assert not report.is_fine
    assert kinds(report) == {"empty_class": 1, "unreadable": 5, "transparency": 1, "mixed_channels": 2}
    (broken,) = [group for group in report.problems if group.kind == "unreadable"]
    assert [example.split()[0] for example in broken.examples] == [f"cat/broken{n}.jpg" for n in range(3)]
    assert "       and 2 more" in report_lines(report).splitlines()


def test_a_search_refuses_with_the_same_list(pets: Path) -> None:
    damaged(pets / "cat")
    transparent(pets / "dog")
    overrides = [f"dataset.path={pets}", "dataset.size=16"]
    with pytest.raises(
        SpaceError, match=r"2 problems of 2 kinds\n(.|\n)*cat/damaged.jpg cannot be(.|\n)*dog/transparent.png has"
    ):
        raydistill.search("image_folder_datadam", overrides=overrides, store=pets.parent / "studies", local=True)


@pytest.mark.parametrize(
    ("spoil", "kind", "answers"),
    [
        (transparent, "transparency", 2),
        (lambda path: grey(path, 3), "mixed_channels", 2),
        (damaged, "unreadable", 1),
        (small, "small", 2),
    ],
)
def test_every_answer_that_is_offered_solves_the_problem(
    pets: Path, spoil: Callable[[Path], None], kind: str, answers: int
) -> None:
    spoil(pets / "cat")
    report = check(pets, "size=16")
    (decision,) = report.decisions
    assert list(kinds(report)) == [kind]
    assert len(decision.lines) == answers
    for line in decision.lines:
        answer = line.partition("  #")[0].replace(": ", "=", 1)
        assert check(pets, "size=16", answer).is_fine


def test_of_images_that_are_too_small_the_smallest_says_which_size_all_allow(pets: Path) -> None:
    for side in (13, 12, 14):
        pictures(1, size=side, seed=side)[0].save(pets / "cat" / f"small{side}.png")
    report = check(pets, "size=16")
    assert report.decisions[0].lines[0] == "size: 12  # as the smallest"
    assert "write size: 12 or smaller" in report.problems[0].remedy


def test_the_owner_says_which_values_are_black_and_white(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(12):
            levels = np.asarray(pictures(1, seed=number)[0].convert("L"), dtype=np.float32)
            Image.fromarray(levels).save(tmp_path / name / f"{number}.tiff")
    report = check(tmp_path, "size=16")
    assert kinds(report) == {"value_range": 24}
    assert report.decisions[0].lines[0].startswith("value_range: [0, 255]")
    answered = check(tmp_path, "size=16", "value_range=[0, 255]")
    assert answered.is_fine
    assert answered.conversions["scaled_from_value_range"] == 24


def test_skipping_leaves_out_what_is_damaged_and_decides_nothing_else(pets: Path) -> None:
    damaged(pets / "cat")
    transparent(pets / "dog")
    report = check(pets, "size=16", "on_bad=skip")
    assert kinds(report) == {"transparency": 1}
    decided = check(pets, "size=16", "on_bad=skip", "background=[0, 0, 0]")
    assert (decided.is_fine, decided.left_out) == (True, ("cat/damaged.jpg",))
    assert decided.images == {"undivided": {"cat": 40, "dog": 21}}
    assert any(warning.endswith("left out (on_bad: skip): 1, such as cat/damaged.jpg") for warning in decided.warnings)


def test_images_that_cannot_be_divided_are_a_problem_too(tmp_path: Path) -> None:
    """All of the train images lie in the test part as well, and are to be dropped."""
    fill(tmp_path / "train", {"a": 30, "b": 30})
    fill(tmp_path / "test", {"a": 30, "b": 30}, seed=1)
    leak(tmp_path, 1.0)
    report = check(tmp_path, "size=16", "duplicates=drop")
    assert kinds(report) == {"parts": 1}
    assert "the train split has no image of class a" in report.problems[0].examples[0]


@pytest.mark.parametrize(
    ("names", "is_warned"), [(("0", "1", "10", "2"), True), (("00", "01", "10"), False), (("a", "1"), False)]
)
def test_classes_named_by_numbers_of_different_widths_are_warned_of(
    tmp_path: Path, names: tuple[str, ...], is_warned: bool
) -> None:
    fill(tmp_path, dict.fromkeys(names, 12))
    warnings = [warning for warning in check(tmp_path).warnings if "numbers of different widths" in warning]
    assert bool(warnings) == is_warned
    if is_warned:
        assert "their order is 0, 1, 10, 2" in warnings[0]
        assert "write classes: ['0', '1', '2', '10']" in warnings[0]
        assert not check(tmp_path, "classes=['0', '1', '2', '10']").warnings


def test_classes_of_different_size_are_warned_of(pets: Path) -> None:
    assert any("cat has 40 images, dog has 20" in warning for warning in check(pets).warnings)


def test_sixteen_bits_of_which_few_are_used_are_warned_of(tmp_path: Path) -> None:
    """12 bits in a file of 16 bits, as many cameras and scanners write."""
    for tint, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        for number in range(12):
            levels = np.asarray(pictures(1, seed=number, tint=tint)[0].convert("L")).astype(np.uint16) * 16
            levels[0, 0] = 4095
            Image.fromarray(levels).save(tmp_path / name / f"{number}.png")
    (warning,) = check(tmp_path, "size=16").warnings
    assert "to 4095, and are scaled from 0 to 65535, which makes them dark" in warning
    assert not check(tmp_path, "size=16", "value_range=[0, 4095]").warnings


def test_a_value_range_that_changes_nothing_is_said(pets: Path) -> None:
    assert any("value_range is given, but no image has more" in said for said in check(pets, "value_range=[0, 1]").warnings)


def test_files_of_several_frames_are_said(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 12, "b": 12})
    first, second = pictures(2, seed=3)
    first.save(tmp_path / "a" / "film.tiff", save_all=True, append_images=[second])
    report = check(tmp_path)
    assert report.conversions["first_frame_of_several"] == 1
    assert any("Files with several frames or pages: 1." in warning for warning in report.warnings)


def test_leaked_test_images_are_counted_and_said(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"a": 60, "b": 60})
    fill(tmp_path / "test", {"a": 20, "b": 20}, seed=1)
    assert leak(tmp_path, 0.2) == 8
    report = check(tmp_path, "size=16")
    assert report.twins is not None
    assert sum(report.twins.of_test.values()) == 8
    assert any("write duplicates: drop" in warning for warning in report.warnings)
    assert f"{report.twins.of_test['train']} of 40 test images have one in train" in twins_in_words(report.twins)
    dropped = check(tmp_path, "size=16", "duplicates=drop")
    assert dropped.twins is not None
    assert "train images with a twin in another part were dropped" in twins_in_words(dropped.twins)
    assert not any("Write duplicates" in warning or "write duplicates" in warning for warning in dropped.warnings)


def test_twins_within_a_part_are_said_without_alarm(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"a": 60, "b": 60})
    fill(tmp_path / "test", {"a": 20, "b": 20}, seed=1)
    shutil.copy(tmp_path / "test" / "a" / "0000.png", tmp_path / "test" / "a" / "0001.png")
    (warning,) = check(tmp_path, "size=16").warnings
    assert warning == "Images with a twin: 2, none of them in the train part with the twin in another part"


def test_system_files_are_counted(pets: Path) -> None:
    (pets / "Thumbs.db").write_bytes(b"")
    assert check(pets).litter == {"Thumbs.db": 1}


def test_the_long_form_has_the_facts_the_conversions_and_the_section(pets: Path) -> None:
    said = report_lines(check(pets))
    for line in (
        "In undivided",
        "60 images: cat 40, dog 20",
        "24 x 24 pixels (proposed; none was given)",
        "the largest class has 2.0 times the images of the smallest",
        "Divided",
        "train 36, select 6, confirm 6, test 12",
        f"dataset: {{name: image_folder, path: {pets}, size: 24}}",
    ):
        assert line in said
    assert "What is done to the images" not in said
    assert "     60  scaled_down: scaled down" in report_lines(check(pets, "size=16"))


def test_many_classes_are_counted_and_not_listed(tmp_path: Path) -> None:
    said = report_lines(check(fill(tmp_path, {f"class{n:02d}": 10 + n for n in range(20)})))
    assert "20, in this order: class00" in said
    assert "and 8 more" in said
    assert "10 to 29 of a class" in said


def test_the_short_form_is_three_lines(pets: Path) -> None:
    lines = short_lines(check(pets, "size=16"))
    assert lines[0] == "Images: train 36, select 6, confirm 6, test 12; 2 classes; 24 x 24 pixels"
    assert lines[1] == "Conversions: scaled_down 60"
    assert lines[2].startswith("Note: The classes differ in size")


def test_the_report_survives_its_file(pets: Path) -> None:
    report = check(pets)
    assert DataReport.model_validate_json(report.model_dump_json()) == report


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    fill(tmp_path, {"a": 260, "b": 260}, size=8)
    raydistill.check_data(tmp_path, tell=lambda done, total: told.append((done, total)))
    assert told == [(500, 520)]


def test_the_section_of_a_search_space_is_checked(pets: Path) -> None:
    space = pets.parent / "space.yaml"
    space.write_text(f"study: x\ndataset: {{name: image_folder, path: {pets}, size: 16, fit: pad}}\n")
    report = check(space)
    assert (report.size, report.dataset["fit"], report.path) == (16, "pad", str(pets))


def test_a_search_space_of_other_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("study: x\ndataset: {name: digits}\n")
    with pytest.raises(InputError, match=r"space.yaml has no data set of your own images .*; give such a search space, or the"):
        check(tmp_path / "space.yaml")


def test_a_search_space_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("study: [x\n")
    with pytest.raises(SpaceError, match=r"space\.yaml has 1 mistake"):
        check(tmp_path / "space.yaml")


def test_mistaken_settings_are_named(pets: Path) -> None:
    with pytest.raises(SpaceError, match=r"dataset.sise: unknown key 'sise'; did you mean 'size'\?"):
        check(pets, "sise=3")
    with pytest.raises(SpaceError, match="given 'size'; expected field=value, such as size=32"):
        check(pets, "size")


def test_a_path_where_nothing_lies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere is not a folder or file"):
        check(tmp_path / "nowhere")
