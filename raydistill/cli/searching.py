"""The commands around a search: plan, search, submit, watch, tabulate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raydistill.cli.common import DataRoot, Overrides, Space, StoreOption, Study, TableFormat, exit_codes, this_command

app = typer.Typer()


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
    with exit_codes(f"Interrupted. What is done is saved; this continues:\n  {this_command()}"):
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
        from raydistill.storage.store import Store

        typer.echo(end_of_search(Store(store).at(result.study), result))


@app.command()
def submit(
    space: Space,
    store: Annotated[str, typer.Option(help="Folder or URI that holds studies, as every node of the cluster sees it.")],
    address: Annotated[str, typer.Option(help="Of the cluster's dashboard.")] = "http://127.0.0.1:8265",
    data_root: Annotated[str | None, typer.Option(help="Folder of the data files, as every node sees it.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all, in place of the space's budget.")] = None,
    overrides: Overrides = None,
    accept_code_change: Annotated[bool, typer.Option("--accept-code-change", help="Continue a study of other code.")] = False,
    allow_unauthenticated: Annotated[
        bool, typer.Option("--allow-unauthenticated", help="Take a cluster that asks nobody for a token.")
    ] = False,
) -> None:
    """Send a search to a running cluster as a job; it goes on when this command has ended."""
    with exit_codes("Interrupted. Whether the job was sent, the cluster's dashboard says."):
        from raydistill.search.submission import plan_submission, submitted_lines
        from raydistill.search.submission import submit as send

        planned = plan_submission(
            space,
            store=store,
            data_root=data_root,
            trials=trials,
            overrides=overrides or [],
            accept_code_change=accept_code_change,
        )
        job = send(planned, address, allow_unauthenticated=allow_unauthenticated)
        typer.echo(submitted_lines(planned, address, job, store, allow_unauthenticated=allow_unauthenticated))


@app.command()
def plan(
    space: Space,
    data_root: DataRoot = None,
    at_once: Annotated[int | None, typer.Option("--at-once", min=1, help="Jobs side by side; by default what fits here.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all, in place of the space's budget.")] = None,
    overrides: Overrides = None,
) -> None:
    """Forecast a search's hours, disk and memory from a short measured probe; nothing is written."""
    with exit_codes("Interrupted."):
        from raydistill.catalogue import load_space
        from raydistill.storage.data_root import as_data_root

        budget = [] if trials is None else [f"budget.trials={trials}"]
        checked = load_space(space, [*(overrides or []), *budget], as_data_root(data_root))

        from raydistill.report.summary import forecast_lines
        from raydistill.search.plan import plan_search

        typer.echo(forecast_lines(plan_search(checked, as_data_root(data_root), at_once)))


@app.command()
def status(
    study: Study,
    store: StoreOption = "studies",
    as_json: Annotated[bool, typer.Option("--json", help="The same facts as JSON.")] = False,
) -> None:
    """Show where a study stands from its files alone: a search of it may run elsewhere, or have stopped."""
    with exit_codes("Interrupted."):
        from datetime import UTC, datetime

        import raydistill
        from raydistill.report.status import status_lines

        found = raydistill.status(study, store=store)
        typer.echo(found.model_dump_json(indent=2) if as_json else status_lines(found, datetime.now(UTC)))


@app.command()
def tables(
    studies: Annotated[list[str], typer.Argument(metavar="STUDY...", help="Folders <store>/<study>, or names in --store.")],
    store: StoreOption = "studies",
    suffix: TableFormat = "md",
) -> None:
    """Write each study's tables below its folder; print one study's, or the comparison of several."""
    with exit_codes("Interrupted."):
        from raydistill.catalogue import find_study
        from raydistill.methods import method_configs
        from raydistill.report.rendering import render
        from raydistill.report.tables import ipc_frame, read_study, study_frame, trial_frame, write_tables

        folders = [find_study(study, store) for study in studies]
        read = [read_study(folder, method_configs()) for folder in folders]
        for folder, records in zip(folders, read, strict=True):
            write_tables(folder, records)
        frames = [trial_frame(read[0]), ipc_frame(read[0])] if len(read) == 1 else [study_frame(read)]
        typer.echo("\n".join(render(frame, suffix) for frame in frames), nl=False)


@app.command()
def grafana(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="That Grafana reads dashboards from; by default the one of Ray's latest session."),
    ] = Path("/tmp/ray/session_latest/metrics/grafana/dashboards"),
) -> None:
    """Put the Grafana dashboard of a search's gauges where Ray's set-up of Grafana finds it."""
    with exit_codes("Interrupted."):
        from raydistill.report.grafana import install_dashboard

        typer.echo(f"Written {install_dashboard(folder)}")


@app.command()
def spaces() -> None:
    """List the shipped search spaces."""
    with exit_codes("Interrupted."):
        from raydistill.catalogue import shipped_spaces

        for name, path in shipped_spaces().items():
            typer.echo(f"{name}\t{path}")
