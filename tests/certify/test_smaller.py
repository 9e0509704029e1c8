"""The trials below the certified IPC that a certificate lists."""

from __future__ import annotations

from pathlib import Path

import yaml
from hand_made import STORED, HandMade

from raydistill.certify.evidence import of_side, smaller_of
from raydistill.methods import method_configs
from raydistill.storage.record import read_trials


def test_a_race_lists_the_trials_of_the_winners_side_alone(tmp_path: Path) -> None:
    """The winner is DataDAM at IPC 10; at IPC 4 DataDAM was tried, at IPC 8 the control `random`."""
    made = HandMade(tmp_path)
    made.study.write("search_space.yaml", yaml.safe_dump({**STORED, "controls": [{"name": "random"}]}))
    for ipc in (10, 4, 8):
        made.trial(ipc)
    (winner, own), (_, below), (_, control) = read_trials(made.study, method_configs())
    assert own is not None
    assert below is not None
    assert control is not None
    records = [own, below, control.model_copy(update={"config": {**control.config, "method": {"name": "random"}}})]
    assert [row.ipc for row in smaller_of(of_side(records, winner, made.study), 10)] == [4]
    of_control = winner.model_copy(update={"method": method_configs()["random"](name="random")})
    assert [row.ipc for row in smaller_of(of_side(records, of_control, made.study), 10)] == [8]
    made.study.write("search_space.yaml", yaml.safe_dump({**STORED, "controls": []}))
    assert [row.ipc for row in smaller_of(of_side(records, winner, made.study), 10)] == [8, 4]
