"""The law of the gap: a Bayesian model of the gap as a function of IPC and hyper-parameters. Pure numpy, no Optuna.

The model: gap(k, h) = floor + b(h) / k^p, with k images per class and b quadratic in the hyper-parameters h. For a given p it is
linear in its coefficients, so the posterior is a normal distribution in closed form; p is one of a few values, weighted by how
well each explains the readings. All gaps are in units of the margin.

Prior means and deviations are wide guesses, in units of the margin and of the size of b that the readings suggest; they are not
tuned. The relative errors MISFIT_FINISHED and MISFIT_STOPPED are tuned; half or twice their values change little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from raydistill.search.seen import Array, Columns, joined

EXPONENTS = (0.35, 0.5, 0.7, 1.0)
EXPONENT_WEIGHTS = (0.2, 0.5, 0.2, 0.1)
"""Prior probabilities of the exponents; 1/sqrt(k) is expected from sampling noise and agrees with published tables."""
READING_DEVIATION = 0.002
"""Standard deviation of a reading, over networks and over sets of the same config, as a fraction of accuracy."""
MISFIT_FINISHED, MISFIT_STOPPED, MISFIT_ARMS = 0.15, 0.3, 0.6
"""Error of the law relative to the gap; larger for a stopped trial, which has only a half-way reading by one network, and for the
one law of several arms."""
FLOOR_MEAN, FLOOR_DEVIATION, FLOOR_BETWEEN = 0.3, 0.5, 0.2
"""Prior mean and deviation of the floor, and its deviation between the arms of a race."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Law:
    """The posterior for one exponent; C is the number of coefficients."""

    exponent: float
    log_evidence: float
    mean: Array
    """(C,) means of the coefficients: the floor, then those of b."""
    root: Array
    """(C, C) square root of the covariance, which is root @ root.T."""
    anchor: float
    """IPC at which k^-p is scaled to 1."""


class LawModel:
    """The posterior over all exponents, given the ended trials."""

    def __init__(
        self,
        seen: Columns,
        *,
        ordered: Sequence[bool],
        margin: float,
        anchor: float,
        others: Sequence[Columns] = (),
        misfit: float | None = None,
    ) -> None:
        """Fit the model.

        Args:
            seen: ended trials; those without a gap are ignored.
            ordered: per dimension of a place, whether it is a number (with a quadratic term) or one option of a choice.
            margin: in the unit of the gaps; above 0.
            anchor: an IPC near the middle of the range.
            others: ended trials of each other arm of a race. The law fitted to them, without their hyper-parameters, is where the
                prior of this one stands: its floor, and the size of b as if it were one trial of this arm. So an arm begins where
                the others suggest, and soon stands on its own.
            misfit: error of the law relative to the gap; None: as the constants say.
        """
        told = joined([arm.read.without_places for arm in others])
        self._pool = LawModel(told, ordered=(), margin=margin, anchor=anchor, misfit=MISFIT_ARMS) if len(told) else None
        self._ordered = np.array(ordered, dtype=bool)
        self._margin = margin
        read = seen.read
        design = self._design(read.place.reshape(len(read), len(ordered)))
        ipc, gaps = read.ipc.astype(float), read.gap / margin
        errors = misfit or np.where(read.is_finished, MISFIT_FINISHED, MISFIT_STOPPED)
        variance = (READING_DEVIATION / margin) ** 2 + (errors * np.maximum(gaps, 0.0)) ** 2
        self.laws = [self._fit(p, anchor, design, ipc, gaps, variance) for p in EXPONENTS]
        weights = np.log(EXPONENT_WEIGHTS) + np.array([law.log_evidence for law in self.laws])
        weights = np.exp(weights - weights.max())
        self.weights: Array = weights / weights.sum()

    @property
    def likeliest(self) -> Law:
        """The law whose exponent explains the readings best."""
        return self.laws[int(np.argmax(self.weights))]

    def draw(self, generator: np.random.Generator, heat: float) -> tuple[Law, Array]:
        """Sample one law from the posterior; returns it with sampled coefficients.

        Args:
            generator: random numbers.
            heat: scale of the deviation from the mean; 1 samples from the posterior, less stays nearer to the mean.
        """
        law = self.laws[int(generator.choice(len(self.laws), p=self.weights))]
        return law, law.mean + heat * law.root @ generator.normal(size=len(law.mean))

    def b(self, coefficients: Array, places: Array) -> Array:
        """(N,) b at (N, D) places."""
        return self._design(places) @ coefficients[1:]

    def floor(self) -> tuple[float, float]:
        """Mean and standard deviation of the floor, the gap that remains for a very large IPC; in the unit of the gaps."""
        means = np.array([law.mean[0] for law in self.laws])
        variances = np.array([float(law.root[0] @ law.root[0]) for law in self.laws])
        mean = float(self.weights @ means)
        variance = float(self.weights @ (variances + means**2)) - mean**2
        return mean * self._margin, math.sqrt(max(variance, 0.0)) * self._margin

    def _fit(self, exponent: float, anchor: float, design: Array, ipc: Array, gaps: Array, variance: Array) -> Law:
        scale = (anchor / ipc) ** exponent
        features = np.hstack([np.ones((len(ipc), 1)), scale[:, None] * design])
        floor, deviation_of_floor = self._prior_floor()
        size = self._size(exponent, (gaps - floor) / features[:, 1])
        mean, deviation = self._prior(size)
        mean[0], deviation[0] = floor, deviation_of_floor
        scaled = features * deviation / np.sqrt(variance)[:, None]
        residual = (gaps - features @ mean) / np.sqrt(variance)
        precision = np.eye(len(mean)) + scaled.T @ scaled
        lower = np.linalg.cholesky(precision)
        projected = np.linalg.solve(lower, scaled.T @ residual)
        root = deviation[:, None] * np.linalg.solve(lower, np.eye(len(mean))).T
        evidence = -np.log(np.diag(lower)).sum() - (residual @ residual - projected @ projected) / 2
        return Law(exponent=exponent, log_evidence=float(evidence), mean=mean + root @ projected, root=root, anchor=anchor)

    def _prior_floor(self) -> tuple[float, float]:
        """Prior mean and deviation of the floor, in margins."""
        if self._pool is None:
            return FLOOR_MEAN, FLOOR_DEVIATION
        mean, deviation = (value / self._margin for value in self._pool.floor())
        return mean, min(FLOOR_DEVIATION, math.hypot(deviation, FLOOR_BETWEEN))

    def _size(self, exponent: float, own: Array) -> float:
        """The size of b that the readings suggest, in margins at the anchor; `own` has the suggestion of each reading."""
        size = _clip(np.median(own)) if len(own) else 1.0
        if self._pool is None:
            return size
        first = _clip(next(law.mean[1] for law in self._pool.laws if law.exponent == exponent))
        return float(np.exp(np.mean(np.log(np.append(np.full(len(own), size), first)))))

    def _prior(self, size: float) -> tuple[Array, Array]:
        """Prior means and deviations of the coefficients for a `size` of b, with the floor of a single arm."""
        dimensions, squares = len(self._ordered), int(self._ordered.sum())
        products = squares * (squares - 1) // 2
        mean = np.concatenate([[FLOOR_MEAN, size], np.zeros(dimensions), np.full(squares, size / 2), np.zeros(products)])
        spread = [FLOOR_DEVIATION, size, *[0.7 * size] * dimensions, *[0.5 * size] * squares, *[0.4 * size] * products]
        return mean, np.array(spread)

    def _design(self, places: Array) -> Array:
        centred = np.where(self._ordered, 2 * places - 1, places)
        numbers = centred[:, self._ordered]
        rows, columns = np.triu_indices(numbers.shape[1], 1)
        return np.hstack([np.ones((len(places), 1)), centred, numbers**2, numbers[:, rows] * numbers[:, columns]])


def _clip(size: float | np.floating[Any]) -> float:
    return float(np.clip(size, 0.2, 50))
