"""`raydistill experts`: expert trajectories on a store."""

from __future__ import annotations

from typing import Annotated

import typer

from raydistill.cli.common import DataRoot, Overrides, Space, StoreOption, TableFormat, exit_codes, this_command

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_experts(
    store: StoreOption = "studies",
    suffix: TableFormat = "md",
) -> None:
    """Show the sets of a store: key, size, what they took, and the studies that use them."""
    with exit_codes("Interrupted."):
        from raydistill.experts.sets import list_sets
        from raydistill.report.rendering import render
        from raydistill.report.tables import expert_set_frame
        from raydistill.storage.store import Store

        typer.echo(render(expert_set_frame(list_sets(Store(store))), suffix), nl=False)


@app.command("build")
def build_experts(
    space: Space,
    store: StoreOption = "studies",
    data_root: DataRoot = None,
    local: Annotated[bool, typer.Option("--local", help="One by one in this process, without Ray.")] = False,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster, e.g. auto.")] = None,
    overrides: Overrides = None,
) -> None:
    """Train the experts that a search of the space would read; damaged ones again, those that are there not."""
    with exit_codes(f"Interrupted. What is done is saved; this continues:\n  {this_command()}"):
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
        typer.echo("\n".join(keys) or "the method of this space reads no experts")


@app.command("prune")
def prune_experts(
    keys: Annotated[list[str] | None, typer.Argument(help="Sets; by default those that no study uses.")] = None,
    store: StoreOption = "studies",
) -> None:
    """Delete sets of experts."""
    with exit_codes("Interrupted."):
        from raydistill.experts.sets import prune_sets
        from raydistill.storage.store import Store

        typer.echo("\n".join(f"deleted {key}" for key in prune_sets(Store(store), keys or ())) or "nothing to delete")
