"""What all commands share: their exit codes, the options that several take, the reading of lists."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer

from raydistill.cli.completion import complete_space, complete_study
from raydistill.cli.signals import ended_by_signals
from raydistill.errors import ClusterLostError, JobLostError, RaydistillError, StoreUnavailableError
from raydistill.search.again import submitted

Space = Annotated[
    str,
    typer.Argument(
        metavar="FILE_OR_NAME", help="A YAML search space, or the name of a shipped one.", autocompletion=complete_space
    ),
]
StoreOption = Annotated[str, typer.Option("--store", envvar="RAYDISTILL_STORE", help="Folder or URI that holds the studies.")]
DataRoot = Annotated[
    str | None,
    typer.Option("--data-root", envvar="RAYDISTILL_DATA", help="Folder of the data files, or a URI to copy them from."),
]
Study = Annotated[
    str,
    typer.Argument(metavar="STUDY", help="A folder <store>/<study>, or a name in --store.", autocompletion=complete_study),
]
TableFormat = Annotated[Literal["md", "csv", "tex"], typer.Option("--format", help="Format of the printed table.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Replace a field of the space, e.g. --set network.width=16. Repeatable."),
]
Address = Annotated[
    str | None, typer.Option("--address", help="Address of a running Ray cluster, e.g. auto; by default Ray starts here.")
]
Local = Annotated[bool, typer.Option("--local", help="Run one job after another in this process, without Ray.")]
AcceptCodeChange = Annotated[
    bool, typer.Option("--accept-code-change", help="Accept a study whose records another version of the code wrote.")
]


CONTINUES = "this continues"
"""What the last words of a command say before the command that goes on, if there is one."""


def example(command: str) -> str:
    """The end of a command's help."""
    return f"Example: raydistill {command}"


@contextmanager
def exit_codes(interrupted: str) -> Iterator[None]:
    """Print an error that a person can correct as one message, and end with its exit code; let other exceptions through.

    Args:
        interrupted: last words of a command that is told to end; begins with `Interrupted.`
    """
    try:
        with ended_by_signals(interrupted) as received:
            yield
    except KeyboardInterrupt:
        received.is_told = True
        typer.echo(received.told(interrupted), err=True)
        raise typer.Exit(received.exit_code) from None
    except RaydistillError as error:
        typer.echo(f"Error: {error}", err=True)
        if CONTINUES in interrupted and isinstance(error, ClusterLostError | JobLostError | StoreUnavailableError):
            typer.echo(_when_put_right(interrupted, error), err=True)
        raise typer.Exit(error.exit_code) from None


def listed(joined: str) -> list[str]:
    """The names in a text, separated by commas."""
    return [name.strip() for name in joined.split(",") if name.strip()]


def whole(text: str, option: str) -> list[int]:
    """Whole numbers from 1, separated by commas."""
    words = listed(text)
    if not words or not all(word.isdecimal() and int(word) > 0 for word in words):
        raise typer.BadParameter(f"{text!r} is not a list of whole numbers from 1: write for example 1,10", param_hint=option)
    return [int(word) for word in words]


def refuse_beside(context: typer.Context, option: str, *names: str) -> None:
    """Refuse options that ask for something else than the option beside them.

    An option that only says where things lie or run does no harm where it is not needed, and is not to be named here.

    Args:
        context: of the command.
        option: the one that decides.
        names: parameters that must not have been given beside it.

    Raises:
        typer.BadParameter: one was, on the command line.
    """
    for parameter in context.command.params:
        if parameter.name in names and is_given(context, parameter.name):
            message = f"it asks for something else than {option}, which takes no notice of it; leave one of the two out"
            raise typer.BadParameter(message, param_hint=parameter.opts[0])


def is_given(context: typer.Context, name: str) -> bool:
    """Whether a parameter was given on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def this_command() -> str:
    """The command that runs, as a person would write it."""
    return shlex.join(["raydistill", *sys.argv[1:]])


def to_continue() -> str:
    """The message of an interrupted command that continues when it is run again.

    A job of a cluster is continued by the command that submitted it: `AGAIN`.
    """
    return f"Interrupted. Finished work is saved; {CONTINUES}:\n  {submitted() or this_command()}"


def _when_put_right(interrupted: str, error: RaydistillError) -> str:
    """The last words of a command that an error ended which does not stay."""
    words = interrupted.removeprefix("Interrupted. ")
    if isinstance(error, StoreUnavailableError):
        return words.replace(CONTINUES, f"once the store can be used again, {CONTINUES}", 1)
    return words
