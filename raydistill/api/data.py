"""The function that looks at a person's own images before anything is trained: check_data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raydistill.errors import InputError, Mistake, SpaceError
from raydistill.storage.data_root import as_data_root

if TYPE_CHECKING:
    from raydistill.data.own.report import DataReport
    from raydistill.spaces.sections import ImageFolderConfig

FILES_OF_SPACES = (".yaml", ".yml")


def _nobody(done: int, total: int) -> None:
    """Ignore the progress."""


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
        SpaceError: the settings have mistakes; all are named.
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


def _section(path: Path, settings: Sequence[str]) -> dict[str, Any]:
    """The data set's section: that of a search space, or one for a path of images, with the settings."""
    from raydistill.spaces.document import apply, load

    path = path.expanduser()
    document: dict[str, Any] = {"dataset": {"name": "image_folder", "path": str(path.absolute())}}
    lines: dict[str, int] = {}
    if path.suffix in FILES_OF_SPACES and path.is_file():
        read, lines, mistakes = load(path.read_text(encoding="utf-8"))
        if mistakes:
            raise SpaceError(str(path), mistakes, lines)
        section = (read or {}).get("dataset")
        if not isinstance(section, dict) or section.get("name") != "image_folder":
            raise InputError(
                f"{path} has no data set of your own images (dataset: {{name: image_folder, ..}}); give such a search space, or "
                "the folder or file of the images"
            )
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
