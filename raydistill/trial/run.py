"""Runs one trial: distils a synthetic set, evaluates it on the select images, and writes a record. Knows neither Ray nor Optuna.

Each evaluation is a `Reading`: networks are trained on the current set, and their accuracy is measured. A trial makes a reading
at the start and half-way with one network, and at the end with `evaluation.networks` networks, or fewer where
`evaluation.least_networks` are enough to see on which side of the margin the gap is. The first reading is that of the
initial set. A straight line through the first two readings predicts the final gap; if it is above twice the margin, the trial is
stopped half-way (`lossless.is_hopeless`). One network is enough, because the factor of two allows for its noise. A set that has
become worse than its start by more than the margin is stopped too (`lossless.is_worse_than_start`). The trial itself decides
this, so the decision is the same under Ray, in one process, and after a restart.
"""

from __future__ import annotations

import json
import math
import platform
import socket
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raydistill.core.cost import Stopwatch, forward_macs, peak_memory_bytes, reset_peak_memory
from raydistill.core.evaluate import evaluate_set, network_seeds
from raydistill.core.lossless import gap_interval, is_clear, is_hopeless, is_worse_than_start
from raydistill.core.metrics import accuracy_of, class_accuracies
from raydistill.core.picture import set_png
from raydistill.core.process import prepare_process
from raydistill.core.recipes import RECIPES
from raydistill.core.synthetic import SyntheticSet, encode, sha256
from raydistill.core.train import ON_A_SET, Tick, no_tick
from raydistill.data.splits import Splits, splits_of
from raydistill.errors import DivergedError, StoreError
from raydistill.experts.files import StoredExperts, open_experts
from raydistill.spaces.trial import TrialConfig
from raydistill.spaces.units import points
from raydistill.storage.baseline import Baseline, read_baseline
from raydistill.storage.checkout import commit
from raydistill.storage.data_root import DataRoot
from raydistill.storage.layout import CHECKPOINT_FILE, PICTURE_FILE, PROGRESS_FILE, SET_FILE
from raydistill.storage.record import (
    FINAL_STATES,
    Cost,
    Progress,
    Reading,
    State,
    TrialRecord,
    code_sha256,
    pack_bits,
    read_progress,
    read_record,
    versions,
    write_record,
)
from raydistill.storage.store import Store
from raydistill.storage.versioned import write_stored
from raydistill.trial.distillation import CHECKPOINT_SECONDS, StoredCheckpoint, distil, manifest_of
from raydistill.trial.endings import (
    HopelessError,
    NothingChangedError,
    OverTimeError,
    TrialCrashedError,
    is_out_of_memory,
    nothing_changed,
    over_time,
)

Report = Callable[[Reading], None]
OnStep = Callable[[int, int], None]
"""Function called about every second with the number of image updates done and their total."""

LOOK_FRACTIONS = (0.0, 0.5)
"""Fractions of the distillation at which a trial makes a reading with one network."""
TOLD_SECONDS = 1.0


def networks_of_trial(config: TrialConfig[Any], *, has_steps: bool) -> int:
    """How many networks a trial trains at most: a set that is made without steps, as a control's, is read at its end alone."""
    return config.evaluation.networks + (len(LOOK_FRACTIONS) if has_steps else 0)


def tell_nobody(step: int, steps: int) -> None:
    """Ignore the step."""


def run_trial(
    config: TrialConfig[Any],
    study: Store,
    report: Report,
    data_root: DataRoot = None,
    on_step: OnStep = tell_nobody,
    *,
    alive: Tick = no_tick,
    most_hours: float | None = None,
) -> TrialRecord:
    """Run one trial and return its record; a trial that has a final record is not run again.

    A killed trial continues from its checkpoint and, on the same CPU, ends with the same bytes. On a GPU it does so where CUDA
    has deterministic kernels (`core/process.py`).

    Args:
        config: the trial's config.
        study: the study's folder; must have a baseline, and its store must have the experts that the method reads.
        report: called with each reading.
        data_root: folder or URI of the data files.
        on_step: called with the step, at most once every `TOLD_SECONDS` seconds.
        alive: called as often where there is no step: while the networks of a reading, of a pool or for features train.
        most_hours: how long the trial may run, over all its processes; None means no limit.

    Returns:
        The record: finished, pruned, diverged, out of memory or timed out.

    Raises:
        StoreError: the study has no baseline or cannot be written, or the store lacks the method's experts.
        TrialCrashedError: from any other error, after a crashed record with its traceback is written.
    """
    existing = read_record(study, config.trial_id)
    if existing is not None and existing.state in FINAL_STATES:
        return existing
    baseline = read_baseline(study)
    if baseline is None:
        raise StoreError(f"{study.root} has no baseline to measure the gap from; run raydistill search, which builds it first")
    run = _Run(config, study, report, baseline, on_step, alive, most_hours)
    try:
        record = run.to_the_end(data_root)
    except (DivergedError, NothingChangedError) as error:
        record = run.record("diverged", error=str(error))
    except HopelessError as error:
        record = run.record("pruned", error=str(error))
    except OverTimeError as error:
        record = run.record("timed_out", error=str(error))
    except StoreError:
        write_record(study, run.record("crashed", error=traceback.format_exc()))
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            crashed = run.record("crashed", error=traceback.format_exc())
            write_record(study, crashed)
            raise TrialCrashedError(crashed) from error
        record = run.record("out_of_memory", error=str(error))
    write_record(study, record)
    run.clean_up()
    return record


class _Run:
    """The state of one trial while it runs."""

    def __init__(
        self,
        config: TrialConfig[Any],
        study: Store,
        report: Report,
        baseline: Baseline,
        on_step: OnStep,
        alive: Tick,
        most_hours: float | None,
    ) -> None:
        self.config = config
        self.study = study
        self.folder = study.at("trials", config.trial_id)
        self.store = study.parent
        self.report = report
        self.on_step = on_step
        self.alive = alive
        self.most_hours = most_hours
        self.baseline = baseline
        self.recipe = RECIPES[config.evaluation.recipe]
        self.splits: Splits | None = None
        self.experts: StoredExperts | None = None
        self.device = torch.device("cpu")
        self.started_at = datetime.now(UTC).isoformat()
        self.watch = Stopwatch()
        self.readings: list[Reading] = []
        self.step = 0
        self.steps = 0
        self.told_at = self.written_at = time.monotonic()
        self.loss: Tensor | None = None
        self.is_accepted = True
        self.checkpoint: StoredCheckpoint | None = None

    def to_the_end(self, data_root: DataRoot) -> TrialRecord:
        """Distil and evaluate the set, write it, and return the finished record."""
        self.splits = splits = splits_of(self.config, data_root)
        self.experts = open_experts(self.config, splits, self.store)
        # First the device, which the record of a trial that an earlier process's readings stop names too.
        self.device = prepare_process(self.config)
        reset_peak_memory(self.device)
        is_continued = self._take_up()
        with self.watch.measure("whole"):
            self.checkpoint = StoredCheckpoint(self.folder, is_continued=is_continued)
            synthetic = distil(self.config, splits, self.device, self._on_step, self.checkpoint, self.experts, tick=self._tick)
            if self.steps > 0 and self.accepted_steps == 0:
                raise NothingChangedError(nothing_changed(self.steps))
            correct = self._read(synthetic, self.steps, 1.0, self.config.evaluation.networks)
        manifest = manifest_of(self.config, splits)
        data = encode(synthetic, manifest)
        self.folder.write(SET_FILE, data)
        self.folder.write(PICTURE_FILE, set_png(synthetic, splits.preprocess))
        update = {
            "select_correct": pack_bits(correct),
            "class_accuracy_fractions": class_accuracies(correct, splits.select.labels.numpy(), splits.class_names),
            "images": len(synthetic.images),
            "set_bytes": synthetic.size_bytes,
            "label_kind": synthetic.label_kind,
            "images_sha256": sha256(data),
        }
        return self.record("finished").model_copy(update=update)

    def record(self, state: State, error: str | None = None) -> TrialRecord:
        """The record of this trial so far, without its set."""
        return TrialRecord(
            trial_id=self.config.trial_id,
            state=state,
            config=json.loads(self.config.canonical_json()),
            readings=tuple(self.readings),
            cost=self._cost(),
            error=error,
            accepted_steps=self.accepted_steps,
            experts_sha256=self._experts_sha256,
            code_sha256=code_sha256(),
            commit=commit(),
            versions=versions(),
            device=self._device_name(),
            host=socket.gethostname(),
            started_at=self.started_at,
        )

    def clean_up(self) -> None:
        """Remove the files that only a running trial needs."""
        for name in (CHECKPOINT_FILE, PROGRESS_FILE):
            self.folder.delete(name)

    def _take_up(self) -> bool:
        """Take over the readings and seconds of an earlier process; whether there was one to continue."""
        progress = read_progress(self.study, self.config.trial_id)
        if progress is None:
            return False
        if progress.experts_sha256 != self._experts_sha256:
            # The experts were rebuilt, so the checkpoint belongs to different networks: start from the beginning.
            self.clean_up()
            return False
        self.readings = [reading for reading in progress.readings if reading.fraction < 1]
        self.watch.seconds.update(progress.seconds)
        self._stop_if_of_no_use()
        return True

    def _on_step(self, step: int, steps: int, loss: Tensor | None, synthetic: SyntheticSet, *, is_accepted: bool = True) -> None:
        self.step, self.steps, self.loss, self.is_accepted = step, steps, loss, is_accepted
        if not is_accepted and self.checkpoint is not None:
            self.checkpoint.dropped_steps += 1
        now = time.monotonic()
        if now - self.told_at >= TOLD_SECONDS:
            self.told_at = now
            self.on_step(step, steps)
            self._stop_if_over_time()
        if now - self.written_at >= CHECKPOINT_SECONDS:
            self._write_progress()
        for fraction in LOOK_FRACTIONS:
            if step == round(fraction * steps) < steps and all(step > reading.step for reading in self.readings):
                self._read(synthetic, step, fraction, networks=1)
                self._stop_if_of_no_use()

    def _tick(self) -> None:
        """As `_on_step` where there is no step: while a network trains on the set, for a pool or for features."""
        now = time.monotonic()
        if now - self.told_at >= TOLD_SECONDS:
            self.told_at = now
            self.alive()
            self._stop_if_over_time()

    def _stop_if_over_time(self) -> None:
        hours = self.watch.so_far().get("whole", 0.0) / 3600
        if self.most_hours is not None and hours > self.most_hours:
            raise OverTimeError(over_time(hours, self.most_hours, self.step, self.steps))

    def _stop_if_of_no_use(self) -> None:
        if is_hopeless(self.readings, self.config.goal.margin_fraction):
            raise HopelessError("stopped early: a straight line through its readings ends above twice the margin")
        if is_worse_than_start(self.readings, self.config.goal.margin_fraction):
            start, now = points(self.readings[0].gap), points(self.readings[-1].gap)
            raise HopelessError(f"stopped early: its gap rose from {start} at the start to {now}, by more than the margin")

    def _read(self, synthetic: SyntheticSet, step: int, fraction: float, networks: int) -> NDArray[np.bool_]:
        loss = None if self.loss is None else self.loss.item()
        if loss is not None and not math.isfinite(loss):
            if self.is_accepted:
                raise DivergedError(step, loss)
            loss = None
        assert self.splits is not None
        with self.watch.measure("evaluate"):
            seeds = network_seeds("trial", self.splits.sha256, networks)
            network, select = self.config.network, self.splits.select
            correct = evaluate_set(
                synthetic,
                self.splits,
                select,
                network,
                self.recipe,
                seeds,
                self.device,
                at_once=self.config.evaluation.networks_at_once,
                diverged=ON_A_SET,
                is_enough=self._is_enough,
                tick=self._tick,
            )
        accuracies = accuracy_of(correct, self.baseline.select_classes)
        reading = Reading(
            step=step,
            fraction=fraction,
            accuracy_fractions=tuple(accuracies.tolist()),
            gap=float(self.baseline.accuracy_fraction - accuracies.mean()),
            loss=loss,
        )
        self.readings.append(reading)
        self._write_progress()
        self.report(reading)
        return correct

    def _is_enough(self, correct: NDArray[np.bool_]) -> bool:
        """Whether these networks show on which side of the margin the gap is; see `EvaluationConfig.least_networks`."""
        evaluation, goal = self.config.evaluation, self.config.goal
        if evaluation.least_networks is None or len(correct) < evaluation.least_networks:
            return False
        interval = gap_interval(
            self.baseline.select_correct,
            correct,
            evaluation.look_confidence(goal.confidence),
            self.baseline.select_classes,
        )
        return is_clear(interval, goal.margin_fraction)

    def _write_progress(self) -> None:
        """Write the trial's progress, for a process that continues it and for `raydistill status`."""
        progress = Progress(
            step=self.step,
            steps=self.steps,
            readings=tuple(self.readings),
            seconds=self.watch.so_far(),
            experts_sha256=self._experts_sha256,
        )
        write_stored(self.folder, PROGRESS_FILE, progress)
        self.written_at = time.monotonic()

    @property
    def accepted_steps(self) -> int | None:
        """Steps so far that changed the set; None where all did."""
        dropped = self.checkpoint.dropped_steps if self.checkpoint else 0
        return self.step - dropped if dropped else None

    @property
    def _experts_sha256(self) -> str | None:
        return self.experts.sha256 if self.experts else None

    def _cost(self) -> Cost | None:
        """The cost of the trial so far; None if it ended before its data was loaded."""
        if self.splits is None:
            return None
        macs = forward_macs(self.config.network, self.splits.shape, len(self.splits.class_names))
        classes = len(self.splits.class_names)
        seen = self.recipe.for_set(classes * self.config.ipc).images_seen(classes * self.config.decoded_ipc)
        seconds = self.watch.so_far()
        evaluate_seconds = seconds.get("evaluate", 0.0)
        return Cost(
            distill_seconds=seconds.get("whole", 0.0) - evaluate_seconds,
            evaluate_seconds=evaluate_seconds,
            peak_memory_bytes=peak_memory_bytes(self.device),
            train_macs=macs * seen,
            epoch_macs=macs * classes * self.config.decoded_ipc,
        )

    def _device_name(self) -> str:
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return f"cpu ({platform.machine()}, {self.config.cpus_per_trial} threads)"
