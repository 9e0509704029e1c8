"""One trial: distil a synthetic set, read it on the select images, leave a record. Knows neither Ray nor Optuna.

A trial reads its set at the start and half-way with one network, and at the end with `evaluation.networks`. The start reading is
the trial's own control (the draw it started from). The two together show the slope: a trial whose straight-line continuation ends
beyond twice the margin is stopped there (`lossless.is_hopeless`), and so is one whose set is worse than its start by more than
chance (`lossless.is_below_start`). One network is enough, because both rules leave room for its noise. The decision is the
trial's own, so it is the same under Ray, in one process, and after a restart.
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
from raydistill.core.lossless import is_below_start, is_hopeless
from raydistill.core.picture import grid_png
from raydistill.core.process import prepare_process
from raydistill.core.recipes import RECIPES
from raydistill.core.synthetic import SyntheticSet, encode, sha256
from raydistill.data.splits import Splits, splits_of
from raydistill.errors import DivergedError, StoreError
from raydistill.experts.files import StoredExperts, open_experts
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.checkout import commit
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import (
    FINAL_STATES,
    PROGRESS_FILE,
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
from raydistill.trial.baseline import Baseline, read_baseline
from raydistill.trial.distillation import CHECKPOINT_SECONDS, StoredCheckpoint, distil, manifest_of

Report = Callable[[Reading], None]
OnStep = Callable[[int, int], None]
"""Told the image updates done and those in all, every second or so."""

LOOK_FRACTIONS = (0.0, 0.5)
"""Where a trial reads its set on the way, with one network."""
TOLD_SECONDS = 1.0


def tell_nobody(step: int, steps: int) -> None:
    """Told of steps, do nothing."""


class HopelessError(Exception):
    """The trial's readings show that it is of no use; the text says why."""


def run_trial(
    config: TrialConfig[Any], study: Store, report: Report, data_root: DataRoot = None, on_step: OnStep = tell_nobody
) -> TrialRecord:
    """Run one trial to its record, or give the record it has.

    A trial that was killed continues from its checkpoint and ends, on the same device, with the same bytes.

    Args:
        config: everything that shapes the result.
        study: the study's folder in its store; needs its baseline, and the store the experts that the method reads.
        report: called with each reading.
        data_root: folder or URI of the data files.
        on_step: called with the step, at most once in `TOLD_SECONDS`.

    Returns:
        The record: finished, pruned, diverged or out of memory.

    Raises:
        StoreError: the study has no baseline, or cannot be written, or the store lacks the method's experts.
        Exception: anything unforeseen, after a crashed record with its traceback was written.
    """
    existing = read_record(study, config.trial_id)
    if existing is not None and existing.state in FINAL_STATES:
        return existing
    baseline = read_baseline(study)
    if baseline is None:
        raise StoreError(f"{study.root} has no baseline, so no gap can be taken; build it first (raydistill search does)")
    run = _Run(config, study, report, baseline, on_step)
    try:
        record = run.to_the_end(data_root)
    except DivergedError as error:
        record = run.record("diverged", error=str(error))
    except HopelessError as error:
        record = run.record("pruned", error=str(error))
    except Exception as error:
        if not _is_out_of_memory(error):
            write_record(study, run.record("crashed", error=traceback.format_exc()))
            raise
        record = run.record("out_of_memory", error=str(error))
    write_record(study, record)
    run.clean_up()
    return record


def crashed_record(config: TrialConfig[Any], error: str) -> TrialRecord:
    """The record of a trial whose process was lost; for the driver, which alone can know."""
    return TrialRecord(
        trial_id=config.trial_id,
        state="crashed",
        config=json.loads(config.canonical_json()),
        error=error,
        code_sha256=code_sha256(),
        commit=commit(),
        versions=versions(),
        device=config.device,
        host="unknown",
        started_at=datetime.now(UTC).isoformat(),
    )


class _Run:
    """The state of one trial while it runs."""

    def __init__(self, config: TrialConfig[Any], study: Store, report: Report, baseline: Baseline, on_step: OnStep) -> None:
        self.config = config
        self.study = study
        self.folder = study.at("trials", config.trial_id)
        self.store = study.parent
        self.report = report
        self.on_step = on_step
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

    def to_the_end(self, data_root: DataRoot) -> TrialRecord:
        """Distil, read, keep the set, and give the finished record."""
        self.splits = splits = splits_of(self.config, data_root)
        self.experts = open_experts(self.config, splits, self.store)
        self._take_up()
        self.device = prepare_process(self.config)
        reset_peak_memory(self.device)
        with self.watch.measure("whole"):
            checkpoint = StoredCheckpoint(self.folder)
            synthetic = distil(self.config, splits, self.device, self._on_step, checkpoint, self.experts)
            correct = self._read(synthetic, self.steps, 1.0, self.config.evaluation.networks)
        manifest = manifest_of(self.config, splits)
        data = encode(synthetic, manifest)
        self.folder.write("images.safetensors", data)
        self.folder.write("images.png", grid_png(splits.preprocess.invert(synthetic.images.cpu()), columns=synthetic.ipc))
        update = {
            "select_correct": pack_bits(correct),
            "images": len(synthetic.images),
            "set_bytes": synthetic.size_bytes,
            "label_kind": synthetic.label_kind,
            "images_sha256": sha256(data),
        }
        return self.record("finished").model_copy(update=update)

    def record(self, state: State, error: str | None = None) -> TrialRecord:
        """The record of this trial as it stands, without its set."""
        return TrialRecord(
            trial_id=self.config.trial_id,
            state=state,
            config=json.loads(self.config.canonical_json()),
            readings=tuple(self.readings),
            cost=self._cost(),
            error=error,
            experts_sha256=self._experts_sha256,
            code_sha256=code_sha256(),
            commit=commit(),
            versions=versions(),
            device=self._device_name(),
            host=socket.gethostname(),
            started_at=self.started_at,
        )

    def clean_up(self) -> None:
        """Remove what only a running trial needs."""
        for name in ("checkpoint.safetensors", PROGRESS_FILE):
            self.folder.delete(name)

    def _take_up(self) -> None:
        """Continue from the readings and seconds of an earlier process, if there was one."""
        progress = read_progress(self.study, self.config.trial_id)
        if progress is None:
            return
        if progress.experts_sha256 != self._experts_sha256:
            # Experts that were built anew are other networks: half of a distillation by each is neither's.
            self.clean_up()
            return
        self.readings = [reading for reading in progress.readings if reading.fraction < 1]
        self.watch.seconds.update(progress.seconds)
        self._stop_if_of_no_use()

    def _on_step(self, step: int, steps: int, loss: Tensor | None, synthetic: SyntheticSet, *, is_accepted: bool = True) -> None:
        self.step, self.steps, self.loss = step, steps, loss
        now = time.monotonic()
        if now - self.told_at >= TOLD_SECONDS:
            self.told_at = now
            self.on_step(step, steps)
        if now - self.written_at >= CHECKPOINT_SECONDS:
            self._write_progress()
        for fraction in LOOK_FRACTIONS:
            if step == round(fraction * steps) < steps and all(step > reading.step for reading in self.readings):
                self._read(synthetic, step, fraction, networks=1)
                self._stop_if_of_no_use()

    def _stop_if_of_no_use(self) -> None:
        if is_hopeless(self.readings, self.config.goal.margin_fraction):
            raise HopelessError("a straight line through its readings ends beyond twice the margin")
        if is_below_start(self.readings):
            raise HopelessError("its set is worse than the set that it started from")

    def _read(self, synthetic: SyntheticSet, step: int, fraction: float, networks: int) -> NDArray[np.bool_]:
        loss = None if self.loss is None else self.loss.item()
        if loss is not None and not math.isfinite(loss):
            raise DivergedError(step, loss)
        assert self.splits is not None
        with self.watch.measure("evaluate"):
            seeds = network_seeds("trial", self.splits.sha256, networks)
            network, select = self.config.network, self.splits.select
            correct = evaluate_set(synthetic, self.splits, select, network, self.recipe, seeds, self.device)
        accuracies = correct.mean(axis=1)
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

    def _write_progress(self) -> None:
        """Write how far the trial is, for a process that takes it up and for whoever watches the study."""
        progress = Progress(
            step=self.step,
            steps=self.steps,
            readings=tuple(self.readings),
            seconds=self.watch.so_far(),
            experts_sha256=self._experts_sha256,
        )
        self.folder.write(PROGRESS_FILE, progress.model_dump_json(indent=2) + "\n")
        self.written_at = time.monotonic()

    @property
    def _experts_sha256(self) -> str | None:
        return self.experts.sha256 if self.experts else None

    def _cost(self) -> Cost | None:
        """What the trial took so far; None if it ended before its data was there."""
        if self.splits is None:
            return None
        macs = forward_macs(self.config.network, self.splits.shape, len(self.splits.class_names))
        images = len(self.splits.class_names) * self.config.ipc
        seconds = self.watch.so_far()
        evaluate_seconds = seconds.get("evaluate", 0.0)
        return Cost(
            distill_seconds=seconds.get("whole", 0.0) - evaluate_seconds,
            evaluate_seconds=evaluate_seconds,
            peak_memory_bytes=peak_memory_bytes(self.device),
            train_macs=macs * self.recipe.for_set(images).images_seen(images),
            epoch_macs=macs * images,
        )

    def _device_name(self) -> str:
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return f"cpu ({platform.machine()}, {self.config.cpus_per_trial} threads)"


def _is_out_of_memory(error: Exception) -> bool:
    # The CPU allocator has no exception class of its own.
    is_of_cpu = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or is_of_cpu
