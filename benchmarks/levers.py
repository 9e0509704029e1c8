"""What each lever gives: sets of one size by a base method with one setting changed, and by selection, on select images.

    python benchmarks/levers.py mnist_cpu --data-root DIR --ipc 10 --draws 5
    python benchmarks/levers.py mnist_cpu --data-root DIR --rows dm "dm, factor 2" random --csv levers.csv

Each draw makes a set with a seed of its own and trains a few networks on it by the recipe `quick`. A row is printed as soon as it
is measured: the mean over draws of the mean over networks, the deviation over draws, and the gain over `random` on the same draws
with a two-sided 95 % Student interval of the paired differences. `random` is measured first, always.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from raydistill.catalogue import load_space
from raydistill.comparison.rows import paired_interval
from raydistill.core.contract import NoCheckpoint
from raydistill.core.evaluate import evaluate_set, network_seeds
from raydistill.core.process import prepare_process
from raydistill.core.recipes import RECIPES
from raydistill.data.splits import load_splits
from raydistill.methods import METHODS
from raydistill.search.distributions import any_trial
from raydistill.spaces.sections import dataset_config, derive_seed
from raydistill.spaces.trial import TrialConfig
from raydistill.trial.distillation import distil

BASE = {"name": "dm", "lr_images": 5.0, "random_inits": 200, "batch_real": 64, "init": "real"}
ROWS: dict[str, Mapping[str, Any]] = {
    "random": {"name": "random"},
    "k-center": {"name": "k_center"},
    "herding": {"name": "herding"},
    "k-means": {"name": "k_means"},
    "k-means medoids": {"name": "k_means_medoids"},
    "random, factor 2": {"name": "random", "factor": 2},
    "herding, factor 2": {"name": "herding", "factor": 2},
    "k-means medoids, factor 2": {"name": "k_means_medoids", "factor": 2},
    "dm": BASE,
    "dm, four times the updates": {**BASE, "random_inits": 800},
    "dm, start k-means": {**BASE, "init": "k_means"},
    "dm, start medoids": {**BASE, "init": "k_means_medoids"},
    "dm, partly trained networks": {**BASE, "pool": 5},
    "dm, factor 2": {**BASE, "factor": 2},
    "dm, 256 real images per class": {**BASE, "batch_real": 256},
    "dm, no augmentation": {**BASE, "augmentation": "none"},
    "dm, start medoids, factor 2": {**BASE, "init": "k_means_medoids", "factor": 2},
    "dm, start medoids, factor 2, partly trained": {**BASE, "init": "k_means_medoids", "factor": 2, "pool": 5},
    "datadam": {**BASE, "name": "datadam"},
    "datadam, start medoids, factor 2": {**BASE, "name": "datadam", "init": "k_means_medoids", "factor": 2},
    "rat_bptt, start k-means": {
        "name": "rat_bptt",
        "lr_images": 0.005,
        "random_inits": 100,
        "training_steps": 80,
        "window": 40,
        "batch_real": 25,
        "init": "k_means",
    },
}


def main() -> None:
    """Measure the rows that were asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", help="A space that names the data set and the network.")
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS), metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--data-root")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="PATH=VALUE")
    parser.add_argument("--recipe", choices=list(RECIPES), default="quick")
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--draws", type=int, default=5, help="Two or more.")
    parser.add_argument("--networks", type=int, default=2)
    parser.add_argument("--csv", type=Path, help="Appends a line for each set: row, IPC, draw, accuracies, seconds.")
    given = parser.parse_args()
    space = load_space(given.space, [f"evaluation.recipe={given.recipe}", *given.overrides], given.data_root)
    splits = load_splits(dataset_config(space.shared["dataset"]), given.data_root)
    base = any_trial(space.arms[0], splits.sha256)
    device = prepare_process(base)
    print(
        f"| set, IPC {given.ipc} | accuracy (%) | std over draws | above random (points) | 95 % interval | seconds to make it |\n"
        "|---|---|---|---|---|---|"
    )
    above = np.zeros(given.draws)
    for name in dict.fromkeys(["random", *given.rows]):
        method = METHODS[ROWS[name]["name"]]
        means, seconds = [], []
        for draw in range(given.draws):
            config = TrialConfig[method.config].model_validate(  # type: ignore[name-defined]
                {**base.model_dump(), "method": ROWS[name], "ipc": given.ipc, "seed": derive_seed("levers", draw)}
            )
            started = time.perf_counter()
            synthetic = distil(config, splits, device, lambda *_, **__: None, NoCheckpoint(), None)
            seconds.append(time.perf_counter() - started)
            seeds = network_seeds(f"levers {draw}", splits.sha256, given.networks)
            correct = evaluate_set(synthetic, splits, splits.select, config.network, RECIPES[given.recipe], seeds, device)
            each = [100 * float(one) for one in correct.mean(axis=-1)]
            means.append(statistics.mean(each))
            if given.csv:
                with given.csv.open("a", newline="") as file:
                    csv.writer(file).writerow(
                        (name, given.ipc, draw, " ".join(f"{one:.2f}" for one in each), f"{seconds[-1]:.1f}")
                    )
        gain, low, high = paired_interval(np.array(means) - above) if name != "random" else (0.0, 0.0, 0.0)
        interval = f"{gain:.2f} | {low:.2f} to {high:.2f}" if name != "random" else " | "
        if name == "random":
            above = np.array(means)
        cells = (
            name,
            f"{statistics.mean(means):.2f}",
            f"{statistics.stdev(means):.2f}",
            interval,
            f"{statistics.median(seconds):.0f}",
        )
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
