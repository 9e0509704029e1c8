"""Draws what `benchmarks/levers.py --csv` measured: accuracy over images per class, or over image updates.

    python benchmarks/curves.py ipc.csv docs/images/curve-mnist-ipc.svg --over ipc --title "MNIST, ConvNet-3 of width 16"
    python benchmarks/curves.py benchmarks/readings/mnist-quick.csv curve.svg --rows random "random, factor 2"
    python benchmarks/curves.py updates.csv docs/images/curve-digits-updates.svg --over update

A point is the mean over draws, its bar the standard deviation over draws. Needs matplotlib (`pip install '.[plots]'`).
"""

from __future__ import annotations

import argparse
import csv
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from levers import ROWS
from matplotlib import rc_context
from matplotlib.figure import Figure

from raydistill.methods import METHODS
from raydistill.report.looks import MARKERS, looks_of
from raydistill.report.plots import COLUMN_INCHES, STYLE, save

LABELS = {"ipc": "images per class (IPC)", "update": "updates of the images"}


def points(file: Path, over: str, rows: Sequence[str]) -> dict[str, dict[int, list[float]]]:
    """By row and place: the mean accuracy of each draw, in percent; of all rows where none are named.

    Over images per class only the last sets count; over updates the sets must be of one size. A set that was read twice, because
    a run was stopped on its way, counts once.
    """
    with file.open(newline="") as opened:
        lines = [line for line in csv.DictReader(opened) if not rows or line["row"] in rows]
    if over == "update" and len(sizes := {line["ipc"] for line in lines}) > 1:
        raise SystemExit(f"{file} holds sets of IPC {', '.join(sorted(sizes))}: measure one size for a picture over updates")
    last = {row: max(int(line["update"]) for line in lines if line["row"] == row) for row in {line["row"] for line in lines}}
    found: dict[str, dict[int, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for line in lines:
        if over == "update" or int(line["update"]) == last[line["row"]]:
            accuracies = [float(one) for one in line["accuracies_percent"].split()]
            found[line["row"]][int(line[over])][line["draw"]] = statistics.mean(accuracies)
    return {row: {place: list(draws.values()) for place, draws in places.items()} for row, places in found.items()}


def main() -> None:
    """Draw one picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("picture", type=Path, help="Ends with .svg, .png or .pdf.")
    parser.add_argument("--over", choices=list(LABELS), default="ipc")
    parser.add_argument("--title", default="")
    parser.add_argument("--rows", nargs="*", default=[], metavar="ROW", help="Of the file; by default all.")
    given = parser.parse_args()
    found = points(given.csv, given.over, given.rows)
    looks = looks_of({row: METHODS[ROWS[row.partition(" [")[0]]["name"]].control is not None for row in found})
    with rc_context(STYLE):
        figure = Figure(figsize=(1.5 * COLUMN_INCHES, COLUMN_INCHES), layout="constrained")
        axes = figure.subplots()
        for row, places in found.items():
            look, own = looks[row], sorted(places)
            means = [statistics.mean(places[place]) for place in own]
            bars = [statistics.stdev(places[place]) if len(places[place]) > 1 else 0.0 for place in own]
            if given.over == "update" and own == [0]:
                axes.axhline(means[0], color=look.light, linestyle=(0, (2, 3)), linewidth=0.8, label=row)
                continue
            face = look.light if look.is_filled else "white"
            axes.errorbar(own, means, bars, label=row, color=look.light, marker=MARKERS[look.shape], markerfacecolor=face)
        if given.over == "ipc":
            axes.set_xscale("log")
            axes.set_xticks(ticks := sorted({place for places in found.values() for place in places}), [str(t) for t in ticks])
            axes.minorticks_off()
        axes.set_xlabel(LABELS[given.over])
        axes.set_ylabel("accuracy (%), select images")
        figure.suptitle(given.title)
        figure.legend(loc="outside lower center", ncols=2)
    given.picture.write_bytes(save(figure, given.picture.suffix.removeprefix(".")))


if __name__ == "__main__":
    main()
