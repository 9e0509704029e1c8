"""A study as a value, for a page, for pictures and for Python: its trials, its baseline, its result, as frames and in a line.

Made of records and the space's document alone, so that neither torch nor Ray is loaded. `read.read_whole` makes one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from raydistill.report.cells import cells_of, measured_cells, whole_config
from raydistill.report.rendering import frame_of
from raydistill.spaces.document import label_of
from raydistill.storage.baseline import Baseline
from raydistill.storage.given import Given
from raydistill.storage.layout import RESULT_FILE
from raydistill.storage.manifest import Damage
from raydistill.storage.record import Progress, TrialRecord
from raydistill.storage.result import Finding, SearchResult
from raydistill.storage.store import Store

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


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
        return arm_of(self.config)

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
    def metric_words(self) -> str:
        """What its accuracies are, for people."""
        return str(self.config["goal"].get("metric", "accuracy")).replace("_", " ")

    @property
    def seconds(self) -> float | None:
        """Seconds of distilling and evaluating; None without a cost."""
        cost = self.record.cost if self.record else None
        return None if cost is None else cost.seconds


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
    left_out: tuple[str, ...]
    """A sentence for each file that cannot be read: its path, the cause, what to do."""
    changed: tuple[Damage, ...] = field(default=(), repr=False)
    """The files that are gone or changed since the search ended; what they say now is in here."""
    given: Given | None = field(default=None, repr=False)
    """What the search was given beside its space, for the commands that need it again; None if that is not known."""

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
        if self.result is None or self.holder is not None:
            return False
        records = [trial.record for trial in self.asked if trial.record is not None]
        return len(records) == len(self.asked) and self.result.is_of(records)

    @property
    def damaged(self) -> tuple[str, ...]:
        """A sentence for each file that cannot be read, or is gone or changed since the search ended."""
        return (*self.left_out, *(damage.in_words(self.store) for damage in self.changed))

    @property
    def is_result_changed(self) -> bool:
        """Whether `result.json` is not as the search left it, so that nothing in it is a finding."""
        return any(damage.name == RESULT_FILE for damage in self.changed)

    @property
    def verdict(self) -> SearchResult | None:
        """The result, once the search has ended, unless it was changed since."""
        return self.result if self.is_over and not self.is_result_changed else None

    @property
    def finding(self) -> Finding | None:
        """Whether the smallest lossless set has to be distilled; None without a verdict, and in results of older versions."""
        return None if self.verdict is None else self.verdict.finding

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
    def metric(self) -> str:
        """What margin, gaps and accuracies are of: accuracy, or balanced_accuracy."""
        goals = (self.space.get("goal") or {}, *(trial.config["goal"] for trial in self.asked[:1]))
        return str(next((goal["metric"] for goal in goals if "metric" in goal), "accuracy"))

    @property
    def metric_words(self) -> str:
        """The metric for people."""
        return self.metric.replace("_", " ")

    @property
    def baseline_accuracy_fraction(self) -> float | None:
        """Mean accuracy of networks trained on the full data, on the select images; None until the baseline is built."""
        return None if self.baseline is None else self.baseline.accuracy_fraction

    @property
    def arms(self) -> dict[str, bool]:
        """Whether each arm of the race is a control, by its label: methods first, each side in the order of the space.

        Those that no trial has tried yet are among them, so that an arm looks the same from its first trial on.
        """
        in_space = [label_of(section) for section in (*_methods(self.space), *(self.space.get("controls") or []))]
        labels = dict.fromkeys([*filter(None, in_space), *(trial.arm for trial in self.asked)])
        controls = controls_of(self.space)
        return {label: label in controls for label in sorted(labels, key=lambda label: label in controls)}

    def trial(self, trial_id: str) -> Trial | None:
        """The trial of an id; None if there is none that can be read."""
        return self._by_id.get(trial_id)

    def trials(self) -> pd.DataFrame:
        """One row per trial in the order of asks: state, settings, what was measured. Accuracies and gaps are fractions."""
        rows = []
        for trial in self.asked:
            first: dict[str, Any] = {"trial_id": trial.trial_id, "state": trial.state, "ask_number": trial.ask_number}
            first |= {"arm": trial.arm, "is_control": trial.is_control, "ipc": trial.ipc}
            settings = cells_of(whole_config(trial.config))
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
        without = "its result was changed" if self.is_result_changed else "no verdict yet"
        said = without if self.verdict is None else self.verdict.in_short
        notes = f", {len(self.damaged)} damaged" if self.damaged else ""
        return f"Study({self.name}: {said}; {counts}{notes})"


def arm_of(config: Mapping[str, Any]) -> str:
    """The arm of a trial, by its config: its label, or its method's name."""
    return str(config.get("label") or config["method"]["name"])


def _methods(space: Mapping[str, Any]) -> list[Any]:
    return [space["method"]] if space.get("method") else list(space.get("methods") or [])


def controls_of(space: Mapping[str, Any]) -> frozenset[str]:
    """The labels of the controls in a space; none in a space of an older version, which had no such key."""
    return frozenset(filter(None, map(label_of, space.get("controls") or [])))


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
