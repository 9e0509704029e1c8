"""The report's settings in two readings, to the letter."""

from __future__ import annotations

from typing import Any

import pytest

from raydistill.core.recipes import ALL_SIX
from raydistill.reproduce.published import TABLES
from raydistill.reproduce.scales import FULL, SMALL, Scale
from raydistill.reproduce.settings import READINGS, SetPlan, rows_of


def plan_of(table: int, row: str, reading: Any, dataset: str = "mnist", scale: Scale = FULL) -> SetPlan:
    source = rows_of(table, reading, scale)[dataset, row].own.source
    assert isinstance(source, SetPlan)
    return source


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("scale", [SMALL, FULL], ids=lambda scale: scale.name)
def test_every_published_row_has_its_cells_and_no_cell_is_without_one(reading: Any, scale: Scale) -> None:
    published = {(p.table, p.dataset, p.row) for p in TABLES}
    ours = {(table, *at) for table in range(1, 8) for at in rows_of(table, reading, scale)}
    assert ours == published


def test_datadam_as_run_makes_ten_updates_with_ten_networks_with_batch_norm() -> None:
    plan = plan_of(3, "DataDAM from real images", "as_run")
    method: Any = plan.method
    assert (method.random_inits, method.steps_per_init, method.attention_power) == (10, 1, 1.0)
    assert (method.lr_images, method.mmd_weight, method.batch_real, method.loss_scale) == (0.1, 0.01, 256, 100.0)
    assert (method.augmentation, method.init) == (ALL_SIX, "real")
    assert plan.network.model_dump() == {"name": "convnet", "depth": 3, "width": 128, "norm": "batch"}
    assert (plan.ipc, plan.images.pixels, plan.images.train_images) == (10, "standardised", None)


def test_datadam_as_specified_is_k_times_t_times_zeta() -> None:
    """K 100, T 10, zeta_S 1: 1,000 updates; zeta_theta 50 at 0.01; paper's p and instance norm."""
    plan = plan_of(3, "DataDAM from real images", "as_specified")
    method: Any = plan.method
    assert (method.random_inits, method.steps_per_init, method.image_steps) == (100, 10, 1)
    assert (method.model_steps, method.lr_model, method.attention_power) == (50, 0.01, 4.0)
    assert (method.augmentation, plan.network.norm) == ("dsa", "instance")  # type: ignore[union-attr]


def test_mhist_has_its_own_numbers() -> None:
    plan = plan_of(4, "DataDAM from noise", "as_specified", "mhist")
    method: Any = plan.method
    assert (method.random_inits, method.batch_real, method.init, plan.ipc) == (200, 128, "noise", 50)
    assert plan.network.model_dump() == {"name": "convnet", "depth": 7, "width": 32, "norm": "instance"}


def test_pad_as_run_reads_the_first_expert_and_filters_nothing() -> None:
    method: Any = plan_of(6, "PAD from noise", "as_run").method
    assert (method.experts, method.expert_epochs, method.expert_momentum) == (1, 50, 0.9)
    assert (method.expert_rho, method.expert_gap_weight, method.filter_data) == (2.0, 0.4, False)
    assert (method.iterations, method.student_steps, method.target_epochs, method.batch_synthetic) == (10, 80, 2, 256)
    assert (method.window_start, method.window_width, method.window_growth) == (0, 10, 10)
    assert (method.shallow_fraction, method.lr_images, method.init) == (0.5, 0.1, "noise")


def test_datm_is_teslas_form_as_run_and_the_gradient_as_specified() -> None:
    as_run: Any = plan_of(7, "DATM, IPC 100", "as_run")
    assert (as_run.method.gradient, as_run.ipc, as_run.method.iterations) == ("tesla", 100, 10)
    as_specified: Any = plan_of(7, "DATM, IPC 100", "as_specified")
    assert (as_specified.method.gradient, as_specified.method.iterations) == ("recompute", 1000)


def test_the_report_networks_are_shared_among_the_sets() -> None:
    """100 networks on MNIST, 200 on MHIST."""
    mnist = rows_of(3, "as_run", FULL)["mnist", "DataDAM from noise"].own
    mhist = rows_of(4, "as_run", FULL)["mhist", "DataDAM from noise"].own
    assert (mnist.draws * mnist.networks, mhist.draws * mhist.networks) == (100, 200)


def test_table_5_reads_the_set_of_table_3_by_two_recipes() -> None:
    own, theirs = rows_of(5, "as_run", FULL).values()
    assert own.own.source == theirs.own.source == plan_of(3, "DataDAM from real images", "as_run")
    assert (own.own.recipe.name, theirs.own.recipe.name) == ("report_as_run", "report_table_5")
    assert (own.own.network.norm, theirs.own.network.norm) == ("batch", "instance")  # type: ignore[union-attr]
    _, specified = rows_of(5, "as_specified", FULL).values()
    assert specified.own.recipe.name == "dc_bench"


def test_random_images_are_read_by_the_same_networks_and_soft_ones_go_with_soft_labels() -> None:
    for row in rows_of(6, "as_run", FULL).values():
        assert row.random is not None
        assert (row.random.network, row.random.recipe, row.random.draws) == (row.own.network, row.own.recipe, row.own.draws)
    pad, datadam = (rows_of(6, "as_run", FULL)["mnist", name] for name in ("PAD from noise", "DataDAM from noise"))
    assert datadam.random_soft is None
    soft: Any = pad.random_soft
    assert soft.source.method.expert_rho == 2.0


def test_the_full_data_are_pixels_as_they_are_for_50_epochs() -> None:
    cell = rows_of(1, "as_run", FULL)["mnist", "full data"].own
    assert (cell.images.pixels, cell.recipe.epochs, cell.recipe.name) == ("unit", 50, "report_as_specified")  # type: ignore[union-attr]


def test_the_small_scale_says_so_in_its_caption() -> None:
    assert SMALL.caption.startswith("NOT the report's size")
