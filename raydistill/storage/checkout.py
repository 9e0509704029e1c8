"""The git commit of the running code, for information only; code versions are compared by `record.code_sha256`."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path


@functools.cache
def commit() -> str | None:
    """The commit of the git checkout that contains this package, with `-dirty` if files differ from it; None outside of one."""
    return commit_of(Path(__file__).parents[2])


def commit_of(checkout: Path) -> str | None:
    """The commit of a git checkout; None if the folder is not a checkout or git is not installed."""
    git = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    if not (checkout / ".git").exists() or not shutil.which("git"):
        return None
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else None
