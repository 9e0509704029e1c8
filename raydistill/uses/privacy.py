"""What a set shows of the train images: how near it comes to them, and whether it tells that an image was among them.

Nearness: the distance of each image of the set to its nearest train image, in pixels and in the features of a network that
was trained on the train images, beside the same distance of held-out real images (the select part).

Membership: an attacker has the set and an image with its class, and asks whether it was a train image. Two scores: the
distance in pixels to the nearest image of its class in the set, and the loss of a network that was trained on the set. Train
images are the members, select images the others. Where both were drawn from the same images at random, an area of 0.5 is a
coin; where they were not (a select part of the data's own, groups, dropped duplicates), the result says so. The features above
are not used here, because that network has seen the members itself.

Controls of the set's size stand beside it. Those that choose train images hold them as they are: for these membership is
certain.

Source: Shokri et al., "Membership inference attacks against machine learning models", S&P 2017; the loss as score after Yeom
et al., "Privacy risk in machine learning", CSF 2018; the distance after Chen et al., "GAN-Leaks", CCS 2020; of distilled sets
Dong et al., "Privacy for free: how does dataset condensation help privacy?", ICML 2022, whose claim this does not make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import functional

from raydistill.core.evaluate import network_seeds, train_fresh
from raydistill.core.networks import Network, build_network
from raydistill.core.recipes import RECIPES
from raydistill.core.train import images_at_once
from raydistill.data.splits import LabelledImages
from raydistill.errors import InputError, StoreError
from raydistill.search.estimate import Part, estimate_line
from raydistill.spaces.network_names import network_text
from raydistill.spaces.sections import Config
from raydistill.storage.versioned import read_stored, write_stored
from raydistill.uses.membership import auc
from raydistill.uses.nearest import copies, embedded, nearest, nearest_of_class, nearness, rounding_distance
from raydistill.uses.running import Run, check_hours, expert_parts, keep, make_controls, paces_of, parts_of, refuse_test
from raydistill.uses.sources import controls_beside, learned_from, source_of
from raydistill.uses.subject import Place
from raydistill.uses.units import Unit
from raydistill.uses.values import FULL, SET, PrivacyArm, PrivacyResult

REMEDY = "delete it and run the same command again, which makes it again"


class PrivacyRecord(Config):
    """What one source shows. Written to `privacy/<hash>.json`."""

    record_version: Literal[1] = 1
    unit: Unit
    """The network that was trained on the source."""
    features: Unit
    """The network whose features were compared."""
    arm: PrivacyArm


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureJob:
    """Trains the network whose features are compared and writes its weights; can be pickled for another process."""

    networks: ClassVar[int] = 1
    name: str
    unit_json: str
    place: Place

    def __call__(self) -> None:
        """Train and write; nothing if the weights are there."""
        unit = Unit.model_validate_json(self.unit_json)
        if self.place.folder.exists(features_file(unit)):
            return
        _, _, splits, device = self.place.open()
        own = splits.train
        network = train_fresh(own.images, own.labels, splits, unit.network, unit.recipe_in_steps(None), unit.seed, device)
        weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
        self.place.folder.write(features_file(unit), save(weights))


@dataclass(frozen=True, kw_only=True, slots=True)
class PrivacyJob:
    """Compares one source with the real images and writes its record; can be pickled for another process."""

    networks: ClassVar[int] = 1
    name: str
    unit_json: str
    features_json: str
    place: Place

    def __call__(self) -> None:
        """Compare and write; nothing if the record is there."""
        unit, features = (Unit.model_validate_json(text) for text in (self.unit_json, self.features_json))
        if self.place.folder.exists(record_file(unit)):
            return
        record = PrivacyRecord(unit=unit, features=features, arm=look_at(unit, features, self.place))
        write_stored(self.place.folder, record_file(unit), record)


def features_file(unit: Unit) -> str:
    """Path of a feature network's weights, in the folder of the records."""
    return unit.file.replace("units/", "features/").replace(".json", ".safetensors")


def record_file(unit: Unit) -> str:
    """Path of the record of a source, in the folder of the records."""
    return unit.file.replace("units/", "privacy/")


def look_at(unit: Unit, features: Unit, place: Place) -> PrivacyArm:
    """Nearness and membership of one source.

    Raises:
        InputError: a network diverged.
        StoreError: the feature network's weights are damaged.
    """
    own, _, splits, device = place.open()
    images, labels, classes, learned_lr = learned_from(unit.source, place, own, splits)
    train, held = splits.train.to(device), splits.select.to(device)
    pixels = [_flat(part) for part in (images.to(device), train.images, held.images)]
    by_pixel = nearest(pixels[0], pixels[1]), nearest(pixels[2], pixels[1])
    network = build_network(features.network, splits.shape, len(splits.class_names), device)
    _read_weights(network, features, place)
    seen = [embedded(network, part) for part in (images.to(device), train.images, held.images)]
    check_finite(seen, features)
    by_feature = nearest(seen[0], seen[1]), nearest(seen[2], seen[1])
    of_train, of_held = (
        -nearest_of_class(points, part.labels, pixels[0], classes)
        for points, part in ((pixels[1], splits.train), (pixels[2], splits.select))
    )
    trained = train_fresh(images, labels, splits, unit.network, unit.recipe_in_steps(learned_lr), unit.seed, device)
    lost = [losses(trained, part) for part in (train, held)]
    check_finite(lost, unit, learned_lr)
    return PrivacyArm(
        source=unit.source.name,
        images=len(images),
        copies=copies(by_pixel[0], rounding_distance(splits.preprocess, splits.shape)),
        pixel=nearness(*by_pixel),
        feature=nearness(*by_feature),
        by_distance=auc(_numbers(of_train), _numbers(of_held)),
        by_loss=auc(*(_numbers(-values) for values in lost)),
    )


def check_finite(values: Sequence[Tensor], unit: Unit, learned_lr: float | None = None) -> None:
    """Refuse what a network says that diverged in training.

    Raises:
        InputError: a value is not finite.
    """
    if all(bool(torch.isfinite(one).all()) for one in values):
        return
    others = ", ".join(name for name in RECIPES if name != unit.recipe)
    advice = f"give another --recipe ({others})"
    if unit.source.name not in (FULL, SET):
        advice += f", or --controls without {unit.source.name}"
    if learned_lr is not None:
        advice = f"its learning rate, {learned_lr:g}, was learned with the set, so no other recipe helps: give another set"
    raise InputError(
        f"the network {network_text(unit.network)} that was trained on {unit.source.name} with recipe {unit.recipe} diverged, "
        f"its outputs are not finite: {advice}"
    )


@torch.no_grad()
def losses(network: Network, part: LabelledImages) -> Tensor:
    """(N,) cross-entropy of each image."""
    network.eval()
    size = images_at_once(part.images)
    return torch.cat(
        [
            functional.cross_entropy(network(images), labels, reduction="none")
            for images, labels in zip(part.images.split(size), part.labels.split(size), strict=True)
        ]
    )


def _flat(images: Tensor) -> Tensor:
    # Of images that are stored as bytes this makes floats.
    return (images * 1.0).flatten(1)


def _numbers(values: Tensor) -> NDArray[np.float64]:
    return values.detach().cpu().double().numpy()


def _read_weights(network: Network, features: Unit, place: Place) -> None:
    file = features_file(features)
    try:
        network.load_state_dict(load(place.folder.read(file)))
    except (SafetensorError, RuntimeError, FileNotFoundError) as error:
        raise StoreError(f"{place.folder.path(file)} is missing or damaged ({error}); {REMEDY}") from error


def run_privacy(run: Run) -> PrivacyResult:
    """Train the feature network, look at every source, and write the result beside the records.

    Raises:
        InputError: the test split is asked for, an unknown control or recipe, or it would take longer than the hours given.
        StoreError: a record is damaged, or the folder cannot be written.
    """
    features, units = planned(run)
    place = run.subject.place
    networks, missing = left(run, features, units)
    if missing:
        place.folder.check_writable()
        parts = parts_left(run, [*networks, *missing])
        check_hours(run, parts)
        run.work.tell_estimate(parts)
        make_controls(run, [unit.source for unit in missing])
        feature_jobs = [FeatureJob(name="features", unit_json=unit.model_dump_json(), place=place) for unit in networks]
        run.work.run_missing("feature network", feature_jobs)
        jobs = [
            PrivacyJob(
                name=f"privacy of {unit.source.name}",
                unit_json=unit.model_dump_json(),
                features_json=features.model_dump_json(),
                place=place,
            )
            for unit in missing
        ]
        run.work.run_stage("privacy", len(units), jobs)
    records = [cast("PrivacyRecord", read_stored(place.folder, record_file(unit), PrivacyRecord, REMEDY)) for unit in units]
    result = PrivacyResult(
        about=run.about(),
        train_images=len(run.subject.splits.train.labels),
        held_out_images=len(run.subject.splits.select.labels),
        drawn_unlike=run.subject.splits.drawn_unlike,
        arms=tuple(record.arm for record in records),
    )
    keep(run, "privacy", result)
    return result


def estimated_privacy(run: Run) -> str:
    """How long what is missing takes, in a sentence.

    Raises:
        InputError: an option is wrong.
    """
    features, units = planned(run)
    networks, missing = left(run, features, units)
    if not missing:
        return f"nothing is left to do: the records of all {len(units)} sets are in {run.subject.place.folder.root}"
    return estimate_line(parts_left(run, [*networks, *missing]), run.work.executor.at_once(run.work.watcher))


def planned(run: Run) -> tuple[Unit, list[Unit]]:
    """The feature network, and a network on each source.

    Raises:
        InputError: the test split is asked for, or an unknown control or recipe.
    """
    refuse_test(run, "privacy", "select images are those that no set was made from")
    subject, steps = run.subject, run.recipe().steps
    seed, of_features = (network_seeds(purpose, subject.splits.sha256, 1)[0] for purpose in ("privacy", "privacy features"))
    names = (SET, *controls_beside(subject, run.wanted.controls))
    network = subject.config.network
    units = [run.unit(source_of(subject, name), network, steps, seed) for name in names]
    return run.unit(source_of(subject, FULL), network, steps, of_features), units


def left(run: Run, features: Unit, units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
    """The feature network if it is needed and missing, and the sources that are not looked at yet."""
    folder = run.subject.place.folder
    missing = [unit for unit in units if not folder.exists(record_file(unit))]
    return [features] if missing and not folder.exists(features_file(features)) else [], missing


def parts_left(run: Run, units: Sequence[Unit]) -> list[Part]:
    """What experts and networks cost; distances are not counted, which take less."""
    return [*expert_parts(run, [unit.source for unit in units]), *parts_of(run, units, paces_of(run, units))]
