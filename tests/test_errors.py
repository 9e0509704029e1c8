"""One hierarchy of errors, and the exit code that each kind ends a command with."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import raydistill
from raydistill import errors
from raydistill.errors import CorrectableError, FailedError, RaydistillError

PACKAGE = Path(raydistill.__file__).parent
NEVER_READ_BY_A_PERSON = {
    "raydistill/search/pace.py": {"_EnoughStepsError"},
    "raydistill/sets/weights_only.py": {"RefusedError"},
    "raydistill/storage/sealed.py": {"SealError"},
    "raydistill/trial/endings.py": {"HopelessError", "NothingChangedError", "OverTimeError", "TrialCrashedError"},
}
"""Exceptions that end inside the package; `weights_only` is a program of its own."""


def kinds() -> list[type[RaydistillError]]:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RaydistillError)]
    return [kind for kind in found if kind is not RaydistillError]


@pytest.mark.parametrize("kind", kinds())
def test_every_error_is_one_that_a_person_can_put_right_or_one_that_failed(kind: type[RaydistillError]) -> None:
    assert issubclass(kind, CorrectableError) != issubclass(kind, FailedError)
    assert kind.exit_code == (2 if issubclass(kind, CorrectableError) else 1)


def test_no_error_is_defined_elsewhere() -> None:
    complaints = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE.parent).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ClassDef) or not node.name.endswith("Error"):
                continue
            if name != "raydistill/errors.py" and node.name not in NEVER_READ_BY_A_PERSON.get(name, ()):
                complaints.append(f"{name} defines {node.name}")
    assert complaints == []
