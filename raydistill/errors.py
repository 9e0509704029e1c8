"""Every error that raydistill raises for a person to read, in one hierarchy.

A `CorrectableError` is what a person can put right: the command ends with 2. A `FailedError` is work that failed although the
input was right: the command ends with 1. The text of each says what was given, what is allowed and what to do.
Imports nothing of the package. `SpaceError` lies in `spaces.document`, since it writes lines of a space.
"""

from __future__ import annotations

from typing import Any, ClassVar


class RaydistillError(Exception):
    """An error whose text is enough for a person to go on; no traceback is shown."""

    exit_code: ClassVar[int]
    """Of the command that it ends."""


class CorrectableError(RaydistillError):
    """A person can put it right, and the text says how."""

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
    """A node of the cluster is not like the driver, or does not see what a trial needs."""


class ResourcesError(CorrectableError):
    """No node, live or to be started, can hold a trial."""


class StoreError(CorrectableError):
    """The store cannot be read or written, or a file in it is not what it should be."""


class StudyInUseError(CorrectableError):
    """Another search holds the study, or this one holds it no longer."""


class StudyMismatchError(CorrectableError):
    """A study was begun with another space, other data or other code."""


class FailedError(RaydistillError):
    """The input was right and the work failed."""

    exit_code = 1


class DivergedError(FailedError):
    """A loss is no longer finite, or a learned rate no longer a rate."""

    def __init__(self, step: int, value: float, what: str = "the loss") -> None:
        super().__init__(f"{what} is {value:g} at step {step}; lower the learning rates")
        self.step = step
        self.value = value
        self.what = what

    def __reduce__(self) -> tuple[Any, ...]:
        # An exception is otherwise made again from its message alone, and fails to travel between processes.
        return type(self), (self.step, self.value, self.what)


class VerificationError(FailedError):
    """A certificate does not hold what it says; every mismatch is named."""
