"""What each lever gives: sets of one size by a base method with one setting changed, and by selection, on select images.

    python benchmarks/levers.py mnist_cpu --data-root DIR --ipc 10 --draws 5
    python benchmarks/levers.py mnist_cpu --data-root DIR --rows dm "dm, factor 2" --ipc 1 3 10 30 --csv ipc.csv
    python benchmarks/levers.py digits --rows dm "rat_bptt, start k-means" --ipc 2 --at 0 50 100 200 --csv updates.csv
    python benchmarks/levers.py mnist_cpu --data-root DIR --readers width=128 --recipe default --networks 1 --draws 3
    python benchmarks/levers.py mnist_cpu --data-root DIR --rows herding --ipc 10 50 --recipe affine --full
    python benchmarks/levers.py mnist_cpu --data-root DIR --rows "dm, factor 2" --ipc 32 --method lr_images=20.0

Each draw makes a set with a seed of its own and trains a few networks on it by the recipe `quick`. A row is printed as soon as it
is measured: the mean over draws of the mean over networks, the deviation over draws, and the gain over `random` on the same draws
with a two-sided 95 % Student interval of the paired differences. `random` is measured first, always. Rows with experts' labels
share two experts of twelve epochs, which are trained once and kept in `--store`.

`--csv` keeps a line for each set, with those of `--at` taken on the way. A set whose lines are there is not made again: a
stopped run goes on, and further draws join those that are there. A file of sets that were read in another way is refused, also if
SPACE is a YAML file that was edited since. `benchmarks/curves.py` draws the lines, `benchmarks/paired.py` compares two rows.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raydistill.catalogue import find_space, load_space, shipped_spaces
from raydistill.comparison.rows import paired_interval
from raydistill.core.contract import NoCheckpoint
from raydistill.core.evaluate import evaluate_set, network_seeds, train_and_read_each
from raydistill.core.process import prepare_process
from raydistill.core.recipes import RECIPES, Recipe
from raydistill.core.synthetic import SyntheticSet
from raydistill.data.splits import Splits, load_splits
from raydistill.experts.files import StoredExperts, open_experts
from raydistill.methods import METHODS
from raydistill.search.distributions import any_trial
from raydistill.search.experts import plan_experts, prepare_experts
from raydistill.search.local import LocalExecutor
from raydistill.search.watcher import SilentWatcher
from raydistill.search.workplace import Workplace
from raydistill.spaces.document import apply
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.sections import ImageFolderConfig, dataset_config, derive_seed
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.store import Store
from raydistill.trial.distillation import distil

COLUMNS = ("row", "ipc", "draw", "update", "accuracies_percent", "seconds_to_make", "read_by")

EXPERTS = {"experts": 2, "expert_epochs": 12, "expert_batch": 1024, "expert_lr": 0.1, "expert_rho": 0.0}
"""Those of `mnist_datm_cpu`; their labels are of the last epoch."""
LABELLED_LATE = {"datadam_soft", "dm_soft", "dc_soft"}
"""Methods that label their images at the start, half-way and at the end alone."""
BASE = {"name": "dm", "lr_images": 5.0, "random_inits": 200, "batch_real": 64, "init": "real"}
ROWS: dict[str, Mapping[str, Any]] = {
    "random": {"name": "random"},
    "k-center": {"name": "k_center"},
    "herding": {"name": "herding"},
    "k-means": {"name": "k_means"},
    "k-means medoids": {"name": "k_means_medoids"},
    "random, factor 2": {"name": "random", "factor": 2},
    "k-center, factor 2": {"name": "k_center", "factor": 2},
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
    "dm, start medoids, factor 2, twice the updates": {**BASE, "init": "k_means_medoids", "factor": 2, "random_inits": 400},
    "datadam": {**BASE, "name": "datadam"},
    "datadam, start medoids, factor 2": {**BASE, "name": "datadam", "init": "k_means_medoids", "factor": 2},
    # Under partly trained networks, as in IDC; the loop of DC spends most of its time training networks on the set.
    "dc, start medoids, factor 2": {
        "name": "dc",
        "lr_images": 0.1,
        "random_inits": 200,
        "steps_per_init": 1,
        "batch_real": 64,
        "init": "k_means_medoids",
        "factor": 2,
        "pool": 5,
    },
    "rat_bptt, start k-means": {
        "name": "rat_bptt",
        "lr_images": 0.005,
        "random_inits": 200,
        "training_steps": 80,
        "window": 40,
        "batch_real": 25,
        "init": "k_means",
    },
    "random, experts' labels": {"name": "random_soft", **EXPERTS},
    "k-center, experts' labels": {"name": "k_center_soft", **EXPERTS},
    "herding, experts' labels": {"name": "herding_soft", **EXPERTS},
    "k-means medoids, experts' labels": {"name": "k_means_medoids_soft", **EXPERTS},
    "k-means medoids, factor 2, experts' labels": {"name": "k_means_medoids_soft", "factor": 2, **EXPERTS},
    "dm, experts' labels": {**BASE, "name": "dm_soft", **EXPERTS},
    "dm, start medoids, factor 2, experts' labels": {
        **BASE,
        "name": "dm_soft",
        "init": "k_means_medoids",
        "factor": 2,
        **EXPERTS,
    },
    "rat_bptt, start medoids, learned labels": {
        "name": "rat_bptt_soft",
        "lr_images": 0.005,
        "random_inits": 200,
        "training_steps": 80,
        "window": 40,
        "batch_real": 25,
        "init": "k_means_medoids",
        **EXPERTS,
    },
}


@dataclass(kw_only=True)
class Bench:
    """What all sets have in common."""

    splits: Splits
    base: TrialConfig[Any]
    readers: NetworkConfig
    """The networks that read a set; those of `base` make it."""
    recipe: str
    networks: int
    device: torch.device
    store: Store
    """For experts."""
    data_root: str | None
    at: Sequence[int]
    """Updates after which a set is read; without any only the last set is."""
    changed: Mapping[str, Any]
    """Settings in place of those of each row whose method has them."""
    read_by: str
    """What else a reading hangs on: the space, and how networks learn from a set."""
    csv: Path | None
    """Takes a line for each set, as soon as it is read."""

    def read(self, synthetic: SyntheticSet, draw: int) -> list[float]:
        """Accuracy on select images of each network, in percent."""
        seeds = network_seeds(f"levers {draw}", self.splits.sha256, self.networks)
        recipe = RECIPES[self.recipe]
        correct = evaluate_set(
            synthetic, self.splits, self.splits.select, self.readers, recipe, seeds, self.device, diverged=None
        )
        return [100 * float(one) for one in correct.mean(axis=-1)]

    def read_full_data(self, draw: int, recipe: Recipe) -> float:
        """Mean accuracy on select images of networks trained on the train part, in percent."""
        part, seeds = self.splits.train, network_seeds(f"levers {draw}", self.splits.sha256, self.networks)
        reads = [self.splits.select]
        correct = train_and_read_each(
            part.images, part.labels, self.splits, reads, self.readers, recipe, seeds, self.device, diverged=None
        )
        return 100 * float(np.mean(correct))

    def measure(self, row: str, ipc: int, draw: int) -> tuple[float, float]:
        """The mean accuracy of a draw's last set, in percent, and the seconds it took to make it, now or for the CSV file."""
        method = METHODS[ROWS[row]["name"]]
        settings = self.settings(row)
        updates = settings.get("random_inits", 0)
        if kept := self.kept(row, ipc, draw, updates):
            return kept
        given = {**self.base.model_dump(), "method": settings, "ipc": ipc, "seed": derive_seed("levers", draw)}
        config = TrialConfig[method.config].model_validate(given)  # type: ignore[name-defined]
        reading = 0.0

        def report(step: int, steps: int, loss: Tensor | None, synthetic: SyntheticSet, *, is_accepted: bool = True) -> None:
            nonlocal reading
            if step in self.at and step != steps:
                since = time.perf_counter()
                self.write(row, ipc, draw, step, self.read(synthetic, draw), since - started - reading)
                reading += time.perf_counter() - since

        experts = self.experts_of(config)
        started = time.perf_counter()
        synthetic = distil(config, self.splits, self.device, report, NoCheckpoint(), experts)
        seconds = time.perf_counter() - started - reading
        accuracies = self.read(synthetic, draw)
        self.write(row, ipc, draw, updates, accuracies, seconds)
        return statistics.mean(accuracies), seconds

    def settings(self, row: str) -> dict[str, Any]:
        """Those of a row's method, with the changes of fields that it has."""
        fields = METHODS[ROWS[row]["name"]].config.model_fields
        return {**ROWS[row], **{name: value for name, value in self.changed.items() if name in fields}}

    def title(self, row: str) -> str:
        """A row's name, with what was changed in it."""
        changed = [f"{name}={value}" for name, value in self.settings(row).items() if value != ROWS[row].get(name)]
        return f"{row} [{', '.join(changed)}]" if changed else row

    def experts_of(self, config: TrialConfig[Any]) -> StoredExperts | None:
        """The experts that a row reads, trained if they are missing."""
        work = Workplace(executor=LocalExecutor(), data_root=self.data_root, watcher=SilentWatcher())
        prepare_experts(plan_experts([config], self.store, self.data_root), config, self.store, work)
        return open_experts(config, self.splits, self.store)

    def kept(self, row: str, ipc: int, draw: int, updates: int) -> tuple[float, float] | None:
        """What `measure` returned when it wrote this set's last line, if all that are asked for are there.

        Raises:
            SystemExit: The file's sets were read in another way.
        """
        if self.csv is None or not self.csv.exists():
            return None
        with self.csv.open(newline="") as opened:
            lines = list(csv.DictReader(opened))
        if others := {line.get("read_by", "no record of it") for line in lines} - {self.read_by}:
            raise SystemExit(f"{self.csv} is of {others.pop()!r}, this run of {self.read_by!r}: give another file")
        own = {
            int(line["update"]): line
            for line in lines
            if [line[name] for name in COLUMNS[:3]] == [self.title(row), str(ipc), str(draw)]
        }
        if updates in own and own.keys() >= {step for step in self.at if step < updates}:
            line = own[updates]
            return statistics.mean(map(float, line["accuracies_percent"].split())), float(line["seconds_to_make"])
        return None

    def write(self, row: str, ipc: int, draw: int, update: int, accuracies: Sequence[float], seconds: float) -> None:
        """Append a line to the CSV file, if there is one."""
        if self.csv is None:
            return
        is_new = not self.csv.exists()
        with self.csv.open("a", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerows([COLUMNS] if is_new else [])
            words = " ".join(f"{one:.2f}" for one in accuracies)
            writer.writerow((self.title(row), ipc, draw, update, words, f"{seconds:.1f}", self.read_by))


def how_read(given: argparse.Namespace, settings: Sequence[str], base: TrialConfig[Any], readers: NetworkConfig) -> str:
    """What a reading hangs on besides its row: the space, what was set in it, and the networks that read.

    A space of one's own, and images of one's own, may change under the same name: of these there is a hash too. A shipped space
    is part of the commit.
    """
    words = [given.space, *settings, *(f"readers.{one}" for one in given.readers), f"networks={given.networks}"]
    is_shipped = find_space(given.space) == shipped_spaces().get(given.space)
    if not is_shipped or isinstance(base.dataset, ImageFolderConfig):
        found = base.model_dump(mode="json", include={"dataset", "network", "evaluation", "data_sha256"})
        found["dataset"].pop("path", None)  # what lies there is in data_sha256
        text = json.dumps({**found, "readers": readers.model_dump(mode="json")}, sort_keys=True)
        words.append(f"sha256={hashlib.sha256(text.encode()).hexdigest()[:12]}")
    return " ".join(words)


def main() -> None:
    """Measure the rows that were asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", help="A space that names the data set and the network.")
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS), metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--data-root")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="PATH=VALUE")
    parser.add_argument("--recipe", choices=list(RECIPES), default="quick")
    parser.add_argument("--ipc", type=int, nargs="+", default=[10])
    parser.add_argument("--draws", type=int, default=5, help="Two or more.")
    parser.add_argument("--networks", type=int, default=2)
    parser.add_argument("--at", type=int, nargs="*", default=[], help="Updates after which sets are read too.")
    parser.add_argument("--full", action="store_true", help="Networks on the whole train part first, as long and twice.")
    parser.add_argument("--csv", type=Path, help=f"Appends a line for each set read: {', '.join(COLUMNS)}.")
    parser.add_argument("--readers", action="append", default=[], metavar="FIELD=VALUE", help="Of the networks that read sets.")
    parser.add_argument("--method", action="append", default=[], metavar="FIELD=VALUE", help="Of each row that has it.")
    parser.add_argument("--store", default="studies", help="For experts.")
    given = parser.parse_args()
    recipe = RECIPES[given.recipe]
    changed: dict[str, Any] = {}
    if mistakes := apply(given.method, changed, {}):
        parser.error(mistakes[0].message)
    late = sorted({ROWS[row]["name"] for row in given.rows} & LABELLED_LATE) if given.at else []
    if late:
        parser.error(
            f"--at reads sets on their way, where those of {', '.join(late)} have the labels of earlier images: leave it out"
        )
    if given.full and not isinstance(recipe, Recipe):
        parser.error(f"--full needs a recipe in steps: {given.recipe} counts epochs over a set")
    settings = [f"evaluation.recipe={given.recipe}", *given.overrides]
    space = load_space(given.space, settings, given.data_root)
    readers = load_space(given.space, [*settings, *(f"network.{one}" for one in given.readers)], given.data_root)
    splits = load_splits(dataset_config(space.shared["dataset"]), given.data_root)
    base = any_trial(space.arms[0], splits.sha256)
    reader = any_trial(readers.arms[0], splits.sha256).network
    device = prepare_process(base)
    bench = Bench(
        splits=splits,
        base=base,
        readers=reader,
        recipe=given.recipe,
        networks=given.networks,
        device=device,
        store=Store(given.store),
        data_root=given.data_root,
        at=given.at,
        changed=changed,
        read_by=how_read(given, settings, base, reader),
        csv=given.csv,
    )
    print(
        "| set | IPC | accuracy (%) | std over draws | above random (points) | 95 % interval | seconds to make it |\n"
        "|---|---|---|---|---|---|---|"
    )
    if given.full and isinstance(recipe, Recipe):
        for words, longer in (("", recipe), (", twice the steps", recipe.doubled())):
            means = np.array([bench.read_full_data(draw, longer) for draw in range(given.draws)])
            print(f"| all train images{words} | | {means.mean():.2f} | {means.std(ddof=1):.2f} | | | |", flush=True)
    for ipc in given.ipc:
        random = np.zeros(given.draws)
        for row in dict.fromkeys(["random", *given.rows]):
            measured = [bench.measure(row, ipc, draw) for draw in range(given.draws)]
            means, seconds = np.array([mean for mean, _ in measured]), statistics.median(one for _, one in measured)
            gain, low, high = paired_interval(means - random)
            above = ("", "") if row == "random" else (f"{gain:.2f}", f"{low:.2f} to {high:.2f}")
            random = means if row == "random" else random
            cells = (bench.title(row), str(ipc), f"{means.mean():.2f}", f"{means.std(ddof=1):.2f}", *above, f"{seconds:.0f}")
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
