"""What a person sees of one distillation without a search."""

from __future__ import annotations

import io

import pytest
import torch
from rich.console import Console

from raydistill.core.synthetic import SyntheticSet
from raydistill.report.steps import watch_steps

HARD = SyntheticSet(images=torch.zeros(1, 1, 1, 1), labels=torch.zeros(1, dtype=torch.int64), ipc=1)


def test_a_learned_rate_and_dropped_steps_are_told() -> None:
    """Of 20 steps every fourth is dropped: after 8, two are."""
    console = Console(file=io.StringIO(), width=120)
    learned = SyntheticSet(images=torch.zeros(1, 1, 1, 1), labels=torch.zeros(1, 1), ipc=1, learned_lr=0.0125)
    with watch_steps(console) as report:
        for step in range(1, 21):
            report(step, 20, torch.tensor(0.5), learned, is_accepted=step % 4 != 0)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[7] == "distil: step 8 of 20, loss 0.5, 6 steps taken, 2 dropped, learned rate 0.0125"


@pytest.mark.parametrize(("steps", "told"), [(1, 1), (7, 7), (30, 20), (100, 20)])
def test_one_distillation_reports_at_most_twenty_lines(steps: int, told: int) -> None:
    console = Console(file=io.StringIO(), width=120)
    with watch_steps(console) as report:
        report(0, steps, None, None)  # type: ignore[arg-type]
        for step in range(1, steps + 1):
            report(step, steps, torch.tensor(1 / step), HARD)
    lines = console.file.getvalue().strip().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == told
    assert lines[-1] == f"distil: step {steps} of {steps}, loss {1 / steps:.4g}"
