"""Controls that learn nothing: train images chosen at random, by k-center, by herding or by k-means.

References: random choice is every paper's control. K-center: Sener and Savarese, "Active Learning for Convolutional Neural
Networks: A Core-Set Approach", ICLR 2018, greedy form. Herding: Welling, "Herding Dynamical Weights to Learn", ICML 2009, in the
greedy form of iCaRL (Rebuffi et al., CVPR 2017). K-means: Lloyd, "Least squares quantization in PCM", IEEE Transactions on
Information Theory 28(2), 1982, in each class. As in Dataset Condensation's rows, features come from a network trained on the
whole train part; here it is the study's network, trained by the default recipe.

Each is a way to start a distillation, used as a method: under the same seed `random` gives the images that a method with
`init: real` starts from, so the two compare in pairs.

With `factor` f, f^2 times as many images are chosen by the same rule, made small and packed f x f into each stored image
(`core/tiles.py`): equal bytes, more images of fewer pixels.

Algorithm: 1. choose IPC train images of each class; 2. report them as the set after 0 of 0 steps.
"""

from __future__ import annotations

import torch

from raydistill.core.contract import Checkpoint, Report, TrainPart
from raydistill.core.selection import starting_images
from raydistill.core.synthetic import SyntheticSet, hard_set
from raydistill.methods.configs.coreset import HerdingConfig, KCenterConfig, KMeansConfig, KMeansMedoidsConfig, RandomConfig
from raydistill.methods.configs.fields import hard_name
from raydistill.spaces.network import NetworkConfig


def start_of(config: RandomConfig | KCenterConfig | HerdingConfig | KMeansConfig | KMeansMedoidsConfig) -> str:
    """Which `core.choices.Start`, or key of its `CORESETS`, a control's images are; with soft labels they are the same."""
    name = hard_name(config.name)
    how = "real" if name == "random" else name
    return f"{how}_features" if getattr(config, "space", None) == "features" else how


def choose(
    train: TrainPart,
    network: NetworkConfig,
    config: RandomConfig | KCenterConfig | HerdingConfig | KMeansConfig | KMeansMedoidsConfig,
    ipc: int,
    *,
    generator: torch.Generator,
    device: torch.device,
    report: Report,
    checkpoint: Checkpoint,
) -> SyntheticSet:
    """The chosen images as a set; arguments as in `datadam.distill`.

    A killed choice starts again: it is one draw, or one training.
    """
    del checkpoint, device
    images = starting_images(start_of(config), train, network, ipc, generator, config.factor)
    synthetic = hard_set(images, train.classes, ipc, config.factor)
    report(0, 0, None, synthetic)
    return synthetic
