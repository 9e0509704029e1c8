"""What the charts of a study share: how a trial is named and where it is told of, the axis of IPC, the legend."""

from __future__ import annotations

from collections.abc import Sequence

from raydistill.report.looks import Look
from raydistill.report.page.axes import Axis, log_axis, plain
from raydistill.report.page.chart import Key, across, spread
from raydistill.report.study import Study, Trial
from raydistill.report.words import duration, percent, points

LEAST_TICK = 7.0
"""Percent between two numbers below an axis."""


def said_of(trial: Trial) -> str:
    """A trial in half a sentence."""
    words = [f"{trial.arm} at IPC {trial.ipc}"]
    if trial.accuracy_fraction is not None and trial.gap is not None:
        words += [f"{trial.metric_words} {percent(trial.accuracy_fraction)}", f"gap {points(trial.gap)}"]
    else:
        words.append(trial.state.replace("_", " "))
    words += [] if trial.seconds is None else [duration(trial.seconds)]
    return f"Trial {trial.ask_number}: {', '.join(words)}"


def place_of(trial: Trial) -> str:
    """Where the page says more about a trial."""
    return f"#t-{trial.trial_id}"


def ipc_axis(study: Study, more: Sequence[int] = ()) -> Axis:
    """The scale of IPC around all trials that were asked, and around more IPCs where they are named."""
    return log_axis([*(trial.ipc for trial in study.asked), *more])


def ipc_ticks(x: Axis) -> tuple[tuple[float, str], ...]:
    """The numbers below a scale of IPC."""
    return spread([(across(x, tick), plain(tick)) for tick in x.ticks if tick >= 1], LEAST_TICK)


def keys_of(study: Study, looks: dict[str, Look], *, has_confirmed: bool) -> tuple[Key, ...]:
    """The legend: the arms, each of which it hides and shows, and what the confirm images say."""
    keys = [
        Key(label=arm, css=css_of(look), shape=look.shape, dash=look.dash, has_line=True, switches=f"a{look.number}")
        for arm, look in looks.items()
    ]
    if has_confirmed:
        keys.append(Key(label="on the confirm images", css="confirmed", shape="diamond", switches="confirmed"))
    return tuple(keys)


def those(looks: dict[str, Look], trials: Sequence[Trial]) -> dict[str, Look]:
    """The looks of the arms that these trials are of."""
    tried = {trial.arm for trial in trials}
    return {arm: look for arm, look in looks.items() if arm in tried}


def css_of(look: Look) -> str:
    """The classes of the marks and lines of an arm."""
    return f"a{look.number} {'filled' if look.is_filled else 'hollow'}"


def short(value: object) -> str:
    """A setting's value in few digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
