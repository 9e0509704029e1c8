"""The overhead of Ray Tune, separated from a trial's own work."""

from __future__ import annotations

import pytest

pytest.importorskip("ray")

from raydistill.bench.tune_cost import time_tune, tune_cost


def test_tunes_cost_is_the_time_between_two_ends_less_the_trials_work() -> None:
    cost = tune_cost(began=10.0, ends=[17.0, 22.0, 29.0, 33.0], work=[2.0, 1.0, 4.0, 1.5])
    assert cost.trials == 4
    assert cost.first_trial_seconds == 5.0
    assert cost.next_trial_seconds == 3.0
    assert cost.work_seconds == 1.75


@pytest.mark.ray
@pytest.mark.usefixtures("small_cluster")
def test_tunes_cost_is_taken_on_a_cluster_of_this_machine() -> None:
    cost = time_tune(trials=2)
    assert cost.trials == 2
    assert min(cost.work_seconds, cost.first_trial_seconds, cost.next_trial_seconds) > 0
