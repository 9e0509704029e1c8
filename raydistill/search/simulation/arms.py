"""Simulated races: problems with several arms (methods and controls), whose curves are related as measured ones are.

The arms of a problem share the margin, the noise, the shifts of the select and confirm images, the shape and the range of IPC.
They differ in the size of their gap, its floor, its exponent and, for methods, in how it depends on 2 to 3 hyper-parameters of
their own. A control has no hyper-parameters, and its trial costs only the networks that read its set. Of the shapes it has only
the law and other exponents.

Sizes come from `benchmarks/results/digits.md`; see `SIZES`. Each is multiplied by a random factor for each problem, so that any
arm may win. The smallest size of a problem is that of a problem with a single arm (`problems.Problem`). Sets scatter as there,
about in proportion to their gap; measured draws of random images scatter more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from raydistill.search.proposal import Aim, Field
from raydistill.search.simulation.problems import CONFIRM_NETWORKS, FIXED_COST, NETWORKS, UNREACHABLE, Problem
from raydistill.spaces.sections import GoalConfig

SIZES: Mapping[str, float] = {
    "random": 1.0,
    "k_center": 0.45,
    "herding": 0.5,
    "k_means": 0.16,
    "k_means_medoids": 0.25,
    "datadam": 0.53,
    "dm": 0.55,
    "dc": 0.7,
    "datm": 0.33,
    "pad": 0.35,
}
"""Gap relative to that of random real images, with the method's hyper-parameters in the middle of their ranges.

Geometric means over IPC 5 and 10, where there are both, of rows in `benchmarks/results/digits.md`: random, datadam, k_center,
datm and pad from "Digits: trajectory matching beside its controls" (full data 98.8 %); dm, dc and herding from "Digits, IPC 10:
the set methods beside each other". k_means and its medoids on digits, with the full data at 98.5 %, are at 1.2 and 1.8 points for
IPC 5 and at 0.4 and 0.6 for IPC 10, where random images are at 5.6 to 7 and 2.6 to 3.3. On MNIST at IPC 10, with the full data at
99 %, datadam is at 0.53 ("the same under 1,000 steps with augmentation") and datm at 0.56 ("trajectory matching beside its
control").
"""
CONTROLS = ("random", "k_center", "herding", "k_means", "k_means_medoids")
METHODS = ("datadam", "dm", "dc", "datm", "pad")
SPREAD_OF_SIZES = 0.5
"""Standard deviation of the logarithm of the random factor. From IPC 5 to 10 k-center's ratio falls from 0.66 to 0.24, so
measured ratios do not hold better than this."""
AT_BEST = 0.7
"""A method's gap at its best hyper-parameters, relative to that in the middle: the mean over simulated problems."""
BETWEEN_FLOORS, FLOOR_ABOVE = 0.15, 0.1
"""Standard deviation between the floors of a problem's arms, in margins; fraction of arms that have a floor above the margin. On
digits, datm has the same gap of 1.6 points at IPC 5 and 10."""
DEAR = frozenset({"dc", "datm", "pad"})
"""Methods that differentiate through training, at three times the cost of the others."""
SPREAD_OF_WORK = 0.4
"""Standard deviation of the logarithm of the random factor of a method's cost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """How an arm differs from the others of its problem."""

    label: str
    size: float
    """Gap above the floor, relative to that of the arm for which it is smallest."""
    floor: float
    """In margins."""
    work: float
    """Cost of a trial relative to that of a confirmation, in which ten networks read a set."""


class Arm(Problem):
    """One arm of a race: a problem of its own, with the noise of the others."""

    def __init__(self, number: int, index: int, curve: Curve, scale: float, confidence: float) -> None:
        """Draw an arm.

        Args:
            number: number of the race.
            index: number of the arm within it.
            curve: of this arm.
            scale: IPC at which an arm of size 1 comes to the margin.
            confidence: that of the confirmation of its side.
        """
        self.label = curve.label
        self.is_control = curve.label in CONTROLS
        self.is_distilled = not self.is_control
        self._index = index
        self._curve = curve
        self._scale_of_race = scale
        super().__init__(number, confidence)

    @property
    def field(self) -> Field:
        """The domain of this arm."""
        return Field(options=(1,) * self.dimensions, lowest=self.lowest, highest=self.highest)

    def cost(self, ipc: int) -> float:
        """Cost of a full trial."""
        return self._curve.work * self.reading_cost(ipc)

    def reading_cost(self, ipc: int) -> float:
        """Cost of the ten networks of a confirmation; 1 at the IPC at which an arm of size 1 comes to the margin."""
        return FIXED_COST + (1 - FIXED_COST) * ipc / self._scale_of_race

    def _draw_gap(self, draw: np.random.Generator) -> None:
        # The random numbers of the problem go on alike for all arms, so that they share what is drawn after this.
        own = np.random.default_rng([self.number, 5, self._index])
        self.dimensions = 0 if self.is_control else int(own.integers(2, 4))
        if self.is_control and self.shape in ("plateau", "shifting", "wavy"):
            self.shape = "law"
        super()._draw_gap(own)
        if self.is_control:
            self._memory_limit = math.inf
        self.floor = self.margin * self._curve.floor
        self._span = self.margin - min(self.floor, 0.5 * self.margin)
        # An arm with twice the gap reaches the margin later; what else grows with the scale does so with it.
        scale = self._scale_of_race * self._curve.size ** (1 / self._exponent)
        self._plateau *= scale / self._scale
        self._memory_limit *= scale / self._scale
        self._scale = scale


class RaceProblem:
    """A race of 3 to 6 arms, at least one of each side; its number determines everything about it."""

    def __init__(self, number: int) -> None:
        draw = np.random.default_rng([number, 6])
        self.number = number
        count = int(draw.integers(3, 7))
        methods = int(draw.integers(1, min(count, len(METHODS) + 1)))
        methods = max(methods, count - len(CONTROLS))
        labels = [*draw.choice(METHODS, methods, replace=False), *draw.choice(CONTROLS, count - methods, replace=False)]
        highest = 60 if number % 2 else 500
        scale = math.exp(draw.uniform(math.log(4), math.log(highest / 4)))
        curves = _curves([str(label) for label in labels], draw)
        goal = GoalConfig(margin_fraction=0.02)
        self.arms: Sequence[Arm] = tuple(
            Arm(number, index, curve, scale, goal.share_of("control" if curve.label in CONTROLS else "distilled"))
            for index, curve in enumerate(curves)
        )
        """Methods before controls."""
        certifiable = [arm.smallest_certifiable for arm in self.arms if arm.smallest_certifiable is not None]
        self.smallest_certifiable = min(certifiable, default=None)
        """The smallest IPC that can be confirmed, over all arms; or None."""

    @property
    def margin(self) -> float:
        """The margin of all arms."""
        return self.arms[0].margin

    @property
    def aim(self) -> Aim:
        """The margin and noise as a search knows them, with the half-width of the methods' confirmation."""
        return self.arms[0].aim

    @property
    def best(self) -> Arm:
        """The arm with the smallest certifiable IPC; without one, that with the smallest gap at the highest IPC."""
        return min(self.arms, key=lambda a: (a.smallest_certifiable or math.inf, a.gap(a.best_at(a.highest), a.highest)))

    def arm(self, label: str) -> Arm:
        """The arm of a label."""
        return next(arm for arm in self.arms if arm.label == label)


def _curves(labels: Sequence[str], draw: np.random.Generator) -> list[Curve]:
    sizes = np.array([SIZES[label] * (AT_BEST if label in METHODS else 1) for label in labels])
    sizes *= draw.lognormal(0, SPREAD_OF_SIZES, len(labels))
    is_reachable = draw.uniform() >= UNREACHABLE
    shared = draw.uniform(-0.3, 0.4) if is_reachable else draw.uniform(1.1, 1.3)
    floors = shared + draw.normal(0, BETWEEN_FLOORS, len(labels))
    floors = np.where(draw.uniform(size=len(labels)) < FLOOR_ABOVE, draw.uniform(1.0, 1.3, len(labels)), floors)
    if not is_reachable:
        floors = np.maximum(floors, 1.0)
    work = draw.lognormal(0, SPREAD_OF_WORK, len(labels))
    return [
        Curve(
            label=label,
            size=float(size / sizes.min()),
            floor=float(floor),
            work=_work(label) * float(w if label in METHODS else 1),
        )
        for label, size, floor, w in zip(labels, sizes, floors, work, strict=True)
    ]


def _work(label: str) -> float:
    """A control's trial is the networks that read it; a method's, with its distillation, is as dear as a confirmation or more."""
    if label in CONTROLS:
        return NETWORKS / CONFIRM_NETWORKS
    return 3.0 if label in DEAR else 1.0
