"""IPC as a share of the smallest class."""

from __future__ import annotations

from typing import Any

import pytest
from made_up import KNOWN, SPACE

from raydistill.errors import SpaceError
from raydistill.search.distributions import complete_document
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.ipc_share import ipc_of_share
from raydistill.spaces.parse import parse_space
from raydistill.spaces.space import Range

FACTS = DataFacts(smallest_class=50, confirm_images=300)


@pytest.mark.parametrize(
    ("share", "ipc"),
    [
        (0.1, 5),
        (0.19, 9),
        (0.58, 29),
        (0.001, 1),
        (1, 50),
        ({"low": 0.1, "high": 0.5}, {"low": 5, "high": 25, "log": False}),
        ({"low": 0.02, "high": 1.0, "log": True}, {"low": 1, "high": 50, "log": True}),
        ({"low": 0.1, "high": 0.11}, 5),
    ],
)
def test_a_share_of_fifty_images_is_a_number_of_images_rounded_down(share: Any, ipc: Any) -> None:
    assert ipc_of_share({"share": share}, FACTS) == (ipc, [])


@pytest.mark.parametrize("share", [0, 1.5, -0.1, True, "a tenth", None, {"choices": [0.1, 0.2]}, {"low": 0.1, "high": 2.0}])
def test_what_is_no_share_is_refused_with_an_example(share: Any) -> None:
    _, (mistake,) = ipc_of_share({"share": share}, FACTS)
    assert mistake.key == "ipc.share"
    assert "expected shares of the smallest class above 0 and up to 1: write {share: 0.1}" in mistake.message


def test_a_number_beside_a_share_is_refused() -> None:
    _, (mistake,) = ipc_of_share({"share": 0.1, "low": 3}, FACTS)
    assert (mistake.key, "not allowed together with share" in mistake.message) == ("ipc.low", True)


def test_a_mistake_in_a_range_of_shares_is_told_as_in_any_range() -> None:
    _, (mistake,) = ipc_of_share({"share": {"low": 0.5, "high": 0.1}}, FACTS)
    assert (mistake.key, mistake.message) == ("ipc.share", "low 0.5 is above high 0.1: swap them")


def test_a_space_with_a_share_is_the_space_with_the_numbers() -> None:
    """The smallest class has 79 train images here."""
    shares, numbers = (
        parse_space(SPACE, KNOWN, overrides=[f"ipc={ipc}"]) for ipc in ("{share: {low: 0.05, high: 0.5}}", "{low: 3, high: 39}")
    )
    assert isinstance(shares.arms[0].ranges["ipc"], Range)
    assert complete_document(shares) == complete_document(numbers)


def test_a_share_that_is_none_is_a_mistake_of_the_space() -> None:
    with pytest.raises(SpaceError, match=r"ipc\.share: given 2; expected shares of the smallest class"):
        parse_space(SPACE, KNOWN, overrides=["ipc={share: 2}"])
