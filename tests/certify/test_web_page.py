"""A certificate as a page."""

from __future__ import annotations

import html
from pathlib import Path

import pytest
from hand_certified import certificate, smaller

from raydistill.certify.web_page import certificate_page
from raydistill.storage.given import Given, write_given
from raydistill.storage.store import Store

CONTROLS = {"random": [(150, 150, 150), (152, 152, 152)], "k_center": [(200, 200, 200)]}


@pytest.fixture(scope="module")
def page() -> str:
    made = certificate(controls=CONTROLS, smaller=(smaller(5, (80, 80), finished=3),))
    return certificate_page(Store("/study"), made, str(Path("/study/certificate.html")))


def test_the_claim_comes_first_and_everything_that_weakens_it_follows(page: str) -> None:
    assert "<h1>Lossless" in page
    assert "10 images per class (digits, method datadam) train this network as well as the full data" in page
    assert "A CONTROL IS LOSSLESS TOO: k_center, 1 of 1 draws" in page


def test_every_arm_is_a_mark_beside_the_margin(page: str) -> None:
    chart = page.partition('id="gaps"')[2].partition("</figure>")[0]
    for title in ("the set", "random 0", "random 1", "k_center 0"):
        assert f"<title>{title}: accuracy" in chart
    assert "within the margin of 2.00 points" in chart


def test_tables_say_what_the_certificate_says(page: str) -> None:
    assert page.count('href="certificate.json"') > 4
    assert "Smaller sizes that the search saw" in page
    assert "3 finished, 0 stopped or failed" in page
    assert "Sizes are tested from the smallest up, those with at least 1 finished trial read by two networks" in page
    assert "raydistill verify /study/certificate.json --retrain" in page


def test_training_again_has_the_options_that_the_search_was_given(tmp_path: Path) -> None:
    write_given(Store(str(tmp_path)), Given(space="digits", data_root="/the data", local=True))
    page = html.unescape(certificate_page(Store(str(tmp_path)), certificate(), str(tmp_path / "certificate.html")))
    assert f"raydistill verify {tmp_path}/certificate.json --retrain --data-root '/the data' --local<" in page
    assert f"raydistill verify {tmp_path}/certificate.json<" in page


def test_a_certificate_prints_in_a_line() -> None:
    assert str(certificate()) == "Certificate(by-hand 1: lossless at IPC 10, gap 0.00 points)"


def test_without_smaller_sizes_there_is_no_table_of_them() -> None:
    assert "Smaller sizes" not in certificate_page(Store("/study"), certificate(), "/study/certificate.html")
