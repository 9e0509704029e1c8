"""Folders of a search on this machine's disk, and those that killed searches leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from raydistill.storage.scratch import OWNER, PREFIX, remove_abandoned, scratch_folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_scratch_folder_is_gone_after_its_block(temporary: Path) -> None:
    with scratch_folder() as folder:
        (folder / "study.db").write_text("something")
        assert folder.parent == temporary
    assert list(temporary.iterdir()) == []


def test_a_scratch_folder_is_gone_after_an_error_in_its_block(temporary: Path) -> None:
    with pytest.raises(KeyboardInterrupt), scratch_folder():
        raise KeyboardInterrupt
    assert list(temporary.iterdir()) == []


def test_a_live_search_keeps_its_folder_when_another_starts(temporary: Path) -> None:
    with scratch_folder() as first, scratch_folder() as second:
        assert first != second
        assert (first / OWNER).exists()


def test_the_folder_of_a_killed_process_is_removed_by_the_next_search(temporary: Path) -> None:
    code = (
        "import sys\nfrom raydistill.storage.scratch import scratch_folder\n"
        "with scratch_folder() as folder: print(folder, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        remove_abandoned(temporary)
        assert folder.exists()
        process.send_signal(signal.SIGKILL)
    assert folder.exists()
    with scratch_folder():
        assert not folder.exists()


def test_a_folder_that_is_not_locked_yet_is_left_alone(temporary: Path) -> None:
    young = temporary / f"{PREFIX}young"
    young.mkdir()
    remove_abandoned(temporary)
    assert young.exists()
