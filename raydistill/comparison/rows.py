"""The content of a comparison: the outcome of each draw, and a row per method over all its draws.

A draw is one set of a method, from one seed. The control is random real images of the same draw, i.e. with the same seed, and
packed as the method packs its own: a set with f x f smaller images in each stored one starts from f x f times as many.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field

from raydistill.core.lossless import student_quantile
from raydistill.errors import CompareError
from raydistill.methods import METHODS
from raydistill.spaces.sections import Config
from raydistill.spaces.units import percent

REFERENCE: Final = "random"
"""The control of every method."""
SOFT_REFERENCE: Final = "random_soft"
"""The second control of methods with soft labels: the same random images, labelled by the same experts."""
BEFORE_FACTOR: Final = ", factor "
"""Between the name of one of these and a factor above 1, in the name of its row."""
CONFIDENCE = 0.95
"""Confidence of the two-sided intervals."""


class Outcome(Config):
    """The result of one draw of one method."""

    method: str
    """Name of its row; see `row_name`."""
    draw: int
    """Number of the draw, from 0."""
    factor: int = 1
    """f of the method: a stored image holds f x f smaller ones."""
    accuracy_fractions: tuple[float, ...] = Field(strict=False)
    """One per network; empty if the distillation or a network diverged."""
    distill_seconds: float
    error: str | None = None


class Row(Config):
    """One method over all its draws; accuracies are fractions."""

    method: str
    """Its name; with its factor for a control of methods that pack several images into each stored one."""
    draws: int
    """Number of draws that ended with a set."""
    diverged: int
    """Number of draws that diverged."""
    networks: int
    """Number of networks trained on each set."""
    accuracy_fraction: float
    """Mean over draws of the mean over networks."""
    draws_std: float
    """Standard deviation over draws."""
    networks_std: float | None
    """Standard deviation over networks within a draw, pooled; null with one network each."""
    above_random: float | None
    """Mean over draws of the accuracy minus that of the random images of the same draw and factor; null for random itself, and
    where fewer than two draws ended with both."""
    above_random_low: float | None
    above_random_high: float | None
    above_random_soft: float | None = None
    """The same for random images with labels by experts; null for methods with hard labels."""
    above_random_soft_low: float | None = None
    above_random_soft_high: float | None = None
    distill_seconds: float
    """Mean seconds of distillation per draw."""


class Comparison(Config):
    """A comparison, with everything that is needed to repeat it. Written to `comparison.json`."""

    record_version: Literal[1] = 1
    rows: tuple[Row, ...] = Field(strict=False)
    outcomes: tuple[str, ...] = Field(default=(), strict=False)
    """Files in the store from which the rows were computed, draw by draw; empty in comparisons of older versions."""
    settings: dict[str, Any]
    """Data set, network, IPC, recipe, split, seed, and the config of each method."""
    code_sha256: str
    commit: str | None = None
    """Git commit of the code that finished the comparison, as in a `TrialRecord`."""
    versions: dict[str, str]

    def __repr__(self) -> str:
        """The comparison in a line; `model_dump` has everything."""
        rows = ", ".join(f"{row.method} {percent(row.accuracy_fraction)}" for row in self.rows)
        return f"Comparison({rows}; {max((row.draws for row in self.rows), default=0)} draws)"

    __str__ = __repr__


def comparison_key(settings: Mapping[str, Any]) -> str:
    """Name of a comparison's folder in `compare/`: the hash of its settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def factor_of(method: Config) -> int:
    """The side f of a method's config: a stored image holds f x f smaller ones; 1 where it packs nothing."""
    return int(getattr(method, "factor", 1))


def reference_name(control: str, factor: int) -> str:
    """Name of the row of `random` or `random_soft` beside methods of a factor."""
    return control if factor == 1 else f"{control}{BEFORE_FACTOR}{factor}"


def row_name(method: Config) -> str:
    """Name of a method's row. A comparison has each method once, and these two controls once for every factor."""
    name: str = method.name  # type: ignore[attr-defined]
    return reference_name(name, factor_of(method)) if name in (REFERENCE, SOFT_REFERENCE) else name


def method_of(row: str) -> str:
    """The method that a row's name says, without a factor."""
    return row.partition(BEFORE_FACTOR)[0]


def rows_of(outcomes: Sequence[Outcome]) -> tuple[Row, ...]:
    """A row per method, in the order of the outcomes.

    Raises:
        CompareError: fewer than two draws of a method ended with a set.
    """
    return tuple(_row(name, outcomes) for name in dict.fromkeys(o.method for o in outcomes))


def _row(name: str, outcomes: Sequence[Outcome]) -> Row:
    own = [o for o in outcomes if o.method == name]
    ended = [o for o in own if o.accuracy_fractions]
    if len(ended) < 2:
        errors = "; ".join(o.error or "" for o in own if o.error)
        raise CompareError(
            f"method {name}: {len(ended)} of {len(own)} draws ended with a set ({errors}); at least 2 are needed: lower the "
            "learning rates in the space"
        )
    accuracies = np.array([o.accuracy_fractions for o in ended])
    means = accuracies.mean(axis=1)
    random, random_soft = (reference_name(control, ended[0].factor) for control in (REFERENCE, SOFT_REFERENCE))
    above = _above(random, ended, outcomes)
    above_soft = _above(random_soft, ended, outcomes) if METHODS[method_of(name)].label_kind == "soft" else _NOTHING
    networks = accuracies.shape[1]
    return Row(
        method=name,
        draws=len(ended),
        diverged=len(own) - len(ended),
        networks=networks,
        accuracy_fraction=float(means.mean()),
        draws_std=float(means.std(ddof=1)),
        networks_std=float(np.sqrt(accuracies.var(axis=1, ddof=1).mean())) if networks > 1 else None,
        above_random=above[0],
        above_random_low=above[1],
        above_random_high=above[2],
        above_random_soft=above_soft[0],
        above_random_soft_low=above_soft[1],
        above_random_soft_high=above_soft[2],
        distill_seconds=float(np.mean([o.distill_seconds for o in ended])),
    )


_NOTHING: tuple[None, None, None] = (None, None, None)


def _above(
    reference: str, ended: Sequence[Outcome], outcomes: Sequence[Outcome]
) -> tuple[float, float, float] | tuple[None, None, None]:
    """Mean difference between a method's and a reference's draws, with its interval, over the draws in which both ended.

    None for the reference itself, and for fewer than two such draws.
    """
    if ended[0].method == reference:
        return _NOTHING
    mean = {o.draw: np.mean(o.accuracy_fractions) for o in outcomes if o.method == reference and o.accuracy_fractions}
    differences = [np.mean(o.accuracy_fractions) - mean[o.draw] for o in ended if o.draw in mean]
    return paired_interval(np.array(differences)) if len(differences) > 1 else _NOTHING


def paired_interval(differences: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float, float]:
    """Mean difference over draws and its two-sided Student interval at `CONFIDENCE`."""
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    half = student_quantile((1 + CONFIDENCE) / 2, len(differences) - 1) * error
    return mean, mean - half, mean + half
