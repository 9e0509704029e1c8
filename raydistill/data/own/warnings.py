"""What a person should know about images that can be used as they are; nothing here stops a search."""

from __future__ import annotations

from collections.abc import Iterator

from raydistill.data.own.decode import SIXTEEN_BITS
from raydistill.data.own.report import DataReport
from raydistill.spaces.sections import ImageFolderConfig

IMBALANCED = 2.0
"""Ratio of the largest class to the smallest from which it is worth a line."""
LITTLE_OF_THE_RANGE = 0.5
"""A largest value below this part of the range leaves half of the 256 levels unused."""


def warnings_of(report: DataReport, config: ImageFolderConfig) -> Iterator[str]:
    """Sentences about images that a search takes, but perhaps not as they were meant."""
    yield from _of_classes(report, config)
    yield from _of_values(report, config)
    several = report.conversions.get("first_frame_of_several", 0)
    if several:
        yield f"Files with several frames or pages: {several:,}. Only the first is used; save the others as files of their own"
    yield from _of_twins(report)
    if report.left_out:
        yield f"Unusable images, left out (on_bad: skip): {len(report.left_out):,}, such as {report.left_out[0]}"


def _of_classes(report: DataReport, config: ImageFolderConfig) -> Iterator[str]:
    names = report.classes
    are_numbers = all(name.isdecimal() for name in names) and len({len(name) for name in names}) > 1
    if are_numbers and config.classes is None:
        listed = ", ".join(names[:12]) + (", .." if len(names) > 12 else "")
        ordered = ", ".join(repr(name) for name in sorted(names, key=int))
        yield (
            f"The names of the classes are numbers of different widths, and their order is {listed}. For another order write "
            f"classes: [{ordered}]"
        )
    if report.imbalance is not None and report.imbalance >= IMBALANCED:
        of_class = report.of_class
        most, least = max(of_class, key=of_class.__getitem__), min(of_class, key=of_class.__getitem__)
        yield (
            f"The classes differ in size: {most} has {of_class[most]:,} images, {least} has {of_class[least]:,}. Accuracy counts "
            "images, so large classes weigh more; metric: balanced_accuracy in the goal section weighs classes alike"
        )


def _of_values(report: DataReport, config: ImageFolderConfig) -> Iterator[str]:
    if report.conversions.get("scaled_from_16_bits") and report.values and report.values[1] < LITTLE_OF_THE_RANGE * SIXTEEN_BITS:
        low, high = report.values
        yield (
            f"The values of 16-bit images go from {low:g} to {high:g}, and are scaled from 0 to {SIXTEEN_BITS:g}, which makes "
            f"them dark. Write value_range: [{low:g}, {high:g}] to use all of 256 levels, or the range that your camera has"
        )
    if config.value_range is not None and report.values is None and report.is_fine:
        yield "value_range is given, but no image has more than 8 bits, so it changes nothing: leave it out"


def _of_twins(report: DataReport) -> Iterator[str]:
    twins = report.twins
    if twins is not None and twins.across:
        yield (
            f"Select, confirm and test images with a twin in the train part: {twins.across:,}. Accuracies come out too high; "
            "write duplicates: drop to take those twins out of the train part"
        )
    elif twins is not None and twins.total:
        yield f"Images with a twin: {twins.total:,}, none of them in the train part with the twin in another part"
