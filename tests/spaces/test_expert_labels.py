"""`labels: experts`: a control with soft labels, by the experts of the race's method or by its own."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from raydistill.catalogue import known
from raydistill.errors import SpaceError
from raydistill.spaces.parse import parse_space
from raydistill.spaces.space import SearchSpace

EXPERTS = {"experts": 3, "expert_epochs": 20, "expert_lr": 0.05}
DATM = {"name": "datm", **EXPERTS, "window_width": 4, "window_growth": 2, "target_epochs": 2}


def parse(**sections: Any) -> SearchSpace:
    document = {
        "study": "soft",
        "dataset": {"name": "digits"},
        "network": {"name": "convnet", "depth": 2, "width": 8},
        "ipc": {"low": 1, "high": 60},
        "goal": {"margin_fraction": 0.02},
        "budget": {"trials": 12},
    }
    return parse_space(yaml.safe_dump({**document, **sections}, sort_keys=False), known(None))


def refused(**sections: Any) -> str:
    with pytest.raises(SpaceError) as caught:
        parse(**sections)
    return str(caught.value)


def test_the_default_controls_of_a_soft_race_have_soft_labels_by_its_experts() -> None:
    space = parse(method=DATM)
    names = ["random_soft", "k_center_soft", "herding_soft", "k_means_soft", "k_means_medoids_soft"]
    assert [arm.label for arm in space.controls] == names
    sections = [arm.template["method"] for arm in space.controls]
    assert all({key: section[key] for key in EXPERTS} == EXPERTS for section in sections)


def test_a_control_with_expert_labels_takes_the_experts_of_the_method() -> None:
    space = parse(method=DATM, controls=[{"name": "k_means", "labels": "experts", "space": "features"}])
    (arm,) = space.controls
    section = arm.template["method"]
    assert (arm.label, section["space"], section["experts"]) == ("k_means_soft", "features", 3)


def test_a_control_with_experts_of_its_own_keeps_them() -> None:
    space = parse(method=DATM, controls=[{"name": "random", "labels": "experts", "experts": 7}])
    assert space.controls[0].template["method"]["experts"] == 7


def test_a_method_with_expert_labels_races_with_soft_labels_by_the_same_experts() -> None:
    dm = {"name": "dm", "labels": "experts", "batch_real": 16, "lr_images": {"low": 0.1, "high": 10.0, "log": True}}
    space = parse(methods=[dm, DATM])
    labels = [arm.label for arm in space.methods]
    assert labels == ["dm_soft", "datm"]
    section = space.arm("dm_soft").template["method"]
    assert (section["name"], section["batch_real"], section["experts"], section["expert_epochs"]) == ("dm_soft", 16, 3, 20)
    assert set(space.arm("dm_soft").ranges) == {"ipc", "method.lr_images"}
    assert {arm.label for arm in space.controls} >= {"random_soft", "k_means_soft"}


def test_a_method_alone_with_expert_labels_brings_its_experts() -> None:
    space = parse(method={"name": "datadam", "labels": "experts", "experts": 4, "expert_epochs": 5})
    assert space.arms[0].label == "datadam_soft"
    assert {arm.template["method"]["experts"] for arm in space.arms} == {4}
    said = refused(method={"name": "datadam", "labels": "experts"})
    assert "method.labels: experts, but no method of the race reads experts and this section names none" in said


def test_expert_labels_without_experts_are_refused() -> None:
    said = refused(method={"name": "dm", "batch_real": 16}, controls=[{"name": "random", "labels": "experts"}])
    assert "controls.random.labels: experts, but no method of the race reads experts and this section names none" in said


def test_soft_controls_of_a_method_with_hard_labels_are_refused() -> None:
    said = refused(method={"name": "dm", "batch_real": 16}, controls=[{"name": "random", "labels": "experts", "experts": 2}])
    assert "its labels are not hard, as those of the methods are" in said


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"name": "random", "labels": "soft"}, "controls.random.labels: given 'soft'; allowed: experts"),
        ({"name": "datm", "labels": "experts"}, "controls.datm.labels: datm has no such form"),
    ],
)
def test_other_labels_and_other_methods_are_refused(section: dict[str, Any], message: str) -> None:
    assert message in refused(method=DATM, controls=[section])


@pytest.mark.parametrize("name", ["random_soft", "dm_soft"])
def test_a_curriculum_that_leaves_a_class_without_images_is_refused(name: str) -> None:
    """One image in 200 is used at the end, and the smallest class of digits has 77 train images."""
    shares = {"initial_fraction": 0.25, "all_from_epoch": 3, "drop_epochs": [5, 8], "drop_fractions": [0.1, 0.995]}
    curriculum = {**shares, "score_networks": 1, "score_epochs": 1}
    own = {"batch_real": 8} if name == "dm_soft" else {}
    message = refused(method={"name": name, **EXPERTS, "expert_curriculum": curriculum, **own})
    assert "expert_curriculum: its shares need 200 images of each class, and the smallest has 77" in message
