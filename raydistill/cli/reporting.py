"""The commands that show what was found: a page, and the pictures and tables of a paper."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import typer

from raydistill.cli.common import StoreOption, Study, example, exit_codes
from raydistill.cli.completion import complete_study

app = typer.Typer()
WATCH_SECONDS = 5


@app.command(epilog=example("report digits --out digits.html"))
def report(
    target: Annotated[
        str,
        typer.Argument(
            metavar="STUDY",
            help="A folder <store>/<study>, or a name in --store; also a certificate.json, or the folder of a comparison.",
            autocompletion=complete_study,
        ),
    ],
    store: StoreOption = "studies",
    out: Annotated[str | None, typer.Option(help="The .html file to write; by default report.html in the folder.")] = None,
    watch: Annotated[
        int | None,
        typer.Option(
            min=WATCH_SECONDS, metavar="SECONDS", help="Write it again so often, as long as a search of the study runs."
        ),
    ] = None,
) -> None:
    """Write what was found as one page: the finding, a picture, and everything behind it. It loads nothing from elsewhere."""
    with exit_codes("Interrupted. The page as it was last written is whole."):
        import raydistill

        written = raydistill.write_report(target, store=store, out=out)
        typer.echo(f"Written {written.path}")
        while watch is not None and written.is_running:
            time.sleep(watch)
            written = raydistill.write_report(target, store=store, out=out)
        if watch is not None:
            typer.echo("No search works on it now, so this page is the last.")


@app.command(epilog=example("plots digits --format png --out figures"))
def plots(
    study: Study,
    store: StoreOption = "studies",
    suffix: Annotated[Literal["pdf", "png", "svg"], typer.Option("--format", help="Format of the pictures.")] = "pdf",
    out: Annotated[str | None, typer.Option(help="Folder to write into; by default plots/ in the study.")] = None,
) -> None:
    """Write a study's curves for a two-column paper, and its tables as LaTeX. Needs matplotlib."""
    with exit_codes("Interrupted."):
        import raydistill

        for path in raydistill.write_plots(study, store=store, format=suffix, out=out):
            typer.echo(f"Written {path}")
