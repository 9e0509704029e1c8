"""Images that lie in two parts: a certificate says so in its first lines, and one without them reads as ever."""

from __future__ import annotations

import json

import pytest
from hand_certified import certificate, evidence

from raydistill.certify.certificate import content_sha256
from raydistill.certify.findings import find
from raydistill.certify.page import render_page
from raydistill.data.own.report import TwinCounts

IN_TRAIN = {"test": {"train": 3, "confirm": 1}, "train": {"test": 3}, "confirm": {"test": 1}}


def twins(with_twin: dict[str, dict[str, int]]) -> TwinCounts:
    return TwinCounts(images={"train": 80, "select": 10, "confirm": 10, "test": 200}, with_twin=with_twin, exact={})


def test_test_images_in_other_parts_are_said_in_the_second_sentence() -> None:
    said = find(evidence(twins=twins(IN_TRAIN))).headline[1]
    assert said.startswith("TWINS ACROSS THE SPLIT: of 200 test images some are in another part as well")
    assert "3 in the train part, 1 in the confirm part" in said


def test_twins_that_only_the_search_saw_are_said_too() -> None:
    said = find(evidence(twins=twins({"select": {"train": 2}, "confirm": {"train": 1}, "train": {"select": 2}}))).headline[1]
    assert said.startswith("TWINS ACROSS THE SPLIT: 3 select and confirm images are in the train part as well")


def test_a_page_with_twins_begins_with_them() -> None:
    lines = [line for line in render_page(certificate(twins=twins(IN_TRAIN))).splitlines() if line]
    assert lines[2].startswith("TWINS ACROSS THE SPLIT")


def test_a_certificate_without_twins_has_the_hash_that_it_had_before_twins_were_counted() -> None:
    made = evidence()
    findings = find(made)
    older = json.loads(made.model_dump_json(exclude={"twins"}))
    assert type(made).model_validate_json(json.dumps(older)) == made
    assert content_sha256(findings, made) != content_sha256(findings, evidence(twins=twins(IN_TRAIN)))
    assert not any("TWINS" in sentence for sentence in findings.headline)


@pytest.mark.parametrize("field", ["across", "of_test", "total"])
def test_no_twins_are_none_of_any_kind(field: str) -> None:
    assert not getattr(twins({}), field)
