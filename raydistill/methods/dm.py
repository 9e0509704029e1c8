"""DM: match the mean embeddings of real and synthetic images under random networks.

Reference: Zhao and Bilen, "Dataset Condensation with Distribution Matching", WACV 2023.

| symbol   | code and YAML key | meaning                                                   |
|----------|-------------------|-----------------------------------------------------------|
| K        | `random_inits`    | random networks, each for one update of the images        |
| eta      | `lr_images`       | learning rate of the synthetic images                     |
| abs(B)   | `batch_real`      | real images per class in one iteration                    |
| A_omega  | `augmentation`    | siamese augmentation of real and synthetic images         |
| psi      | `features`        | embedding, the input of a network's classifier            |

Algorithm, K times:

1. draw a random network theta ~ P0;
2. draw a batch of real images of each class, and one augmentation per class for real and synthetic images alike;
3. mean embeddings per class: of the real images without gradient, of the synthetic images with;
4. loss = sum over classes of the squared distance of the two means;
5. one SGD step on the synthetic images.

With `factor` the synthetic images of 3 are the enlarged tiles of the stored ones (IDC; `core/tiles.py`). With `pool` the network
of 1 lies between initial and trained weights, and `calibration_weight` adds to 4 the cross-entropy of the synthetic images under
the trained ones (DANCE; `core/network_pool.py`): so DM with both is DANCE, without its own augmentation settings.

Deviations: batches are drawn by an explicit generator (the published code seeds from the clock). With batch norm all classes pass
together, as in the published code's networks named BN; otherwise the published code passes class by class, which is the same.
The scored set is the last one, as there, or with `ema_decay` the images' moving average (`core/image_average.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from raydistill.core.choices import parse_operations
from raydistill.core.contract import Checkpoint, LossWatch, Report, TrainPart
from raydistill.core.image_average import ImageAverage
from raydistill.core.layers import Features
from raydistill.core.matching import (
    augment_classes,
    real_features,
    restore,
    siamese_draw,
    state_of,
)
from raydistill.core.network_pool import networks_of
from raydistill.core.networks import build_network
from raydistill.core.selection import ClassBatches, starting_images
from raydistill.core.sgd import SGD
from raydistill.core.synthetic import SyntheticSet, hard_set
from raydistill.core.tiles import enlarge_tiles
from raydistill.methods.configs.dm import DMConfig
from raydistill.spaces.network import NetworkConfig


def mean_embeddings(features: Features, classes: int) -> list[Tensor]:
    """One (K, E) tensor: the mean embedding of each class, of features of K * B images, class after class."""
    return [features.embedding.reshape(classes, -1, features.embedding.shape[1]).mean(dim=1)]


def embedding_loss(real: Tensor, synthetic: Tensor) -> Tensor:
    """The sum over classes of squared distances of (K, E) mean embeddings, a scalar.

    Source: DM (Zhao and Bilen, WACV 2023), the empirical estimate of the maximum mean discrepancy, class by class.
    """
    return (real - synthetic).square().sum()


def distill(
    train: TrainPart,
    network: NetworkConfig,
    config: DMConfig,
    ipc: int,
    *,
    generator: torch.Generator,
    device: torch.device,
    report: Report,
    checkpoint: Checkpoint,
) -> SyntheticSet:
    """The synthetic set after K image updates; arguments as in `datadam.distill`.

    Raises:
        DivergedError: a loss is not finite.
    """
    images = starting_images(config.init, train, network, ipc, generator, config.factor).requires_grad_()
    average = ImageAverage(images, config.ema_decay, checkpoint)
    current = hard_set(average.images, train.classes, ipc, config.factor)
    labels = current.decoded().labels
    networks = networks_of(train, network, config, generator=generator, checkpoint=checkpoint)
    optimiser = SGD([images], lr=config.lr_images, momentum=config.momentum_images)
    model = build_network(network, train.shape, train.classes, device).train().requires_grad_(False)
    operations = parse_operations(config.augmentation, mirror_keeps_class=train.mirror_keeps_class)
    batches = ClassBatches(train.labels, train.classes)
    watch = LossWatch()
    first = restore(checkpoint, images, optimiser, model, generator)
    if first == 0:
        report(0, config.random_inits, None, current)

    for step in range(first + 1, config.random_inits + 1):
        networks.draw(model, generator)  # 1
        chosen = batches.draw(config.batch_real, generator).to(device, non_blocking=True)  # 2
        draw = siamese_draw(operations, train.classes, config.augmentation_draws, generator)
        (real,) = real_features(model, train.images, chosen, draw, mean_embeddings)  # 3
        seen = augment_classes(enlarge_tiles(images, config.factor).unflatten(0, (train.classes, -1)), draw)
        (synthetic,) = mean_embeddings(model.features(seen), train.classes)
        loss = embedding_loss(real, synthetic)  # 4
        if config.calibration_weight:
            loss = loss + config.calibration_weight * networks.calibration(seen, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()  # 5
        average.update(step)
        watch.add(step, loss)
        report(step, config.random_inits, loss, current)
        if checkpoint.is_due() and step < config.random_inits:
            watch.check()
            checkpoint.save({**state_of(step, images, optimiser, model, generator), **networks.state(), **average.state()})
    watch.check()
    return current
