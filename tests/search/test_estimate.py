"""How long a command takes: the words, and the costs that they are made of."""

from __future__ import annotations

import types
from dataclasses import replace

import pytest
import torch
from hand_made import Clock, ended
from made_up import baseline, space

from raydistill.core.contract import Report
from raydistill.core.recipes import RECIPES
from raydistill.data.splits import load_splits
from raydistill.errors import DivergedError
from raydistill.search import pace
from raydistill.search.estimate import Part, estimate_line
from raydistill.search.pace import (
    baseline_pace,
    both,
    distilling_seconds,
    middle_trial,
    network_seconds,
    networks_that_read,
    parts_of_comparison,
    probe_distillation,
    probed_pace,
    times,
)
from raydistill.search.watcher import SilentWatcher
from raydistill.search.workplace import Workplace
from raydistill.spaces.network import ConvNetConfig
from raydistill.spaces.sections import DatasetConfig
from raydistill.spaces.units import rough

SPLITS = load_splits(DatasetConfig(name="digits"), None)
NETWORK = ConvNetConfig(name="convnet", depth=2, width=4)
PLAIN = RECIPES["plain"]


def test_an_estimate_is_jobs_times_seconds_over_the_jobs_at_once() -> None:
    """5 rounds of 40 s and 40 of 8 s: 520 s."""
    parts = [
        Part(jobs=10, what="networks on the full data", seconds_each=40.0),
        Part(jobs=80, what="networks on sets", seconds_each=8.0),
        Part(jobs=0, what="experts", seconds_each=1.0),
    ]
    said = "about 9 min: 10 networks on the full data at 40 s each, 80 networks on sets at 8.0 s each, 2 at once"
    assert estimate_line(parts, 2) == said


def test_what_is_not_known_makes_an_estimate_a_least() -> None:
    parts = [Part(jobs=1, what="sets", seconds_each=None), Part(jobs=2, what="networks", seconds_each=100.0)]
    assert estimate_line(parts, 1) == "at least 3 min: 1 set, 2 networks at 2 min each, one at a time"


def test_where_nothing_is_known_it_says_when_it_will_be() -> None:
    line = estimate_line([Part(jobs=3, what="sets of dm", seconds_each=None)], 1)
    assert line == "to do: 3 sets of dm, one at a time; how long it takes shows when the first have ended"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0, "0.1 s"), (0.44, "0.4 s"), (42.4, "42 s"), (720, "12 min"), (12600, "3.5 h"), (4 * 86400, "4 days")],
)
def test_a_time_is_no_finer_than_it_is_known(seconds: float, said: str) -> None:
    assert rough(seconds) == said


class Told(SilentWatcher):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class Three:
    """An executor of three places, asked only where something is left."""

    asked = 0

    def at_once(self, watcher: object) -> int:
        self.asked += 1
        return 3


def test_an_estimate_is_told_once_and_not_where_nothing_is_left() -> None:
    told, executor = Told(), Three()
    work = Workplace(executor=executor, data_root=None, watcher=told)  # type: ignore[arg-type]
    work.tell_estimate([Part(jobs=0, what="sets", seconds_each=1.0)])
    assert (told.notes, executor.asked) == ([], 0)
    work.tell_estimate([Part(jobs=3, what="sets", seconds_each=2.0)])
    assert told.notes == ["about 2.0 s: 3 sets at 2.0 s each, 3 at once"]


class Ticks:
    """A clock that shows the given seconds, one at each look."""

    def __init__(self, *seconds: float) -> None:
        self._seconds = iter(seconds)

    def __call__(self) -> float:
        return next(self._seconds)


def test_a_pace_is_the_difference_between_one_step_and_four() -> None:
    """A warm-up of 0.5 s, one step in 1 s, four in 4 s: 3 s for three steps of 100 images."""
    recipe = replace(PLAIN, batch=100)
    found = probed_pace(NETWORK, recipe, SPLITS, "cpu", 1, Ticks(0.0, 0.5, 1.0, 2.0, 3.0, 7.0))
    assert found == pytest.approx(3.0 / 300)


def test_a_long_step_is_measurement_enough() -> None:
    """The first of all, 9 s, says nothing; the second takes 5 s for 100 images."""
    recipe = replace(PLAIN, batch=100)
    assert probed_pace(NETWORK, recipe, SPLITS, "cpu", 1, Ticks(0.0, 9.0, 10.0, 15.0)) == pytest.approx(0.05)


def test_no_pace_is_measured_for_a_gpu_which_the_jobs_may_have_elsewhere() -> None:
    assert probed_pace(NETWORK, PLAIN, SPLITS, "cuda", 1, Ticks()) is None
    assert times(None, 100) is None
    assert times(0.5, 100) == 50


def test_a_measurement_leaves_the_threads_and_the_generator_of_torch_as_they_were() -> None:
    before, state = torch.get_num_threads(), torch.get_rng_state()
    probed_pace(NETWORK, PLAIN, SPLITS, "cpu", before + 1)
    assert torch.get_num_threads() == before
    assert torch.equal(torch.get_rng_state(), state)


def test_the_baselines_pace_is_its_seconds_over_its_images() -> None:
    """Two networks of 9 steps in a second each, of 50 images a step: 2 s for 900 images."""
    assert baseline_pace(baseline(), replace(PLAIN, batch=50)) == pytest.approx(2 / 900)


def test_a_network_costs_what_those_of_the_trial_did() -> None:
    record = ended(0, 10)[1]
    assert record.cost is not None
    networks = sum(len(reading.accuracy_fractions) for reading in record.readings)
    assert network_seconds(record) == pytest.approx(record.cost.evaluate_seconds / networks)
    assert network_seconds(record.model_copy(update={"cost": None})) is None


def test_the_middle_trial_has_the_geometric_middle_of_ipc() -> None:
    """sqrt(1 * 60) = 7.7, and 15 in the middle of 10 to 20."""
    middle = middle_trial(space().arms[0], "d" * 64)
    assert (middle.ipc, middle.method.random_inits) == (8, 15)


def test_a_set_without_steps_is_read_at_its_end_alone() -> None:
    """A trial that distils looks at its set at the start and half-way, with a network each."""
    for text, looks in ((), 2), (("method={name: random}",), 0):
        one = middle_trial(space(*text).arms[0], "d" * 64)
        assert networks_that_read(one, 10) == one.evaluation.networks + looks


def test_a_comparison_counts_the_sets_of_each_method(monkeypatch: pytest.MonkeyPatch) -> None:
    """40 s to make a set, and a second per thousand images that its networks are trained on."""
    monkeypatch.setattr(pace, "trial_pace", lambda config, splits: 0.001)
    monkeypatch.setattr(pace, "distilling_seconds", lambda config, splits: 40.0)
    one = middle_trial(space().arms[0], "d" * 64)
    (part,) = parts_of_comparison([one, one], SPLITS)
    read = one.evaluation.networks * pace.recipe_of(one, SPLITS).images_seen(10 * one.ipc)
    assert (part.jobs, part.what, part.seconds_each) == (2, "sets of datadam", pytest.approx(40 + read / 1000))


def test_a_distillation_is_measured_by_its_first_steps() -> None:
    """The first step, which is slow in every process, is left out where there are more; five steps of 15 are run."""
    steps: list[int] = []

    def run(report: Report) -> None:
        for step in range(16):
            steps.append(step)
            report(step, 15, None, None)  # type: ignore[arg-type]

    found = probe_distillation(run)
    assert steps == [0, 1, 2, 3, 4, 5]
    assert found.has_steps


@pytest.mark.parametrize(("seconds", "steps"), [(1.0, 5), (4.0, 3), (11.0, 1)])
def test_slow_steps_are_timed_until_ten_seconds_have_passed(seconds: float, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five steps of a second are all timed; of four seconds three, which take 12; of eleven one. All forecast 40 steps."""
    clock, done, ends = Clock(), [], []

    def run(report: Report) -> None:
        for step in range(41):
            clock.now += seconds if step else 100.0
            done.append(step)
            report(step, 40, None, "a set")  # type: ignore[arg-type]

    monkeypatch.setattr(pace, "time", types.SimpleNamespace(perf_counter=clock))
    found = probe_distillation(run, at_end=ends.append)
    assert done == list(range(steps + 1))
    assert found == ("a set", 40 * seconds, True)
    assert ends == ["a set"]


def test_a_set_of_real_images_takes_no_time_and_one_on_a_gpu_is_not_measured() -> None:
    one = middle_trial(space().arms[0], "d" * 64)
    assert distilling_seconds(one.model_copy(update={"device": "cuda"}), SPLITS) is None
    assert both(None, 1.0) is None
    assert both(2.0, 1.0) == 3.0


def test_steps_that_diverge_leave_the_time_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(*_: object) -> None:
        raise DivergedError(1, float("nan"))

    monkeypatch.setattr(pace, "probe_trial", diverge)
    assert distilling_seconds(middle_trial(space().arms[0], "d" * 64), SPLITS) is None
