"""The page's list of trials."""

from __future__ import annotations

from hand_made import HandMade

from raydistill.report.page.entries import settings_shared
from raydistill.report.read import read_whole


def test_a_setting_that_a_trials_file_leaves_out_is_listed_at_its_default(by_hand: HandMade) -> None:
    """`ema_decay` came later than the first trials, so a trial's JSON has it only where it is not 0."""
    by_hand.trial(4)
    by_hand.trial(10)
    assert "ema_decay" not in by_hand.study.read(f"trials/{by_hand.study.at('trials').folders('.')[0]}/config.json").decode()
    assert ("ema_decay", "0") in [(name.rpartition(".")[2], value) for name, value in settings_shared(read_whole(by_hand.study))]
