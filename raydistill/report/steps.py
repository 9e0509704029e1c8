"""What a person sees of one distillation without a search: its steps and its loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from torch import Tensor

    from raydistill.core.contract import Report
    from raydistill.core.synthetic import SyntheticSet


@contextmanager
def watch_steps(console: Console | None = None) -> Iterator[Report]:
    """A report for one distillation: a bar with the loss on a terminal, twenty lines elsewhere.

    The loss is read only twenty times, because each reading waits for the GPU.
    """
    console = console or Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("distil", total=None)

        dropped = 0

        def report(step: int, steps: int, loss: Tensor | None, synthetic: SyntheticSet, *, is_accepted: bool = True) -> None:
            nonlocal dropped
            dropped += not is_accepted
            if loss is not None and 20 * step // steps > 20 * (step - 1) // steps:
                value = f"loss {float(loss.detach()):.4g}"
                if synthetic.learned_lr is not None:
                    value += f", {step - dropped} steps taken, {dropped} dropped, learned rate {synthetic.learned_lr:.4g}"
                bar.update(task, description=f"distil, {value}")
                if not console.is_terminal:
                    console.print(f"distil: step {step} of {steps}, {value}")
            bar.update(task, completed=step, total=steps)

        yield report
