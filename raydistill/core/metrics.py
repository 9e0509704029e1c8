"""Accuracy, or balanced accuracy: the mean over classes of the accuracy within each class. Pure arithmetic, no torch.

Symbols: R networks, n images, K classes, n_k images of class k, d_k mean difference on the images of class k, c confidence.

With K = 1, all images in one class, everything here is the ordinary accuracy. The number of images of a class is fixed by the
split, so images vary within their classes only: the variance of a mean over classes is

    (1 / K^2) * sum over k of s_k^2 / n_k

with s_k^2 the variance over the images of class k. A class of few images has a large part in it, which is the price of counting
it as much as a large one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Metric = Literal["accuracy", "balanced_accuracy"]
Classes = NDArray[np.int64]


def counted_classes(metric: Metric, labels: Classes) -> Classes | None:
    """(n,) the classes over which a metric averages; None for the ordinary accuracy, which does not."""
    return labels if metric == "balanced_accuracy" else None


def members(classes: Classes | None, images: int) -> list[Any]:
    """The places of the images of each class that occurs; without classes all images together.

    Args:
        classes: (n,) class of each image; None for the ordinary accuracy.
        images: n.

    Raises:
        ValueError: there are not n classes.
    """
    if classes is None:
        return [slice(None)]
    if len(classes) != images:
        raise ValueError(f"{len(classes)} classes for {images} images; expected one class for each image")
    return [np.flatnonzero(classes == one) for one in np.unique(classes)]


def accuracy_of(correct: NDArray[Any], classes: Classes | None = None) -> NDArray[np.float64]:
    """(R,) accuracy of each network, as a fraction: the mean over images, or with classes the mean over classes of theirs.

    Args:
        correct: (R, n) booleans, or fractions from 0 to 1: which images each network classifies correctly.
        classes: (n,) class of each image; None for the ordinary accuracy.
    """
    means = [correct[:, of].mean(axis=1) for of in members(classes, correct.shape[1])]
    return np.asarray(means[0] if len(means) == 1 else np.mean(means, axis=0), dtype=np.float64)


def chance_of(labels: Classes, metric: Metric) -> float:
    """The highest accuracy of a network that gives every image the same answer, as a fraction: it has learned nothing.

    Of accuracy the share of the largest class, of balanced accuracy 1 / K.

    Args:
        labels: (n,) class of each image; K of them occur.
        metric: accuracy or balanced accuracy.
    """
    counts = np.unique(labels, return_counts=True)[1]
    return float(1 / len(counts) if metric == "balanced_accuracy" else counts.max() / len(labels))


def class_accuracies(correct: NDArray[Any], classes: Classes, names: Sequence[str]) -> dict[str, float]:
    """By class name: the mean over networks of the accuracy on the images of the class.

    Args:
        correct: (R, n) which images each network classifies correctly.
        classes: (n,) class of each image.
        names: (K,) of the classes.
    """
    return {name: float(correct[:, classes == number].mean()) for number, name in enumerate(names)}


def unseen_rate(counts: Sequence[float], confidence: float) -> float:
    """The largest mean over classes of rates of disagreement that can go unseen on all images with probability 1 - c.

    With rates p_k nothing is seen with probability prod (1 - p_k)^n_k. Of all rates for which this is 1 - c, the largest mean has
    1 - p_k = l * n_k, or p_k = 0 where that is above 1; l follows from the product. With one class: 1 - (1 - c)^(1 / n).
    """
    if len(counts) == 1:
        return float(1 - (1 - confidence) ** (1 / counts[0]))
    ordered = sorted(counts)
    needed, images = -math.log(1 - confidence), 0.0
    scale = 0.0
    for place, count in enumerate(ordered):
        needed, images = needed + count * math.log(count), images + count
        scale = math.exp(-needed / images)
        if place + 1 < len(ordered) and scale * ordered[place + 1] >= 1:
            break
    return sum(max(0.0, 1 - scale * count) for count in counts) / len(counts)
