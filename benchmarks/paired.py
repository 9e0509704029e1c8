"""The gain of one row over another in what `benchmarks/levers.py --csv` measured, paired by draw.

    python benchmarks/paired.py benchmarks/readings/mnist-quick.csv "random, factor 2" random --ipc 16 16
    python benchmarks/paired.py benchmarks/readings/mnist-quick.csv "random, factor 2" random --ipc 8 16

The two may be of different sizes. Printed are the gain in points, its two-sided 95 % Student interval, and the number of draws
that both have.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from pathlib import Path

import numpy as np

from raydistill.comparison.rows import paired_interval


def by_draw(file: Path, row: str, ipc: int) -> dict[int, float]:
    """The mean accuracy of the last set of each draw, in percent.

    A draw that a stopped run left on its way, with `--at`, has no last set: the last are of the most updates that the row has in
    the file, at any size.
    """
    with file.open(newline="") as opened:
        lines = [line for line in csv.DictReader(opened) if line["row"] == row]
    last = max((int(line["update"]) for line in lines), default=0)
    ended = [line for line in lines if int(line["ipc"]) == ipc and int(line["update"]) == last]
    return {int(line["draw"]): statistics.mean(map(float, line["accuracies_percent"].split())) for line in ended}


def main() -> None:
    """Compare the two rows that were named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("row", help="Of the file's column `row`.")
    parser.add_argument("over", help="The row to compare with.")
    parser.add_argument("--ipc", type=int, nargs=2, default=[10, 10], help="The size of each.")
    given = parser.parse_args()
    ours, theirs = (by_draw(given.csv, row, ipc) for row, ipc in zip((given.row, given.over), given.ipc, strict=True))
    draws = sorted(ours.keys() & theirs.keys())
    if len(draws) < 2:
        parser.error(f"{given.csv} has {len(draws)} draws of both rows at these sizes: two are the least")
    gain, low, high = paired_interval(np.array([ours[draw] - theirs[draw] for draw in draws]))
    print(f"{gain:.2f} points, {low:.2f} to {high:.2f}, {len(draws)} draws")


if __name__ == "__main__":
    main()
