"""What networks learn from: the full data, the set, and controls of the same size and label kind beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from raydistill.catalogue import did_you_mean
from raydistill.core.contract import NoCheckpoint
from raydistill.core.expert_fields import ExpertFields
from raydistill.core.process import set_up_process
from raydistill.core.synthetic import SyntheticSet, decode, encode
from raydistill.data.splits import Splits, splits_of
from raydistill.errors import InputError, StoreError
from raydistill.experts.files import open_experts
from raydistill.methods import METHODS, method_configs
from raydistill.spaces.sections import Config
from raydistill.spaces.trial import TrialConfig, read_trial_config
from raydistill.storage.record import code_sha256
from raydistill.trial.controls import config_of_control
from raydistill.trial.distillation import distil, manifest_of
from raydistill.uses.subject import Place, Subject
from raydistill.uses.values import EARLY, FULL, SET

BESIDE = ("random", "k_center", "herding", "k_means_medoids")
"""The controls that stand beside a set by default, in the form that has the set's label kind."""


class Source(Config):
    """What networks learn from."""

    name: str
    """`full`, `early`, `set`, or a control."""
    draw: int
    """Which set of a control, from 0."""
    id: str
    """Hash of what it is: the data, the set's file, or a control's config."""

    @property
    def is_control(self) -> bool:
        """Whether its set has to be made."""
        return self.name not in (FULL, EARLY, SET)


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlJob:
    """Makes the set of a control; can be pickled for another process."""

    networks: ClassVar[int] = 1
    name: str
    config_json: str
    place: Place

    @property
    def file(self) -> str:
        """Path of the set, in the folder of the records."""
        return control_file(read_trial_config(self.config_json, method_configs()).trial_id)

    def __call__(self) -> None:
        """Make the set and write it; nothing if it is there."""
        config = read_trial_config(self.config_json, method_configs())
        if self.place.folder.exists(self.file):
            return
        splits = splits_of(config, self.place.data_root)
        device = set_up_process(config.cpus_per_trial, self.place.device)
        experts = open_experts(config, splits, self.place.experts)
        synthetic = distil(config, splits, device, lambda *_, **__: None, NoCheckpoint(), experts)
        self.place.folder.write(self.file, encode(synthetic, manifest_of(config, splits)))


def control_file(trial_id: str) -> str:
    """Path of a control's set, in the folder of the records."""
    return f"sets/{trial_id}-{code_sha256()[:12]}.safetensors"


def controls_beside(subject: Subject, named: Sequence[str] | None) -> tuple[str, ...]:
    """The controls that stand beside a set.

    Args:
        subject: the set.
        named: their names; `none` alone for no control; None takes the default.

    Raises:
        InputError: an unknown control, or one whose labels need experts that the set does not name.
    """
    own: str = subject.config.method.name
    has_experts = isinstance(subject.config.method, ExpertFields)
    allowed = [
        name
        for name, method in METHODS.items()
        if method.control is not None
        and (method.label_kind == "hard" or (has_experts and subject.synthetic.label_kind == "soft"))
    ]
    if named is None:
        wanted = [f"{name}_soft" if has_experts and subject.synthetic.label_kind == "soft" else name for name in BESIDE]
        chosen = tuple(name for name in wanted if name != own)
    elif list(named) == ["none"]:
        return ()
    else:
        for name in named:
            if name not in allowed:
                raise InputError(
                    f"unknown control {name!r} for a set of {own} with {subject.synthetic.label_kind} labels; "
                    f"{did_you_mean(name, allowed)}Allowed: {', '.join(allowed)}, or none: give some of these"
                )
        chosen = tuple(dict.fromkeys(named))
    _check_size(subject, chosen)
    return chosen


def _check_size(subject: Subject, chosen: Sequence[str]) -> None:
    needed, smallest = subject.synthetic.decoded().ipc, subject.splits.smallest_class
    if chosen and needed > smallest:
        raise InputError(
            f"controls of the set's size need {needed} train images of each class, and class "
            f"{subject.splits.smallest_class_name} has {smallest}: give --controls none"
        )


def source_of(subject: Subject, name: str, index: int = 0) -> Source:
    """The source of this name for the network, order or seed of this index: a control of chance has a draw for each."""
    if name in (FULL, EARLY):
        return Source(name=name, draw=0, id=subject.splits.sha256)
    if name == SET:
        return Source(name=name, draw=0, id=subject.set_sha256)
    control = METHODS[name].control
    assert control is not None
    draw = index if control.draws > 1 else 0
    return Source(name=name, draw=draw, id=control_config(subject, name, draw).trial_id)


def control_config(subject: Subject, name: str, draw: int) -> TrialConfig[Any]:
    """The config of a control beside the set, on the device of this run."""
    config = config_of_control(subject.config, name, draw)
    return config.model_copy(update={"device": subject.place.device})


def control_jobs(subject: Subject, sources: Sequence[Source]) -> list[ControlJob]:
    """One job per control among the sources whose set is not made."""
    jobs = {}
    for source in sources:
        if source.is_control and not subject.place.folder.exists(control_file(source.id)):
            config = control_config(subject, source.name, source.draw)
            name = f"set of {source.name}, draw {source.draw}"
            jobs[source.id] = ControlJob(name=name, config_json=config.canonical_json(), place=subject.place)
    return list(jobs.values())


def learned_from(source: Source, place: Place, own: SyntheticSet, splits: Splits) -> tuple[Tensor, Tensor, Tensor, float | None]:
    """Images, labels, the class of each image, and the learned learning rate of a source, as networks see it.

    Raises:
        StoreError: a control's set is damaged.
    """
    if source.name in (FULL, EARLY):
        return splits.train.images, splits.train.labels, splits.train.labels, None
    seen = (own if source.name == SET else _read_control(source, place)).decoded()
    return seen.images, seen.labels, hard_classes(seen), seen.learned_lr


def hard_classes(synthetic: SyntheticSet) -> Tensor:
    """(N,) the class of each image, also where labels are soft: images are ordered by class."""
    return torch.arange(len(synthetic.images)) // synthetic.ipc


def _read_control(source: Source, place: Place) -> SyntheticSet:
    name = control_file(source.id)
    try:
        return decode(place.folder.read(name))[0]
    except (ValueError, FileNotFoundError) as error:
        raise StoreError(
            f"{place.folder.path(name)}: {error}; delete it and run the same command again, which makes it again"
        ) from error
