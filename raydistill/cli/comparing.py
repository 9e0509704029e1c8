"""The command that compares methods at one IPC."""

from __future__ import annotations

from typing import Annotated

import typer

from raydistill.cli.common import (
    DataRoot,
    Overrides,
    Space,
    StoreOption,
    TableFormat,
    exit_codes,
    listed,
    this_command,
)

app = typer.Typer()


@app.command()
def compare(
    space: Space,
    methods: Annotated[
        str, typer.Option(help="Methods, or spaces that give a method's settings, joined by commas; controls are added.")
    ],
    ipc: Annotated[int, typer.Option(min=1, help="Images per class.")],
    draws: Annotated[int, typer.Option(help="Random starts per method.")] = 10,
    split: Annotated[str, typer.Option(help="Images to read on: select, or test (which needs --reason).")] = "select",
    reason: Annotated[str | None, typer.Option(help="Why the test split is opened; logged in the store.")] = None,
    store: StoreOption = "studies",
    data_root: DataRoot = None,
    local: Annotated[bool, typer.Option("--local", help="One by one in this process, without Ray.")] = False,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster, e.g. auto.")] = None,
    overrides: Overrides = None,
    suffix: TableFormat = "md",
) -> None:
    """Compare methods at one IPC, in pairs with the random real images that each draw starts from."""
    with exit_codes(f"Interrupted. What is done is saved; this continues:\n  {this_command()}"):
        import raydistill
        from raydistill.comparison.rows import comparison_key
        from raydistill.report.progress import watch
        from raydistill.report.summary import end_of_comparison
        from raydistill.sets.one import check_reading
        from raydistill.storage.store import Store

        check_reading(split, reason, None)
        with watch() as watcher:
            comparison = raydistill.compare(
                space,
                methods=listed(methods),
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
        path = Store(store).at("compare", comparison_key(comparison.settings)).path("comparison.json")
        typer.echo(end_of_comparison(comparison, suffix, path), nl=False)
