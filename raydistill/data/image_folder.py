"""The user's own images as a data set: what the listing of a path names, read, with its parts and groups.

`path` is a folder of class folders, a table, an npz file, a Hugging Face folder or tars (`own.listing` tells which). Classes may
differ in size: the split keeps their proportions, and the smallest class limits the IPC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raydistill.data.own.decode import rules_of
from raydistill.data.own.items import Item
from raydistill.data.own.listing import drawn_fractions, listing
from raydistill.data.own.pixels import Like, all_left_out, read_pixels
from raydistill.data.own.refusal import refuse
from raydistill.data.published import root_folder
from raydistill.data.raw import RawDataset, RawPart
from raydistill.errors import NoDataError
from raydistill.spaces.paths import given_path
from raydistill.spaces.sections import ImageFolderConfig


def place_of(config: ImageFolderConfig, data_root: Path | None) -> Path:
    """The folder or file of the images.

    Args:
        config: its path.
        data_root: folder to which a relative path refers; None means `~/.cache/raydistill`.

    Raises:
        NoDataError: nothing lies there.
        InputError: it cannot be a path.
    """
    place = given_path(root_folder(data_root) / given_path(config.path))
    if not place.exists():
        raise NoDataError(
            f"{place} is not a folder or file; give dataset.path as an absolute path, or relative to the YAML file or to "
            "--data-root (for `data check` and `init`: the path of your images)"
        )
    return place


def load_image_folder(config: ImageFolderConfig, data_root: Path | None) -> RawDataset:
    """The images of a folder or file, scaled to the size in the config.

    By default a tenth of the images is select and a tenth is confirm. With a few thousand images the confirm split can decide
    margins of 2 points; a search space with a margin that it cannot decide is refused before anything is trained. Images that the
    data itself puts into a part are used there.

    Args:
        config: path, size, and the fractions of the splits.
        data_root: folder to which a relative path refers; None means `~/.cache/raydistill`.

    Raises:
        DataError: the path cannot be used; the message has every problem with it.
    """
    place = place_of(config, data_root)
    found = listing(config, place)
    refuse(found.problems, place)
    test = [item for item in found.items if item.part == "test"]
    class_names = found.class_names
    search, used = _read([item for item in found.items if item.part != "test"], class_names, config, place)
    like = Like(name=used[0].name, shape=search.images.shape[1:])
    fractions = drawn_fractions(used, config, test_is_given=bool(test))
    total = sum(item.part in (None, "train") for item in used)
    return RawDataset(
        search=search,
        load_test=None if not test else lambda: _read(test, class_names, config, place, like)[0],
        sizes={name: round(fraction * total) for name, fraction in fractions.items()},
        white=255,
        class_names=class_names,
        mirror_keeps_class=config.mirror_keeps_class,
        given=_given(used, fractions),
        groups=_groups(used),
    )


def _read(
    items: Sequence[Item], class_names: tuple[str, ...], config: ImageFolderConfig, place: Path, like: Like | None = None
) -> tuple[RawPart, list[Item]]:
    """Images with their classes, and the items that could be used."""
    images, places = read_pixels(items, rules_of(config), place, like=like, skip=config.on_bad == "skip")
    used = [items[number] for number in places]
    refuse(all_left_out(items, used), place)
    numbers = {name: number for number, name in enumerate(class_names)}
    labels = np.array([numbers[item.class_name] for item in used], dtype=np.int64)
    return RawPart(images=images, labels=labels), used


def _given(items: Sequence[Item], drawn: Mapping[str, float]) -> dict[str, NDArray[np.int64]]:
    parts = np.array([item.part or "train" for item in items])
    return {part: np.flatnonzero(parts == part) for part in ("select", "confirm") if part not in drawn}


def _groups(items: Sequence[Item]) -> NDArray[np.int64] | None:
    """A number for the group of each image, in the order of the groups' names; None without groups."""
    if items[0].group is None:
        return None
    names = [str(item.group) for item in items]
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    return np.array([numbers[name] for name in names], dtype=np.int64)
