"""Settings of the controls that learn nothing; the methods are in `methods/coreset.py`."""

from __future__ import annotations

from typing import ClassVar, Literal

from raydistill.methods.configs.fields import Factor
from raydistill.spaces.sections import GrownConfig


class RandomConfig(GrownConfig):
    """Random real images of each class, without replacement."""

    LATER: ClassVar[tuple[str, ...]] = ("factor",)
    name: Literal["random"]
    factor: Factor = 1
    """f; f x f times as many images are taken, made small and packed, f x f into each stored image (IDC)."""


class KCenterConfig(GrownConfig):
    """Real images by greedy k-center per class, on features of a network trained on the train part with the default recipe."""

    LATER: ClassVar[tuple[str, ...]] = ("factor",)
    name: Literal["k_center"]
    factor: Factor = 1
    """As for `random`."""


class HerdingConfig(GrownConfig):
    """Real images by herding per class, on the same features: their mean follows the class mean as each one is added."""

    LATER: ClassVar[tuple[str, ...]] = ("factor",)
    name: Literal["herding"]
    factor: Factor = 1
    """As for `random`."""


class KMeansConfig(GrownConfig):
    """The mean image of each cluster that k-means finds in a class: no real images. For few images per class."""

    LATER: ClassVar[tuple[str, ...]] = ("factor",)
    name: Literal["k_means"]
    space: Literal["pixels", "features"] = "pixels"
    """What is clustered: standardised (or whitened) images, or features of a trained network as for k-center."""
    factor: Factor = 1
    """As for `random`."""


class KMeansMedoidsConfig(GrownConfig):
    """The real image nearest to the centre of each cluster that k-means finds in a class."""

    LATER: ClassVar[tuple[str, ...]] = ("factor",)
    name: Literal["k_means_medoids"]
    space: Literal["pixels", "features"] = "pixels"
    """As for `k_means`."""
    factor: Factor = 1
    """As for `random`."""
