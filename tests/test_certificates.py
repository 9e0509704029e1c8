"""The certificates in the repository still hold, as far as a certificate alone can tell."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from raydistill.certify.certificate import Certificate
from raydistill.certify.page import render_page
from raydistill.cli import app
from raydistill.storage.sealed import unseal

CERTIFICATES = sorted((Path(__file__).parent.parent / "benchmarks" / "certificates").glob("*/certificate.json"))


def test_there_are_certificates() -> None:
    assert CERTIFICATES


@pytest.mark.parametrize("certificate", CERTIFICATES, ids=lambda path: path.parent.name)
def test_a_certificate_follows_from_what_is_stored_in_it(certificate: Path) -> None:
    """It ends with 3, because the networks and the set are not in the repository."""
    ended = CliRunner().invoke(app, ["verify", str(certificate)])
    assert "Checked: the verdict, every bound and every sentence follow from the stored per-image correctness" in ended.output
    assert "Not checked: set, record, networks and log: no study lies beside the certificate" in ended.output
    assert ended.exit_code == 3


@pytest.mark.parametrize("certificate", CERTIFICATES, ids=lambda path: path.parent.name)
def test_its_page_is_written_as_it_was_then(certificate: Path) -> None:
    """`verify` compares the pages letter by letter where a study lies beside the certificate."""
    read = Certificate.model_validate_json(unseal(certificate.read_bytes()))
    assert render_page(read) == certificate.with_suffix(".md").read_text(encoding="utf-8")


@pytest.mark.parametrize("certificate", CERTIFICATES, ids=lambda path: path.parent.name)
def test_the_results_quote_its_first_line(certificate: Path) -> None:
    text = (Path(__file__).parent.parent / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    assert f"certificates/{certificate.parent.name}/certificate.md" in text
