"""What settings may name: augmentations, ways to start and to differentiate. No torch, so that settings are read without it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

DSA = ("color", "crop", "cutout", "flip", "scale", "rotate")
"""Those of differentiable siamese augmentation."""
OPERATIONS = (*DSA, "affine")


def parse_operations(text: str, *, mirror_keeps_class: bool) -> tuple[str, ...]:
    """The operations named in a setting.

    Args:
        text: "dsa" (its six, without flip if mirroring changes the class), "none", or names joined by "_".
        mirror_keeps_class: whether a mirrored image of this data set keeps its class.

    Raises:
        ValueError: an unknown operation.
    """
    if text == "none":
        return ()
    if text == "dsa":
        return tuple(name for name in DSA if name != "flip" or mirror_keeps_class)
    names = tuple(text.split("_"))
    unknown = [name for name in names if name not in OPERATIONS]
    if unknown:
        raise ValueError(
            f"augmentation {text!r}: unknown operation {', '.join(map(repr, unknown))}; allowed: dsa, none, or names from "
            f"{', '.join(OPERATIONS)} joined by '_'"
        )
    return names


def _checked(text: str) -> str:
    parse_operations(text, mirror_keeps_class=True)
    return text


AugmentationName = Annotated[str, AfterValidator(_checked)]
"""Type of a config's field with text that `parse_operations` reads."""
Start = Literal["real", "noise", "k_center", "k_means", "k_means_medoids", "k_means_features", "k_means_medoids_features"]
"""Where a distillation starts: random real images, standard normal noise, k-center images, or k-means in each class.

`k_means` takes the mean image of each cluster, `k_means_medoids` the real image nearest to its centre. Clustered are the part's
images as they are, standardised or whitened; with `_features`, features of a network trained on the part.
"""
AugmentationDraws = Literal["per_class", "per_step"]
"""Random numbers of the augmentation: drawn for each class, as in the published code, or once for all classes of a step."""
GradientKind = Literal["full", "recompute", "tesla"]
"""How the gradient through a student's steps is computed; see `core/unroll.py`."""
