"""The result of a search and the finding of a race, as frozen, versioned values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from raydistill.spaces.messages import arm_and_size
from raydistill.spaces.sections import Config, GrownConfig
from raydistill.storage.layout import RESULT_FILE
from raydistill.storage.record import TrialRecord
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored


class GapBounds(Config):
    """A gap with its one-sided bounds, as fractions: the result of `lossless.gap_interval` in a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, from_attributes=True, use_attribute_docstrings=True)

    gap: float
    lower: float
    upper: float
    confidence: float
    """One-sided, of each bound."""
    networks: int
    images: int


class Smallest(GrownConfig):
    """The smallest set of one side of a race, the methods or the controls, that is shown to be lossless."""

    LATER: ClassVar[tuple[str, ...]] = ("factor",)
    arm: str
    trial_id: str
    ipc: int
    gap_interval: GapBounds
    """Its gap on the confirm images, at the side's share of the confidence."""
    images: int
    """Stored ones."""
    float_bytes: int
    """Bytes of the set as stored, in float32."""
    byte_bytes: int
    """Bytes of the set with one byte per pixel and channel, as the data set itself is published; soft labels stay float32."""
    factor: int = 1
    """Side of the square of smaller images in each stored one; left out where a stored image is one image."""

    @property
    def arm_and_size(self) -> str:
        """The arm with the number of its images, for people."""
        return arm_and_size(self.arm, self.ipc, self.factor)


class ControlAt(GrownConfig):
    """New draws of a control, each with a new network, at the IPC of the smallest lossless distilled set or of a smaller one."""

    LATER: ClassVar[tuple[str, ...]] = ("factor",)
    arm: str
    ipc: int
    gap_interval: GapBounds
    """Mean gap over draws and networks, on the confirm images; `networks` counts both, because each network has its own draw."""
    is_lossy: bool
    """Whether the gap's lower bound is above the margin."""
    factor: int = 1
    """As in `Smallest`; always left out by versions that drew each control with one factor."""

    @property
    def arm_and_size(self) -> str:
        """As in `Smallest`."""
        return arm_and_size(self.arm, self.ipc, self.factor)


Claim = Literal["needed", "not_needed", "not_shown", "no_controls"]


class Finding(Config):
    """What a race says: does the smallest set have to be distilled?"""

    claim: Claim
    """needed: a distilled set is shown lossless and every control of its IPC lossy. not_needed: a control of that IPC or a
    smaller one is shown lossless. not_shown: neither. no_controls: the study has none."""
    sentence: str
    """The claim in one sentence, with IPCs and bounds."""
    decides: str | None
    """What would decide a claim that is not shown."""
    distilled: Smallest | None
    control: Smallest | None
    controls_at: tuple[ControlAt, ...] = Field(default=(), strict=False)
    """From the smallest candidate's IPC up to that of the smallest lossless distilled set, at each IPC in the order of their
    readings, with other factors than the best at the end; the first that is not shown lossy ends the list: distilling is then
    not shown needed."""
    ratio_images: float | None
    """Images of the smallest lossless control over those of the smallest lossless distilled set; null without both."""
    ratio_float_bytes: float | None
    """The same in bytes as stored; `ratio_byte_bytes` is with one byte per pixel and channel."""
    ratio_byte_bytes: float | None
    confidence: float
    """With at least this probability nothing in the finding is wrong: neither of the two sets is lossy, and, if the claim is
    needed, no control is lossless there."""

    def __repr__(self) -> str:
        """The sentence; `model_dump` has everything."""
        return f"Finding({self.claim}: {self.sentence})"

    __str__ = __repr__


class SearchResult(GrownConfig):
    """The result of a search: `result.json`. The verdict is about the confirm images, never about the test split."""

    LATER: ClassVar[tuple[str, ...]] = ("metric", "earlier_looks")
    record_version: Literal[1] = 1
    study: str
    dataset: str
    method: str
    """The winner's arm, its method's name where it has no label; without a winner every method of the study."""
    label_kind: Literal["hard", "soft"]
    verdict: Literal["lossless", "not_reached", "inconclusive"]
    reason: str
    """Why this is the verdict, in one sentence, with gaps in points."""
    split: Literal["confirm"] = "confirm"
    finding: Finding | None = None
    """Whether the smallest set has to be distilled; null in results of older versions."""
    smallest_lossless_ipc: int | None
    """Of any arm; a control of the same IPC comes before a distilled set."""
    winner_trial_id: str | None
    largest_lossy_ipc: int | None
    """Largest IPC below the winner's that is shown to lose, tested from the smallest up: even the best trial's lower bound is
    above the margin; null if there is none."""
    largest_lossy_trials: int | None
    """Finished trials at that IPC."""
    largest_ipc_tried: int | None
    closest_gap: float | None
    """Smallest gap of a finished trial, on the select images."""
    floor_gap: float | None = None
    """If the verdict is not_reached: the gap at which the curve of gap against IPC, fitted to the trials, levels off."""
    floor_gap_low: float | None = None
    """Lower end of its two-sided 90 % interval; `floor_gap_high` is the upper end."""
    floor_gap_high: float | None = None
    margin_fraction: float
    metric: Literal["accuracy", "balanced_accuracy"] = "accuracy"
    """What margin, gaps and accuracies are of; left out where it is accuracy."""
    confidence: float
    gap_interval: GapBounds | None
    """The winner's gap on the confirm images."""
    confirmed_candidates: int
    """Candidates evaluated on the confirm images, from the largest IPC down until one is not lossless. Because the order is
    fixed, the probability of an error holds for all of them together."""
    earlier_looks: int = 0
    """How often the same confirm images were looked at before, when fewer trials had ended: the confidence does not cover that.
    Left out where they were not."""
    baseline_accuracy_fraction: tuple[float, ...] = Field(strict=False)
    """Accuracy of each full-data network on the select images, one per seed."""
    baseline_admissible: bool
    """Whether doubling the recipe's steps changes the baseline by less than a quarter of the margin, and the baseline is above
    chance by more than the margin."""
    trials: dict[str, int]
    """Trials by state."""
    compression_images: float | None
    """Number of train images divided by the number of images in the winner's set."""
    compression_bytes: float | None
    """Bytes of the train split divided by the bytes of the winner's set."""
    seconds: float
    """Seconds of distilling and evaluating, over all trials."""

    @property
    def has_looked(self) -> bool:
        """Whether confirm images were looked at for it."""
        return self.confirmed_candidates > 0 or (self.finding is not None and len(self.finding.controls_at) > 0)

    @property
    def ended_trials(self) -> int:
        """Trials that ended; one that crashed runs again."""
        return sum(count for state, count in self.trials.items() if state != "crashed")

    def is_of(self, records: Iterable[TrialRecord]) -> bool:
        """Whether no trial has ended since: a search that is extended keeps the result of its shorter self until its new verdict.

        Args:
            records: of the study's trials.
        """
        return sum(record.state != "crashed" for record in records) <= self.ended_trials

    @property
    def in_short(self) -> str:
        """The verdict in a few words."""
        verdict = self.verdict.replace("_", " ")
        if self.smallest_lossless_ipc is not None:
            return f"{verdict} at IPC {self.smallest_lossless_ipc} ({self.method})"
        return verdict if self.largest_ipc_tried is None else f"{verdict} up to IPC {self.largest_ipc_tried}"

    def __repr__(self) -> str:
        """The result in a line; `model_dump` has everything."""
        return f"SearchResult({self.study}: {self.in_short}; {sum(self.trials.values())} trials)"

    __str__ = __repr__


def read_result(study: Store) -> SearchResult | None:
    """The result of the search, or None if the search has not ended.

    Raises:
        StoreError: the file is damaged.
    """
    return read_stored(study, RESULT_FILE, SearchResult, "run the search again, which writes it again")
