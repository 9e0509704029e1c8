"""Balanced accuracy and its gap: worked by hand on two classes of four and two images.

    full        class 0   class 1     set         class 0   class 1     difference of the means
    network 0   1 1 1 1   1 1         network 0   1 1 0 0   1 0         class 0: 0 0 .5 .5
    network 1   1 1 1 0   1 1         network 1   1 1 1 0   1 1         class 1: 0 .5

Balanced accuracies of the full data are 1 and (.75 + 1) / 2 = .875; of the set (.5 + .5) / 2 = .5 and .875. Both classes have a
gap of .25, and so has their mean.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from raydistill.core.lossless import gap_interval
from raydistill.core.metrics import accuracy_of, chance_of, class_accuracies, members, unseen_rate
from raydistill.core.paired_gap import paired_gap
from raydistill.spaces.data_facts import effective_images

FULL = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 1, 1]], dtype=bool)
SET = np.array([[1, 1, 0, 0, 1, 0], [1, 1, 1, 0, 1, 1]], dtype=bool)
CLASSES = np.array([0, 0, 0, 0, 1, 1])


def test_balanced_accuracy_is_the_mean_over_classes() -> None:
    assert accuracy_of(FULL, CLASSES).tolist() == [1.0, 0.875]
    assert accuracy_of(SET, CLASSES).tolist() == [0.5, 0.875]
    assert accuracy_of(SET).tolist() == SET.mean(axis=1).tolist()


def test_chance_is_the_accuracy_of_one_answer_for_every_image() -> None:
    """Three of five images are of the largest class; over three classes one answer is right in one of them."""
    labels = np.array([4, 0, 4, 2, 4])
    assert chance_of(labels, "accuracy") == 0.6
    assert chance_of(labels, "balanced_accuracy") == pytest.approx(1 / 3)


def test_the_order_of_the_images_makes_no_difference() -> None:
    order = np.random.default_rng(0).permutation(6)
    assert accuracy_of(SET[:, order], CLASSES[order]).tolist() == [0.5, 0.875]


def test_accuracies_of_classes_go_by_their_names() -> None:
    """Of 8 answers on class 0 the set's networks have 5 right, of 4 on class 1 three."""
    assert class_accuracies(SET, CLASSES, ("cats", "dogs")) == {"cats": 0.625, "dogs": 0.75}


def test_every_image_has_a_class() -> None:
    with pytest.raises(ValueError, match=r"5 classes for 6 images; expected one class for each image"):
        members(CLASSES[:5], 6)


def test_images_in_equal_classes_are_as_many_as_there_are() -> None:
    """K^2 / sum(1 / n_k): 4 / (1/90 + 1/10) = 36; three classes of 20 are 60 images."""
    assert effective_images([90, 10]) == 36
    assert effective_images([20, 20, 20]) == 60


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_unseen_rates_of_equal_classes_are_those_of_all_images(confidence: float) -> None:
    assert unseen_rate([50, 50], confidence) == pytest.approx(unseen_rate([100], confidence), rel=1e-12)
    assert unseen_rate([100], confidence) == 1 - (1 - confidence) ** 0.01


def test_unseen_rates_of_four_and_two_images() -> None:
    """With -ln .05 = 2.9957: -ln l = (2.9957 + 4 ln 4 + 2 ln 2) / 6 = 1.6545, l = .1912.

    So 1 - p is .7647 for the four images and .3824 for the two, whose product over images is .05; the mean of p is .4264.
    """
    assert unseen_rate([4, 2], 0.95) == pytest.approx(0.4264, abs=1e-4)
    assert unseen_rate([2, 4], 0.95) == unseen_rate([4, 2], 0.95)


def test_a_class_of_many_images_hides_nothing() -> None:
    """Of 2 and 1000 images only the two can hide much: 1 - p = sqrt(.05) = .2236, a mean of .3882; no p is below 0."""
    assert unseen_rate([2, 1000], 0.95) == pytest.approx((1 - math.sqrt(0.05)) / 2, abs=1e-4)


def test_the_gap_of_balanced_accuracy_has_a_variance_from_each_class() -> None:
    """Full data: .125^2 / 2 / 2 = .00390625. Set: .375^2 / 2 / 2 = .03515625. Both with one degree of freedom.

    Images of class 0 vary by .25 / 3, so .25 / 3 / 4 / 4 = .00520833 with three degrees; of class 1 by .125, so
    .125 / 2 / 4 = .015625 with one. Together .05989583; by Welch and Satterthwaite 2.385 degrees of freedom. Neither class is
    skewed, and what can go unseen is .4264.
    """
    found = gap_interval(FULL, SET, 0.95, CLASSES)
    parts = np.array([0.00390625, 0.03515625, 0.25 / 48, 0.015625])
    freedom = parts.sum() ** 2 / (parts**2 / [1, 1, 3, 1]).sum()
    assert freedom == pytest.approx(2.385, abs=1e-3)
    half = stats.t.ppf(0.95, freedom) * math.sqrt(parts.sum())
    assert half > 0.4264
    assert (found.gap, found.lower, found.upper) == pytest.approx((0.25, 0.25 - half, 0.25 + half), rel=1e-12)
    assert (found.networks, found.images) == (2, 6)


def test_a_skewed_class_widens_the_long_side() -> None:
    """In class 0 one of 40 images is lost, in class 1 none of 40: only the upper side has Johnson's correction."""
    full = np.ones((2, 80), dtype=bool)
    lost = full.copy()
    lost[:, 0] = False
    found = gap_interval(full, lost, 0.95, np.repeat([0, 1], 40))
    variance = (1 / 40) * (39 / 40) * (40 / 39) / 40 / 4
    third = ((1 / 40) * (39 / 40) ** 3 - (39 / 40) * (1 / 40) ** 3) / 40**2 / 8
    quantile = stats.t.ppf(0.95, 39)
    shift = third * (2 * quantile**2 + 1) / (6 * variance)
    assert found.upper == pytest.approx(1 / 80 + max(quantile * math.sqrt(variance) + shift, unseen_rate([40, 40], 0.95)))


def test_one_class_gives_the_bits_of_accuracy() -> None:
    generator = np.random.default_rng(3)
    full, other = (generator.random((5, 300)) < level for level in (0.8, 0.75))
    one = np.zeros(300, dtype=np.int64)
    assert gap_interval(full, other, 0.95, one) == gap_interval(full, other, 0.95)
    assert paired_gap(full, other, 0.95, one) == paired_gap(full, other, 0.95)


def test_in_the_paired_gap_of_balanced_accuracy_images_of_a_rare_class_count_more() -> None:
    """6 / (2 * 4) = .75 for an image of class 0 and 6 / (2 * 2) = 1.5 for one of class 1, so 1.5 is the worst value too.

    The means over pairs become 0 0 .375 .375 0 .75 with the sum 1.5, squares .84375 and cubes .52734375; with 1.5, 2.25 and 3.375
    of the additional image, seven images have the mean .428571, squares about it of 1.808036 and cubes of 1.026706. So the
    Dirichlet mean has the variance 1.808036 / 56 and the skewness 2 * 1.026706 / 504 / variance^1.5.

    The pairs' means are .5 and 0. All squares are 2 * .5625 + 2.25 = 3.375, about the gap 2.625, of which pairs take .75 and
    images .9375, and .9375 / 5 = .1875 is left: the pairs' variance is (.75 - .1875) / 12 = .046875.
    """
    variance = 1.808036 / 56
    skewness = 2 * 1.026706 / 504 / variance**1.5
    images = 0.428571 + math.sqrt(variance) * stats.pearson3.ppf(0.95, skewness) - 0.25
    pairs = stats.t.ppf(0.95, 1) * math.sqrt(0.046875)
    found = paired_gap(FULL, SET, 0.95, CLASSES)
    assert found.gap == 0.25
    assert found.upper == pytest.approx(0.25 + math.hypot(images, pairs), abs=1e-5)
    assert found.lower == -paired_gap(SET, FULL, 0.95, CLASSES).upper


def test_in_classes_of_equal_size_the_paired_gap_is_that_of_accuracy() -> None:
    generator = np.random.default_rng(5)
    full, other = (generator.random((4, 90)) < level for level in (0.8, 0.7))
    assert paired_gap(full, other, 0.95, np.repeat([0, 1, 2], 30)) == paired_gap(full, other, 0.95)


@pytest.mark.parametrize("bounds", [gap_interval, paired_gap])
def test_a_class_of_one_image_is_refused(bounds) -> None:
    with pytest.raises(ValueError, match=r"a class has one image only, .*; balanced accuracy needs two of every class"):
        bounds(FULL, SET, 0.95, np.array([0, 0, 0, 0, 0, 1]))


@pytest.mark.parametrize("bounds", [gap_interval, paired_gap])
def test_the_bound_holds_about_as_often_as_it_says(bounds) -> None:
    """300 repetitions of ten networks on 90 and 15 images, whose classes have gaps of .02 and .08; 90 % are 270.

    The count has a standard deviation of about 5.
    """
    generator = np.random.default_rng(7)
    classes = np.repeat([0, 1], [90, 15])
    gaps = np.array([0.02, 0.08])[classes]
    held = 0
    for _ in range(300):
        lost = (generator.random(105) < gaps)[None].repeat(10, axis=0)
        full = generator.random((10, 105)) < 0.97
        held += bounds(full, full & ~lost, 0.9, classes).upper >= 0.97 * 0.05
    assert 255 <= held
