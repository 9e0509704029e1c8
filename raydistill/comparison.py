"""Methods side by side at one IPC: several draws each, compared in pairs with the random real images of the same draw.

A control is several draws: the spread over draws of random images dwarfs the spread over networks, so an unpaired comparison
of two means says little. Draw d of every method is seeded alike, and the first thing drawn is the start: `random` of draw d is
the very set that a distillation with `init: real` starts from.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError
from scipy import stats

from raydistill.baseline import prepare_process, splits_of
from raydistill.config import Choices, Config, Range, SearchSpace, TrialConfig, dataset_config, derive_seed
from raydistill.core.contract import DivergedError, NoCheckpoint
from raydistill.core.cost import Stopwatch
from raydistill.core.data import LabelledImages, load_splits, open_test
from raydistill.core.evaluate import evaluate_set, network_seeds
from raydistill.core.train import RECIPES
from raydistill.methods import METHODS
from raydistill.record import code_sha256, versions
from raydistill.store import Store
from raydistill.trial import distil

REFERENCE = "random"
"""The control that every method is paired with."""
CONFIDENCE = 0.95
"""Of the two-sided intervals."""


class CompareError(Exception):
    """The comparison cannot be made as asked."""


class Outcome(Config):
    """One method's set of one draw."""

    method: str
    draw: int
    accuracy_fractions: tuple[float, ...] = Field(strict=False)
    """One per network; empty where the distillation diverged."""
    distill_seconds: float
    error: str | None = None


class Row(Config):
    """One method over all its draws; fractions."""

    method: str
    draws: int
    """Draws that ended with a set."""
    diverged: int
    networks: int
    """Networks behind each draw."""
    accuracy_fraction: float
    """Mean over draws of the mean over networks."""
    draws_std: float
    """Standard deviation over draws."""
    networks_std: float
    """Standard deviation over networks within a draw, pooled."""
    above_random: float | None
    """Mean over draws of the accuracy minus that of the random images of the same draw; None for random itself."""
    above_random_low: float | None
    above_random_high: float | None
    distill_seconds: float
    """Mean per draw."""


class Comparison(Config):
    """A comparison and everything needed to make it again. Written to `comparison.json`."""

    record_version: Literal[1] = 1
    rows: tuple[Row, ...] = Field(strict=False)
    settings: dict[str, Any]
    """Per method its config; with data set, network, IPC, recipe, split, seed."""
    code_sha256: str
    versions: dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CompareJob:
    """Distils one method's set of one draw, evaluates it, and writes the outcome; nothing if it is written."""

    config: TrialConfig[Any]
    draw: int
    folder: Store
    """Of the comparison."""
    outcomes: Store
    """Shared by all comparisons, so that what one of them did the next finds done."""
    part: LabelledImages | None
    """Images to read on; None means the select images."""
    data_root: Path | None

    @property
    def name(self) -> str:
        """As a person reads it."""
        return f"{self.config.method.name}, draw {self.draw}"

    @property
    def file(self) -> str:
        """Where the outcome goes: a name made of everything that shapes it."""
        split = "select" if self.part is None else "test"
        return f"{self.config.trial_id}-{split}-{code_sha256()[:12]}.json"

    def __call__(self) -> None:
        """Run the job."""
        if self.outcomes.exists(self.file):
            return
        splits = splits_of(self.config, self.data_root)
        device = prepare_process(self.config)
        watch = Stopwatch()
        accuracies: tuple[float, ...] = ()
        error = None
        try:
            with watch.measure("distil"):
                synthetic = distil(self.config, splits, device, lambda *_: None, NoCheckpoint())
            seeds = network_seeds("compare", splits.sha256, self.config.evaluation.networks)
            recipe = RECIPES[self.config.evaluation.recipe]
            part = self.part or splits.select
            correct = evaluate_set(synthetic, splits, part, self.config.network, recipe, seeds, device)
            accuracies = tuple(correct.mean(axis=1).tolist())
        except DivergedError as diverged:
            error = str(diverged)
        outcome = Outcome(
            method=self.config.method.name,
            draw=self.draw,
            accuracy_fractions=accuracies,
            distill_seconds=watch.seconds["distil"],
            error=error,
        )
        self.outcomes.write_json(self.file, outcome.model_dump(mode="json"))


def plan_comparison(
    space: SearchSpace,
    methods: Sequence[str],
    ipc: int,
    draws: int,
    store: Store,
    *,
    data_root: Path | None = None,
    reason: str | None = None,
) -> list[CompareJob]:
    """The jobs of a comparison, in a folder of the store that its settings name; a second run continues the first.

    The space's own method takes the middle of each range (of the logarithm, where the range is logarithmic; the first of
    choices); other methods take their defaults. `random` is always among them.

    Args:
        space: data set, network, evaluation, seed, and the settings of its method.
        methods: names in `METHODS`.
        ipc: images per class.
        draws: starts per method; at least 2.
        store: gets `compare/<key>/`.
        data_root: folder of the data files.
        reason: opens the test split once, logged with this reason; None reads the select images.

    Raises:
        CompareError: an unknown method, one that needs settings that the space does not give, too few draws, or an IPC that the
            smallest class cannot serve.
        DataError: the data is missing or damaged.
    """
    dataset = dataset_config(space.template["dataset"])
    splits = load_splits(dataset, data_root)
    if draws < 2:
        raise CompareError(f"given {draws} draws; an interval over draws needs at least 2: give --draws 10")
    if not 1 <= ipc <= splits.smallest_class:
        raise CompareError(f"given ipc {ipc}; the smallest class has {splits.smallest_class} train images: give 1 to that")
    middle = {path: middle_of(allowed) for path, allowed in space.ranges.items() if path != "ipc"}
    template = space.trial(
        ask_number=0, values={**middle, **({"ipc": ipc} if "ipc" in space.ranges else {})}, data_sha256=splits.sha256
    )
    configs = {name: _method_config(name, template.method) for name in dict.fromkeys([*methods, REFERENCE])}
    settings = _settings(template, configs, ipc, "test" if reason else "select")
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    folder = store.at("compare", key)
    folder.write_json("settings.json", settings)
    part = open_test(dataset, reason=reason, log=store, data_root=data_root) if reason else None
    return [
        CompareJob(
            config=TrialConfig[type(config)].model_validate(  # type: ignore[misc]
                {
                    **template.model_dump(exclude={"method"}),
                    "method": config.model_dump(),
                    "ipc": ipc,
                    "seed": derive_seed(space.seed, "draw", draw),
                }
            ),
            draw=draw,
            folder=folder,
            outcomes=store.at("compare", "outcomes"),
            part=part,
            data_root=data_root,
        )
        for draw in range(draws)
        for config in configs.values()
    ]


def finish_comparison(jobs: Sequence[CompareJob]) -> Comparison:
    """Read the outcomes of finished jobs, write `comparison.json`, and give the comparison."""
    folder = jobs[0].folder
    outcomes = [Outcome.model_validate(job.outcomes.read_json(job.file)) for job in jobs]
    random = {o.draw: o for o in outcomes if o.method == REFERENCE}
    names = dict.fromkeys(o.method for o in outcomes)
    rows = tuple(_row([o for o in outcomes if o.method == name], random) for name in names)
    comparison = Comparison(rows=rows, settings=folder.read_json("settings.json"), code_sha256=code_sha256(), versions=versions())
    folder.write("comparison.json", comparison.model_dump_json(indent=2) + "\n")
    return comparison


def middle_of(allowed: Range | Choices) -> Any:
    """The middle of a range, geometric where it is logarithmic; the first of choices."""
    if isinstance(allowed, Choices):
        return allowed.values[0]
    middle = math.sqrt(allowed.low * allowed.high) if allowed.log else (allowed.low + allowed.high) / 2
    return round(middle) if allowed.whole else middle


def _method_config(name: str, given: Config) -> Config:
    if name == given.name:  # type: ignore[attr-defined]
        return given
    if name not in METHODS:
        raise CompareError(f"unknown method {name!r}; allowed: {', '.join(METHODS)}: correct --methods")
    try:
        return METHODS[name].config.model_validate({"name": name})
    except ValidationError as error:
        missing = ", ".join(str(row["loc"][0]) for row in error.errors())
        raise CompareError(
            f"method {name} needs {missing}, which this space does not set: give a space of that method"
        ) from error


def _settings(template: TrialConfig[Any], configs: dict[str, Config], ipc: int, split: str) -> dict[str, Any]:
    return {
        **template.model_dump(mode="json", exclude={"method", "ask_number", "goal"}),
        "ipc": ipc,
        "split": split,
        "methods": {name: config.model_dump(mode="json") for name, config in configs.items()},
        "code_sha256": code_sha256(),
    }


def _row(outcomes: Sequence[Outcome], random: dict[int, Outcome]) -> Row:
    ended = [o for o in outcomes if o.accuracy_fractions]
    name = outcomes[0].method
    if len(ended) < 2:
        errors = "; ".join(o.error or "" for o in outcomes if o.error)
        raise CompareError(f"method {name} ended {len(ended)} of {len(outcomes)} draws ({errors}); set milder rates in the space")
    accuracies = np.array([o.accuracy_fractions for o in ended])
    means = accuracies.mean(axis=1)
    above: tuple[float | None, float | None, float | None] = (None, None, None)
    if name != REFERENCE:
        above = paired_interval(means - np.array([np.mean(random[o.draw].accuracy_fractions) for o in ended]))
    networks = accuracies.shape[1]
    return Row(
        method=name,
        draws=len(ended),
        diverged=len(outcomes) - len(ended),
        networks=networks,
        accuracy_fraction=float(means.mean()),
        draws_std=float(means.std(ddof=1)),
        networks_std=float(np.sqrt(accuracies.var(axis=1, ddof=1).mean())) if networks > 1 else 0.0,
        above_random=above[0],
        above_random_low=above[1],
        above_random_high=above[2],
        distill_seconds=float(np.mean([o.distill_seconds for o in ended])),
    )


def paired_interval(differences: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float, float]:
    """Mean difference over draws and its two-sided Student interval at `CONFIDENCE`."""
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(differences) - 1)) * error
    return mean, mean - half, mean + half
