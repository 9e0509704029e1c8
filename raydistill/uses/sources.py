"""What networks learn from: the full data, the set, and controls of the same size and label kind beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pydantic import Field
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
from raydistill.methods.configs.fields import soft_name
from raydistill.spaces.sections import Config
from raydistill.spaces.trial import TrialConfig, read_trial_config
from raydistill.storage.record import code_sha256
from raydistill.trial.controls import config_of_control
from raydistill.trial.distillation import distil, manifest_of
from raydistill.uses.classes import with_train_of
from raydistill.uses.subject import Place, Subject
from raydistill.uses.values import IN_STEPS, REAL, SET

BESIDE = ("random", "k_center", "herding", "k_means_medoids")
"""The controls that stand beside a set by default, in the form that has the set's label kind."""

MOST_OF_A_NAME = 100
"""Characters of class numbers in the name of a file, which may have 255 in all; more are replaced by a hash."""


class Source(Config):
    """What networks learn from."""

    name: str
    """`full` or another of `REAL`, `set`, `in_steps`, or a control."""
    draw: int
    """Which set of a control, from 0."""
    id: str
    """Hash of what it is: the data, the set's file, or the config of what is made."""
    steps: tuple[tuple[int, ...], ...] | None = Field(default=None, strict=False)
    """For `in_steps` the classes of each step so far."""
    is_given: bool = False
    """Whether its set was made elsewhere and is brought to the records, so that no job is to make it."""

    @property
    def files(self) -> list[str]:
        """The sets that have to be made for it."""
        if self.is_given:
            return []
        if self.steps is not None:
            return [set_file(self.id, step) for step in self.steps]
        return [] if self.name in (*REAL, SET) else [set_file(self.id)]


@dataclass(frozen=True, kw_only=True, slots=True)
class SetJob:
    """Makes the set of a control, or that of the classes of a step; can be pickled for another process."""

    networks: ClassVar[int] = 1
    name: str
    config_json: str
    classes: tuple[int, ...] | None
    """The classes of the step; None for all."""
    place: Place

    @property
    def config(self) -> TrialConfig[Any]:
        """Of the set."""
        return read_trial_config(self.config_json, method_configs())

    def __call__(self) -> None:
        """Make the set and write it; nothing if it is there."""
        config = self.config
        file = set_file(config.trial_id, self.classes)
        if self.place.folder.exists(file):
            return
        splits = splits_of(config, self.place.data_root)
        if self.classes is not None:
            splits = with_train_of(splits, self.classes)
        device = set_up_process(config.cpus_per_trial, self.place.device)
        experts = open_experts(config, splits, self.place.experts)
        synthetic = distil(config, splits, device, lambda *_, **__: None, NoCheckpoint(), experts)
        self.place.folder.write(file, encode(synthetic, manifest_of(config, splits)))


def set_file(trial_id: str, classes: Sequence[int] | None = None) -> str:
    """Path of a set that was made, in the folder of the records."""
    of = "" if classes is None else f"-of-{_in_a_name(classes)}"
    return f"sets/{trial_id}{of}-{code_sha256()[:12]}.safetensors"


def _in_a_name(classes: Sequence[int]) -> str:
    joined = "-".join(map(str, classes))
    if len(joined) <= MOST_OF_A_NAME:
        return joined
    return f"{len(classes)}-classes-{hashlib.sha256(joined.encode()).hexdigest()[:12]}"


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
        wanted = [soft_name(name) if has_experts and subject.synthetic.label_kind == "soft" else name for name in BESIDE]
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
    if name in REAL:
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


def source_in_steps(subject: Subject, steps: Sequence[Sequence[int]]) -> Source:
    """The set's method, run for the classes of each step alone."""
    config = own_config(subject)
    return Source(name=IN_STEPS, draw=0, id=config.trial_id, steps=tuple(tuple(sorted(step)) for step in steps))


def own_config(subject: Subject) -> TrialConfig[Any]:
    """The set's config, on the device of this run."""
    return subject.config.model_copy(update={"device": subject.place.device})


def set_jobs(subject: Subject, sources: Sequence[Source]) -> list[SetJob]:
    """One job per set that the sources need and that is not made."""
    jobs: dict[str, SetJob] = {}
    for source in sources:
        for number, file in enumerate(source.files):
            if file in jobs or subject.place.folder.exists(file):
                continue
            is_own = source.steps is not None
            config = own_config(subject) if is_own else control_config(subject, source.name, source.draw)
            classes = source.steps[number] if source.steps is not None else None
            of = f"classes {', '.join(map(str, classes or ()))}" if is_own else f"{source.name}, draw {source.draw}"
            text = config.canonical_json()
            jobs[file] = SetJob(name=f"set of {of}", config_json=text, classes=classes, place=subject.place)
    return list(jobs.values())


def learned_from(source: Source, place: Place, own: SyntheticSet, splits: Splits) -> tuple[Tensor, Tensor, Tensor, float | None]:
    """Images, labels, the class of each image, and the learned learning rate of a source, as networks see it.

    Raises:
        StoreError: a control's set is damaged.
    """
    if source.name in REAL:
        return splits.train.images, splits.train.labels, splits.train.labels, None
    if source.steps is not None:
        return _in_steps(source, source.steps, place)
    seen = (own if source.name == SET else _read(set_file(source.id), place)).decoded()
    return seen.images, seen.labels, hard_classes(seen), seen.learned_lr


def _in_steps(source: Source, steps: Sequence[Sequence[int]], place: Place) -> tuple[Tensor, Tensor, Tensor, float | None]:
    """The sets of the steps so far side by side, with the classes numbered as in the data."""
    images, classes = [], []
    for step in steps:
        seen = _read(set_file(source.id, step), place).decoded()
        images.append(seen.images)
        classes.append(torch.tensor(step)[hard_classes(seen)])
    together = torch.cat(classes)
    return torch.cat(images), together, together, None


def hard_classes(synthetic: SyntheticSet) -> Tensor:
    """(N,) the class of each image, also where labels are soft: images are ordered by class."""
    return torch.arange(len(synthetic.images)) // synthetic.ipc


def _read(name: str, place: Place) -> SyntheticSet:
    try:
        return decode(place.folder.read(name))[0]
    except (ValueError, FileNotFoundError) as error:
        raise StoreError(
            f"{place.folder.path(name)}: {error}; delete it and run the same command again, which makes it again"
        ) from error
