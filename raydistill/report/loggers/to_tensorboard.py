"""A study in TensorBoard: a run per trial, and one for the finding. Needs tensorboard.

A run's folder has the event file and, once the trial has ended, the empty file `ENDED`, by which a resumed search knows it.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from raydistill.report.loggers.logger import Finding, LoggedTrial, markdown_table, scalar_points

ENDED = "ended"


class TensorBoardLogger:
    """Writes event files below a folder."""

    name = "tensorboard"
    failures: tuple[type[Exception], ...] = (OSError,)

    def __init__(self, folder: Path) -> None:
        """Write below `folder`, which is made with the first run."""
        self._folder = folder
        self._writers: dict[str, SummaryWriter] = {}

    def has(self, trial: LoggedTrial) -> bool:
        """Whether its run has the mark of its end."""
        return (self._folder / trial.name / ENDED).exists()

    def begin(self, trial: LoggedTrial) -> None:
        """Make the run's folder anew, and write the settings."""
        writer = self._new(trial.name)
        self._writers[trial.trial_id] = writer
        settings = json.dumps(dict(trial.settings), indent=2)
        writer.add_text("settings", f"```json\n{settings}\n```")

    def reading(self, trial: LoggedTrial, step: int, values: Mapping[str, float]) -> None:
        """Write scalars."""
        for name, value in values.items():
            self._writers[trial.trial_id].add_scalar(name, value, step)
        self._writers[trial.trial_id].flush()

    def end(self, trial: LoggedTrial, state: str, values: Mapping[str, float], picture: bytes | None) -> None:
        """Write what the HPARAMS tab shows, and the picture."""
        writer = self._writers.pop(trial.trial_id)
        # Unlike `add_hparams`, into the run itself and not into a run below it.
        for summary in hparams({**trial.settings, "state": state}, {f"final/{name}": value for name, value in values.items()}):
            writer._get_file_writer().add_summary(summary)
        for name, value in values.items():
            writer.add_scalar(f"final/{name}", value)
        writer.add_text("state", state)
        if picture is not None:
            writer.add_image("set", pixels(picture), dataformats="HWC")
        writer.close()
        (self._folder / trial.name / ENDED).touch()

    def finish(self, finding: Finding) -> None:
        """Write the finding as text, and the curve against IPC as a table and as scalars whose step is the IPC."""
        writer = self._new("finding")
        writer.add_text("finding", finding.text)
        writer.add_text("curve", markdown_table(finding.curve))
        for name, ipc, value in scalar_points(finding):
            writer.add_scalar(name, value, ipc)
        if finding.picture is not None:
            writer.add_image("winner", pixels(finding.picture), dataformats="HWC")
        writer.close()

    def close(self) -> None:
        """Close the files of running trials."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _new(self, name: str) -> SummaryWriter:
        folder = self._folder / name
        if folder.exists():
            shutil.rmtree(folder)
        return SummaryWriter(str(folder))


def pixels(png: bytes) -> Any:
    """(H, W, 3) bytes of a picture."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
