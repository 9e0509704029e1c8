"""What every registered method promises, whichever it is: these tests run on a new method unasked."""

from __future__ import annotations

import atexit
import functools
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from raydistill.core.contract import TrainPart
from raydistill.core.expert_fields import ExpertFields
from raydistill.core.recipes import RECIPES
from raydistill.core.synthetic import SyntheticSet
from raydistill.data.splits import DatasetConfig, load_splits
from raydistill.experts.files import StoredExperts, open_experts
from raydistill.methods import METHODS
from raydistill.search.experts import plan_experts, prepare_experts
from raydistill.search.local import LocalExecutor
from raydistill.search.watcher import SilentWatcher
from raydistill.search.workplace import Workplace
from raydistill.spaces.network import ConvNetConfig
from raydistill.spaces.sections import Config
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.store import Store

NETWORK = ConvNetConfig(name="convnet", depth=2, width=4)
IPC = 3

EXPERTS: dict[str, Any] = {"experts": 2, "expert_epochs": 3}
TRAJECTORY: dict[str, Any] = {
    "iterations": 5,
    "student_steps": 2,
    "target_epochs": 1,
    "window_width": 2,
    "window_growth": 0,
    "gate": 10.0,
}
POOL: dict[str, Any] = {"pool": 2, "pool_steps": 3, "calibration_weight": 0.5, "ema_decay": 0.9}
SHORT: dict[str, list[dict[str, Any]]] = {
    "datadam": [
        {"random_inits": 6, "batch_real": 8},
        {"random_inits": 2, "steps_per_init": 3, "model_steps": 2, "batch_real": 8},
        {"random_inits": 2, "steps_per_init": 3, "model_steps": 2, "batch_real": 8, "factor": 3, "image_steps": 2, **POOL},
    ],
    "datm": [
        {**EXPERTS, **TRAJECTORY},
        {**EXPERTS, **TRAJECTORY, "init": "noise", "gradient": "tesla", "gate": 1.0},
    ],
    "pad": [{**EXPERTS, **TRAJECTORY, "score_networks": 1, "score_epochs": 1, "expert_all_from_epoch": 2}],
    **{
        f"{name}_soft": [EXPERTS, {**EXPERTS, "factor": 2}]
        for name in ("random", "k_center", "herding", "k_means", "k_means_medoids")
    },
    **{
        f"{name}_soft": [{**EXPERTS, "random_inits": 4, "batch_real": 8, "factor": 2, "ema_decay": 0.5}]
        for name in ("datadam", "dm")
    },
    "dc_soft": [{**EXPERTS, "random_inits": 2, "steps_per_init": 2, "model_steps": 2, "batch_real": 8}],
    "dm": [{"random_inits": 6, "batch_real": 8}, {"random_inits": 4, "batch_real": 8, "factor": 2, **POOL}],
    "rat_bptt": [
        {"random_inits": 5, "training_steps": 4, "window": 2, "batch_real": 8},
        {"random_inits": 3, "training_steps": 2, "window": 2, "batch_real": 8, "augmentation": "none", "factor": 2},
    ],
    "rat_bptt_soft": [{**EXPERTS, "random_inits": 4, "training_steps": 4, "window": 2, "batch_real": 8, "factor": 2}],
    "ncfm": [
        {"random_inits": 5, "batch_real": 8, "frequencies": 40, "factor": 2, **POOL},
        {
            "random_inits": 3,
            "batch_real": 8,
            "frequencies": 20,
            "lr_sampler": 0.0,
            "calibration_weight": 0.0,
            "pool": 0,
        },
    ],
    **{name: [{}, {"factor": 2}] for name in ("random", "k_center", "herding")},
    "k_means": [{}, {"space": "features"}, {"factor": 2}],
    "k_means_medoids": [{}, {"space": "features"}, {"factor": 3}],
    "dc": [
        {"random_inits": 2, "steps_per_init": 3, "model_steps": 2, "batch_real": 8},
        {"random_inits": 3, "steps_per_init": 1, "batch_real": 8, "augmentation": "none", "init": "noise"},
        {"random_inits": 2, "steps_per_init": 2, "model_steps": 2, "batch_real": 8, "factor": 2, **POOL},
    ],
}
"""Settings that make a method end within seconds; a method that is not listed runs with its defaults."""

CASES = [pytest.param(name, fields, id=f"{name}-{i}") for name in METHODS for i, fields in enumerate(SHORT.get(name, [{}]))]


@pytest.fixture(autouse=True)
def short_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A method that trains a network for its features takes twenty steps, not a thousand."""
    monkeypatch.setitem(RECIPES, "default", replace(RECIPES["default"], steps=20))


class Killed(Exception):
    pass


class MemoryCheckpoint:
    """Saves at every opportunity, as bytes, and dies after so many."""

    def __init__(self, die_after: int | None = None) -> None:
        self.data: bytes | None = None
        self.left = die_after
        self.saves = 0

    def load(self) -> Mapping[str, Tensor] | None:
        return None if self.data is None else load(self.data)

    def is_due(self) -> bool:
        return True

    def save(self, state: Mapping[str, Tensor]) -> None:
        self.data = save({name: value.detach().clone().contiguous() for name, value in state.items()})
        self.saves += 1
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                self.left = None
                raise Killed


def digits() -> TrainPart:
    splits = load_splits(DatasetConfig(name="digits"))
    return TrainPart(images=splits.train.images, labels=splits.train.labels, classes=10, mirror_keeps_class=False)


def distil(name: str, fields: dict[str, Any], *, seed: int = 1, part: TrainPart | None = None, **given: Any) -> SyntheticSet:
    config: Config = METHODS[name].config.model_validate({"name": name, **fields})
    arguments: dict[str, Any] = {"report": lambda *_, **__: None, "checkpoint": MemoryCheckpoint(), **given}
    if isinstance(config, ExpertFields):
        arguments["experts"] = trained_experts(config)
    return METHODS[name].distill(
        part or digits(),
        NETWORK,
        config,
        IPC,
        generator=torch.Generator().manual_seed(seed),
        device=torch.device("cpu"),
        **arguments,
    )


@functools.cache
def expert_store() -> Store:
    """A folder that goes with the process; methods whose experts are the same find each other's there."""
    store = Store(tempfile.mkdtemp(prefix="raydistill-test-"))
    atexit.register(store.delete_folder, ".")
    return store


@functools.cache
def trained_experts(config: ExpertFields) -> StoredExperts:
    """Built as a search builds them, once per settings of experts."""
    trial = TrialConfig[type(config)].model_validate(  # type: ignore[misc]
        {
            "seed": 0,
            "dataset": {"name": "digits"},
            "data_sha256": load_splits(DatasetConfig(name="digits")).sha256,
            "network": NETWORK.model_dump(),
            "method": config.model_dump(),
            "ipc": IPC,
            "evaluation": {},
            "goal": {"margin_fraction": 0.1},
        }
    )
    store = expert_store()
    work = Workplace(executor=LocalExecutor(), data_root=None, watcher=SilentWatcher())
    threads = torch.get_num_threads()
    prepare_experts(plan_experts([trial], store, None), trial, store, work)
    torch.set_num_threads(threads)  # jobs set it, and sets are the same only with as many threads
    experts = open_experts(trial, load_splits(trial.dataset), store)
    assert experts is not None
    return experts


@functools.cache
def made_once(name: str, fields: str) -> SyntheticSet:
    """The set of seed 1, which many tests look at; from the JSON of its fields."""
    return distil(name, json.loads(fields))


def made(name: str, fields: dict[str, Any]) -> SyntheticSet:
    """The set of seed 1; a run of its own makes it, the first time."""
    return made_once(name, json.dumps(fields))


@dataclass(frozen=True, kw_only=True, slots=True)
class Second:
    """A further run with seed 1, and what was seen of it."""

    synthetic: SyntheticSet
    part_is_unchanged: bool
    global_state_is_untouched: bool
    steps: list[tuple[int, int]]
    """What was reported: a step, and of how many."""
    saves: int


@functools.cache
def second_once(name: str, fields: str) -> Second:
    made_once(name, fields)
    part, steps, checkpoint = digits(), list[tuple[int, int]](), MemoryCheckpoint()
    images, labels = part.images.clone(), part.labels.clone()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)  # another state than that of the first run
        before = torch.get_rng_state()
        synthetic = distil(
            name,
            json.loads(fields),
            part=part,
            checkpoint=checkpoint,
            report=lambda step, of, loss, synthetic, **_: steps.append((step, of)),
        )
        untouched = torch.equal(before, torch.get_rng_state())
    return Second(
        synthetic=synthetic,
        part_is_unchanged=torch.equal(images, part.images) and torch.equal(labels, part.labels),
        global_state_is_untouched=untouched,
        steps=steps,
        saves=checkpoint.saves,
    )


def second(name: str, fields: dict[str, Any]) -> Second:
    """The second run with seed 1, at which several tests look."""
    return second_once(name, json.dumps(fields))


def same(a: SyntheticSet, b: SyntheticSet) -> bool:
    return torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels) and a.learned_lr == b.learned_lr


@pytest.mark.parametrize(("name", "fields"), CASES)
def test_set_is_balanced_finite_and_class_after_class(name: str, fields: dict[str, Any]) -> None:
    synthetic = made(name, fields)
    assert synthetic.images.shape == (10 * IPC, 1, 8, 8)
    assert synthetic.ipc == IPC
    assert bool(torch.isfinite(synthetic.images).all())
    assert bool(torch.isfinite(synthetic.labels).all())
    assert synthetic.label_kind == METHODS[name].label_kind
    factor = fields.get("factor", 1)
    assert synthetic.factor == factor
    assert synthetic.decoded().images.shape == (10 * IPC * factor**2, 1, 8, 8)
    assert len(synthetic.decoded().labels) == 10 * IPC * factor**2
    if synthetic.label_kind == "hard":
        assert synthetic.labels.tolist() == [j // IPC for j in range(10 * IPC)]


@pytest.mark.parametrize(("name", "fields"), CASES)
def test_same_seed_gives_the_same_bytes_and_another_seed_differs(name: str, fields: dict[str, Any]) -> None:
    assert same(made(name, fields), second(name, fields).synthetic)
    assert not same(made(name, fields), distil(name, fields, seed=2))


@pytest.mark.parametrize(("name", "fields"), CASES)
def test_global_random_state_is_neither_used_nor_touched(name: str, fields: dict[str, Any]) -> None:
    assert same(made(name, fields), second(name, fields).synthetic)
    assert second(name, fields).global_state_is_untouched


@pytest.mark.parametrize(("name", "fields"), CASES)
def test_training_data_is_unchanged(name: str, fields: dict[str, Any]) -> None:
    assert second(name, fields).part_is_unchanged


@pytest.mark.parametrize(("name", "fields"), CASES)
def test_report_sees_rising_steps_from_the_start_set_to_the_last(name: str, fields: dict[str, Any]) -> None:
    seen = second(name, fields).steps
    steps = [step for step, _ in seen]
    assert steps == sorted(set(steps))
    assert steps[0] == 0
    assert steps[-1] == seen[-1][1]


@pytest.mark.parametrize(("name", "fields"), CASES)
def test_a_kill_at_any_step_and_a_resume_give_the_same_bytes(name: str, fields: dict[str, Any]) -> None:
    """A run that is killed at every save, and one that is killed once, at the save in the middle. Choosing saves nothing."""
    saves = second(name, fields).saves
    method = METHODS[name]
    assert (saves > 0) == (method.images_passed(method.config.model_validate({"name": name, **fields}), IPC, 10) > 0)
    for kills in ([1] * saves, [(saves + 1) // 2] if saves else []):
        assert same(made(name, fields), killed_and_resumed(name, fields, kills))


def killed_and_resumed(name: str, fields: dict[str, Any], kills: list[int]) -> SyntheticSet:
    """The set after lives that end at their first, second, ... save, and one that does not."""
    checkpoint = MemoryCheckpoint()
    for life, die_after in enumerate(kills):
        checkpoint.left = die_after
        with pytest.raises(Killed):
            distil(name, fields, seed=99 if life else 1, checkpoint=checkpoint)
    # The generator of a new process has seen nothing: its state must come from the checkpoint.
    return distil(name, fields, seed=99 if kills else 1, checkpoint=checkpoint)
