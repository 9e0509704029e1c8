"""The full-data baseline of a study: the accuracy of networks trained on the full data, from which the gap is measured.

It is built once and stored with the study. Each network, or each group that trains together, is a job of its own, so they run in
parallel, and a killed search does not repeat finished ones. A network is trained with the recipe's steps and again with twice as
many: the better step count becomes the baseline. A recipe that changes much by doubling is not admissible, because one that
is not trained to its end makes every set look lossless; nor is one whose networks learn less than the margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raydistill.core.cost import Stopwatch, forward_macs
from raydistill.core.evaluate import network_seeds, train_and_read_each
from raydistill.core.lossless import is_admissible
from raydistill.core.metrics import accuracy_of, chance_of, counted_classes
from raydistill.core.process import prepare_process
from raydistill.core.recipes import recipe_of
from raydistill.core.train import ON_FULL_DATA
from raydistill.data.splits import splits_of
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.baseline import BASELINE_FILE, Baseline, BaselineReading, NetworkReadings, network_file, read_network
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import code_sha256, pack_bits, pack_labels, unpack_bits
from raydistill.storage.store import Store
from raydistill.storage.versioned import write_stored


def train_baseline_networks(config: TrialConfig[Any], indices: Sequence[int], study: Store, data_root: DataRoot = None) -> None:
    """Train baseline networks together, with both step counts, and write `baseline/network-<index>.json`; existing ones stay.

    Raises:
        DivergedError: a network diverged; beside its answers every set would look lossless.
    """
    missing = [index for index in indices if not study.exists(network_file(index))]
    if not missing:
        return
    splits = splits_of(config, data_root)
    device = prepare_process(config)
    seeds = network_seeds("baseline", splits.sha256, max(missing) + 1)
    recipe = recipe_of(config, splits)
    readings: dict[int, list[BaselineReading]] = {index: [] for index in missing}
    for steps_recipe in (recipe, recipe.doubled()):
        watch = Stopwatch()
        with watch.measure("train"):
            answers = train_and_read_each(
                splits.train.images,
                splits.train.labels,
                splits,
                [splits.select, splits.confirm],
                config.network,
                steps_recipe,
                [seeds[index] for index in missing],
                device,
                diverged=ON_FULL_DATA,
            )
        for index, (select, confirm) in zip(missing, answers, strict=True):
            reading = BaselineReading(
                seed=seeds[index],
                steps=steps_recipe.steps,
                select_correct=pack_bits(select[None])[0],
                confirm_correct=pack_bits(confirm[None])[0],
                seconds=watch.seconds["train"] / len(missing),
                data_sha256=splits.sha256,
                code_sha256=code_sha256(),
            )
            readings[index].append(reading)
    for index, (once, doubled) in readings.items():
        write_stored(study, network_file(index), NetworkReadings(readings=(once, doubled)))


def finish_baseline(config: TrialConfig[Any], study: Store, data_root: DataRoot = None) -> Baseline:
    """Combine the networks and write `baseline/baseline.json`."""
    splits = splits_of(config, data_root)
    recipe = recipe_of(config, splits)
    by_steps: dict[int, list[BaselineReading]] = {recipe.steps: [], 2 * recipe.steps: []}
    for index in range(config.evaluation.baseline_networks):
        for reading in read_network(study, index):
            by_steps[reading.steps].append(reading)
    select, confirm = (counted_classes(config.goal.metric, part.labels.numpy()) for part in (splits.select, splits.confirm))
    accuracies = {
        steps: accuracy_of(unpack_bits([r.select_correct for r in readings], len(splits.select.labels)), select)
        for steps, readings in by_steps.items()
    }
    moves_by = float(accuracies[2 * recipe.steps].mean() - accuracies[recipe.steps].mean())
    steps = 2 * recipe.steps if moves_by > 0 else recipe.steps
    accuracy, chance = float(accuracies[steps].mean()), chance_of(splits.select.labels.numpy(), config.goal.metric)
    images = len(splits.train.labels)
    macs = forward_macs(config.network, splits.shape, len(splits.class_names))
    baseline = Baseline(
        recipe=str(recipe),
        steps=steps,
        doubled_moves_by=moves_by,
        is_admissible=is_admissible(moves_by, config.goal.margin_fraction, accuracy, chance),
        accuracy_fractions=tuple(accuracies[steps].tolist()),
        readings=tuple(by_steps[steps]),
        select_images=len(splits.select.labels),
        confirm_images=len(splits.confirm.labels),
        train_images=images,
        train_bytes=splits.train_bytes,
        train_macs=macs * recipe.images_seen(images),
        epoch_macs=macs * images,
        code_sha256=code_sha256(),
        select_labels=None if select is None else pack_labels(select),
        confirm_labels=None if confirm is None else pack_labels(confirm),
        chance_fraction=chance,
    )
    write_stored(study, BASELINE_FILE, baseline)
    return baseline
