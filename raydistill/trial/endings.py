"""How a trial may end other than finished: its own reasons to stop, memory that ran out, the record of a lost process."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import torch

from raydistill.spaces.trial import TrialConfig
from raydistill.storage.checkout import commit
from raydistill.storage.record import Reading, State, TrialRecord, code_sha256, versions


class OverTimeError(Exception):
    """The trial has run for longer than it may; the message says for how long, and how far it came."""


class HopelessError(Exception):
    """The readings show that it is of no use to go on; the message says why."""


class NothingChangedError(Exception):
    """No step changed the set; the message says why, and what to do."""


class TrialCrashedError(Exception):
    """The trial ended by a fault, its cause; its record, which has the traceback, is written."""

    def __init__(self, record: TrialRecord) -> None:
        super().__init__(f"trial {record.trial_id} crashed; its record has the traceback")
        self.record = record


def nothing_changed(steps: int) -> str:
    """Why a trial whose every step was dropped is no result, in a sentence."""
    return (
        f"none of its {steps} steps changed the set: the loss was above method.gate, or not finite, at each; lower "
        "method.lr_student or method.student_steps, or raise method.gate"
    )


def over_time(hours: float, most_hours: float, step: int, steps: int) -> str:
    """Why a trial is ended, in a sentence."""
    came = f"its last step was {step} of {steps}" if steps else "it had not begun with its first step"
    return f"ran for {hours:.3g} h, longer than budget.trial_hours ({most_hours:g} h); {came}"


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, of the process or of a GPU."""
    # PyTorch's CPU allocator raises a plain RuntimeError.
    is_of_cpu = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or is_of_cpu


def lost_record(
    config: TrialConfig[Any], error: str, state: State = "crashed", readings: tuple[Reading, ...] = ()
) -> TrialRecord:
    """The record of a trial whose process was lost or ended; written by the driver, because the trial itself cannot."""
    return TrialRecord(
        trial_id=config.trial_id,
        state=state,
        config=json.loads(config.canonical_json()),
        readings=readings,
        error=error,
        code_sha256=code_sha256(),
        commit=commit(),
        versions=versions(),
        device=config.device,
        host="unknown",
        started_at=datetime.now(UTC).isoformat(),
    )
