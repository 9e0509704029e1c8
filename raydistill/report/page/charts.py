"""The further charts of a study's page: cost against size, trials over time, and the settings side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from raydistill.report.curve import Setting, cheapest, placed, within_margin
from raydistill.report.looks import STATES, Look
from raydistill.report.page.axes import Axis, linear_axis, log_axis, plain
from raydistill.report.page.chart import Chart, Key, Line, Mark, Rule, across, spread, up
from raydistill.report.page.marks import LEAST_TICK, css_of, ipc_axis, keys_of, place_of, said_of, short, those
from raydistill.report.study import Study, Trial

LOW = 280
"""Pixels of a chart."""


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
            css=f"{css_of(looks[trial.arm])} {'best' if trial.trial_id in within else 'other'}",
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
        keys=keys_of(study, those(looks, trials), has_confirmed=False),
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
    y = ipc_axis(study)
    marks = [
        Mark(
            x=across(x, per_hour * hours[trial.trial_id]),
            y=up(y, trial.ipc, LOW),
            shape=STATES[trial.state],
            css=f"{css_of(looks[trial.arm])} state {trial.state}",
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
            *keys_of(study, those(looks, [t for _, t in begun]), has_confirmed=False),
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
        return str(setting.choices[0]), str(setting.choices[-1])
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
