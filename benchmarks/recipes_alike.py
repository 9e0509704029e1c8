"""Does a cheaper recipe judge sets as an expensive one does? Both train networks on the same sets of one race.

    python benchmarks/recipes_alike.py digits --recipes default quick                  # 35 sets, 20 minutes on one core
    python benchmarks/recipes_alike.py digits --recipes default quick --ipc 2 5 --networks 2

The sets are those of every arm of the space (methods and controls) at every IPC, with the middle of every other range. The first
recipe is the one to be like. Networks are read on the select and confirm images together. Printed are each recipe's full-data
accuracy with its steps and with twice as many, one row per set, and for each cheaper recipe: Spearman's rank correlation of the
sets' gaps with that of the first recipe, the mean difference of the gaps, and the standard deviation of the difference over sets.
Intervals are 95 %: for the correlation by a bootstrap over sets, for the mean by Student's t over sets.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from raydistill.catalogue import load_space
from raydistill.core.contract import NoCheckpoint
from raydistill.core.evaluate import evaluate_set, network_seeds, train_and_read
from raydistill.core.process import set_up_process
from raydistill.core.recipes import RECIPES
from raydistill.data.splits import LabelledImages, load_splits
from raydistill.search.distributions import middle
from raydistill.spaces.sections import dataset_config
from raydistill.trial.distillation import distil

Floats = NDArray[np.float64]
BOOTSTRAPS = 10_000


def correlation(one: Floats, other: Floats) -> tuple[float, float, float]:
    """Spearman's rank correlation of two rows of gaps, with a 95 % interval by a bootstrap over the sets."""
    generator = np.random.default_rng(0)
    drawn = generator.integers(len(one), size=(BOOTSTRAPS, len(one)))
    ranks = [stats.rankdata(row[drawn], axis=1) for row in (one, other)]
    centred = [rank - rank.mean(axis=1, keepdims=True) for rank in ranks]
    together = (centred[0] * centred[1]).sum(axis=1)
    found = together / np.sqrt((centred[0] ** 2).sum(axis=1) * (centred[1] ** 2).sum(axis=1))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(stats.spearmanr(one, other).statistic), float(low), float(high)


def mean_with_interval(values: Floats) -> tuple[float, float, float]:
    """Mean with a 95 % interval by Student's t."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", help="a shipped space or a file: a race")
    parser.add_argument("--recipes", nargs="+", required=True, help="in steps; the first is the one to be like")
    parser.add_argument("--ipc", nargs="+", type=int, default=[2, 5, 10, 20, 40])
    parser.add_argument("--networks", type=int, default=4)
    parser.add_argument("--data-root")
    parser.add_argument("--out", type=Path, help="rows as JSON lines")
    given = parser.parse_args()
    device = set_up_process(1, "cpu")
    space = load_space(given.space, [], given.data_root)
    splits = load_splits(dataset_config(space.shared["dataset"]), given.data_root)
    part = LabelledImages(
        images=torch.cat([splits.select.images, splits.confirm.images]),
        labels=torch.cat([splits.select.labels, splits.confirm.labels]),
    )
    network = (
        space.arms[0]
        .trial(ask_number=0, values={path: middle(r) for path, r in space.arms[0].ranges.items()}, data_sha256=splits.sha256)
        .network
    )
    seeds = network_seeds("recipes", splits.sha256, given.networks)
    full: dict[str, float] = {}
    for name in given.recipes:
        recipe = RECIPES[name].for_set(1)
        accuracies = []
        for steps in (recipe, recipe.doubled()):
            rows = [
                train_and_read(
                    splits.train.images, splits.train.labels, splits, [part], network, steps, seed, device, diverged=None
                )[0]
                for seed in seeds
            ]
            accuracies.append(np.array(rows).mean(axis=1))
        full[name] = float(accuracies[0].mean())
        once, twice = (f"{100 * row.mean():.2f} % ({100 * row.std(ddof=1):.2f})" for row in accuracies)
        print(f"full data, {recipe}: {once}; twice the steps {twice}", flush=True)
    print(f"\n| arm | IPC | {' | '.join(f'{name}, gap (points)' for name in given.recipes)} | seconds per network |")
    print("|---|---|" + "---|" * (len(given.recipes) + 1))
    gaps: dict[str, list[float]] = {name: [] for name in given.recipes}
    for arm in space.arms:
        for ipc in given.ipc:
            values = {path: ipc if path == "ipc" else middle(dimension) for path, dimension in arm.ranges.items()}
            config = arm.trial(ask_number=0, values=values, data_sha256=splits.sha256)
            synthetic = distil(config, splits, device, lambda *_, **__: None, NoCheckpoint(), None)
            seconds = []
            for name in given.recipes:
                began = time.process_time()
                correct = evaluate_set(synthetic, splits, part, network, RECIPES[name], seeds, device, diverged=None)
                seconds.append((time.process_time() - began) / len(seeds))
                gaps[name].append(full[name] - float(correct.mean()))
                if given.out is not None:
                    row = {"arm": arm.label, "ipc": ipc, "recipe": name, "accuracies": correct.mean(axis=1).tolist()}
                    with given.out.open("a") as file:
                        file.write(json.dumps(row) + "\n")
            cells = " | ".join(f"{100 * gaps[name][-1]:.2f}" for name in given.recipes)
            print(f"| {arm.label} | {ipc} | {cells} | {', '.join(f'{s:.2f}' for s in seconds)} |", flush=True)
    first = np.array(gaps[given.recipes[0]])
    for name in given.recipes[1:]:
        other = np.array(gaps[name])
        rho, low, high = correlation(first, other)
        mean, below, above = (100 * value for value in mean_with_interval(other - first))
        spread = 100 * (other - first).std(ddof=1)
        print(
            f"\n{name} beside {given.recipes[0]}, {len(first)} sets: rank correlation {rho:.3f} ({low:.3f} to {high:.3f}); gap "
            f"{mean:+.2f} points ({below:+.2f} to {above:+.2f}), standard deviation over sets {spread:.2f}"
        )


if __name__ == "__main__":
    main()
