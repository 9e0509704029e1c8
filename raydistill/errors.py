"""Every error that raydistill raises for a person to read, in one hierarchy.

A `CorrectableError` is what a person can correct: the command ends with exit code 2. A `FailedError` is work that failed although
the input was correct: the command ends with 1. The text of each says what was given, what is allowed and what to do.
Imports nothing of the package.

    try:
        raydistill.search("digits_datadam")
    except raydistill.errors.SpaceError as error:
        for mistake in error.mistakes:
            print(mistake.key, mistake.message)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

__all__ = [
    "BudgetError",
    "CertifyError",
    "ClusterError",
    "CompareError",
    "CorrectableError",
    "DataError",
    "DeviceError",
    "DivergedError",
    "ExpertsError",
    "FailedError",
    "InputError",
    "Mistake",
    "NodeError",
    "RaydistillError",
    "ResourcesError",
    "SpaceError",
    "StoreError",
    "StudyInUseError",
    "StudyMismatchError",
    "VerificationError",
]


class RaydistillError(Exception):
    """An error whose text tells a person enough to go on; no traceback is shown."""

    exit_code: ClassVar[int]
    """Of a command that it ends."""


class CorrectableError(RaydistillError):
    """A person can correct it, and the text says how."""

    exit_code = 2


class InputError(CorrectableError):
    """A space, study, set, recipe, split or option cannot be used as given."""


class BudgetError(CorrectableError):
    """The budget holds not even one trial."""


class CertifyError(CorrectableError):
    """A certificate, a verification or an ablation cannot be made as asked."""


class ClusterError(CorrectableError):
    """A Ray cluster cannot be reached, or refuses."""


class CompareError(CorrectableError):
    """A comparison cannot be made as asked."""


class DataError(CorrectableError):
    """Data files are missing, damaged or not what their name says."""


class DeviceError(CorrectableError):
    """The device that a config asks for is not there."""


class ExpertsError(CorrectableError):
    """Trials read what their experts cannot give."""


class NodeError(CorrectableError):
    """A node of the cluster differs from the driver, or does not see what a trial needs."""


class ResourcesError(CorrectableError):
    """No node, live or to be started, can hold a trial."""


class StoreError(CorrectableError):
    """The store cannot be read or written, or a file in it is not what it should be."""


class StudyInUseError(CorrectableError):
    """Another search holds the study, or this one no longer holds it."""


class StudyMismatchError(CorrectableError):
    """A study was begun with another space, other data or other code."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """One thing wrong in a space: where, and what to do."""

    key: str
    message: str


def line_of(key: str, lines: Mapping[str, int]) -> int | None:
    """The line of a key or of the nearest section around it; 0 for one that an override set."""
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return lines.get(key)


def _place(source: str, key: str, lines: Mapping[str, int]) -> str:
    line = line_of(key, lines)
    return "--set" if line == 0 else source if line is None else f"{source}:{line}"


class SpaceError(CorrectableError):
    """A search space has mistakes; the text names all of them with file, line, key and remedy."""

    def __init__(self, source: str, mistakes: Sequence[Mistake], lines: Mapping[str, int]) -> None:
        self.mistakes = tuple(mistakes)
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        rows = [f"  {_place(source, m.key, lines)}: {m.key}: {m.message}" for m in mistakes]
        super().__init__("\n".join([f"{source} has {count}:", *rows]))


class FailedError(RaydistillError):
    """The input was correct and the work failed."""

    exit_code = 1


class DivergedError(FailedError):
    """A loss is not finite, or a learned rate has left its range."""

    def __init__(self, step: int, value: float, what: str = "the loss") -> None:
        super().__init__(f"{what} is {value:g} at step {step}; lower the learning rates")
        self.step = step
        self.value = value
        self.what = what

    def __reduce__(self) -> tuple[Any, ...]:
        # Without this, unpickling calls the class with the message alone, and the error does not reach another process.
        return type(self), (self.step, self.value, self.what)


class VerificationError(FailedError):
    """A certificate does not follow from what it stores; every mismatch is named."""
