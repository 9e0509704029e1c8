"""The commands. Each imports what it needs when it needs it, so that `--help` and misspelt names are answered at once.

Exit codes: 0 done (whatever the verdict), 1 failed, 2 bad input, 130 interrupted. What a person can put right is told in a
sentence; anything unexpected ends with its traceback.
"""

from __future__ import annotations

from typing import Annotated

import typer

from raydistill.cli import benches, certifying, comparing, experts, reproducing, searching, sets

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for part in (searching, sets, comparing, certifying, reproducing):
    app.add_typer(part.app)
app.add_typer(experts.app, name="experts", help="Expert trajectories, which DATM and PAD match: list, build, prune.")
app.add_typer(benches.app, name="bench")


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


def main() -> None:
    """The `raydistill` command."""
    app(prog_name="raydistill")
