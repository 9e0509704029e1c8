"""The next trial: its place and its IPC."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_up import AIM

from raydistill.core.lossless import smallest_margin
from raydistill.search.arm_choice import choose_alone
from raydistill.search.proposal import Aim, Field, lossy_trials, propose, propose_lossy
from raydistill.search.seen import Columns, Seen

FIELD = Field(options=(1, 3), lowest=1, highest=100)


def ask(seen: list[Seen], number: int, field: Field = FIELD, aim: Aim = AIM) -> tuple[tuple[float, ...], int]:
    return propose(Columns.of(seen), field, aim, number=number, budget=20, generator=np.random.default_rng(number))


def law(ipc: int, number: int = 0) -> Seen:
    """gap = 0.12 / sqrt(k): a margin of 0.02 at IPC 36, the target of 0.015 at 64."""
    return Seen(number=number, place=(0.5, 1.0, 0.0, 0.0), ipc=ipc, gap=0.12 / math.sqrt(ipc), is_finished=True)


KNOWN = [Seen(number=i, place=(), ipc=k, gap=0.12 / math.sqrt(k), is_finished=True) for i, k in enumerate((16, 36, 64, 144) * 8)]


def test_the_first_ask_is_the_middle() -> None:
    assert ask([], 0) == ((0.5, 1.0, 0.0, 0.0), 10)


def test_asks_before_any_trial_ended_spread_over_the_range() -> None:
    """As with many workers: half of the logarithm of 1 to 100 lies below 10."""
    asks = [ask([], number) for number in range(1, 101)]
    assert len({place for place, _ in asks}) == 100
    assert 35 < sum(ipc < 10 for _, ipc in asks) < 65
    assert {ipc for _, ipc in asks} <= set(range(1, 101))


def test_a_place_is_numbers_within_their_ranges_and_one_option_per_choice() -> None:
    for number in range(20):
        (x, *options), ipc = ask([law(9)], number)
        assert 0 <= x <= 1
        assert sorted(options) == [0, 0, 1]
        assert 1 <= ipc <= 100


def test_asks_gather_where_the_law_meets_the_target() -> None:
    """One place alone, so the law is known: floor 0 and target 0.015, at IPC 64."""
    field = Field(options=(), lowest=1, highest=400)
    aim = Aim(margin=0.02, half_width=0.005, shift_deviation=0.0, lossy_width=0.005)
    asks = [ask(KNOWN, number, field, aim)[1] for number in range(40, 60)]
    assert float(np.median(asks)) == pytest.approx(64, rel=0.15)


def test_every_eighth_ask_is_a_safe_one() -> None:
    """Two deviations of 0.004 below the target of 0.015 leave 0.007."""
    field = Field(options=(), lowest=1, highest=1000)
    asks = {number: ask(KNOWN, number, field)[1] for number in range(40, 56)}
    assert min(asks[47], asks[55]) > max(ipc for number, ipc in asks.items() if number not in (47, 55))


def test_memory_that_ran_out_is_a_limit() -> None:
    gone = Seen(number=1, place=(0.5, 1.0, 0.0, 0.0), ipc=20, gap=None, is_finished=False, is_out_of_memory=True)
    assert all(ask([law(9), gone], number)[1] <= 19 for number in range(2, 12))


def test_a_field_of_one_ipc_is_asked_there() -> None:
    field = Field(options=(1,), lowest=7, highest=7)
    told = Seen(number=0, place=(0.5,), ipc=7, gap=0.03, is_finished=True)
    assert [ask([told], number, field)[1] for number in (1, 2)] == [7, 7]


def test_the_planned_aim_has_the_confirmations_half_width() -> None:
    """Images: 0.1 * sqrt(1/250 + 1/300) = 0.0086."""
    given = {"select_images": 250, "confirm_images": 300, "networks": 3, "confirm_networks": 10, "baseline_networks": 4}
    aim = Aim.planned(0.02, 0.975, lossy_confidence=0.95, **given)
    assert aim.half_width == smallest_margin(300, 10, 4, 0.975)
    assert aim.lossy_width == smallest_margin(250, 3, 4, 0.95)
    assert aim.target == 0.02 - aim.half_width
    assert aim.shift_deviation == pytest.approx(0.00856, abs=1e-5)
    of_classes = Aim.planned(0.02, 0.975, lossy_confidence=0.95, **given, select_counts=(200, 50), confirm_counts=(280, 20))
    assert of_classes.half_width == smallest_margin(300, 10, 4, 0.975, (280, 20)) > 2 * aim.half_width
    assert of_classes.lossy_width == smallest_margin(250, 3, 4, 0.95, (200, 50)) > aim.lossy_width


ONE = Field(options=(), lowest=1, highest=100)


def below(seen: list[Seen], field: Field = ONE) -> tuple[tuple[float, ...], int] | None:
    return propose_lossy(Columns.of(seen), field, AIM, np.random.default_rng(0))


def read(number: int, ipc: int, gap: float) -> Seen:
    return Seen(number=number, place=(), ipc=ipc, gap=gap, is_finished=True)


def test_the_ipc_that_is_to_be_shown_lossy_is_the_largest_that_can_be() -> None:
    """0.12 / sqrt(k) is at the margin plus 0.005 for k = 23.04, and 36 is the smallest within the margin."""
    found = below(KNOWN)
    assert found is not None
    assert found[1] == pytest.approx(23, abs=2)


def test_an_ipc_that_was_read_and_is_not_lossy_is_passed_over() -> None:
    """At 21, 0.021 is above the margin, but not by 0.005."""
    found = below([*KNOWN, read(40, 21, 0.021)])
    assert found is not None
    assert found[1] <= 20


def test_where_the_edge_is_shown_there_is_nothing_to_show() -> None:
    """At 35, right below the candidate of 36, a gap of 0.03 is lossy."""
    assert below([*KNOWN, read(40, 35, 0.03)]) is None


def test_a_lossless_lowest_ipc_leaves_nothing_to_show() -> None:
    assert below([read(n, 1, 0.001) for n in range(4)]) is None


def test_the_lossy_trial_is_at_the_best_place_known() -> None:
    """gap = 0.06 * (1 + 4 (x - 0.3)^2) / sqrt(k)."""
    places = np.random.default_rng(1).uniform(size=40)
    seen = [
        Seen(number=i, place=(float(x),), ipc=k, gap=0.06 * (1 + 4 * (x - 0.3) ** 2) / math.sqrt(k), is_finished=True)
        for i, (x, k) in enumerate(zip(places, (9, 16, 25, 49) * 10, strict=True))
    ]
    found = below(seen, Field(options=(1,), lowest=1, highest=100))
    assert found is not None
    assert found[0][0] == pytest.approx(0.3, abs=0.1)


def test_the_last_part_of_a_budget_is_for_showing_a_smaller_ipc_lossy() -> None:
    """15 % of 20 are the trials from 17 on."""
    field, aim = ONE, AIM
    asks = [choose_alone(Columns.of(KNOWN), field, aim, n, 20, np.random.default_rng(n)).ipc for n in (16, 17, 19)]
    assert lossy_trials(20) == 3
    assert asks[0] > 36 > max(asks[1:])
