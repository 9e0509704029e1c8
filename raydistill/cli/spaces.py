"""The commands about search spaces themselves: which are shipped, and the schema that editors check them by."""

from __future__ import annotations

import typer

from raydistill.cli.common import example, exit_codes

app = typer.Typer()


@app.command(epilog=example("spaces"))
def spaces() -> None:
    """List the shipped search spaces with a line about each."""
    with exit_codes("Interrupted."):
        from raydistill.catalogue import described_spaces, shipped_spaces

        described = described_spaces()
        width = max(map(len, described), default=0)
        typer.echo("\n".join(f"{name:<{width}}  {description}" for name, description in described.items()))
        folders = sorted({str(path.parent) for path in shipped_spaces().values()})
        typer.echo(f"\nFiles <name>.yaml in {', '.join(folders)}; copy one to change it.")


@app.command(epilog=example("schema > schema.json"))
def schema() -> None:
    """Print the JSON Schema of a search space, that editors use to check and complete YAML files."""
    with exit_codes("Interrupted."):
        from raydistill.catalogue import space_schema

        typer.echo(space_schema(), nl=False)
