"""The functions around a person's own images before anything is trained: check_data, write_space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raydistill.api.common import sees_changed_images
from raydistill.errors import InputError, Mistake, SpaceError
from raydistill.spaces.paths import given_path
from raydistill.storage.data_root import as_data_root

if TYPE_CHECKING:
    from raydistill.data.own.report import DataReport
    from raydistill.search.first_space import Start
    from raydistill.spaces.sections import ImageFolderConfig

FILES_OF_SPACES = (".yaml", ".yml")


def _nobody(done: int, total: int) -> None:
    """Ignore the progress."""


def _no_note(text: str) -> None:
    """Ignore what is done."""


@sees_changed_images
def check_data(
    path: str | Path,
    *,
    settings: Sequence[str] = (),
    data_root: str | Path | None = None,
    tell: Callable[[int, int], object] = _nobody,
) -> DataReport:
    """Look at every image of a path, and say what is there, what will be done to it and what stands in the way.

    Args:
        path: a folder or file of images, or a search space (.yaml) whose data set they are.
        settings: `field=value` of the `dataset` section, such as `size=32` or `channels=3`. Without a size one is proposed.
        data_root: folder or URI for a relative path in a search space.
        tell: is told now and then how many images of how many have been looked at.

    Raises:
        InputError: the search space is not about images of your own.
        SpaceError: the search space cannot be read, or it or the settings have mistakes; all are named.
        DataError: nothing lies at the path, or it is of no known layout.
    """
    from raydistill.data.inspect import inspect_images, size_for

    root = as_data_root(data_root)
    section = _section(Path(path), settings)
    is_proposed = "size" not in section
    config = _config({"size": 1, **section}, str(path))
    if is_proposed:
        config = _config({**section, "size": size_for(config, root)}, str(path))
    return inspect_images(config, root, is_size_proposed=is_proposed, tell=tell)


@sees_changed_images
def write_space(
    path: str | Path,
    *,
    out: str | Path | None = None,
    methods: Sequence[str] = (),
    settings: Sequence[str] = (),
    note: Callable[[str], object] = _no_note,
) -> Path:
    """Write a first search space for images of your own, with a comment on every choice; it can be searched as it stands.

    Args:
        path: a folder or file of images.
        out: the file to write, which must not exist; None takes `<name of the path>.yaml` in the working directory.
        methods: that race; by default DataDAM and DM. Methods with soft labels (DATM, PAD) race among themselves.
        settings: `field=value` of the `dataset` section, such as `size=32`.
        note: is told what is done, a line at a time.

    Returns:
        The file.

    Raises:
        InputError: the file exists, the methods do not fit each other, or the images are too few to decide anything.
        SpaceError: the settings have mistakes; all are named.
        DataError: the images cannot be used; the message has all problems and the settings that decide them.
    """
    from raydistill.search.first_space import USUAL_METHODS, study_name

    images = given_path(path).absolute()
    file = given_path(out if out is not None else f"{study_name(images)}.yaml").absolute()
    if file.exists():
        raise InputError(f"{file} exists; give another file with --out, or remove it")
    start = _start(images, tuple(methods) or USUAL_METHODS, settings, note)
    return _written(start, images, file, note)


def _start(images: Path, methods: tuple[str, ...], settings: Sequence[str], note: Callable[[str], object]) -> Start:
    from raydistill.data.inspect import inspect_images, refused, size_for
    from raydistill.data.own.words import short_lines
    from raydistill.data.splits import load_splits
    from raydistill.search.first_space import Start, this_machine, with_defaults

    section = _section(images, settings)
    config = _config({"size": 1, **section}, str(images))
    if "size" not in section:
        config = _config({**section, "size": size_for(config)}, str(images))
    note(f"Looking at the images of {images}")
    report = inspect_images(config, is_size_proposed="size" not in section)
    if not report.is_fine:
        raise refused(report, settings)
    chosen = with_defaults(config, report, frozenset(section))
    if chosen != config:
        config, report = chosen, inspect_images(chosen)
        if not report.is_fine:
            raise refused(report, settings)
    for line in short_lines(report):
        note(line)
    smallest = load_splits(config).smallest_class
    return Start(config=config, report=report, smallest_class=smallest, machine=this_machine(), methods=methods)


def _written(start: Start, images: Path, file: Path, note: Callable[[str], object]) -> Path:
    import yaml

    from raydistill.catalogue import load_space
    from raydistill.search.first_space import write_text
    from raydistill.search.plan import plan_search
    from raydistill.spaces.units import rough

    space = load_space(yaml.safe_load(write_text(start, str(images))), (), None)
    forecast = plan_search(space, None, None, note, looks=False)
    near = str(images.relative_to(file.parent)) if images.is_relative_to(file.parent) else str(images)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(write_text(start, near, f"about {rough(3600 * forecast.hours)}"), encoding="utf-8")
    return file


def _section(path: Path, settings: Sequence[str]) -> dict[str, Any]:
    """The data set's section: that of a search space, or one for a path of images, with the settings."""
    from raydistill.spaces.document import apply, load
    from raydistill.spaces.parse import text_of_space

    path = given_path(path)
    document: dict[str, Any] = {"dataset": {"name": "image_folder", "path": str(path.absolute())}}
    lines: dict[str, int] = {}
    if path.suffix in FILES_OF_SPACES and path.is_file():
        read, lines, mistakes = load(text_of_space(path))
        if mistakes:
            raise SpaceError(str(path), mistakes, lines)
        section = (read or {}).get("dataset")
        if not isinstance(section, dict) or section.get("name") != "image_folder":
            raise InputError(
                f"{path} has no data set of your own images (dataset: {{name: image_folder, ..}}); give such a search space, or "
                "the folder or file of the images"
            )
        place = section.get("path")
        if isinstance(place, str) and (path.parent / place).exists():
            section = {**section, "path": str((path.parent / place).absolute())}  # as a search of the file finds it
        document = {"dataset": section}
    mistakes = [
        Mistake(key="--set", message=f"given {setting!r}; expected field=value, such as size=32")
        for setting in settings
        if "=" not in setting
    ] or apply([f"dataset.{setting}" for setting in settings], document, lines)
    if mistakes:
        raise SpaceError(str(path), mistakes, lines)
    found: dict[str, Any] = document["dataset"]
    return found


def _config(section: dict[str, Any], source: str) -> ImageFolderConfig:
    from pydantic import ValidationError

    from raydistill.spaces.messages import explain
    from raydistill.spaces.sections import ImageFolderConfig

    try:
        return ImageFolderConfig.model_validate(section)
    except ValidationError as error:
        mistakes = [
            Mistake(
                key=".".join(["dataset", *map(str, row["loc"])]),
                message=explain(dict(row), ImageFolderConfig, [str(part) for part in row["loc"]]),
            )
            for row in error.errors()
        ]
        raise SpaceError(source, mistakes, {}) from error
