"""From the evidence of a certificate to its findings: arithmetic and wording, no files, no training."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from raydistill.certify.certificate import (
    Arm,
    ArmFinding,
    Compression,
    Evidence,
    Findings,
    SmallerFinding,
    SmallerIpc,
    Verdict,
)
from raydistill.certify.full_data import full_data_of
from raydistill.certify.headline import write_headline
from raydistill.core.lossless import gap_interval, is_admissible
from raydistill.core.metrics import accuracy_of
from raydistill.core.paired_gap import OF_CLASSES, PROCEDURE, paired_gap
from raydistill.spaces.sections import GoalConfig
from raydistill.storage.record import unpack_bits, unpack_labels
from raydistill.storage.result import GapBounds

FLOPS_PER_MAC = 6
"""Of training: a multiply and an add forward, and twice that backward."""


def find(evidence: Evidence) -> Findings:
    """What the evidence shows."""
    goal = evidence.trial.goal
    full_data = full_data_of(evidence)
    admissible = is_admissible(full_data.moves_by, goal.margin_fraction, full_data.accuracy, full_data.chance)
    arms = tuple(_arm(evidence, arm, goal, is_decidable=admissible or evidence.rules < 3) for arm in evidence.arms)
    of_set = arms[1]
    assert of_set.gap is not None
    assert of_set.verdict is not None
    smaller = _all_smaller(evidence, goal)
    findings = Findings(
        verdict=of_set.verdict if admissible else "inconclusive",
        headline=(),
        ipc=evidence.trial.ipc,
        margin_fraction=goal.margin_fraction,
        confidence=goal.confidence,
        gap=of_set.gap,
        procedure=PROCEDURE if goal.metric == "accuracy" else f"{PROCEDURE}; {OF_CLASSES}",
        arms=arms,
        lossless_controls=sum(arm.verdict == "lossless" for arm in arms[2:]),
        doubled_moves_by=full_data.moves_by,
        is_admissible=admissible,
        smaller=smaller,
        largest_lossy_ipc=max((row.ipc for row in _shown_lossy(smaller, goal, evidence.rules)), default=None),
        compression=_compression(evidence),
    )
    return findings.model_copy(update={"headline": write_headline(evidence, findings)})


def _arm(evidence: Evidence, arm: Arm, goal: GoalConfig, *, is_decidable: bool) -> ArmFinding:
    full, certified, correct = (_correct(evidence, a) for a in (evidence.arms[0], evidence.arms[1], arm))
    classes = unpack_labels(evidence.test_labels)
    accuracies = accuracy_of(correct, classes)
    is_full, is_control = arm.name == "full", arm.name not in ("full", "set")
    gap = None if is_full else GapBounds.model_validate(paired_gap(full, correct, goal.confidence, classes))
    above = GapBounds.model_validate(paired_gap(certified, correct, goal.confidence, classes)) if is_control else None
    return ArmFinding(
        name=arm.name,
        draw=arm.draw,
        accuracy_fraction=float(accuracies.mean()),
        networks_std=float(accuracies.std(ddof=1)),
        gap=gap,
        verdict=None if gap is None else _verdict(gap, goal.margin_fraction) if is_decidable else "inconclusive",
        set_above=above,
    )


def _correct(evidence: Evidence, arm: Arm) -> NDArray[np.bool_]:
    return unpack_bits(arm.correct, evidence.test_images)


def _verdict(gap: GapBounds, margin_fraction: float) -> Verdict:
    if gap.upper <= margin_fraction:
        return "lossless"
    return "not_lossless" if gap.lower > margin_fraction else "inconclusive"


def _all_smaller(evidence: Evidence, goal: GoalConfig) -> tuple[SmallerFinding, ...]:
    rows = tuple(_smaller(evidence, row, goal) for row in evidence.smaller)
    if evidence.rules < 4:
        return rows
    shown = {row.ipc for row in _shown_lossy(rows, goal, evidence.rules)}
    return tuple(row.model_copy(update={"is_lossy": row.ipc in shown}) for row in rows)


def _smaller(evidence: Evidence, row: SmallerIpc, goal: GoalConfig) -> SmallerFinding:
    found = evidence.admissibility
    finished = row.trials.get("finished", 0)
    gap = None
    # One network does not show how networks vary, so it proves nothing.
    if len(row.best_correct) >= 2:
        doubled = evidence.recipe.full_steps > evidence.recipe.steps
        full = unpack_bits(found.at_doubled if doubled else found.at_recipe, found.select_images)
        confidence = evidence.trial.evaluation.look_confidence(goal.confidence)
        interval = gap_interval(
            full, unpack_bits(row.best_correct, found.select_images), confidence, unpack_labels(evidence.select_labels)
        )
        gap = GapBounds.model_validate(interval)
    is_lossy = gap is not None and finished >= goal.lossy_trials and gap.lower > goal.margin_fraction
    stopped = sum(row.trials.values()) - finished
    return SmallerFinding(ipc=row.ipc, finished=finished, stopped=stopped, gap=gap, is_lossy=is_lossy)


def _shown_lossy(smaller: Sequence[SmallerFinding], goal: GoalConfig, rules: int) -> list[SmallerFinding]:
    """By the rule of `search.verdict.largest_lossy`, so that certificate and search agree: from the smallest IPC up."""
    tested = [row for row in reversed(smaller) if row.gap is not None and row.finished >= goal.lossy_trials]
    if rules == 1:
        return [row for row in tested if row.is_lossy]
    return list(itertools.takewhile(lambda row: row.is_lossy, tested))


def _compression(evidence: Evidence) -> Compression:
    sizes, recipe = evidence.sizes, evidence.recipe
    per_image = FLOPS_PER_MAC * sizes.forward_macs
    full_flops = per_image * recipe.full_steps * min(recipe.batch, sizes.train_images)
    seen = sizes.set_images * evidence.config["method"].get("factor", 1) ** 2
    set_flops = per_image * recipe.steps * min(recipe.batch, seen)
    return Compression(
        images=sizes.train_images / sizes.set_images,
        bytes=sizes.train_bytes / sizes.set_bytes,
        set_bits_per_class=8 * sizes.set_bytes / sizes.classes,
        full_bits_per_class=8 * sizes.train_bytes / sizes.classes,
        full_train_flops=full_flops,
        set_train_flops=set_flops,
        train_flops=full_flops / set_flops,
        epoch_flops=sizes.train_images / seen,
    )
