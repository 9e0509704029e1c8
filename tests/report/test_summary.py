"""The end of a search, line by line."""

from __future__ import annotations

from datetime import UTC, datetime

import yaml
from hand_made import STORED, HandMade

from raydistill.report.status import read_status
from raydistill.report.status_words import status_lines
from raydistill.report.summary import distilled_summary, end_of_search


def lines_of(text: str) -> dict[str, str]:
    """Value by name; names and values stand two spaces or more apart."""
    return {name: value.strip() for name, _, value in (line.partition("  ") for line in text.splitlines())}


def test_a_lossless_end_tells_everything(by_hand: HandMade) -> None:
    trial_id = by_hand.trial(10)
    for name in ("winner.json", "winner/images.png"):
        by_hand.study.write(name, "")
    lines = lines_of(end_of_search(by_hand.study, by_hand.result(winner_trial_id=trial_id)))
    root = by_hand.study.root
    gap = "gap 1.00 points, at most 1.80 points with 95 % confidence on confirm images"
    assert lines == {
        "Baseline": "98.00 % (standard deviation 1.41 points over 2 networks), select images, 1000 steps",
        "Recipe": "default: SGD",
        "Margin": "2.00 points",
        "Verdict": "lossless: the bound is within the margin",
        "Smallest lossless IPC": f"10 (trial {trial_id}; {gap})",
        "Largest IPC shown to be lossy": "4 (the best of 3 trials at it)",
        "Compression": "train part over set: 8.0 in images, 2.0 in bytes",
        "Trials": "2 finished, 1 crashed; 1 min 40 s of trial time",
        "To be run again": "1 crashed; the same command runs it again",
        "Winner's set": f"{root}/winner/images.safetensors",
        "Winner's picture": f"{root}/winner/images.png",
        "Tables": f"{root}/tables/trials.md, {root}/tables/ipc.md (and as .csv, .tex)",
        "Result": f"{root}/result.json",
        "Optuna study": f"{root}/study.db",
    }


LOOKED = "the confirm images of this study were looked at once before, so the stated confidence does not cover this result"


def test_an_end_after_earlier_looks_says_that_the_confidence_does_not_cover_it(by_hand: HandMade) -> None:
    by_hand.study.write("search_space.yaml", yaml.safe_dump(STORED))
    result = by_hand.result(winner_trial_id=by_hand.trial(10), earlier_looks=1)
    assert lines_of(end_of_search(by_hand.study, result))["Looked at before"] == LOOKED
    assert lines_of(status_lines(read_status(by_hand.study), datetime.now(UTC)))["Looked at before"] == LOOKED
    twice = by_hand.result(winner_trial_id=result.winner_trial_id, earlier_looks=2)
    assert lines_of(end_of_search(by_hand.study, twice))["Looked at before"] == LOOKED.replace("once", "2 times")


def test_an_end_without_a_crashed_trial_has_nothing_to_run_again(by_hand: HandMade) -> None:
    assert "To be run again" not in lines_of(end_of_search(by_hand.study, by_hand.result(trials={"finished": 3, "crashed": 0})))


def test_trials_that_crashed_before_the_hours_were_over_are_run_again_with_more(by_hand: HandMade) -> None:
    """Five of six trials were asked, so the hours ended the search."""
    by_hand.study.write("search_space.yaml", yaml.safe_dump({**STORED, "budget": {"trials": 6, "hours": 1}}))
    lines = lines_of(end_of_search(by_hand.study, by_hand.result(trials={"finished": 3, "crashed": 2})))
    assert lines["To be run again"] == "2 crashed; the same command with more hours runs them again"


NOTHING = {"smallest_lossless_ipc": None, "winner_trial_id": None, "gap_interval": None, "largest_lossy_ipc": None}
NOTHING |= {"largest_lossy_trials": None, "compression_images": None, "compression_bytes": None}


def test_a_search_that_reached_nothing_names_how_far_it_came(by_hand: HandMade) -> None:
    lines = lines_of(end_of_search(by_hand.study, by_hand.result(**{**NOTHING, "verdict": "not_reached"})))
    assert lines["Smallest lossless IPC"] == "not reached up to IPC 60, closest gap 0.50 points"
    assert lines["Largest IPC shown to be lossy"] == "none"
    assert lines["Compression"] == "none, because no set was shown to be lossless"
    assert "Winner's set" not in lines


def test_a_set_that_is_larger_in_bytes_is_not_called_compressed(by_hand: HandMade) -> None:
    lines = lines_of(end_of_search(by_hand.study, by_hand.result(compression_bytes=0.5)))
    assert lines["Compression"].endswith("0.5 in bytes; a float32 pixel takes four times the bytes of a published one")


def test_an_inconclusive_search_says_that_none_was_confirmed(by_hand: HandMade) -> None:
    lines = lines_of(end_of_search(by_hand.study, by_hand.result(**{**NOTHING, "verdict": "inconclusive"})))
    assert lines["Smallest lossless IPC"] == "none confirmed up to IPC 60, closest gap 0.50 points"


def test_a_search_without_a_finished_trial_says_so(by_hand: HandMade) -> None:
    changes = {**NOTHING, "verdict": "inconclusive", "closest_gap": None, "largest_ipc_tried": None, "trials": {}}
    lines = lines_of(end_of_search(by_hand.study, by_hand.result(**changes)))
    assert lines["Smallest lossless IPC"] == "none confirmed, no trial finished"
    assert lines["Trials"] == "none; 1 min 40 s of trial time"


def test_one_distillation_is_told_beside_its_start() -> None:
    text = distilled_summary([0.97, 0.99], [0.94, 0.96], ["x/images.png"])
    assert lines_of(text) == {
        "Distilled set": "98.00 % (standard deviation 1.41 points over 2 networks), select images",
        "Starting set": "95.00 % (standard deviation 1.41 points over 2 networks)",
        "Gain": "3.00 points",
        "Written": "x/images.png",
    }
