"""New draws of a control at one IPC: is every set of it lossy there, or only the one that a trial happened to make?

Each draw makes a new set with a seed of its own and trains one new network on it, which is evaluated on the confirm images. So
the spread over draws, which is larger than that over networks, is part of the gap's interval. A draw is a job of its own; a
killed search does not repeat finished ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raydistill.core.contract import NoCheckpoint
from raydistill.core.evaluate import evaluate_set, network_seeds
from raydistill.core.lossless import GapInterval, gap_interval
from raydistill.core.process import prepare_process
from raydistill.core.recipes import RECIPES
from raydistill.core.synthetic import encode, sha256
from raydistill.data.splits import splits_of
from raydistill.errors import StoreError
from raydistill.experts.files import open_experts
from raydistill.spaces.sections import Config, derive_seed
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.baseline import read_baseline
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import code_sha256, pack_bits, unpack_bits
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_needed, write_stored
from raydistill.trial.distillation import distil, manifest_of


class DrawReading(Config):
    """One draw. Written to `controls/<id>/draw-<index>.json`."""

    set_seed: int
    images_sha256: str
    """Hash of the set's file, which is not kept: seed and config make it again."""
    network_seed: int
    confirm_correct: str
    """Which confirm images the network classifies correctly, as packed bits in hex (`pack_bits`)."""
    code_sha256: str


def draw_file(config: TrialConfig[Any], index: int) -> str:
    """Path of a draw, in the study."""
    return f"controls/{config.trial_id}/draw-{index}.json"


def missing_draws(config: TrialConfig[Any], study: Store) -> list[int]:
    """The draws of a control that are not made yet, of as many as there are confirm networks."""
    return [index for index in range(config.evaluation.confirm_networks) if not study.exists(draw_file(config, index))]


def make_draw(config: TrialConfig[Any], index: int, study: Store, data_root: DataRoot = None) -> None:
    """Make one draw of a control, evaluate it, and write `controls/<id>/draw-<index>.json`; nothing if it exists.

    Args:
        config: the control at the IPC, as a trial.
        index: number of the draw.
        study: the study's folder; its store has the experts that a control with soft labels reads.
        data_root: folder or URI of the data files.
    """
    name = draw_file(config, index)
    if study.exists(name):
        return
    splits = splits_of(config, data_root)
    device = prepare_process(config)
    drawn = config.model_copy(update={"seed": derive_seed(config.seed, "draw", index)})
    experts = open_experts(config, splits, study.parent)
    synthetic = distil(drawn, splits, device, lambda *_, **__: None, NoCheckpoint(), experts)
    seed = network_seeds("draws", splits.sha256, index + 1)[index]
    recipe = RECIPES[config.evaluation.recipe]
    # A network that diverges counts as one that is right by chance: that is what training on this draw gives, and an error would
    # end the whole search.
    correct = evaluate_set(synthetic, splits, splits.confirm, config.network, recipe, [seed], device, diverged=None)
    reading = DrawReading(
        set_seed=drawn.seed,
        images_sha256=sha256(encode(synthetic, manifest_of(drawn, splits))),
        network_seed=seed,
        confirm_correct=pack_bits(correct)[0],
        code_sha256=code_sha256(),
    )
    study.write(f"controls/{config.trial_id}/config.json", config.canonical_json() + "\n")
    write_stored(study, name, reading)


def gap_of_draws(config: TrialConfig[Any], study: Store, confidence: float) -> GapInterval:
    """The mean gap of a control over its draws, with one-sided bounds.

    Raises:
        StoreError: the study has no baseline, or a draw is missing or damaged.
    """
    baseline = read_baseline(study)
    if baseline is None:
        raise StoreError(f"{study.root} has no baseline; run the search again to build it")
    remedy = "delete it and run the search again, which makes the draw again"
    names = [draw_file(config, index) for index in range(config.evaluation.confirm_networks)]
    rows: Sequence[str] = [read_needed(study, name, DrawReading, remedy).confirm_correct for name in names]
    try:
        correct = unpack_bits(rows, baseline.confirm_images)
    except ValueError as error:
        raise StoreError(
            f"a file {study.path('controls', config.trial_id)}/draw-*.json is damaged ({error}); delete these files and run the "
            "search again, which makes the draws again"
        ) from error
    return gap_interval(baseline.confirm_correct, correct, confidence, baseline.confirm_classes)
