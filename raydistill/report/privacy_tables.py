"""The table of what a set shows of the train images, and the sentence above it."""

from __future__ import annotations

from typing import Any

from raydistill.report.use_words import of_the_set, source_words
from raydistill.uses.membership import CONFIDENCE, Auc
from raydistill.uses.nearness import QUANTILES, Nearness
from raydistill.uses.values import PrivacyArm, PrivacyResult


def privacy_rows(result: PrivacyResult) -> list[dict[str, Any]]:
    """For scripts a row per source."""
    return [_row(arm) for arm in result.arms]


def _row(arm: PrivacyArm) -> dict[str, Any]:
    row: dict[str, Any] = {"source": arm.source, "images": arm.images, "copies": arm.copies}
    for name, found in (("pixel", arm.pixel), ("feature", arm.feature)):
        for whose, values in (("synthetic", found.synthetic), ("real", found.real)):
            row |= {f"{name}_{whose}_q{100 * at:02.0f}": value for at, value in zip(QUANTILES, values, strict=True)}
        row[f"{name}_nearer_fraction"] = found.nearer_fraction
    for name, area in (("distance", arm.by_distance), ("loss", arm.by_loss)):
        row |= {f"auc_by_{name}": area.value, f"auc_by_{name}_low": area.low, f"auc_by_{name}_high": area.high}
    return row


def privacy_people(result: PrivacyResult) -> list[dict[str, str]]:
    """A row per source."""
    return [
        {
            "source": source_words(arm.source),
            "images": str(arm.images),
            "copies of train images": str(arm.copies),
            "distance in pixels": ratio_words(arm.pixel),
            "distance in features": ratio_words(arm.feature),
            "AUC by distance": auc_words(arm.by_distance),
            "AUC by loss": auc_words(arm.by_loss),
        }
        for arm in result.arms
    ]


def ratio_words(found: Nearness) -> str:
    """Median distance over that of real images, with the 5 % and the 95 % quantile."""
    if found.ratios is None:
        return "none: half of the held-out images are train images"
    low, middle, high = (found.ratios[QUANTILES.index(at)] for at in (0.05, 0.5, 0.95))
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def auc_words(found: Auc) -> str:
    """An area with its interval."""
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def privacy_head(result: PrivacyResult) -> str:
    """What the table shows."""
    half = "" if result.drawn_unlike else " (0.5: they tell nothing)"
    return (
        "Privacy: distance of each image to its nearest train image over the median of that distance of held-out real images, as "
        f"median (5 % to 95 % quantile), and the area under the ROC curve of two scores that tell {result.train_images} train "
        f"images from {result.held_out_images} held-out ones, with {100 * CONFIDENCE:g} % intervals{half}; "
        f"{of_the_set(result.about)}.{unlike_sentence(result)} {copies_sentence(result)}"
    )


def unlike_sentence(result: PrivacyResult) -> str:
    """That areas are not to be compared with 0.5 where members and others were not drawn alike; begins with a space."""
    if not result.drawn_unlike:
        return ""
    return f" Members and others were not drawn alike ({', '.join(result.drawn_unlike)}), so 0.5 is not a coin here."


def copies_sentence(result: PrivacyResult) -> str:
    """Which sources hold train images as they are, and what the figures are not."""
    holders = [f"{source_words(arm.source)} ({arm.copies} of {arm.images})" for arm in result.arms if arm.copies]
    held = (
        f"Train images, as they are or rounded to 8 bits, whose membership is certain, are in {', '.join(holders)}. "
        if holders
        else ""
    )
    return f"{held}None of this is a proof of privacy: another attack may tell more."
