"""The script that runs the suite's parts: each is run, each is told, and nothing that it started is left."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPORT = '<testsuites><testsuite name="pytest" errors="1" failures="2" skipped="3" tests="10"></testsuite></testsuites>'


@pytest.fixture(scope="module")
def suite() -> ModuleType:
    folder = str(Path(__file__).parent.parent / ".ci")
    sys.path.insert(0, folder)
    try:
        import suite
    finally:
        sys.path.remove(folder)
    return suite


@pytest.fixture
def ran(suite: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The parts that were asked for, one after another; the fast ones fail."""
    seen: list[tuple[str, str]] = []

    def run_part(name: str, part: str, setting: object) -> object:
        seen.append((name, part))
        return suite.Row(name=f"{name}: {part}", ended="as told", seconds=90.0, has_failed=part == "fast")

    monkeypatch.setattr(suite, "run_part", run_part)
    return seen


def test_a_report_is_counted_with_errors_as_failures(suite: ModuleType, tmp_path: Path) -> None:
    """Of 10 tests 3 were skipped, 2 failed and 1 ended in an error: 4 passed."""
    (tmp_path / "report.xml").write_text(REPORT)
    assert suite.counts(tmp_path / "report.xml").split() == ["4", "passed", "3", "failed", "3", "skipped"]


def test_a_part_that_fails_keeps_no_other_from_being_run(
    suite: ModuleType, ran: list[tuple[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert suite.main(["fast", "ray"]) == 1
    assert ran == [("fast", "fast"), ("ray", "ray")]
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "  fast: fast  as told    1.5 min  FAILED",
        "  ray: ray    as told    1.5 min",
    ]


def test_a_part_with_ray_reads_the_files_that_name_it(suite: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("a", "pytestmark = [pytest.mark.ray, pytest.mark.jobs]"), ("b", "@pytest.mark.ray"), ("c", "import ray")):
        (tmp_path / "tests" / name).mkdir(parents=True)
        (tmp_path / "tests" / name / "test_one.py").write_text(text)
    assert suite.files("ray") == ["tests/a/test_one.py", "tests/b/test_one.py"]
    assert suite.files("jobs") == ["tests/a/test_one.py"]
    assert suite.files("no-ray") == []


def test_no_helper_gives_tests_a_mark_that_their_files_do_not_name() -> None:
    """Such tests would be in no part: the one without Ray leaves them out, and the others do not read their files."""
    helpers = [file for file in Path(__file__).parent.rglob("*.py") if not file.name.startswith("test_")]
    assert [file for file in helpers if "mark.ray" in file.read_text() or "mark.jobs" in file.read_text()] == []


def test_where_nothing_fails_the_status_is_0(suite: ModuleType, ran: list[tuple[str, str]]) -> None:
    assert suite.main(["ray"]) == 0


def test_all_settings_are_run_by_their_word(
    suite: ModuleType, ran: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite.Setting, "unmet", lambda self: None)
    suite.main(["all"])
    assert [name for name, part in ran if part not in ("ray", "jobs")] == list(suite.SETTINGS)
    assert ran[-3:] == [("busy", "no-ray"), ("busy", "ray"), ("busy", "jobs")]


def test_a_part_that_crashes_after_its_last_test_has_failed_and_says_so(
    suite: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_small.py").write_text("import pytest\n\n@pytest.mark.ray\ndef test_one():\n    pass\n")
    (tmp_path / "conftest.py").write_text("import os\n\ndef pytest_unconfigure(config):\n    os._exit(7)\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    ray\n")
    monkeypatch.chdir(tmp_path)
    assert suite.main(["ray"]) == 1
    last = capfd.readouterr().out.splitlines()[-1]
    assert "1 passed" in last
    assert "exit status 7" in last
    assert last.endswith("FAILED")


def test_a_setting_that_this_machine_lacks_is_told_and_no_failure(
    suite: ModuleType, ran: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without = suite.Setting(environment={"ATEN_CPU_CAPABILITY": "default"}, capability="AVX9")
    monkeypatch.setitem(suite.SETTINGS, "avx2", without)
    assert suite.main(["avx2"]) == 0
    assert ran == []
    assert "left out: this CPU has no AVX9: torch takes DEFAULT" in capsys.readouterr().out


def test_an_unknown_setting_is_refused(suite: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        suite.main(["avx3"])
    assert "unknown settings avx3; allowed: all, or of fast, no-ray, ray, jobs, default, avx2" in capsys.readouterr().err


def test_the_loops_of_a_busy_machine_end_though_what_they_stand_beside_fails(
    suite: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    popen = suite.subprocess.Popen

    def noted(*arguments: object, **options: object) -> object:
        process = popen(*arguments, **options)
        started.append(process.pid)
        return process

    monkeypatch.setattr(suite.subprocess, "Popen", noted)

    def fail() -> None:
        with suite.busy(2):
            for pid in started:
                os.kill(pid, 0)  # it is there
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(started) == 2
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
