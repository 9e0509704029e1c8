"""What a process is set up for, before it computes."""

from __future__ import annotations

import os

import pytest
import torch

from raydistill.core import process


def test_a_process_for_a_gpu_asks_for_deterministic_kernels_before_cuda_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU is needed: only what was asked for until CUDA is looked for."""
    asked: list[tuple[bool, bool]] = []
    seen: list[str | None] = []

    def found() -> torch.device:
        seen.append(os.environ.get("CUBLAS_WORKSPACE_CONFIG"))
        return torch.device("cuda")

    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda mode, *, warn_only: asked.append((mode, warn_only)))
    monkeypatch.setattr(process, "gpu", found)
    assert process.set_up_process(torch.get_num_threads(), "cuda") == torch.device("cuda")
    assert seen == [":4096:8"]
    assert asked == [(True, True)]
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (True, False)


def test_a_workspace_that_was_set_by_hand_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda mode, *, warn_only: None)
    monkeypatch.setattr(process, "gpu", lambda: torch.device("cuda"))
    process.set_up_process(torch.get_num_threads(), "cuda")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_a_process_for_the_cpu_changes_nothing_of_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    process.set_up_process(torch.get_num_threads(), "cpu")
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    assert not torch.are_deterministic_algorithms_enabled()
