"""A study as it is read for a page, for pictures and for Python: every record that can be read, and a note for each that cannot.

Reads records and the space's document alone, so that neither torch nor Ray is loaded. Unlike `tables.read_study`, one damaged
record among many is no error here: it is left out, and `damaged` names it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ConfigDict, Field, ValidationError

from raydistill.errors import StoreError
from raydistill.report.cells import cells_of, measured_cells
from raydistill.report.rendering import frame_of
from raydistill.spaces.document import label_of
from raydistill.spaces.sections import Config, EvaluationConfig, GoalConfig
from raydistill.storage.baseline import Baseline, read_baseline
from raydistill.storage.lock import holder_of
from raydistill.storage.record import Finding, Progress, SearchResult, TrialRecord, read_progress, read_record, read_result
from raydistill.storage.store import Store

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SPACE_FILE = "search_space.yaml"


class _Name(Config):
    model_config = ConfigDict(extra="ignore")

    name: str


class _Read(Config):
    """What is read of a trial's config here and by whoever shows it; its other fields may be of another version."""

    model_config = ConfigDict(extra="ignore")

    ask_number: int
    ipc: int = Field(ge=1)
    dataset: _Name
    method: _Name
    goal: GoalConfig
    evaluation: EvaluationConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """A trial that was asked, whether it has ended or not."""

    trial_id: str
    config: Mapping[str, Any]
    """Its `TrialConfig`, as JSON."""
    is_control: bool
    record: TrialRecord | None
    """None while it runs or waits."""
    progress: Progress | None = None
    """How far a trial without a record is; None before its first reading."""

    @property
    def ask_number(self) -> int:
        """Number of the trial, counted from 0 in the order in which the solver proposes trials."""
        return int(self.config["ask_number"])

    @property
    def arm(self) -> str:
        """The label of its method or control in the race, or the method's name."""
        return _arm_of(self.config)

    @property
    def ipc(self) -> int:
        """Images per class."""
        return int(self.config["ipc"])

    @property
    def state(self) -> str:
        """How it ended; `running` or `waiting` without a record."""
        if self.record is not None:
            return self.record.state
        return "waiting" if self.progress is None else "running"

    @property
    def gap(self) -> float | None:
        """Gap of the finished set, as a fraction; None unless finished."""
        return None if self.record is None else self.record.gap

    @property
    def accuracy_fraction(self) -> float | None:
        """Mean accuracy of the networks trained on the finished set, on the select images; None unless finished."""
        final = self.record.final if self.record else None
        return None if final is None else final.accuracy_fraction

    @property
    def seconds(self) -> float | None:
        """Seconds of distilling and evaluating; None without a cost."""
        cost = self.record.cost if self.record else None
        return None if cost is None else cost.distill_seconds + cost.evaluate_seconds


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study on a store: its trials, its baseline, its result. Made by `raydistill.load_study`."""

    store: Store = field(repr=False)
    space: Mapping[str, Any]
    """The document in `search_space.yaml`."""
    asked: tuple[Trial, ...]
    """In the order of asks."""
    baseline: Baseline | None
    """None until it is built."""
    result: SearchResult | None
    """None until the search has ended."""
    holder: str | None
    """Process and host of the search that works on the study now; None if none does."""
    damaged: tuple[str, ...]
    """A sentence for each file that cannot be read: its path, the cause, what to do."""

    @property
    def name(self) -> str:
        """The study's name in its space; that of its folder where the space has none."""
        return str(self.space.get("study") or self.store.root.rstrip("/").rpartition("/")[2])

    @property
    def dataset(self) -> str:
        """Name of the data set."""
        return str(next((trial.config["dataset"]["name"] for trial in self.asked), self.space["dataset"].get("name", "unknown")))

    @property
    def is_over(self) -> bool:
        """Whether the search has ended, and has not been taken up again since."""
        return self.result is not None and self.holder is None and all(trial.record is not None for trial in self.asked)

    @property
    def finding(self) -> Finding | None:
        """Whether the smallest lossless set has to be distilled; None before the verdict, and in results of older versions."""
        return self.result.finding if self.result is not None and self.is_over else None

    @property
    def finished(self) -> tuple[Trial, ...]:
        """The trials that made a set, in the order of asks."""
        return tuple(trial for trial in self.asked if trial.gap is not None)

    @property
    def states(self) -> dict[str, int]:
        """Trials by state, the most frequent first."""
        return dict(Counter(trial.state for trial in self.asked).most_common())

    @property
    def margin_fraction(self) -> float | None:
        """Largest gap that counts as lossless; None where neither the space nor a trial says it."""
        goals = (self.space.get("goal") or {}, *(trial.config["goal"] for trial in self.asked[:1]))
        return next((float(goal["margin_fraction"]) for goal in goals if "margin_fraction" in goal), None)

    @property
    def baseline_accuracy_fraction(self) -> float | None:
        """Mean accuracy of networks trained on the full data, on the select images; None until the baseline is built."""
        return None if self.baseline is None else self.baseline.accuracy_fraction

    @property
    def arms(self) -> dict[str, bool]:
        """Whether each arm of the race is a control, by its label: methods first, each side in the order of the space."""
        in_space = [_label(section) for section in (*_methods(self.space), *(self.space.get("controls") or []))]
        labels = dict.fromkeys([*filter(None, in_space), *(trial.arm for trial in self.asked)])
        controls = _controls(self.space)
        tried = {trial.arm for trial in self.asked}
        return {label: label in controls for label in sorted(labels, key=lambda label: label in controls) if label in tried}

    def trial(self, trial_id: str) -> Trial | None:
        """The trial of an id; None if there is none that can be read."""
        return self._by_id.get(trial_id)

    def trials(self) -> pd.DataFrame:
        """One row per trial in the order of asks: state, settings, what was measured. Accuracies and gaps are fractions."""
        rows = []
        for trial in self.asked:
            first: dict[str, Any] = {"trial_id": trial.trial_id, "state": trial.state, "ask_number": trial.ask_number}
            first |= {"arm": trial.arm, "is_control": trial.is_control, "ipc": trial.ipc}
            settings = cells_of(trial.config)
            rows.append(first | measured_cells(trial.record) | {k: v for k, v in settings.items() if k not in first})
        columns = ("trial_id", "state", "ask_number", "arm", "is_control", "ipc", "accuracy_fraction_mean", "gap", "started_at")
        return _typed(frame_of(rows, columns))

    def curve(self) -> pd.DataFrame:
        """One row per arm and IPC: the finished trial with the smallest gap, and the bounds of that gap, as fractions."""
        from raydistill.report.curve import curve_rows

        rows = [point.row() for point in curve_rows(self)]
        return _typed(frame_of(rows, ("arm", "is_control", "ipc", "trials", "finished", "accuracy_fraction", "gap")))

    def plot(self, kind: str = "accuracy") -> Figure:
        """A picture of the study, drawn with matplotlib, as `raydistill plots` writes it.

        Args:
            kind: `accuracy` (against IPC), `cost` (against size) or `progress` (trials over time).

        Raises:
            InputError: matplotlib is not installed, there is no such picture, or no trial has finished.
        """
        from raydistill.report.plots import draw

        return draw(self, kind)

    @cached_property
    def _by_id(self) -> dict[str, Trial]:
        return {trial.trial_id: trial for trial in self.asked}

    def __repr__(self) -> str:
        """The study in a line."""
        counts = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in self.states.items()) or "no trial"
        said = self.result.in_short if self.result is not None and self.is_over else "no verdict yet"
        notes = f", {len(self.damaged)} damaged" if self.damaged else ""
        return f"Study({self.name}: {said}; {counts}{notes})"


def read_whole(store: Store) -> Study:
    """A study with everything in it that can be read.

    Raises:
        StoreError: the folder holds no study, or its space, its baseline or its result is damaged or of another version.
    """
    space = _read_space(store)
    controls = _controls(space)
    asked: list[Trial] = []
    damaged: list[str] = []
    for trial_id in store.at("trials").folders("."):
        try:
            trial = _read_trial(store, trial_id, controls)
        except StoreError as error:
            damaged.append(str(error))
        else:
            asked += [] if trial is None else [trial]
    return Study(
        store=store,
        space=space,
        asked=tuple(sorted(asked, key=lambda trial: trial.ask_number)),
        baseline=read_baseline(store),
        result=read_result(store),
        holder=holder_of(store),
        damaged=tuple(damaged),
    )


def _read_space(store: Store) -> Mapping[str, Any]:
    data = store.read_or_none(SPACE_FILE)
    if data is None:
        raise StoreError(f"{store.root} holds no study (no {SPACE_FILE}); give the folder <store>/<study> of a search")
    try:
        space = yaml.safe_load(data)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        cause = " ".join(str(error).split())
        raise StoreError(f"{store.path(SPACE_FILE)} is damaged ({cause}); restore it, or start a new study") from error
    if not isinstance(space, dict) or not isinstance(space.get("dataset"), dict):
        raise StoreError(f"{store.path(SPACE_FILE)} is damaged (no section dataset); restore it, or start a new study")
    return space


def _read_trial(store: Store, trial_id: str, controls: frozenset[str]) -> Trial | None:
    """A trial; None for a folder that holds none yet.

    Raises:
        StoreError: its record or its config is damaged.
    """
    record = read_record(store, trial_id)
    config = record.config if record is not None else _read_config(store, trial_id)
    if config is None:
        return None
    try:
        _Read.model_validate(config)
    except ValidationError as error:
        first = error.errors()[0]
        file = store.path("trials", trial_id, "config.json" if record is None else "record.json")
        cause = f"its config: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise StoreError(f"{file} is damaged ({cause}); delete the trial's folder to run the trial again") from error
    progress = None if record is not None else read_progress(store, trial_id)
    return Trial(trial_id=trial_id, config=config, is_control=_arm_of(config) in controls, record=record, progress=progress)


def _read_config(store: Store, trial_id: str) -> dict[str, Any] | None:
    name = f"trials/{trial_id}/config.json"
    data = store.read_or_none(name)
    if data is None:
        return None
    try:
        config = json.loads(data)
    except ValueError as error:
        raise StoreError(f"{store.path(name)} is damaged ({error}); delete the trial's folder to run the trial again") from error
    if not isinstance(config, dict):
        raise StoreError(f"{store.path(name)} is damaged (no section); delete the trial's folder to run the trial again")
    return config


def _arm_of(config: Mapping[str, Any]) -> str:
    return str(config.get("label") or config["method"]["name"])


def _methods(space: Mapping[str, Any]) -> list[Any]:
    return [space["method"]] if space.get("method") else list(space.get("methods") or [])


def _controls(space: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(filter(None, map(_label, space.get("controls") or [])))


def _label(section: Any) -> str | None:
    return label_of(section)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with text, yes or no, and moments as such; lists stay objects."""
    # Here, because a page has no frame and need not wait for it.
    import pandas as pd

    for column in frame.select_dtypes("object"):
        kinds = {type(cell) for cell in frame[column] if cell is not None}
        if column == "started_at":
            frame[column] = pd.to_datetime(frame[column], utc=True, format="ISO8601")
        elif column in ("state", "arm"):
            frame[column] = frame[column].astype("category")
        elif kinds == {str}:
            frame[column] = frame[column].astype("string")
        elif kinds == {bool}:
            frame[column] = frame[column].astype("boolean")
    return frame


def study_file(study: Study, name: str) -> Path | str:
    """Where a file of the study lies: a path of this machine, or a URI."""
    return study.store.local_path(name) if study.store.is_local else study.store.path(name)


def settings_of(trial: Trial) -> Iterator[tuple[str, Any]]:
    """The settings of a trial's method by name, without the method's own name."""
    yield from ((key, value) for key, value in trial.config["method"].items() if key != "name")
