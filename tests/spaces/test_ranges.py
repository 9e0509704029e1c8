"""Ranges and choices in a search space: how they are read, and mistakes in them."""

from __future__ import annotations

import pytest
from small_space import IS_TEXT, LR, NETWORK, SPACE, mistakes, parse

from raydistill.catalogue import known
from raydistill.errors import SpaceError
from raydistill.spaces.parse import parse_space
from raydistill.spaces.space import Choices, Range


def test_range_of_a_whole_field_is_whole() -> None:
    ranges = parse(LR, "  random_inits: {low: 30, high: 150}\n").arms[0].ranges
    assert ranges["method.random_inits"] == Range(low=30, high=150, log=False, whole=True)


def test_choices_keep_their_order() -> None:
    ranges = parse(LR, "  init: {choices: [real, noise, k_center]}\n").arms[0].ranges
    assert ranges["method.init"] == Choices(values=("real", "noise", "k_center"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("low: 1.0, high: 0.5", "method.lr_images: low 1.0 is above high 0.5: swap them"),
        ("low: 1.0, high: 1.0", "method.lr_images: low and high are both 1.0: write 1.0 instead of a range"),
        ("low: 0, high: 1.0, log: true", "method.lr_images.low: given 0; a logarithmic range must start above 0"),
        ("low: 0, high: 1.0", "method.lr_images: given 0; must be above 0"),
        ("low: -1, high: 1.0", "method.lr_images: given -1; must be above 0"),
        ("low: 1.0", "method.lr_images.high: missing: a range is {low: .., high: .., log: true|false}"),
        ("low: 1e-3, high: 1.0", f"method.lr_images.low: YAML reads '1e-3' {IS_TEXT}: write 0.001"),
        ("low: true, high: 1.0", "method.lr_images.low: given true; expected a finite number"),
        ("low: 1.0, high: .inf", "method.lr_images.high: given .inf; expected a finite number"),
        ("low: 1.0, high: 2.0, log: 1", "method.lr_images.log: given 1; expected true or false"),
        ("choices: [1.0, 2.0], low: 3.0", "method.lr_images.low: not allowed together with choices: remove it"),
        ("choices: [1.0]", "method.lr_images.choices: given [1.0]; expected a list of two or more different values"),
        ("choices: [1.0, 1.0]", "method.lr_images.choices: given [1.0, 1.0]; expected a list of two or more different values"),
        ("choices: 1.0", "method.lr_images.choices: given 1.0; expected a list of two or more different values"),
        ("choices: [1.0, -2.0, 3.0]", "method.lr_images: given -2.0; must be above 0"),
    ],
)
def test_an_invalid_range_is_reported(given: str, expected: str) -> None:
    assert mistakes(LR, f"  lr_images: {{{given}}}\n") == [f"x.yaml:7: {expected}"]


def test_range_of_a_whole_field_takes_whole_ends() -> None:
    assert mistakes(LR, "  random_inits: {low: 1.5, high: 1e2}\n") == [
        "x.yaml:7: method.random_inits.low: given 1.5; expected a whole number",
        f"x.yaml:7: method.random_inits.high: YAML reads '1e2' {IS_TEXT}: write 100",
    ]


def test_a_choice_that_the_field_does_not_know_is_reported() -> None:
    (line,) = mistakes(LR, "  init: {choices: [real, nois]}\n")
    allowed = "'real', 'noise', 'k_center', 'k_means', 'k_means_medoids', 'k_means_features' or 'k_means_medoids_features'"
    assert line == f"x.yaml:7: method.init: given 'nois'; allowed: {allowed}"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("0.02", "{low: 0.01, high: 0.02}", "9: goal.margin_fraction"),
        ("trials: 12", "trials: {choices: [1, 2]}", "10: budget.trials"),
        ("{name: digits}", "{name: digits, split_seed: {low: 0, high: 9}}", "3: dataset.split_seed"),
        ("budget:", "evaluation: {networks: {low: 1, high: 9}}\nbudget:", "10: evaluation.networks"),
        ("budget:", "resources: {cpus_per_trial: {low: 1, high: 2}}\nbudget:", "10: resources.cpus_per_trial"),
    ],
)
def test_a_range_where_every_trial_needs_one_value_is_reported(old: str, new: str, key: str) -> None:
    (line,) = mistakes(old, new)
    assert line == f"x.yaml:{key}: a range; this must be a single value, because all trials share it: write one value"


def test_ranges_and_other_mistakes_of_one_section_come_together() -> None:
    lines = mistakes(NETWORK, "network: {name: convnet, depth: {low: 2, high: 3}, width: {low: 8, high: 9}, nrom: batch}\n")
    why = "a range; the baseline is trained with one network: write one value, and use one study per network"
    assert sorted(line.partition(";")[0] for line in lines) == [
        "x.yaml:4: network.depth: a range",
        "x.yaml:4: network.nrom: unknown key 'nrom'",
        "x.yaml:4: network.width: a range",
    ]
    assert any(line.endswith(why) for line in lines)


DM = "  name: datadam\n" + LR
MANY = ", ".join(f"{field}: {{choices: {list(range(1, 17))}}}" for field in ("lr_images", "batch_real", "pool_steps"))
LIMIT = "calibration_weight is 1, but pool is 0"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            "name: rat_bptt, training_steps: {low: 20, high: 80}, window: {low: 10, high: 60}",
            "window is 60, but training_steps is 20",
        ),
        ("name: dm, pool: {choices: [0, 5]}, calibration_weight: {low: 0.0, high: 1.0}", LIMIT),
        ("name: dm, pool: {choices: [5, 0, 10]}, calibration_weight: {low: 0.0, high: 1.0}", LIMIT),
        ("name: ncfm, pool: {choices: [20, 0]}", LIMIT),
        (f"name: dm, pool: {{choices: [5, 0]}}, calibration_weight: {{low: 0.0, high: 1.0}}, {MANY}", LIMIT),
    ],
)
def test_ranges_of_fields_that_limit_each_other_are_refused_before_a_trial_meets_it(fields: str, told: str) -> None:
    """Each end alone may fit, and two of them not."""
    lines = mistakes("method:\n" + DM, f"method: {{{fields}}}\n")
    assert any(told in line and "method" in line for line in lines)


def test_ranges_of_fields_that_limit_each_other_and_fit_are_taken() -> None:
    fields = "name: rat_bptt, training_steps: {low: 60, high: 80}, window: {low: 10, high: 60}, batch_real: 10"
    assert set(parse("method:\n" + DM, f"method: {{{fields}}}\n").arms[0].ranges) >= {"method.window", "method.training_steps"}


def test_a_control_beside_a_method_whose_ranges_do_not_fit_has_that_methods_experts() -> None:
    """One mistake, not a second one that no method reads experts."""
    ranges = "training_steps: {low: 20, high: 80}, window: {low: 10, high: 60}, experts: 2, expert_epochs: 3"
    section = f"method: {{name: rat_bptt_soft, {ranges}}}\n"
    text = SPACE.replace("method:\n" + DM, section).replace("controls: []", "controls: [{name: random, labels: experts}]")
    with pytest.raises(SpaceError) as caught:
        parse_space(text, known(None), source="x.yaml")
    assert "window is 60, but training_steps is 20" in str(caught.value)
    assert "no method of the race reads experts" not in str(caught.value)
