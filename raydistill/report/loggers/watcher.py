"""The watcher that tells the back ends of `--log` what happens, and then the watcher that a person looks at."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raydistill.report.cells import whole_config
from raydistill.report.loggers.logger import Finding, LoggedTrial, Logger
from raydistill.report.read import read_whole
from raydistill.spaces.trial import TrialConfig
from raydistill.spaces.units import looked_before
from raydistill.storage.layout import PICTURE_FILE, trial_file
from raydistill.storage.record import Reading, TrialRecord
from raydistill.storage.remote import without_credentials
from raydistill.storage.result import SearchResult
from raydistill.storage.store import Store

if TYPE_CHECKING:
    from raydistill.search.watcher import Watcher
    from raydistill.storage.baseline import Baseline


class LoggingWatcher:
    """Logs the trials of a search; a watcher in the sense of `raydistill.search.watcher.Watcher`.

    A back end that raises one of its failures is told of in a note and left out from then on: hours of training are worth more
    than their log, which can be made again from the records by another search with `--log`.
    """

    def __init__(self, inner: Watcher, loggers: Sequence[Logger], study: Store) -> None:
        """Log before `inner` is told.

        Args:
            inner: whom all calls are passed on to.
            loggers: the back ends.
            study: the study's folder, for the pictures and the curve.
        """
        self._inner = inner
        self._loggers = list(loggers)
        self._study = study
        self._begun: dict[str, LoggedTrial] = {}

    def stage(self, name: str, total: int) -> None:
        """Pass on."""
        self._inner.stage(name, total)

    def jobs_found(self, count: int) -> None:
        """Pass on."""
        self._inner.jobs_found(count)

    def job_done(self) -> None:
        """Pass on."""
        self._inner.job_done()

    def baseline_known(self, baseline: Baseline) -> None:
        """Pass on."""
        self._inner.baseline_known(baseline)

    def trial_asked(self, config: TrialConfig[Any]) -> None:
        """Pass on."""
        self._inner.trial_asked(config)

    def trial_started(self, config: TrialConfig[Any]) -> None:
        """Begin a run; one whose process was lost goes on."""
        if config.trial_id not in self._begun:
            trial = logged_trial(config.trial_id, json.loads(config.canonical_json()))
            self._begun[config.trial_id] = trial
            self._each(lambda logger: logger.begin(trial))
        self._inner.trial_started(config)

    def reading(self, config: TrialConfig[Any], reading: Reading) -> None:
        """Log gap and accuracy."""
        trial = self._begun[config.trial_id]
        self._each(lambda logger: logger.reading(trial, reading.step, values_of(reading)))
        self._inner.reading(config, reading)

    def step(self, config: TrialConfig[Any], step: int, steps: int) -> None:
        """Pass on."""
        self._inner.step(config, step, steps)

    def trial_ended(self, record: TrialRecord) -> None:
        """End a run; a trial of an earlier search that a back end lacks is logged whole."""
        began_here = self._begun.pop(record.trial_id, None)
        trial = began_here or logged_trial(record.trial_id, record.config)
        picture = self._study.read_or_none(trial_file(record.trial_id, PICTURE_FILE)) if record.state == "finished" else None
        last = values_of(record.readings[-1]) if record.readings else {}

        def end(logger: Logger) -> None:
            if began_here is None:
                if logger.has(trial):
                    return
                logger.begin(trial)
                for reading in record.readings:
                    logger.reading(trial, reading.step, values_of(reading))
            logger.end(trial, record.state, last, picture)

        self._each(end)
        self._inner.trial_ended(record)

    def note(self, text: str) -> None:
        """Pass on."""
        self._inner.note(text)

    def finish(self, result: SearchResult) -> None:
        """Log what the search found, with the curve of accuracy against IPC."""
        picture = (
            None if result.winner_trial_id is None else self._study.read_or_none(trial_file(result.winner_trial_id, PICTURE_FILE))
        )
        rows = [plain(row) for row in read_whole(self._study).curve().to_dict("records")]
        finding = Finding(text=finding_text(result), curve=rows, picture=picture)
        self._each(lambda logger: logger.finish(finding))

    def close(self) -> None:
        """Let go of the back ends."""
        self._each(lambda logger: logger.close())

    def _each(self, call: Callable[[Logger], None]) -> None:
        for logger in list(self._loggers):
            try:
                call(logger)
            except logger.failures as error:
                self._loggers.remove(logger)
                said = without_credentials(str(error))
                self._inner.note(
                    f"--log {logger.name} failed, and nothing more is logged there: {said}. The search goes on; run it again "
                    "with --log to log what is missing"
                )


def logged_trial(trial_id: str, config: Mapping[str, Any]) -> LoggedTrial:
    """A trial of a record or a config as a run."""
    return LoggedTrial(trial_id=trial_id, number=int(config["ask_number"]), settings=flat(whole_config(config)))


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """The values of a config by dotted name; lists as text, and no value where there is none."""
    found: dict[str, str | int | float | bool] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        elif value is not None:
            found[f"{prefix}{name}"] = value if isinstance(value, (str, int, float)) else json.dumps(value)
    return found


def values_of(reading: Reading) -> dict[str, float]:
    """What is drawn against the step; a number that is not finite is left out, because back ends refuse it."""
    values = {"gap": reading.gap, "accuracy_fraction": reading.accuracy_fraction, "loss": reading.loss}
    return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}


def plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row of a data frame with Python's own values, None for a missing one."""
    found = {str(name): value.item() if hasattr(value, "item") else value for name, value in row.items()}
    return {name: None if value is None or value != value else value for name, value in found.items()}


def finding_text(result: SearchResult) -> str:
    """Verdict and finding, as Markdown."""
    said = [f"**{result.in_short}**: {result.reason}"]
    if result.finding is not None:
        said.append(f"**Finding**: {result.finding.sentence}")
    if result.earlier_looks:
        said.append(f"Note: {looked_before(result.earlier_looks)}.")
    return "\n\n".join(said)
