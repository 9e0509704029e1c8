"""Evidence of a certificate written by hand: networks that get the first so many of 200 test images right."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hand_made import trial_config
from made_up import correct

from raydistill.certify.arms import certificate_seeds
from raydistill.certify.certificate import (
    RULES,
    Admissibility,
    Arm,
    Certificate,
    Earlier,
    Evidence,
    Opening,
    RecipeFacts,
    Sizes,
    SmallerIpc,
    content_sha256,
    seal_of,
)
from raydistill.certify.evidence import opening_reason
from raydistill.certify.findings import find
from raydistill.storage.record import pack_bits

IMAGES = 200
FULL = (200, 200, 200)


def arm(name: str, right: Sequence[int], draw: int = 0) -> Arm:
    """An arm whose network r gets the first `right[r]` images right."""
    return Arm(
        name=name,
        draw=draw,
        label_kind="hard",
        set_sha256=None if name == "full" else "5" * 64,
        parameters_sha256=tuple(f"{name}{draw}{r}" for r in range(len(right))),
        correct=pack_bits(correct(right, IMAGES)),
    )


def smaller(ipc: int, right: Sequence[int], **trials: int) -> SmallerIpc:
    """What a search saw at a smaller IPC: its best trial's networks on 100 select images."""
    return SmallerIpc(ipc=ipc, trials=trials, best_trial_id="b" * 12, best_correct=pack_bits(correct(right)) if right else ())


def opening(reason: str = "a look") -> Opening:
    return Opening(file="1.json", opened_at="2026-11-24T20:00:00+00:00", reason=reason, user="me", host="here")


def evidence(
    of_set: Sequence[int] = FULL, controls: Mapping[str, Sequence[Sequence[int]]] | None = None, **changes: Any
) -> Evidence:
    """IPC 10, margin 2 points, confidence 95 %; the study's baseline gets 98 of 100 select images right at either step count."""
    config = trial_config(0, 10)
    arms = [arm("full", FULL), arm("set", of_set)]
    arms += [arm(name, right, draw) for name, draws in (controls or {}).items() for draw, right in enumerate(draws)]
    number = changes.get("number", 1)
    seal = seal_of(tuple(arms))
    select = pack_bits(correct([98, 98]))
    fields: dict[str, Any] = {
        "study": "by-hand",
        "rules": RULES,
        "number": number,
        "earlier": (),
        "trial_id": config.trial_id,
        "config": json.loads(config.canonical_json()),
        "recipe": RecipeFacts(words="default: SGD, 1000 steps of 64 images, plain", steps=1000, full_steps=2000, batch=64),
        "seeds": tuple(certificate_seeds(number, config.data_sha256, len(FULL))),
        "test_images": IMAGES,
        "test_sha256": "7" * 64,
        "arms": tuple(arms),
        "admissibility": Admissibility(at_recipe=select, at_doubled=select, select_images=100),
        "smaller": (),
        "confirmed_candidates": 1,
        "sizes": Sizes(
            classes=10,
            train_images=800,
            train_bytes=52000,
            set_images=100,
            set_bytes=26000,
            forward_macs=1000,
            distill_seconds=30,
            search_seconds=300,
        ),
        "experts_sha256": None,
        "search_code_sha256": "c" * 64,
        "code_sha256": "c" * 64,
        "versions": {"torch": "2"},
        "trained_on": "cpu",
        "read_on": "cpu",
        "seal": seal,
        "openings": (opening(opening_reason("by-hand", number, config.trial_id, seal)),),
        "started_at": "2026-11-24T19:00:00+00:00",
        "finished_at": "2026-11-24T20:00:01+00:00",
    }
    return Evidence.model_validate({**fields, **changes})


def certificate(*given: Any, **changes: Any) -> Certificate:
    made = evidence(*given, **changes)
    findings = find(made)
    return Certificate(findings=findings, evidence=made, content_sha256=content_sha256(findings, made))


def earlier(number: int = 1) -> Earlier:
    return Earlier(number=number, verdict="inconclusive", finished_at="2026-11-23T00:00:00+00:00", content_sha256="e" * 64)


def set_at(document: dict[str, Any], *path: Any) -> Callable[[Any], None]:
    """Puts a value at a place of a document."""
    *way, last = path
    for key in way:
        document = document[key]

    def put(value: Any) -> None:
        document[last] = value

    return put
