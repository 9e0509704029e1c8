"""Tar files as WebDataset has them: `KEY.jpg` with `KEY.cls` or `KEY.json`, in one file or in many shards.

Read with Python's own tarfile: its index gives the place of every member, so that images are read in any order. The webdataset
library reads shards from their beginning only, which would add a dependency and nothing that is needed here.
"""

from __future__ import annotations

import functools
import io
import re
import tarfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from raydistill.data.own.files import entries, files_below, is_litter, no_regular_file, stamp
from raydistill.data.own.items import PART_NAMES, Item, Listing, Part, Problem
from raydistill.data.own.layouts.labels import in_order, no_label, part_of, text_of
from raydistill.errors import DataError
from raydistill.spaces.bounded import read_json
from raydistill.spaces.sections import ImageFolderConfig

PICTURES = frozenset({"jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm"})
PART = re.compile(rf"({'|'.join(sorted(PART_NAMES, key=len, reverse=True))})(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shard:
    """One tar file."""

    path: Path
    name: str
    """Below the folder."""
    part: Part | None
    stamp: str

    def read(self, member: tarfile.TarInfo) -> bytes:
        """The bytes of a member."""
        with self.path.open("rb") as file:
            file.seek(member.offset_data)
            return file.read(member.size)

    def image(self, member: tarfile.TarInfo) -> Image.Image:
        """A member as an opened image."""
        return Image.open(io.BytesIO(self.read(member)))


def is_tars(folder: Path) -> bool:
    """Whether tar files lie in a folder, or in its folders of parts."""
    below = [entry for entry in entries(folder, Counter()) if entry.is_dir() and entry.name.lower() in PART_NAMES]
    folders = [folder, *(Path(entry.path) for entry in below)]
    return any(entry.name.endswith(".tar") for one in folders for entry in entries(one, Counter()))


def list_tars(path: Path, config: ImageFolderConfig) -> Listing:
    """The images of a tar file, or of all below a folder, in the order of the files' names and of the members.

    A part's name at the beginning of a shard's path, as in `train-000.tar` or `val/000.tar`, puts its images into the part.

    Args:
        path: a tar file, or a folder of them.
        config: the keys of label, part and group in the .json files.

    Raises:
        DataError: a file is no tar file.
    """
    litter: Counter[str] = Counter()
    problems: list[Problem] = []
    items: list[Item] = []
    for file in [path] if path.is_file() else [Path(entry.path) for entry in files_below(path, litter)]:
        name = file.name if path.is_file() else str(file.relative_to(path))
        if file.suffix != ".tar":
            problems.append(
                Problem(
                    kind="beside_tars",
                    item=name,
                    text="is beside tar files, but is none",
                    remedy="move it, or pack it into a tar",
                )
            )
            continue
        if not file.is_file():
            problems.append(no_regular_file(name))
            continue
        found = PART.match(name)
        part = PART_NAMES[found.group(1).lower()] if found else None
        shard = _Shard(path=file, name=name, part=part, stamp=stamp(file.stat()))
        items += _items(shard, config, litter, problems)
    classes = in_order(item.class_name for item in items)
    return Listing(
        items=tuple(items), class_names=classes, layout="WebDataset tars", litter=dict(litter), problems=tuple(problems)
    )


def _items(shard: _Shard, config: ImageFolderConfig, litter: Counter[str], problems: list[Problem]) -> list[Item]:
    samples: dict[str, dict[str, tarfile.TarInfo]] = {}
    size, end = shard.path.stat().st_size, 0
    try:
        with tarfile.open(shard.path, "r:") as archive:
            for member in archive:
                if member.size < 0 or member.offset < end:
                    raise tarfile.ReadError("its members do not follow each other")  # else tarfile goes round in a circle
                end = member.offset_data
                folder, _, base = member.name.rpartition("/")
                if not member.isreg() or is_litter(base):
                    litter["hidden files"] += member.isreg()
                    continue
                if member.issparse() or member.offset_data + member.size > size:
                    problems.append(_not_whole(f"{shard.name}/{member.name}"))
                    continue
                key, _, kind = base.partition(".")
                samples.setdefault(f"{folder}/{key}".removeprefix("/"), {})[kind.lower()] = member
    except (OSError, ValueError, OverflowError, tarfile.TarError) as error:
        raise DataError(f"{shard.path} cannot be read as a tar file ({error}); pack it again, without compression") from error
    return [item for key, members in samples.items() if (item := _item(shard, key, members, config, litter, problems))]


def _not_whole(name: str) -> Problem:
    """A member that says it is larger than what lies in the file: reading it would fill the memory."""
    return Problem(
        kind="not_whole",
        item=name,
        text="is not whole in its tar file: it is cut off, or sparse",
        remedy="pack it again as it is",
    )


def _item(
    shard: _Shard,
    key: str,
    members: Mapping[str, tarfile.TarInfo],
    config: ImageFolderConfig,
    litter: Counter[str],
    problems: list[Problem],
) -> Item | None:
    """The image of a sample; None if it cannot be used, which is a problem. Members of other kinds are counted as litter."""
    name = f"{shard.name}/{key}"
    pictures = [kind for kind in members if kind in PICTURES]
    for kind in members.keys() - PICTURES - {"cls", "json"}:
        litter[f"*.{kind} in tar files"] += 1
    if len(pictures) != 1:
        text = f"has {len(pictures)} images ({', '.join(members)}); expected one of {', '.join(sorted(PICTURES))}"
        problems.append(Problem(kind="not_one_image", item=name, text=text, remedy="keep one image for each key"))
        return None
    facts = _facts(shard, members, name, problems)
    label = (
        shard.read(members["cls"]).decode("utf-8", "replace").strip()
        if "cls" in members
        else text_of(facts.get(config.label_column))
    )
    if not label:
        problems.append(no_label(f"{name}.{pictures[0]}"))
        return None
    member = members[pictures[0]]
    word = text_of(facts.get(config.split_column))
    return Item(
        name=f"{name}.{pictures[0]}",
        class_name=label,
        part=shard.part if shard.part else part_of(word, name, problems),
        group=text_of(facts.get(config.group_column)) or None,
        stamp=f"{shard.stamp}-{member.offset_data}",
        open=functools.partial(shard.image, member),
    )


def _facts(shard: _Shard, members: Mapping[str, tarfile.TarInfo], name: str, problems: list[Problem]) -> Mapping[str, Any]:
    """What the .json file of a sample says; nothing without one."""
    if "json" not in members:
        return {}
    try:
        said = read_json(shard.read(members["json"]))
    except ValueError as error:
        problems.append(Problem(kind="bad_json", item=f"{name}.json", text=f"is not JSON ({error})", remedy="write it again"))
        return {}
    return said if isinstance(said, dict) else {}
