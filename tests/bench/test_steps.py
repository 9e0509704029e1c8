"""Timings: their parts, and invalid options."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from raydistill.bench import steps as bench
from raydistill.bench.steps import CASES, run_bench, time_case
from raydistill.errors import DeviceError, InputError


def test_pieces_of_an_iteration_are_timed_and_memory_is_measured() -> None:
    case = replace(CASES["digits"], method=CASES["digits"].method.model_copy(update={"batch_real": 8}), ipc=2)
    timing = time_case(case, "cpu", threads=1, repetitions=10, evaluation_steps=2, data_root=None)
    assert min(timing.real_seconds, timing.forward_seconds, timing.backward_seconds, timing.evaluation_seconds) > 0
    assert timing.rest_seconds >= 0
    assert timing.peak_memory_bytes > 50 * 2**20


def test_an_unknown_case_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown case 'digit'; allowed: digits, .*: correct --cases"):
        run_bench(["digit"], device="cpu", threads=1, repetitions=10, evaluation_steps=1, data_root=None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU whose absence is tested")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError, match="device 'cuda' is not available; allowed: cpu"):
        run_bench([], device="cuda", threads=1, repetitions=10, evaluation_steps=1, data_root=None)


def test_no_names_mean_all_cases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Here:
        def __init__(self, processes: int) -> None:
            pass

        def __enter__(self) -> Here:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def apply(self, work: object, arguments: tuple[object, ...]) -> object:
            return arguments[0]

    monkeypatch.setattr(bench.multiprocessing, "get_context", lambda kind: type("Context", (), {"Pool": Here}))
    timed = run_bench([], device="cpu", threads=1, repetitions=10, evaluation_steps=1, data_root=None)
    assert timed == list(CASES.values())
