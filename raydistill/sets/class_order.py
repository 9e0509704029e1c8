"""The classes of a set and of its data: both have names, and a number means nothing by itself."""

from __future__ import annotations

from raydistill.errors import InputError


def check_same_classes(theirs: tuple[str, ...], ours: tuple[str, ...], path: str) -> None:
    """Check that a set and the data that it was made from have the same classes, in the same order.

    Args:
        theirs: class names of the set, in the order of its numbers.
        ours: class names of the data.
        path: of the set, for the message.

    Raises:
        InputError: they have different ones, or the data's have been renamed among themselves.
    """
    said = f"{path} has the classes {', '.join(theirs)}, but the data has {', '.join(ours)}"
    if sorted(theirs) != sorted(ours):
        raise InputError(
            f"{said}; a set is evaluated on the classes that it was made for: give the data with these classes, or rename the "
            "class folders"
        )
    if theirs != ours:
        raise InputError(
            f"{said}: the same names for other numbers, so it is not known which of the two a number means: give the data its "
            "names back, or make the set again"
        )
