"""What a back end of `--log` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class LoggedTrial:
    """A trial as a run of a back end."""

    trial_id: str
    number: int
    settings: Mapping[str, str | int | float | bool]
    """The trial's config, one entry per value, named as in a record: `method.lr_images`."""

    @property
    def name(self) -> str:
        """Name of the run; sorts by number."""
        return f"trial-{self.number:04d}-{self.trial_id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What a search found, for the last run of a study."""

    text: str
    """Verdict and finding, as Markdown."""
    curve: Sequence[Mapping[str, Any]]
    """Rows of the curve: an arm at an IPC each."""
    picture: bytes | None
    """PNG of the winner's set; None without a winner."""


class Logger(Protocol):
    """Writes a study to one back end; made by `open_loggers`, called in the driver's process alone."""

    name: str
    failures: tuple[type[Exception], ...]
    """What the back end raises when it cannot write."""

    def has(self, trial: LoggedTrial) -> bool:
        """Whether an earlier search logged the trial to its end."""

    def begin(self, trial: LoggedTrial) -> None:
        """Begin the trial's run; what a killed search left of it is replaced."""

    def reading(self, trial: LoggedTrial, step: int, values: Mapping[str, float]) -> None:
        """Log values at a step of the distillation."""

    def end(self, trial: LoggedTrial, state: str, values: Mapping[str, float], picture: bytes | None) -> None:
        """End the trial's run with its last values and the PNG of its set."""

    def finish(self, finding: Finding) -> None:
        """Log what the search found."""

    def close(self) -> None:
        """Let go of what is open; a run that has not ended is as it stands."""


def scalar_points(finding: Finding) -> list[tuple[str, int, float]]:
    """The curve as values against IPC: name, IPC, value."""
    return [
        (f"curve/{row['arm']}/{name}", int(row["ipc"]), float(row[name]))
        for row in finding.curve
        for name in ("accuracy_fraction", "gap")
        if row.get(name) is not None
    ]


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table; empty for none."""
    if not rows:
        return ""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(["" if v is None else f"{v}" for v in row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
