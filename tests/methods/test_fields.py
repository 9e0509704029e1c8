"""Fields that several methods have."""

import pytest
from pydantic import BaseModel, ValidationError

from raydistill.core.expert_fields import ExpertFields
from raydistill.methods import METHODS
from raydistill.methods.configs.fields import (
    Count,
    CountOrNone,
    Factor,
    LearningRate,
    LearningRateOrOff,
    Momentum,
    Share,
    Weight,
    hard_name,
    soft_name,
)

OF_EXPERTS = {"init", "augmentation"}
"""Methods that read experts have these as their experts allow them."""


def test_a_field_of_one_name_allows_the_same_values_in_every_method() -> None:
    allowed: dict[str, dict[str, set[str]]] = {}
    for name, method in METHODS.items():
        for field, info in method.config.model_fields.items():
            if field != "name" and not (field in OF_EXPERTS and issubclass(method.config, ExpertFields)):
                allowed.setdefault(field, {}).setdefault(f"{info.annotation} {info.metadata}", set()).add(name)
    assert {field: found for field, found in allowed.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("kind", "lowest", "below"),
    [
        (LearningRate, 1e-9, 0.0),
        (LearningRateOrOff, 0.0, -0.1),
        (Momentum, 0.0, 1.0),
        (Weight, 0.0, -0.1),
        (Count, 1, 0),
        (CountOrNone, 0, -1),
        (Factor, 1, 0),
        (Share, 0.0, -0.1),
    ],
)
def test_a_kind_of_field_takes_the_end_of_its_range_and_nothing_beyond(kind: object, lowest: float, below: float) -> None:
    class Settings(BaseModel):
        field: kind  # type: ignore[valid-type]

    assert Settings(field=lowest).field == lowest
    with pytest.raises(ValidationError):
        Settings(field=below)


def test_the_names_say_which_methods_label_the_images_of_others_by_experts() -> None:
    """Those alone: `datm` and `pad` have soft labels of their own and hard ones nowhere."""
    labelled = {name: hard_name(name) for name in METHODS if hard_name(name) != name}
    assert all(METHODS[name].label_kind == "soft" and METHODS[hard].label_kind == "hard" for name, hard in labelled.items())
    assert [soft_name(hard) for hard in labelled.values()] == list(labelled)
