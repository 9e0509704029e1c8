"""Ended trials as the law of the gap uses them: one (`Seen`), and all of an arm as arrays (`Columns`). Pure numpy.

A large search asks thousands of times for its next trial, which depends on thousands of ended ones: as arrays they need no loop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One ended trial, as the model uses it."""

    number: int
    """Number of the trial, counted from 0 in the order in which trials are proposed."""
    place: tuple[float, ...]
    """Hyper-parameters, each scaled to 0 to 1 (a choice: one 0 or 1 per option)."""
    ipc: int
    gap: float | None
    """Gap of the last reading; None if there is none."""
    is_finished: bool
    """Whether the gap is that of the finished set."""
    is_out_of_memory: bool = False


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Columns:
    """N ended trials; the fields are those of `Seen`."""

    number: NDArray[np.int64]
    place: Array
    """(N, D); D is the number of coordinates of a place."""
    ipc: NDArray[np.int64]
    gap: Array
    """NaN if there is no reading."""
    is_finished: NDArray[np.bool_]
    is_out_of_memory: NDArray[np.bool_]

    @classmethod
    def of(cls, seen: Sequence[Seen]) -> Columns:
        """Trials of one arm, in the order given."""
        return cls(
            number=np.array([s.number for s in seen], dtype=np.int64),
            place=np.array([s.place for s in seen], dtype=float).reshape(len(seen), len(seen[0].place) if seen else 0),
            ipc=np.array([s.ipc for s in seen], dtype=np.int64),
            gap=np.array([math.nan if s.gap is None else s.gap for s in seen], dtype=float),
            is_finished=np.array([s.is_finished for s in seen], dtype=bool),
            is_out_of_memory=np.array([s.is_out_of_memory for s in seen], dtype=bool),
        )

    def __len__(self) -> int:
        """N."""
        return len(self.number)

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Columns:
        """Some of the trials, by a mask or by their indices."""
        return Columns(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})

    @property
    def in_order(self) -> Columns:
        """The trials in the order of their numbers."""
        return self[np.argsort(self.number, kind="stable")]

    @property
    def read(self) -> Columns:
        """The trials that have a gap."""
        return self[~np.isnan(self.gap)]

    @property
    def without_places(self) -> Columns:
        """The trials without their hyper-parameters, to be joined to those of another arm."""
        return replace(self, place=np.empty((len(self), 0)))


def joined(parts: Sequence[Columns]) -> Columns:
    """All trials, one part after the other; their places have one length."""
    full = [part for part in parts if len(part)]
    if not full:
        return Columns.of([])
    return Columns(**{column.name: np.concatenate([getattr(part, column.name) for part in full]) for column in fields(Columns)})
