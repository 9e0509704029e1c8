"""What is asked of a protocol, and which protocol takes what."""

from __future__ import annotations

from dataclasses import dataclass, fields

from raydistill.errors import InputError

OPTION_OF = {
    "networks": ("--networks", ("transfer", "continual", "nas", "cost")),
    "architectures": ("--network", ("transfer", "continual")),
    "class_steps": ("--class-steps", ("continual",)),
    "orders": ("--orders", ("continual",)),
    "distil_in_steps": ("--distil-in-steps", ("continual",)),
    "space": ("--space", ("nas",)),
    "sample": ("--sample", ("nas",)),
    "proxy_share": ("--proxy-share", ("nas",)),
}
"""Option of the command and protocols that take it, by the field of `Wanted`; every protocol takes the others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """The options of a protocol; None takes its default."""

    networks: int | None = None
    """Networks of each kind, on each source."""
    recipe: str | None = None
    controls: tuple[str, ...] | None = None
    hours: float | None = None
    """More than this is refused; `nas` makes its sample as large as fits."""
    architectures: tuple[str, ...] | None = None
    class_steps: int | None = None
    orders: int | None = None
    distil_in_steps: bool | None = None
    space: str | None = None
    sample: int | None = None
    proxy_share: float | None = None


def check_wanted(protocol: str, wanted: Wanted) -> None:
    """Refuse what the protocol does not take, and numbers out of range.

    Raises:
        InputError: an option of another protocol, or a number that is too small or too large.
    """
    for field in fields(wanted):
        option, protocols = OPTION_OF.get(field.name, ("", (protocol,)))
        if getattr(wanted, field.name) is not None and protocol not in protocols:
            raise InputError(f"{option} is for --protocol {' or '.join(protocols)}, not for {protocol}: leave it out")
    whole = {"--networks": wanted.networks, "--class-steps": wanted.class_steps, "--orders": wanted.orders}
    for option, number in (whole | {"--sample": wanted.sample}).items():
        if number is not None and number < 1:
            raise InputError(f"given {option} {number}; expected a whole number of at least 1")
    if wanted.hours is not None and wanted.hours <= 0:
        raise InputError(f"given --hours {wanted.hours:g}; expected a number above 0, such as 0.5")
    if wanted.proxy_share is not None and not 0 < wanted.proxy_share <= 1:
        raise InputError(f"given --proxy-share {wanted.proxy_share:g}; expected a number above 0 and at most 1, such as 0.25")
