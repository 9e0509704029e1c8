"""The commands around a search: plan, search, submit, watch, tabulate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raydistill.cli.common import (
    AcceptCodeChange,
    Address,
    DataRoot,
    Local,
    Overrides,
    Space,
    StoreOption,
    Study,
    TableFormat,
    example,
    exit_codes,
    to_continue,
)
from raydistill.cli.completion import complete_study
from raydistill.search.again import submitted

app = typer.Typer()
Trials = Annotated[int | None, typer.Option(min=1, help="Total number of trials, instead of the space's budget.trials.")]


@app.command(epilog=example("search digits_datadam --trials 20"))
def search(
    space: Space,
    store: StoreOption = "studies",
    data_root: DataRoot = None,
    local: Local = False,
    trials: Trials = None,
    address: Address = None,
    overrides: Overrides = None,
    accept_code_change: AcceptCodeChange = False,
    log: Annotated[
        list[str] | None,
        typer.Option(
            "--log", metavar="BACK_END", help="Log to tensorboard, mlflow or wandb too; NAME=TARGET says where. Repeatable."
        ),
    ] = None,
) -> None:
    """Search a space for the smallest lossless IPC (images per class). Run it again to resume."""
    with exit_codes(to_continue()):
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
                log=log or [],
            )
        from raydistill.report.next_commands import after_search, next_lines
        from raydistill.report.summary import end_of_search
        from raydistill.storage.store import Store

        study = Store(store).at(result.study)
        typer.echo(end_of_search(study, result))
        again = {"trials": trials, "set": overrides, "accept_code_change": accept_code_change, "log": log}
        where = {"data_root": data_root, "local": local, "address": address}
        typer.echo(next_lines(*after_search(study, result, space, where, again, submitted())))


@app.command(epilog=example("submit digits_datadam --store /shared/studies"))
def submit(
    space: Space,
    store: Annotated[str, typer.Option(help="Folder or URI that holds the studies, as every node of the cluster sees it.")],
    address: Annotated[str, typer.Option(help="Address of the cluster's dashboard.")] = "http://127.0.0.1:8265",
    data_root: Annotated[str | None, typer.Option(help="Folder of the data files, as every node sees it.")] = None,
    trials: Trials = None,
    overrides: Overrides = None,
    accept_code_change: AcceptCodeChange = False,
    allow_unauthenticated: Annotated[
        bool, typer.Option("--allow-unauthenticated", help="Accept a cluster that works without a token.")
    ] = False,
) -> None:
    """Send a search to a running cluster as a job, which goes on after this command ends."""
    with exit_codes("Interrupted. The job may have been sent: look at the cluster's dashboard."):
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


@app.command(epilog=example("plan digits_datadam --trials 20"))
def plan(
    space: Space,
    data_root: DataRoot = None,
    at_once: Annotated[
        int | None, typer.Option("--at-once", min=1, help="Number of parallel jobs; by default as many as this machine holds.")
    ] = None,
    trials: Trials = None,
    overrides: Overrides = None,
) -> None:
    """Forecast the hours, disk and memory of a search from a short measured probe. Writes nothing."""
    with exit_codes("Interrupted."):
        from raydistill.catalogue import load_space
        from raydistill.storage.data_root import as_data_root

        budget = [] if trials is None else [f"budget.trials={trials}"]
        checked = load_space(space, [*(overrides or []), *budget], as_data_root(data_root))

        from raydistill.report.next_commands import command, next_lines
        from raydistill.report.summary import forecast_lines
        from raydistill.search.plan import plan_search

        forecast = plan_search(checked, as_data_root(data_root), at_once, lambda text: typer.echo(text, err=True))
        typer.echo(forecast_lines(forecast))
        typer.echo(next_lines(command("search", space, data_root=data_root, trials=trials, set=overrides)))


@app.command(epilog=example("status digits-datadam --store studies"))
def status(
    study: Study,
    store: StoreOption = "studies",
    as_json: Annotated[bool, typer.Option("--json", help="Print the same facts as JSON; gaps are fractions there.")] = False,
) -> None:
    """Show where a study stands, from its files alone: its search may run on another machine, or have stopped."""
    with exit_codes("Interrupted."):
        from datetime import UTC, datetime

        import raydistill
        from raydistill.report.status_words import status_lines

        found = raydistill.status(study, store=store)
        typer.echo(found.model_dump_json(indent=2) if as_json else status_lines(found, datetime.now(UTC)))


@app.command(epilog=example("tables digits-datadam digits-dm --format csv"))
def tables(
    studies: Annotated[
        list[str],
        typer.Argument(metavar="STUDY...", help="Folders <store>/<study>, or names in --store.", autocompletion=complete_study),
    ],
    store: StoreOption = "studies",
    suffix: TableFormat = "md",
) -> None:
    """Write the tables of each study into its folder; print those of one study, or the comparison of several."""
    with exit_codes("Interrupted."):
        from raydistill.catalogue import find_study
        from raydistill.methods import method_configs
        from raydistill.report.rendering import render
        from raydistill.report.tables import read_study, refuse_damaged, study_frame, write_tables

        folders = [find_study(study, store) for study in studies]
        read = [read_study(folder, method_configs()) for folder in folders]
        for records in read:
            refuse_damaged(records)
        written = [write_tables(folder, records) for folder, records in zip(folders, read, strict=True)]
        frames = written[0] if len(read) == 1 else [study_frame(read)]
        typer.echo("\n".join(render(frame, suffix) for frame in frames), nl=False)


@app.command(epilog=example("grafana /tmp/ray/session_latest/metrics/grafana/dashboards"))
def grafana(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Folder from which Grafana reads dashboards; by default that of Ray's latest session."
        ),
    ] = Path("/tmp/ray/session_latest/metrics/grafana/dashboards"),
) -> None:
    """Copy the Grafana dashboard of a search's gauges to the folder from which Grafana reads it."""
    with exit_codes("Interrupted."):
        from raydistill.report.grafana import install_dashboard

        typer.echo(f"Written {install_dashboard(folder)}")
