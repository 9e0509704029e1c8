"""The table of what training costs, and the sentence that says after how many trainings a set has paid for itself."""

from __future__ import annotations

from typing import Any

from raydistill.core.expert_fields import ExpertFields
from raydistill.methods import method_configs
from raydistill.report.use_words import in_percent, of_the_set, source_words, std
from raydistill.report.words import duration, percent
from raydistill.uses.values import CostArm, CostResult, Paid

GIGA = 1e9
OF_WHAT = {"making": "making it", "search": "all trials of the search"}
MEASURED = {"macs": "multiply-adds", "seconds": "seconds"}


def cost_rows(result: CostResult) -> list[dict[str, Any]]:
    """For scripts a row per source and schedule; what a set has paid for stands in its own rows."""
    paid = {f"{one.what}_{one.measure}": one for one in result.paid}
    return [
        {
            "source": arm.source,
            "ipc": arm.ipc,
            "images": arm.images,
            "steps": rung.steps,
            "is_cheapest_that_reaches": place == arm.chosen,
            "accuracy_fraction_mean": rung.accuracy_fraction,
            "accuracy_fraction_std": std(rung.accuracy_fractions),
            "networks": len(rung.accuracy_fractions),
            "macs": rung.macs,
            "seconds": rung.seconds,
            "target_accuracy_fraction": result.target_accuracy_fraction,
            "train_macs_saved": result.saved("macs") if arm is result.arms[1] else None,
            "train_seconds_saved": result.saved("seconds") if arm is result.arms[1] else None,
            **{f"{name}_cost": one.cost if arm is result.arms[1] else None for name, one in paid.items()},
            **{f"trainings_until_{name}_paid": one.trainings if arm is result.arms[1] else None for name, one in paid.items()},
        }
        for arm in result.arms
        for place, rung in enumerate(arm.rungs)
    ]


def cost_people(result: CostResult) -> list[dict[str, str]]:
    """A row per source, with its shortest schedule that is good enough."""
    return [_row(arm) for arm in result.arms]


def _row(arm: CostArm) -> dict[str, str]:
    first = {"learned from": source_words(arm.source), "images": str(arm.images)}
    rung = arm.cheapest
    if rung is None:
        best = max(arm.rungs, key=lambda one: one.accuracy_fraction)
        reached = f"not reached; {best.steps} steps give {in_percent(best.accuracy_fractions)}"
        return {**first, "steps that are enough": "none", "accuracy (%)": reached, "billion multiply-adds": "", "seconds": ""}
    return {
        **first,
        "steps that are enough": str(rung.steps),
        "accuracy (%)": in_percent(rung.accuracy_fractions),
        "billion multiply-adds": f"{rung.macs / GIGA:.3g}",
        "seconds": f"{rung.seconds:.3g}",
    }


def cost_head(result: CostResult) -> str:
    """What the table shows, and what the set has paid for."""
    rungs = result.arms[0].rungs
    return (
        f"Training cost: the shortest of {len(rungs)} schedules ({rungs[0].steps} to {rungs[-1].steps} steps) that reaches "
        f"{percent(result.target_accuracy_fraction)}, the full data's accuracy less the margin, by the mean of "
        f"{result.networks} networks; {of_the_set(result.about)}. {paid_sentence(result)}"
    )


def paid_sentence(result: CostResult) -> str:
    """After how many trainings the set has paid for itself, in words."""
    missing = [name for name, arm in (("full data", result.arms[0]), ("set", result.arms[1])) if arm.cheapest is None]
    if missing:
        return f"No schedule on the {' or the '.join(missing)} reaches the target, so nothing is saved or paid for."
    other = result.other_device
    left_out = f" Seconds are left out: the set was made on another device than these networks ({other})." if other else ""
    if not result.paid:
        return f"What the set cost is not recorded.{left_out}"
    method = method_configs().get(result.about.method)
    without = ", without its experts" if method is not None and issubclass(method, ExpertFields) else ""
    return "Paid for: " + "; ".join(_paid_words(one, without) for one in result.paid) + f".{left_out}"


def _paid_words(one: Paid, without: str) -> str:
    cost = f"{one.cost / GIGA:.3g} billion multiply-adds" if one.measure == "macs" else duration(one.cost)
    after = "never, because a training on it saves none" if one.trainings is None else f"after {one.trainings:,} trainings"
    return f"{OF_WHAT[one.what]}{without}, counted in {MEASURED[one.measure]} ({cost}), {after}"
