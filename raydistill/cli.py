"""The commands. Each imports what it needs when it needs it, so that `--help` and misspelt names are answered at once.

Exit codes: 0 done (whatever the verdict), 1 failed, 2 bad input, 130 interrupted. What a person can put right is told in a
sentence; anything unexpected ends with its traceback.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

BAD_INPUT = {
    "raydistill.spaces": ("InputError",),
    "raydistill.space_document": ("SpaceError",),
    "raydistill.space_file": ("DataError",),
    "raydistill.store": ("StoreError", "StudyInUseError"),
    "raydistill.search.driver": ("StudyMismatchError",),
    "raydistill.search.on_ray": ("ResourcesError",),
    "raydistill.comparison": ("CompareError",),
    "raydistill.core.contract": ("DeviceError",),
}
"""Module to the exceptions that end a command with 2."""
FAILURE = {"raydistill.core.contract": ("DivergedError",)}
"""The same for 1, without a traceback."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
bench_app = typer.Typer(invoke_without_command=True, pretty_exceptions_enable=False)
app.add_typer(bench_app, name="bench")

Space = Annotated[str, typer.Argument(metavar="FILE_OR_NAME", help="A YAML search space, or a shipped one's name.")]
StoreOption = Annotated[str, typer.Option("--store", envvar="RAYDISTILL_STORE", help="Folder or URI that holds studies.")]
DataRoot = Annotated[Path | None, typer.Option("--data-root", envvar="RAYDISTILL_DATA", help="Folder of the data files.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Replace one field, e.g. --set ipc=10.")]


def _print_version(is_asked: bool) -> None:
    if is_asked:
        import raydistill

        typer.echo(f"raydistill {raydistill.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Find the smallest synthetic training set that is as good as the full data."""


@app.command()
def search(
    space: Space,
    store: StoreOption = "studies",
    data_root: DataRoot = None,
    local: Annotated[bool, typer.Option("--local", help="Run trials one by one in this process, without Ray.")] = False,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all, in place of the space's budget.")] = None,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster, e.g. auto.")] = None,
    overrides: Overrides = None,
    accept_code_change: Annotated[bool, typer.Option("--accept-code-change", help="Continue a study of other code.")] = False,
) -> None:
    """Search a space for the smallest lossless IPC; run again, it continues."""
    with _exit_codes(f"Interrupted. What is done is saved; this continues:\n  {_this_command()}"):
        import raydistill
        from raydistill.report.progress import watch

        with watch() as watcher:
            result = raydistill.search(
                space,
                store=store,
                data_root=data_root,
                local=local,
                address=address,
                trials=trials,
                overrides=overrides or [],
                accept_code_change=accept_code_change,
                watcher=watcher,
            )
        from raydistill.report.summary import end_of_search
        from raydistill.store import Store

        typer.echo(end_of_search(Store(store).at(result.study), result))


@app.command()
def plan(
    space: Space,
    data_root: DataRoot = None,
    at_once: Annotated[int | None, typer.Option("--at-once", min=1, help="Jobs side by side; by default what fits here.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all, in place of the space's budget.")] = None,
    overrides: Overrides = None,
) -> None:
    """Forecast a search's hours, disk and memory from a short measured probe; nothing is written."""
    with _exit_codes("Interrupted."):
        from raydistill.api import as_path
        from raydistill.spaces import load_space

        budget = [] if trials is None else [f"budget.trials={trials}"]
        checked = load_space(space, [*(overrides or []), *budget], as_path(data_root))

        from raydistill.plan import plan_search
        from raydistill.report.summary import forecast_lines

        typer.echo(forecast_lines(plan_search(checked, as_path(data_root), at_once)))


@app.command()
def distill(
    space: Space,
    overrides: Overrides = None,
    out: Annotated[str | None, typer.Option(help="Folder or URI for the set; by default distilled/<hash of the config>.")] = None,
    data_root: DataRoot = None,
) -> None:
    """Distil one set without a search; every range of the space is fixed by --set."""
    with _exit_codes("Interrupted. Nothing was written."):
        from raydistill.api import as_path
        from raydistill.spaces import load_space

        checked = load_space(space, overrides or [], as_path(data_root))

        from raydistill.one_set import compare_with_start, distil_once, only_trial, save_set
        from raydistill.report.progress import watch_steps
        from raydistill.report.summary import distilled_summary
        from raydistill.store import Store

        config = only_trial(checked, as_path(data_root))
        folder = Store(out or f"distilled/{config.trial_id}")
        folder.check_writable()
        with watch_steps() as on_step:
            distilled = distil_once(config, as_path(data_root), on_step)
        paths = save_set(distilled, folder)
        typer.echo(distilled_summary(*compare_with_start(distilled, as_path(data_root)), paths))


@app.command()
def evaluate(
    set_file: Annotated[str, typer.Argument(metavar="SET", help="An images.safetensors, or the folder that holds it.")],
    split: Annotated[str, typer.Option(help="Images to read on: select, or test (which needs --reason).")] = "select",
    reason: Annotated[str | None, typer.Option(help="Why the test split is opened; logged in the store.")] = None,
    networks: Annotated[int | None, typer.Option(min=1, help="Fresh networks; by default the trial's number.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Training recipe; by default the trial's.")] = None,
    store: StoreOption = "studies",
    data_root: DataRoot = None,
) -> None:
    """Train fresh networks on a saved set and read their accuracy."""
    with _exit_codes("Interrupted."):
        from raydistill.api import as_path
        from raydistill.one_set import evaluate_file
        from raydistill.report.words import accuracy_line

        accuracies = evaluate_file(
            set_file, split=split, reason=reason, log=store, networks=networks, recipe=recipe, data_root=as_path(data_root)
        )
        typer.echo(f"{accuracy_line(accuracies)}, {split} images")


@app.command()
def tables(
    studies: Annotated[list[str], typer.Argument(metavar="STUDY...", help="Folders <store>/<study>, or names in --store.")],
    store: StoreOption = "studies",
    suffix: Annotated[str, typer.Option("--format", help="Of what is printed: md, csv or tex.")] = "md",
) -> None:
    """Write each study's tables below its folder; print one study's, or the comparison of several."""
    with _exit_codes("Interrupted."):
        from raydistill.methods import method_configs
        from raydistill.report.tables import FORMATS, ipc_frame, read_study, render, study_frame, trial_frame, write_tables
        from raydistill.spaces import find_study

        if suffix not in FORMATS:
            raise typer.BadParameter(f"{suffix!r}; allowed: {', '.join(FORMATS)}", param_hint="--format")
        folders = [find_study(study, store) for study in studies]
        read = [read_study(folder, method_configs()) for folder in folders]
        for folder, records in zip(folders, read, strict=True):
            write_tables(folder, records)
        frames = [trial_frame(read[0]), ipc_frame(read[0])] if len(read) == 1 else [study_frame(read)]
        typer.echo("\n".join(render(frame, suffix) for frame in frames), nl=False)


@app.command()
def compare(
    space: Space,
    methods: Annotated[str, typer.Option(help="Methods, joined by commas; random is always added.")],
    ipc: Annotated[int, typer.Option(min=1, help="Images per class.")],
    draws: Annotated[int, typer.Option(help="Random starts per method.")] = 10,
    split: Annotated[str, typer.Option(help="Images to read on: select, or test (which needs --reason).")] = "select",
    reason: Annotated[str | None, typer.Option(help="Why the test split is opened; logged in the store.")] = None,
    store: StoreOption = "studies",
    data_root: DataRoot = None,
    local: Annotated[bool, typer.Option("--local", help="One by one in this process, without Ray.")] = False,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster, e.g. auto.")] = None,
    overrides: Overrides = None,
    suffix: Annotated[str, typer.Option("--format", help="Of what is printed: md, csv or tex.")] = "md",
) -> None:
    """Compare methods at one IPC, in pairs with the random real images that each draw starts from."""
    with _exit_codes(f"Interrupted. What is done is saved; this continues:\n  {_this_command()}"):
        import raydistill
        from raydistill.report.progress import watch
        from raydistill.report.summary import end_of_comparison
        from raydistill.spaces import InputError

        if (split == "test") != (reason is not None) or split not in ("select", "test"):
            raise InputError(f"split {split!r} with reason {reason!r}; allowed: select without one, test with one")
        with watch() as watcher:
            comparison = raydistill.compare(
                space,
                methods=_listed(methods),
                ipc=ipc,
                draws=draws,
                store=store,
                reason=reason,
                data_root=data_root,
                local=local,
                address=address,
                overrides=overrides or [],
                watcher=watcher,
            )
        typer.echo(end_of_comparison(comparison, suffix), nl=False)


@bench_app.callback()
def bench(
    context: typer.Context,
    cases: Annotated[str, typer.Option(help="Cases, joined by commas; by default all.")] = "",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
    repetitions: Annotated[int, typer.Option(min=10, help="DataDAM iterations to time.")] = 30,
    evaluation_steps: Annotated[int, typer.Option(min=1, help="Recipe steps to time; scaled to the whole recipe.")] = 50,
    tune: Annotated[bool, typer.Option("--tune", help="What Ray Tune adds to a trial, instead of cases.")] = False,
    data_root: DataRoot = None,
    suffix: Annotated[str, typer.Option("--format", help="Of what is printed: md, csv or tex.")] = "md",
) -> None:
    """Time DataDAM's iteration and an evaluation network, with the split, and measure peak memory; or compare solvers."""
    if context.invoked_subcommand is not None:
        return
    with _exit_codes("Interrupted."):
        from raydistill.api import as_path
        from raydistill.bench import run_bench
        from raydistill.report.tables import render, timing_frame

        if tune:
            from raydistill.tune_cost import time_tune

            typer.echo(render(timing_frame([time_tune(data_root=as_path(data_root))]), suffix), nl=False)
            return
        names = _listed(cases)
        timings = run_bench(
            names,
            device=device,
            threads=threads,
            repetitions=repetitions,
            evaluation_steps=evaluation_steps,
            data_root=as_path(data_root),
        )
        typer.echo(render(timing_frame(timings), suffix), nl=False)


@bench_app.command("solver")
def bench_solver(
    problems: Annotated[int, typer.Option(min=1, help="Made-up problems; the first so many are always the same.")] = 210,
    trials: Annotated[str, typer.Option(help="Budgets, joined by commas.")] = "12,24,48",
    workers: Annotated[int, typer.Option(min=1, max=64, help="Trials at once.")] = 1,
    strategies: Annotated[str, typer.Option(help="Joined by commas; by default all but the slow constrained-gp.")] = "",
    confirmations: Annotated[str, typer.Option(help="Orders of the confirmation: descending, ascending.")] = "descending",
    suffix: Annotated[str, typer.Option("--format", help="Of what is printed: md, csv or tex.")] = "md",
) -> None:
    """Compare ways to search on made-up problems with known truth; nothing is trained."""
    with _exit_codes("Interrupted."):
        from raydistill.report.tables import render, score_frame
        from raydistill.solver_bench import bench_solvers

        scores = bench_solvers(
            strategies=_listed(strategies),
            confirmations=_listed(confirmations),
            problems=problems,
            budgets=_listed(trials),
            workers=workers,
        )
        typer.echo(render(score_frame(scores), suffix), nl=False)


@app.command()
def spaces() -> None:
    """List the shipped search spaces."""
    with _exit_codes("Interrupted."):
        from raydistill.spaces import shipped_spaces

        for name, path in shipped_spaces().items():
            typer.echo(f"{name}\t{path}")


def main() -> None:
    """The `raydistill` command."""
    app(prog_name="raydistill")


@contextmanager
def _exit_codes(interrupted: str) -> Iterator[None]:
    """Turn what a person can put right into one message and an exit code; let the unexpected through."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(interrupted, err=True)
        raise typer.Exit(130) from None
    except _loaded(BAD_INPUT) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from None
    except _loaded(FAILURE) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None


def _loaded(errors: Mapping[str, tuple[str, ...]]) -> tuple[type[Exception], ...]:
    """The classes of those modules that are imported; one that is not cannot have raised anything."""
    modules = [(sys.modules[module], names) for module, names in errors.items() if module in sys.modules]
    return tuple(getattr(module, name) for module, names in modules for name in names if hasattr(module, name))


def _listed(joined: str) -> list[str]:
    return [name.strip() for name in joined.split(",") if name.strip()]


def _this_command() -> str:
    return shlex.join(["raydistill", *sys.argv[1:]])
