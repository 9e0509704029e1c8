"""What a certificate compares: the full data, the set, and controls of the same size; their sets and networks, made as jobs.

Everything is trained and written before the test split is opened, so a certification that is killed continues where it was, and
the split stays sealed until nothing is left to choose.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from safetensors import SafetensorError
from safetensors.torch import load, save

from raydistill.certify.certificate import Arm
from raydistill.core.contract import NoCheckpoint
from raydistill.core.evaluate import network_seeds, train_fresh, with_learned_rate
from raydistill.core.process import prepare_process
from raydistill.core.recipes import recipe_of
from raydistill.core.synthetic import SyntheticSet, decode, encode, sha256
from raydistill.core.train import ON_FULL_DATA, check_finite
from raydistill.data.splits import splits_of
from raydistill.errors import StoreError
from raydistill.experts.files import open_experts
from raydistill.methods import METHODS
from raydistill.search.estimate import Part
from raydistill.search.jobs import NetworkJob, network_job
from raydistill.search.pace import network_seconds
from raydistill.spaces.sections import Config
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.baseline import Baseline
from raydistill.storage.data_root import DataRoot
from raydistill.storage.layout import SET_FILE, trial_file
from raydistill.storage.record import TrialRecord
from raydistill.storage.store import Store
from raydistill.trial.confirm import read_set
from raydistill.trial.controls import config_of_control
from raydistill.trial.distillation import distil, manifest_of

FULL_JOB = "certify: full-"
"""Begin of the names of jobs that train on the full data."""


class ArmPlan(Config):
    """One arm: `full`, `set`, or one draw of a method that is a control."""

    name: str
    draw: int = 0

    @property
    def is_control(self) -> bool:
        """Whether its set has to be made."""
        return self.name not in ("full", "set")

    @property
    def stem(self) -> str:
        """Of its files."""
        return f"{self.name}-{self.draw}"


class Plan(Config):
    """What one certification trains, fixed before it begins. Written to `certificate/<number>/plan.json`."""

    number: int
    trial_id: str
    networks: int
    """Of each arm."""
    full_steps: int
    """Optimiser steps on the full data."""
    arms: tuple[ArmPlan, ...]
    code_sha256: str
    started_at: str

    @property
    def folder(self) -> str:
        """Of its files, in the study."""
        return f"certificate/{self.number}"

    def parameters_file(self, arm: ArmPlan, index: int) -> str:
        """Where a network's parameters go."""
        return f"{self.folder}/networks/{arm.stem}-{index}.safetensors"

    def set_file(self, arm: ArmPlan) -> str:
        """Where a control's set goes."""
        return f"{self.folder}/sets/{arm.stem}.safetensors"


def certificate_seeds(number: int, data_sha256: str, networks: int) -> list[int]:
    """Of a certificate's networks, the same in every arm; fresh, because nothing else has this purpose."""
    return network_seeds(f"certificate {number}", data_sha256, networks)


def plan_arms(winner: TrialConfig[Any], label_kind: Literal["hard", "soft"]) -> tuple[ArmPlan, ...]:
    """The full data, the set, and every registered control of sets with such labels; the winner's own method is no control."""
    controls = [
        ArmPlan(name=name, draw=draw)
        for name, method in METHODS.items()
        if method.control is not None and label_kind in method.control.label_kinds and name != winner.method.name
        for draw in range(method.control.draws)
    ]
    return (ArmPlan(name="full"), ArmPlan(name="set"), *controls)


def control_config(winner: TrialConfig[Any], arm: ArmPlan) -> TrialConfig[Any]:
    """The config of one draw of a control: the winner's but for method and seed."""
    return config_of_control(winner, arm.name, arm.draw)


def set_jobs(plan: Plan, winner: TrialConfig[Any], study: Store, data_root: DataRoot, *, experts: Store) -> list[NetworkJob]:
    """One job per control whose set is not made; `experts` is the store whose experts the search built."""
    make = partial(make_control, plan=plan, experts=experts)
    return [
        network_job(f"certify: set of {arm.stem}", make, index, winner, study, data_root)
        for index, arm in enumerate(plan.arms)
        if arm.is_control and not study.exists(plan.set_file(arm))
    ]


def parts_of(jobs: Sequence[NetworkJob], baseline: Baseline, record: TrialRecord, full_steps: int) -> list[Part]:
    """What the networks of `network_jobs` cost: on the full data as the baseline's did, on sets as those of the trial did."""
    full = sum(job.name.startswith(FULL_JOB) for job in jobs)
    pace = statistics.median(reading.seconds / reading.steps for reading in baseline.readings)
    return [
        Part(jobs=full, what="networks on the full data", seconds_each=pace * full_steps),
        Part(jobs=len(jobs) - full, what="networks on the set and on controls", seconds_each=network_seconds(record)),
    ]


def network_jobs(plan: Plan, winner: TrialConfig[Any], study: Store, data_root: DataRoot) -> list[NetworkJob]:
    """One job per network that is not trained; arm by arm for each seed, so that pairs end together."""
    return [
        network_job(
            f"certify: {arm.stem}, network {index}", partial(train_arm, plan=plan, arm=arm), index, winner, study, data_root
        )
        for index in range(plan.networks)
        for arm in plan.arms
        if not study.exists(plan.parameters_file(arm, index))
    ]


def make_control(
    winner: TrialConfig[Any], index: int, study: Store, data_root: DataRoot = None, *, plan: Plan, experts: Store
) -> None:
    """Make the set of the control at a place of the plan and write it; nothing if it is there."""
    arm = plan.arms[index]
    if study.exists(plan.set_file(arm)):
        return
    config = control_config(winner, arm)
    splits = splits_of(config, data_root)
    device = prepare_process(config)
    synthetic = distil(config, splits, device, lambda *_, **__: None, NoCheckpoint(), open_experts(config, splits, experts))
    manifest = manifest_of(config, splits)
    study.write(plan.set_file(arm), encode(synthetic, manifest))


def train_arm(
    winner: TrialConfig[Any], index: int, study: Store, data_root: DataRoot = None, *, plan: Plan, arm: ArmPlan
) -> None:
    """Train one network of an arm and write its parameters; nothing if they are there.

    Raises:
        DivergedError: it trained on the full data and diverged, and beside its answers every set would look lossless.
    """
    if study.exists(plan.parameters_file(arm, index)):
        return
    splits = splits_of(winner, data_root)
    device = prepare_process(winner)
    recipe = recipe_of(winner, splits)
    if arm.name == "full":
        images, labels = splits.train.images, splits.train.labels
        recipe = replace(recipe, steps=plan.full_steps)
    else:
        synthetic = arm_set(plan, arm, study)[0].decoded()
        images, labels, recipe = synthetic.images, synthetic.labels, with_learned_rate(recipe, synthetic)
    seed = certificate_seeds(plan.number, splits.sha256, plan.networks)[index]
    network = train_fresh(images, labels, splits, winner.network, recipe, seed, device)
    if arm.name == "full":
        check_finite([network], recipe.steps, ON_FULL_DATA)
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    study.write(plan.parameters_file(arm, index), save(tensors))


def arm_set(plan: Plan, arm: ArmPlan, study: Store) -> tuple[SyntheticSet, str]:
    """The set that an arm learns from, and the hash of its file.

    Raises:
        StoreError: the file is damaged, or missing where it is that of the set.
    """
    if arm.name == "set":
        synthetic = read_set(study, plan.trial_id)
        return synthetic, sha256(study.read(trial_file(plan.trial_id, SET_FILE)))
    name = plan.set_file(arm)
    data = study.read(name)
    try:
        return decode(data)[0], sha256(data)
    except ValueError as error:
        raise StoreError(f"{study.path(name)}: {error}; delete it and the networks trained on it, and certify again") from error


def trained_arms(plan: Plan, study: Store) -> tuple[Arm, ...]:
    """The arms with the hashes of what was trained, and nothing read yet.

    Raises:
        StoreError: a set or a network is damaged.
    """
    arms = []
    for arm in plan.arms:
        synthetic, set_sha256 = (None, None) if arm.name == "full" else arm_set(plan, arm, study)
        hashes = tuple(_network_sha256(study, plan.parameters_file(arm, index)) for index in range(plan.networks))
        kind = synthetic.label_kind if synthetic else "hard"
        arms.append(
            Arm(name=arm.name, draw=arm.draw, label_kind=kind, set_sha256=set_sha256, parameters_sha256=hashes, correct=())
        )
    return tuple(arms)


def _network_sha256(study: Store, name: str) -> str:
    """Of a network's file, which is read to its end, because a damaged one must not be sealed."""
    data = study.read(name)
    try:
        load(data)
    except SafetensorError as error:
        raise StoreError(f"{study.path(name)} is damaged ({error}); delete it, and certify again to train it again") from error
    return sha256(data)
