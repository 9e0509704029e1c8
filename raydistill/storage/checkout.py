"""The commit that the running code is of, for people; what is compared is `record.code_sha256`."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path


@functools.cache
def commit() -> str | None:
    """The commit of the checkout that this package lies in, ending in `-dirty` where files differ from it; else None."""
    return commit_of(Path(__file__).parents[2])


def commit_of(checkout: Path) -> str | None:
    """The commit that a folder is a checkout of; None where it is none, or git is not installed."""
    git = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    if not (checkout / ".git").exists() or not shutil.which("git"):
        return None
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else None
