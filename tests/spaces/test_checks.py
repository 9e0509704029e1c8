"""Checks of a space against its data: sizes, margins and networks that do not fit the images."""

from __future__ import annotations

import pytest
from small_space import IPC, LR, NETWORK, SPACE, mistakes, parse

from raydistill.catalogue import known
from raydistill.errors import DataError, SpaceError
from raydistill.spaces.checks import check_factor
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.known import Known
from raydistill.spaces.parse import parse_space
from raydistill.spaces.sections import DatasetConfig


def test_an_ipc_as_large_as_the_smallest_class_is_taken() -> None:
    assert parse(IPC, "ipc: 77\n").arms[0].template["ipc"] == 77


@pytest.mark.parametrize("given", ["2", "{choices: [1, 2]}", "{low: 1, high: 2}"])
def test_a_factor_that_takes_more_images_than_a_class_has_is_reported_with_the_largest_ipc(given: str) -> None:
    """IPC 20 and factor 2 take 80 images of 77; IPC 19 takes 76."""
    (line,) = mistakes(LR, f"  factor: {given}\n", "ipc=20")
    assert line == (
        "x.yaml:7: method.factor: given 2; with ipc 20 a class then holds 80 smaller images, and the smallest class has 77 train "
        "images to make them of: lower ipc to 19, or write a smaller factor"
    )
    assert parse(LR, f"  factor: {given}\n", "ipc=19").arms[0].template["ipc"] == 19


def test_where_no_ipc_has_room_for_a_factor_a_smaller_one_is_asked_for_alone() -> None:
    """A set of one image per class and factor 2 takes 4 images of 3."""
    facts = DataFacts(smallest_class=3, confirm_images=300)
    (mistake,) = check_factor(1, {}, 2, facts, section="method")
    assert mistake.message.endswith("the smallest class has 3 train images to make them of: write a smaller factor")


def test_a_factor_above_the_pixels_of_an_image_is_reported() -> None:
    """Images of 3 x 5 pixels have no room for 4 tiles beside each other."""
    facts = DataFacts(smallest_class=100, confirm_images=300, shape=(1, 3, 5))
    ((key, message),) = [(m.key, m.message) for m in check_factor(1, {}, 4, facts, section="method")]
    assert (key, message) == ("method.factor", "given 4; an image of 3 pixels has no room for 4 tiles: write at most 3")
    assert list(check_factor(1, {}, 3, facts, section="method")) == []


@pytest.mark.parametrize("given", ["200", "{low: 10, high: 200}", "{choices: [200, 10]}"])
def test_a_real_batch_above_the_smallest_class_is_reported_with_the_largest_allowed(given: str) -> None:
    (line,) = mistakes(LR, f"  batch_real: {given}\n")
    assert line == "x.yaml:7: method.batch_real: given 200; the smallest class has 77 train images: write at most that number"


@pytest.mark.parametrize("momentum", ["2.0", "{low: 0.1, high: 2.0}"])
def test_a_mistake_in_one_field_hides_none_that_the_data_shows_in_another(momentum: str) -> None:
    first, second = mistakes(LR, f"  batch_real: 200\n  momentum_images: {momentum}\n")
    assert first == "x.yaml:7: method.batch_real: given 200; the smallest class has 77 train images: write at most that number"
    assert second.startswith("x.yaml:8: method.momentum_images: given 2.0; ")


def test_a_margin_that_the_confirm_images_cannot_decide_is_reported_with_the_smallest() -> None:
    """300 images and 10 networks a side: 1.6498 * sqrt(0.1^2 / 300 + 2 * 0.004^2 / 10) = 1.6498 * 0.006044 = 0.0100.

    With Student's quantile of 321 degrees of freedom, 1.6496: (0.009 / 1.6496)^2 = 2.977e-5; less the networks' 3.2e-6 it leaves
    2.657e-5 to 0.01 / n, so n is 377.
    """
    (line,) = mistakes("0.02", "0.009")
    assert line == (
        "x.yaml:9: goal.margin_fraction: given 0.009; with 300 confirm images, 10 confirm_networks and 10 baseline_networks "
        "the gap is known to ±0.0100 at best (confidence 0.95), so no smaller margin can be decided: write a larger one, or use "
        "a data set with at least 377 confirm images"
    )


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            "{name: lenet}",
            "name: given lenet for 1-channel images of 8 x 8 pixels; it needs at least 12 x 12: use another network",
        ),
        (
            "{name: resnet18}",
            "name: given resnet18 with instance norm for 1-channel images of 8 x 8 pixels; it needs at least 9 x 9: use",
        ),
        ("{name: resnet18, norm: layer}", "norm: given 'layer'; allowed: 'instance' or 'batch'"),
        ("{name: alexnet, norm: batch}", "norm: unknown key 'norm'; Allowed: name"),
    ],
)
def test_a_network_that_the_images_or_its_fields_do_not_allow_is_reported(network: str, message: str) -> None:
    (line,) = mistakes(NETWORK, f"network: {network}\n")
    assert line.startswith(f"x.yaml:4: network.{message}")


def test_datadam_takes_every_network_with_maps_to_compare() -> None:
    assert parse(NETWORK, "network: {name: alexnet}\n").arms[0].template["network"] == {"name": "alexnet"}


def test_a_margin_that_needs_more_images_and_more_networks_says_how_many_of_both() -> None:
    """10 networks a side alone leave 1.734 * sqrt(2 * 0.004^2 / 10) = 0.0031, and 300 images alone 1 - 0.05^(1/300) = 0.0099.

    Networks for the root of a half of 0.002: 1.662 * sqrt(2 * 0.004^2 / 45) = 0.00140. They leave 7.1e-7 of the variance. Images
    for the rest: 1.649 * sqrt(0.1^2 / 13158 + 7.1e-7) = 0.002.
    """
    (line,) = mistakes("0.02", "0.002")
    assert line.endswith(
        "write a larger one, or use a data set with at least 13158 confirm images, and set confirm_networks to 45 and "
        "baseline_networks to 45"
    )


def test_a_margin_that_more_networks_decide_says_how_many() -> None:
    """300 images, with 2 confirm networks beside 10 of the baseline: 0.0112; with 4 0.01032, with 5 0.01020."""
    (line,) = mistakes("goal: {margin_fraction: 0.02}", "evaluation: {confirm_networks: 2}\ngoal: {margin_fraction: 0.0103}")
    assert line.endswith("write a larger one, or set confirm_networks to 5")
    both = "evaluation: {confirm_networks: 2, baseline_networks: 3}\ngoal: {margin_fraction: 0.0103}"
    (line,) = mistakes("goal: {margin_fraction: 0.02}", both)
    assert line.endswith("write a larger one, or set confirm_networks to 6 and baseline_networks to 6")


def test_the_margin_of_a_race_is_one_that_the_claim_about_its_distilled_set_can_decide() -> None:
    """It has half of the error probability, 97.5 %: 1.95996 * 0.006044 = 0.01185, and 1 - 0.025^(1/300) = 0.01222. No number of
    networks lowers the second; 1 - 0.025^(1/n) is at most 0.0121 from 304 images on."""
    (line,) = mistakes("", "", "controls=[random]", "goal.margin_fraction=0.0121")
    assert line.endswith(
        "the gap is known to ±0.0122 at best (confidence 0.975), so no smaller margin can be decided: write a larger one, or use "
        "a data set with at least 304 confirm images"
    )
    assert parse("", "", "controls=[random]", "goal.margin_fraction=0.0123").goal.margin_fraction == 0.0123


def test_a_mistake_at_every_end_of_the_ranges_is_told_once() -> None:
    method = "{name: pad, experts: 2, expert_epochs: 60, expert_drop_epochs: [60, 40], lr_labels: {low: 1, high: 2}}"
    (line,) = mistakes("", "", f"method={method}")
    assert "drop_epochs are 60 and 40 (PAD: expert_drop_epochs); the second must not be smaller: swap them" in line


def test_a_pair_of_choices_that_do_not_fit_is_reported_though_each_fits_alone() -> None:
    """Neither 50 beside the first choice of epochs nor (40, 60) beside 10 is a mistake, nor the last ones of both."""
    experts = "{name: pad, experts: 2, expert_epochs: 90, "
    choices = "expert_all_from_epoch: {choices: [10, 50, 20]}, expert_drop_epochs: {choices: [[60, 80], [40, 60], [55, 70]]}}"
    (line,) = mistakes("", "", f"method={experts}{choices}")
    (alone,) = mistakes("", "", f"method={experts}expert_all_from_epoch: 50, expert_drop_epochs: [40, 60]}}")
    assert line == alone


def test_a_margin_that_nothing_practical_decides_says_so() -> None:
    (line,) = mistakes("0.02", "0.00001")
    assert line.endswith("take another goal: no practical number of images and networks decides it")


@pytest.mark.parametrize("network", ["{name: mlp}", "{name: convnet, depth: 1}"])
def test_datadam_without_a_block_to_compare_is_reported(network: str) -> None:
    (line,) = mistakes(NETWORK, f"network: {network}\n")
    assert line.startswith("x.yaml:6: method.name: datadam compares attention maps of all blocks but the last: write network")


def test_a_depth_that_the_images_do_not_allow_is_reported_with_the_largest() -> None:
    """8 pixels are padded to 12, which can be halved three times."""
    (line,) = mistakes("depth: 2", "depth: 4")
    assert line == "x.yaml:4: network.depth: given 4; images of 8 x 8 pixels allow at most 3: lower it"


def test_missing_data_is_a_mistake_of_the_dataset() -> None:
    def broken(config: DatasetConfig) -> DataFacts:
        raise DataError("MNIST files are missing: put them there")

    here = known(None)
    without = Known(
        methods=here.methods,
        datasets=here.datasets,
        recipes=here.recipes,
        data_facts=broken,
        smallest_margin=here.smallest_margin,
    )
    with pytest.raises(SpaceError, match=r"x.yaml:3: dataset: MNIST files are missing: put them there"):
        parse_space(SPACE, without, source="x.yaml")
