"""The command that makes the tables of the report again."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from raydistill.cli.common import (
    Address,
    DataRoot,
    Local,
    StoreOption,
    TableFormat,
    example,
    exit_codes,
    refuse_beside,
    to_continue,
)
from raydistill.errors import InputError

app = typer.Typer()


@app.command(epilog=example("reproduce --table 1,2 --scale small"))
def reproduce(
    context: typer.Context,
    table: Annotated[str | None, typer.Option(help="Tables of the report: 1 to 7, separated by commas, or all.")] = None,
    reading: Annotated[
        Literal["as_run", "as_specified"],
        typer.Option(help="Settings as the report's code ran them, or as its text specifies them (K x T x zeta)."),
    ] = "as_run",
    scale: Annotated[
        Literal["small", "full"], typer.Option(help="Small runs on two CPU cores; full is the size of the report.")
    ] = "small",
    flops_only: Annotated[bool, typer.Option("--flops-only", help="Only the FLOPs of table 1; trains nothing.")] = False,
    ledger: Annotated[bool, typer.Option("--ledger", help="Published values beside those in the store; trains nothing.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads per job.")] = 1,
    gpus: Annotated[float, typer.Option(min=0, help="Share of a GPU per job; 0 computes on the CPU.")] = 0,
    store: StoreOption = "studies",
    data_root: DataRoot = None,
    local: Local = False,
    address: Address = None,
    suffix: TableFormat = "md",
) -> None:
    """Reproduce the tables of the report beside its values; or list published values beside those in the store."""
    with exit_codes(to_continue()):
        import raydistill
        from raydistill.report.progress import watch
        from raydistill.reproduce.tables import render_flops, render_results

        if [table is not None, flops_only, ledger].count(True) != 1:
            raise InputError("give exactly one of --table, --flops-only and --ledger, for example --table 1")
        if flops_only:  # the same for every reading and scale
            typer.echo(render_flops(suffix), nl=False)
            return
        if ledger:
            refuse_beside(context, "--ledger", "reading", "scale")
            from raydistill.reproduce.ledger import render_ledger
            from raydistill.storage.store import Store

            results_store = Store(store)
            source = context.get_parameter_source("store")
            if source is not None and source.name != "DEFAULT" and not results_store.exists("."):
                raise InputError(f"there is no store {store}: correct --store")
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
            raise InputError(f"nothing was run, because data is missing: {'; '.join(results.missing.values())}")
