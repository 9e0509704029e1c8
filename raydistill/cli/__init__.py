"""The commands. Each imports what it needs when it runs, so that `--help` and misspelt names are answered at once.

Exit codes: 0 done (whatever the verdict), 1 failed (`data check`: the images have problems), 2 bad input, 3 `verify` left a part
unchecked, 129, 130 and 143 told to end by SIGHUP, SIGINT (Ctrl-C) and SIGTERM. An error that a person can correct is one message;
anything unexpected ends with its traceback.
"""

from __future__ import annotations

from typing import Annotated

import typer

from raydistill.cli import (
    benches,
    certifying,
    clusters,
    comparing,
    data,
    experts,
    reporting,
    reproducing,
    searching,
    sets,
    spaces,
)
from raydistill.cli.common import example
from raydistill.cli.signals import end_at_once_if_failed

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, epilog=example("search digits_datadam"))
for part in (searching, clusters, reporting, spaces, sets, comparing, certifying, reproducing):
    app.add_typer(part.app)
app.add_typer(data.starting)
app.add_typer(
    experts.app,
    name="experts",
    help="Experts, which DATM, PAD and every method with _soft read: list, build, prune.",
    epilog=example("experts list --store studies"),
)
app.add_typer(data.app, name="data", help="Images of your own: check them.", epilog=example("data check search_space.yaml"))
app.add_typer(benches.app, name="bench", epilog=example("bench --repetitions 50"))


def _print_version(is_asked: bool) -> None:
    if is_asked:
        import raydistill

        typer.echo(f"raydistill {raydistill.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Find the smallest synthetic training set that is as good as the full data, within a margin."""


def main() -> None:
    """The `raydistill` command."""
    try:
        app(prog_name="raydistill")
    except SystemExit as end:
        end_at_once_if_failed(end.code)
        raise
