"""What Optuna's Gaussian process is told of a race."""

from __future__ import annotations

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import GPSampler


def test_the_gaussian_process_of_a_race_models_arm_and_ipc_alone() -> None:
    """So docs/races.md says; a version of Optuna that models more makes that wrong."""
    study = optuna.create_study(sampler=GPSampler(seed=0, n_startup_trials=0))
    shared = {"arm": CategoricalDistribution(["dm", "dc"]), "ipc": IntDistribution(1, 50, log=True)}
    for label in ("dm", "dc", "dm", "dc"):
        own = {f"{label}.lr_images": FloatDistribution(0.1, 1.0)}
        params = {"arm": label, "ipc": 5, f"{label}.lr_images": 0.5}
        study.add_trial(optuna.trial.create_trial(params=params, distributions={**shared, **own}, value=5.0))
    modelled = study.sampler.infer_relative_search_space(study, study.get_trials()[0])
    assert set(modelled) == {"arm", "ipc"}
