"""Networks written on one line: defaults, the set's own network, and the messages about mistakes."""

from __future__ import annotations

import pytest

from raydistill.errors import InputError
from raydistill.spaces.network import ConvNetConfig, MLPConfig, NetworkConfig, ResNet18Config
from raydistill.spaces.network_names import network_text, parse_networks

OWN = ConvNetConfig(name="convnet", depth=2, width=32)
MNIST = (1, 28, 28)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("mlp", MLPConfig(name="mlp")),
        ("mlp:width=16", MLPConfig(name="mlp", width=16)),
        ("resnet18:norm=batch", ResNet18Config(name="resnet18", norm="batch")),
        ("convnet", OWN),
        ("convnet:norm=batch", ConvNetConfig(name="convnet", depth=2, width=32, norm="batch")),
        ("convnet:depth=3:width=8", ConvNetConfig(name="convnet", depth=3, width=8)),
    ],
)
def test_a_name_stands_for_its_defaults_and_the_sets_own_name_for_its_fields(text: str, network: NetworkConfig) -> None:
    assert parse_networks([text], OWN, MNIST) == [network]


def test_a_convnet_beside_a_set_of_an_mlp_has_its_defaults() -> None:
    assert parse_networks(["convnet"], MLPConfig(name="mlp"), MNIST) == [ConvNetConfig(name="convnet")]


def test_networks_come_in_order_and_each_once() -> None:
    assert [network.name for network in parse_networks(["vgg11", "mlp", "vgg11"], OWN, MNIST)] == ["vgg11", "mlp"]


def test_a_field_at_its_default_is_written_out() -> None:
    """Beside a set whose own network has other values, the text would otherwise read as these."""
    own = ConvNetConfig(name="convnet", activation="leaky_relu", pooling="max")
    plain = ConvNetConfig(name="convnet", activation="relu", pooling="average")
    assert parse_networks([network_text(plain)], own, MNIST) == [plain]


@pytest.mark.parametrize("network", [OWN, MLPConfig(name="mlp", width=3), ResNet18Config(name="resnet18", norm="batch")])
def test_what_is_written_is_read_again(network: NetworkConfig) -> None:
    assert parse_networks([network_text(network)], MLPConfig(name="mlp"), MNIST) == [network]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resnet", r"network 'resnet': unknown name 'resnet'; did you mean 'resnet18'\? Allowed: alexnet, convnet, lenet"),
        ("convnet:depth", r"network 'convnet:depth': option 'depth'; expected key=value, joined by colons: write e.g."),
        ("convnet:dept=3", r"unknown option 'dept'; did you mean 'depth'\? Allowed: activation, depth, norm, pooling, width"),
        ("convnet:name=mlp", r"unknown option 'name'; "),
        ("lenet:norm=batch", r"option 'norm'; lenet has no options: remove it"),
        ("convnet:depth=two", r"depth given the text 'two'; expected a whole number"),
        ("convnet:depth=[2", r"depth given the text '\[2'; expected a whole number"),
        ("convnet:width=6:norm=group", r"width is 6; norm: group has 4 groups"),
        ("vgg11:norm=layer", r"norm given 'layer'; allowed: 'instance' or 'batch'"),
        ("convnet:depth=8", r"network 'convnet:depth=8': given 8; images of 28 x 28 pixels allow at most 5: lower it"),
    ],
)
def test_mistakes_are_reported_with_the_text_and_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_networks([text], OWN, MNIST)


def test_all_mistakes_come_together() -> None:
    with pytest.raises(InputError, match=r"network 'mpl': .*; network 'convnet:depth=9': depth given 9; must be at most 8"):
        parse_networks(["mpl", "mlp", "convnet:depth=9"], OWN, MNIST)
