"""Configs as values: a trial's id depends on its content, a space makes trials, seeds depend on their parts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from raydistill.methods import method_configs
from raydistill.methods.configs.datadam import DataDAMConfig
from raydistill.spaces.network import ConvNetConfig
from raydistill.spaces.sections import (
    BudgetConfig,
    DatasetConfig,
    EvaluationConfig,
    GoalConfig,
    ImageFolderConfig,
    ResourcesConfig,
    derive_seed,
    set_at,
)
from raydistill.spaces.space import Arm, Range
from raydistill.spaces.trial import TrialConfig, read_trial_config

SHA = "d" * 64


def space(**changes: Any) -> Arm:
    """IPC and lr_images are ranges, all else is fixed."""
    method = DataDAMConfig(name="datadam", random_inits=3).model_dump()
    fields: dict[str, Any] = {
        "label": "datadam",
        "is_control": False,
        "study": "small",
        "seed": 0,
        "template": {
            "dataset": DatasetConfig(name="digits").model_dump(),
            "network": ConvNetConfig(name="convnet", depth=2, width=8).model_dump(),
            "evaluation": EvaluationConfig().model_dump(),
            "ipc": 1,
            "method": method,
        },
        "ranges": {
            "ipc": Range(low=1, high=60, log=True, whole=True),
            "method.lr_images": Range(low=0.1, high=10.0, log=True, whole=False),
        },
        "method_config": DataDAMConfig,
        "goal": GoalConfig(margin_fraction=0.02),
        "budget": BudgetConfig(trials=12),
        "resources": ResourcesConfig(),
    }
    return Arm(**{**fields, **changes})


def trial(ask_number: int = 0, *, of: Arm | None = None, data: str = SHA, **values: Any) -> TrialConfig[Any]:
    chosen = {"ipc": 5, "method.lr_images": 0.5, **values}
    return (of or space()).trial(ask_number=ask_number, values=chosen, data_sha256=data)


def test_trial_takes_its_values_where_the_ranges_are() -> None:
    config = trial()
    assert (config.ipc, config.method.lr_images, config.method.random_inits) == (5, 0.5, 3)


def test_trial_knows_its_place_in_the_order_of_asks() -> None:
    assert trial(7).ask_number == 7


def test_trial_takes_goal_threads_and_data_from_the_space() -> None:
    config = trial(of=space(resources=ResourcesConfig(cpus_per_trial=2)))
    assert (config.goal.margin_fraction, config.cpus_per_trial, config.data_sha256, config.device) == (0.02, 2, SHA, "cpu")


def test_a_share_of_a_gpu_puts_the_trial_on_it() -> None:
    assert trial(of=space(resources=ResourcesConfig(gpus_per_trial=0.25))).device == "cuda"


def test_trial_leaves_the_space_as_it_was() -> None:
    given = space()
    trial(of=given)
    assert given.template["ipc"] == 1


@pytest.mark.parametrize(
    "values",
    [{}, {"ipc": 5}, {"ipc": 5, "method.lr_images": 0.5, "method.random_inits": 3}, {"ipc": 5, "lr_images": 0.5}],
)
def test_values_that_are_not_exactly_the_ranges_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"the space has ranges for \['ipc', 'method.lr_images'\]: pass exactly those"):
        space().trial(ask_number=0, values=values, data_sha256=SHA)


def test_a_value_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(ValidationError, match="ipc"):
        trial(**{"ipc": 5.5})


def test_trial_id_is_twelve_hex_digits() -> None:
    assert len(trial().trial_id) == 12
    int(trial().trial_id, 16)


def test_the_same_config_has_the_same_id() -> None:
    assert trial().trial_id == trial().trial_id


def test_a_whole_number_where_a_real_one_belongs_has_the_same_id() -> None:
    """1 and 1.0 are one learning rate, so they must not be two trials."""
    assert trial(**{"method.lr_images": 1}).trial_id == trial(**{"method.lr_images": 1.0}).trial_id


OTHERS = {
    "study seed": trial(of=space(seed=1)),
    "ask number": trial(1),
    "range": trial(ipc=6),
    "data": trial(data="e" * 64),
    "goal": trial(of=space(goal=GoalConfig(margin_fraction=0.03))),
    "threads": trial(of=space(resources=ResourcesConfig(cpus_per_trial=2))),
    "device": trial(of=space(resources=ResourcesConfig(gpus_per_trial=1))),
}


@pytest.mark.parametrize("what", OTHERS)
def test_whatever_shapes_the_result_shapes_the_id(what: str) -> None:
    assert OTHERS[what].trial_id != trial().trial_id


def test_what_does_not_shape_the_result_leaves_the_id() -> None:
    same = trial(of=space(study="other", budget=BudgetConfig(trials=99), resources=ResourcesConfig(max_concurrent_trials=2)))
    assert same.trial_id == trial().trial_id


def test_config_survives_json() -> None:
    config = trial()
    again = read_trial_config(config.canonical_json(), method_configs())
    assert again == config
    assert again.trial_id == config.trial_id
    assert type(again.method) is DataDAMConfig


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{}", "config of the unknown method None; known methods: "),
        ("[]", "config of the unknown method None; known methods: "),
        ('{"method": "datadam"}', "config of the unknown method None; known methods: "),
        (
            '{"method": {"name": "old"}}',
            "config of the unknown method 'old'; known methods: .*: use the version of raydistill that wrote it",
        ),
        ('{"method": {"name": ["old"]}}', "config of the unknown method"),
        ("{", "Expecting property name"),
    ],
)
def test_what_is_no_trial_config_is_refused(data: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_trial_config(data, method_configs())


def test_a_trial_config_with_a_key_too_many_is_refused() -> None:
    data = json.dumps({**json.loads(trial().canonical_json()), "extra": 1})
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        read_trial_config(data, method_configs())


def test_another_seed_of_the_study_gives_another_seed_of_the_trial() -> None:
    assert trial().seed != trial(of=space(seed=1)).seed


def test_seed_depends_on_every_part_and_on_their_order() -> None:
    seeds = {
        derive_seed(0, "ask", 0),
        derive_seed(1, "ask", 0),
        derive_seed(0, "sak", 0),
        derive_seed(0, "ask", 1),
        derive_seed("ask", 0, 0),
    }
    assert len(seeds) == 5


def test_seed_keeps_words_and_numbers_apart() -> None:
    assert derive_seed(1) != derive_seed("1")


def test_seed_is_the_same_on_every_machine() -> None:
    """The first 8 bytes of SHA-256('[0, "ask", 0]') as a big-endian number, its two lowest bits dropped; by `sha256sum`."""
    assert derive_seed(0, "ask", 0) == int("31e2d93ff290ec21", 16) >> 2


def test_seed_fits_every_generator() -> None:
    assert all(0 <= derive_seed("x", i) < 2**62 for i in range(1000))


def test_set_at_makes_the_sections_on_the_way() -> None:
    document: dict[str, Any] = {"a": {"x": 1}}
    set_at(document, "a.b.c", 2)
    assert document == {"a": {"x": 1, "b": {"c": 2}}}


def test_configs_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        trial().ipc = 6


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (lambda: GoalConfig(margin_fraction=0.0), "greater than 0"),
        (lambda: GoalConfig(margin_fraction=0.02, confidence=0.5), "greater than 0.5"),
        (lambda: DatasetConfig(name="digits", split_seed=2**32), "less than 4294967296"),
        (lambda: DataDAMConfig(name="datadam", lr_images=float("inf")), "finite number"),
        (lambda: DataDAMConfig.model_validate({"name": "datadam", "lr_images": "0.1"}), "valid number"),
        (lambda: DataDAMConfig.model_validate({"name": "datadam", "lr": 0.1}), "Extra inputs are not permitted"),
        (lambda: ResourcesConfig(gpus_per_trial=2), "gpus_per_trial is 2; a trial computes on one GPU: write 1 or less"),
        (
            lambda: ConvNetConfig(name="convnet", width=30, norm="group"),
            "width is 30; norm: group has 4 groups of equal width: write a multiple of 4",
        ),
    ],
)
def test_values_out_of_bounds_are_refused(config: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config()


def test_a_whole_gpu_is_taken() -> None:
    assert ResourcesConfig(gpus_per_trial=1).gpus_per_trial == 1


@pytest.mark.parametrize(
    ("shape", "deepest"),
    [((1, 8, 8), 3), ((3, 8, 8), 3), ((1, 28, 28), 5), ((3, 32, 32), 5), ((3, 224, 224), 7), ((3, 32, 7), 2), ((3, 1, 1), 0)],
)
def test_depth_ends_where_a_map_can_no_longer_be_halved(shape: tuple[int, int, int], deepest: int) -> None:
    """1 x 8 x 8 is padded to 12: 12, 6, 3, then 1. 3 x 8 x 8: 8, 4, 2, then 1. 28 is padded to 32. 7: 7, 3, then 1."""
    assert ConvNetConfig(name="convnet").deepest(shape) == deepest


@pytest.mark.parametrize(
    ("networks", "least", "each"), [(5, None, 0.95), (5, 5, 0.95), (3, 2, 0.975), (6, 2, 0.99), (2, 2, 0.95), (1, 2, 0.95)]
)
def test_looks_share_the_error_probability(networks: int, least: int | None, each: float) -> None:
    """0.05 over networks - least + 1 looks, and one at least: 1, 1, 2, 5, 1 and 1 of them."""
    looks = EvaluationConfig(networks=networks, least_networks=least)
    assert looks.look_confidence(0.95) == pytest.approx(each)


def test_what_later_versions_added_to_an_evaluation_is_left_out_where_it_is_not_used() -> None:
    """So the trials of older versions keep their ids."""
    assert set(EvaluationConfig().model_dump()) == {"recipe", "networks", "baseline_networks", "confirm_networks"}
    used = EvaluationConfig(least_networks=2, networks_at_once=3)
    assert EvaluationConfig.model_validate(used.model_dump()) == used


def test_what_later_versions_added_to_a_folder_is_left_out_where_it_is_not_used() -> None:
    """So that the trials of older versions keep their ids."""
    plain = ImageFolderConfig(name="image_folder", path="x", size=8)
    assert not set(plain.model_dump()) & set(ImageFolderConfig.LATER)
    used = ImageFolderConfig(name="image_folder", path="x", size=8, background=(0, 0, 0), fit="pad", duplicates="drop")
    assert set(used.model_dump()) & set(ImageFolderConfig.LATER) == {"background", "fit", "duplicates"}
    assert ImageFolderConfig.model_validate_json(used.model_dump_json()) == used


def test_the_classes_and_columns_of_own_data_are_kept_in_json() -> None:
    """A config is also a key of the data that a process has read."""
    fields = {"classes": ["b", "a"], "group_pattern": "(p[0-9])", "label_column": "kind"}
    used = ImageFolderConfig.model_validate({"name": "image_folder", "path": "x", "size": 8, **fields})
    again = ImageFolderConfig.model_validate_json(used.model_dump_json())
    assert (again, hash(again)) == (used, hash(used))
    assert set(used.model_dump()) & set(ImageFolderConfig.LATER) == set(fields)


def test_the_usual_metric_is_left_out_of_a_goal() -> None:
    """So that the trials of older versions keep their ids."""
    assert "metric" not in GoalConfig(margin_fraction=0.1).model_dump()
    balanced = GoalConfig(margin_fraction=0.1, metric="balanced_accuracy")
    assert GoalConfig.model_validate(balanced.model_dump()) == balanced


def test_a_value_range_has_black_below_white() -> None:
    with pytest.raises(ValidationError, match=r"given \[5.0, 5.0\]; the first must be below the second: write \[black, white\]"):
        ImageFolderConfig(name="image_folder", path="x", size=8, value_range=(5, 5))
