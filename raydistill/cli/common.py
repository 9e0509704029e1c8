"""What all commands share: their exit codes, the options that several take, the reading of lists."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer

from raydistill.errors import RaydistillError

Space = Annotated[str, typer.Argument(metavar="FILE_OR_NAME", help="A YAML search space, or a shipped one's name.")]
StoreOption = Annotated[str, typer.Option("--store", envvar="RAYDISTILL_STORE", help="Folder or URI that holds studies.")]
DataRoot = Annotated[
    str | None,
    typer.Option("--data-root", envvar="RAYDISTILL_DATA", help="Folder of the data files, or a URI to copy from."),
]
Study = Annotated[str, typer.Argument(metavar="STUDY", help="A folder <store>/<study>, or a name in --store.")]
TableFormat = Annotated[Literal["md", "csv", "tex"], typer.Option("--format", help="Of what is printed.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="A field, e.g. --set network.width=16.")]


@contextmanager
def exit_codes(interrupted: str) -> Iterator[None]:
    """Turn what a person can put right into one message and an exit code; let the unexpected through."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(interrupted, err=True)
        raise typer.Exit(130) from None
    except RaydistillError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(error.exit_code) from None


def listed(joined: str) -> list[str]:
    """The names in a text, joined by commas."""
    return [name.strip() for name in joined.split(",") if name.strip()]


def whole(text: str, option: str) -> list[int]:
    """Whole numbers from 1, joined by commas."""
    words = listed(text)
    if not words or not all(word.isdecimal() and int(word) > 0 for word in words):
        raise typer.BadParameter(f"{text!r}; whole numbers from 1, joined by commas, are wanted: write 1,10", param_hint=option)
    return [int(word) for word in words]


def refuse_beside(context: typer.Context, option: str, *names: str) -> None:
    """Refuse options that an option leaves nothing to do.

    Args:
        context: of the command.
        option: the one that was given.
        names: parameters that must not have been given beside it.

    Raises:
        typer.BadParameter: one was, on the command line.
    """
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is not None and source.name == "COMMANDLINE":
            message = f"it changes nothing beside {option}; leave one of the two out"
            raise typer.BadParameter(message, param_hint=parameter.opts[0])


def this_command() -> str:
    """The command that runs, as a person would write it."""
    return shlex.join(["raydistill", *sys.argv[1:]])
