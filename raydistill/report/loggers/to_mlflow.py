"""A study as an experiment of MLflow: a run per trial, and one for the finding. Needs mlflow or mlflow-skinny.

Through `MlflowClient` with run ids, because trials run side by side and MLflow's fluent functions know one active run.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raydistill.errors import InputError
from raydistill.report.loggers.logger import Finding, LoggedTrial, markdown_table, scalar_points
from raydistill.storage.layout import PICTURE_FILE
from raydistill.storage.remote import without_credentials

TRIAL_TAG = "raydistill.trial_id"
FINDING = "finding"


def open_mlflow(uri: str, study: str) -> MlflowLogger:
    """A logger on a tracking server or a local folder.

    Raises:
        InputError: the server cannot be reached, or refuses.
    """
    # MLflow 3 asks for this word before it writes plain files.
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param
    from mlflow.exceptions import MlflowException

    failures = (MlflowException, OSError)
    try:
        return MlflowLogger(MlflowClient(tracking_uri=uri), study, failures, metric=Metric, param=Param)
    except failures as error:
        where, said = without_credentials(uri), without_credentials(str(error))
        raise InputError(f"--log mlflow cannot write to {where}: {said}; give another target, or start the server") from None


class MlflowLogger:
    """Writes runs through a client."""

    name = "mlflow"

    def __init__(self, client: Any, study: str, failures: tuple[type[Exception], ...], *, metric: Any, param: Any) -> None:
        """Find the study's experiment, or make it.

        Args:
            client: an `MlflowClient`.
            study: name of the experiment.
            failures: what the client raises.
            metric: `mlflow.entities.Metric`.
            param: `mlflow.entities.Param`.
        """
        self.failures = failures
        self._client, self._metric, self._param = client, metric, param
        found = client.get_experiment_by_name(study)
        self._experiment = client.create_experiment(study) if found is None else found.experiment_id
        self._runs: dict[str, str] = {}

    def has(self, trial: LoggedTrial) -> bool:
        """Whether a run of the trial has ended."""
        return any(run.info.status != "RUNNING" for run in self._of(trial.trial_id))

    def begin(self, trial: LoggedTrial) -> None:
        """Create the run with the settings; a run that a killed search left is deleted."""
        self._runs[trial.trial_id] = self._new(trial.trial_id, trial.name)
        params = [self._param(name, str(value)) for name, value in trial.settings.items()]
        self._client.log_batch(self._runs[trial.trial_id], params=params)

    def reading(self, trial: LoggedTrial, step: int, values: Mapping[str, float]) -> None:
        """Log metrics."""
        self._log(self._runs[trial.trial_id], [(name, step, value) for name, value in values.items()])

    def end(self, trial: LoggedTrial, state: str, values: Mapping[str, float], picture: bytes | None) -> None:
        """Log the last values and the picture, and end the run: FAILED for one without a set."""
        run = self._runs.pop(trial.trial_id)
        self._client.set_tag(run, "state", state)
        self._log(run, [(f"final.{name}", 0, value) for name, value in values.items()])
        if picture is not None:
            self._keep(run, PICTURE_FILE, picture)
        self._client.set_terminated(run, "FINISHED" if state in ("finished", "pruned") else "FAILED")

    def finish(self, finding: Finding) -> None:
        """Log the finding as the run's note, and the curve as a file and as metrics whose step is the IPC."""
        run = self._new(FINDING, FINDING)
        self._client.set_tag(run, "mlflow.note.content", finding.text)
        self._log(run, scalar_points(finding))
        text = f"{finding.text}\n\n{markdown_table(finding.curve)}\n"
        self._keep(run, "finding.md", text.encode())
        if finding.picture is not None:
            self._keep(run, "winner.png", finding.picture)
        self._client.set_terminated(run, "FINISHED")

    def close(self) -> None:
        """Mark the runs of trials that have not ended; they stay RUNNING, and the next search replaces them."""
        for run in self._runs.values():
            self._client.set_tag(run, "state", "interrupted")
        self._runs.clear()

    def _of(self, trial_id: str) -> list[Any]:
        return list(self._client.search_runs([self._experiment], f"tags.`{TRIAL_TAG}` = '{trial_id}'"))

    def _new(self, trial_id: str, name: str) -> str:
        for run in self._of(trial_id):
            self._client.delete_run(run.info.run_id)
        return str(self._client.create_run(self._experiment, tags={TRIAL_TAG: trial_id}, run_name=name).info.run_id)

    def _log(self, run: str, points: list[tuple[str, int, float]]) -> None:
        now = int(time.time() * 1000)
        self._client.log_batch(run, metrics=[self._metric(name, value, now, step) for name, step, value in points])

    def _keep(self, run: str, name: str, data: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="raydistill-") as folder:
            path = Path(folder) / name
            path.write_bytes(data)
            self._client.log_artifact(run, str(path))
