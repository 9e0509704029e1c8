"""What `factor` and `pool` give on MNIST: sets of a few settings beside the same real images, accuracy on select images.

    python benchmarks/levers.py --data-root DIR --draws 3 ["random, factor 2" ...]

Each draw makes a set with a seed of its own and trains a few networks on it by the recipe `quick`. A row is printed as soon as it
is measured: mean and standard deviation over draws, after the mean over the networks of each draw.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping
from typing import Any

from raydistill.catalogue import load_space
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

MATCHED = {"name": "datadam", "lr_images": 5.0, "random_inits": 250, "batch_real": 64, "init": "k_means_medoids"}
ROWS: dict[str, Mapping[str, Any]] = {
    "random": {"name": "random"},
    "random, factor 2": {"name": "random", "factor": 2},
    "k-means medoids": {"name": "k_means_medoids"},
    "k-means medoids, factor 2": {"name": "k_means_medoids", "factor": 2},
    "datadam": MATCHED,
    "datadam, factor 2": {**MATCHED, "factor": 2},
    "datadam, factor 2, pool 5": {**MATCHED, "factor": 2, "pool": 5},
}


def main() -> None:
    """Measure the rows that were asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help="by default all")
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--networks", type=int, default=2)
    given = parser.parse_args()
    space = load_space("mnist_cpu", [f"network.width={given.width}", "evaluation.recipe=quick"], given.data_root)
    splits = load_splits(dataset_config(space.shared["dataset"]), given.data_root)
    base = any_trial(space.arms[0], splits.sha256)
    device = prepare_process(base)
    print("| set | accuracy on select images (%) | deviation over draws | draws, networks of each |\n|---|---|---|---|")
    for name in given.rows or ROWS:
        method = METHODS[ROWS[name]["name"]]
        means = []
        for draw in range(given.draws):
            config = TrialConfig[method.config].model_validate(  # type: ignore[name-defined]
                {**base.model_dump(), "method": ROWS[name], "ipc": given.ipc, "seed": derive_seed("levers", draw)}
            )
            synthetic = distil(config, splits, device, lambda *_, **__: None, NoCheckpoint(), None)
            seeds = network_seeds(f"levers {draw}", splits.sha256, given.networks)
            correct = evaluate_set(synthetic, splits, splits.select, config.network, RECIPES["quick"], seeds, device)
            means.append(100 * float(correct.mean()))
        deviation = f"{statistics.stdev(means):.2f}" if len(means) > 1 else ""
        print(f"| {name} | {statistics.mean(means):.2f} | {deviation} | {given.draws}, {given.networks} |", flush=True)


if __name__ == "__main__":
    main()
