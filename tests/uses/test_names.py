"""The list of uses, which every table about them has to know whole."""

from __future__ import annotations

from raydistill.report.page.uses import QUESTIONS
from raydistill.report.protocol_tables import PROTOCOLS
from raydistill.uses import protocols
from raydistill.uses.names import USES
from raydistill.uses.values import RESULTS


def test_every_use_has_a_result_a_way_to_run_and_a_question_on_the_page() -> None:
    runs = {*protocols.PROTOCOLS, *protocols.IN_THEIR_OWN_WAY}
    assert set(RESULTS) == runs == set(QUESTIONS) == set(USES)


def test_the_command_names_the_benchmarks_before_the_uses() -> None:
    assert PROTOCOLS == ("dc_bench", "dd_ranking", "transfer", "continual", "nas", "cost", "privacy")
