"""Derives the verdict of a search from its records; nothing is trained here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from raydistill.core.lossless import GapInterval, gap_interval, is_above_chance, normal_quantile
from raydistill.search.deciding import what_would_decide
from raydistill.search.ladder import Rung, ladder
from raydistill.search.law import LawModel
from raydistill.spaces.sections import EvaluationConfig, GoalConfig
from raydistill.spaces.space import SearchSpace
from raydistill.spaces.units import percent, points
from raydistill.storage.baseline import Baseline
from raydistill.storage.record import State, TrialRecord, unpack_bits
from raydistill.storage.result import Finding, GapBounds, SearchResult

if TYPE_CHECKING:
    from raydistill.trial.confirm import Confirmation

Verdict = Literal["lossless", "not_reached", "inconclusive"]
FLOOR_CONFIDENCE = 0.9


class Confirmed(NamedTuple):
    """A candidate (a trial whose gap on the select images is within the margin) and its result on the confirm images."""

    record: TrialRecord
    confirmation: Confirmation


class Floor(NamedTuple):
    """The gap at which the curve of gap against IPC, fitted to the trials, levels off, with its confidence interval."""

    gap: float
    low: float
    """Lower end of the two-sided interval at `confidence`."""
    high: float
    confidence: float


class Lossy(NamedTuple):
    """An IPC at which even the best trial has a gap above the margin, and the number of finished trials at that IPC."""

    ipc: int
    trials: int


class SoFar(NamedTuple):
    """What the select images say before the confirmation: provisional, by the rules of the verdict."""

    candidate: TrialRecord | None
    """Smallest IPC whose reading is within the margin, and of its trials the one that would be confirmed."""
    closest: TrialRecord | None
    """Finished trial with the smallest gap."""
    lossy: Lossy | None
    """The `largest_lossy_ipc` of a verdict without a winner."""


def conclude(
    space: SearchSpace,
    baseline: Baseline,
    records: Sequence[TrialRecord],
    confirmed: Sequence[Confirmed],
    label_kind: Literal["hard", "soft"],
    floor: Floor,
    *,
    controls: Sequence[Confirmed] = (),
    finding: Finding | None = None,
) -> SearchResult:
    """The result of a search.

    Args:
        space: the search space.
        baseline: accuracy of networks trained on the full data.
        records: all trials of the study.
        confirmed: candidates of the methods in the order in which they were confirmed; the last lossless one wins.
        label_kind: whether the methods' sets have hard or soft labels.
        floor: gap at which the fitted curve levels off; part of the result if the margin was not reached.
        controls: confirmed candidates of the controls; the smaller of the two sides' sets wins, a control's at the same IPC.
        finding: what the race says.
    """
    winners = [won for side in (controls, confirmed) if (won := winner_of(side)) is not None]
    winner = min(winners, key=lambda won: won.record.ipc, default=None)
    won_by_control = winner is not None and winner in controls
    side = {arm.label for arm in space.arms if arm.is_control == won_by_control}
    finished = [r for r in records if r.gap is not None and r.arm in side]
    decisive = [winner] if winner is not None else confirmed or controls
    tested = {c.record.trial_id for c in decisive}
    of_side = {arm.label for arm in space.arms if arm.is_control == (not confirmed)}
    left_out = [r for r in records if r.arm in of_side and r.trial_id not in tested]
    verdict, reason = _verdict(space.goal, baseline, records, decisive, floor, left_out)
    is_short = verdict == "not_reached"
    lossy = largest_lossy(finished, baseline, space.goal, below=_lower_side(finished, winner, space.goal))
    counts = Counter(record.state for record in records)
    return SearchResult(
        study=space.study,
        dataset=space.shared["dataset"]["name"],
        method=", ".join(arm.label for arm in space.methods) if winner is None else winner.record.arm,
        label_kind=label_kind,
        verdict=verdict,
        reason=reason,
        finding=finding,
        smallest_lossless_ipc=winner.record.ipc if winner else None,
        winner_trial_id=winner.record.trial_id if winner else None,
        largest_lossy_ipc=lossy.ipc if lossy else None,
        largest_lossy_trials=lossy.trials if lossy else None,
        largest_ipc_tried=max((r.ipc for r in records), default=None),
        closest_gap=min((r.gap for r in records if r.gap is not None), default=None),
        floor_gap=floor.gap if is_short else None,
        floor_gap_low=floor.low if is_short else None,
        floor_gap_high=floor.high if is_short else None,
        margin_fraction=space.goal.margin_fraction,
        metric=space.goal.metric,
        confidence=space.goal.confidence,
        gap_interval=GapBounds.model_validate(winner.confirmation.interval) if winner else None,
        confirmed_candidates=len(confirmed) + len(controls),
        baseline_accuracy_fraction=baseline.accuracy_fractions,
        baseline_admissible=baseline.is_admissible,
        # The results of older versions have no `timed_out`, and one without such a trial stays as it was.
        trials={state: counts[state] for state in get_args(State) if counts[state] or state != "timed_out"},
        compression_images=baseline.train_images / winner.record.images if winner else None,
        compression_bytes=baseline.train_bytes / winner.record.set_bytes if winner else None,
        seconds=sum(r.cost.seconds for r in records if r.cost),
    )


def winner_of(confirmed: Sequence[Confirmed]) -> Confirmed | None:
    """The last candidate that is lossless: the smallest."""
    return next((c for c in reversed(confirmed) if c.confirmation.is_lossless), None)


def so_far(records: Sequence[TrialRecord], baseline: Baseline | None, goal: GoalConfig) -> SoFar:
    """What the verdict would say of trials that are not confirmed yet, by the same rules.

    Args:
        records: of the trials that ended.
        baseline: what their gap is taken to; without one nothing is shown lossy.
        goal: margin, confidence, and how many trials an IPC needs to be called lossy.
    """
    finished = {r.ask_number: r for r in records if r.gap is not None}
    rungs = ladder([Rung(r.ipc, r.gap or 0.0, r.ask_number) for r in finished.values()], goal.margin_fraction)
    lossy = None
    if baseline is not None:
        below = _lower_side(list(finished.values()), None, goal)
        lossy = largest_lossy(list(finished.values()), baseline, goal, below=below)
    return SoFar(
        candidate=finished[rungs[-1].number] if rungs else None,
        closest=min(finished.values(), key=lambda r: (r.gap, r.ipc), default=None),
        lossy=lossy,
    )


def largest_lossy(finished: Sequence[TrialRecord], baseline: Baseline, goal: GoalConfig, *, below: int | None) -> Lossy | None:
    """The largest IPC that is shown to be lossy: the lower confidence bound of its best trial's gap is above the margin.

    Tested is from the smallest IPC up, and the first that is not shown to be lossy ends it. So the confidence holds for what is
    said in the end, for any number of IPCs, as for the ladder of candidates. IPCs with too few trials are not tested.

    Args:
        finished: finished trials.
        baseline: the full-data accuracy from which the gap is measured.
        goal: margin, confidence, and the number of finished trials that an IPC needs.
        below: only smaller IPCs are considered; None considers all.
    """
    largest = None
    for ipc in sorted({r.ipc for r in finished if below is None or r.ipc < below}):
        here = [r for r in finished if r.ipc == ipc]
        best = min(here, key=lambda r: (r.gap, r.ask_number))
        # One network shows no variation between networks, so there is no confidence bound.
        if len(here) < goal.lossy_trials or len(best.select_correct) < 2:
            continue
        if select_interval(best, baseline).lower <= goal.margin_fraction:
            break
        largest = Lossy(ipc, len(here))
    return largest


def select_interval(record: TrialRecord, baseline: Baseline) -> GapInterval:
    """The gap of a finished trial of two networks or more on the select images, with the bounds that its looks leave."""
    evaluation = EvaluationConfig.model_validate(record.config["evaluation"])
    correct = unpack_bits(record.select_correct, baseline.select_images)
    confidence = evaluation.look_confidence(record.config["goal"]["confidence"])
    return gap_interval(baseline.select_correct, correct, confidence, baseline.select_classes)


def not_admissible_in_short(baseline: Baseline, margin_fraction: float) -> str:
    """Why this baseline allows no verdict, as half a sentence about the full data."""
    if not is_above_chance(baseline.accuracy_fraction, baseline.chance_fraction, margin_fraction):
        return "is not above chance by more than the margin"
    return "loses by longer training" if baseline.doubled_moves_by < 0 else "is not trained to its end"


def not_admissible(baseline: Baseline, goal: GoalConfig) -> str:
    """Why this baseline allows no verdict."""
    chance = baseline.chance_fraction
    if chance is not None and not is_above_chance(baseline.accuracy_fraction, chance, goal.margin_fraction):
        return (
            f"the full data reads {percent(baseline.accuracy_fraction)} and one answer for every image {percent(chance)}; it "
            f"must be above that by more than the margin ({points(goal.margin_fraction)}), because a set from which nothing is "
            "learned would be lossless: use a network or a recipe that learns these images, or a smaller margin"
        )
    if baseline.doubled_moves_by < 0:
        why, then = "what the steps do to the baseline hides what a set does", "fewer steps or more augmentation"
    else:
        why, then = "an undertrained baseline makes every set look lossless", "more steps"
    return (
        f"doubling the recipe's steps changes the full-data accuracy by {100 * baseline.doubled_moves_by:+.2f} points; it must "
        f"change by less than a quarter of the margin ({points(goal.margin_fraction / 4)}), because {why}: use a recipe with "
        f"{then}, or more baseline_networks if the change is noise"
    )


def _lower_side(finished: Sequence[TrialRecord], winner: Confirmed | None, goal: GoalConfig) -> int | None:
    """The IPC below which lossy IPCs are searched: the winner's, otherwise the smallest candidate's, otherwise no limit."""
    if winner is not None:
        return winner.record.ipc
    return min((r.ipc for r in finished if r.gap is not None and r.gap <= goal.margin_fraction), default=None)


def fitted_floor(law: LawModel) -> Floor:
    """The floor of a fitted law, with a two-sided interval.

    On 120 simulated problems of 24 trials the 90 % interval contained the true floor in 91 %, but only in 10 of the 15 problems
    whose floor lies above the margin: the prior pulls such a floor down. So "a larger IPC would not help" is reported late rather
    than too early.
    """
    mean, deviation = law.floor()
    half = normal_quantile((1 + FLOOR_CONFIDENCE) / 2) * deviation
    return Floor(mean, mean - half, mean + half, FLOOR_CONFIDENCE)


def _verdict(
    goal: GoalConfig,
    baseline: Baseline,
    records: Sequence[TrialRecord],
    confirmed: Sequence[Confirmed],
    floor: Floor,
    left_out: Sequence[TrialRecord],
) -> tuple[Verdict, str]:
    margin = goal.margin_fraction
    if not baseline.is_admissible:
        return "inconclusive", not_admissible(baseline, goal)
    winner = winner_of(confirmed)
    if winner is not None:
        interval = winner.confirmation.interval
        bound = f"at most {points(interval.upper)} at {100 * interval.confidence:g} % confidence"
        return "lossless", f"the winner's gap on the confirm images is {bound}, within the margin of {points(margin)}"
    if confirmed:
        interval, ipc = confirmed[-1].confirmation.interval, confirmed[-1].record.ipc
        candidate = f"the first candidate (IPC {ipc}) is not confirmed: its gap on the confirm images"
        bound = f"may be as large as {points(interval.upper)} ({100 * interval.confidence:g} % confidence bound)"
        decides = what_would_decide(confirmed[-1].confirmation, baseline, margin)
        return (
            "inconclusive",
            f"{candidate} {bound}, above the margin of {points(margin)}{_passed_over(left_out, ipc, margin)}; {decides}",
        )
    gaps = [(r.gap, r.ipc) for r in records if r.gap is not None]
    if gaps:
        gap, ipc = min(gaps)
        closest = f"no trial's gap is within the margin of {points(margin)}; the smallest is {points(gap)}, at IPC {ipc}"
        return "not_reached", f"{closest}; {_what_the_floor_says(floor, margin)}"
    counts = Counter(record.state for record in records)
    states = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(counts.items()))
    return "inconclusive", f"no trial finished ({states or 'none was run'})"


def _passed_over(left_out: Sequence[TrialRecord], ipc: int, margin: float) -> str:
    """How many larger sets within the margin were left out, because a smaller set has an equal or smaller gap; empty if none.

    Args:
        left_out: trials of the same side that were not tested.
        ipc: of the candidate that was tested first.
        margin: largest gap that counts as lossless.
    """
    larger = sum(r.gap is not None and r.gap <= margin and r.ipc > ipc for r in left_out)
    skipped = f"{larger} larger {'set' if larger == 1 else 'sets'} within the margin not tested"
    return f" ({skipped}, because a smaller set has an equal or smaller gap)" if larger else ""


def _what_the_floor_says(floor: Floor, margin: float) -> str:
    fitted = (
        f"the curve of gap against IPC fitted to the trials levels off at {points(floor.gap)} "
        f"({100 * floor.confidence:g} % interval {100 * floor.low:.2f} to {points(floor.high)})"
    )
    if floor.low > margin:
        return f"{fitted}, so a larger IPC would not help"
    return f"{fitted}, so a larger IPC may help"
