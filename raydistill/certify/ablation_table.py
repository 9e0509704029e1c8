"""An ablation as a frozen, versioned value, and as a table for people."""

from __future__ import annotations

import shlex
from typing import Any, Literal

from raydistill.report.words import percent, points
from raydistill.spaces.sections import Config
from raydistill.storage.data_root import DataRoot
from raydistill.storage.result import GapBounds

CONFIDENCE = 0.95
"""Of the two-sided intervals."""
START = "everything (the set it starts from)"
HARD = "soft labels (and the learned rate)"
"""The final set of the whole method, read with each image's own class as its label, at the recipe's rate."""


class Read(Config):
    """Which images each network gets right, packed bits in hex."""

    select: tuple[str, ...]
    confirm: tuple[str, ...]


class Outcome(Config):
    """One draw of one variant."""

    end: Read | None
    """Null where the distillation diverged."""
    start: Read | None
    """Of the set before the first step."""
    hard: Read | None
    """Of the final set with each image's own class as its label, at the recipe's rate; null where its labels are hard already."""
    error: str | None


class AblationRow(Config):
    """One term turned off; effects are the whole method's accuracy minus that without the term, as fractions."""

    term: str
    fields: dict[str, Any]
    """What was set to turn it off."""
    draws: int
    """Draws that ended both with the term and without it."""
    diverged: int
    select_accuracy: float | None
    """Without the term; mean over draws and networks. Null where fewer than two draws ended."""
    confirm_accuracy: float | None
    select_effect: GapBounds | None
    """Positive where the term helps; `confidence` is that of each bound, so both together hold at 95 %."""
    confirm_effect: GapBounds | None


class Ablation(Config):
    """What `raydistill ablate` finds. Written to `ablation.json`."""

    record_version: Literal[1] = 1
    study: str
    trial_id: str
    method: str
    ipc: int
    draws: int
    networks: int
    """Behind each draw."""
    select_accuracy: float
    """Of the whole method."""
    confirm_accuracy: float
    rows: tuple[AblationRow, ...]
    unused: tuple[str, ...]
    """Terms that the found settings do not use."""
    device: str
    code_sha256: str
    commit: str | None = None
    """Of that code; null outside a checkout."""
    versions: dict[str, str]

    def __repr__(self) -> str:
        """The ablation in a line; `model_dump` has everything."""
        effects = [f"{row.term} {'-' if row.confirm_effect is None else points(row.confirm_effect.gap)}" for row in self.rows]
        said = ", ".join(effects) or "no term in use"
        return f"Ablation({self.study}: {self.method} at IPC {self.ipc}; effects on confirm images: {said}; {self.draws} draws)"

    __str__ = __repr__


def render_ablation(ablation: Ablation, study: str, data_root: DataRoot = None) -> str:
    """The ablation as one Markdown table with its reading.

    Args:
        ablation: what it shows.
        study: path of the study's folder.
        data_root: folder or URI of the data files, which the command that runs it again needs; None is the default folder.
    """
    lines = [
        f"# Ablation: study {ablation.study}, trial {ablation.trial_id}, {ablation.method} at {ablation.ipc} images per class",
        "",
        f"Each term turned off in turn, {ablation.draws} draws in pairs with the whole method, {ablation.networks} networks "
        "behind each. *Effect*: accuracy of the whole method minus that without the term, in points; where it is positive, the "
        f"term helps. {100 * CONFIDENCE:g} % interval over draws and images.",
        "",
        "| turned off | fields | draws (diverged) | select accuracy | effect | interval | confirm accuracy | effect | interval |",
        "|---|---|---|---|---|---|---|---|---|",
        f"| nothing | | {ablation.draws} | {percent(ablation.select_accuracy)} | | | {percent(ablation.confirm_accuracy)} | | |",
        *(_row(row) for row in ablation.rows),
    ]
    if any(row.term == HARD for row in ablation.rows):
        lines += [
            "",
            f"*{HARD}*: the sets of the whole method, read with each image's own class as its label at the recipe's rate; "
            "nothing is distilled again. Augmentation has no row: the experts are trained with it, so without it the method "
            "would match other experts, and the effect would mix both.",
        ]
    if ablation.unused:
        lines += ["", f"Not in use at the found settings, so there is nothing to turn off: {', '.join(ablation.unused)}."]
    code = f"code `{ablation.code_sha256}`" + ("" if ablation.commit is None else f", commit `{ablation.commit}`")
    counts = ["--draws", str(ablation.draws), "--networks", str(ablation.networks)]
    root = [] if data_root is None else ["--data-root", str(data_root)]
    command = shlex.join(["raydistill", "ablate", study, "--trial", ablation.trial_id, *counts, *root])
    lines += ["", f"Run again with `{command}`; {code}, torch {ablation.versions.get('torch')}, {ablation.device}."]
    return "\n".join(lines) + "\n"


def _row(row: AblationRow) -> str:
    fields = ", ".join(f"{name}={value}" for name, value in row.fields.items())
    parts = [(row.select_accuracy, row.select_effect), (row.confirm_accuracy, row.confirm_effect)]
    cells = [cell for accuracy, effect in parts for cell in _cells(accuracy, effect)]
    return f"| {row.term} | {fields} | {row.draws} ({row.diverged}) | {' | '.join(cells)} |"


def _cells(accuracy: float | None, effect: GapBounds | None) -> tuple[str, str, str]:
    if accuracy is None or effect is None:
        return "", "", ""
    bounds = f"{100 * effect.lower:+.2f} to {100 * effect.upper:+.2f}"
    return percent(accuracy), f"{100 * effect.gap:+.2f}", bounds
