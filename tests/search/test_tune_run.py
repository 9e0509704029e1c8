"""Events passed between Tune and the solver, without a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_up import AIM, Told, record, space

pytest.importorskip("ray")

from raydistill.errors import ClusterLostError, StudyInUseError
from raydistill.search.on_ray import memory, trial_process, tune_run
from raydistill.search.on_ray import waiting as waiting_module
from raydistill.search.on_ray.lifeline import Lifeline
from raydistill.search.on_ray.tune_run import Messenger, SolverSearcher
from raydistill.search.on_ray.waiting import Waiting
from raydistill.search.on_ray.watchdog import Watchdog
from raydistill.search.solver import Solver
from raydistill.spaces.sections import BudgetConfig, ResourcesConfig
from raydistill.storage.record import Progress, Reading, read_record, write_record
from raydistill.storage.store import Store
from raydistill.storage.versioned import write_stored

pytestmark = pytest.mark.ray


class Bridge:
    """A solver with one trial asked under Tune's id `t0`."""

    def __init__(self, folder: Path) -> None:
        self.study = Store(str(folder))
        database = folder / "disk" / "study.db"
        self.solver = Solver(space("budget.trials=1"), self.study, aim=AIM, data_sha256="d" * 64, database=database)
        self.told = Told()
        self.searcher = SolverSearcher(self.solver, {"cpus": 1}, self.told)
        self.now = 0.0
        waiting = Waiting("trials", ResourcesConfig(), [], self.told, clock=lambda: self.now)
        self.gone: str | None = None
        lifeline = Lifeline(lambda: self.gone, 0.0)
        budget = BudgetConfig(trials=1, silence_minutes=1.0)
        watchdog = Watchdog(budget, clock=lambda: self.now)
        self.messenger = Messenger(self.searcher, self.study, self.told, waiting, lifeline, watchdog)
        self.suggested = self.searcher.suggest("t0")
        self.config = self.searcher.configs["t0"]

    def ends(self, error: Path | None = None) -> None:
        trial: Any = SimpleNamespace(trial_id="t0", error_file=str(error or ""))
        (self.messenger.on_trial_error if error else self.messenger.on_trial_complete)(0, [], trial)
        self.messenger.on_step_end(0, [])

    @property
    def left(self) -> tuple[str, str | None]:
        """State and error of what is on disk."""
        found = read_record(self.study, self.config.trial_id)
        assert found is not None
        return found.state, found.error


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    made = Bridge(tmp_path)
    with closing(made.solver):
        yield made


def test_an_ask_goes_out_as_text_and_then_there_is_no_more(bridge: Bridge) -> None:
    method, trial = bridge.config.method, bridge.config.canonical_json()
    chosen = {
        "ipc": bridge.config.ipc,
        **{f"method.{name}": getattr(method, name) for name in ("init", "lr_images", "random_inits")},
    }
    assert bridge.suggested == {"cpus": 1, "trial_id": bridge.config.trial_id, "trial": trial, "chosen": chosen}
    assert bridge.searcher.suggest("t1") == "FINISHED"
    assert bridge.told.all("asked") == [0]


def test_a_result_is_a_reading_or_a_step(bridge: Bridge) -> None:
    reading = Reading(step=15, fraction=0.5, accuracy_fractions=(0.95,), gap=0.03, loss=0.1)
    trial: Any = SimpleNamespace(trial_id="t0")
    for result in (reading.model_dump(mode="json"), {"step": 18, "steps": 30}):
        bridge.messenger.on_trial_result(0, [], trial, {**result, "training_iteration": 1})
    assert bridge.told.all("reading") == [(0, reading)]
    assert bridge.told.all("step") == [(0, 18, 30)]


def test_an_end_tells_the_record_that_the_trial_wrote(bridge: Bridge) -> None:
    write_record(bridge.study, record(bridge.config, gap=0.01))
    bridge.ends()
    assert bridge.told.all("ended") == [(0, "finished")]
    assert [r.state for r in bridge.solver.records] == ["finished"]


def test_the_driver_writes_the_record_of_a_lost_process(bridge: Bridge, tmp_path: Path) -> None:
    (tmp_path / "error.txt").write_text("Failure # 2\nThe actor died\n")
    bridge.ends(error=tmp_path / "error.txt")
    assert bridge.left == ("crashed", "Failure # 2\nThe actor died")


def test_a_lost_process_without_a_word_is_said_to_be_lost(bridge: Bridge, tmp_path: Path) -> None:
    bridge.ends(error=tmp_path / "missing.txt")
    assert bridge.left == ("crashed", "the trial's process was lost")


def test_a_crashed_record_of_an_earlier_search_gives_way_to_the_new_cause(bridge: Bridge, tmp_path: Path) -> None:
    write_record(bridge.study, record(bridge.config, gap=None, state="crashed", error="long ago"))
    (tmp_path / "error.txt").write_text("The actor died")
    bridge.ends(error=tmp_path / "error.txt")
    assert bridge.left == ("crashed", "The actor died")


def test_a_process_lost_after_its_trial_ended_loses_nothing(bridge: Bridge, tmp_path: Path) -> None:
    write_record(bridge.study, record(bridge.config, gap=0.01))
    bridge.ends(error=tmp_path / "missing.txt")
    assert bridge.told.all("ended") == [(0, "finished")]


def test_a_trial_that_ends_without_a_record_crashed(bridge: Bridge) -> None:
    bridge.ends()
    assert bridge.left == ("crashed", "the trial ended without a record")


@pytest.mark.parametrize(
    "said",
    [
        "The actor died because its worker process has died. Worker exit type: NODE_OUT_OF_MEMORY Worker exit detail: ...",
        "1 worker(s) were killed due to the node running low on memory.",
        "ray.exceptions.OutOfMemoryError: Memory on the node was 0.97",
    ],
)
def test_a_process_that_rays_memory_monitor_killed_ran_out_of_memory(bridge: Bridge, tmp_path: Path, said: str) -> None:
    (tmp_path / "error.txt").write_text(said)
    bridge.ends(error=tmp_path / "error.txt")
    assert bridge.left == ("out_of_memory", said)


def test_a_kill_for_memory_before_the_last_loss_is_not_its_cause(bridge: Bridge, tmp_path: Path) -> None:
    """The node of its second process was taken away."""
    losses = "Failure # 1\nray.exceptions.OutOfMemoryError: Memory\nFailure # 2\nThe actor died: its node was terminated"
    (tmp_path / "error.txt").write_text(losses)
    bridge.ends(error=tmp_path / "error.txt")
    assert bridge.left == ("crashed", losses)


def test_a_search_whose_lease_is_too_old_does_not_wait_for_its_trials(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    def guard() -> None:
        raise StudyInUseError("not renewed")

    monkeypatch.setattr(bridge.messenger, "_study", replace(bridge.study, guard=guard))
    with pytest.raises(StudyInUseError, match="not renewed"):
        bridge.messenger.on_step_end(0, [])


def lost(bridge: Bridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, kills_now: int | None) -> tuple[str, str | None]:
    """How a process is recorded that was lost, after the kernel had killed 3 others when it started."""
    monkeypatch.setattr(memory, "kills_on", lambda node_id: kills_now if node_id == "its node" else 99)
    trial: Any = SimpleNamespace(trial_id="t0")
    bridge.messenger.on_trial_start(0, [], trial)
    bridge.messenger.on_trial_result(0, [], trial, {"kernel_kills": 3, "kernel_kills_on": "its node"})
    (tmp_path / "error.txt").write_text("The actor died")
    bridge.ends(error=tmp_path / "error.txt")
    return bridge.left


def test_a_process_that_the_kernel_killed_ran_out_of_memory(
    bridge: Bridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lost(bridge, tmp_path, monkeypatch, kills_now=4) == (
        "out_of_memory",
        "its process was killed because the memory of its node ran out: the kernel's count of such kills there (oom_kill) "
        "rose from 3 to 4 since its last report\nThe actor died",
    )


@pytest.mark.parametrize("kills_now", [3, None])
def test_a_lost_process_is_not_held_for_one_without_a_sign_of_it(
    bridge: Bridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills_now: int | None
) -> None:
    """The kernel has killed no more, or the node is gone."""
    assert lost(bridge, tmp_path, monkeypatch, kills_now=kills_now) == ("crashed", "The actor died")


def test_a_kill_of_hours_ago_is_no_sign_of_it(bridge: Bridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel killed a fourth after the trial had started, and none after the trial's last report."""
    monkeypatch.setattr(memory, "kills_on", lambda node_id: 4)
    trial: Any = SimpleNamespace(trial_id="t0")
    bridge.messenger.on_trial_start(0, [], trial)
    for told in ({}, {"step": 5, "steps": 9}, {"alive": True}):
        kills = 4 if told else 3
        bridge.messenger.on_trial_result(0, [], trial, {**told, "kernel_kills": kills, "kernel_kills_on": "its node"})
    (tmp_path / "error.txt").write_text("The actor died")
    bridge.ends(error=tmp_path / "error.txt")
    assert bridge.left == ("crashed", "The actor died")


def test_every_report_of_a_trial_tells_the_kernels_count(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(trial_process.tune, "report", told.append)
    monkeypatch.setattr(trial_process, "report_of_kills", lambda: {"kernel_kills": 7})
    monkeypatch.setattr(trial_process, "REPORT_SECONDS", 0.0)
    gauges: Any = SimpleNamespace(step=lambda *_: None, reading=lambda *_: None)
    teller = trial_process._Teller("made-up", bridge.config, gauges)
    teller.alive()
    teller.step(5, 9)
    teller.reading(Reading(step=15, fraction=0.5, accuracy_fractions=(0.95,), gap=0.03, loss=0.1))
    assert [report["kernel_kills"] for report in told] == [7, 7, 7]


def test_the_report_of_an_earlier_process_does_not_count(bridge: Bridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second process was lost before it told anything."""
    monkeypatch.setattr(memory, "kills_on", lambda node_id: 99)
    trial: Any = SimpleNamespace(trial_id="t0")
    bridge.messenger.on_trial_result(0, [], trial, {"kernel_kills": 3, "kernel_kills_on": "its node"})
    bridge.messenger.on_trial_start(0, [], trial)
    bridge.ends(error=tmp_path / "missing.txt")
    assert bridge.left == ("crashed", "the trial's process was lost")


def test_the_kernels_count_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for text, count in (("pgfault 7\noom_kill 5\n", 5), ("pgfault 7\n", None)):
        (tmp_path / "vmstat").write_text(text)
        monkeypatch.setattr(memory, "COUNTS", tmp_path / "vmstat")
        assert memory.kernel_kills() == count
    assert memory.report_of_kills() == {}


def test_a_trial_that_tells_nothing_is_ended_and_not_run_again(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """It told step 18 after 10 s and that it lives after 50 s; silence counts from there."""
    killed: list[Any] = []
    monkeypatch.setattr(tune_run.ray, "kill", killed.append)
    state = SimpleNamespace(ray_actor="its actor")
    trial: Any = SimpleNamespace(trial_id="t0", status="RUNNING", temporary_state=state, max_failures=1, error_file="")
    reading = Reading(step=0, fraction=0.0, accuracy_fractions=(0.5,), gap=0.4, loss=None)
    progress = Progress(step=18, steps=30, readings=(reading,), seconds={"whole": 50.0}, experts_sha256=None)
    write_stored(bridge.study, f"trials/{bridge.config.trial_id}/progress.json", progress)
    bridge.messenger.on_trial_start(0, [], trial)
    for bridge.now, result in ((10.0, {"step": 18, "steps": 30}), (50.0, {"alive": True})):
        bridge.messenger.on_trial_result(0, [], trial, result)
        bridge.messenger.on_step_end(0, [trial])
    for bridge.now in (109.0, 111.0):
        bridge.messenger.on_step_end(0, [trial])
        assert killed == ([] if bridge.now < 110 else ["its actor"])
    assert trial.max_failures == 0
    bridge.messenger.on_trial_error(0, [trial], trial)
    bridge.messenger.on_step_end(0, [trial])
    assert bridge.left == (
        "timed_out",
        "told nothing for 61 s, longer than budget.silence_minutes (1); its last step was 18 of 30",
    )
    (record,) = bridge.solver.records
    assert record.readings == (reading,)
    assert killed == ["its actor"]


def allowed(bridge: Bridge, *events: int | None) -> int:
    """How many losses a trial outlives as Tune counts; its process tells a step, or is lost (None) and started again."""
    trial: Any = SimpleNamespace(trial_id="t0", max_failures=1, num_failures=0, error_file="")
    bridge.messenger.on_trial_start(0, [], trial)
    for step in events:
        if step is None:
            trial.num_failures += 1
            bridge.messenger.on_trial_recover(0, [], trial)
            bridge.messenger.on_trial_start(0, [], trial)
        else:
            bridge.messenger.on_trial_result(0, [], trial, {"step": step, "steps": 30})
    return int(trial.max_failures)


def test_a_trial_that_came_further_since_its_last_loss_may_be_lost_again(bridge: Bridge) -> None:
    """Lost at step 5, then beyond it at 6 and lost, then at 7."""
    assert allowed(bridge, 5) == 1
    assert allowed(bridge, 5, None, 6) == 2
    assert allowed(bridge, 5, None, 6, None, 7) == 3


def test_a_trial_that_is_lost_twice_at_the_same_step_is_not_run_a_third_time(bridge: Bridge) -> None:
    """Its second process began at a checkpoint before the step at which the first was lost, and reached that one."""
    assert allowed(bridge, 5, None, 3, 4, 5) == 1
    assert allowed(bridge, 5, None, 6, None, 4, 6) == 2


def test_a_trial_that_was_ended_is_not_run_again_for_what_it_told_before(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its message of a later step comes after it was found to hang."""
    monkeypatch.setattr(tune_run.ray, "kill", lambda actor: None)
    state = SimpleNamespace(ray_actor="its actor")
    trial: Any = SimpleNamespace(
        trial_id="t0", status="RUNNING", temporary_state=state, max_failures=1, num_failures=1, error_file=""
    )
    bridge.messenger.on_trial_recover(0, [], trial)
    bridge.messenger.on_trial_start(0, [], trial)
    for bridge.now in (30.0, 61.0):
        bridge.messenger.on_step_end(0, [trial])
    bridge.messenger.on_trial_result(0, [], trial, {"step": 9, "steps": 30})
    assert trial.max_failures == 0


def test_trials_that_ray_lost_with_itself_have_not_crashed(bridge: Bridge, tmp_path: Path) -> None:
    bridge.gone = "the raylet"
    with pytest.raises(ClusterLostError, match="the raylet"):
        bridge.ends(error=tmp_path / "missing.txt")
    assert read_record(bridge.study, bridge.config.trial_id) is None


def test_trials_without_a_place_are_reported(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two wait and one runs, for 40 seconds."""
    monkeypatch.setattr(waiting_module, "holds_one", lambda _: True)
    trials: list[Any] = [SimpleNamespace(status=status) for status in ("PENDING", "RUNNING", "PENDING")]
    for bridge.now in (0.0, 40.0):
        bridge.messenger.on_step_end(0, trials)
    (note,) = bridge.told.all("note")
    assert note.startswith("trials that wait for a node: 2; each needs 1 CPUs")


def test_trials_that_tune_forgot_are_ended(bridge: Bridge) -> None:
    bridge.messenger.end_what_tune_forgot()
    assert bridge.left == ("crashed", "Ray Tune ended the trial without saying why")
    assert bridge.solver.running == []
