"""Where a study stands, from files that were written by hand: trials take 12 s, gaps are taken to 0.98, the margin is 0.02."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hand_made import STORED, HandMade, trial_record
from typer.testing import CliRunner

import raydistill
from raydistill.cli import app
from raydistill.errors import StoreError, StoreUnavailableError
from raydistill.methods import method_configs
from raydistill.report.status import StudyStatus, read_status
from raydistill.report.status_words import status_lines
from raydistill.spaces.trial import read_trial_config
from raydistill.storage.given import Given, write_given
from raydistill.storage.lock import study_lock
from raydistill.storage.record import Progress, Reading, write_record
from raydistill.storage.store import Store


@pytest.fixture
def made(by_hand: HandMade) -> HandMade:
    """A study that has its baseline and no trial."""
    by_hand.study.write("search_space.yaml", yaml.safe_dump(STORED))
    return by_hand


def half_way(made: HandMade, ipc: int) -> str:
    """A trial that is at step 15 of 30, with a gap of 3 points."""
    trial_id = made.trial(ipc, None)
    reading = Reading(step=15, fraction=0.5, accuracy_fractions=(0.95,), gap=0.03, loss=0.1)
    progress = Progress(step=15, steps=30, readings=(reading,), seconds={"whole": 5.0}, experts_sha256=None)
    made.study.write(f"trials/{trial_id}/progress.json", progress.model_dump_json())
    return trial_id


def stage(status: StudyStatus) -> tuple[str, int | None, int | None]:
    return status.stage, status.stage_done, status.stage_total


def test_a_study_without_its_baseline_counts_the_networks_of_it(made: HandMade) -> None:
    made.study.delete("baseline/baseline.json")
    for name in ("network-0.json", "network-0.json~", "network-1 (copy).json"):
        made.study.write(f"baseline/{name}", "[]")
    assert stage(read_status(made.study)) == ("baseline", 1, 3)


def test_before_the_first_trial_a_method_with_experts_trains_them(made: HandMade) -> None:
    made.study.write("search_space.yaml", yaml.safe_dump({**STORED, "method": {"name": "pad"}}))
    assert stage(read_status(made.study)) == ("experts", None, None)


def test_a_study_that_is_searched_tells_its_trials_and_the_time_left(made: HandMade) -> None:
    """Two ended in 12 s each; of the 4 that remain of 6, one is half done: 12 * 3.5 s with one at a time."""
    made.trial(9, (0.95,))
    candidate = made.trial(20, (0.97,))
    running, waiting = half_way(made, 12), made.trial(14, None)
    with study_lock(made.study):
        status = read_status(made.study)
    assert stage(status) == ("trials", 2, 6)
    assert status.holder is not None
    assert status.holder.startswith("process ")
    assert status.states == {"finished": 2}
    (trial,) = status.running
    assert (trial.trial_id, trial.ipc, trial.step, trial.steps, trial.fraction, trial.gap) == (running, 12, 15, 30, 0.5, 0.03)
    assert [trial.trial_id for trial in status.waiting] == [waiting]
    assert status.seconds_left == 42
    assert (status.bracket.candidate_trial_id, status.bracket.lossy_ipc) == (candidate, None)
    assert status.verdict is None


def test_an_old_result_is_no_verdict_of_a_study_that_is_extended(made: HandMade) -> None:
    """While a search holds it, and after that was cut off in the middle of a trial."""
    made.trial(9, (0.95,))
    made.result()
    with study_lock(made.study):
        held = read_status(made.study)
    half_way(made, 12)
    cut_off = read_status(made.study)
    assert [(status.stage, status.verdict) for status in (held, cut_off)] == [("trials", None)] * 2


def test_an_old_result_is_no_verdict_of_a_study_that_was_cut_off_when_it_confirmed_further_trials(made: HandMade) -> None:
    """The result is of two trials; all six of the larger budget have ended, and the search was ended before its new verdict."""
    for ipc in range(10, 16):
        made.trial(ipc, (0.97,))
    made.result()
    status = read_status(made.study)
    assert (stage(status), status.verdict, status.smallest_lossless_ipc) == (("confirmation", 0, 4), None, None)
    assert "--trials" not in status.continue_command


def begin_search(made: HandMade, after: str) -> None:
    """Have a search begin, as it does by writing the space, ten seconds after a file was written."""
    made.study.write("search_space.yaml", made.study.read("search_space.yaml"))
    began = made.study.local_path(after).stat().st_mtime + 10
    os.utime(made.study.local_path("search_space.yaml"), (began, began))


def crashed_half_way(made: HandMade, ipc: int) -> str:
    """A trial that crashed at step 15 of 30; its checkpoint is kept, and its record is the last that it wrote."""
    trial_id = half_way(made, ipc)
    config = read_trial_config(made.study.read(f"trials/{trial_id}/config.json"), method_configs())
    write_record(made.study, trial_record(config, (0.95,), state="crashed"))
    return trial_id


def test_a_crashed_trial_that_runs_again_is_running_and_the_stage_is_that_of_the_trials(made: HandMade) -> None:
    """Five of six have finished; the search that runs now began after the crash."""
    for ipc in range(10, 15):
        made.trial(ipc, (0.97,))
    again = crashed_half_way(made, 20)
    begin_search(made, f"trials/{again}/record.json")
    with study_lock(made.study):
        status = read_status(made.study)
    assert stage(status) == ("trials", 5, 6)
    assert status.states == {"finished": 5}
    assert [trial.trial_id for trial in status.running] == [again]


def test_a_crashed_trial_does_not_run_while_a_search_confirms(made: HandMade) -> None:
    """Its hours are spent: the search went on to the confirmation without it."""
    trials = [made.trial(ipc, (0.97,)) for ipc in range(10, 15)]
    again = crashed_half_way(made, 20)
    begin_search(made, f"trials/{again}/record.json")
    confirms = made.study.local_path(f"trials/{trials[4]}/confirm-0.json")
    confirms.write_text("{}")
    later = made.study.local_path("search_space.yaml").stat().st_mtime + 10
    os.utime(confirms, (later, later))
    with study_lock(made.study):
        status = read_status(made.study)
    assert stage(status) == ("confirmation", 1, 4)
    assert (status.running, status.states) == ((), {"finished": 5, "crashed": 1})


def test_a_trial_that_crashed_in_the_search_that_runs_has_ended(made: HandMade) -> None:
    """The search goes on without it, here to the confirmation."""
    for ipc in range(10, 15):
        made.trial(ipc, (0.97,))
    crashed_half_way(made, 20)
    with study_lock(made.study):
        status = read_status(made.study)
    assert stage(status) == ("confirmation", 0, 4)
    assert status.states == {"finished": 5, "crashed": 1}
    assert status.running == ()


def test_a_crashed_trial_that_was_cut_off_when_it_ran_again_hides_the_old_result(made: HandMade) -> None:
    """The search after the crash began ten seconds later, wrote the trial's progress after ten more, and is gone."""
    made.study.write("search_space.yaml", yaml.safe_dump({**STORED, "budget": {"trials": 2}}))
    made.trial(10, (0.97,))
    again = crashed_half_way(made, 20)
    made.result()
    begin_search(made, f"trials/{again}/record.json")
    later = made.study.local_path("search_space.yaml").stat().st_mtime + 10
    os.utime(made.study.local_path(f"trials/{again}/progress.json"), (later, later))
    status = read_status(made.study)
    assert (*stage(status), status.verdict) == ("trials", 1, 2, None)
    lines = status_lines(status, datetime.now(UTC))
    assert f"\nCut off       trial 1 ({again}), IPC 20, step 15 (50 %), gap 3.00 points\n" in lines
    assert lines.endswith(f"\nTo continue   {status.continue_command}")
    assert "--trials" not in status.continue_command


def test_a_study_that_ended_with_a_crashed_trial_is_continued_by_the_plain_command(made: HandMade) -> None:
    """It runs the trial again; after that there is something to extend."""
    made.study.write("search_space.yaml", yaml.safe_dump({**STORED, "budget": {"trials": 2}}))
    made.trial(10, (0.97,))
    crashed_half_way(made, 20)
    made.result()
    status = read_status(made.study)
    assert (*stage(status), status.verdict) == ("ended", 2, 2, "lossless")
    assert "--trials" not in status.continue_command
    assert f"\nTo continue   {status.continue_command}" in status_lines(status, datetime.now(UTC))


def test_a_crashed_trial_whose_search_has_no_hours_left_is_run_again_with_more(made: HandMade) -> None:
    """Two of six trials were asked, so the hours ended the search; without more of them the trial does not run again."""
    made.study.write("search_space.yaml", yaml.safe_dump({**STORED, "budget": {"trials": 6, "hours": 1}}))
    made.trial(10, (0.97,))
    crashed_half_way(made, 20)
    made.result()
    assert read_status(made.study).continue_command.endswith(" --set budget.hours=2")


def test_the_networks_of_a_confirmation_are_counted(made: HandMade) -> None:
    trials = [made.trial(ipc, (0.97,)) for ipc in range(10, 16)]
    assert stage(read_status(made.study)) == ("confirmation", 0, 4)
    for index in (0, 1, 3):
        made.study.write(f"trials/{trials[5]}/confirm-{index}.json", "{}")
    assert stage(read_status(made.study)) == ("confirmation", 3, 4)


def test_a_study_that_has_ended_tells_its_verdict(made: HandMade) -> None:
    made.trial(10, (0.97,))
    made.result()
    status = read_status(made.study)
    assert stage(status) == ("ended", 1, 1)
    assert (status.verdict, status.reason) == ("lossless", "the bound is within the margin")
    assert (status.smallest_lossless_ipc, status.largest_lossy_ipc, status.winner) == (10, 4, None)


def test_a_study_that_has_ended_names_its_winner_and_a_command_with_twice_the_trials(made: HandMade) -> None:
    made.study.write("search_space.yaml", yaml.safe_dump({**STORED, "budget": {"trials": 1}}))
    made.trial(10, (0.97,))
    made.result()
    made.study.write("winner.json", "{}")
    status = read_status(made.study)
    assert status.continue_command.endswith(" --trials 2")
    assert status_lines(status, datetime.now(UTC)).splitlines()[5:8] == [
        "Verdict       lossless: the bound is within the margin",
        "Found         smallest lossless IPC 10, largest IPC shown to be lossy 4",
        f"Winner        {made.study.root}/winner",
    ]


def test_what_was_provisional_is_gone_once_there_is_a_verdict(made: HandMade) -> None:
    """The trial at IPC 10 reads within the margin, and was not confirmed."""
    made.trial(10, (0.97,))
    open_verdict = {"verdict": "inconclusive", "smallest_lossless_ipc": None, "largest_lossy_ipc": None}
    made.result(**open_verdict, winner_trial_id=None)
    lines = status_lines(read_status(made.study), datetime.now(UTC))
    assert "So far" not in lines
    assert "\nFound         smallest lossless IPC none, largest IPC shown to be lossy none\n" in lines


def test_a_trial_that_was_stopped_early_is_not_called_lossy(made: HandMade) -> None:
    """IPC 9 was stopped at a gap of 13.30 points, IPC 8 finished with 2.77: the verdict knows no lossy IPC from that."""
    made.trial(9, (0.847,), state="pruned")
    made.trial(8, (0.9523,))
    lines = status_lines(read_status(made.study), datetime.now(UTC))
    said = "no IPC within the margin (smallest gap 2.77 points at IPC 8); no IPC shown to be lossy"
    assert f"\nSo far        provisional: {said}\n" in lines


def test_a_damaged_goal_is_named(made: HandMade) -> None:
    made.study.write("search_space.yaml", yaml.safe_dump({**STORED, "goal": {"margin_fraction": 2}}))
    with pytest.raises(StoreError, match=r"search_space.yaml is damaged \(goal.margin_fraction: Input should be less than 1\)"):
        read_status(made.study)


@pytest.mark.parametrize("lost", ["goal", "resources"])
def test_a_space_that_lacks_a_section_is_named(made: HandMade, lost: str) -> None:
    document = {section: value for section, value in STORED.items() if section != lost}
    made.study.write("search_space.yaml", yaml.safe_dump(document))
    with pytest.raises(StoreError, match=rf"search_space.yaml is damaged \(lacks {lost}\); restore it"):
        read_status(made.study)


def test_a_store_elsewhere_tells_who_holds_the_lease_of_a_study(made: HandMade, tmp_path: Path) -> None:
    study = Store(f"memory://{tmp_path.name}/by-hand")
    study.write("search_space.yaml", yaml.safe_dump({**STORED, "dataset": {"name": "mnist"}}))
    with study_lock(study):
        assert f"process {os.getpid()} on " in (read_status(study).holder or "")
        lease = study.read_json(".lock")
        study.write_json(".lock", {**lease, "expires_at": "2026-01-01T00:00:00+00:00"})
        assert read_status(study).holder is None
    status = read_status(study)
    assert status.holder is None
    assert status.continue_command == (f"raydistill search COPY_OF_search_space.yaml --store memory://{tmp_path.name}")
    assert status_lines(status, datetime.now(UTC)).endswith("\n              (with --data-root, if the search had one)")
    assert status.last_written is not None
    assert abs(datetime.now(UTC) - datetime.fromisoformat(status.last_written)) < timedelta(hours=1)


def test_a_store_that_fails_while_its_files_are_listed_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Store(f"memory://{tmp_path.name}/by-hand")
    study.write("search_space.yaml", yaml.safe_dump(STORED))

    def find(*_: object, **__: object) -> None:
        raise OSError("the store is gone")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.find", find)
    with pytest.raises(StoreUnavailableError, match=r"^cannot read memory://.*/by-hand: the store is gone; check the connection"):
        read_status(study)


def test_the_command_that_continues_has_what_the_search_was_given(made: HandMade) -> None:
    """As it stands it can be pasted, so the line about the data root is gone."""
    made.study.write("search_space.yaml", yaml.safe_dump({**STORED, "dataset": {"name": "mnist"}}))
    given = Given(space="mnist", data_root="/the data", local=True, accept_code_change=True, log=("tensorboard", "wandb=x"))
    write_given(made.study, given)
    lines = status_lines(read_status(made.study), datetime.now(UTC))
    root = made.study.root
    assert lines.endswith(
        f"To continue   raydistill search {root}/search_space.yaml --store {root.removesuffix('/by-hand')} "
        "--data-root '/the data' --local --log tensorboard --log wandb=x --accept-code-change"
    )


def test_a_space_in_a_store_elsewhere_is_named_as_it_was_given(made: HandMade, tmp_path: Path) -> None:
    study = Store(f"memory://{tmp_path.name}/by-hand")
    study.write("search_space.yaml", yaml.safe_dump({**STORED, "budget": {"trials": 6}}))
    write_given(study, Given(space="digits", overrides=("seed=3",), address="auto"))
    status = read_status(study)
    assert status.is_continue_command_whole
    assert status.continue_command == (
        f"raydistill search digits --store memory://{tmp_path.name} --address auto --trials 6 --set seed=3"
    )


def test_a_job_of_a_cluster_is_continued_by_the_command_that_submitted_it(made: HandMade) -> None:
    write_given(made.study, Given(space=None, address="10.0.0.1:6379", again="sbatch clusters/slurm.sh 'a b' --store /shared"))
    status = read_status(made.study)
    assert status.is_continue_command_whole
    assert status.continue_command == "sbatch clusters/slurm.sh 'a b' --store /shared"


def test_an_ended_job_of_a_cluster_is_extended_by_that_command_with_more(made: HandMade) -> None:
    write_given(made.study, Given(space="digits", again="raydistill submit digits --store /shared"))
    made.study.write("search_space.yaml", yaml.safe_dump({**STORED, "budget": {"trials": 1}}))
    made.trial(10, (0.97,))
    made.result()
    assert read_status(made.study).continue_command == "raydistill submit digits --store /shared --trials 2"


def test_a_damaged_command_file_is_told_and_spoils_nothing_else(made: HandMade) -> None:
    write_given(made.study, Given(space="digits"))
    made.study.write("command.json", made.study.read("command.json").replace(b"digits", b"digit5"))
    status = read_status(made.study)
    assert not status.is_continue_command_whole
    assert "command.json is damaged" in status.damaged[0]
    assert "delete it: the next search of the study writes it again" in status.damaged[0]


def test_a_status_prints_in_a_line(made: HandMade) -> None:
    made.trial(9, (0.95,))
    assert str(read_status(made.study)).startswith("StudyStatus(by-hand: trials, no IPC within the margin")
    made.result()
    assert str(read_status(made.study)) == "StudyStatus(by-hand: lossless; 1 finished)"


def test_a_page_that_someone_wrote_is_no_sign_of_a_search(made: HandMade) -> None:
    before = read_status(made.study).last_written
    for name in ("report.html", "plots/accuracy.pdf"):
        made.study.write(name, "")
        os.utime(made.study.local_path(name), (4e9, 4e9))
    assert read_status(made.study).last_written == before


def test_a_person_reads_a_line_per_fact(made: HandMade) -> None:
    made.trial(9, (0.95,))
    running, waiting = half_way(made, 12), made.trial(14, None)
    status = read_status(made.study)
    assert status.last_written is not None
    now = datetime.fromisoformat(status.last_written) + timedelta(seconds=75)
    written = f"{datetime.fromisoformat(status.last_written):%Y-%m-%d %H:%M:%S}"
    root = made.study.root
    assert status_lines(status, now).splitlines() == [
        f"Study         by-hand in {root}",
        "Search        not running",
        "Stage         trials, 1 of 6 trials",
        "Trials        1 finished, 1 cut off, 1 waiting",
        "Margin        2.00 points",
        "So far        provisional: no IPC within the margin (smallest gap 3.00 points at IPC 9); no IPC shown to be lossy",
        f"Cut off       trial 1 ({running}), IPC 12, step 15 (50 %), gap 3.00 points",
        f"Waiting       trial 2 ({waiting}), IPC 14",
        f"Last written  {written} UTC, 1 min 15 s ago",
        f"To continue   raydistill search {root}/search_space.yaml --store {root.removesuffix('/by-hand')}",
    ]


def test_a_search_that_runs_is_told_with_its_time_left_and_not_to_be_continued(made: HandMade) -> None:
    """One of 6 ended in 12 s, one is half done: 4.5 times 12 s."""
    made.trial(9, (0.95,))
    half_way(made, 12)
    with study_lock(made.study):
        lines = status_lines(read_status(made.study), datetime.now(UTC))
    assert "\nSearch        running, process " in lines
    assert "\nTime left     about 54 s, without the confirmation\n" in lines
    assert "\nRunning       trial 1 (" in lines
    assert "To continue" not in lines


def test_a_damaged_progress_file_is_named(made: HandMade) -> None:
    trial_id = half_way(made, 12)
    made.study.write(f"trials/{trial_id}/progress.json", "{}")
    with pytest.raises(
        StoreError, match=r"progress.json is damaged \(step: Field required\); delete it to run the trial from its start"
    ):
        read_status(made.study)


def test_the_command_and_the_function_tell_the_same(made: HandMade) -> None:
    made.trial(10, (0.97,))
    store = made.study.parent.root
    told = CliRunner().invoke(app, ["status", "by-hand", "--store", store, "--json"])
    assert told.exit_code == 0
    assert StudyStatus.model_validate_json(told.stdout, strict=False) == raydistill.status("by-hand", store=store)
    assert json.loads(told.stdout)["bracket"]["candidate_ipc"] == 10
    assert CliRunner().invoke(app, ["status", "by-hand", "--store", store]).stdout.startswith("Study ")
