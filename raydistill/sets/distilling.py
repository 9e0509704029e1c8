"""Distils a single set without a search, and saves it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from raydistill.core.contract import NoCheckpoint, Report
from raydistill.core.process import prepare_process
from raydistill.core.synthetic import Manifest, SyntheticSet
from raydistill.data.splits import load_splits, splits_of
from raydistill.errors import Mistake, SpaceError
from raydistill.experts.files import open_experts
from raydistill.search.experts import plan_experts, prepare_experts
from raydistill.search.local import LocalExecutor
from raydistill.search.watcher import SilentWatcher, Watcher
from raydistill.search.workplace import Workplace
from raydistill.sets.set_file import write_set
from raydistill.spaces.sections import dataset_config
from raydistill.spaces.space import Choices, Range, SearchSpace
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.data_root import DataRoot
from raydistill.storage.store import Store
from raydistill.trial.distillation import distil, manifest_of


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Distilled:
    """One set, distilled without a search."""

    synthetic: SyntheticSet
    start: SyntheticSet
    """The initial set, before the first step."""
    manifest: Manifest
    config: TrialConfig[Any]


def only_trial(space: SearchSpace, data_root: DataRoot) -> TrialConfig[Any]:
    """The only trial of a space with one method and without ranges; its controls are left out.

    Raises:
        SpaceError: the space has several methods, or ranges; the message lists all of them.
    """
    arm = space.methods[0]
    mistakes = [
        Mistake(key=path, message=f"given {_in_words(allowed)}; a single set needs a single value: add --set {path}=VALUE")
        for path, allowed in arm.ranges.items()
    ]
    if len(space.methods) > 1:
        labels = ", ".join(arm.label for arm in space.methods)
        message = f"given {labels}; a single set needs a single method: give a space with one, or --set 'methods=[{{name: ..}}]'"
        mistakes = [Mistake(key="methods", message=message)]
    if mistakes:
        raise SpaceError(f"study {space.study}", mistakes, {})
    data = load_splits(dataset_config(space.shared["dataset"]), data_root)
    return arm.trial(ask_number=0, values={}, data_sha256=data.sha256)


def distil_once(
    config: TrialConfig[Any], store: Store, data_root: DataRoot, on_step: Report | None = None, watcher: Watcher | None = None
) -> Distilled:
    """Distil one set, without a search and without a baseline.

    Args:
        config: what to distil.
        store: store with the experts that the method reads; missing experts are trained first.
        data_root: folder or URI of the data files.
        on_step: called after every step.
        watcher: receives the progress of training experts.

    Raises:
        DivergedError: a loss is not finite.
        StoreError: an expert's file is damaged, or the disk has too little space for the experts.
    """
    splits = splits_of(config, data_root)
    needs = plan_experts([config], store, data_root)
    work = Workplace(executor=LocalExecutor(), data_root=data_root, watcher=watcher or SilentWatcher())
    prepare_experts(needs, config, store, work)
    device = prepare_process(config)
    started: list[SyntheticSet] = []

    def on_each_step(step: int, steps: int, loss: Tensor | None, synthetic: SyntheticSet, *, is_accepted: bool = True) -> None:
        if step == 0:
            # Methods update images in place, so the initial set must be a copy.
            images, labels = synthetic.images.clone(), synthetic.labels.clone()
            started.append(replace(synthetic, images=images, labels=labels))
        if on_step is not None:
            on_step(step, steps, loss, synthetic, is_accepted=is_accepted)

    experts = open_experts(config, splits, store)
    synthetic = distil(config, splits, device, on_each_step, NoCheckpoint(), experts)
    manifest = manifest_of(config, splits)
    return Distilled(synthetic=synthetic, start=started[0], manifest=manifest, config=config)


def save_set(distilled: Distilled, folder: Store) -> tuple[str, str]:
    """Write `images.safetensors` and `images.png`; returns their full paths."""
    return write_set(distilled.synthetic, distilled.manifest, folder)


def _in_words(allowed: Range | Choices) -> str:
    if isinstance(allowed, Choices):
        return f"the choices {', '.join(map(str, allowed.values))}"
    return f"a range from {allowed.low:g} to {allowed.high:g}"
