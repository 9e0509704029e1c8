"""Settings of the controls with soft labels; the methods are in `methods/soft_coreset.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from raydistill.core.expert_fields import ONLY_CHOICES, Curriculum, ExpertFields
from raydistill.methods.configs.coreset import HerdingConfig, KCenterConfig, KMeansConfig, KMeansMedoidsConfig, RandomConfig
from raydistill.methods.configs.fields import of_the_same_factor
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.sections import Config


class ExpertLabels(ExpertFields):
    """The experts that label the chosen images."""

    expert_curriculum: Curriculum | None = Field(default=None, json_schema_extra=ONLY_CHOICES)
    """What PAD's experts see in which epoch; null where experts see everything."""

    def curriculum(self) -> Curriculum | None:
        """The schedule as given."""
        return self.expert_curriculum

    def against(self, facts: DataFacts, network: Config) -> Iterator[tuple[str, str]]:
        """Yield (field, message) for what the data set, the experts or the network cannot serve."""
        yield from super().against(facts, network)
        if self.expert_curriculum is not None and (early := self.expert_curriculum.drops_too_early()) is not None:
            yield "expert_curriculum", f"all_from_epoch: {early}"
        if self.expert_curriculum is not None and facts.smallest_class < (needed := self.expert_curriculum.smallest_class()):
            yield (
                "expert_curriculum",
                f"its shares need {needed} images of each class, and the smallest has {facts.smallest_class}: raise "
                "initial_fraction, lower drop_fractions, or write null",
            )


class RandomSoftConfig(ExpertLabels, RandomConfig):
    """Random real images of each class, without replacement, with soft labels."""

    name: Literal["random_soft"]  # type: ignore[assignment]


class KCenterSoftConfig(ExpertLabels, KCenterConfig):
    """Real images by greedy k-center, with soft labels."""

    name: Literal["k_center_soft"]  # type: ignore[assignment]


class HerdingSoftConfig(ExpertLabels, HerdingConfig):
    """Real images by herding, with soft labels."""

    name: Literal["herding_soft"]  # type: ignore[assignment]


class KMeansSoftConfig(ExpertLabels, KMeansConfig):
    """Mean images of k-means clusters, with soft labels."""

    name: Literal["k_means_soft"]  # type: ignore[assignment]


class KMeansMedoidsSoftConfig(ExpertLabels, KMeansMedoidsConfig):
    """The real image nearest to the centre of each k-means cluster, with soft labels."""

    name: Literal["k_means_medoids_soft"]  # type: ignore[assignment]


def as_beside(method: ExpertFields) -> dict[str, Any]:
    """The control's fields beside a method that reads experts: those experts, and the method's factor."""
    return {**of_the_same_experts(method), **of_the_same_factor(method)}


def of_the_same_experts(method: ExpertFields) -> dict[str, Any]:
    """The control's fields beside a method that reads experts."""
    return {**method.model_dump(include=set(ExpertFields.model_fields)), "expert_curriculum": method.curriculum()}
