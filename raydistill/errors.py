"""All errors of raydistill, in one hierarchy.

A `CorrectableError` is caused by the input or the environment and can be corrected by the user: the command exits with 2. A
`FailedError` means that the work failed although the input is valid: the command exits with 1. Every message says what was
given, what is allowed and what to do. Imports nothing of the package.

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
    "ClusterLostError",
    "CompareError",
    "CorrectableError",
    "DataError",
    "DeviceError",
    "DivergedError",
    "ExpertsError",
    "FailedError",
    "InputError",
    "JobLostError",
    "Mistake",
    "NoDataError",
    "NodeError",
    "RaydistillError",
    "ResourcesError",
    "SpaceError",
    "StoreError",
    "StoreUnavailableError",
    "StudyInUseError",
    "StudyMismatchError",
    "TimeLimitError",
    "Unusable",
    "VerificationError",
]


class RaydistillError(Exception):
    """Base class. The command prints the message and no traceback."""

    exit_code: ClassVar[int]
    """Exit code of a command that ends with this error."""


class CorrectableError(RaydistillError):
    """The user can correct the cause, and the message says how."""

    exit_code = 2


class InputError(CorrectableError):
    """A search space, study, set, recipe, split or option is not valid."""


class BudgetError(CorrectableError):
    """The budget is too small for a single trial."""


class CertifyError(CorrectableError):
    """A certificate, a verification or an ablation is not possible as requested."""


class ClusterError(CorrectableError):
    """A Ray cluster cannot be reached, or refuses the request."""


class CompareError(CorrectableError):
    """A comparison is not possible as requested."""


class DataError(CorrectableError):
    """Data files are missing, damaged or not the expected ones."""


class NoDataError(DataError):
    """Nothing lies at the path of the user's own data."""


class Unusable(DataError):
    """One image cannot be used as it is; its name is the caller's to add."""

    def __init__(self, kind: str, reason: str, remedy: str, side: int | None = None) -> None:
        super().__init__(f"{reason}; {remedy}")
        self.kind = kind
        """Short and stable, such as `unreadable`: images of one kind are told together."""
        self.reason = reason
        """Goes on after the image's name, such as `has transparency`."""
        self.remedy = remedy
        self.side = side
        """Of an image that is smaller than the size: the largest size that it allows."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Without this, unpickling would call the constructor with the message only, and fail.
        return type(self), (self.kind, self.reason, self.remedy, self.side)


class DeviceError(CorrectableError):
    """The device in a config is not available."""


class ExpertsError(CorrectableError):
    """The experts do not contain what the trials need."""


class NodeError(CorrectableError):
    """A node of the cluster differs from the driver, or cannot read the files that a trial needs."""


class ResourcesError(CorrectableError):
    """No node of the cluster, running or yet to start, has the resources for a trial."""


class StoreError(CorrectableError):
    """The store cannot be read or written, or a file in it is missing or damaged."""


class StoreUnavailableError(StoreError):
    """A store that could be used before does not answer, is full or refuses; later the same command continues from it."""

    is_silent: bool = False
    """Whether an S3 store did not answer, or said that it cannot answer now: neither the user nor the node is at fault."""


class StudyInUseError(CorrectableError):
    """Another search is running on the study, or has taken it over from this one."""


class StudyMismatchError(CorrectableError):
    """The study was started with a different search space, different data or different code."""


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
        where = "--set" if mistakes and all(line_of(m.key, lines) == 0 for m in mistakes) else source
        rows = [f"  {_place(source, m.key, lines)}: {m.key}: {m.message}" for m in mistakes]
        super().__init__("\n".join([f"{where} has {count}:", *rows]))


class FailedError(RaydistillError):
    """The work failed although the input is valid."""

    exit_code = 1


class ClusterLostError(FailedError):
    """Ray ended under a running search. What was finished is saved, and the same command continues."""


class DivergedError(FailedError):
    """A loss or a weight is no longer finite, or a learned learning rate is no longer a positive number."""

    def __init__(self, step: int, value: float, what: str = "the loss", remedy: str = "lower the learning rates") -> None:
        super().__init__(f"{what} is {value:g} at step {step}; {remedy}")
        self.step = step
        self.value = value
        self.what = what
        self.remedy = remedy

    def __reduce__(self) -> tuple[Any, ...]:
        # Without this, unpickling would call the constructor with the message only, and fail.
        return type(self), (self.step, self.value, self.what, self.remedy)


class JobLostError(FailedError):
    """The process of a network that trains beside the trials was lost again and again, most often for want of memory."""


class TimeLimitError(FailedError):
    """A network that trains beside the trials takes longer than the budget gives it."""


class VerificationError(FailedError):
    """The content of a certificate is not reproduced; the message lists every mismatch."""
