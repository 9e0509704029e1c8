"""Ranges as distributions, and the document that a study keeps."""

from __future__ import annotations

import pytest
import yaml
from made_up import KNOWN, SPACE, space
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from raydistill.search.distributions import (
    any_trial,
    complete_document,
    distributions,
    field,
    from_parameter,
    from_place,
    middle,
    parameters,
    to_parameter,
    to_place,
)
from raydistill.search.proposal import Field
from raydistill.spaces.parse import parse_space
from raydistill.spaces.space import Choices, Range


def test_each_range_becomes_a_distribution_under_its_dotted_path() -> None:
    assert distributions(space().arms[0]) == {
        "method.lr_images": FloatDistribution(0.1, 10.0, log=True),
        "method.random_inits": IntDistribution(10, 20),
        "method.init": CategoricalDistribution(["real", "noise"]),
        "ipc": IntDistribution(1, 60, log=True),
    }


def test_ipc_is_logarithmic_though_the_file_does_not_say_so() -> None:
    assert space().arms[0].ranges["ipc"] == Range(low=1, high=60, log=False, whole=True)
    assert distributions(space().arms[0])["ipc"] == IntDistribution(1, 60, log=True)


def test_the_middle_of_a_range() -> None:
    """sqrt(0.1 * 10) = 1; (10 + 20) / 2 = 15; sqrt(2 * 60) = 10.95, which rounds to 11."""
    assert middle(Range(low=0.1, high=10, log=True, whole=False)) == 1
    assert middle(Range(low=10, high=20, log=False, whole=True)) == 15
    assert middle(Range(low=2, high=60, log=True, whole=True)) == 11
    assert middle(Choices(values=("b", "a"))) == "b"


def test_a_choice_that_is_a_list_goes_as_text_and_comes_back() -> None:
    choices = Choices(values=([1, 2], None, [3]))
    texts = [to_parameter(choices, value) for value in choices.values]
    assert texts == ["[1, 2]", None, "[3]"]
    assert [from_parameter(choices, text) for text in texts] == [[1, 2], None, [3]]


@pytest.mark.parametrize(("share", "text"), [([0, 1], "[0, 1]"), ([1, 1], "[1, 1]")])
def test_a_choice_of_whole_numbers_is_found_where_the_config_has_fractions(share: list[int], text: str) -> None:
    packed = SPACE.replace("init: {choices: [real, noise]}", "pool: 2\n  trained_share: {choices: [[0, 1], [1, 1]]}")
    arm = space(text=packed).arms[0]
    values = {"method.lr_images": 0.5, "method.random_inits": 12, "method.trained_share": share, "ipc": 7}
    config = arm.trial(ask_number=3, values=values, data_sha256="d")
    assert parameters(arm, config) == {**values, "method.trained_share": text}


def test_a_trials_parameters_are_its_values_by_path() -> None:
    values = {"method.lr_images": 0.5, "method.random_inits": 12, "method.init": "noise", "ipc": 7}
    config = space().arms[0].trial(ask_number=3, values=values, data_sha256="d")
    assert parameters(space().arms[0], config) == values


@pytest.mark.parametrize("factor", [1, 2])
def test_a_value_that_the_config_leaves_out_is_a_parameter_all_the_same(factor: int) -> None:
    """A config's JSON leaves `factor` out where it is 1, so that older trials keep their ids."""
    packed = SPACE.replace("init: {choices: [real, noise]}", "factor: {choices: [1, 2]}")
    arm = space("ipc.high=19", text=packed).arms[0]
    values = {"method.lr_images": 0.5, "method.random_inits": 12, "method.factor": factor, "ipc": 7}
    assert parameters(arm, arm.trial(ask_number=3, values=values, data_sha256="d")) == values


def test_the_kept_document_reads_as_the_same_space() -> None:
    document = complete_document(space())
    again = parse_space(yaml.safe_dump(document), KNOWN)
    assert complete_document(again) == document
    assert again.arms[0].ranges == space().arms[0].ranges
    assert again.arms[0].template == space().arms[0].template


def test_the_kept_document_spells_out_defaults() -> None:
    document = complete_document(space())
    assert document["evaluation"]["recipe"] == "default"
    assert document["method"]["mmd_weight"] == 0.01
    assert document["method"]["init"] == {"choices": ["real", "noise"]}


def test_any_trial_of_a_space_shares_what_the_baseline_reads() -> None:
    config = any_trial(space().arms[0], "d" * 64)
    assert (config.data_sha256, config.network, config.goal) == ("d" * 64, config.network, space().goal)
    assert config.method.random_inits == 15


def test_a_field_has_a_coordinate_per_number_and_one_per_option() -> None:
    assert field(space().arms[0]) == Field(options=(1, 1, 2), lowest=1, highest=60)
    assert field(space("ipc=7").arms[0]) == Field(options=(1, 1, 2), lowest=7, highest=7)


def test_values_are_parts_of_their_ranges() -> None:
    """log 1 lies half-way from log 0.1 to log 10, 12 a fifth of the way from 10 to 20; noise is the second choice."""
    chosen = {"method.lr_images": 1.0, "method.random_inits": 12, "method.init": "noise", "ipc": 7}
    assert to_place(space().arms[0], chosen) == (pytest.approx(0.5), pytest.approx(0.2), 0.0, 1.0)


def test_a_place_comes_back_as_values_within_their_ranges() -> None:
    """0.24 of the way from 10 to 20 is 12.4, a whole number of 12; the larger coordinate is the choice."""
    chosen = from_place(space().arms[0], (0.5, 0.24, 0.0, 1.0), 7)
    assert chosen == {"method.lr_images": pytest.approx(1.0), "method.random_inits": 12, "method.init": "noise", "ipc": 7}
    assert from_place(space().arms[0], (1.0, 1.0, 1.0, 0.0), 60)["method.lr_images"] == 10.0


def test_a_fixed_ipc_is_no_parameter() -> None:
    assert "ipc" not in from_place(space("ipc=7").arms[0], (0.5, 0.5, 1.0, 0.0), 7)
