"""The winner's set under one name, from sets that are a few bytes here."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hand_made import HandMade
from resealed import content

from raydistill.core.synthetic import sha256
from raydistill.errors import StoreError
from raydistill.search.winner import name_winner
from raydistill.storage.result import SearchResult
from raydistill.storage.store import Store

NONE: dict[str, Any] = {"verdict": "inconclusive", "winner_trial_id": None, "smallest_lossless_ipc": None}


def trial(made: HandMade, ipc: int, data: bytes) -> str:
    trial_id = made.trial(ipc)
    made.study.write(f"trials/{trial_id}/images.safetensors", data)
    made.study.write(f"trials/{trial_id}/images.png", data + b" in colour")
    return trial_id


def won(made: HandMade, trial_id: str, ipc: int = 10) -> SearchResult:
    return made.result(winner_trial_id=trial_id, smallest_lossless_ipc=ipc)


def test_the_winners_files_are_copied_and_its_trial_is_named(by_hand: HandMade) -> None:
    trial_id = trial(by_hand, 10, b"a set")
    name_winner(by_hand.study, won(by_hand, trial_id))
    assert by_hand.study.read("winner/images.safetensors") == b"a set"
    assert by_hand.study.read("winner/images.png") == b"a set in colour"
    assert content(by_hand.study, "winner.json") == {
        "record_version": 1,
        "trial_id": trial_id,
        "ipc": 10,
        "images_sha256": sha256(b"a set"),
    }


def test_a_study_that_is_extended_gets_its_new_winner(by_hand: HandMade) -> None:
    name_winner(by_hand.study, won(by_hand, trial(by_hand, 10, b"first")))
    second = trial(by_hand, 8, b"second")
    for _ in range(2):
        name_winner(by_hand.study, won(by_hand, second, 8))
    assert by_hand.study.read("winner/images.safetensors") == b"second"
    assert by_hand.study.read_json("winner.json")["trial_id"] == second


def test_a_study_that_loses_its_winner_has_none(by_hand: HandMade) -> None:
    name_winner(by_hand.study, won(by_hand, trial(by_hand, 10, b"first")))
    name_winner(by_hand.study, by_hand.result(**NONE))
    assert not by_hand.study.exists("winner.json")
    assert by_hand.study.files("winner") == []
    name_winner(by_hand.study, by_hand.result(**NONE))


def test_a_search_that_is_killed_in_between_names_no_winner_of_other_files(
    by_hand: HandMade, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at the picture, when the set is the new one: what is named is gone. Run again, it is whole."""
    name_winner(by_hand.study, won(by_hand, trial(by_hand, 10, b"first")))
    second = won(by_hand, trial(by_hand, 8, b"second"), 8)
    write = Store.write

    def die_at_the_picture(self: Store, name: str, data: bytes | str) -> None:
        if name.endswith(".png"):
            raise KeyboardInterrupt
        write(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", die_at_the_picture)
        with pytest.raises(KeyboardInterrupt):
            name_winner(by_hand.study, second)
    assert not by_hand.study.exists("winner.json")
    name_winner(by_hand.study, second)
    assert by_hand.study.read("winner/images.png") == b"second in colour"
    assert json.loads(by_hand.study.read("winner.json"))["ipc"] == 8


def test_a_winner_without_a_picture_has_none_in_its_folder(by_hand: HandMade) -> None:
    name_winner(by_hand.study, won(by_hand, trial(by_hand, 10, b"first")))
    second = trial(by_hand, 8, b"second")
    by_hand.study.delete(f"trials/{second}/images.png")
    name_winner(by_hand.study, won(by_hand, second, 8))
    assert by_hand.study.files("winner") == ["images.safetensors"]


def test_a_winner_whose_set_is_missing_is_told(by_hand: HandMade) -> None:
    trial_id = by_hand.trial(10)
    with pytest.raises(StoreError, match=r"images.safetensors is missing, and the search found it the winner; restore it, or"):
        name_winner(by_hand.study, won(by_hand, trial_id))


def test_a_winner_is_named_in_a_remote_store(by_hand: HandMade) -> None:
    study = Store("memory://winner/by-hand")
    study.write("trials/0123456789ab/images.safetensors", b"a set")
    name_winner(study, by_hand.result())
    assert study.read("winner/images.safetensors") == b"a set"
    name_winner(study, by_hand.result(**NONE))
    assert (study.exists("winner.json"), study.files("winner")) == (False, [])
