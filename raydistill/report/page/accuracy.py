"""The first chart of a study's page: accuracy against IPC, with the full data, the margin and the bracket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from raydistill.report.curve import Ends, Point, confirmed_accuracies, confirmed_sets, ends_of, line_of
from raydistill.report.looks import Look, side_step
from raydistill.report.page.axes import Axis, linear_axis, plain
from raydistill.report.page.chart import Band, Chart, Line, Mark, Rule, across, up
from raydistill.report.page.marks import css_of, ipc_axis, ipc_ticks, keys_of, place_of, said_of, those
from raydistill.report.study import Study
from raydistill.report.words import percent, points
from raydistill.storage.result import ControlAt, Smallest

TALL = 400
"""Pixels of the chart."""
BESIDE = 11
"""Pixels between what the confirm images say and the trials of the same IPC."""


def accuracy_chart(study: Study, curve: Sequence[Point], looks: dict[str, Look]) -> Chart | None:
    """Accuracy against IPC: a dot per finished trial, a line per arm with intervals, full data, margin, bracket.

    None while no trial has finished.
    """
    if not curve:
        return None
    full, margin, ends = study.baseline_accuracy_fraction, study.margin_fraction, ends_of(study)
    x = ipc_axis(study, _ipcs_named(study, ends))
    levels = [] if full is None or margin is None else [full, full - margin]
    shown = [t.accuracy_fraction for t in study.finished if t.accuracy_fraction is not None]
    y = linear_axis([100 * a for a in (*shown, *levels, *confirmed_accuracies(study))], room=0.05)
    confirmed = list(_confirmed(study, x, y))
    return Chart(
        name="accuracy",
        title=f"{study.metric_words.capitalize()} against images per class",
        says=_says(study, curve),
        height=TALL,
        x_title="images per class (IPC), log scale",
        y_title=f"{study.metric_words} (%), select images",
        x_ticks=ipc_ticks(x),
        y_ticks=tuple((up(y, tick, TALL), plain(tick)) for tick in y.ticks),
        bands=tuple(_bracket(ends, x)),
        rules=tuple(_levels(full, margin, y)),
        lines=tuple(_lines(curve, looks, x, y)),
        marks=(*_dots(study, curve, looks, x, y), *confirmed),
        keys=keys_of(study, those(looks, study.finished), has_confirmed=bool(confirmed)),
        note=_note(study, curve),
    )


def _ipcs_named(study: Study, ends: Ends) -> list[int]:
    """IPCs of the bracket and of the finding: controls are drawn anew where no trial may have been."""
    named = (ends.lossy_ipc, ends.lossless_ipc, *(one.ipc for one in confirmed_sets(study)))
    return [ipc for ipc in named if ipc is not None]


def _says(study: Study, curve: Sequence[Point]) -> str:
    arms = len({point.arm for point in curve})
    of = "one method" if arms == 1 else f"{arms} methods and controls"
    return f"{len(study.finished)} finished trials of {of}, from IPC {min(p.ipc for p in curve)} to {max(p.ipc for p in curve)}."


def _note(study: Study, curve: Sequence[Point]) -> str:
    parts = ["Each dot is a trial: choose one to see its settings. A line joins an arm's best trials, IPC by IPC."]
    if any(len(line_of(own)) < len(own) for own in _by_arm(curve)):
        parts.append("Where an arm has more than twelve IPCs, it joins the best of each of twelve equal steps.")
    if any(point.low is not None for point in curve):
        goal = study.asked[0].config["goal"]
        parts.append(
            f"Upright lines reach to the {100 * goal['confidence']:g} % bounds of a best trial's gap, over networks and images; "
            "best of several is optimistic, which is why the verdict is taken on other images."
        )
    return " ".join(parts)


def _by_arm(curve: Sequence[Point]) -> Iterator[list[Point]]:
    for arm in dict.fromkeys(point.arm for point in curve):
        yield [point for point in curve if point.arm == arm]


def _levels(full: float | None, margin: float | None, y: Axis) -> Iterator[Rule]:
    if full is None or margin is None:
        return
    yield Rule(at=up(y, 100 * full, TALL), label=f"full data {percent(full)}", css="full")
    label = f"margin: {points(margin)} below"
    yield Rule(at=up(y, 100 * (full - margin), TALL), label=label, css="margin", below=True)


def _bracket(ends: Ends, x: Axis) -> Iterator[Band]:
    lossy, lossless = ends.lossy_ipc, ends.lossless_ipc
    word = "within the margin" if ends.is_provisional else "lossless"
    if lossy is not None and lossless is not None:
        yield Band(start=across(x, lossy), end=across(x, lossless), label=f"lossy at {lossy}, {word} at {lossless}")
    elif lossless is not None:
        yield Band(start=across(x, lossless), end=across(x, lossless), label=f"{word} at {lossless}")


def _lines(curve: Sequence[Point], looks: dict[str, Look], x: Axis, y: Axis) -> Iterator[Line]:
    for own in _by_arm(curve):
        look = looks[own[0].arm]
        joined = tuple((across(x, p.ipc), up(y, 100 * p.accuracy_fraction, TALL)) for p in line_of(own))
        if len(joined) > 1:
            yield Line(points=joined, css=css_of(look), dash=look.dash)


def _dots(study: Study, curve: Sequence[Point], looks: dict[str, Look], x: Axis, y: Axis) -> Iterator[Mark]:
    best = {point.best.trial_id: point for own in _by_arm(curve) for point in line_of(own)}
    for trial in study.finished:
        assert trial.accuracy_fraction is not None
        point = best.get(trial.trial_id)
        look = looks[trial.arm]
        yield Mark(
            x=across(x, trial.ipc),
            y=up(y, 100 * trial.accuracy_fraction, TALL),
            shape=look.shape,
            css=f"{css_of(look)} {'best' if point else 'other'}",
            label=said_of(trial),
            href=place_of(trial),
            span=None if point is None else _span(study, point.low, point.high, y),
        )


def _span(study: Study, low: float | None, high: float | None, y: Axis) -> tuple[float, float] | None:
    """The interval of a gap as one of accuracy, cut where the chart ends."""
    full = study.baseline_accuracy_fraction
    if low is None or high is None or full is None:
        return None
    ends = (min(max(100 * (full - gap), y.low), y.high) for gap in (high, low))
    return tuple(up(y, end, TALL) for end in ends)  # type: ignore[return-value]


def _confirmed(study: Study, x: Axis, y: Axis) -> Iterator[Mark]:
    """What the confirm images say of the sets that the finding names: their gap, below the full data's accuracy as drawn."""
    full, shown = study.baseline_accuracy_fraction, confirmed_sets(study)
    if full is None:
        return
    there, in_all = Counter[int](), Counter(one.ipc for one in shown)
    for one in shown:
        there[one.ipc] += 1
        yield _diamond(study, one, full, x, y, beside=round(BESIDE * side_step(there[one.ipc], in_all[one.ipc])))


def _diamond(study: Study, one: Smallest | ControlAt, full: float, x: Axis, y: Axis, *, beside: int) -> Mark:
    gap = one.gap_interval
    if isinstance(one, Smallest):
        words = f"{one.arm_and_size}, shown lossless"
    else:
        words = f"{one.arm_and_size}, drawn anew, {'shown lossy' if one.is_lossy else 'not shown to be lossy'}"
    bounds = f"gap {points(gap.gap)}, between {points(gap.lower)} and {points(gap.upper)}"
    trial = study.trial(one.trial_id) if isinstance(one, Smallest) else None
    return Mark(
        x=across(x, one.ipc),
        y=up(y, min(max(100 * (full - gap.gap), y.low), y.high), TALL),
        shape="diamond",
        css="confirmed" if isinstance(one, Smallest) else "confirmed drawn",
        label=f"On the confirm images: {words}; {bounds}, each bound at {100 * gap.confidence:g} % confidence",
        href=None if trial is None else place_of(trial),
        span=_span(study, gap.lower, gap.upper, y),
        beside=beside,
    )
