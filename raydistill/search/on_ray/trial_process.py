"""What runs in a trial's process."""

from __future__ import annotations

import json
from typing import Any

from ray import tune
from ray.tune.trainable import wrap_function

from raydistill.data_root import as_data_root
from raydistill.methods import method_configs
from raydistill.record import Reading
from raydistill.search.local import run_to_a_record
from raydistill.search.on_ray.probe import here, refusal
from raydistill.space_file import read_trial_config
from raydistill.store import Store

REFUSED = "refused"
"""Key of the one report of a trial whose node cannot work for the study."""


def _run(config: dict[str, Any]) -> None:
    if config["question"] is not None and (refused := refusal(config["question"])) is not None:
        tune.report({REFUSED: here(refused)})
        return
    trial = read_trial_config(config["trial"], method_configs())
    run_to_a_record(trial, Store(config["study"]), _report, as_data_root(config["data_root"]))


def _report(reading: Reading) -> None:
    tune.report(reading.model_dump(mode="json"))


class DistillTrial(wrap_function(_run, name="distill")):  # type: ignore[misc]
    """Tune's trainable. Its representation names the trial on the dashboard's Actors page and before each line of its log."""

    def __repr__(self) -> str:
        # Ray asks once, when the process starts: one that will run other trials too must not go by the first one's name.
        trial = json.loads(self.config["trial"])
        if self.config["is_reused"]:
            return f"distill {trial['method']['name']}, several trials"
        return f"distill {trial['method']['name']} ipc={trial['ipc']} trial {trial['ask_number']} ({self.config['trial_id']})"

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """CPUs and a share of a GPU for one trial."""
        return tune.PlacementGroupFactory([{"CPU": config["cpus"], "GPU": config["gpus"]}])
