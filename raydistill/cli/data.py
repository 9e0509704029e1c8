"""`raydistill data`: a look at images of one's own, before anything is trained."""

from __future__ import annotations

from typing import Annotated

import typer

from raydistill.cli.common import DataRoot, example, exit_codes

app = typer.Typer(no_args_is_help=True)


@app.callback()
def data() -> None:
    """Images of your own: check."""


@app.command("check", epilog=example("data check search_space.yaml"))
def check(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A folder or file of images, or a search space that names one.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="A field of the dataset section, e.g. --set size=32. Repeatable."),
    ] = None,
    data_root: DataRoot = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same facts as JSON.")] = False,
) -> None:
    """Look at every image: what is there, what is done to it, and every problem at once. Exits with 1 if there are problems."""
    with exit_codes("Interrupted."):
        import raydistill
        from raydistill.data.own.words import report_lines

        report = raydistill.check_data(path, settings=settings or [], data_root=data_root, tell=_tell)
        typer.echo(report.model_dump_json(indent=2) if as_json else report_lines(report))
        if not report.is_fine:
            raise typer.Exit(1)


def _tell(done: int, total: int) -> None:
    typer.echo(f"Looked at {done:,} of {total:,} images", err=True)


starting = typer.Typer()


@starting.command(epilog=example("init my_images --out my_images.yaml"))
def init(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A folder or file of images.")],
    out: Annotated[
        str | None,
        typer.Option(help="The file to write; by default here, named after PATH with dashes."),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option("--method", metavar="NAME", help="A method that races; by default datadam and dm. Repeatable."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="A field of the dataset section, e.g. --set size=32. Repeatable."),
    ] = None,
) -> None:
    """Write a first search space for your own images, with sizes that fit them and this machine. Replaces no file."""
    with exit_codes("Interrupted. Nothing was written."):
        import raydistill
        from raydistill.report.next_commands import command, next_lines

        file = raydistill.write_space(
            path, out=out, methods=methods or [], settings=settings or [], note=lambda text: typer.echo(text, err=True)
        )
        typer.echo(f"Written {file}")
        typer.echo(next_lines(command("plan", str(file)), command("search", str(file))))
