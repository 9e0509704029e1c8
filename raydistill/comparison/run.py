"""Compares methods at one IPC: several draws (sets) per method, each paired with the random real images of the same draw.

The spread over draws of random images is much larger than the spread over networks, so a comparison without pairs says little.
Draw d has the same seed in every method, and the initial images are drawn first: the set of `random` in draw d is the one from
which a distillation with `init: real` starts. A method that packs several images into each stored one starts from random images
packed in the same way, so methods with different factors have a `random` each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, cast

from pydantic import ValidationError

from raydistill.catalogue import load_space, shipped_spaces
from raydistill.comparison.rows import (
    REFERENCE,
    SOFT_REFERENCE,
    Comparison,
    Outcome,
    comparison_key,
    factor_of,
    row_name,
    rows_of,
)
from raydistill.core.contract import NoCheckpoint
from raydistill.core.cost import Stopwatch
from raydistill.core.evaluate import evaluate_set, network_seeds
from raydistill.core.expert_fields import ExpertFields
from raydistill.core.metrics import accuracy_of, counted_classes
from raydistill.core.process import prepare_process
from raydistill.core.recipes import RECIPES
from raydistill.core.train import ON_A_SET
from raydistill.data.splits import LabelledImages, data_facts, load_splits, open_test, splits_of
from raydistill.errors import CompareError, DivergedError, InputError
from raydistill.experts.files import open_experts
from raydistill.methods import METHODS
from raydistill.methods.configs.coreset import RandomConfig
from raydistill.methods.configs.fields import of_the_same_factor
from raydistill.methods.configs.soft_coreset import RandomSoftConfig, as_beside
from raydistill.spaces.sections import Config, dataset_config, derive_seed
from raydistill.spaces.space import Arm, Choices, Range, SearchSpace
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.checkout import commit
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import code_sha256, versions
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_needed, write_stored
from raydistill.trial.distillation import distil

NOT_COMPARED = frozenset({"ipc", "study", "budget"})
"""Sections of a search space that a comparison does not use."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CompareJob:
    """Distils one draw of one method, evaluates it, and writes the outcome; does nothing if the outcome exists."""

    networks: ClassVar[int] = 1
    config: TrialConfig[Any]
    draw: int
    folder: Store
    """Folder of the comparison."""
    store: Store
    """Store with the experts and the outcomes of all comparisons, which share their outcomes."""
    split: Literal["select", "test"]
    """Split on which the networks are evaluated."""
    data_root: DataRoot
    test: LabelledImages | None = None
    """The test images; None if the split is select or the outcome exists."""

    @property
    def name(self) -> str:
        """Name of the job in messages and on the dashboard."""
        return f"{row_name(self.config.method)}, draw {self.draw}"

    @property
    def file(self) -> str:
        """Path of the outcome; its name contains hashes of everything it depends on, including the experts."""
        experts = open_experts(self.config, splits_of(self.config, self.data_root), self.store)
        of_experts = "" if experts is None else f"-{experts.sha256[:12]}"
        return f"compare/outcomes/{self.config.trial_id}-{self.split}-{code_sha256()[:12]}{of_experts}.json"

    @property
    def is_done(self) -> bool:
        """Whether the outcome exists."""
        return self.store.exists(self.file)

    @property
    def shared(self) -> LabelledImages | None:
        """The test images, which all jobs of a stage share."""
        return self.test

    def sharing(self, part: LabelledImages | None) -> CompareJob:
        """The job with these test images."""
        return replace(self, test=part)

    def __call__(self) -> None:
        """Run the job."""
        if self.is_done:
            return
        assert (self.test is not None) == (self.split == "test")
        splits = splits_of(self.config, self.data_root)
        device = prepare_process(self.config)
        watch = Stopwatch()
        accuracies: tuple[float, ...] = ()
        error = None
        try:
            with watch.measure("distil"):
                experts = open_experts(self.config, splits, self.store)
                synthetic = distil(self.config, splits, device, lambda *_, **__: None, NoCheckpoint(), experts)
            seeds = network_seeds("compare", splits.sha256, self.config.evaluation.networks)
            recipe = RECIPES[self.config.evaluation.recipe]
            part = self.test or splits.select
            at_once = self.config.evaluation.networks_at_once
            correct = evaluate_set(
                synthetic, splits, part, self.config.network, recipe, seeds, device, at_once=at_once, diverged=ON_A_SET
            )
            accuracies = tuple(accuracy_of(correct, counted_classes(self.config.goal.metric, part.labels.numpy())).tolist())
        except DivergedError as diverged:
            error = str(diverged)
        outcome = Outcome(
            method=row_name(self.config.method),
            draw=self.draw,
            factor=self.config.factor,
            accuracy_fractions=accuracies,
            distill_seconds=watch.seconds["distil"],
            error=error,
        )
        write_stored(self.store, self.file, outcome)


def plan_comparison(
    space: SearchSpace,
    methods: Sequence[str],
    ipc: int,
    draws: int,
    store: Store,
    *,
    data_root: DataRoot = None,
    split: Literal["select", "test"] = "select",
) -> list[CompareJob]:
    """The jobs of a comparison. The folder depends on its settings, so a second run continues the first.

    The space's own method gets the middle of each range (geometric for a logarithmic range; the first of a list of choices).
    Another method gets the middle of the shipped space `<data set>_<method>`, because the method's defaults belong to its
    paper's data; its defaults are used only if there is no such space. A method given as a space gets the middle of that space.
    `random` is always included, and for methods with soft labels `random_soft`, with the experts of the first such method. Both
    pack their images as the methods do: methods with different factors have one each.

    Args:
        space: data set, network, evaluation, seed, and the settings of its method.
        methods: names in `METHODS`, or names of spaces, of which only the method's section is used.
        ipc: images per class.
        draws: draws per method; at least 2.
        store: store in which `compare/<key>/` is created.
        data_root: folder or URI of the data files.
        split: select or test; `open_where_wanted` opens the test split when everything else is ready.

    Raises:
        CompareError: a method is unknown, lacks settings, or has settings that do not fit the data or the network; too few draws;
            or the IPC is larger than the smallest class.
        DataError: the data is missing or damaged.
    """
    dataset = dataset_config(space.shared["dataset"])
    splits = load_splits(dataset, data_root)
    if draws < 2:
        raise CompareError(f"given {draws} draws; a confidence interval needs at least 2: give e.g. --draws 10")
    if not 1 <= ipc <= splits.smallest_class:
        raise CompareError(
            f"given --ipc {ipc}; allowed: 1 to {splits.smallest_class}, the number of train images in the smallest class "
            f"({splits.smallest_class_name}): give fewer, add images of this class, or leave it out of the data"
        )
    template = middle_trial(space.arms[0], splits.sha256)
    own = {arm.label: cast("Config", middle_trial(arm, splits.sha256).method) for arm in space.methods}
    configs = _method_configs(methods, own, template, data_root)
    _check_factors(configs, ipc, splits.smallest_class)
    settings = _settings(template, configs, ipc, split)
    folder = store.at("compare", comparison_key(settings))
    folder.write_json("settings.json", settings)
    return [
        CompareJob(
            config=TrialConfig[type(config)].model_validate(  # type: ignore[misc]
                {
                    **template.model_dump(exclude={"method", "label"}),
                    "method": config.model_dump(),
                    "ipc": ipc,
                    "seed": derive_seed(space.seed, "draw", draw),
                }
            ),
            draw=draw,
            folder=folder,
            store=store,
            split=split,
            data_root=data_root,
        )
        for draw in range(draws)
        for config in configs.values()
    ]


def open_where_wanted(jobs: Sequence[CompareJob], reason: str) -> list[CompareJob]:
    """The jobs with the test images; the test split is opened once, and not at all if every outcome exists.

    Call this last: the experts must exist, because the name of an outcome contains their hash, and no later step may fail.

    Args:
        jobs: jobs of one comparison on the test split.
        reason: why the test split is opened; stored in the store's log.
    """
    if all(job.is_done for job in jobs):
        return list(jobs)
    test = open_test(jobs[0].config.dataset, reason=reason, log=jobs[0].store, data_root=jobs[0].data_root)
    return [replace(job, test=test) for job in jobs]


def methods_named(space: SearchSpace, source: str, methods: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """The methods to compare; the name of the space itself stands for its own methods.

    Args:
        space: the space of the comparison, with the overrides applied.
        source: its path or name, as the user gave it.
        methods: names in `METHODS`, or names of spaces.
        overrides: `path.to.field=value`.

    Raises:
        CompareError: no method is given, or an override has no effect: on a method that is not compared, on the IPC (which has
            an option of its own), or on settings that only a search uses.
    """
    if not methods:
        raise CompareError("no method is given; give one or more with --methods, joined by commas")
    unread = [override for override in overrides if override.partition("=")[0].split(".")[0] in NOT_COMPARED]
    if unread:
        raise CompareError(
            f"--set {unread[0]} has no effect on a comparison, which takes its IPC from --ipc and runs no search: remove it"
        )
    own = [arm.label for arm in space.methods]
    named = [label for name in methods for label in (own if name == source else [name])]
    for override in overrides:
        section, _, rest = override.partition("=")[0].partition(".")
        label = own[0] if section == "method" else rest.partition(".")[0]
        if section in ("method", "methods") and label in own and label not in named:
            raise CompareError(
                f"--set {override} sets the space's own method {label}, which is not compared (compared: {', '.join(named)}); "
                f"add {label} to --methods, or remove the --set"
            )
    return named


def finish_comparison(jobs: Sequence[CompareJob]) -> Comparison:
    """Read the outcomes of finished jobs, write `comparison.json`, and return the comparison."""
    folder = jobs[0].folder
    outcomes = [read_needed(job.store, job.file, Outcome, "delete it, and the next run makes it again") for job in jobs]
    comparison = Comparison(
        rows=rows_of(outcomes),
        outcomes=tuple(job.file for job in jobs),
        settings=folder.read_json("settings.json"),
        code_sha256=code_sha256(),
        commit=commit(),
        versions=versions(),
    )
    write_stored(folder, "comparison.json", comparison)
    return comparison


def middle_of(allowed: Range | Choices) -> Any:
    """The middle of a range, geometric if it is logarithmic; the first of a list of choices."""
    if isinstance(allowed, Choices):
        return allowed.values[0]
    middle = math.sqrt(allowed.low * allowed.high) if allowed.log else (allowed.low + allowed.high) / 2
    return round(middle) if allowed.whole else middle


def middle_trial(arm: Arm, data_sha256: str) -> TrialConfig[Any]:
    """The trial at the middle of every range."""
    middle = {path: middle_of(allowed) for path, allowed in arm.ranges.items()}
    return arm.trial(ask_number=0, values=middle, data_sha256=data_sha256)


def _method_configs(
    names: Sequence[str], own: Mapping[str, Config], template: TrialConfig[Any], data_root: DataRoot
) -> dict[str, Config]:
    """The configs by name of their row, including the controls; `own` are those of the space's methods."""
    configs: dict[str, Config] = {}
    for name in dict.fromkeys(names):
        config = own[name] if name in own else _method_config(name, template, data_root)
        row = row_name(config)
        if configs.setdefault(row, config) != config:
            raise CompareError(f"method {row} is given twice with different settings; give each method once")
    by_bare_name = {name for name in (REFERENCE, SOFT_REFERENCE) if name in names and name not in own}
    return _with_references(configs, by_bare_name)


def _with_references(configs: Mapping[str, Config], by_bare_name: Set[str]) -> dict[str, Config]:
    """The configs with a `random` for every factor, and a `random_soft` for every factor of methods with soft labels.

    One that a space gives stays as it is. One that is asked for by its bare name is the one that stands beside the other methods.
    """
    soft = [c for c in configs.values() if isinstance(c, ExpertFields) and not isinstance(c, RandomSoftConfig)]
    stands_in = {SOFT_REFERENCE: bool(soft), REFERENCE: len(configs) > 1}
    whole = {name: c for name, c in configs.items() if not (name in by_bare_name and stands_in[name])}
    for labelled in soft:
        reference = RandomSoftConfig(name=SOFT_REFERENCE, **as_beside(labelled))
        whole.setdefault(row_name(reference), reference)
    for method in list(whole.values()):
        plain = RandomConfig(name=REFERENCE, **of_the_same_factor(method))
        whole.setdefault(row_name(plain), plain)
    return whole


def _method_config(name: str, template: TrialConfig[Any], data_root: DataRoot) -> Config:
    shipped = f"{template.dataset.name}_{name}" if name in METHODS else name
    if name in METHODS and shipped not in shipped_spaces():
        config = _default_config(name)
    else:
        try:
            config = middle_trial(load_space(shipped, (), data_root, for_search=False).arms[0], template.data_sha256).method
        except InputError as error:
            raise CompareError(f"unknown method {name!r}; allowed: {', '.join(METHODS)}, or a search space: {error}") from error
    facts = data_facts(template.dataset, data_root)
    for field, message in config.against(facts, template.network) if hasattr(config, "against") else ():
        raise CompareError(f"method {name}, key {field}: {message}; to set its keys, give a space of that method instead")
    return config


def _default_config(name: str) -> Config:
    try:
        return METHODS[name].config.model_validate({"name": name})
    except ValidationError as error:
        missing = ", ".join(str(row["loc"][0]) for row in error.errors())
        what_to_do = "which has no default: give a space of that method instead"
        raise CompareError(f"method {name} needs {missing}, {what_to_do}") from error


def _check_factors(configs: Mapping[str, Config], ipc: int, smallest_class: int) -> None:
    for name, config in configs.items():
        factor = factor_of(config)
        held = ipc * factor**2
        if held > smallest_class:
            raise CompareError(
                f"method {name} at --ipc {ipc} with factor {factor} holds {held} smaller images per class, and the smallest "
                f"class has {smallest_class} train images to make them of: give a smaller --ipc or factor"
            )


def _settings(template: TrialConfig[Any], configs: dict[str, Config], ipc: int, split: str) -> dict[str, Any]:
    # Of the goal only the metric counts; without it the settings of comparisons of accuracy are those of older versions.
    metric = {} if template.goal.metric == "accuracy" else {"metric": template.goal.metric}
    return {
        **template.model_dump(mode="json", exclude={"method", "label", "ask_number", "goal"}),
        **metric,
        "ipc": ipc,
        "split": split,
        "methods": {name: config.model_dump(mode="json") for name, config in configs.items()},
        "code_sha256": code_sha256(),
    }
