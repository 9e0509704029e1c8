"""From records to the verdict: pure reading, no training."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from scipy import stats

from raydistill.core.lossless import gap_interval
from raydistill.search.ladder import Rung, ladder
from raydistill.search.law import LawModel
from raydistill.spaces.sections import GoalConfig
from raydistill.spaces.space import SearchSpace
from raydistill.spaces.units import points
from raydistill.storage.record import GapBounds, SearchResult, State, TrialRecord, unpack_bits
from raydistill.trial.baseline import Baseline
from raydistill.trial.confirm import Confirmation

Verdict = Literal["lossless", "not_reached", "inconclusive"]
FLOOR_CONFIDENCE = 0.9


class Confirmed(NamedTuple):
    """A candidate and what the confirm images say of it."""

    record: TrialRecord
    confirmation: Confirmation


class Floor(NamedTuple):
    """The gap that is left however many images there are, by the law fitted to the trials; with its interval."""

    gap: float
    low: float
    """Two-sided, at the stated confidence."""
    high: float
    confidence: float


class Lossy(NamedTuple):
    """An IPC that was shown to lose, and how many finished trials speak for that."""

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
) -> SearchResult:
    """The result of a search.

    Args:
        space: what was searched.
        baseline: of the full data.
        records: of all trials.
        confirmed: candidates in the order in which they were confirmed; the last that is lossless won.
        label_kind: of the method's sets.
        floor: of the law fitted to the trials; told where the margin was not reached.
    """
    winner = next((c for c in reversed(confirmed) if c.confirmation.is_lossless), None)
    finished = [r for r in records if r.gap is not None]
    verdict, reason = _verdict(space.goal, baseline, records, confirmed, floor)
    is_short = verdict == "not_reached"
    lossy = largest_lossy(finished, baseline, space.goal, below=_lower_side(finished, winner, space.goal))
    counts = Counter(record.state for record in records)
    return SearchResult(
        study=space.study,
        dataset=space.template["dataset"]["name"],
        method=space.template["method"]["name"],
        label_kind=label_kind,
        verdict=verdict,
        reason=reason,
        smallest_lossless_ipc=winner.record.ipc if winner else None,
        winner_trial_id=winner.record.trial_id if winner else None,
        largest_lossy_ipc=lossy.ipc if lossy else None,
        largest_lossy_trials=lossy.trials if lossy else None,
        largest_ipc_tried=max((r.ipc for r in records), default=None),
        closest_gap=min((r.gap for r in finished if r.gap is not None), default=None),
        floor_gap=floor.gap if is_short else None,
        floor_gap_low=floor.low if is_short else None,
        floor_gap_high=floor.high if is_short else None,
        margin_fraction=space.goal.margin_fraction,
        confidence=space.goal.confidence,
        gap_interval=GapBounds.model_validate(winner.confirmation.interval) if winner else None,
        confirmed_candidates=len(confirmed),
        baseline_accuracy_fraction=baseline.accuracy_fractions,
        baseline_admissible=baseline.is_admissible,
        trials={state: counts[state] for state in get_args(State)},
        compression_images=baseline.train_images / winner.record.images if winner else None,
        compression_bytes=baseline.train_bytes / winner.record.set_bytes if winner else None,
        seconds=sum(r.cost.distill_seconds + r.cost.evaluate_seconds for r in records if r.cost),
    )


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
    """The largest IPC below a limit at which even the best of enough trials is lossy with the stated confidence.

    Args:
        finished: finished trials.
        baseline: what their gap is taken to.
        goal: margin, confidence, and how many trials are enough.
        below: the limit; None for no limit.
    """
    for ipc in sorted({r.ipc for r in finished if below is None or r.ipc < below}, reverse=True):
        here = [r for r in finished if r.ipc == ipc]
        best = min(here, key=lambda r: (r.gap, r.ask_number))
        # One network says nothing of the networks' variation, so it proves nothing.
        if len(here) < goal.lossy_trials or len(best.select_correct) < 2:
            continue
        correct = unpack_bits(best.select_correct, baseline.select_images)
        if gap_interval(baseline.select_correct, correct, goal.confidence).lower > goal.margin_fraction:
            return Lossy(ipc, len(here))
    return None


def not_admissible(baseline: Baseline, goal: GoalConfig) -> str:
    """Why no verdict can be had from this baseline."""
    return (
        f"the full-data baseline is not trained to its end: twice the recipe's steps change its accuracy by "
        f"{100 * baseline.doubled_moves_by:+.2f} points, and less than a quarter of the margin "
        f"({points(goal.margin_fraction / 4)}) is allowed, because an undertrained baseline makes every set look lossless; use a "
        "recipe with more steps, or more baseline_networks if the change is noise"
    )


def _lower_side(finished: Sequence[TrialRecord], winner: Confirmed | None, goal: GoalConfig) -> int | None:
    """The IPC below which lossy ones are looked for: the winner's, else the smallest candidate's, else no limit."""
    if winner is not None:
        return winner.record.ipc
    return min((r.ipc for r in finished if r.gap is not None and r.gap <= goal.margin_fraction), default=None)


def fitted_floor(law: LawModel) -> Floor:
    """The floor of a fitted law, with a two-sided interval.

    On 120 made-up problems of 24 trials the 90 % interval held the true floor in 91 %, and in 10 of the 15 whose floor lies above
    the margin: what is believed beforehand draws such a floor down, so "would not do" is said late and not rashly.
    """
    mean, deviation = law.floor()
    half = float(stats.norm.ppf((1 + FLOOR_CONFIDENCE) / 2)) * deviation
    return Floor(mean, mean - half, mean + half, FLOOR_CONFIDENCE)


def _verdict(
    goal: GoalConfig, baseline: Baseline, records: Sequence[TrialRecord], confirmed: Sequence[Confirmed], floor: Floor
) -> tuple[Verdict, str]:
    margin = goal.margin_fraction
    if not baseline.is_admissible:
        return "inconclusive", not_admissible(baseline, goal)
    winner = next((c for c in reversed(confirmed) if c.confirmation.is_lossless), None)
    if winner is not None:
        upper = winner.confirmation.interval.upper
        said = f"the winner's gap on the confirm images is at most {points(upper)} with {100 * goal.confidence:g} % confidence"
        return "lossless", f"{said}, within the margin of {points(margin)}"
    if confirmed:
        upper, ipc = confirmed[-1].confirmation.interval.upper, confirmed[-1].record.ipc
        bound = f"has a gap of up to {points(upper)} on the confirm images, above the margin of {points(margin)}"
        decides = what_would_decide(confirmed[-1].confirmation, baseline, margin)
        return (
            "inconclusive",
            f"the first candidate to be confirmed (IPC {ipc}) {bound}{_passed_over(records, ipc, margin)}; {decides}",
        )
    gaps = [(r.gap, r.ipc) for r in records if r.gap is not None]
    if gaps:
        gap, ipc = min(gaps)
        closest = f"no trial came within the margin of {points(margin)}; the smallest gap was {points(gap)} at IPC {ipc}"
        return "not_reached", f"{closest}; {_what_the_floor_says(floor, margin)}"
    counts = Counter(record.state for record in records)
    states = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(counts.items()))
    return "inconclusive", f"no trial finished ({states or 'none was run'})"


def _passed_over(records: Sequence[TrialRecord], ipc: int, margin: float) -> str:
    """What the ladder left out above an IPC, each with a worse reading than a smaller set's; empty if nothing."""
    larger = sum(r.gap is not None and r.gap <= margin and r.ipc > ipc for r in records)
    if not larger:
        return ""
    sets = "1 larger set" if larger == 1 else f"{larger} larger sets"
    return f" ({sets} within the margin left out, with no smaller gap)"


def what_would_decide(confirmation: Confirmation, baseline: Baseline, margin: float) -> str:
    """How many networks on each side, or else how many confirm images, would bring the bound within the margin, at this gap."""
    interval = confirmation.interval
    room = margin - interval.gap
    if room <= 0:
        gap = points(interval.gap)
        return f"the gap itself is {gap}: run more trials or allow a larger IPC; more networks or images would not help"
    synthetic, full = confirmation.accuracy_fractions, baseline.confirm_correct.mean(axis=1)
    networks = len(synthetic)
    # In units of the half-width: what part of its square the networks make, and the images.
    by_networks = statistics.variance(synthetic) / networks + float(full.var(ddof=1)) / len(full)
    difference = stats.norm.ppf(interval.confidence) ** 2 * by_networks
    by_images = max(0.0, (interval.upper - interval.gap) ** 2 - difference)
    if by_images < room**2:
        wanted = math.ceil(networks * difference / (room**2 - by_images))
        if wanted > networks:
            return f"if the gap stays at {points(interval.gap)}, about {wanted} confirm and baseline networks would decide"
    wanted = math.ceil(interval.images * (interval.upper - interval.gap) ** 2 / room**2)
    return f"if the gap stays at {points(interval.gap)}, about {wanted} confirm images (now {interval.images}) would decide"


def _what_the_floor_says(floor: Floor, margin: float) -> str:
    fitted = (
        f"the law fitted to the trials predicts a gap of {points(floor.gap)} however large the IPC "
        f"({100 * floor.confidence:g} % interval {100 * floor.low:.2f} to {points(floor.high)})"
    )
    if floor.low > margin:
        return f"{fitted}, so a larger IPC would not help"
    return f"{fitted}, so a larger IPC may help"
