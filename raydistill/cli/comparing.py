"""The command that compares methods at one IPC."""

from __future__ import annotations

from typing import Annotated, Any

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
    listed,
    to_continue,
)

app = typer.Typer()


@app.command(epilog=example("compare digits_datadam --methods datadam,dm --ipc 10"))
def compare(
    space: Space,
    methods: Annotated[
        str, typer.Option(help="Methods, or spaces with the settings of a method, separated by commas; controls are added.")
    ],
    ipc: Annotated[int, typer.Option(min=1, help="Images per class.")],
    draws: Annotated[int, typer.Option(help="Random starting sets per method.")] = 10,
    split: Annotated[str, typer.Option(help="Images that the networks are read on: select, or test (with --reason).")] = "select",
    reason: Annotated[str | None, typer.Option(help="Why the test split is opened; logged in the store.")] = None,
    store: StoreOption = "studies",
    data_root: DataRoot = None,
    local: Local = False,
    address: Address = None,
    overrides: Overrides = None,
    suffix: TableFormat = "md",
) -> None:
    """Compare methods at one IPC, in pairs with the random real images that each draw starts from."""
    with exit_codes(to_continue()):
        import raydistill
        from raydistill.comparison.rows import comparison_key
        from raydistill.report.next_commands import command, next_lines
        from raydistill.report.progress import watch
        from raydistill.report.summary import end_of_comparison
        from raydistill.sets.evaluating import check_reading
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
        same: dict[str, Any] = {"methods": methods, "ipc": ipc, "draws": draws, "split": split, "reason": reason, "store": store}
        same |= {"data_root": data_root, "local": local, "address": address, "set": overrides}
        other = "tex" if suffix != "tex" else "csv"
        # On the standard error: the table may be redirected to a file.
        typer.echo(next_lines(command("compare", space, **same, format=other)), err=True)
