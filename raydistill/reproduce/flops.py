"""Table I's FLOPs under the report's counting rule, and the honest count beside it.

The rule is that of the counter the report used (thop): multiply-accumulates of convolutions and linear layers, and one for each
output of an average pool; norms and ReLU count nothing. The report counted MNIST on a dummy input of 32 x 32 pixels, though its
networks were trained on 28 x 28 (the first convolution pads both by 3, so that the dummy runs through maps of 36 x 36).
"""

from __future__ import annotations

import torch

from raydistill.core.cost import forward_macs
from raydistill.core.layers import average_pool
from raydistill.core.networks import build_network
from raydistill.reproduce.published import FLOPS_PRINTED
from raydistill.spaces.network import ConvNetConfig, Shape
from raydistill.spaces.sections import Config

CONVNET_3 = ConvNetConfig(name="convnet", depth=3, width=128)
CONVNET_7 = ConvNetConfig(name="convnet", depth=7, width=32)
COUNTED = (
    # data set, network, classes, input that the report counted on, input that its networks saw
    ("mnist", CONVNET_3, 10, (1, 32, 32), (1, 28, 28)),
    ("mhist", CONVNET_7, 2, (3, 224, 224), (3, 224, 224)),
)


class FlopsRow(Config):
    """Table I's FLOPs of one data set; one image, forward."""

    dataset: str
    network: str
    report_flops: str
    counted_input: str
    report_rule: int
    """Under the report's rule, on the input that it counted on."""
    true_input: str
    true_rule: int
    """Under the report's rule, on the true input."""
    true_macs: int
    """Multiply-accumulates alone, on the true input; twice as many floating-point operations."""


def report_flops() -> list[FlopsRow]:
    """A row per data set."""
    return [
        FlopsRow(
            dataset=dataset,
            network=f"ConvNet-{network.depth}, width {network.width}",
            report_flops=FLOPS_PRINTED[dataset],
            counted_input=_text(counted),
            report_rule=by_report_rule(network, counted, classes),
            true_input=_text(true),
            true_rule=by_report_rule(network, true, classes),
            true_macs=forward_macs(network, true, classes),
        )
        for dataset, network, classes, counted, true in COUNTED
    ]


def by_report_rule(network: ConvNetConfig, shape: Shape, classes: int) -> int:
    """Multiply-accumulates plus one per output of an average pool, for one (C, H, W) image."""
    meta = torch.device("meta")
    activations = build_network(network, shape, classes, meta).features(torch.zeros(1, *shape, device=meta)).activations
    return forward_macs(network, shape, classes) + sum(average_pool(activation).numel() for activation in activations)


def _text(shape: Shape) -> str:
    return " x ".join(map(str, shape))
