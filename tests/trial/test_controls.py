"""The config of a control beside a set."""

from __future__ import annotations

from hand_made import trial_config

from raydistill.trial.controls import config_of_control


def test_a_control_beside_a_labelled_arm_has_its_own_name() -> None:
    """A card of its set says what it was made by. Its config is that beside the same arm without a label."""
    winner = trial_config(0, 10)
    labelled = winner.model_copy(update={"label": "mine"})
    assert (labelled.arm, config_of_control(labelled, "random", 0).arm) == ("mine", "random")
    assert config_of_control(labelled, "random", 0) == config_of_control(winner, "random", 0)
