"""Writes a first search space for a person's own images, with a comment on every choice that the person may want to change."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from raydistill.core.expert_fields import ExpertFields
from raydistill.data.own.report import DataReport
from raydistill.data.own.warnings import IMBALANCED
from raydistill.errors import InputError
from raydistill.methods import METHODS
from raydistill.methods.configs.first import Fields, Given, experts, values_alone
from raydistill.search.first_margin import (
    BASELINE_NETWORKS,
    CONFIDENCE,
    CONFIRM_NETWORKS,
    LEAST_MARGIN,
    Images,
    images_for,
    least_margin,
    margin_for,
)
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.network import ConvNetConfig
from raydistill.spaces.parse import TAKEN_NAMES
from raydistill.spaces.sections import ImageFolderConfig

USUAL_METHODS = ("datadam", "dm")
MOST_IPC = 50
TRIALS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """Where the search is to run."""

    cores: int
    has_gpu: bool


def this_machine() -> Machine:
    """The cores of this machine, and whether torch sees a GPU."""
    import torch

    return Machine(cores=os.cpu_count() or 1, has_gpu=torch.cuda.is_available())


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """What a first space is written from."""

    config: ImageFolderConfig
    report: DataReport
    """Of this config, without problems."""
    smallest_class: int
    """Train images of the smallest class."""
    machine: Machine
    methods: tuple[str, ...] = USUAL_METHODS

    @property
    def parts(self) -> Mapping[str, int]:
        """Images by part."""
        return self.report.parts or {}


def with_defaults(config: ImageFolderConfig, report: DataReport, given: frozenset[str]) -> ImageFolderConfig:
    """The config with what a first search sets beside the size, except fields that a person gave.

    Args:
        config: with which the report was made.
        report: without problems.
        given: names of the fields that a person gave.
    """
    pool = sum(sum(by_class.values()) for part, by_class in report.images.items() if part in ("train", "undivided"))
    chosen: dict[str, Any] = {"mirror_keeps_class": not looks_like_letters(report.classes)}
    if "confirm" not in report.images and pool < FEW:
        chosen["confirm_fraction"] = 0.2
    if "select" not in report.images and pool < FEW:
        chosen["select_fraction"] = 0.15
    if report.twins is not None and report.twins.across:
        chosen["duplicates"] = "drop"
    return config.model_copy(update={name: value for name, value in chosen.items() if name not in given})


FEW = 3000
"""Images below which a tenth of them decides only margins of many points, so that a fifth is taken."""


def network_for(report: DataReport, machine: Machine) -> ConvNetConfig:
    """A ConvNet of at most three blocks, as deep as the images allow and DataDAM's comparison of maps needs."""
    channels = report.channels or 1
    deepest = ConvNetConfig(name="convnet").deepest((channels, report.size, report.size))
    depth = min(2 if report.size < 12 else 3, deepest)
    return ConvNetConfig(name="convnet", depth=max(1, depth), width=128 if machine.has_gpu else 32)


def write_text(start: Start, path: str, estimate: str | None = None) -> str:
    """The space as commented YAML.

    Args:
        start: the data and the machine.
        path: of the images, as the file is to name it.
        estimate: how long the search takes, in words; None leaves it out.

    Raises:
        InputError: the methods do not fit each other or the images, or so few images decide no margin.
    """
    _refuse_other_methods(start)
    return "\n".join(
        [
            f"# A search for the images in {path}, written by `raydistill init`. Change what you like.",
            *([f"# It takes {estimate} on this machine, as `raydistill plan` forecasts."] if estimate else []),
            f"study: {study_name(Path(start.config.path))}",
            "seed: 0",
            *_dataset(start, path),
            *_network(start),
            *_methods(start),
            *_ipc(start),
            *_evaluation(start),
            *_goal(start),
            "# The search stops after so many trials; run it again with a larger --trials to go on.",
            f"budget: {{trials: {TRIALS}}}",
            *_resources(start),
            "",
        ]
    )


def study_name(path: Path) -> str:
    """A study's name from that of the images' folder or file."""
    name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")
    return f"{name}-images" if name in TAKEN_NAMES else name[:64] or "my-images"


def _refuse_other_methods(start: Start) -> None:
    unknown = [name for name in start.methods if name not in METHODS]
    if unknown:
        raise InputError(f"unknown method {unknown[0]!r}; allowed: {', '.join(METHODS)}: name one of these with --method")
    kinds = {METHODS[name].label_kind for name in start.methods}
    if len(kinds) > 1:
        soft = [name for name in start.methods if METHODS[name].label_kind == "soft"]
        raise InputError(
            f"{', '.join(soft)} make soft labels and the other methods hard ones, and the two share no ranking: write one space "
            "for each kind"
        )
    controls = [name for name in start.methods if METHODS[name].control is not None]
    if controls and len(start.methods) > 1:
        raise InputError(f"{controls[0]} is a control, and controls are in every race: leave it out, or give it alone")


def _dataset(start: Start, path: str) -> Iterator[str]:
    config, report = start.config, start.report
    parts = ", ".join(f"{part} {count}" for part, count in start.parts.items())
    layout = report.layout[:1].upper() + report.layout[1:]
    yield f"# {layout}: {len(report.classes)} classes, divided into {parts}. `raydistill data check` says more."
    yield "dataset:"
    mirror = "a mirrored image is of the same class; write false for letters, digits and road signs"
    if not config.mirror_keeps_class:
        mirror = "the classes look like letters or digits, which a mirror changes; write true otherwise"
    rows = [
        ("name: image_folder", ""),
        (f"path: {_flow(path)}", "relative to this file, or a full path"),
        (f"size: {config.size}", "height and width in pixels; larger images are scaled down"),
        (f"mirror_keeps_class: {_flow(config.mirror_keeps_class)}", mirror),
    ]
    written = {"name", "path", "size", "mirror_keeps_class"}
    for name, value in config.model_dump(mode="json").items():
        if name not in written and value != type(config).model_fields[name].default:
            rows.append((f"{name}: {_flow(value)}", COMMENTS.get(name, "")))
    width = max(len(row) for row, comment in rows if comment)
    for row, comment in rows:
        yield f"  {row:<{width}}  # {comment}" if comment else f"  {row}"


COMMENTS: Mapping[str, str] = {
    "duplicates": "train images that lie in another part as well are left out; keep leaves them in",
    "select_fraction": "share of the images on which trials are compared",
    "confirm_fraction": "share of the images that decide the verdict; more of them decide a smaller margin",
}


def _network(start: Start) -> Iterator[str]:
    network = network_for(start.report, start.machine)
    yield "# The network that is trained on the full data and on every set; wider and deeper ones take longer."
    yield f"network: {{name: convnet, depth: {network.depth}, width: {network.width}}}"


def _methods(start: Start) -> Iterator[str]:
    given = Given(
        smallest_class=start.smallest_class,
        train_images=start.parts.get("train", 0),
        is_on_gpu=start.machine.has_gpu,
        network=network_for(start.report, start.machine),
    )
    yield f"# A field is a value or a range. batch_real: real images of each class in a step, of at least {start.smallest_class}."
    yield "methods:" if _is_race(start) else "method:"
    for name in _served(start, given):
        rows = [f"{field}: {_flow(value)}" for field, value in first_fields(name, given).items()]
        lead = "  - " if _is_race(start) else "  "
        yield f"{lead}{rows[0]}"
        yield from (f"{' ' * len(lead)}{row}" for row in rows[1:])
    if _is_race(start):
        yield from _controls(start)


def _controls(start: Start) -> Iterator[str]:
    kind = METHODS[start.methods[0]].label_kind
    names = [name for name, method in METHODS.items() if method.control is not None and method.label_kind == kind]
    slow = [name for name in names if (control := METHODS[name].control) is not None and control.trains_network]
    yield "# What a distilled set has to beat: real images, chosen or averaged."
    if not start.machine.has_gpu:
        yield f"# {' and '.join(slow)} are left out: each of their trials trains a network of its own. Add them if you can wait."
        names = [name for name in names if name not in slow]
    yield f"controls: [{', '.join(names)}]"


def _is_race(start: Start) -> bool:
    return METHODS[start.methods[0]].control is None


def first_fields(name: str, given: Given) -> Fields:
    """The fields of a method or control in a first space: values, and ranges as a search space writes them."""
    method = METHODS[name]
    of_experts = experts(given) if issubclass(method.config, ExpertFields) else {}
    return {"name": name, **of_experts, **method.first_fields(given)}


def _served(start: Start, given: Given) -> tuple[str, ...]:
    """Those of the methods that work with the network."""
    served = tuple(name for name in start.methods if _works(name, given))
    if not served:
        kind, size = METHODS[start.methods[0]].label_kind, start.report.size
        others = [name for name, method in METHODS.items() if method.control is None and method.label_kind == kind]
        working = " or ".join(name for name in others if _works(name, given))
        raise InputError(
            f"{' and '.join(start.methods)} needs a deeper network than images of {size} x {size} pixels allow (depth "
            f"{given.network.depth}): give --method {working}"
        )
    return served


def _works(name: str, given: Given) -> bool:
    """Whether a method works with the network: what it complains about otherwise is its own name."""
    config = METHODS[name].config.model_validate(values_alone(first_fields(name, given)))
    facts = DataFacts(smallest_class=given.smallest_class, confirm_images=1)
    complaints = config.against(facts, given.network) if hasattr(config, "against") else ()
    return "name" not in {field for field, _ in complaints}


def _ipc(start: Start) -> Iterator[str]:
    most = min(MOST_IPC, start.smallest_class)
    yield f"# Images per class of a set; at most the {start.smallest_class} train images of the smallest class."
    yield f"ipc: {{low: 1, high: {most}, log: true}}" if most > 1 else "ipc: 1"


def _evaluation(start: Start) -> Iterator[str]:
    recipe = "long" if start.machine.has_gpu else "default"
    yield "# How networks are trained, and how many read a set. `recipe: quick` takes a quarter of the steps: good for a look,"
    yield "# and too few to train the full data to its end, unless the images are as simple as handwritten digits."
    yield (
        f"evaluation: {{recipe: {recipe}, networks: 4, least_networks: 2, baseline_networks: {BASELINE_NETWORKS}, "
        f"confirm_networks: {CONFIRM_NETWORKS}}}"
    )


def _goal(start: Start) -> Iterator[str]:
    images = Images(select=start.parts.get("select", 0), confirm=start.parts.get("confirm", 0), test=start.parts.get("test", 0))
    margin, least = margin_for(images, is_race=_is_race(start)), least_margin(images, is_race=_is_race(start))
    yield "# margin_fraction: the gap in accuracy to the full data that still counts as lossless; 0.05 are 5 points."
    if margin > LEAST_MARGIN:
        wanted = max(LEAST_MARGIN, round(margin / 2, 3))
        needed = images_for(wanted, is_race=_is_race(start))
        yield f"# {_in_words(images)} decide none below {least:.4f}. For one of {wanted:g} the"
        yield f"# least are {_in_words(needed)}; fewer do with more networks."
    else:
        yield f"# {_in_words(images)} decide one down to {least:.4f}."
    if start.report.imbalance is not None and start.report.imbalance >= IMBALANCED:
        yield "# The classes differ in size: `metric: balanced_accuracy` here lets a rare class count as much as a frequent one."
    yield f"goal: {{margin_fraction: {margin:g}, confidence: {CONFIDENCE:g}}}"


def _in_words(images: Images) -> str:
    return f"{images.select:,} select, {images.confirm:,} confirm and {images.test:,} test images"


def _resources(start: Start) -> Iterator[str]:
    if start.machine.has_gpu:
        yield "# Of one trial; gpus_per_trial: 0.5 lets two trials share a GPU."
        yield "resources: {cpus_per_trial: 4, gpus_per_trial: 1}"
        return
    yield f"# Of one trial; this machine has {start.machine.cores} cores, so that many trials run side by side."
    yield "resources: {cpus_per_trial: 1, gpus_per_trial: 0}"


def _flow(value: Any) -> str:
    """A value on one line of YAML, its keys in their order."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=math.inf, allow_unicode=True)
    return str(text).removesuffix("\n").removesuffix("\n...")


def looks_like_letters(classes: Sequence[str]) -> bool:
    """Whether the classes are named by single letters or by numbers, as handwriting is sorted."""
    return all(name.isdecimal() or (len(name) == 1 and name.isalpha()) for name in classes)
