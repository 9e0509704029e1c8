"""The finding of a race: does the smallest lossless set have to be distilled? Nothing is trained here.

Three claims share the error probability 1 - confidence (`GoalConfig.share_of`), so that with a probability of at least
`confidence` all that the finding says is right, however many methods, controls and IPCs the race has:

1. *The distilled set of IPC k is lossless* (half). Candidates of all methods are one fixed sequence (`ladder`).
2. *The control of IPC k2 is lossless* (a quarter). The candidates of all controls are another fixed sequence.
3. *Every control is lossy at k* (a quarter). A fixed sequence over the IPCs of the candidates of 1, from the smallest up to k. At
   each IPC an intersection-union test: each control's new draws are tested at the whole share, and the sequence goes on only if
   all of them are lossy. "Every control is lossy" is false only if some control is lossless there, and then that control's own
   test succeeded by chance, which has at most the share's probability.

*Distilling is needed* is 1 and 3; *not needed* is 2 with k2 at most k, or without a distilled set. Candidates, their order, and
the settings of the controls follow from the select images. Union bound over the three: at most 1 - confidence.

k itself follows from the confirm images. That is why 3 is a sequence and no single test at k: if the confirm images may choose
the IPC of the test, each IPC that they may choose adds a probability of a false claim. The sequence has its order in advance, and
its first IPC at which some control is lossless is one IPC, whatever k turns out to be. See `docs/statistics.md`.

Sources: Berger, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 1982 (intersection-union tests);
`ladder` for fixed sequences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from raydistill.search.deciding import what_would_decide
from raydistill.search.verdict import Confirmed, not_admissible, winner_of
from raydistill.spaces.messages import listed
from raydistill.spaces.sections import GoalConfig, with_left_out
from raydistill.spaces.space import Arm, SearchSpace
from raydistill.spaces.trial import TrialConfig
from raydistill.spaces.units import points
from raydistill.storage.baseline import Baseline
from raydistill.storage.record import TrialRecord
from raydistill.storage.result import Claim, ControlAt, Finding, GapBounds, Smallest

if TYPE_CHECKING:
    from raydistill.core.lossless import GapInterval

FACTOR = "method.factor"
MOST_MORE = 50
"""Times as many draws and images as there are, beyond which a number is no advice."""


class Evidence(NamedTuple):
    """What the confirm images say, in the order in which it was asked."""

    distilled: Sequence[Confirmed] = ()
    """Candidates of the methods; only the last may fail."""
    controls: Sequence[Confirmed] = ()
    """Candidates of the controls; only the last may fail."""
    controls_at: Sequence[ControlAt] = ()
    """New draws of the controls, IPC by IPC, at most up to that of the smallest lossless distilled set; only the last may not be
    lossy. Empty where they decide nothing."""


def confidence_of(space: SearchSpace, claim: Literal["distilled", "control", "lossy"]) -> float:
    """Confidence of the bounds behind a claim; without controls there is only one claim, and it has the whole."""
    return space.goal.share_of(claim) if space.controls else space.goal.confidence


def gather(
    space: SearchSpace,
    records: Sequence[TrialRecord],
    candidates: Sequence[TrialRecord],
    of_controls: Sequence[TrialRecord],
    *,
    data_sha256: str,
    confirm: Callable[[TrialRecord, float], Confirmed],
    draw: Callable[[TrialConfig[Any], float], ControlAt],
) -> Evidence:
    """Ask the confirm images in the order that the error probability requires, and no further than a test that fails.

    Args:
        space: the search space.
        records: all trials of the study.
        candidates: those of the methods, in the order of `ladder`.
        of_controls: those of the controls.
        data_sha256: hash of the data set with its split.
        confirm: tests a candidate at a confidence.
        draw: draws a control anew and tests it at a confidence.
    """
    distilled = _until_one_fails(candidates, confirm, confidence_of(space, "distilled"))
    controls = _until_one_fails(of_controls, confirm, confidence_of(space, "control"))
    best, rival = winner_of(distilled), winner_of(controls)
    controls_at: list[ControlAt] = []
    if best is not None and (rival is None or rival.record.ipc > best.record.ipc):
        up_to_best = sorted(record.ipc for record in candidates if record.ipc <= best.record.ipc)
        configs = [config for ipc in up_to_best for config in controls_in_question(space, records, ipc, data_sha256)]
        for config in configs:
            controls_at.append(draw(config, confidence_of(space, "lossy")))
            if not controls_at[-1].is_lossy:
                break
    return Evidence(distilled, controls, controls_at)


def find(space: SearchSpace, baseline: Baseline, evidence: Evidence) -> Finding:
    """The finding.

    Args:
        space: the search space.
        baseline: accuracy of networks trained on the full data.
        evidence: what the confirm images say; empty if the baseline is not admissible.
    """
    distilled, controls, controls_at = evidence
    goal = space.goal
    best = _smallest(distilled, baseline)
    rival = _smallest(controls, baseline)
    claim = _claim(space, best, rival, controls_at)
    sentence, decides = _words(claim, space, baseline, best, rival, distilled, controls_at)
    ratios = None if best is None or rival is None else _ratios(best, rival)
    return Finding(
        claim=claim,
        sentence=sentence,
        decides=decides,
        distilled=best,
        control=rival,
        controls_at=tuple(controls_at),
        ratio_images=ratios and ratios[0],
        ratio_float_bytes=ratios and ratios[1],
        ratio_byte_bytes=ratios and ratios[2],
        confidence=goal.confidence,
    )


def controls_in_question(
    space: SearchSpace, records: Sequence[TrialRecord], ipc: int, data_sha256: str
) -> list[TrialConfig[Any]]:
    """The controls to draw anew at an IPC, each with its best settings so far; the likeliest to be lossless comes first.

    Both follow from readings on the select images. A control that may have several factors is drawn with each, the others after
    all the best: a race gives a control few trials, and one without a trial of the distilled set's factor would lose for that
    alone.
    """
    found = []
    for arm in space.controls:
        own = [r for r in records if r.arm == arm.label and r.gap is not None]
        # The smallest b of the law gap = b / sqrt(IPC): comparable between IPCs.
        best = min(own, key=lambda r: ((r.gap or 0.0) * math.sqrt(r.ipc), r.ask_number), default=None)
        template = arm.template["method"] if best is None else best.config["method"]
        template = with_left_out(arm.method_config, template)
        values = {path: ipc if path == "ipc" else template[path.removeprefix("method.")] for path in arm.ranges}
        expected = math.inf if best is None else (best.gap or 0.0) * math.sqrt(best.ipc)
        for one in _with_each_factor(arm, values):
            config = arm.trial(ask_number=0, values=one, data_sha256=data_sha256)
            found.append((one != values, expected, config.model_copy(update={"ipc": ipc})))
    return [config for _, _, config in sorted(found, key=lambda entry: entry[:2])]


def factors_drawn(arm: Arm) -> tuple[int, ...]:
    """The factors with which a control is drawn anew at an IPC."""
    allowed = arm.ranges.get(FACTOR)
    return (arm.template["method"].get("factor", 1),) if allowed is None else allowed.values


def _with_each_factor(arm: Arm, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The values of an arm's ranges as they are, then with the other factors that the arm allows."""
    others = [factor for factor in factors_drawn(arm) if factor != values[FACTOR]] if FACTOR in values else []
    return [dict(values), *({**values, FACTOR: factor} for factor in others)]


def control_at(config: TrialConfig[Any], interval: GapInterval, margin_fraction: float) -> ControlAt:
    """A control's draws as part of a finding."""
    return ControlAt(
        arm=config.arm,
        ipc=config.ipc,
        gap_interval=GapBounds.model_validate(interval),
        is_lossy=interval.lower > margin_fraction,
        factor=config.factor,
    )


def _until_one_fails(
    records: Sequence[TrialRecord], confirm: Callable[[TrialRecord, float], Confirmed], confidence: float
) -> list[Confirmed]:
    confirmed: list[Confirmed] = []
    for record in records:
        confirmed.append(confirm(record, confidence))
        if not confirmed[-1].confirmation.is_lossless:
            break
    return confirmed


def _smallest(confirmed: Sequence[Confirmed], baseline: Baseline) -> Smallest | None:
    winner = winner_of(confirmed)
    if winner is None:
        return None
    record = winner.record
    per_image = baseline.train_bytes // baseline.train_images
    # Soft labels have one float32 per class in place of the published label's byte, for each image that networks are trained on.
    tiles = record.factor**2
    labels = record.images * (4 * tiles * record.images // record.ipc - 1) if record.label_kind == "soft" else 0
    return Smallest(
        arm=record.arm,
        trial_id=record.trial_id,
        ipc=record.ipc,
        gap_interval=GapBounds.model_validate(winner.confirmation.interval),
        images=record.images,
        float_bytes=record.set_bytes,
        byte_bytes=record.images * per_image + labels,
        factor=record.factor,
    )


def _ratios(best: Smallest, rival: Smallest) -> tuple[float, float, float]:
    """Of the control to the distilled set: images, bytes as stored, bytes with one per pixel."""
    return rival.images / best.images, rival.float_bytes / best.float_bytes, rival.byte_bytes / best.byte_bytes


def _claim(space: SearchSpace, best: Smallest | None, rival: Smallest | None, controls_at: Sequence[ControlAt]) -> Claim:
    if not space.controls:
        return "no_controls"
    if rival is not None and (best is None or rival.ipc <= best.ipc):
        return "not_needed"
    if best is not None and all(c.is_lossy for c in controls_at):
        shown = {c.arm for c in controls_at if c.ipc == best.ipc}
        if shown == {arm.label for arm in space.controls}:
            return "needed"
    return "not_shown"


def _words(
    claim: Claim,
    space: SearchSpace,
    baseline: Baseline,
    best: Smallest | None,
    rival: Smallest | None,
    distilled: Sequence[Confirmed],
    controls_at: Sequence[ControlAt],
) -> tuple[str, str | None]:
    """The sentence, and what would decide a claim that is not shown."""
    goal = space.goal
    if claim == "no_controls":
        what = "no set is shown to be lossless" if best is None else f"the smallest lossless set is {_described(best)}"
        return f"{what}; the study has no controls, so whether real images would do as well is not known", None
    if claim == "not_needed":
        assert rival is not None
        other = (
            "no distilled set is shown to be lossless"
            if best is None
            else f"the smallest distilled set shown to be lossless is {_described(best)}"
        )
        return f"distilling is not needed: {_described(rival)} is lossless, and it learns nothing; {other}", None
    larger = (
        "no control is shown to be lossless at any IPC tried"
        if rival is None
        else f"the smallest control shown to be lossless is {_described(rival)}"
    )
    if claim == "needed":
        assert best is not None
        lossy = listed({c.arm for c in controls_at if c.ipc == best.ipc})
        all_lossy = f"{lossy} {'is' if len(space.controls) == 1 else 'are all'} lossy at IPC {best.ipc}"
        return f"distilling is needed: {_described(best)} is lossless, {all_lossy}, and {larger}", None
    unknown = "whether distilling is needed is not shown"
    if best is None:
        if not baseline.is_admissible:
            return f"{unknown}: the baseline allows no verdict", not_admissible(baseline, goal)
        decides = what_would_decide(distilled[-1].confirmation, baseline, goal.margin_fraction) if distilled else None
        return f"{unknown}: no set, distilled or not, is shown to be lossless", decides or "more trials, or a larger highest IPC"
    against = next((c for c in controls_at if not c.is_lossy), None)
    if against is None:
        return f"{unknown}: {_described(best)} is lossless, and {larger}", f"new draws of every control at IPC {best.ipc}"
    first = "" if against.ipc == best.ipc else ", the IPC of a smaller candidate, which is tested first,"
    return (
        f"{unknown}: {_described(best)} is lossless, {larger}, and {against.arm_and_size}{first} is not shown to be lossy",
        _what_would_decide(against, baseline, goal),
    )


def _described(smallest: Smallest) -> str:
    bound = points(smallest.gap_interval.upper)
    return f"{smallest.arm_and_size} (gap at most {bound})"


def _what_would_decide(control: ControlAt, baseline: Baseline, goal: GoalConfig) -> str:
    """How many draws, full-data networks and images would show a control to be lossy at the same mean gap.

    All three grow alike, so that the half-width shrinks with the root whatever part each has in it.
    """
    interval = control.gap_interval
    room = interval.gap - goal.margin_fraction
    gap = f"its mean gap over {interval.networks} draws is {points(interval.gap)}"
    if room <= 0:
        return f"{gap}, within the margin: more trials of {control.arm} may show it lossless at that IPC"
    more = ((interval.gap - interval.lower) / room) ** 2
    if more > MOST_MORE:
        return f"{gap}, so close to the margin that no practical number of draws and images decides it at that IPC"
    full = len(baseline.confirm_correct)
    draws, networks, images = (math.ceil(count * more) for count in (interval.networks, full, interval.images))
    return (
        f"{gap}, above the margin: if it stays, about {draws} confirm_networks and {networks} baseline_networks with {images} "
        "confirm images would show it lossy"
    )
