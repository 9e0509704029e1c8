"""Timings: their parts, and invalid options."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from raydistill.bench import steps as bench
from raydistill.bench.steps import CASES, run_bench, time_case
from raydistill.errors import DeviceError, InputError


def test_pieces_of_an_iteration_are_timed_and_memory_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the update that the method has: PyTorch's optimiser would bring its compiler, and 150 MB."""
    monkeypatch.setattr(torch.optim, "SGD", lambda *_, **__: pytest.fail("the method does not use it"))
    case = replace(CASES["digits"], method=CASES["digits"].method.model_copy(update={"batch_real": 8}), ipc=2)
    timing = time_case(case, "cpu", threads=1, repetitions=10, evaluation_steps=2, data_root=None)
    assert min(timing.real_seconds, timing.forward_seconds, timing.backward_seconds, timing.evaluation_seconds) > 0
    pieces = timing.real_seconds + timing.forward_seconds + timing.backward_seconds
    assert timing.rest_seconds == max(0.0, timing.iteration_seconds - pieces)
    assert timing.iteration_seconds > 0
    assert timing.peak_memory_bytes > 50 * 2**20


class Clock:
    """A device that works on what it was given once it is waited for, and the clock of its host."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, is_queue: bool) -> None:
        self.now, self.queued, self.is_queue = 0.0, 0.0, is_queue
        monkeypatch.setattr(bench, "time", SimpleNamespace(perf_counter=lambda: self.now))
        monkeypatch.setattr(torch.cuda, "synchronize", lambda device: self.wait())
        monkeypatch.setattr(bench.datadam, "distill", self.distill)

    def wait(self) -> None:
        self.now, self.queued = self.now + self.queued, 0.0

    def distill(self, part: Any, network: Any, method: Any, ipc: int, *, report: Any, **others: Any) -> None:
        """A start of 100 s, two updates of 50 s, ten of 1 s and eight of 4 s."""
        for step, seconds in enumerate([100, 50, 50, *[1] * 10, *[4] * 8]):
            self.queued += seconds
            if not self.is_queue:
                self.wait()
            report(step, 20, None, None)


def test_an_iteration_is_a_median_without_the_first_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten of 1 s and eight of 4 s the ninth and the tenth are 1 s; with the two of 50 s the median would be 2.5 s."""
    Clock(monkeypatch, is_queue=False)
    assert bench._time_whole(CASES["digits"], None, torch.device("cpu"), 20) == 1


def test_an_iteration_on_a_gpu_is_a_mean_without_the_first_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten of 1 s and eight of 4 s are 42 s in 18."""
    Clock(monkeypatch, is_queue=True)
    assert bench._time_whole(CASES["digits"], None, torch.device("cuda"), 20) == pytest.approx(42 / 18)


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
