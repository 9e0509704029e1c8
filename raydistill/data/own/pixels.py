"""The pixels of listed images; every image that cannot be used is told, not the first only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raydistill.data.own import cache
from raydistill.data.own.decode import MAY_BE_SKIPPED, Rules, read
from raydistill.data.own.items import Item, Problem
from raydistill.data.own.refusal import refuse
from raydistill.errors import Unusable

Pixels = NDArray[np.uint8]
DECODER_VERSION = 1
"""Raised whenever other pixels come of the same file: cached pixels of another version are not used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Like:
    """The image whose channels and size all images must have."""

    name: str
    shape: tuple[int, ...]
    """(C, H, W)."""


def read_pixels(
    items: Sequence[Item], rules: Rules, place: Path, *, like: Like | None = None, skip: bool = False
) -> tuple[Pixels, NDArray[np.int64]]:
    """(N, C, H, W) bytes of images, and the places in `items` of those that could be used; C is 1 for grey and 3 for colour.

    Args:
        items: at least one.
        rules: how an image becomes pixels.
        place: the path of the listing, for messages.
        like: what all images must be like; None means the first that can be used.
        skip: leave images out that cannot be used; images of other channels or size are refused all the same.

    Raises:
        DataError: images cannot be used, or differ in channels or size; the message has all of them, by kind.
        StoreError: the cache cannot be written.
    """
    reading = _Reading(items=items, rules=rules, place=place, like=like, skip=skip)
    key = cache.key_of(items, {"decoder": DECODER_VERSION, "rules": repr(rules), "skip": skip})
    images, used = cache.kept(key, len(items), reading)
    if like is not None and images.shape[1:] != like.shape:
        # Cached pixels come without their images being looked at.
        refuse([_other(items[int(used[0])].name, images.shape[1:], like)], place)
    return images, used


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reading:
    """Yields the pixels of one image after the other; iterating again reads them again."""

    items: Sequence[Item]
    rules: Rules
    place: Path
    like: Like | None
    skip: bool

    def __iter__(self) -> Iterator[tuple[int, Pixels]]:
        """The place of each image that can be used, and its pixels; raises at the end if there are others."""
        problems: list[Problem] = []
        like, has_one = self.like, False
        for number, item in enumerate(self.items):
            try:
                pixels = read(item.open, self.rules).pixels
            except Unusable as error:
                if not self.skip or error.kind not in MAY_BE_SKIPPED:
                    problems.append(Problem.of(item, error))
                continue
            like = like or Like(name=item.name, shape=pixels.shape)
            if pixels.shape != like.shape:
                problems.append(_other(item.name, pixels.shape, like))
            elif not problems:
                has_one = True
                yield number, pixels
        if not has_one and not problems:
            problems.append(
                Problem(kind="none_usable", item="", text="has no image that can be used", remedy="look at one of its images")
            )
        refuse(problems, self.place)


def all_left_out(items: Sequence[Item], used: Sequence[Item]) -> list[Problem]:
    """Each class of which a part has images, and none that can be used."""
    gone = dict.fromkeys((item.part, item.class_name) for item in items if item.part is not None)
    kept = {(item.part, item.class_name) for item in used}
    return [
        Problem(
            kind="class_left_out",
            item="",
            text=f"has images of class {name} in the {part} part, but none that can be used: all are left out (on_bad: skip)",
            remedy="put one of them right, or remove the class",
        )
        for part, name in gone
        if (part, name) not in kept
    ]


def _other(name: str, shape: tuple[int, ...], like: Like) -> Problem:
    remedy = "write channels: 3 for colour or channels: 1 for grey" if shape[0] != like.shape[0] else "write size"
    return Problem(
        kind="other_shape",
        item=name,
        text=f"has {_in_words(shape)}, but {like.name} has {_in_words(like.shape)}; all must have the same channels and size",
        remedy=f"{remedy}, or convert one of the two kinds",
    )


def _in_words(shape: tuple[int, ...]) -> str:
    channels, height, width = shape
    return f"{'1 channel (grey)' if channels == 1 else '3 channels (colour)'} of {width} x {height} pixels"
