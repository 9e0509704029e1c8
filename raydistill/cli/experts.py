"""`raydistill experts`: expert trajectories on a store."""

from __future__ import annotations

from typing import Annotated

import typer

from raydistill.cli.common import (
    Address,
    DataRoot,
    Local,
    Overrides,
    Space,
    StoreOption,
    TableFormat,
    example,
    exit_codes,
    to_continue,
)

app = typer.Typer(no_args_is_help=True)


@app.command("list", epilog=example("experts list --store studies"))
def list_experts(
    store: StoreOption = "studies",
    suffix: TableFormat = "md",
) -> None:
    """List the expert sets of a store: key, size, training time, and the studies that use them."""
    with exit_codes("Interrupted."):
        from raydistill.experts.sets import list_sets
        from raydistill.report.rendering import render
        from raydistill.report.tables import expert_set_frame
        from raydistill.storage.store import Store

        typer.echo(render(expert_set_frame(list_sets(Store(store))), suffix), nl=False)


@app.command("build", epilog=example("experts build digits_datm --local"))
def build_experts(
    space: Space,
    store: StoreOption = "studies",
    data_root: DataRoot = None,
    local: Local = False,
    address: Address = None,
    overrides: Overrides = None,
) -> None:
    """Train the missing experts that a search of the space reads; retrain damaged ones."""
    with exit_codes(to_continue()):
        import raydistill
        from raydistill.report.progress import watch

        with watch() as watcher:
            keys = raydistill.build_experts(
                space,
                store=store,
                data_root=data_root,
                local=local,
                address=address,
                overrides=overrides or [],
                watcher=watcher,
            )
        typer.echo("\n".join(keys) or "The method of this space reads no experts.")
        if keys:
            from raydistill.report.next_commands import command, next_lines

            where = {"data_root": data_root, "local": local, "address": address}
            line = command("search", space, store=store, **where, set=overrides)
            typer.echo(next_lines(line), err=True)  # the standard output holds the keys alone


@app.command("prune", epilog=example("experts prune --store studies"))
def prune_experts(
    keys: Annotated[list[str] | None, typer.Argument(help="Keys of sets; by default those that no study uses.")] = None,
    store: StoreOption = "studies",
) -> None:
    """Delete expert sets that no study uses, or those given by key."""
    with exit_codes("Interrupted."):
        from raydistill.experts.sets import prune_sets
        from raydistill.storage.store import Store

        typer.echo("\n".join(f"Deleted {key}" for key in prune_sets(Store(store), keys or ())) or "Nothing to delete.")
