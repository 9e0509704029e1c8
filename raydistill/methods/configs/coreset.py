"""Settings of the controls that learn nothing; the methods are in `methods/coreset.py`."""

from __future__ import annotations

from typing import Literal

from raydistill.spaces.sections import Config


class RandomConfig(Config):
    """Random real images of each class, without replacement."""

    name: Literal["random"]


class KCenterConfig(Config):
    """Real images by greedy k-center per class, on features of a network trained on the train part with the default recipe."""

    name: Literal["k_center"]


class HerdingConfig(Config):
    """Real images by herding per class, on the same features: their mean follows the class mean as each one is added."""

    name: Literal["herding"]


class KMeansConfig(Config):
    """The mean image of each cluster that k-means finds in a class: no real images. For few images per class."""

    name: Literal["k_means"]
    space: Literal["pixels", "features"] = "pixels"
    """What is clustered: standardised (or whitened) images, or features of a trained network as for k-center."""


class KMeansMedoidsConfig(Config):
    """The real image nearest to the centre of each cluster that k-means finds in a class."""

    name: Literal["k_means_medoids"]
    space: Literal["pixels", "features"] = "pixels"
    """As for `k_means`."""
