"""What the pictures of a study show, worked out from its records; fractions throughout, and nothing is drawn here.

The curve of each arm, the two ends of the bracket, the cheapest sets, and which settings mattered.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raydistill.report.cells import whole_config
from raydistill.report.study import Study, Trial
from raydistill.search.verdict import select_interval, so_far
from raydistill.spaces.document import label_of
from raydistill.spaces.sections import GoalConfig
from raydistill.storage.result import ControlAt, Smallest

MOST_POINTS = 12
"""Points of one arm's line; more IPCs than that are shown as the best of as many equal steps of the log axis."""
FEWEST_TRIALS = 8
"""Finished trials of an arm below which nothing is said of its settings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """The finished trials of one arm at one IPC."""

    arm: str
    is_control: bool
    ipc: int
    trials: int
    finished: int
    best: Trial
    """The one with the smallest gap."""
    accuracy_fraction: float
    """Its networks' mean accuracy on the select images."""
    networks: int
    """How many networks were trained on its set."""
    gap: float
    low: float | None
    """One-sided bound of its gap at the goal's confidence; null with fewer than two networks on either side. So is `high`."""
    high: float | None

    def row(self) -> dict[str, Any]:
        """The point as cells of a table."""
        record = self.best.record
        assert record is not None
        cells = {name: getattr(self, name) for name in ("arm", "is_control", "ipc", "trials", "finished")}
        cells |= {"accuracy_fraction": self.accuracy_fraction, "networks": self.networks, "gap": self.gap}
        cells |= {"gap_low": self.low, "gap_high": self.high, "seconds": self.best.seconds}
        return cells | {"images": record.images, "set_bytes": record.set_bytes, "trial_id": self.best.trial_id}


def curve_rows(study: Study) -> list[Point]:
    """A point per arm and IPC with a finished trial, in the order of the arms, smallest IPC first."""
    asked: dict[tuple[str, int], list[Trial]] = {}
    for trial in study.asked:
        asked.setdefault((trial.arm, trial.ipc), []).append(trial)
    order = list(study.arms)
    points = []
    for (arm, ipc), own in sorted(asked.items(), key=lambda item: (order.index(item[0][0]), item[0][1])):
        finished = [trial for trial in own if trial.gap is not None]
        if finished:
            points.append(_point(study, arm, ipc, own, finished))
    return points


def _point(study: Study, arm: str, ipc: int, own: Sequence[Trial], finished: Sequence[Trial]) -> Point:
    best = min(finished, key=lambda trial: (trial.gap, trial.ask_number))
    assert best.record is not None
    assert best.gap is not None
    assert best.accuracy_fraction is not None
    low, high = _bounds(study, best)
    return Point(
        arm=arm,
        is_control=best.is_control,
        ipc=ipc,
        trials=len(own),
        finished=len(finished),
        best=best,
        accuracy_fraction=best.accuracy_fraction,
        networks=len(best.record.readings[-1].accuracy_fractions),
        gap=best.gap,
        low=low,
        high=high,
    )


def _bounds(study: Study, trial: Trial) -> tuple[float, float] | tuple[None, None]:
    record, baseline = trial.record, study.baseline
    if record is None or baseline is None or min(len(record.select_correct), len(baseline.readings)) < 2:
        return None, None
    interval = select_interval(record, baseline)
    return interval.lower, interval.upper


def line_of(points: Sequence[Point]) -> list[Point]:
    """The points of one arm that its line joins: all, or the best of each of `MOST_POINTS` equal steps of the log axis."""
    if len(points) <= MOST_POINTS:
        return list(points)
    low, high = math.log(points[0].ipc), math.log(points[-1].ipc)
    steps: dict[int, list[Point]] = {}
    for point in points:
        step = min(MOST_POINTS - 1, int(MOST_POINTS * (math.log(point.ipc) - low) / (high - low)))
        steps.setdefault(step, []).append(point)
    return [min(here, key=lambda point: (point.gap, point.ipc)) for _, here in sorted(steps.items())]


class Ends(NamedTuple):
    """The two ends of the bracket."""

    lossy_ipc: int | None
    """Largest IPC that is shown to be lossy."""
    lossless_ipc: int | None
    """Smallest IPC that is lossless; before the verdict, that reads within the margin."""
    is_provisional: bool


def confirmed_sets(study: Study) -> list[Smallest | ControlAt]:
    """The sets of the finding, each with its gap on the confirm images; none without a finding."""
    finding = study.finding
    sides = [] if finding is None else [finding.distilled, finding.control, *finding.controls_at]
    return [one for one in sides if one is not None]


def confirmed_accuracies(study: Study) -> list[float]:
    """The accuracies, as fractions, to which the bounds of these gaps reach below the full data's on the select images."""
    full = study.baseline_accuracy_fraction
    if full is None:
        return []
    gaps = [gap for one in confirmed_sets(study) for gap in (one.gap_interval.lower, one.gap_interval.upper)]
    return [min(max(full - gap, 0.0), 1.0) for gap in gaps]


def ends_of(study: Study) -> Ends:
    """The bracket of the verdict; before it, what its rules say of the readings so far."""
    if study.verdict is not None:
        return Ends(study.verdict.largest_lossy_ipc, study.verdict.smallest_lossless_ipc, False)
    if not study.finished:
        return Ends(None, None, True)
    goal = GoalConfig.model_validate(study.asked[0].config["goal"])
    ended = [trial for trial in study.asked if trial.record is not None]
    # As `tally.bracket_of`: a study of a control alone has no other side.
    side = [trial for trial in ended if not trial.is_control] or ended
    found = so_far([trial.record for trial in side if trial.record is not None], study.baseline, goal)
    return Ends(found.lossy.ipc if found.lossy else None, found.candidate.ipc if found.candidate else None, True)


def within_margin(study: Study) -> list[Trial]:
    """The finished trials whose gap on the select images is within the margin."""
    margin = study.margin_fraction
    return [] if margin is None else [t for t in study.finished if t.gap is not None and t.gap <= margin]


def cheapest(trials: Iterable[Trial]) -> list[Trial]:
    """The Pareto front of sets within the margin: those for which no other is both smaller and cheaper, smallest first."""
    front: list[Trial] = []
    costed = [(t.record.images, t.seconds, t.ask_number, t) for t in trials if t.record is not None and t.seconds is not None]
    for *_, trial in sorted(costed):
        if not front or (trial.seconds or 0.0) < (front[-1].seconds or 0.0):
            front.append(trial)
    return front


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """A setting of an arm that the search varies."""

    name: str
    """Dotted path below the method's section; `ipc` for the images per class."""
    low: float | None
    """Ends of its range; null for a list of choices."""
    high: float | None
    log: bool
    choices: tuple[Any, ...]
    """As the space writes them; none for a range."""

    def part(self, trial: Trial) -> float | None:
        """Where a trial's value lies in the range, 0 to 1; choices lie evenly. None if the trial has no value of it."""
        value = self.value(trial)
        if self.choices:
            return self.choices.index(value) / max(1, len(self.choices) - 1) if value in self.choices else None
        if self.low is None or self.high is None or not isinstance(value, int | float) or (self.log and value <= 0):
            return None
        low, high, own = (math.log(v) if self.log else v for v in (self.low, self.high, float(value)))
        return 0.5 if high == low else min(1.0, max(0.0, (own - low) / (high - low)))

    def value(self, trial: Trial) -> Any:
        """Its value in a trial; None if the trial has none."""
        value: Any = trial.config
        if self.name != "ipc":
            value = whole_config(trial.config)["method"]
        for key in self.name.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value


def placed(trials: Iterable[Trial], settings: Sequence[Setting]) -> list[Trial]:
    """The trials that have a place in the range of every setting."""
    return [trial for trial in trials if all(setting.part(trial) is not None for setting in settings)]


def settings_searched(study: Study, arm: str) -> list[Setting]:
    """The settings of an arm that the space gives a range or choices, in the order of the space; IPC last."""
    space = study.space
    sections = [space["method"]] if space.get("method") else list(space.get("methods") or [])
    section = next((s for s in [*sections, *(space.get("controls") or [])] if label_of(s) == arm), None)
    found = list(_searched(section, "")) if isinstance(section, dict) else []
    return found + list(_searched({"ipc": space.get("ipc")}, ""))


def _searched(section: Mapping[str, Any], path: str) -> Iterable[Setting]:
    for key, value in section.items():
        if not isinstance(value, dict):
            continue
        name = f"{path}{key}"
        if set(value) == {"choices"}:
            yield Setting(name=name, low=None, high=None, log=False, choices=tuple(value["choices"]))
        elif {"low", "high"} <= set(value) <= {"low", "high", "log"}:
            log = bool(value.get("log")) or name == "ipc"
            yield Setting(name=name, low=float(value["low"]), high=float(value["high"]), log=log, choices=())
        else:
            yield from _searched(value, f"{name}.")


def importance(trials: Sequence[Trial], settings: Sequence[Setting]) -> dict[str, float]:
    """How much of the differences between an arm's trials each setting foretells alone, 0 to 1, largest first.

    The size is taken out first: compared are the gaps times sqrt(IPC), as the law of the gap has them. For each setting a
    parabola over its place in the range (for choices the mean of each) is fitted without one trial and foretells that trial, for
    each in turn. The number is the share of the variance that is foretold so, 0 where it foretells nothing. Settings that act
    only together are missed.

    Args:
        trials: finished trials of one arm, each with a place in every range (`placed`).
        settings: those to judge; IPC itself is left out.
    """
    values = np.array([(trial.gap or 0.0) * math.sqrt(trial.ipc) for trial in trials])
    shares = {s.name: _foretold(_design(s, trials), values) for s in settings if s.name != "ipc"}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _design(setting: Setting, trials: Sequence[Trial]) -> NDArray[np.float64]:
    """(n, k) the columns that a fit over one setting has."""
    parts = np.array([setting.part(trial) for trial in trials], dtype=np.float64)
    if not setting.choices:
        return np.stack([np.ones_like(parts), parts, parts**2], axis=1)
    return np.stack([parts == part for part in np.unique(parts)], axis=1).astype(np.float64)


def _foretold(design: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Share of the variance that least squares foretell of left-out values, 0 to 1."""
    ones = np.ones((len(values), 1))
    errors, of_mean = (_left_out_errors(columns, values) for columns in (design, ones))
    total = float((of_mean**2).sum())
    return 0.0 if total == 0 else max(0.0, 1.0 - float((errors**2).sum()) / total)


def _left_out_errors(design: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) the error at each value of the fit to all others, by the diagonal of the hat matrix."""
    hat = design @ np.linalg.pinv(design)
    # A value that alone decides a coefficient (a choice tried once) has no fit without it: its error is that of the mean.
    room = 1.0 - np.diag(hat)
    errors = np.where(room > 1e-9, (values - hat @ values) / np.where(room > 1e-9, room, 1.0), values - values.mean())
    return np.asarray(errors)
