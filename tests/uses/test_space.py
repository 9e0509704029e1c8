"""The space of networks: its size, its axes, what fits, and the order of drawing."""

from __future__ import annotations

import pytest

from raydistill.errors import InputError
from raydistill.uses.space import AXES, in_drawn_order, networks_in, parse_axes

CIFAR, DIGITS = (3, 32, 32), (1, 8, 8)


def test_the_fields_space_has_720_networks() -> None:
    networks, left_out = networks_in(AXES, CIFAR)
    assert (len(networks), left_out) == (720, 0)
    assert len(set(map(repr, networks))) == 720


def test_networks_whose_pooling_leaves_nothing_of_small_images_are_left_out() -> None:
    """On 8 x 8 digits those of depth 4 with max or average pooling: 4 widths x 5 norms x 3 activations x 2."""
    networks, left_out = networks_in(AXES, DIGITS)
    assert (len(networks), left_out) == (600, 120)


def test_axes_are_replaced_one_by_one() -> None:
    axes = parse_axes("width=8,16:norm=none,batch")
    assert (axes["width"], axes["norm"], axes["depth"]) == ((8, 16), ("none", "batch"), (1, 2, 3, 4))
    assert parse_axes(None) == AXES


def test_a_larger_sample_holds_the_smaller_one() -> None:
    networks, _ = networks_in(parse_axes("width=8:depth=1,2"), DIGITS)
    drawn = in_drawn_order(networks)
    assert sorted(map(repr, drawn)) == sorted(map(repr, networks))
    assert drawn != networks
    assert drawn == in_drawn_order(networks)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "widht=8",
            r"given --space widht=8: unknown axis 'widht'; did you mean 'width'\?",
        ),
        ("width", r"'width'; expected axis=values, joined by colons: write e.g. width=8,16:depth=1,2"),
        ("width=", r"'width='; expected axis=values"),
        (
            "depth=0:pooling=mean",
            r"depth: given 0; must be at least 1; pooling: given 'mean'; allowed: ",
        ),
        ("width=wide", r"width: given the text 'wide'; expected a whole number"),
        ("width=[8,16]", r"width: given the text '\[8'; expected a whole number.*; width: given the text '16\]'; expected"),
        ("width=[8]", r"width: given \[8\]; expected a whole number"),
        ("width={a: 1}", r"width: given the text '\{a'; expected a whole number"),
        ("norm=@x", r"norm: given '@x'; allowed: "),
        ("width=2020-13-45", r"width: given the text '2020-13-45'; expected a whole number"),
        ("width=8:width=16", r"'width=16'; width is given twice: join its values by commas, as in width=8,16"),
    ],
)
def test_mistakes_in_a_space_are_named_together(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_axes(text)


def test_values_that_do_not_go_together_are_named() -> None:
    with pytest.raises(InputError, match=r"a network of the space, .*'width': 6.*: width is 6; norm: group has 4 groups"):
        networks_in(parse_axes("width=6"), DIGITS)
