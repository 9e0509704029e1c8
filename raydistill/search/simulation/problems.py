"""Simulated problems: the gap is known everywhere, and simulated trials measure it with noise, as real trials do.

Gaps, standard deviations and margins are fractions of accuracy. A cost of 1 is that of a trial at the smallest IPC that can be
confirmed. Half of the problems resemble digits (a few hundred select images, up to IPC 60), the other half MNIST (ten thousand,
up to IPC 500). There are two kinds of noise: each network has its own, and all readings on the same split share one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from raydistill.search.proposal import Aim

Array = NDArray[np.float64]

SHAPES = ("law", "law", "steep", "flat", "plateau", "shifting", "wavy")
"""The law, floor + b(h) / sqrt(k), and deviations from it: other exponents, a plateau in k, a best h that changes with k (so that
the gap at a fixed h may rise with k), waves in k whose phase depends on h."""
NETWORKS, CONFIRM_NETWORKS, BASELINE_NETWORKS = 3, 10, 10
CONFIDENCE = 0.95
UNREACHABLE, DIVERGING, SHORT_OF_MEMORY = 0.15, 0.3, 0.2
"""Fractions of problems: with a floor above the margin, that diverge at a high first hyper-parameter, with too little memory."""
CRASHES = 0.03
"""Fraction of trials that crash at random."""
FIXED_COST = 0.25
"""Fraction of a trial's cost that does not grow with IPC."""
HALF_WAY_EXCESS = 1.1
"""Ratio of the gap half-way through a distillation to the gap at its end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The result of a trial, with values that only the simulation knows."""

    gap: float | None
    """Gap of the last reading; None for a trial that failed."""
    is_finished: bool
    is_out_of_memory: bool
    half_way: float
    """Gap of the half-way reading with one network."""
    is_hopeless: bool
    """Whether raydistill would stop the trial at its half-way reading, where the trial has not stopped itself."""
    true_gap: float
    """Gap of this set without noise."""
    cost: float


class Problem:
    """One simulated problem; its number determines everything about it."""

    is_distilled = True
    """Whether a trial distils, so that it has a half-way reading and may be stopped there."""

    def __init__(self, number: int, confidence: float = CONFIDENCE) -> None:
        """Draw a problem; `confidence` is that of its confirmation."""
        draw = np.random.default_rng([number, 0])
        self.number = number
        self.shape = SHAPES[number % len(SHAPES)]
        self.dimensions = int(draw.integers(2, 5))
        is_small = number % 2 == 1
        self.lowest, self.highest = 1, 60 if is_small else 500
        self.margin = 0.02 if is_small else 0.01
        self.image_deviation = 0.004 if is_small else 0.001
        self.network_deviation = 0.0035 if is_small else 0.002
        self.set_deviation = draw.uniform(0.0005, 0.0015)
        self._draw_gap(draw)
        self.select_shift, self.confirm_shift = draw.normal(0, self.image_deviation, 2)
        self.baseline_shift = draw.normal(0, self.network_deviation / math.sqrt(BASELINE_NETWORKS))
        deviation = math.hypot(
            self.image_deviation, self.network_deviation * math.sqrt(1 / CONFIRM_NETWORKS + 1 / BASELINE_NETWORKS)
        )
        self.half_width = float(stats.norm.ppf(confidence)) * deviation
        self.smallest_certifiable = self._smallest(self.margin - self.half_width - self.confirm_shift - self.baseline_shift)
        """The smallest IPC whose best gap, measured on the confirm images, plus the half-width is within the margin; or None."""
        self._unit = self.smallest_certifiable or self._scale

    @property
    def aim(self) -> Aim:
        """The margin and noise, as known to a search."""
        deviation = math.hypot(self.image_deviation, self.network_deviation * math.sqrt(1 / NETWORKS + 1 / BASELINE_NETWORKS))
        return Aim(
            margin=self.margin,
            half_width=self.half_width,
            shift_deviation=self.image_deviation * math.sqrt(2),
            lossy_width=float(stats.norm.ppf(CONFIDENCE)) * deviation,
        )

    def gap(self, place: Array, ipc: float) -> float:
        """The true gap at a place and an IPC, averaged over sets."""
        away = place - self.best_at(ipc)
        excess = 1 + float(away @ self._curvature @ away)
        size = ipc
        if self.shape == "plateau" and ipc > self._plateau:
            size = max(self._plateau, ipc / 2)
        if self.shape == "wavy":
            excess += 0.1 * float(np.mean(np.sin(3 * math.log(ipc) + self._phase + 4 * place)) + 1)
        return float(self.floor + self._span * (self._scale / size) ** self._exponent * excess)

    def best_at(self, ipc: float) -> Array:
        """The place of the smallest gap at an IPC (approximately, for the wavy shape)."""
        highest = min(0.98, self._diverges_above - 0.02)
        return np.clip(self._optimum + self._drift * math.log(ipc / self._scale), 0.02, highest)

    def run(self, number: int, place: Array, ipc: int) -> Outcome:
        """Run trial `number` to its end, or its failure; the same number, place and IPC give the same outcome."""
        draw = np.random.default_rng([self.number, 1, number])
        set_noise, half_way_noise, noise, luck = *draw.normal(size=3), draw.uniform()
        true_gap = self.gap(place, ipc) + self.set_deviation * math.sqrt(self._scale / ipc) * set_noise
        shift = self.select_shift + self.baseline_shift
        half_way = HALF_WAY_EXCESS * true_gap + shift + self.network_deviation * half_way_noise
        reading = true_gap + shift + self.network_deviation / math.sqrt(NETWORKS) * noise
        is_out_of_memory = ipc > self._memory_limit
        has_failed = is_out_of_memory or luck < CRASHES or bool(np.any(place[:1] > self._diverges_above))
        part = 0.1 if is_out_of_memory else 0.5 if has_failed else 1.0
        return Outcome(
            gap=None if has_failed else reading,
            is_finished=not has_failed,
            is_out_of_memory=is_out_of_memory,
            half_way=half_way,
            # These problems have no gap at the start, from which a real trial draws a line through this reading to its end
            # (`lossless.is_hopeless`); so more stop here.
            is_hopeless=half_way > 2 * self.margin,
            true_gap=true_gap,
            cost=part * self.cost(ipc),
        )

    def confirm(self, number: int, true_gap: float) -> float:
        """The gap of trial `number`'s set on the confirm images, measured with new networks."""
        draw = np.random.default_rng([self.number, 2, number])
        networks = self.network_deviation / math.sqrt(CONFIRM_NETWORKS) * draw.normal()
        return float(true_gap + self.confirm_shift + self.baseline_shift + networks)

    def cost(self, ipc: int) -> float:
        """Cost of a full trial."""
        return self.reading_cost(ipc)

    def reading_cost(self, ipc: int) -> float:
        """Cost of one confirmation, whose ten networks take about as long as a trial."""
        return FIXED_COST + (1 - FIXED_COST) * ipc / self._unit

    def _draw_gap(self, draw: np.random.Generator) -> None:
        d = self.dimensions
        self._optimum = draw.uniform(0.1, 0.9, d)
        # Rotated slightly against the axes.
        turn, _ = np.linalg.qr(np.eye(d) + 0.3 * draw.normal(size=(d, d)))
        self._curvature = turn @ np.diag(draw.uniform(1, 6) * d * draw.dirichlet(np.full(d, 1.5))) @ turn.T
        self._drift = draw.normal(0, 0.12, d) * (self.shape == "shifting")
        self._exponent = {"steep": draw.uniform(0.6, 0.9), "flat": draw.uniform(0.35, 0.45)}.get(self.shape, 0.5)
        self._phase = draw.uniform(0, 2 * math.pi, d)
        is_reachable = draw.uniform() >= UNREACHABLE
        self.floor = self.margin * (draw.uniform(-0.3, 0.4) if is_reachable else draw.uniform(1.0, 1.3))
        self._span = self.margin - min(self.floor, 0.5 * self.margin)
        self._scale = math.exp(draw.uniform(math.log(4), math.log(self.highest / 4)))
        self._plateau = self._scale * draw.uniform(0.7, 1.5)
        self._diverges_above = draw.uniform(0.8, 0.95) if draw.uniform() < DIVERGING else 1.0
        self._memory_limit = self._scale * draw.uniform(3, 8) if draw.uniform() < SHORT_OF_MEMORY else math.inf

    def _smallest(self, gap: float) -> int | None:
        top = int(min(self.highest, self._memory_limit))
        return next((ipc for ipc in range(self.lowest, top + 1) if self._best_gap(ipc) <= gap), None)

    def _best_gap(self, ipc: int) -> float:
        place = self.best_at(ipc)
        if self.shape != "wavy":
            return self.gap(place, ipc)
        # The waves shift the best place slightly; a few random places near it are accurate enough.
        looks = np.clip(place + np.random.default_rng(0).normal(0, 0.05, (16, self.dimensions)), 0, 1)
        return min(self.gap(look, ipc) for look in [place, *looks])
