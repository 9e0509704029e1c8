"""From records to the verdict: pure reading, no training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from raydistill.baseline import Baseline
from raydistill.config import GoalConfig, SearchSpace
from raydistill.confirm import Confirmation
from raydistill.core.lossless import gap_interval
from raydistill.record import GapBounds, SearchResult, State, TrialRecord, unpack_bits

Verdict = Literal["lossless", "not_reached", "inconclusive"]


class Confirmed(NamedTuple):
    """A candidate and what the confirm images say of it."""

    record: TrialRecord
    confirmation: Confirmation


class Lossy(NamedTuple):
    """An IPC that was shown to lose, and how many finished trials speak for that."""

    ipc: int
    trials: int


def conclude(
    space: SearchSpace,
    baseline: Baseline,
    records: Sequence[TrialRecord],
    confirmed: Sequence[Confirmed],
    label_kind: Literal["hard", "soft"],
) -> SearchResult:
    """The result of a search.

    Args:
        space: what was searched.
        baseline: of the full data.
        records: of all trials.
        confirmed: candidates in the order in which they were confirmed; the last one won if it is lossless.
        label_kind: of the method's sets.
    """
    winner = confirmed[-1] if confirmed and confirmed[-1].confirmation.is_lossless else None
    finished = [r for r in records if r.gap is not None]
    verdict, reason = _verdict(space.goal, baseline, records, confirmed)
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
        f"twice the recipe's steps move the full-data accuracy by {baseline.doubled_moves_by:+.4f}, and a quarter of the margin "
        f"({goal.margin_fraction / 4:.4f}) is the most that is admissible: the recipe does not train to its end, and an "
        "undertrained baseline makes every set lossless; use a recipe with more steps, or more baseline_networks if that is noise"
    )


def _lower_side(finished: Sequence[TrialRecord], winner: Confirmed | None, goal: GoalConfig) -> int | None:
    """The IPC below which lossy ones are looked for: the winner's, else the smallest candidate's, else no limit."""
    if winner is not None:
        return winner.record.ipc
    return min((r.ipc for r in finished if r.gap is not None and r.gap <= goal.margin_fraction), default=None)


def _verdict(
    goal: GoalConfig, baseline: Baseline, records: Sequence[TrialRecord], confirmed: Sequence[Confirmed]
) -> tuple[Verdict, str]:
    margin = goal.margin_fraction
    if not baseline.is_admissible:
        return "inconclusive", not_admissible(baseline, goal)
    if confirmed and confirmed[-1].confirmation.is_lossless:
        upper = confirmed[-1].confirmation.interval.upper
        said = f"the winner's gap on the confirm images is at most {upper:.4f} with confidence {goal.confidence:g}"
        return "lossless", f"{said}, within the margin {margin:g}"
    if confirmed:
        closest = min(c.confirmation.interval.upper for c in confirmed)
        read = f"{_counted(len(confirmed), 'trial')} read as lossless on the select images"
        return "inconclusive", f"{read}; on the confirm images the gap is at most {closest:.4f}, above the margin {margin:g}"
    gaps = [(r.gap, r.ipc) for r in records if r.gap is not None]
    if gaps:
        gap, ipc = min(gaps)
        return "not_reached", f"no trial came within the margin {margin:g}; the closest gap was {gap:.4f} at IPC {ipc}"
    counts = Counter(record.state for record in records)
    states = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(counts.items()))
    return "inconclusive", f"no trial finished ({states or 'none was run'})"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
