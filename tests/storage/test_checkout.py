"""The commit of a checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from raydistill.storage.checkout import commit_of


def test_the_commit_is_that_of_the_checkout_with_a_mark_where_files_differ(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "m"], check=True)
    clean = commit_of(tmp_path)
    assert clean is not None
    assert len(clean) == 40
    (tmp_path / "file").write_text("")
    subprocess.run([*git, "add", "file"], check=True)
    assert commit_of(tmp_path) == f"{clean}-dirty"


def test_outside_a_checkout_there_is_no_commit(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None


def test_a_checkout_without_a_commit_has_none(tmp_path: Path) -> None:
    subprocess.run(["git", "-C", str(tmp_path), "init", "--quiet"], check=True)
    assert commit_of(tmp_path) is None


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert commit_of(tmp_path) is None
