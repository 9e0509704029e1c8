"""A study in Weights & Biases: a group with a run per trial, and one for the finding. Needs wandb.

WANDB_MODE=offline writes runs to the disk, which `wandb sync` sends later. A run's id is made of study and trial, so that a trial
that is repeated goes on with its run.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from raydistill.errors import InputError
from raydistill.report.loggers.logger import Finding, LoggedTrial

ENDED = "ended"


def open_wandb(project: str, study: str, folder: Path) -> WandbLogger:
    """A logger to a project; runs are kept below `folder/wandb`.

    Raises:
        InputError: nobody is logged in, and the mode is not offline.
    """
    import wandb

    failures = (wandb.errors.Error, OSError)
    if os.environ.get("WANDB_MODE", "online") not in ("offline", "disabled", "dryrun"):
        try:
            is_logged_in = wandb.login()
        except failures as error:
            raise InputError(f"--log wandb: {error}; run wandb login, or set WANDB_MODE=offline") from error
        if not is_logged_in:
            raise InputError("--log wandb: nobody is logged in; run wandb login, or set WANDB_MODE=offline")
    return WandbLogger(wandb, project, study, folder, failures)


class WandbLogger:
    """Writes runs side by side."""

    name = "wandb"

    def __init__(self, wandb: Any, project: str, study: str, folder: Path, failures: tuple[type[Exception], ...]) -> None:
        """Write to a project.

        Args:
            wandb: the module.
            project: name of the project.
            study: name of the group of all runs.
            folder: below which wandb keeps its files.
            failures: what wandb raises.
        """
        self.failures = failures
        self._wandb, self._project, self._study, self._folder = wandb, project, study, folder
        self._runs: dict[str, Any] = {}

    def has(self, trial: LoggedTrial) -> bool:
        """Whether a mark says that the trial's run has ended."""
        return self._mark(trial.trial_id).exists()

    def begin(self, trial: LoggedTrial) -> None:
        """Begin or continue the run, with the settings as its config."""
        self._runs[trial.trial_id] = self._new(trial.trial_id, trial.name, dict(trial.settings))

    def reading(self, trial: LoggedTrial, step: int, values: Mapping[str, float]) -> None:
        """Log values."""
        self._runs[trial.trial_id].log(dict(values), step=step)

    def end(self, trial: LoggedTrial, state: str, values: Mapping[str, float], picture: bytes | None) -> None:
        """Write the summary and the picture, and finish the run."""
        run = self._runs.pop(trial.trial_id)
        run.summary.update({"state": state, **{f"final/{name}": value for name, value in values.items()}})
        if picture is not None:
            run.log({"set": self._image(picture)})
        run.finish(exit_code=0 if state in ("finished", "pruned") else 1)
        self._mark(trial.trial_id).touch()

    def finish(self, finding: Finding) -> None:
        """Log the finding as the run's notes, and the curve as a table."""
        run = self._new("finding", "finding", {})
        run.notes = finding.text
        run.summary["finding"] = finding.text
        if finding.curve:
            columns = list(finding.curve[0])
            run.log({"curve": self._wandb.Table(columns=columns, data=[list(row.values()) for row in finding.curve])})
        if finding.picture is not None:
            run.log({"winner": self._image(finding.picture)})
        run.finish()

    def close(self) -> None:
        """Finish the runs of trials that have not ended, as failed; a resumed search continues them."""
        for run in self._runs.values():
            run.finish(exit_code=1)
        self._runs.clear()

    def _new(self, trial_id: str, name: str, config: dict[str, Any]) -> Any:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._wandb.init(
            project=self._project,
            group=self._study,
            id=f"{self._study}-{trial_id}",
            name=name,
            config=config,
            dir=str(self._folder),
            resume="allow",
            reinit="create_new",
            settings=self._wandb.Settings(silent=True),
        )

    def _mark(self, trial_id: str) -> Path:
        return self._folder / "wandb" / f"{self._study}-{trial_id}.{ENDED}"

    def _image(self, png: bytes) -> Any:
        return self._wandb.Image(Image.open(io.BytesIO(png)).convert("RGB"))
