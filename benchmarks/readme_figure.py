"""The picture at the top of README.md, drawn from the folder of a finished search.

    raydistill search digits --store studies
    python benchmarks/readme_figure.py studies/digits docs/images/digits-search.png

Needs matplotlib (`pip install '.[docs]'`). Prints the sentence that stands as the picture's alternative text.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from raydistill.methods import METHODS, method_configs
from raydistill.storage.record import TrialRecord, read_trials
from raydistill.storage.result import SearchResult, read_result
from raydistill.storage.store import Store

# From the palette of Okabe and Ito, which people with any kind of colour vision tell apart; shapes differ as well.
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#595959"
OF_METHODS = ("#0072B2", "#009E73", "#CC79A7")
OF_CONTROLS = ("#E69F00", "#56B4E9", "#000000", "#D55E00", "#595959")
SHAPES = "osv^Pp"
PAPER = "#FFFFFF"
"""The picture brings its own ground, so that it reads the same on a light and on a dark page."""
COLUMNS_OF_STRIP = 20
PADDING = 2
"""Pixels between the images of `images.png`, as `core.picture.grid_png` sets them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What the picture shows."""

    result: SearchResult
    finished: tuple[TrialRecord, ...]
    stopped: tuple[TrialRecord, ...]
    """Trials that were stopped half-way; their last gap is that of an unfinished set."""
    winner: TrialRecord
    classes: int
    strip: NDArray[np.uint8]
    """(H, W) or (H, W, 3) pixels: synthetic images of the winner, side by side."""


def read_finding(study: Store) -> Finding:
    """What a study found.

    Raises:
        SystemExit: the search has not ended, or has no winner.
    """
    result = read_result(study)
    if result is None or result.winner_trial_id is None:
        raise SystemExit(f"{study.root} has no confirmed winner to draw; give the folder of a search that ended as lossless")
    records = [record for _, record in read_trials(study, method_configs()) if record is not None]
    winner = next(record for record in records if record.trial_id == result.winner_trial_id)
    picture = study.read(f"trials/{winner.trial_id}/images.png")
    return Finding(
        result=result,
        finished=tuple(record for record in records if record.state == "finished"),
        stopped=tuple(record for record in records if record.state == "pruned"),
        winner=winner,
        classes=winner.images // winner.ipc,
        strip=cut_strip(picture, ipc=winner.ipc, classes=winner.images // winner.ipc),
    )


def cut_strip(picture: bytes, *, ipc: int, classes: int) -> NDArray[np.uint8]:
    """Images of every class in turn, side by side, cut from an `images.png` of a row per class.

    Args:
        picture: the PNG.
        ipc: images in a row.
        classes: rows.

    Returns:
        (H, W) or (H, W, 3) pixels; as many images of each class as `COLUMNS_OF_STRIP` holds, at least one.
    """
    pixels = np.asarray(Image.open(BytesIO(picture)))
    height, width = ((side - PADDING) // count for side, count in zip(pixels.shape[:2], (classes, ipc), strict=True))
    each = max(1, min(ipc, COLUMNS_OF_STRIP // classes))
    cells = [
        pixels[PADDING + row * height : PADDING + (row + 1) * height, PADDING + column * width : PADDING + (column + 1) * width]
        for row in range(min(classes, COLUMNS_OF_STRIP))
        for column in range(each)
    ]
    return np.concatenate(cells, axis=1)[: height - PADDING, : len(cells) * width - PADDING]


def say(finding: Finding) -> str:
    """The finding in one sentence, for who cannot see the picture."""
    result, interval = finding.result, finding.result.gap_interval
    assert interval is not None
    if result.finding is not None and result.finding.claim != "no_controls":
        return (
            f"Gap to the full data against images per class, for {len(finding.finished)} finished and {len(finding.stopped)} "
            f"stopped trials of methods and controls on {result.dataset}, with a margin of {100 * result.margin_fraction:g} "
            f"points: {result.finding.sentence}. Below the chart: images of the smallest lossless set."
        )
    return (
        f"Gap to the full data against images per class, for {len(finding.finished)} finished and {len(finding.stopped)} stopped "
        f"trials on {result.dataset}: {finding.winner.ipc} images per class are confirmed as lossless, with a gap of "
        f"{100 * interval.gap:.2f} points and at most {100 * interval.upper:.2f} points at {100 * interval.confidence:g} % "
        f"confidence, within the margin of {100 * result.margin_fraction:g} points. Below the chart: images of that set."
    )


def draw(finding: Finding, path: Path) -> None:
    """Write the picture as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.7), dpi=160, facecolor=PAPER, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)
    chart, strip = figure.subplots(2, 1, height_ratios=[6, 1])
    _draw_trials(chart, finding)
    strip.imshow(finding.strip, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="equal")
    strip.set_axis_off()
    set_of = f"From the set of IPC {finding.winner.ipc}: {finding.winner.images} images in all"
    strip.set_title(set_of, fontsize=9, color=GREY, loc="left")
    figure.savefig(path, metadata={"Software": None}, pad_inches=0.15)


def _draw_trials(chart: Any, finding: Finding) -> None:
    result, interval = finding.result, finding.result.gap_interval
    assert interval is not None
    margin, ipc = 100 * result.margin_fraction, finding.winner.ipc
    chart.axhspan(-100, margin, color=BLUE, alpha=0.08, linewidth=0)
    chart.axhline(margin, color=GREY, linewidth=1, linestyle="--")
    for label, own, style in _arms(finding):
        chart.scatter([r.ipc for r in own], [100 * (r.gap or 0) for r in own], s=46, label=label, **style)
    if finding.stopped:
        gaps = [100 * r.readings[-1].gap for r in finding.stopped]
        chart.scatter([r.ipc for r in finding.stopped], gaps, s=46, marker="x", color=GREY, label="one trial, stopped half-way")
    chart.errorbar(
        [ipc],
        [100 * interval.gap],
        yerr=[[0], [100 * (interval.upper - interval.gap)]],
        fmt="D",
        markersize=8,
        color=VERMILION,
        capsize=5,
        label=f"the winner on fresh images and seeds, with its {100 * interval.confidence:g} % bound",
    )
    shown = [100 * r.readings[-1].gap for r in (*finding.finished, *finding.stopped)]
    chart.set_ylim(min(*shown, 0.0) - 0.5, max(*shown, margin) * 1.1 + 0.5)
    chart.set_xscale("log")
    ticks = sorted({1, 2, 5, 10, 20, 50, 100, 200, 500, 1000} & set(range(_lowest(finding), _highest(finding) + 1)) | {ipc})
    chart.set_xticks(ticks, [str(tick) for tick in ticks])
    chart.minorticks_off()
    chart.set_xlim(_lowest(finding) * 0.8, _highest(finding) * 1.25)
    place = {"xy": (_highest(finding) * 1.22, margin), "textcoords": "offset points", "ha": "right", "fontsize": 9, "color": GREY}
    chart.annotate(f"margin: {margin:g} points", xytext=(0, 4), va="bottom", **place)
    chart.annotate("lossless", xytext=(0, -4), va="top", **place)
    chart.set_xlabel("images per class (IPC)")
    chart.set_ylabel("gap to the full data (points)")
    is_race = len({record.arm for record in finding.finished}) > 1
    what = f"{ipc} images per class ({finding.winner.arm})" if is_race else f"{ipc} images per class"
    chart.set_title(f"{result.dataset}: {what} are lossless, within {margin:g} points", loc="left")
    chart.legend(frameon=False, fontsize=8, loc="upper right", ncols=2 if is_race else 1)
    for side in ("top", "right"):
        chart.spines[side].set_visible(False)


def _arms(finding: Finding) -> Iterator[tuple[str, list[TrialRecord], dict[str, Any]]]:
    """Label, finished trials and style of each arm: methods are filled, controls hollow."""
    arms = list(dict.fromkeys(record.arm for record in finding.finished))
    if len(arms) == 1:
        yield "one trial: one synthetic set", list(finding.finished), {"color": BLUE}
        return
    colours = {True: iter(OF_CONTROLS), False: iter(OF_METHODS)}
    is_control = {record.arm: METHODS[record.method].control is not None for record in finding.finished}
    for arm, shape in zip(sorted(arms, key=lambda arm: is_control[arm]), itertools.cycle(SHAPES), strict=False):
        colour = next(colours[is_control[arm]], GREY)
        fill = {"facecolors": "none", "edgecolors": colour} if is_control[arm] else {"color": colour}
        yield arm, [record for record in finding.finished if record.arm == arm], {"marker": shape, **fill}


def _lowest(finding: Finding) -> int:
    return min(record.ipc for record in (*finding.finished, *finding.stopped))


def _highest(finding: Finding) -> int:
    return max(record.ipc for record in (*finding.finished, *finding.stopped))


def main(words: list[str] | None = None) -> None:
    """Draw the picture of a study's folder."""
    parser = argparse.ArgumentParser(description="Draw the picture at the top of README.md from a finished search.")
    parser.add_argument("study", help="folder or URI <store>/<study>")
    parser.add_argument("picture", type=Path, help="the PNG to write")
    given = parser.parse_args(words)
    finding = read_finding(Store(given.study))
    draw(finding, given.picture)
    print(say(finding))


if __name__ == "__main__":
    main()
