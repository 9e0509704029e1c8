"""`raydistill bench`: what the parts of a search cost, and how ways to search compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raydistill.cli.common import (
    DataRoot,
    TableFormat,
    example,
    exit_codes,
    listed,
    refuse_beside,
    whole,
)

app = typer.Typer(invoke_without_command=True, pretty_exceptions_enable=False)


@app.callback()
def bench(
    context: typer.Context,
    cases: Annotated[str, typer.Option(help="Cases, separated by commas; by default all.")] = "",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
    repetitions: Annotated[int, typer.Option(min=10, help="DataDAM iterations to time.")] = 30,
    evaluation_steps: Annotated[int, typer.Option(min=1, help="Recipe steps to time, scaled up to the whole recipe.")] = 50,
    tune: Annotated[
        bool, typer.Option("--tune", help="Measure Ray Tune's overhead per trial, instead of running the cases.")
    ] = False,
    data_root: DataRoot = None,
    suffix: TableFormat = "md",
) -> None:
    """Time a DataDAM iteration and an evaluation network, part by part, and measure peak memory."""
    if context.invoked_subcommand is not None:
        own = ("cases", "device", "threads", "repetitions", "evaluation_steps", "tune", "suffix")
        refuse_beside(context, context.invoked_subcommand, *own)
        return
    with exit_codes("Interrupted."):
        from raydistill.bench.steps import run_bench
        from raydistill.report.rendering import render
        from raydistill.report.tables import timing_frame
        from raydistill.storage.data_root import as_data_root

        if tune:
            refuse_beside(context, "--tune", "cases", "device", "threads", "repetitions", "evaluation_steps")
            from raydistill.bench.tune_cost import time_tune

            typer.echo(render(timing_frame([time_tune(data_root=as_data_root(data_root))]), suffix), nl=False)
            return
        names = listed(cases)
        timings = run_bench(
            names,
            device=device,
            threads=threads,
            repetitions=repetitions,
            evaluation_steps=evaluation_steps,
            data_root=as_data_root(data_root),
        )
        typer.echo(render(timing_frame(timings), suffix), nl=False)


@app.command("steps", epilog=example("bench steps --cases dm-mnist-16 --against ../peer"))
def bench_steps(
    cases: Annotated[str, typer.Option(help="Cases, separated by commas; by default all, or all that --against has.")] = "",
    against: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Checkout of a published implementation, whose code is run beside ours. Repeatable."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads of each side.")] = 1,
    turns: Annotated[int, typer.Option(min=1, help="Timed turns of each side.")] = 9,
    suffix: TableFormat = "md",
) -> None:
    """Time the image updates of DataDAM, DM, DC and DATM on random images, on a CPU, as shares of what the machine can do.

    With --against, beside the code of DatasetCondensation (DC and DM), DataDAM or DATM: the same work in turn, and their ratio.
    """
    with exit_codes("Interrupted."):
        from raydistill.bench.beside import time_steps
        from raydistill.bench.published import recognise
        from raydistill.report.rendering import render
        from raydistill.report.tables import timing_frame

        for folder in against or []:
            typer.echo(f"{folder}: {recognise(folder).name}", err=True)
        rows = time_steps(listed(cases), against=against or [], threads=threads, turns=turns)
        typer.echo(render(timing_frame(rows), suffix), nl=False)


@app.command("unroll", epilog=example("bench unroll --ipc 1,10"))
def bench_unroll(
    ipc: Annotated[str, typer.Option(help="Images per class, separated by commas.")] = "1,10,50",
    student_steps: Annotated[str, typer.Option(help="Lengths of the unrolled path, separated by commas.")] = "10,40",
    width: Annotated[int, typer.Option(min=1, help="Width of the ConvNet-3.")] = 16,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
    suffix: TableFormat = "md",
) -> None:
    """Time the three gradients of trajectory matching and measure their memory, on images of MNIST's size."""
    with exit_codes("Interrupted."):
        from raydistill.bench.unroll_cost import time_unrolling
        from raydistill.report.rendering import render
        from raydistill.report.tables import timing_frame

        costs = time_unrolling(
            whole(ipc, "--ipc"), whole(student_steps, "--student-steps"), width=width, device=device, threads=threads
        )
        typer.echo(render(timing_frame(costs), suffix), nl=False)


@app.command("solver", epilog=example("bench solver --problems 10 --trials 12"))
def bench_solver(
    context: typer.Context,
    problems: Annotated[int, typer.Option(min=1, help="Number of made-up problems; the first n are always the same.")] = 210,
    trials: Annotated[str, typer.Option(help="Budgets, separated by commas.")] = "12,24,48",
    workers: Annotated[int, typer.Option(min=1, max=64, help="Trials at once.")] = 1,
    strategies: Annotated[str, typer.Option(help="Separated by commas; by default all but the slow constrained-gp.")] = "",
    confirmations: Annotated[str, typer.Option(help="Orders of the confirmation: descending, ascending.")] = "descending",
    arms: Annotated[bool, typer.Option("--arms", help="Problems with 3 to 6 methods and controls, not one method.")] = False,
    suffix: TableFormat = "md",
) -> None:
    """Compare ways to search on made-up problems with a known answer. Trains nothing."""
    with exit_codes("Interrupted."):
        from raydistill.bench.solver import bench_races, bench_solvers
        from raydistill.report.rendering import render
        from raydistill.report.tables import score_frame

        if arms:
            refuse_beside(context, "--arms", "confirmations")
            races = bench_races(strategies=listed(strategies), problems=problems, budgets=listed(trials), workers=workers)
            typer.echo(render(score_frame(races), suffix), nl=False)
            return
        scores = bench_solvers(
            strategies=listed(strategies),
            confirmations=listed(confirmations),
            problems=problems,
            budgets=listed(trials),
            workers=workers,
        )
        typer.echo(render(score_frame(scores), suffix), nl=False)
