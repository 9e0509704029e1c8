"""Times our image updates, by running the methods as a search does."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from raydistill.bench.work import CLASSES, Spent, StepCase, Turn, random_part
from raydistill.core.contract import NoCheckpoint
from raydistill.core.cost import keep_freed_memory
from raydistill.core.networks import build_network, initialise
from raydistill.core.synthetic import SyntheticSet
from raydistill.core.unroll import flatten
from raydistill.methods import METHODS


class _RandomExperts:
    """One expert with two snapshots: random parameters, and others near them."""

    count = 1
    epochs = 1

    def __init__(self, case: StepCase) -> None:
        generator = torch.Generator().manual_seed(0)
        network = build_network(case.network, case.shape, CLASSES, torch.device("cpu"))
        initialise(network, generator)
        start = flatten(network)
        self._snapshots = (start, start + 0.05 * torch.randn(len(start), generator=generator))

    def snapshot(self, expert: int, epoch: int) -> Tensor:
        del expert
        return self._snapshots[epoch]


def own_turn(case: StepCase, threads: int) -> Turn:
    """Our side of a case: the method's own loop, timed from its first report to its last.

    Args:
        case: see `work.StepCase`.
        threads: torch threads of this process, from now on.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    part, generator = random_part(case), torch.Generator().manual_seed(0)
    method = METHODS[case.method.name]
    more = {"experts": _RandomExperts(case)} if method.label_kind == "soft" else {}

    def turn() -> Spent:
        clocks: list[tuple[float, float]] = []

        def note(step: int, steps: int, loss: Tensor | None, synthetic: SyntheticSet, **_: Any) -> None:
            if step in (0, steps):
                clocks.append((time.process_time(), time.perf_counter()))

        method.distill(
            part,
            case.network,
            case.method,
            case.ipc,
            generator=generator,
            device=torch.device("cpu"),
            report=note,
            checkpoint=NoCheckpoint(),
            **more,
        )
        (cpu, wall), (cpu_end, wall_end) = clocks
        return Spent(cpu_end - cpu, wall_end - wall)

    return turn
