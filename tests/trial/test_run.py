"""One trial and what surrounds it: baseline, record, early stop, resume, confirmation."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save as save_tensors
from torch import Tensor

from raydistill.core.recipes import RECIPES
from raydistill.core.synthetic import SyntheticSet, decode, encode, sha256
from raydistill.data.splits import load_splits
from raydistill.errors import DataError, DeviceError, DivergedError, StoreError
from raydistill.methods.configs.coreset import RandomConfig
from raydistill.methods.configs.datadam import DataDAMConfig
from raydistill.search.jobs import confirm_jobs
from raydistill.spaces.network import ConvNetConfig
from raydistill.spaces.sections import DatasetConfig, EvaluationConfig, GoalConfig
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.baseline import read_baseline, read_network
from raydistill.storage.record import Reading, TrialRecord, read_progress, read_record, unpack_bits, write_record
from raydistill.storage.store import Store
from raydistill.trial import baseline, confirm
from raydistill.trial import run as trial
from raydistill.trial.distillation import StoredCheckpoint
from raydistill.trial.endings import TrialCrashedError, lost_record
from raydistill.trial.run import run_trial


def shorten(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(RECIPES, "default", replace(RECIPES["plain"], name="default", steps=40))


@pytest.fixture(autouse=True)
def short_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch)


@pytest.fixture
def restored_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def trial_config(**fields: Any) -> TrialConfig[DataDAMConfig]:
    given: dict[str, Any] = {
        "seed": 5,
        "dataset": DatasetConfig(name="digits"),
        "data_sha256": load_splits(DatasetConfig(name="digits")).sha256,
        "network": ConvNetConfig(name="convnet", depth=2, width=8),
        "method": DataDAMConfig(name="datadam", random_inits=6, batch_real=16),
        "ipc": 5,
        "evaluation": EvaluationConfig(networks=2, baseline_networks=2, confirm_networks=2),
        "goal": GoalConfig(margin_fraction=0.9),
    }
    return TrialConfig[DataDAMConfig](**{**given, **fields})


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with its baseline, not to be written; `study` copies it."""
    folder = tmp_path_factory.mktemp("built")
    config, store = trial_config(), Store(str(folder))
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        for index in range(2):
            baseline.train_baseline_networks(config, [index], store)
        baseline.finish_baseline(config, store)
    return folder


@pytest.fixture(scope="module")
def run_once(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the trial of `trial_config()`; `finished` copies it."""
    folder = tmp_path_factory.mktemp("run") / "study"
    shutil.copytree(built, folder)
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        run_trial(trial_config(), Store(str(folder)), lambda reading: None)
    return folder


@pytest.fixture
def study(built: Path, tmp_path: Path) -> Store:
    return Store(str(shutil.copytree(built, tmp_path / "study")))


@pytest.fixture
def finished(run_once: Path, tmp_path: Path) -> Store:
    """A study whose trial of `trial_config()` has ended."""
    return Store(str(shutil.copytree(run_once, tmp_path / "study")))


def record_of(study: Store) -> TrialRecord:
    record = read_record(study, trial_config().trial_id)
    assert record is not None
    return record


def without_times(record: TrialRecord) -> dict[str, Any]:
    fields = record.model_dump(exclude={"started_at", "host"})
    if fields["cost"]:
        fields["cost"] = {name: fields["cost"][name] for name in ("train_macs", "epoch_macs")}
    return fields


def test_a_trial_leaves_its_set_a_picture_and_a_record(study: Store) -> None:
    seen: list[Reading] = []
    config = trial_config()
    record = run_trial(config, study, seen.append)
    assert record.state == "finished"
    assert [reading.fraction for reading in seen] == [0.0, 0.5, 1.0]
    assert [len(reading.accuracy_fractions) for reading in seen] == [1, 1, 2]
    assert record.readings == tuple(seen)
    assert read_record(study, config.trial_id) == record
    assert confirm.read_set(study, config.trial_id).images.shape == (50, 1, 8, 8)
    assert study.read(f"trials/{config.trial_id}/images.png").startswith(b"\x89PNG")
    assert not study.exists(f"trials/{config.trial_id}/progress.json")


def test_steps_are_reported_and_the_last_one_told_is_on_the_store(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a minimum interval every step is reported, and the store then has the progress of the step before."""
    monkeypatch.setattr(trial, "TOLD_SECONDS", 0.0)
    monkeypatch.setattr(trial, "CHECKPOINT_SECONDS", 0.0)
    config = trial_config()
    told: list[tuple[int, int]] = []
    kept: list[int | None] = []

    def on_step(step: int, steps: int) -> None:
        progress = read_progress(study, config.trial_id)
        told.append((step, steps))
        kept.append(progress.step if progress else None)

    run_trial(config, study, lambda reading: None, None, on_step)
    steps = told[0][1]
    assert steps > 1
    assert told == [(step, steps) for step in range(steps + 1)]
    assert kept == [None, *range(steps)]


def test_record_counts_images_bytes_and_multiply_accumulates(finished: Store) -> None:
    """50 images of 64 float32 pixels and a byte per label: 50 * 257 bytes. One image: conv 12*12*8*9 + 6*6*8*72, linear 72*10,
    that is 10,368 + 20,736 + 720 = 31,824; a pass has 50 of them, 40 steps of min(64, 50) images have 2,000."""
    record = record_of(finished)
    assert (record.images, record.set_bytes) == (50, 50 * 257)
    assert record.cost is not None
    assert (record.cost.epoch_macs, record.cost.train_macs) == (50 * 31_824, 2_000 * 31_824)


def test_gap_is_the_baseline_mean_minus_the_mean_of_the_reading(finished: Store) -> None:
    record = record_of(finished)
    built = read_baseline(finished)
    assert built is not None
    assert record.final is not None
    assert record.gap == pytest.approx(built.accuracy_fraction - np.mean(record.final.accuracy_fractions))
    correct = unpack_bits(record.select_correct, built.select_images)
    assert correct.mean(axis=1).tolist() == pytest.approx(list(record.final.accuracy_fractions))


def test_a_finished_trial_is_not_run_again(finished: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = record_of(finished)
    monkeypatch.setattr(trial, "distil", lambda *_, **__: pytest.fail("distilled again"))
    assert run_trial(trial_config(), finished, lambda reading: None) == first


def test_a_hopeless_trial_is_stopped_half_way_and_says_so(study: Store) -> None:
    config = trial_config(goal=GoalConfig(margin_fraction=0.001), ipc=1)
    record = run_trial(config, study, lambda reading: None)
    assert record.state == "pruned"
    assert [reading.fraction for reading in record.readings] == [0.0, 0.5]
    assert record.error is not None
    assert "above twice the margin" in record.error
    assert record.gap is None


def test_a_stop_that_a_kill_cut_short_is_still_a_stop_on_the_trials_device(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    config = trial_config(goal=GoalConfig(margin_fraction=0.001), ipc=1)
    monkeypatch.setattr(trial, "is_hopeless", lambda readings, margin: len(readings) == 2 and pytest.fail("killed here"))
    with pytest.raises(pytest.fail.Exception):
        run_trial(config, study, lambda reading: None)
    monkeypatch.undo()
    shorten(monkeypatch)
    monkeypatch.setattr(trial, "prepare_process", lambda config: torch.device("cpu", 0))
    monkeypatch.setattr(trial._Run, "_device_name", lambda run: str(run.device))
    record = run_trial(config, study, lambda reading: None)
    assert (record.state, record.device) == ("pruned", "cpu:0")


def test_a_trial_ends_itself_when_its_hours_are_over(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A millionth of an hour is over when the trial has loaded its data; what it has cost is recorded."""
    monkeypatch.setattr(trial, "TOLD_SECONDS", 0.0)
    record = run_trial(trial_config(), study, lambda reading: None, most_hours=1e-6)
    assert record.state == "timed_out"
    assert record.error is not None
    assert re.fullmatch(r"ran for \S+ h, longer than budget.trial_hours \(1e-06 h\); its last step was \d+ of \d+", record.error)
    assert record.cost is not None
    assert run_trial(trial_config(), study, lambda reading: None, most_hours=1e-6) == record


def test_a_trial_gives_signs_of_life_while_the_networks_of_a_reading_train(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first comes before the reading of the initial set is there."""
    monkeypatch.setattr(trial, "TOLD_SECONDS", 0.0)
    heard: list[str] = []
    run_trial(trial_config(), study, lambda reading: heard.append("reading"), alive=lambda: heard.append("alive"))
    assert heard.index("alive") < heard.index("reading")


def test_divergence_is_a_result(study: Store) -> None:
    config = trial_config(method=DataDAMConfig(name="datadam", random_inits=30, batch_real=16, lr_images=1e30))
    record = run_trial(config, study, lambda reading: None)
    assert record.state == "diverged"
    assert record.error is not None
    assert "lower the learning rates" in record.error


def dropping(accepted: tuple[int, ...], *, dies: bool = False, loss: Tensor | None = None) -> Any:
    """A distillation of six steps that changes the set at some of them, saves after the third, and may be killed then."""

    def distil(
        config: Any, splits: Any, device: Any, report: Any, checkpoint: StoredCheckpoint, experts: Any, **_: Any
    ) -> SyntheticSet:
        images, labels = torch.randn(50, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(50) // 5
        synthetic = SyntheticSet(images=images, labels=labels, ipc=5)
        saved = checkpoint.load()
        for step in range(0 if saved is None else int(saved["done"]) + 1, 7):
            report(step, 6, loss if step else None, synthetic, is_accepted=step == 0 or step in accepted)
            if step == 3:
                checkpoint.save({"done": torch.tensor(step)})
            if step == 4 and dies:
                raise KeyboardInterrupt
        return synthetic

    return distil


def test_a_trial_whose_every_step_is_dropped_is_no_candidate(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "distil", dropping(accepted=()))
    record = run_trial(trial_config(), study, lambda reading: None)
    assert (record.state, record.accepted_steps, record.gap) == ("diverged", 0, None)
    assert record.error is not None
    assert record.error.startswith("none of its 6 steps changed the set")
    assert "lower method.lr_student" in record.error


def test_steps_that_changed_the_set_are_counted_over_a_kill(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps 2 and 5 of six; the kill after step 4 repeats it from the checkpoint after step 3."""
    monkeypatch.setattr(trial, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(trial, "distil", dropping(accepted=(2, 5), dies=True))
    with pytest.raises(KeyboardInterrupt):
        run_trial(trial_config(), study, lambda reading: None)
    monkeypatch.setattr(trial, "distil", dropping(accepted=(2, 5)))
    record = run_trial(trial_config(), study, lambda reading: None)
    assert (record.state, record.accepted_steps) == ("finished", 2)
    assert read_record(study, record.trial_id) == record


def test_a_reading_leaves_out_the_loss_of_a_dropped_step_that_is_not_finite(
    study: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 3 of six is half-way, step 6 the last; both are dropped, others are not."""
    monkeypatch.setattr(trial, "distil", dropping(accepted=(1, 2, 4, 5), loss=torch.tensor(float("nan"))))
    record = run_trial(trial_config(), study, lambda reading: None)
    assert record.state == "finished", record.error
    assert [reading.loss for reading in record.readings] == [None, None, None]


def test_a_loss_that_is_not_finite_and_was_not_dropped_is_divergence(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "distil", dropping(accepted=(1, 2, 3, 4, 5, 6), loss=torch.tensor(float("nan"))))
    record = run_trial(trial_config(), study, lambda reading: None)
    assert (record.state, record.error) == ("diverged", "the loss is nan at step 3; lower the learning rates")


def test_a_record_is_silent_on_steps_where_all_changed_the_set(study: Store) -> None:
    record = run_trial(trial_config(), study, lambda reading: None)
    assert "accepted_steps" not in record.model_dump()


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), MemoryError("no more"), RuntimeError("DefaultCPUAllocator: can't allocate")],
)
def test_running_out_of_memory_is_a_result(study: Store, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(trial, "distil", fail)
    record = run_trial(trial_config(), study, lambda reading: None)
    assert (record.state, record.error) == ("out_of_memory", str(error))


def test_a_fault_of_ours_leaves_a_crashed_record_with_its_traceback_and_is_raised(
    study: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(trial, "distil", fail)
    with pytest.raises(TrialCrashedError, match=f"trial {trial_config().trial_id} crashed; its record") as caught:
        run_trial(trial_config(), study, lambda reading: None)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    record = read_record(study, trial_config().trial_id)
    assert record is not None
    assert caught.value.record == record
    assert record.state == "crashed"
    assert record.error is not None
    assert "ZeroDivisionError: a fault" in record.error
    monkeypatch.undo()
    shorten(monkeypatch)
    assert run_trial(trial_config(), study, lambda reading: None).state == "finished"


def test_a_killed_trial_continues_to_the_same_record_and_bytes(
    finished: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = trial_config()
    whole = record_of(finished)
    other = Store(str(tmp_path / "other"))
    other.write("baseline/baseline.json", finished.read("baseline/baseline.json"))
    monkeypatch.setattr(trial, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(StoredCheckpoint, "is_due", lambda self: True)

    class Power(BaseException):
        """A power cut: nothing may catch it."""

    lives = 0
    while True:
        save, left = StoredCheckpoint.save, 2

        def save_and_die(self: StoredCheckpoint, state: Any, save: Any = save) -> None:
            nonlocal left
            save(self, state)
            left -= 1
            if left == 0:
                raise Power

        with monkeypatch.context() as patch:
            patch.setattr(StoredCheckpoint, "save", save_and_die)
            lives += 1
            try:
                resumed = run_trial(config, other, lambda reading: None)
                break
            except Power:
                continue
    assert lives > 2
    assert without_times(resumed) == without_times(whole)
    assert resumed.images_sha256 == whole.images_sha256


def test_a_damaged_checkpoint_is_named_with_what_to_do(tmp_path: Path) -> None:
    folder = Store(str(tmp_path))
    checkpoint = StoredCheckpoint(folder)
    assert checkpoint.load() is None
    checkpoint.save({"images": torch.ones(50)})
    folder.write("checkpoint.safetensors", folder.read("checkpoint.safetensors")[:100])
    with pytest.raises(
        StoreError, match=r"checkpoint\.safetensors is damaged \(.*\); delete it and the progress\.json in the same folder"
    ):
        checkpoint.load()


def test_a_checkpoint_in_which_a_bit_has_changed_is_not_continued(tmp_path: Path) -> None:
    folder = Store(str(tmp_path))
    StoredCheckpoint(folder).save({"images": torch.ones(50)})
    data = bytearray(folder.read("checkpoint.safetensors"))
    data[-7] ^= 1
    folder.write("checkpoint.safetensors", bytes(data))
    with pytest.raises(
        StoreError, match=r"checkpoint\.safetensors is damaged \(its hash is not the one in it, so it was changed"
    ):
        StoredCheckpoint(folder).load()


def test_a_checkpoint_of_an_older_version_is_continued(tmp_path: Path) -> None:
    folder = Store(str(tmp_path))
    folder.write("checkpoint.safetensors", save_tensors({"images": torch.ones(2)}))
    state = StoredCheckpoint(folder).load()
    assert state is not None
    assert state["images"].tolist() == [1, 1]


def test_without_its_progress_a_trial_begins_anew(finished: Store) -> None:
    """The readings of the start and of half-way are in that file alone, and a checkpoint would go on behind them."""
    config = trial_config()
    whole = record_of(finished)
    folder = finished.at(f"trials/{config.trial_id}")
    folder.delete("record.json")
    folder.write("checkpoint.safetensors", save_tensors({"images": torch.ones(2)}))
    assert without_times(run_trial(config, finished, lambda reading: None)) == without_times(whole)
    assert not folder.exists("checkpoint.safetensors")


def test_threads_are_those_of_the_config(study: Store, restored_threads: None) -> None:
    run_trial(trial_config(cpus_per_trial=2), study, lambda reading: None)
    assert torch.get_num_threads() == 2


POOL = DataDAMConfig(name="datadam", random_inits=6, batch_real=16, pool=2, pool_steps=3)
FEATURES = DataDAMConfig(name="datadam", random_inits=6, batch_real=16, init="k_center")


@pytest.mark.parametrize(("method", "steps"), [(POOL, 6), (FEATURES, 40)])
def test_a_trial_gives_signs_of_life_while_networks_train_before_its_first_step(
    study: Store, monkeypatch: pytest.MonkeyPatch, method: DataDAMConfig, steps: int
) -> None:
    """Two networks of a pool take three steps each, the one for features forty. The first reading ends the trial."""
    monkeypatch.setattr(trial, "TOLD_SECONDS", 0.0)
    heard: list[str] = []

    def read(*_: Any, **__: Any) -> None:
        heard.append("reading")
        raise DivergedError(0, float("nan"))

    monkeypatch.setattr(trial._Run, "_read", read)
    run_trial(trial_config(method=method), study, lambda _: None, alive=lambda: heard.append("alive"))
    assert heard == ["alive"] * steps + ["reading"]


def test_a_trial_may_run_out_of_time_before_its_first_step(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "TOLD_SECONDS", 0.0)
    record = run_trial(trial_config(method=POOL), study, lambda reading: None, most_hours=0.0)
    assert (record.state, record.readings) == ("timed_out", ())
    assert str(record.error).endswith("(0 h); it had not begun with its first step")


def test_a_trial_without_a_baseline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has no baseline to measure the gap from"):
        run_trial(trial_config(), Store(str(tmp_path)), lambda reading: None)


def test_other_data_than_the_configs_is_refused(study: Store) -> None:
    with pytest.raises(TrialCrashedError) as caught:
        run_trial(trial_config(data_sha256="0" * 64), study, lambda reading: None)
    assert isinstance(caught.value.__cause__, DataError)
    assert "restore the original data, or start a new study" in str(caught.value.__cause__)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU whose absence is tested")
def test_a_gpu_that_is_not_there_is_named(study: Store) -> None:
    with pytest.raises(TrialCrashedError) as caught:
        run_trial(trial_config(device="cuda"), study, lambda reading: None)
    assert isinstance(caught.value.__cause__, DeviceError)
    assert "set resources.gpus_per_trial to 0" in str(caught.value.__cause__)


def test_baseline_takes_the_better_of_two_step_counts(study: Store) -> None:
    built = read_baseline(study)
    assert built is not None
    assert built.steps == 80
    assert built.doubled_moves_by > 0
    assert built.select_correct.shape == (2, 250)
    assert built.confirm_correct.shape == (2, 300)
    assert built.select_correct.mean(axis=1).tolist() == pytest.approx(list(built.accuracy_fractions))


def test_baseline_that_doubling_moves_is_not_admissible(study: Store) -> None:
    """Forty steps leave digits far from trained; with a margin of 0.01 a quarter of it is 0.0025."""
    assert not baseline.finish_baseline(trial_config(goal=GoalConfig(margin_fraction=0.01)), study).is_admissible


def test_a_baseline_that_answers_alike_for_all_images_is_not_admissible(
    study: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both step counts read the share of the largest class, so doubling moves nothing: 25 of 250 select images."""
    splits = baseline.splits_of(trial_config(), None)
    largest = int(splits.select.labels.bincount().argmax())

    def always(part: Any) -> Any:
        return (part.labels == largest).numpy()

    def answers(*given: Any, diverged: Any) -> Any:
        _, _, _, reads, _, _, seeds, _ = given
        return [[always(part) for part in reads] for _ in seeds]

    monkeypatch.setattr(baseline, "train_and_read_each", answers)
    fresh, config = Store(str(tmp_path)), trial_config(goal=GoalConfig(margin_fraction=0.1))
    baseline.train_baseline_networks(config, [0, 1], fresh)
    built = baseline.finish_baseline(config, fresh)
    assert (built.doubled_moves_by, built.is_admissible) == (0.0, False)
    assert built.accuracy_fraction == built.chance_fraction == float(always(splits.select).mean())


def runaway(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(RECIPES, name, replace(RECIPES[name], lr=1e30))


def test_a_baseline_network_that_diverges_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runaway(monkeypatch, "default")
    fresh = Store(str(tmp_path))
    with pytest.raises(DivergedError, match=r"trains on the full data is nan at step \d+; name another evaluation\.recipe, or"):
        baseline.train_baseline_networks(trial_config(), [0], fresh)
    assert not fresh.exists("baseline/network-0.json")


def test_a_network_that_diverges_on_a_set_ends_its_trial(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    runaway(monkeypatch, "default")
    record = run_trial(trial_config(), study, lambda reading: None)
    assert (record.state, record.readings) == ("diverged", ())
    assert str(record.error).startswith("a weight of a network that trains on the set is nan at step")


def test_full_data_is_trained_for_as_many_steps_as_a_set_of_the_ipc() -> None:
    """dsa_dm at IPC 30: 1001 epochs of ceil(300 / 256) = 2 batches."""
    config = trial_config(ipc=30, evaluation=EvaluationConfig(recipe="dsa_dm"))
    assert baseline.recipe_of(config, baseline.splits_of(config, None)).steps == 2002


def test_a_baseline_network_is_trained_once(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "train_and_read_each", lambda *_: pytest.fail("trained again"))
    baseline.train_baseline_networks(trial_config(), [0], study)


def test_networks_that_train_together_give_the_accuracies_of_single_ones(finished: Store, tmp_path: Path) -> None:
    """Baseline and confirmation alike; a few of 550 images may fall on the other side by rounding."""
    config = trial_config()
    together = Store(str(tmp_path / "together"))
    baseline.train_baseline_networks(config, [0, 1], together)
    for index in range(2):
        for one, other in zip(read_network(finished, index), read_network(together, index), strict=True):
            assert (one.seed, one.steps) == (other.seed, other.steps)
            assert differing(one.select_correct, other.select_correct, 250) <= 5
            assert differing(one.confirm_correct, other.confirm_correct, 300) <= 6
    confirm.train_confirm_networks(config, [0, 1], finished)
    names = [f"trials/{config.trial_id}/confirm-{index}.json" for index in range(2)]
    confirmed = [finished.read_json(name) for name in names]
    for index, name in enumerate(names):
        finished.delete(name)
        confirm.train_confirm_networks(config, [index], finished)
    for one, name in zip(confirmed, names, strict=True):
        single = finished.read_json(name)
        assert single["seed"] == one["seed"]
        assert differing(single["confirm_correct"], one["confirm_correct"], 300) <= 6


def differing(one: str, other: str, images: int) -> int:
    first, second = unpack_bits([one, other], images)
    return int((first != second).sum())


def test_of_networks_that_train_together_those_that_exist_stay(study: Store) -> None:
    before = study.read("baseline/network-0.json")
    study.delete("baseline/network-1.json")
    baseline.train_baseline_networks(trial_config(), [0, 1], study)
    assert study.read("baseline/network-0.json") == before
    assert study.exists("baseline/network-1.json")


def test_a_damaged_baseline_is_named(study: Store) -> None:
    study.write("baseline/baseline.json", "{}")
    with pytest.raises(StoreError, match=r"baseline\.json is damaged .* run the search again, which builds it again"):
        read_baseline(study)


def test_confirmation_reads_fresh_networks_on_the_confirm_images(finished: Store) -> None:
    config = trial_config()
    for index in range(2):
        confirm.train_confirm_networks(config, [index], finished)
    confirmation = confirm.finish_confirmation(config, finished, 0.95)
    assert confirmation.interval.images == 300
    assert confirmation.interval.networks == 2
    assert confirmation.is_lossless == (confirmation.interval.upper <= 0.9)
    written = finished.read_json(f"trials/{config.trial_id}/confirmation.json")
    assert written["interval"]["upper"] == confirmation.interval.upper


def test_a_damaged_confirm_network_is_named(finished: Store) -> None:
    config = trial_config()
    finished.write(f"trials/{config.trial_id}/confirm-0.json", "{}")
    with pytest.raises(StoreError, match=r"confirm-0\.json is damaged \(seed: Field required\); delete it and run"):
        confirm.finish_confirmation(config, finished, 0.95)
    finished.delete(f"trials/{config.trial_id}/confirm-0.json")
    with pytest.raises(StoreError, match=r"confirm-0\.json is missing; run the same command again"):
        confirm.finish_confirmation(config, finished, 0.95)


def test_networks_of_a_set_that_was_made_anew_are_trained_anew(finished: Store) -> None:
    """As on another machine after a lost set: its bits are others, and so is its hash."""
    config = trial_config()
    record = record_of(finished)
    confirm.train_confirm_networks(config, [0, 1], finished)
    assert confirm_jobs(config, finished, None) == []
    folder = finished.at(f"trials/{config.trial_id}")
    synthetic, manifest = decode(folder.read("images.safetensors"))
    other = encode(replace(synthetic, images=-synthetic.images), manifest)
    folder.write("images.safetensors", other)
    write_record(finished, record.model_copy(update={"images_sha256": sha256(other)}))
    before = folder.read("confirm-0.json")
    assert [job.indices for job in confirm_jobs(config, finished, None)] == [(0,), (1,)]
    confirm.train_confirm_networks(config, [0, 1], finished)
    assert folder.read("confirm-0.json") != before
    assert confirm_jobs(config, finished, None) == []


def test_a_network_of_an_older_version_does_not_name_its_set_and_stays(finished: Store) -> None:
    config = trial_config()
    confirm.train_confirm_networks(config, [0, 1], finished)
    for index in range(2):
        name = f"trials/{config.trial_id}/confirm-{index}.json"
        found = finished.read_json(name)
        finished.write_json(name, {"seed": found["seed"], "confirm_correct": found["confirm_correct"]})
    assert confirm_jobs(config, finished, None) == []


def test_confirmation_refuses_a_set_that_was_changed(finished: Store) -> None:
    config = trial_config()
    name = f"trials/{config.trial_id}/images.safetensors"
    finished.write(name, finished.read(name) + b" ")
    with pytest.raises(StoreError, match="has changed: its hash differs from the one in the trial's record"):
        confirm.train_confirm_networks(config, [0], finished)


def test_confirmation_refuses_a_trial_without_a_set(study: Store) -> None:
    with pytest.raises(StoreError, match="has no finished set"):
        confirm.read_set(study, "000000000000")


def test_confirmation_without_a_baseline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has no baseline"):
        confirm.finish_confirmation(trial_config(), Store(str(tmp_path)), 0.95)


def test_record_of_a_lost_process_carries_config_and_cause() -> None:
    record = lost_record(trial_config(), "the node went away")
    assert (record.state, record.host, record.error) == ("crashed", "unknown", "the node went away")
    assert record.config == json.loads(trial_config().canonical_json())


def test_diverged_error_is_not_a_fault() -> None:
    assert str(DivergedError(3, float("nan"))) == "the loss is nan at step 3; lower the learning rates"


@pytest.mark.parametrize("margin", [0.9, 1e-6])
def test_a_trial_ends_after_the_least_networks_where_its_gap_is_clear_of_the_margin(study: Store, margin: float) -> None:
    """Forty steps on one random image per class: the gap is some tens of points, far from both margins."""
    evaluation = EvaluationConfig(networks=3, least_networks=2, baseline_networks=2, confirm_networks=2)
    fields = {name: getattr(trial_config(), name) for name in ("seed", "dataset", "data_sha256", "network")}
    goal = GoalConfig(margin_fraction=margin)
    config = TrialConfig[RandomConfig](**fields, ipc=1, evaluation=evaluation, goal=goal, method=RandomConfig(name="random"))
    record = run_trial(config, study, lambda reading: None)
    assert record.final is not None
    assert len(record.final.accuracy_fractions) == len(record.select_correct) == 2


def test_a_trial_whose_gap_is_at_the_margin_trains_all_its_networks(study: Store, run_once: Path) -> None:
    """The margin is the gap that the same trial reads without an early end."""
    first = record_of(Store(str(run_once)))
    assert first.gap is not None
    evaluation = EvaluationConfig(networks=3, least_networks=2, baseline_networks=2, confirm_networks=2)
    record = run_trial(
        trial_config(evaluation=evaluation, goal=GoalConfig(margin_fraction=first.gap)), study, lambda reading: None
    )
    assert len(record.select_correct) == 3
