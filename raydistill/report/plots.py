"""The pictures of a study as a paper wants them: one column wide, with the font sizes of its text. Needs matplotlib.

The same curves, colours and shapes as the page has. Fonts are embedded whole (type 42), as conferences ask.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

from raydistill.errors import InputError
from raydistill.report.curve import (
    Point,
    cheapest,
    confirmed_accuracies,
    confirmed_sets,
    curve_rows,
    ends_of,
    line_of,
    within_margin,
)
from raydistill.report.looks import CONFIRMED, MARKERS, OF_METHODS, Look, looks_of, side_step
from raydistill.report.study import Study, Trial
from raydistill.storage.result import Smallest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Format = Literal["pdf", "png", "svg"]
COLUMN_INCHES = 3.35
"""Width of a column of a two-column paper (IEEE and CVPR: 3.25 to 3.5 inches)."""
SIZES = {"font.size": 8, "axes.labelsize": 8, "xtick.labelsize": 7, "ytick.labelsize": 7, "legend.fontsize": 6.5}
"""Points, for a paper whose text is set in 9 or 10."""
STYLE = {
    **SIZES,
    "font.family": "sans-serif",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.8,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.hashsalt": "raydistill",
    "savefig.dpi": 300,
}
WITHOUT_DATE: dict[str, dict[str, None]] = {"pdf": {"CreationDate": None}, "png": {"Software": None}, "svg": {"Date": None}}
"""By format, what would make the same picture other bytes each time."""
BESIDE = 1.04
"""Factor between what the confirm images say and the trials of the same IPC."""
GREY = "#595959"
STATE_MARKERS = {"finished": "o", "pruned": "x", "diverged": "^", "out_of_memory": "s", "timed_out": "v", "crashed": "P"}


def draw(study: Study, kind: str) -> Figure:
    """A picture of a study.

    Args:
        study: what it shows.
        kind: a key of `KINDS`.

    Raises:
        InputError: matplotlib is not installed, there is no such picture, or no trial has finished.
    """
    if kind not in KINDS:
        raise InputError(f"there is no picture {kind!r}; there are: {', '.join(KINDS)}: give one of these")
    rc_context, figure_class = _matplotlib()
    if not study.finished:
        raise InputError(f"no trial of {study.name} has finished yet, so there is nothing to draw: wait for the first one")
    with rc_context(STYLE):
        figure = figure_class(figsize=(COLUMN_INCHES, 0.86 * COLUMN_INCHES), layout="constrained")
        KINDS[kind](figure.subplots(), study)
    # A notebook shows by itself only figures that pyplot made; of others it asks for their PNG.
    figure._repr_png_ = lambda: save(figure, "png")
    return figure  # type: ignore[no-any-return]


def save(figure: Figure, suffix: Format) -> bytes:
    """The picture as a file's bytes, the same bytes for the same picture.

    Raises:
        InputError: there is no such format, or matplotlib is not installed.
    """
    if suffix not in WITHOUT_DATE:
        raise InputError(f"there is no format {suffix!r}; there are: {', '.join(WITHOUT_DATE)}: give one of these")
    rc_context, _ = _matplotlib()
    buffer = BytesIO()
    with rc_context(STYLE):
        figure.savefig(buffer, format=suffix, metadata=WITHOUT_DATE[suffix])
    return buffer.getvalue()


def _matplotlib() -> tuple[Any, Any]:
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            "pictures for a paper need matplotlib, which is not installed: pip install 'raydistill[plots]', or in a copy of the "
            "repository pip install '.[plots]'"
        ) from error
    return rc_context, Figure


def _accuracy(axes: Any, study: Study) -> None:
    looks, full, margin, ends = looks_of(study.arms), study.baseline_accuracy_fraction, study.margin_fraction, ends_of(study)
    curve = curve_rows(study)
    if ends.lossy_ipc is not None and ends.lossless_ipc is not None:
        axes.axvspan(ends.lossy_ipc, ends.lossless_ipc, color=OF_METHODS[0][0], alpha=0.08, linewidth=0)
    if full is not None and margin is not None:
        axes.axhline(100 * full, color=GREY, linewidth=0.8)
        axes.axhline(100 * (full - margin), color=GREY, linewidth=0.8, linestyle=(0, (5, 3)))
        axes.annotate("full data", (0.01, 100 * full), xycoords=("axes fraction", "data"), va="bottom", fontsize=6.5, color=GREY)
        words = f"margin, {100 * margin:g} points"
        at = (0.01, 100 * (full - margin))
        axes.annotate(words, at, xycoords=("axes fraction", "data"), va="top", fontsize=6.5, color=GREY)
    for arm in dict.fromkeys(point.arm for point in curve):
        own = [point for point in curve if point.arm == arm]
        _dots(axes, [t for t in study.finished if t.arm == arm], looks[arm])
        _line(axes, line_of(own), looks[arm], full)
    _confirmed(axes, study, full)
    shown = [100 * (t.accuracy_fraction or 0.0) for t in study.finished]
    shown += [] if full is None or margin is None else [100 * full, 100 * (full - margin)]
    shown += [100 * accuracy for accuracy in confirmed_accuracies(study)]
    room = 0.06 * (max(shown) - min(shown)) or 1.0
    axes.set_ylim(min(shown) - room, max(shown) + room)
    _ipc_axis(axes.xaxis, axes.set_xscale)
    axes.set_xlabel("images per class (IPC)")
    axes.set_ylabel(f"{study.metric_words} (%), select images")
    axes.legend(loc="lower right", ncols=2 if len(looks) > 3 else 1, handlelength=2.2, columnspacing=1.0, labelspacing=0.25)


def _dots(axes: Any, trials: Sequence[Trial], look: Look) -> None:
    xs, ys = [trial.ipc for trial in trials], [100 * (trial.accuracy_fraction or 0.0) for trial in trials]
    axes.plot(xs, ys, linestyle="none", alpha=0.4, **_marker(look))


def _line(axes: Any, points: Sequence[Point], look: Look, full: float | None) -> None:
    dash = {"linestyle": (0, tuple(part / 2 for part in look.dash))} if look.dash else {"linestyle": "-"}
    xs, ys = [point.ipc for point in points], [100 * point.accuracy_fraction for point in points]
    axes.plot(xs, ys, label=points[0].arm, **dash, **_marker(look))
    for point in points:
        if full is not None and point.low is not None and point.high is not None:
            ends = [100 * (full - point.high), 100 * (full - point.low)]
            axes.plot([point.ipc, point.ipc], ends, color=look.light, linewidth=0.7, alpha=0.6)


def _marker(look: Look) -> dict[str, Any]:
    return {
        "marker": MARKERS[look.shape],
        "color": look.light,
        "markerfacecolor": look.light if look.is_filled else "white",
        "markeredgewidth": 0.9,
    }


def _confirmed(axes: Any, study: Study, full: float | None) -> None:
    if full is None:
        return
    label, shown = "on confirm images", confirmed_sets(study)
    there, in_all = Counter[int](), Counter(one.ipc for one in shown)
    for one in shown:
        there[one.ipc] += 1
        gap, place = one.gap_interval, one.ipc * BESIDE ** side_step(there[one.ipc], in_all[one.ipc])
        at, error = 100 * (full - gap.gap), [[100 * (gap.upper - gap.gap)], [100 * (gap.gap - gap.lower)]]
        face = CONFIRMED[0] if isinstance(one, Smallest) else "white"
        axes.errorbar([place], [at], yerr=error, fmt="D", color=CONFIRMED[0], markerfacecolor=face, capsize=2, label=label)
        label = "_nolegend_"


def _ipc_axis(axis: Any, set_scale: Callable[[str], Any]) -> None:
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    set_scale("log")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _cost(axes: Any, study: Study) -> None:
    within, looks = within_margin(study), looks_of(study.arms)
    inside = {trial.trial_id for trial in within}
    for arm, look in looks.items():
        own = [t for t in study.finished if t.arm == arm and t.record is not None and t.seconds]
        if not own:
            continue
        for is_within in (False, True):
            some = [trial for trial in own if (trial.trial_id in inside) is is_within]
            xs, ys = [trial.record.images for trial in some if trial.record], [trial.seconds for trial in some]
            named = {"label": arm} if is_within else {}
            axes.plot(xs, ys, linestyle="none", alpha=1.0 if is_within else 0.35, **named, **_marker(look))
    front = cheapest(within)
    xs, ys = [t.record.images for t in front if t.record], [t.seconds for t in front]
    axes.step(xs, ys, where="post", color=GREY, linewidth=0.8, linestyle=":", label="Pareto front" if len(front) > 1 else None)
    _ipc_axis(axes.xaxis, axes.set_xscale)
    _ipc_axis(axes.yaxis, axes.set_yscale)
    axes.set_xlabel("images in the set")
    axes.set_ylabel("seconds to make and to read")
    axes.legend(loc="best", ncols=2 if len(looks) > 3 else 1, handlelength=1.2, columnspacing=1.0, labelspacing=0.25)


def _progress(axes: Any, study: Study) -> None:
    begun = [(datetime.fromisoformat(t.record.started_at), t) for t in study.asked if t.record is not None]
    start = min(moment for moment, _ in begun)
    states = list(dict.fromkeys(trial.state for _, trial in begun))
    for state in states:
        own = [(moment, trial) for moment, trial in begun if trial.state == state]
        xs = [(moment - start).total_seconds() / 60 for moment, _ in own]
        label = f"{state.replace('_', ' ')} ({len(own)})"
        axes.plot(xs, [t.ipc for _, t in own], STATE_MARKERS[state], label=label, color=_state_colour(state), alpha=0.8)
    _ipc_axis(axes.yaxis, axes.set_yscale)
    axes.set_xlabel("minutes since the first trial began")
    axes.set_ylabel("images per class (IPC)")
    axes.legend(loc="best", labelspacing=0.25)


def _state_colour(state: str) -> str:
    return {"finished": "#0072B2", "pruned": GREY}.get(state, CONFIRMED[0])


KINDS: dict[str, Callable[[Any, Study], None]] = {"accuracy": _accuracy, "cost": _cost, "progress": _progress}
"""Every picture by its name."""


def pictures(study: Study, suffix: Format) -> Iterator[tuple[str, bytes]]:
    """File name and bytes of every picture of a study.

    Raises:
        InputError: matplotlib is not installed, there is no such format, or no trial has finished.
    """
    for kind in KINDS:
        yield f"{kind}.{suffix}", save(draw(study, kind), suffix)
