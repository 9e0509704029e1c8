"""All that is known about a person's images before anything is trained: each image, their division into parts, and twins."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from raydistill.data.datasets import place_of_images
from raydistill.data.own.check import divided, not_divided, proposed_size
from raydistill.data.own.kept_reports import checked
from raydistill.data.own.listing import listing
from raydistill.data.own.refusal import refusal_lines
from raydistill.data.own.report import DataReport
from raydistill.data.own.words import decision_lines
from raydistill.data.splits import load_splits, train_twins
from raydistill.errors import DataError
from raydistill.spaces.sections import ImageFolderConfig
from raydistill.storage.data_root import DataRoot


def _nobody(done: int, total: int) -> None:
    """Ignore the progress."""


def inspect_images(
    config: ImageFolderConfig,
    data_root: DataRoot = None,
    *,
    is_size_proposed: bool = False,
    tell: Callable[[int, int], object] = _nobody,
) -> DataReport:
    """Look at all images, divide them and look for twins.

    Of the test images counts leave this function, and what `train_twins` says; it does not count as an opening.

    Args:
        config: how the images are read.
        data_root: folder or URI of the data files.
        is_size_proposed: whether the config's size is that of `size_for`.
        tell: is told now and then how many images of how many have been looked at.

    Raises:
        DataError: nothing lies at the path, or it is of no known layout; every other problem is in the report.
    """
    place = place_of_images(config, data_root)
    report = checked(listing(config, place), config, place, is_size_proposed=is_size_proposed, tell=tell)
    if not report.is_fine:
        return report
    try:
        load_splits(config, data_root)
        return divided(report, config, train_twins(config, data_root).counts)
    except DataError as error:
        return not_divided(report, str(error))


def size_for(config: ImageFolderConfig, data_root: DataRoot = None) -> int:
    """A size that nearly all images of a path have, for a config whose own size does not matter.

    Raises:
        DataError: nothing lies at the path, or it is of no known layout.
    """
    return proposed_size(listing(config, place_of_images(config, data_root)).items)


def with_every_problem(config: ImageFolderConfig, data_root: DataRoot, error: DataError) -> DataError:
    """An error that names every problem of the images, for one that was met first; the same error where it is the only one."""
    try:
        report = inspect_images(config, data_root)
    except DataError:
        return error
    return error if sum(group.count for group in report.problems) < 2 else refused(report)


def refused(report: DataReport, settings: Sequence[str] = ()) -> DataError:
    """The error that names every problem of a report, and what its owner can decide.

    Args:
        report: of images with problems.
        settings: `field=value` that were given with `--set`, and that the command which shows more needs again.
    """
    words = ["raydistill", "data", "check", report.path, *(word for setting in settings for word in ("--set", setting))]
    more = f"  `{shlex.join(words)}` shows the same and more."
    return DataError("\n".join([*refusal_lines(report.path, report.problems), *decision_lines(report), more]))
