"""The command that makes the tables of the report again."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from raydistill.cli.common import (
    DataRoot,
    StoreOption,
    TableFormat,
    exit_codes,
    refuse_beside,
    this_command,
)
from raydistill.errors import InputError

app = typer.Typer()


@app.command()
def reproduce(
    context: typer.Context,
    table: Annotated[str | None, typer.Option(help="The report's tables: 1 to 7, joined by commas, or all.")] = None,
    reading: Annotated[
        Literal["as_run", "as_specified"], typer.Option(help="By its code, or by its text (K x T x zeta).")
    ] = "as_run",
    scale: Annotated[Literal["small", "full"], typer.Option(help="For two CPU cores, or as large as the report.")] = "small",
    flops_only: Annotated[bool, typer.Option("--flops-only", help="Table 1's FLOPs alone; trains nothing.")] = False,
    ledger: Annotated[bool, typer.Option("--ledger", help="Published values beside those in the store; trains nothing.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads of a job.")] = 1,
    gpus: Annotated[float, typer.Option(min=0, help="Share of a GPU for a job; 0 computes on the CPU.")] = 0,
    store: StoreOption = "studies",
    data_root: DataRoot = None,
    local: Annotated[bool, typer.Option("--local", help="One by one in this process, without Ray.")] = False,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster, e.g. auto.")] = None,
    suffix: TableFormat = "md",
) -> None:
    """Make the tables of the report again, beside its values; or list published values beside own ones."""
    with exit_codes(f"Interrupted. What is done is saved; this continues:\n  {this_command()}"):
        import raydistill
        from raydistill.report.progress import watch
        from raydistill.reproduce.tables import render_flops, render_results

        if [table is not None, flops_only, ledger].count(True) != 1:
            raise InputError("one of --table, --flops-only and --ledger is wanted: give --table 1 to 7, or another of them alone")
        training = ("reading", "scale", "threads", "gpus", "local", "address", "data_root")
        if flops_only:
            refuse_beside(context, "--flops-only", *training, "store")
            typer.echo(render_flops(suffix), nl=False)
            return
        if ledger:
            refuse_beside(context, "--ledger", *training)
            from raydistill.reproduce.ledger import render_ledger
            from raydistill.storage.store import Store

            results_store = Store(store)
            source = context.get_parameter_source("store")
            if source is not None and source.name != "DEFAULT" and not results_store.exists("."):
                raise InputError(f"there is no store {store}, so it holds no results; correct --store")
            typer.echo(render_ledger(results_store, suffix), nl=False)
            return
        with watch() as watcher:
            results = raydistill.reproduce(
                table or "",
                reading=reading,
                scale=scale,
                threads=threads,
                gpus=gpus,
                store=store,
                data_root=data_root,
                local=local,
                address=address,
                watcher=watcher,
            )
        typer.echo(render_results(results, suffix), nl=False)
        if results.missing and not results.rows:
            raise InputError(f"nothing was run, for lack of data: {'; '.join(results.missing.values())}")
