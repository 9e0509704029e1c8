"""Table I's FLOPs: by the report's counting rule, and the correct count.

The report used thop, which counts multiply-accumulates of convolutions and linear layers, plus one for each output of an average
pool; norms and ReLU do not count. The report counted MNIST on a dummy input of 32 x 32 pixels, but its networks were trained on
28 x 28 (the first convolution pads both by 3, so the dummy input has maps of 36 x 36).
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
    # data set, network, classes, input on which the report counted, input of its networks
    ("mnist", CONVNET_3, 10, (1, 32, 32), (1, 28, 28)),
    ("mhist", CONVNET_7, 2, (3, 224, 224), (3, 224, 224)),
)


class FlopsRow(Config):
    """Table I's FLOPs of one data set, for one image, forward."""

    dataset: str
    network: str
    report_flops: str
    counted_input: str
    report_rule: int
    """By the report's rule, for the input on which it counted."""
    true_input: str
    true_rule: int
    """By the report's rule, for the true input."""
    true_macs: int
    """Only multiply-accumulates, for the true input; the number of floating-point operations is twice as large."""


def report_flops() -> list[FlopsRow]:
    """One row per data set."""
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
