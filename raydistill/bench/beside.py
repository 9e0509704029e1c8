"""Times our image updates, alone or beside those of a published implementation, as shares of what this machine can do.

Each side lives in a process of its own, and they take turns: ours, theirs, ours, theirs. What the machine does besides then falls
on both. Seconds are of the process, not of the clock on the wall, so that waiting for a busy core does not count.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch

from raydistill.bench.own import own_turn
from raydistill.bench.published import published_turn, recognise
from raydistill.bench.work import CASES, MNIST, Spent, StepCase, useful_macs
from raydistill.errors import InputError, RaydistillError
from raydistill.spaces.sections import Config

PIXELS, FAN_IN, WIDTH = 4096, 1152, 128
"""The multiplication that stands for the machine's ceiling: a 3 x 3 convolution of width 128 on 4096 pixels, unrolled."""


class StepTiming(Config):
    """One case: seconds per image update, medians over turns."""

    case: str
    published: str | None
    """The implementation beside ours; null without one. So are all columns of `theirs`, and the ratio."""
    threads: int
    turns: int
    updates_per_turn: int
    gigamacs: float
    """Useful multiply-accumulates of one update; see `work.useful_macs`."""
    ceiling_gigaflops: float
    """Floating-point operations per second of a large matrix multiplication, measured in the same turns."""
    cpu_seconds: float
    """Ours, of the process."""
    wall_seconds: float
    ceiling_fraction: float
    """Useful operations per second of the process, over the ceiling."""
    theirs_cpu_seconds: float | None = None
    theirs_wall_seconds: float | None = None
    theirs_ceiling_fraction: float | None = None
    ratio: float | None = None
    """Theirs over ours in seconds of the process, turn by turn: the median."""
    ratio_quarter: float | None = None
    """A quarter of the turns have a lower ratio."""
    ratio_three_quarters: float | None = None


def time_steps(names: Sequence[str], *, against: Sequence[Path], threads: int, turns: int) -> list[StepTiming]:
    """Time cases one after the other, on a CPU.

    Args:
        names: keys of `CASES`; empty means all, or with published implementations all that these have.
        against: their folders; a case is timed beside each that has its method.
        threads: torch threads of each side.
        turns: timed turns of each side; one more before them is not counted.

    Raises:
        InputError: an unknown case, a folder that is no known implementation or cannot be imported, a case that none has.
    """
    kinds = [(folder, recognise(folder)) for folder in against]
    unknown = [name for name in names if name not in CASES]
    if unknown:
        raise InputError(f"unknown case {unknown[0]!r}; allowed: {', '.join(CASES)}: correct --cases")
    if not kinds:
        return [_time(CASES[name], None, threads, turns) for name in names or CASES]
    able = {
        name: [folder for folder, kind in kinds if case.method.name in kind.steps]
        for name, case in CASES.items()
        if case.shape == MNIST  # their ConvNet takes 28 x 28 and 32 x 32
    }
    offered = [name for name, folders in able.items() if folders]
    for name in names:
        if name not in offered:
            beside = ", ".join(kind.name for _, kind in kinds)
            raise InputError(
                f"case {name!r} cannot be timed beside {beside}; allowed: {', '.join(offered)}: correct --cases, or leave "
                "--against out"
            )
    return [_time(CASES[name], folder, threads, turns) for name in names or offered for folder in able[name]]


def _time(case: StepCase, folder: Path | None, threads: int, turns: int) -> StepTiming:
    with ExitStack() as stack:
        ours = stack.enter_context(_in_process(partial(_own_and_ceiling, case, threads)))
        theirs = stack.enter_context(_in_process(partial(_published, case, folder, threads))) if folder else None
        taken = []
        for _ in range(turns + 1):
            taken.append((*ours(), *(theirs() if theirs else ())))
    per_update = np.array([[[spent.cpu_seconds, spent.wall_seconds] for spent in turn] for turn in taken[1:]])
    ceiling = 2 * PIXELS * FAN_IN * WIDTH / float(np.median(per_update[:, 1, 0]))
    per_update /= case.updates
    macs = useful_macs(case)
    seconds = np.median(per_update, axis=0)
    row = StepTiming(
        case=case.name,
        published=None,
        threads=threads,
        turns=turns,
        updates_per_turn=case.updates,
        gigamacs=macs / 1e9,
        ceiling_gigaflops=ceiling / 1e9,
        cpu_seconds=seconds[0, 0],
        wall_seconds=seconds[0, 1],
        ceiling_fraction=2 * macs / seconds[0, 0] / ceiling,
    )
    if folder is None:
        return row
    low, middle, high = np.quantile(per_update[:, 2, 0] / per_update[:, 0, 0], [0.25, 0.5, 0.75])
    return row.model_copy(
        update={
            "published": recognise(folder).name,
            "theirs_cpu_seconds": seconds[2, 0],
            "theirs_wall_seconds": seconds[2, 1],
            "theirs_ceiling_fraction": 2 * macs / seconds[2, 0] / ceiling,
            "ratio": middle,
            "ratio_quarter": low,
            "ratio_three_quarters": high,
        }
    )


def _own_and_ceiling(case: StepCase, threads: int) -> Callable[[], tuple[Spent, ...]]:
    turn = own_turn(case, threads)
    left, right = torch.randn(PIXELS, FAN_IN), torch.randn(FAN_IN, WIDTH)

    def both() -> tuple[Spent, ...]:
        return turn(), _multiply(left, right)

    return both


def _multiply(left: torch.Tensor, right: torch.Tensor) -> Spent:
    """What one multiplication takes: the median of ten."""
    spent = []
    for _ in range(10):
        cpu, wall = time.process_time(), time.perf_counter()
        torch.mm(left, right)
        spent.append(Spent(time.process_time() - cpu, time.perf_counter() - wall))
    return Spent(*(statistics.median(seconds) for seconds in zip(*spent, strict=True)))


def _published(case: StepCase, folder: Path, threads: int) -> Callable[[], tuple[Spent, ...]]:
    turn = published_turn(case, folder, threads)
    return lambda: (turn(),)


Side = Callable[[], tuple[Spent, ...]]
"""One turn of a side."""


@contextmanager
def _in_process(prepare: Callable[[], Side]) -> Iterator[Side]:
    """A side in a new process, which ends with the block.

    Raises:
        RaydistillError: as raised there.
        InputError: the process ended by itself.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, prepare), daemon=True)
    process.start()
    there.close()

    def turn() -> tuple[Spent, ...]:
        try:
            here.send(True)
            answer: tuple[Spent, ...] | RaydistillError = here.recv()
        except (EOFError, ConnectionError):
            raise InputError("the process that was timed has ended; its own message is above") from None
        if isinstance(answer, RaydistillError):
            raise answer
        return answer

    try:
        yield turn
    finally:
        here.close()
        process.join()


def _serve(connection: Connection, prepare: Callable[[], Side]) -> None:
    side: Side | None = None
    # What published code prints is no part of the table on standard output.
    with redirect_stdout(sys.stderr):
        try:
            while connection.recv():
                side = side or prepare()
                connection.send(side())
        except RaydistillError as error:
            connection.send(error)
        except EOFError:
            # The other end has all it wants.
            return
