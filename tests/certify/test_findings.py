"""What follows from evidence: verdicts, controls, the lower side, savings, and the sentences that say so."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hand_certified import FULL, arm, certificate, earlier, evidence, opening, smaller
from made_up import correct
from pydantic import ValidationError

from raydistill.certify.certificate import Admissibility, content_sha256
from raydistill.certify.findings import find
from raydistill.certify.page import render_page
from raydistill.certify.web_page import certificate_page
from raydistill.core.synthetic import sha256
from raydistill.spaces.trial import trial_id_of
from raydistill.storage.record import pack_bits, pack_labels
from raydistill.storage.store import Store


@pytest.mark.parametrize(
    ("of_set", "verdict", "first"),
    [
        (FULL, "lossless", "LOSSLESS: 10 images per class"),
        ((196, 196, 196), "inconclusive", "INCONCLUSIVE: 10 images per class"),
        ((180, 180, 180), "not_lossless", "NOT LOSSLESS: 10 images per class"),
    ],
)
def test_the_bounds_decide_the_verdict(of_set: tuple[int, ...], verdict: str, first: str) -> None:
    """Margin 2 points, 200 images. None lost: at most 1 - 0.05^(1/200) = 1.49 points. Four lost: the gap is the margin.

    Twenty lost: 10 points, and Clopper and Pearson's lower bound of 20 in 200 is 6.7 points.
    """
    found = find(evidence(of_set))
    assert found.verdict == verdict
    assert found.headline[0].startswith(first)


def test_a_packed_set_is_certified_as_one() -> None:
    given = evidence()
    packed = given.model_copy(update={"config": {**given.config, "method": {**given.config["method"], "factor": 2}}})
    assert find(packed).headline[0].startswith("LOSSLESS: 10 images per class (stored; each holds 2 x 2 smaller ones, which")


def test_the_gap_and_its_bounds_are_those_of_the_pairs() -> None:
    """None of 200 lost: the gap is 0, its bounds those of Clopper and Pearson, nearly."""
    gap = find(evidence()).gap
    assert gap.gap == 0
    assert gap.upper == pytest.approx(1 - 0.05 ** (1 / 200), rel=2e-3)
    assert (gap.networks, gap.images, gap.confidence) == (3, 200, 0.95)


def test_a_control_that_is_lossless_too_is_said_in_the_second_sentence() -> None:
    lossy = (180, 180, 180)
    found = find(evidence(controls={"random": [FULL, lossy, FULL], "k_center": [lossy]}))
    assert found.lossless_controls == 2
    assert found.headline[1].startswith("A CONTROL IS LOSSLESS TOO: random, 2 of 3 draws at the same size")
    assert not any("k_center" in sentence for sentence in found.headline)


def test_a_control_is_lossless_by_itself_where_the_set_is_not() -> None:
    found = find(evidence((196, 196, 196), controls={"k_center": [FULL]}, smaller=(smaller(5, [98, 98], finished=1),)))
    assert found.verdict == "inconclusive"
    assert found.headline[1].startswith("A CONTROL IS LOSSLESS: k_center, 1 of 1 draws")
    assert found.headline[-1] == "Of the smaller sizes tried none is shown to lose."


def test_a_control_is_held_against_the_set() -> None:
    """The set gets 200 of 200 right, the control 180: 10 points above, in every pair."""
    control = find(evidence(controls={"random": [(180, 180, 180)]})).arms[2]
    assert control.accuracy_fraction == pytest.approx(0.9)
    assert control.set_above is not None
    assert control.set_above.gap == pytest.approx(0.1)
    assert control.set_above.lower > 0


def test_a_baseline_that_doubling_moves_proves_nothing() -> None:
    """From 97 to 98 of 100 select images is 1 point; a quarter of the margin is half a point."""
    moved = Admissibility(at_recipe=pack_bits(correct([97, 97])), at_doubled=pack_bits(correct([98, 98])), select_images=100)
    found = find(evidence(admissibility=moved))
    assert (found.verdict, found.is_admissible, found.doubled_moves_by) == ("inconclusive", False, pytest.approx(0.01))
    assert "so the full data is not trained to its end" in found.headline[0]
    assert {arm.verdict for arm in found.arms[1:]} == {"inconclusive"}
    assert (found.lossless_controls, [line for line in found.headline if "CONTROL" in line]) == (0, [])
    older = find(evidence(admissibility=moved).model_copy(update={"rules": 2}))
    assert older.arms[1].verdict == "lossless", "a certificate of an older version is checked by its own rules"
    fell = moved.model_copy(update={"at_recipe": moved.at_doubled, "at_doubled": moved.at_recipe})
    assert "move the full data by -1.00 points" in find(evidence(admissibility=fell)).headline[0]
    assert "trained to its end" not in find(evidence(admissibility=fell)).headline[0]


def test_a_page_does_not_call_full_data_undertrained_that_longer_training_makes_worse() -> None:
    """From 98 to 90 of 100 select images is -8 points; the pages of older certificates ask what they asked."""
    select, fell = pack_bits(correct([98, 98])), pack_bits(correct([90, 90]))
    moved = Admissibility(at_recipe=select, at_doubled=fell, select_images=100)
    page = render_page(certificate(admissibility=moved))
    question = "## Does the full data lose by longer training?"
    answer = "twice the recipe's steps move the full data's accuracy by -8.00 points"
    assert f"{question}\n\nYes: {answer}" in page
    older = render_page(certificate(admissibility=moved, rules=3))
    assert f"## Is the full data trained to its end?\n\nNo: {answer}" in older
    undertrained = moved.model_copy(update={"at_recipe": fell, "at_doubled": select})
    assert "## Is the full data trained to its end?\n\nNo: " in render_page(certificate(admissibility=undertrained))


def test_a_baseline_that_learned_nothing_proves_nothing() -> None:
    """98 of 100 select images, of which 97 are of one class: one answer for every image is within the margin of 2 points."""
    given = evidence()
    poor = given.model_copy(update={"admissibility": given.admissibility.model_copy(update={"chance_fraction": 0.97})})
    found = find(poor)
    assert (found.verdict, found.is_admissible, found.doubled_moves_by) == ("inconclusive", False, 0.0)
    assert found.headline[0].endswith(
        "; the full data reads 98.00 % on the select images, which is not above the 97.00 % of one answer for every image by "
        "more than 2.00 points, so a set from which nothing is learned would be lossless."
    )
    assert {arm.verdict for arm in found.arms[1:]} == {"inconclusive"}
    older = find(poor.model_copy(update={"rules": 3}))
    assert (older.verdict, older.is_admissible) == ("lossless", True), "a certificate of an older version has its own rules"


def test_the_page_says_how_far_the_full_data_is_above_chance() -> None:
    """A certificate that does not know keeps its sentence."""
    known = evidence().admissibility.model_copy(update={"chance_fraction": 0.1})
    says = "The full data reads 98.00 % there, and one answer for every image 10.00 %; more than the margin, 2.00 points, above"
    assert says in render_page(certificate(admissibility=known))
    assert "one answer" not in render_page(certificate())
    assert "one answer" not in render_page(certificate(admissibility=known, rules=3))


def test_the_lower_side_is_the_largest_smaller_ipc_at_which_nothing_reached_the_margin() -> None:
    """The baseline gets 98 of 100 select images right. At IPC 8 the best trial gets 96: not shown. At 5 and 3 it gets 80."""
    rows = (smaller(8, [96, 96], finished=3), smaller(5, [80, 80], finished=2, pruned=1), smaller(3, [80, 80], finished=1))
    found = find(evidence(smaller=rows))
    assert [row.is_lossy for row in found.smaller] == [False, True, True]
    assert found.largest_lossy_ipc == 5
    assert (found.smaller[1].finished, found.smaller[1].stopped) == (2, 1)
    assert found.headline[-1].startswith("At 5 images per class")
    assert "the best of 2 finished trials loses at least" in found.headline[-1]


def test_smaller_ipcs_are_tested_from_the_smallest_until_one_is_not_shown() -> None:
    """At IPC 3 the best trial gets 96, which is not shown to lose; so nothing is said of IPC 5, where it gets 80."""
    found = find(evidence(smaller=(smaller(5, [80, 80], finished=1), smaller(3, [96, 96], finished=1))))
    assert ([row.is_lossy for row in found.smaller], found.largest_lossy_ipc) == ([False, False], None)
    older = evidence(smaller=(smaller(5, [80, 80], finished=1), smaller(3, [96, 96], finished=1))).model_copy(update={"rules": 1})
    assert find(older).largest_lossy_ipc == 5, "a certificate of an older version is checked by its own rules"
    assert "rules" not in older.model_dump()
    untested = (smaller(5, [80, 80], finished=1), smaller(4, [10], finished=1), smaller(3, [80, 80], finished=1))
    assert find(evidence(smaller=untested)).largest_lossy_ipc == 5


@pytest.mark.parametrize("rules", [2, 3])
def test_a_row_of_an_older_certificate_is_lossy_by_itself_and_its_page_keeps_its_sentence(rules: int) -> None:
    rows = (smaller(5, [80, 80], finished=1), smaller(3, [96, 96], finished=1))
    older = certificate(smaller=rows, rules=rules)
    assert ([row.is_lossy for row in older.findings.smaller], older.findings.largest_lossy_ipc) == ([True, False], None)
    sentence = "What the search saw on its select images; *lossy* where even the best trial's lower bound is above the margin.\n"
    assert sentence in render_page(older)


def test_the_page_names_how_many_trials_a_smaller_size_needs_to_be_tested() -> None:
    """IPC 5 has one finished trial of the three that the goal wants, so it is not tested, although it loses 18 points."""
    given = evidence()
    config = {**given.config, "goal": {**given.config["goal"], "lossy_trials": 3}}
    page = render_page(certificate(config=config, trial_id=trial_id_of(config), smaller=(smaller(5, [80, 80], finished=1),)))
    assert "Sizes are tested from the smallest up, those with at least 3 finished trials read by two networks or more" in page
    assert page.partition("| 5 | 1 | 0 | 18.00 |")[2].splitlines()[0].endswith("| no |")


def test_one_network_shows_nothing_of_a_smaller_ipc() -> None:
    found = find(evidence(smaller=(smaller(5, [10], finished=1), smaller(4, [], pruned=2))))
    assert [(row.gap, row.is_lossy) for row in found.smaller] == [(None, False), (None, False)]
    assert found.headline[-1].startswith("Of the smaller sizes tried none is shown to lose")


def test_nothing_smaller_tried_is_said() -> None:
    assert find(evidence()).headline[-1] == "Nothing smaller was tried, so nothing is said of smaller sets."


def test_what_a_set_saves_by_hand() -> None:
    """800 images in 52,000 bytes against 100 in 26,000, ten classes, 1,000 multiply-accumulates an image.

    Full data: 2,000 steps of 64 images at 6,000 FLOPs = 7.68e8; the set: 1,000 steps of 64 = 3.84e8.
    """
    saved = find(evidence()).compression
    assert (saved.images, saved.bytes, saved.epoch_flops) == (8, 2, 8)
    assert (saved.set_bits_per_class, saved.full_bits_per_class) == (20_800, 41_600)
    assert (saved.full_train_flops, saved.set_train_flops, saved.train_flops) == (768_000_000, 384_000_000, 2)


def test_networks_see_every_tile_of_a_packed_set() -> None:
    """Stored images and bytes stay; a pass over the set is over four times as many, and a batch holds as many as its size."""
    given = evidence()
    packed = given.model_copy(update={"config": {**given.config, "method": {**given.config["method"], "factor": 2}}})
    plain, saved = find(given).compression, find(packed).compression
    assert (saved.images, saved.bytes, saved.epoch_flops) == (plain.images, plain.bytes, plain.epoch_flops / 4)
    batch, stored = given.recipe.batch, given.sizes.set_images
    assert saved.set_train_flops * min(batch, stored) == plain.set_train_flops * min(batch, 4 * stored)


def test_a_second_opening_is_said_with_what_the_first_one_found() -> None:
    found = find(evidence(number=2, earlier=(earlier(),)))
    assert found.headline[1].startswith("OPENING NUMBER 2 of the test split for this study (number 1 said inconclusive)")


def test_other_openings_of_the_same_data_are_counted() -> None:
    said = evidence()
    found = find(said.model_copy(update={"openings": (opening(), opening(), *said.openings)}))
    assert "had been opened 2 times besides in this store" in found.headline[1]


def test_a_set_of_other_code_is_said() -> None:
    assert "made by other code" in find(evidence(search_code_sha256="d" * 64)).headline[1]


def test_arms_out_of_order_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"arms begin with \['set', 'full'\], and must begin with full and set"):
        evidence(arms=(arm("set", FULL), arm("full", FULL)))


def test_the_page_says_it_to_an_outsider() -> None:
    made: dict[str, Any] = {"controls": {"random": [FULL]}, "smaller": (smaller(5, [80, 80], finished=2),)}
    page = render_page(certificate(**made))
    lines = page.splitlines()
    assert lines[0].startswith("# Certificate: study by-hand, trial ")
    assert lines[2].startswith("LOSSLESS: 10 images per class (digits, method datadam)")
    assert lines[4].startswith("A CONTROL IS LOSSLESS TOO: random, 1 of 1 draws")
    assert "| **the set** | 100.00 % | 0.00 | 0.00 | -1.48 | 1.48 | lossless |  |" in lines
    assert "| 5 | 2 | 0 | 18.00 |" in page
    assert "| bits per class | 41600 | 20800 | 2.00 |" in lines
    assert "Experts" not in page
    assert f"- Experts that it was made with `{'5' * 64}`" in render_page(certificate(experts_sha256="5" * 64, **made))
    assert "Test split opened 2026-11-24T20:00:00+00:00 by me on here: certificate 1 of study by-hand" in page


def test_the_page_names_balanced_accuracy_beside_its_numbers() -> None:
    """The pages of older certificates call it accuracy there."""
    given = evidence()
    config = {**given.config, "goal": {**given.config["goal"], "metric": "balanced_accuracy"}}
    classes = {"test_labels": pack_labels(np.arange(200) % 10), "select_labels": pack_labels(np.arange(100) % 10)}
    changes: dict[str, Any] = {"config": config, "trial_id": trial_id_of(config), **classes}
    page, older = render_page(certificate(**changes)), render_page(certificate(**changes, rules=3))
    assert "| trained on | balanced accuracy | std" in page
    assert "(hundredths of balanced accuracy)" in page
    assert "move the full data's balanced accuracy by 0.00 points" in page
    assert "| trained on | accuracy | std" in older
    web = certificate_page(Store("/study"), certificate(**changes), "/study/certificate.html")
    assert "points of balanced accuracy below the full data" in web


def test_the_page_names_the_commits_where_they_are_known() -> None:
    page = render_page(certificate(search_commit="abc", commit="abc-dirty"))
    assert "- Commit of the search `abc`, of this certificate `abc-dirty`\n" in page
    assert "- Commit of the search unknown, of this certificate `abc`\n" in render_page(certificate(commit="abc"))
    assert "Commit of" not in render_page(certificate())


def test_a_certificate_from_before_commits_and_races_keeps_its_hash() -> None:
    """Its evidence has none of these fields; a commit that is taken out of a later certificate is missed."""
    old, new = certificate(), certificate(commit="abc")
    document = json.loads(old.to_json())
    for field in ("search_commit", "commit", "race", "twins", "test_labels", "select_labels"):
        del document["evidence"][field]
    content = {name: document[name] for name in ("findings", "evidence")}
    assert old.content_sha256 == sha256(json.dumps(content, sort_keys=True).encode())
    assert content_sha256(new.findings, new.evidence.model_copy(update={"commit": None})) != new.content_sha256
