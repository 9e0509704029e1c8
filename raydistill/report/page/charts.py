"""The charts of a study's page: accuracy against IPC, cost against size, trials over time, and the settings side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from raydistill.report.curve import Ends, Point, Setting, cheapest, ends_of, line_of, placed, within_margin
from raydistill.report.looks import STATES, Look, side_step
from raydistill.report.page.axes import Axis, linear_axis, log_axis, plain
from raydistill.report.page.chart import Band, Chart, Key, Line, Mark, Rule, across, spread, up
from raydistill.report.study import Study, Trial
from raydistill.report.words import duration, percent, points
from raydistill.storage.record import ControlAt, Smallest

TALL, LOW = 400, 280
"""Pixels of the first chart, and of the others."""
BESIDE = 11
"""Pixels between what the confirm images say and the trials of the same IPC."""
LEAST_TICK = 7.0
"""Percent between two numbers below an axis."""


def said_of(trial: Trial) -> str:
    """A trial in half a sentence."""
    words = [f"{trial.arm} at IPC {trial.ipc}"]
    if trial.accuracy_fraction is not None and trial.gap is not None:
        words += [f"accuracy {percent(trial.accuracy_fraction)}", f"gap {points(trial.gap)}"]
    else:
        words.append(trial.state.replace("_", " "))
    words += [] if trial.seconds is None else [duration(trial.seconds)]
    return f"Trial {trial.ask_number}: {', '.join(words)}"


def place_of(trial: Trial) -> str:
    """Where the page says more about a trial."""
    return f"#t-{trial.trial_id}"


def accuracy_chart(study: Study, curve: Sequence[Point], looks: dict[str, Look]) -> Chart | None:
    """Accuracy against IPC: a dot per finished trial, a line per arm with intervals, full data, margin, bracket.

    None while no trial has finished.
    """
    if not curve:
        return None
    full, margin, ends = study.baseline_accuracy_fraction, study.margin_fraction, ends_of(study)
    x = _ipc_axis(study, _ipcs_named(study, ends))
    levels = [] if full is None or margin is None else [full, full - margin]
    shown = [t.accuracy_fraction for t in study.finished if t.accuracy_fraction is not None]
    y = linear_axis([100 * a for a in (*shown, *levels)], room=0.05)
    confirmed = list(_confirmed(study, x, y))
    return Chart(
        name="accuracy",
        title="Accuracy against images per class",
        says=_says(study, curve),
        height=TALL,
        x_title="images per class (IPC), log scale",
        y_title="accuracy (%), select images",
        x_ticks=_ipc_ticks(x),
        y_ticks=tuple((up(y, tick, TALL), plain(tick)) for tick in y.ticks),
        bands=tuple(_bracket(ends, x)),
        rules=tuple(_levels(full, margin, y)),
        lines=tuple(_lines(curve, looks, x, y)),
        marks=(*_dots(study, curve, looks, x, y), *confirmed),
        keys=_keys(study, looks, has_confirmed=bool(confirmed)),
        note=_note(study, curve),
    )


def _ipc_axis(study: Study, more: Sequence[int] = ()) -> Axis:
    return log_axis([*(trial.ipc for trial in study.asked), *more])


def _ipcs_named(study: Study, ends: Ends) -> list[int]:
    """IPCs of the bracket and of the finding: controls are drawn anew where no trial may have been."""
    finding = study.finding
    sides = [] if finding is None else [finding.distilled, finding.control, *finding.controls_at]
    return [
        ipc for ipc in (ends.lossy_ipc, ends.lossless_ipc, *(side.ipc for side in sides if side is not None)) if ipc is not None
    ]


def _ipc_ticks(x: Axis) -> tuple[tuple[float, str], ...]:
    return spread([(across(x, tick), plain(tick)) for tick in x.ticks if tick >= 1], LEAST_TICK)


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
        yield Band(start=across(x, lossy), end=across(x, lossless), upright=True, label=f"lossy at {lossy}, {word} at {lossless}")
    elif lossless is not None:
        yield Band(start=across(x, lossless), end=across(x, lossless), upright=True, label=f"{word} at {lossless}")


def _lines(curve: Sequence[Point], looks: dict[str, Look], x: Axis, y: Axis) -> Iterator[Line]:
    for own in _by_arm(curve):
        look = looks[own[0].arm]
        joined = tuple((across(x, p.ipc), up(y, 100 * p.accuracy_fraction, TALL)) for p in line_of(own))
        if len(joined) > 1:
            yield Line(points=joined, css=_css(look), dash=look.dash)


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
            css=f"{_css(look)} {'best' if point else 'other'}",
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
    full, finding = study.baseline_accuracy_fraction, study.finding
    if full is None or finding is None:
        return
    there: Counter[int] = Counter()
    for one in (finding.distilled, finding.control, *finding.controls_at):
        if one is not None:
            there[one.ipc] += 1
            yield _diamond(study, one, full, x, y, beside=BESIDE * side_step(there[one.ipc]))


def _diamond(study: Study, one: Smallest | ControlAt, full: float, x: Axis, y: Axis, *, beside: int) -> Mark:
    gap = one.gap_interval
    if isinstance(one, Smallest):
        words = f"{one.arm} at IPC {one.ipc}, shown lossless"
    else:
        words = f"{one.arm} at IPC {one.ipc}, drawn anew, {'shown lossy' if one.is_lossy else 'not shown to be lossy'}"
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


def _keys(study: Study, looks: dict[str, Look], *, has_confirmed: bool) -> tuple[Key, ...]:
    keys = [
        Key(label=arm, css=_css(look), shape=look.shape, dash=look.dash, has_line=True, switches=f"a{look.number}")
        for arm, look in looks.items()
    ]
    if has_confirmed:
        keys.append(Key(label="on the confirm images", css="confirmed", shape="diamond", switches="confirmed"))
    return tuple(keys)


def _those(looks: dict[str, Look], trials: Sequence[Trial]) -> dict[str, Look]:
    tried = {trial.arm for trial in trials}
    return {arm: look for arm, look in looks.items() if arm in tried}


def _css(look: Look) -> str:
    return f"a{look.number} {'filled' if look.is_filled else 'hollow'}"


def cost_chart(study: Study, looks: dict[str, Look]) -> Chart | None:
    """Seconds to make and to read a set against its size, and the Pareto front of those within the margin; None without costs."""
    trials = [t for t in study.finished if t.seconds and t.record is not None and t.record.images]
    if not trials:
        return None
    front = cheapest(within_margin(study))
    within = {trial.trial_id for trial in within_margin(study)}
    x = log_axis([t.record.images for t in trials if t.record])
    y = log_axis([t.seconds for t in trials if t.seconds])
    steps = [(across(x, t.record.images), up(y, t.seconds, LOW)) for t in front if t.record and t.seconds]
    marks = [
        Mark(
            x=across(x, trial.record.images),
            y=up(y, trial.seconds, LOW),
            shape=looks[trial.arm].shape,
            css=f"{_css(looks[trial.arm])} {'best' if trial.trial_id in within else 'other'}",
            label=f"{said_of(trial)}, {trial.record.images} images",
            href=place_of(trial),
        )
        for trial in trials
        if trial.record and trial.seconds
    ]
    return Chart(
        name="cost",
        title="Cost against size",
        says=f"{len(within)} of {len(trials)} sets read within the margin; {len(front)} of them on the front.",
        height=LOW,
        x_title="images in the set, log scale",
        y_title="seconds to make and to read, log scale",
        x_ticks=spread([(across(x, tick), plain(tick)) for tick in x.ticks if tick >= 1], LEAST_TICK),
        y_ticks=spread([(up(y, tick, LOW), plain(tick)) for tick in y.ticks], 20),
        lines=(Line(points=tuple(_stairs(steps)), css="front"),) if len(steps) > 1 else (),
        marks=tuple(marks),
        keys=_keys(study, _those(looks, trials), has_confirmed=False),
        note=(
            "Strong marks read within the margin on the select images, faint ones do not. The stairs are the Pareto front of the "
            "strong ones: no other set is both smaller and cheaper."
            if front
            else "No set reads within the margin yet, so there is no front."
        ),
    )


def _stairs(points: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """The points, with a corner between each two: level first, then down."""
    for number, (x, y) in enumerate(points):
        if number:
            yield x, points[number - 1][1]
        yield x, y


def progress_chart(study: Study, looks: dict[str, Look]) -> Chart | None:
    """When each trial began, at which IPC, and how it ended; the smallest IPC within the margin so far. None before the first."""
    begun = [(datetime.fromisoformat(t.record.started_at), t) for t in study.asked if t.record is not None]
    if not begun:
        return None
    start = min(moment for moment, _ in begun)
    hours = {t.trial_id: (moment - start).total_seconds() / 3600 for moment, t in begun}
    unit, per_hour = ("hours", 1.0) if max(hours.values()) > 2 else ("minutes", 60.0)
    x = linear_axis([per_hour * h for h in hours.values()] + [0.0], room=0.03)
    y = _ipc_axis(study)
    marks = [
        Mark(
            x=across(x, per_hour * hours[trial.trial_id]),
            y=up(y, trial.ipc, LOW),
            shape=STATES[trial.state],
            css=f"{_css(looks[trial.arm])} state {trial.state}",
            label=said_of(trial),
            href=place_of(trial),
        )
        for _, trial in begun
    ]
    words = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in study.states.items())
    states = [state for state in STATES if state in {trial.state for _, trial in begun}]
    best = _best_so_far(study, hours)
    return Chart(
        name="progress",
        title="Trials over time",
        says=f"{words}.",
        height=LOW,
        x_title=f"{unit} since the first trial began",
        y_title="images per class, log scale",
        x_ticks=spread([(across(x, tick), plain(tick)) for tick in x.ticks if tick >= 0], LEAST_TICK),
        y_ticks=spread([(up(y, tick, LOW), plain(tick)) for tick in y.ticks if tick >= 1], 20),
        lines=(
            (Line(points=tuple(_stairs([(across(x, per_hour * h), up(y, ipc, LOW)) for h, ipc in best])), css="front"),)
            if len(best) > 1
            else ()
        ),
        marks=tuple(marks),
        keys=(
            *(Key(label=state.replace("_", " "), css=f"plain {state}", shape=STATES[state], switches=state) for state in states),
            *_keys(study, _those(looks, [t for _, t in begun]), has_confirmed=False),
        ),
        note="The shape says how a trial ended, the colour of which arm it is. The stairs are the smallest IPC that had read "
        "within the margin by then.",
    )


def _best_so_far(study: Study, hours: dict[str, float]) -> list[tuple[float, int]]:
    """The hour at which each smaller IPC within the margin was known, and that IPC; the last one reaches to the end."""
    ended = sorted((hours[t.trial_id] + (t.seconds or 0.0) / 3600, t.ipc) for t in within_margin(study) if t.trial_id in hours)
    best: list[tuple[float, int]] = []
    for hour, ipc in ended:
        if not best or ipc < best[-1][1]:
            best.append((min(hour, max(hours.values())), ipc))
    return [*best, (max(hours.values()), best[-1][1])] if best else []


def settings_chart(study: Study, arm: str, look: Look, settings: Sequence[Setting]) -> Chart | None:
    """An arm's settings side by side, with IPC and accuracy: a line per finished trial. None with fewer than two."""
    trials = placed([trial for trial in study.finished if trial.arm == arm], settings)
    if len(trials) < 2 or len(settings) < 2:
        return None
    accuracy = linear_axis([100 * t.accuracy_fraction for t in trials if t.accuracy_fraction is not None], room=0.0)
    within = {trial.trial_id for trial in within_margin(study)}
    places = [100 * number / len(settings) for number in range(len(settings) + 1)]
    lines = [_trial_line(trial, settings, places, accuracy, trial.trial_id in within) for trial in trials]
    ticks = [(place, setting.name) for place, setting in zip(places, settings, strict=False)]
    ends = [(place, _ends(setting)) for place, setting in zip(places, settings, strict=False)]
    ends.append((places[-1], (plain(round(accuracy.low, 1)), plain(round(accuracy.high, 1)))))
    rules = [Rule(at=place, label=high, foot=low, css="axis", upright=True) for place, (low, high) in ends]
    return Chart(
        name=f"settings-{look.number}",
        title=f"Settings of {arm}",
        says=f"{len(trials)} finished trials over {len(settings)} settings; {sum(t.trial_id in within for t in trials)} within.",
        height=LOW - 60,
        left=28,
        top=52,
        x_title="",
        y_title="",
        x_ticks=(*ticks, (places[-1], "accuracy (%)")),
        y_ticks=(),
        rules=tuple(rules),
        lines=tuple(sorted(lines, key=lambda line: "within" in line.css)),
        keys=(
            Key(label="within the margin", css="within", shape="none", has_line=True),
            Key(label="not within", css="without", shape="none", has_line=True, dash=(4, 3)),
        ),
    )


def _ends(setting: Setting) -> tuple[str, str]:
    if setting.choices:
        return setting.choices[0], setting.choices[-1]
    assert setting.low is not None
    assert setting.high is not None
    return plain(setting.low), plain(setting.high)


def _trial_line(trial: Trial, settings: Sequence[Setting], places: Sequence[float], accuracy: Axis, is_within: bool) -> Line:
    height = LOW - 60
    assert trial.accuracy_fraction is not None
    parts = [setting.part(trial) or 0.0 for setting in settings] + [accuracy.part(100 * trial.accuracy_fraction)]
    values = ", ".join(f"{s.name} {short(s.value(trial))}" for s in settings if s.name != "ipc")
    return Line(
        points=tuple((place, height * (1 - part)) for place, part in zip(places, parts, strict=True)),
        css="within" if is_within else "without",
        dash=() if is_within else (4, 3),
        href=place_of(trial),
        label=f"{said_of(trial)}; {values}",
    )


def short(value: object) -> str:
    """A setting's value in few digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
