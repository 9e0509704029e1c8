"""A trial from its data to its record on a device that is not the CPU, what it needs, and what reads its set afterwards."""

from __future__ import annotations

import atexit
import functools
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from new_study import new_study, run
from pretend_device import to_host
from short_runs import EXPERT, EXPERTS, TRAJECTORY, part_on

from raydistill.core.experts import difficulty, train_expert
from raydistill.core.recipes import RECIPES
from raydistill.data.splits import load_splits
from raydistill.methods import METHODS
from raydistill.sets.evaluating import accuracies, part_to_read
from raydistill.sets.place import ImagesToRead
from raydistill.sets.protocols import AUGMENTATIONS, run_dc_bench, run_dd_ranking
from raydistill.sets.set_file import read_set_file
from raydistill.spaces.network import ConvNetConfig
from raydistill.spaces.sections import DatasetConfig, EvaluationConfig, GoalConfig
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.record import TrialRecord
from raydistill.storage.store import Store
from raydistill.trial import confirm
from raydistill.trial.distillation import StoredCheckpoint

CPU = torch.device("cpu")
FEW_IMAGES = 4 / 250
"""Of the select images: what rounding may turn, if anything."""
METHOD_FIELDS: dict[str, dict[str, Any]] = {
    "datadam": {"random_inits": 4, "batch_real": 16},
    "dc": {"random_inits": 2, "steps_per_init": 1, "batch_real": 8},
    "datm": {**EXPERTS, **TRAJECTORY, "augmentation": "crop"},
}


@pytest.fixture(autouse=True)
def short_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "default", replace(RECIPES["default"], steps=4))
    monkeypatch.setitem(RECIPES, "plain", replace(RECIPES["plain"], steps=3))
    for name in ("dc_bench", "dc_bench_dsa"):
        monkeypatch.setitem(RECIPES, name, replace(RECIPES[name], epochs=2))


def trial_config(method: str = "datadam", device: str = "cuda", **fields: Any) -> TrialConfig[Any]:
    kind = METHODS[method].config
    given: dict[str, Any] = {
        "seed": 5,
        "dataset": DatasetConfig(name="digits"),
        "data_sha256": load_splits(DatasetConfig(name="digits")).sha256,
        "network": ConvNetConfig(name="convnet", depth=2, width=4),
        "method": kind.model_validate({"name": method, **METHOD_FIELDS[method]}),
        "ipc": 2,
        "evaluation": EvaluationConfig(networks=2, baseline_networks=2, confirm_networks=2),
        "goal": GoalConfig(margin_fraction=0.9),
        "device": device,
    }
    return TrialConfig[kind](**{**given, **fields})  # type: ignore[valid-type]


@functools.cache
def finished(method: str = "datadam") -> tuple[Store, TrialRecord]:
    """A study in a folder that goes with the process, and the record of its trial on the device."""
    folder = tempfile.TemporaryDirectory(prefix="raydistill-test-")
    atexit.register(folder.cleanup)
    study = new_study(Path(folder.name), trial_config(method))
    return study, run(trial_config(method), study)


@pytest.mark.parametrize("method", METHOD_FIELDS)
def test_a_trial_reads_what_it_reads_on_the_cpu(method: str, gpu_of_this_machine: torch.device, tmp_path: Path) -> None:
    _, record = finished(method)
    assert record.state == "finished", record.error
    on_cpu = trial_config(method, device="cpu")
    for ours, theirs in zip(record.readings, run(on_cpu, new_study(tmp_path, on_cpu)).readings, strict=True):
        assert ours.accuracy_fractions == pytest.approx(theirs.accuracy_fractions, abs=FEW_IMAGES)
        assert ours.loss == (theirs.loss and pytest.approx(theirs.loss, rel=1e-3))


def test_a_killed_trial_continues_to_the_same_set(
    gpu_of_this_machine: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(BaseException):
        pass

    def save_and_die(self: StoredCheckpoint, state: Any, save: Any = StoredCheckpoint.save) -> None:
        save(self, state)
        raise PowerCut

    study, whole = finished()
    config = trial_config()
    other = Store(str(tmp_path / "other"))
    other.write("baseline/baseline.json", study.read("baseline/baseline.json"))
    monkeypatch.setattr(StoredCheckpoint, "is_due", lambda self: True)
    with monkeypatch.context() as patch:
        patch.setattr(StoredCheckpoint, "save", save_and_die)
        with pytest.raises(PowerCut):
            run(config, other)
    resumed = run(config, other)
    torch.testing.assert_close(confirm.read_set(other, config.trial_id).images, confirm.read_set(study, config.trial_id).images)
    assert [reading.step for reading in resumed.readings] == [reading.step for reading in whole.readings]


def test_the_memory_in_a_record_is_the_devices(gpu_of_this_machine: torch.device) -> None:
    """The train images alone are 797 x 64 float32, 204,032 bytes; a process of Python and PyTorch has over 100 MB."""
    _, record = finished()
    assert record.cost is not None
    assert 204_032 < record.cost.peak_memory_bytes < 20_000_000


def test_a_set_is_confirmed_evaluated_and_read_by_every_protocol(gpu_of_this_machine: torch.device) -> None:
    config = trial_config()
    study, _ = finished()
    for index in range(2):
        confirm.train_confirm_networks(config, [index], study)
    assert confirm.finish_confirmation(config, study, 0.95).interval.images == 300
    path = str(study.local_path(f"trials/{config.trial_id}"))
    on = ImagesToRead()
    synthetic, read = read_set_file(path)
    splits = load_splits(DatasetConfig(name="digits"))
    assert len(accuracies(synthetic, read, splits, part_to_read(path, read, splits, on))) == 2
    assert len(run_dc_bench(path, on, architectures=["convnet"], networks=1)) == len(AUGMENTATIONS)
    assert len(run_dd_ranking(path, on, networks=1).label_robust) == 1


@pytest.mark.parametrize("rho", [0.0, 0.01])
def test_an_expert_is_that_of_the_cpu(rho: float, device: torch.device) -> None:
    settings = EXPERT.model_copy(update={"rho": rho})
    found = {at: train_expert(part_on(at), settings, 0, {0, 1}, None, at) for at in (CPU, device)}
    assert list(found[device][0]) == [0, 1, 2]
    for epoch, snapshot in found[CPU][0].items():
        torch.testing.assert_close(found[device][0][epoch], snapshot)
    assert found[device][1] == pytest.approx(found[CPU][1], abs=0.04)


def test_difficulty_is_that_of_the_cpu(device: torch.device) -> None:
    pad = METHODS["pad"].config.model_validate({"name": "pad", "score_epochs": 1})
    settings = EXPERT.model_copy(update={"curriculum": pad.curriculum()})  # type: ignore[attr-defined]
    scores = {at: difficulty(part_on(at), settings, 0, at) for at in (CPU, device)}
    torch.testing.assert_close(to_host(scores[device]) if scores[device].device == device else scores[device], scores[CPU])
