"""Tiles in stored images and pools of networks, as the methods take them; and that older trials keep their ids."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from three_classes import NETWORK, distil_noted, small_part

from raydistill.core.contract import NoCheckpoint
from raydistill.core.networks import build_network, initialise
from raydistill.core.selection import starting_images
from raydistill.core.synthetic import SyntheticSet
from raydistill.core.tiles import enlarge_tiles, pack_tiles
from raydistill.methods import METHODS
from raydistill.methods.configs.dc import DCConfig
from raydistill.methods.configs.dm import DMConfig
from raydistill.methods.configs.fields import of_the_same_factor
from raydistill.methods.configs.soft_coreset import as_beside
from raydistill.methods.dc import matching_gradient, weight_gradients
from raydistill.spaces.trial import TrialConfig

CPU = torch.device("cpu")
BEFORE = {
    "datadam": "13faba27b3d9",
    "datm": "b9c9649702ad",
    "pad": "b53f3980668c",
    "random_soft": "6897db9d451a",
    "k_center_soft": "cacf15cfc52b",
    "herding_soft": "43c0bca0f7c4",
    "k_means_soft": "b35ed62eb118",
    "k_means_medoids_soft": "cb05dec75494",
    "dm": "5793c70f3d78",
    "dc": "5de600ccddcc",
    "datadam_soft": "9959823d3c5f",
    "dm_soft": "f97489a2a6df",
    "dc_soft": "80bfcc262363",
    "random": "819b305fa9c6",
    "k_center": "571d9baa86cd",
    "herding": "3481be573bd6",
    "k_means": "6c4e16a03da6",
    "k_means_medoids": "59754d9fc0fe",
}
"""Ids of `trial(name)`, by the version that knew neither factor nor pool."""
TAKES_FACTOR = [name for name in BEFORE if name not in ("datm", "pad")]


def trial(name: str, **fields: Any) -> TrialConfig[Any]:
    config = METHODS[name].config
    return TrialConfig[config].model_validate(  # type: ignore[valid-type]
        {
            "seed": 0,
            "dataset": {"name": "digits"},
            "data_sha256": "d",
            "network": {"name": "convnet", "depth": 2, "width": 4},
            "method": {"name": name, **fields},
            "ipc": 3,
            "evaluation": {},
            "goal": {"margin_fraction": 0.1},
        }
    )


def distil(name: str, **fields: Any) -> SyntheticSet:
    return METHODS[name].distill(
        small_part(),
        NETWORK,
        METHODS[name].config.model_validate({"name": name, **fields}),
        2,
        generator=torch.Generator().manual_seed(7),
        device=CPU,
        report=lambda *_, **__: None,
        checkpoint=NoCheckpoint(),
    )


@pytest.mark.parametrize("name", BEFORE)
def test_a_trial_of_an_older_version_keeps_its_id(name: str) -> None:
    assert trial(name).trial_id == BEFORE[name]


@pytest.mark.parametrize("name", TAKES_FACTOR)
def test_a_factor_shapes_the_id_and_survives_json(name: str) -> None:
    packed = trial(name, factor=2)
    assert packed.trial_id != BEFORE[name]
    assert type(packed).model_validate_json(packed.canonical_json()) == packed
    assert (packed.factor, packed.decoded_ipc, trial(name).decoded_ipc) == (2, 12, 3)


@pytest.mark.parametrize("name", ["datm", "pad"])
def test_trajectory_matching_takes_no_factor(name: str) -> None:
    with pytest.raises(ValidationError, match="factor"):
        trial(name, factor=2)


@pytest.mark.parametrize("factor", [0, 5])
def test_a_factor_is_1_to_4(factor: int) -> None:
    with pytest.raises(ValidationError, match="factor"):
        trial("random", factor=factor)


@pytest.mark.parametrize(("name", "fields"), [("dm", {}), ("datadam", {}), ("dc", {"steps_per_init": 1})])
def test_a_distillation_starts_from_the_packed_images_of_its_control(name: str, fields: dict[str, Any]) -> None:
    still = distil(name, factor=2, random_inits=1, batch_real=5, lr_images=1e-30, **fields)
    control = distil("random", factor=2)
    assert torch.equal(still.images, control.images)
    assert torch.equal(still.labels, control.labels)


def test_a_control_packs_as_many_images_as_its_rule_finds_for_the_decoded_set() -> None:
    """Two stored images of four each: the eight that k-means would give at IPC 8."""
    chosen = starting_images("k_means_medoids", small_part(), NETWORK, 8, torch.Generator().manual_seed(7))
    assert torch.equal(distil("k_means_medoids", factor=2).images, pack_tiles(chosen, 2))


def test_noise_is_stored_as_it_is_drawn() -> None:
    given = (small_part(), NETWORK, 2)
    plain, packed = (starting_images("noise", *given, torch.Generator().manual_seed(1), factor) for factor in (1, 2))
    assert torch.equal(plain, packed)


def test_matched_gradients_of_tiles_are_those_of_the_enlarged_images() -> None:
    """The gradient of a stored pixel is the enlarged images' gradient, carried back through the enlargement."""
    model = build_network(NETWORK, (1, 8, 8), 3, CPU)
    initialise(model, torch.Generator().manual_seed(1))
    stored = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(2), requires_grad=True)
    real = [weight_gradients(model, small_part().images[c::3][:4], c, keep_graph=False) for c in range(3)]
    loss, gradient = matching_gradient(model, stored, real, None, 2)
    enlarged = enlarge_tiles(stored, 2)
    same_loss, outer = matching_gradient(model, enlarged, real, None)
    (expected,) = torch.autograd.grad(enlarged, stored, outer)
    torch.testing.assert_close(loss, same_loss)
    torch.testing.assert_close(gradient, expected)


def noted(name: str, **fields: Any) -> list[float]:
    given = {"name": name, "random_inits": 1, "batch_real": 5, "pool": 2, "pool_steps": 3}
    given |= {"steps_per_init": 1} if name == "dc" else {}
    return distil_noted(METHODS[name].config.model_validate({**given, **fields}))[1]


@pytest.mark.parametrize("name", ["dm", "datadam", "dc", "ncfm"])
def test_the_calibration_is_added_to_the_loss_with_its_weight(name: str) -> None:
    """The first loss is matching + beta x cross-entropy, so it rises by equal parts for equal steps of beta."""
    (without,), (half,), (whole,) = (noted(name, calibration_weight=weight) for weight in (0.0, 0.5, 1.0))
    assert half > without
    assert whole - half == pytest.approx(half - without, rel=1e-4)


@pytest.mark.parametrize("name", ["dm", "datadam", "dc", "ncfm"])
def test_fully_initial_weights_differ_from_fully_trained_ones(name: str) -> None:
    assert noted(name, trained_share=(0.0, 0.0)) != noted(name, trained_share=(1.0, 1.0))


def test_a_share_that_falls_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"trained_share is 0\.5 to 0\.2; the second must not be smaller: swap them"):
        DMConfig(name="dm", trained_share=(0.5, 0.2))


def test_a_calibration_without_a_pool_is_refused() -> None:
    with pytest.raises(
        ValidationError, match="calibration_weight is 1, but pool is 0, so there is no trained network: write pool: 5"
    ):
        DMConfig(name="dm", calibration_weight=1.0)


@pytest.mark.parametrize(
    ("name", "fields", "passed"),
    [
        # 10 networks x 3 classes x (5 real + 2 x 4 synthetic images).
        ("dm", {"factor": 2}, 10 * 3 * (5 + 8)),
        # The synthetic ones twice, and 2 networks of 300 steps of 64 images before.
        ("dm", {"factor": 2, "pool": 2, "calibration_weight": 1.0}, 10 * 3 * (5 + 16) + 2 * 300 * 64),
        ("datadam", {"factor": 2, "pool": 1, "pool_steps": 10}, 10 * 3 * (5 + 8) + 10 * 64),
        ("datadam", {"factor": 2, "pool": 1, "pool_steps": 10, "calibration_weight": 1.0}, 10 * 3 * (5 + 16) + 10 * 64),
        # Synthetic images count twice, as they are differentiated twice.
        ("dc", {"factor": 2, "steps_per_init": 1}, 10 * 3 * (5 + 2 * 8)),
        ("dc", {"factor": 2, "steps_per_init": 1, "pool": 1, "calibration_weight": 1.0}, 10 * 3 * (5 + 3 * 8) + 300 * 64),
    ],
)
def test_images_passed_count_tiles_and_the_training_of_the_pool(name: str, fields: dict[str, Any], passed: int) -> None:
    config = METHODS[name].config.model_validate({"name": name, "random_inits": 10, "batch_real": 5, **fields})
    assert METHODS[name].images_passed(config, 2, 3) == passed


def test_a_control_beside_a_method_packs_as_it_does() -> None:
    assert of_the_same_factor(DCConfig(name="dc")) == {}
    assert of_the_same_factor(DCConfig(name="dc", factor=2)) == {"factor": 2}
    soft = METHODS["dm_soft"].config.model_validate({"name": "dm_soft", "factor": 2, "experts": 3})
    assert (as_beside(soft)["factor"], as_beside(soft)["experts"]) == (2, 3)
