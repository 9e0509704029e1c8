"""The finding of a race, with confirmations written by hand.

The baseline has two networks with 98 and 96 of 100 images right; the margin is 0.02. The train part has 797 images in 51,805
bytes, so 65 bytes each.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import pytest
from made_up import KNOWN, baseline, record

from raydistill.core.lossless import GapInterval
from raydistill.methods import METHODS
from raydistill.search.finding import Evidence, confidence_of, control_at, controls_in_question, factors_drawn, find, gather
from raydistill.search.verdict import Confirmed, Floor, conclude
from raydistill.spaces.parse import parse_space
from raydistill.spaces.space import SearchSpace
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.record import TrialRecord
from raydistill.storage.result import ControlAt, Finding, SearchResult
from raydistill.trial.confirm import Confirmation

TEXT = """
study: race
dataset: {name: digits}
network: {name: convnet, depth: 2, width: 4}
methods:
  - {name: datadam, lr_images: {low: 0.1, high: 10.0, log: true}}
  - {name: dm, batch_real: 64}
controls:
  - random
  - {name: k_means, space: {choices: [pixels, features]}}
ipc: {low: 1, high: 60}
goal: {margin_fraction: 0.02}
budget: {trials: 20}
"""
CONTROLS = {name: method.control.settings for name, method in METHODS.items() if method.control is not None}
SPACE = parse_space(TEXT, dataclasses.replace(KNOWN, controls=CONTROLS))
ALONE = SPACE.without_controls()
DATA = "d" * 64


def trial(number: int, arm: str, ipc: int, gap: float = 0.01, **changes: Any) -> TrialRecord:
    values = {"ipc": ipc, "method.lr_images": 1.0, "method.space": "features"}
    chosen = SPACE.arm(arm)
    config = chosen.trial(ask_number=number, values={path: values[path] for path in chosen.ranges}, data_sha256=DATA)
    return record(config, gap, **changes)


def interval(gap: float, half: float = 0.01, confidence: float = 0.975, networks: int = 4) -> GapInterval:
    return GapInterval(gap=gap, lower=gap - half, upper=gap + half, confidence=confidence, networks=networks, images=100)


def confirmed(of: TrialRecord, gap: float) -> Confirmed:
    """With a half-width of one point."""
    found = interval(gap)
    return Confirmed(of, Confirmation(interval=found, is_lossless=found.upper <= 0.02, accuracy_fractions=(0.97, 0.95)))


def drawn(arm: str, ipc: int, gap: float) -> ControlAt:
    chosen = SPACE.arm(arm)
    values = {"ipc": ipc, **({"method.space": "pixels"} if arm == "k_means" else {})}
    return control_at(chosen.trial(ask_number=0, values=values, data_sha256=DATA), interval(gap), 0.02)


def found(
    distilled: Sequence[Confirmed] = (),
    controls: Sequence[Confirmed] = (),
    controls_at: Sequence[ControlAt] = (),
    space: SearchSpace = SPACE,
    **changes: Any,
) -> Finding:
    return find(space, baseline(**changes), Evidence(distilled, controls, controls_at))


DATADAM_10 = confirmed(trial(0, "datadam", 10), 0.005)
DM_15_FAILS = confirmed(trial(1, "dm", 15), 0.015)
RANDOM_40 = confirmed(trial(2, "random", 40), 0.008)
RANDOM_10 = confirmed(trial(3, "random", 10), 0.009)
BOTH_LOSSY = [drawn("random", 10, 0.06), drawn("k_means", 10, 0.035)]


def test_needed_is_a_lossless_distilled_set_and_every_control_lossy_at_its_ipc() -> None:
    finding = found([DATADAM_10], [RANDOM_40], BOTH_LOSSY)
    assert (finding.claim, finding.decides, finding.confidence) == ("needed", None, 0.95)
    assert finding.distilled is not None
    assert finding.control is not None
    assert (finding.distilled.arm, finding.distilled.ipc, finding.control.arm, finding.control.ipc) == (
        "datadam",
        10,
        "random",
        40,
    )
    assert finding.sentence == (
        "distilling is needed: datadam at IPC 10 (gap at most 1.50 points) is lossless, k_means, random are all lossy "
        "at IPC 10, and "
        "the smallest control shown to be lossless is random at IPC 40 (gap at most 1.80 points)"
    )
    assert found([DATADAM_10], [], BOTH_LOSSY).sentence.endswith("and no control is shown to be lossless at any IPC tried")


def test_the_lossy_controls_must_be_all_and_at_that_ipc() -> None:
    assert found([DATADAM_10], [], BOTH_LOSSY[:1]).claim == "not_shown"
    assert found([DATADAM_10], [], [drawn("random", 5, 0.06), drawn("k_means", 5, 0.06)]).claim == "not_shown"
    assert found([DATADAM_10], [], []).claim == "not_shown"


def test_a_smaller_ipc_that_was_tested_first_is_no_evidence_of_its_own() -> None:
    below = [drawn("random", 5, 0.09), drawn("k_means", 5, 0.06)]
    finding = found([DATADAM_10], [], [*below, *BOTH_LOSSY])
    assert finding.claim == "needed"
    assert "k_means, random are all lossy at IPC 10," in finding.sentence
    failed = found([DATADAM_10], [], [below[0], drawn("k_means", 5, 0.025)])
    assert failed.claim == "not_shown"
    assert failed.sentence.endswith(
        "and k_means at IPC 5, the IPC of a smaller candidate, which is tested first, is not shown to be lossy"
    )


@pytest.mark.parametrize(("ipc", "claim"), [(9, "not_needed"), (10, "not_needed"), (11, "not_shown")])
def test_not_needed_is_a_lossless_control_of_that_ipc_or_a_smaller_one(ipc: int, claim: str) -> None:
    assert found([DATADAM_10], [confirmed(trial(3, "random", ipc), 0.009)]).claim == claim


def test_not_needed_says_which_control_it_is() -> None:
    assert found([DATADAM_10], [RANDOM_10]).sentence == (
        "distilling is not needed: random at IPC 10 (gap at most 1.90 points) is lossless, and it learns nothing; the smallest "
        "distilled set shown to be lossless is datadam at IPC 10 (gap at most 1.50 points)"
    )
    alone = found([DM_15_FAILS], [RANDOM_40])
    assert alone.claim == "not_needed"
    assert alone.sentence.endswith("and it learns nothing; no distilled set is shown to be lossless")


def test_not_shown_says_which_control_stands_in_the_way_and_what_would_decide() -> None:
    """A mean gap of 2.5 points with a lower bound of 1.5, the margin 2: twice as close takes four times as many."""
    finding = found([DATADAM_10], [RANDOM_40], [BOTH_LOSSY[0], drawn("k_means", 10, 0.025)])
    assert finding.claim == "not_shown"
    assert finding.sentence == (
        "whether distilling is needed is not shown: datadam at IPC 10 (gap at most 1.50 points) is lossless, the "
        "smallest control "
        "shown to be lossless is random at IPC 40 (gap at most 1.80 points), and k_means at IPC 10 is not shown to be lossy"
    )
    assert finding.decides is not None
    assert finding.decides == (
        "its mean gap over 4 draws is 2.50 points, above the margin: if it stays, about 16 confirm_networks and 8 "
        "baseline_networks with 400 confirm images would show it lossy"
    )
    close = found([DATADAM_10], [], [drawn("random", 10, 0.0201)])
    assert close.decides == (
        "its mean gap over 4 draws is 2.01 points, so close to the margin that no practical number of draws and images decides "
        "it at that IPC"
    )
    within = found([DATADAM_10], [], [drawn("random", 10, 0.018)])
    assert within.decides == (
        "its mean gap over 4 draws is 1.80 points, within the margin: more trials of random may show it lossless at that IPC"
    )


def test_without_a_lossless_set_the_failed_candidate_says_what_would_decide() -> None:
    none = found()
    assert (none.claim, none.decides) == ("not_shown", "more trials, or a larger highest IPC")
    assert none.sentence == "whether distilling is needed is not shown: no set, distilled or not, is shown to be lossless"
    failed = found([DM_15_FAILS])
    assert failed.decides is not None
    assert failed.decides.startswith("if its measured gap of 1.50 points stays, about ")


def test_a_baseline_that_allows_no_verdict_is_named() -> None:
    finding = found(is_admissible=False)
    assert finding.claim == "not_shown"
    assert finding.sentence.endswith("the baseline allows no verdict")
    assert finding.decides is not None
    assert finding.decides.startswith("doubling the recipe's steps changes the full-data accuracy by +1.00 points")


def test_without_controls_nothing_is_said_of_them() -> None:
    finding = found([DATADAM_10], space=ALONE)
    assert (finding.claim, finding.decides, finding.control, finding.ratio_images) == ("no_controls", None, None, None)
    assert finding.sentence == (
        "the smallest lossless set is datadam at IPC 10 (gap at most 1.50 points); the study has no controls, so "
        "whether real images "
        "would do as well is not known"
    )
    assert found(space=ALONE).sentence.startswith("no set is shown to be lossless; the study has no controls")


def test_ratios_are_those_of_images_of_stored_bytes_and_of_bytes_with_one_per_pixel() -> None:
    """IPC 40 to 10: 400 to 100 images, 4,000 to 1,000 bytes as the records say, 400 x 65 to 100 x 65 bytes."""
    finding = found([DATADAM_10], [RANDOM_40], BOTH_LOSSY)
    assert (finding.ratio_images, finding.ratio_float_bytes, finding.ratio_byte_bytes) == (4.0, 4.0, 4.0)
    assert finding.distilled is not None
    assert (finding.distilled.images, finding.distilled.float_bytes, finding.distilled.byte_bytes) == (100, 1000, 6500)
    heavier = confirmed(trial(0, "datadam", 10, set_bytes=2000), 0.005)
    assert found([heavier], [RANDOM_40], BOTH_LOSSY).ratio_float_bytes == 2.0
    assert found([DATADAM_10], [], BOTH_LOSSY).ratio_images is None


def test_soft_labels_stay_floats_in_the_bytes_of_pixels() -> None:
    """100 images of 10 classes: 64 bytes of pixels and 10 x 4 of labels each."""
    finding = found([confirmed(trial(0, "datadam", 10, label_kind="soft"), 0.005)])
    assert finding.distilled is not None
    assert finding.distilled.byte_bytes == 100 * (64 + 40)


def test_a_factor_is_said_and_only_its_soft_labels_cost_bytes() -> None:
    """100 stored images of 10 classes: 64 bytes of pixels each, and with soft labels 4 rows of 10 x 4 bytes."""
    of_factor_1 = trial(0, "datadam", 10)
    config = {**of_factor_1.config, "method": {**of_factor_1.config["method"], "factor": 2}}
    hard, soft = (
        found([confirmed(of_factor_1.model_copy(update={"config": config, "label_kind": kind}), 0.005)]).distilled
        for kind in ("hard", "soft")
    )
    assert hard is not None
    assert soft is not None
    assert (hard.factor, hard.byte_bytes, soft.byte_bytes) == (2, 100 * 65, 100 * (64 + 4 * 40))
    packed = found([confirmed(of_factor_1.model_copy(update={"config": config}), 0.005)], [RANDOM_40], BOTH_LOSSY)
    assert packed.sentence.startswith("distilling is needed: datadam at IPC 10, factor 2 (gap at most 1.50 points) is lossless")
    kept = json.loads(packed.model_dump_json())
    assert (kept["distilled"]["factor"], "factor" in kept["control"]) == (2, False)
    assert Finding.model_validate(kept) == packed


def test_a_control_is_drawn_anew_with_its_best_factor_although_1_is_left_out() -> None:
    text = TEXT.replace("  - random\n", "  - {name: random, factor: {choices: [1, 2]}}\n").replace("high: 60", "high: 19")
    packs = parse_space(text, dataclasses.replace(KNOWN, controls=CONTROLS))
    arm = packs.arm("random")
    at = {f: arm.trial(ask_number=f, values={"ipc": 9, "method.factor": f}, data_sha256=DATA) for f in (1, 2)}

    def asked(*records: TrialRecord) -> int:
        return next(c.factor for c in controls_in_question(packs, records, 12, DATA) if c.arm == "random")

    assert asked() == 1
    assert asked(record(at[1], 0.02), record(at[2], 0.03)) == 1
    assert asked(record(at[1], 0.03), record(at[2], 0.02)) == 2


def test_a_control_that_may_have_several_factors_is_drawn_with_each_the_best_first() -> None:
    text = TEXT.replace("  - random\n", "  - {name: random, factor: {choices: [1, 2, 3]}}\n").replace("high: 60", "high: 8")
    packs = parse_space(text, dataclasses.replace(KNOWN, controls=CONTROLS))
    read = packs.arm("random").trial(ask_number=0, values={"ipc": 8, "method.factor": 2}, data_sha256=DATA)
    configs = controls_in_question(packs, [record(read, 0.02)], 8, DATA)
    assert [(config.arm, config.factor) for config in configs] == [("random", 2), ("k_means", 1), ("random", 1), ("random", 3)]
    assert [factors_drawn(arm) for arm in packs.controls] == [(1, 2, 3), (1,)]


def test_a_control_with_a_range_of_factors_is_drawn_with_each() -> None:
    text = TEXT.replace("  - random\n", "  - {name: random, factor: {low: 1, high: 3}}\n").replace("high: 60", "high: 8")
    packs = parse_space(text, dataclasses.replace(KNOWN, controls=CONTROLS))
    drawn_with = [config.factor for config in controls_in_question(packs, [], 8, DATA) if config.arm == "random"]
    assert sorted(drawn_with) == [1, 2, 3]
    assert factors_drawn(packs.arm("random")) == (1, 2, 3)


def test_one_factor_of_a_control_that_is_not_lossy_withholds_the_claim_and_is_named() -> None:
    packed = drawn("random", 10, 0.025).model_copy(update={"factor": 2})
    finding = found([DATADAM_10], [], [*BOTH_LOSSY, packed])
    assert finding.claim == "not_shown"
    assert finding.sentence.endswith("and random at IPC 10, factor 2 is not shown to be lossy")


def test_a_finding_is_read_back_from_the_result() -> None:
    finding = found([DATADAM_10], [RANDOM_40], BOTH_LOSSY)
    assert Finding.model_validate(json.loads(finding.model_dump_json())) == finding


def concluded(distilled: Sequence[Confirmed], controls: Sequence[Confirmed]) -> SearchResult:
    records = [c.record for c in (*distilled, *controls)]
    return conclude(SPACE, baseline(), records, distilled, "hard", Floor(0.03, 0.02, 0.04, 0.9), controls=controls)


def test_the_winner_is_the_smaller_of_both_sides_and_the_control_where_they_tie() -> None:
    assert concluded([DATADAM_10], [RANDOM_40]).method == "datadam"
    tied = concluded([DATADAM_10], [RANDOM_10])
    assert (tied.method, tied.winner_trial_id, tied.smallest_lossless_ipc) == ("random", RANDOM_10.record.trial_id, 10)
    assert (tied.confirmed_candidates, tied.verdict) == (2, "lossless")
    assert concluded([DM_15_FAILS], [RANDOM_40]).method == "random"


class Asked:
    """Stands for the confirm images: gaps by arm and IPC, and what was asked of them in which order."""

    def __init__(self, gaps: dict[tuple[str, int], float]) -> None:
        self.gaps = gaps
        self.order: list[tuple[str, int, float]] = []

    def confirm(self, of: TrialRecord, confidence: float) -> Confirmed:
        self.order.append((of.arm, of.ipc, confidence))
        return confirmed(of, self.gaps[of.arm, of.ipc])

    def draw(self, config: TrialConfig[Any], confidence: float) -> ControlAt:
        self.order.append((config.arm, config.ipc, confidence))
        return drawn(config.arm, config.ipc, self.gaps[config.arm, config.ipc])

    def gather(self, methods: Sequence[TrialRecord], controls: Sequence[TrialRecord]) -> Evidence:
        records = [*methods, *controls]
        return gather(SPACE, records, methods, controls, data_sha256=DATA, confirm=self.confirm, draw=self.draw)


METHODS_DOWN = [trial(0, "datadam", 20), trial(1, "dm", 10), trial(2, "datadam", 5)]
LOSSY = {(arm, ipc): 0.06 for arm in ("random", "k_means") for ipc in (5, 10, 20)}


def test_controls_are_drawn_from_the_smallest_candidates_ipc_up_to_that_of_the_winner() -> None:
    """IPC 20 and 10 are lossless and 5 is not: the draws begin at 5, whose place in the order no confirm image chose."""
    asked = Asked({**LOSSY, ("datadam", 20): 0.005, ("dm", 10): 0.005, ("datadam", 5): 0.03})
    evidence = asked.gather(METHODS_DOWN, [])
    assert [(arm, ipc) for arm, ipc, _ in asked.order] == [
        ("datadam", 20),
        ("dm", 10),
        ("datadam", 5),
        ("random", 5),
        ("k_means", 5),
        ("random", 10),
        ("k_means", 10),
    ]
    assert {confidence for *_, confidence in asked.order[:3]} == {0.975}
    assert {confidence for *_, confidence in asked.order[3:]} == {0.9875}
    assert find(SPACE, baseline(), evidence).claim == "needed"


def test_a_control_that_is_not_lossy_ends_the_draws() -> None:
    asked = Asked({**LOSSY, ("datadam", 20): 0.005, ("dm", 10): 0.005, ("datadam", 5): 0.03, ("random", 5): 0.025})
    evidence = asked.gather(METHODS_DOWN, [])
    assert [(c.arm, c.ipc, c.is_lossy) for c in evidence.controls_at] == [("random", 5, False)]
    assert find(SPACE, baseline(), evidence).claim == "not_shown"


def test_nothing_is_drawn_where_the_draws_decide_nothing() -> None:
    """No distilled set is lossless; or a control of the same IPC is, at its own share of the confidence."""
    none = Asked({("datadam", 20): 0.03})
    assert none.gather(METHODS_DOWN, []).controls_at == []
    assert none.order == [("datadam", 20, 0.975)]
    tied = Asked({("datadam", 20): 0.005, ("dm", 10): 0.03, ("random", 20): 0.005})
    assert tied.gather(METHODS_DOWN, [trial(3, "random", 20)]).controls_at == []
    assert tied.order[-1] == ("random", 20, 0.9875)


def test_the_shares_of_the_claims_add_up_and_a_study_without_controls_has_the_whole() -> None:
    shares = [1 - confidence_of(SPACE, claim) for claim in ("distilled", "control", "lossy")]  # type: ignore[arg-type]
    assert shares == pytest.approx([0.025, 0.0125, 0.0125])
    assert confidence_of(ALONE, "distilled") == 0.95


def test_the_controls_in_question_have_their_best_settings_and_the_likeliest_comes_first() -> None:
    """b = gap * sqrt(IPC): random has 0.02 * 3 and 0.04 * 2, k-means 0.01 * 4; both are asked for at IPC 12."""
    records = [trial(0, "random", 9, 0.02), trial(1, "random", 4, 0.04), trial(2, "k_means", 16, 0.01), trial(3, "dm", 4, 0.001)]
    configs = controls_in_question(SPACE, records, 12, DATA)
    assert [(config.arm, config.ipc) for config in configs] == [("k_means", 12), ("random", 12)]
    assert configs[0].method.space == "features"
    assert [config.arm for config in controls_in_question(SPACE, records[:2], 12, DATA)] == ["random", "k_means"]
    assert controls_in_question(SPACE, records[:2], 12, DATA)[1].method.space == "pixels"


def test_a_fixed_ipc_does_not_keep_a_control_from_another() -> None:
    fixed = parse_space(TEXT.replace("{low: 1, high: 60}", "7"), dataclasses.replace(KNOWN, controls=CONTROLS))
    assert {config.ipc for config in controls_in_question(fixed, [], 7, DATA)} == {7}


def test_a_control_is_lossy_above_the_margin_and_not_at_it() -> None:
    config = SPACE.arm("random").trial(ask_number=0, values={"ipc": 3}, data_sha256=DATA)
    assert not control_at(config, interval(0.03, 0.01), 0.02).is_lossy
    assert control_at(config, interval(0.031, 0.01), 0.02).is_lossy
