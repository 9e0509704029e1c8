"""DataDAM: match spatial attention maps and embeddings of real and synthetic images under random networks.

Reference: Sajedi, Khaki, Amjadian, Liu, Lawryshyn, Plataniotis, "DataDAM: Efficient Dataset Distillation with Attention
Matching", ICCV 2023. "Report" below is a student reproduction whose Table II uses the symbols of Dataset Condensation's
bilevel loop.

| symbol       | code and YAML key   | meaning                                                          |
|--------------|---------------------|------------------------------------------------------------------|
| K            | `random_inits`      | random network initialisations                                   |
| T            | `steps_per_init`    | iterations with each initialisation                              |
| eta_S        | `lr_images`         | learning rate of the synthetic images                            |
| zeta_S       | `image_steps`       | image updates per iteration, on the same real batch              |
| eta_theta    | `lr_model`          | learning rate of the model between iterations                    |
| zeta_theta   | `model_steps`       | steps of the model on the synthetic images between iterations    |
| lambda       | `mmd_weight`        | weight of the embedding (MMD) term                               |
| p            | `attention_power`   | exponent on the absolute activation                              |
| b            | `batch_real`        | real images per class in one iteration                           |

Algorithm (K initialisations x T iterations; T = 1 is the paper's, one fresh network for every iteration):

1. draw a random network theta ~ P0;
2. draw b real images of each class, and one augmentation per class for real and synthetic images alike;
3. class means of attention maps and embeddings: of the real images without gradient, of the synthetic images with;
4. loss = scale * (sum over layers and classes of squared distances of attention means + lambda * the same for embeddings);
   `attention_weight`, 1 here, is a factor on the first term for ablations;
5. one SGD step on the synthetic images; 3 to 5 zeta_S times for the synthetic side;
6. unless a fresh network comes next: zeta_theta SGD steps of the network on the synthetic images.

With `factor` the synthetic images of 3 are the enlarged tiles of the stored ones (IDC; `core/tiles.py`). With `pool` the network
of 1 lies between initial and trained weights, and `calibration_weight` adds to 4 the cross-entropy of the synthetic images under
the trained ones (DANCE; `core/network_pool.py`).

Where the paper, its published code and the report disagree, a field decides; see `DataDAMConfig`.
Deviations: batches are drawn by an explicit generator (the published code seeds from the clock); the scored set is the last one,
or with `ema_decay` the images' moving average (`core/image_average.py`), never the best one on test images.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional

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
    train_between,
)
from raydistill.core.network_pool import networks_of
from raydistill.core.networks import build_network
from raydistill.core.selection import ClassBatches, starting_images
from raydistill.core.sgd import SGD
from raydistill.core.synthetic import SyntheticSet, hard_set
from raydistill.core.tiles import enlarge_tiles
from raydistill.methods.configs.datadam import DataDAMConfig
from raydistill.spaces.network import NetworkConfig


def attention_map(features: Tensor, power: float) -> Tensor:
    """Collapse channels into one unit-length spatial map per image.

    Args:
        features: (N, C, H, W) activations of one block.
        power: exponent on the absolute activation, the paper's p; above 0.

    Returns:
        (N, H * W) maps; each row has L2 norm 1, or is 0 where every activation is 0.

    Raises:
        ValueError: features is not four-dimensional, or power is not positive.

    Source: DataDAM (Sajedi et al., ICCV 2023), section 3.2, spatial attention mapping.
    """
    if features.ndim != 4 or power <= 0:
        raise ValueError(
            f"given features of shape {tuple(features.shape)} and power {power}: give features (N, C, H, W) and a power above 0"
        )
    return functional.normalize(_magnitude(features, power).sum(dim=1).flatten(1), dim=1)


def _magnitude(features: Tensor, power: float) -> Tensor:
    """|features| ^ power; the paper's 4 as two squares, which takes a fifth of the time of a general power on a CPU."""
    return features.square().square() if power == 4 else features.abs().pow(power)


def class_means(features: Features, classes: int, power: float) -> list[Tensor]:
    """Per-class means of what is matched: one (K, H_l * W_l) for each block but the last, then (K, E) embeddings.

    Args:
        features: of K * B images, class after class.
        classes: K.
        power: of the attention maps.
    """
    matched = [attention_map(activation, power) for activation in features.activations[:-1]]
    matched.append(features.embedding)
    return [rows.reshape(classes, -1, rows.shape[1]).mean(dim=1) for rows in matched]


def matching_loss(real: list[Tensor], synthetic: list[Tensor], config: DataDAMConfig) -> Tensor:
    """Scale * (w * L_SAM + lambda * L_MMD), a scalar; w is `attention_weight`, 1 in the paper.

    Args:
        real: class means as `class_means` gives them, without gradient.
        synthetic: the same of the synthetic images.
        config: scale, lambda and the reduction over classes.

    Source: DataDAM (Sajedi et al., ICCV 2023), section 3.2: L_SAM sums squared distances of mean attention maps over layers and
    classes, L_MMD those of mean embeddings of the last layer.
    """
    distances = [(r - s).square().sum(dim=1) for r, s in zip(real, synthetic, strict=True)]
    attention = sum(distances[:-1], torch.zeros_like(distances[-1]))
    per_class = config.attention_weight * attention + config.mmd_weight * distances[-1]
    return config.loss_scale * (per_class.sum() if config.class_reduction == "sum" else per_class.mean())


def distill(
    train: TrainPart,
    network: NetworkConfig,
    config: DataDAMConfig,
    ipc: int,
    *,
    generator: torch.Generator,
    device: torch.device,
    report: Report,
    checkpoint: Checkpoint,
) -> SyntheticSet:
    """The synthetic set after K x T x zeta_S image updates.

    Args:
        train: real images.
        network: architecture of the random networks; needs spatial blocks.
        config: see `DataDAMConfig`.
        ipc: images per class.
        generator: on the CPU; the only source of randomness. The start set is its first draw.
        device: where it computes.
        report: called after every image update, and once before the first.
        checkpoint: keeps the state; a run that was killed continues from it.

    Raises:
        DivergedError: a loss is not finite.
    """
    images = starting_images(config.init, train, network, ipc, generator, config.factor).requires_grad_()
    average = ImageAverage(images, config.ema_decay, checkpoint)
    current = hard_set(average.images, train.classes, ipc, config.factor)
    labels = current.decoded().labels
    networks = networks_of(train, network, config, generator=generator, checkpoint=checkpoint)
    optimiser = SGD([images], lr=config.lr_images, momentum=config.momentum_images)
    model = build_network(network, train.shape, train.classes, device).train()
    operations = parse_operations(config.augmentation, mirror_keeps_class=train.mirror_keeps_class)
    batches = ClassBatches(train.labels, train.classes)
    means = functools.partial(class_means, power=config.attention_power)
    iterations = config.random_inits * config.steps_per_init
    steps = iterations * config.image_steps
    watch = LossWatch()
    first = restore(checkpoint, images, optimiser, model, generator)
    if first == 0:
        report(0, steps, None, current)

    for iteration in range(first, iterations):
        if iteration % config.steps_per_init == 0:  # 1
            networks.draw(model, generator)
        model.requires_grad_(False)
        chosen = batches.draw(config.batch_real, generator).to(device, non_blocking=True)  # 2
        draw = siamese_draw(operations, train.classes, config.augmentation_draws, generator)
        real = real_features(model, train.images, chosen, draw, means)  # 3
        for image_step in range(config.image_steps):
            seen = augment_classes(enlarge_tiles(images, config.factor).unflatten(0, (train.classes, -1)), draw)
            synthetic = means(model.features(seen), train.classes)
            loss = matching_loss(real, synthetic, config)  # 4
            if config.calibration_weight:
                loss = loss + config.calibration_weight * networks.calibration(seen, labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()  # 5
            step = iteration * config.image_steps + image_step + 1
            average.update(step)
            watch.add(step, loss)
            report(step, steps, loss, current)
        if (iteration + 1) % config.steps_per_init:  # 6
            train_between(
                model,
                enlarge_tiles(images.detach(), config.factor),
                labels,
                operations,
                generator,
                lr=config.lr_model,
                steps=config.model_steps,
                batch=config.batch_model,
            )
        if checkpoint.is_due() and iteration + 1 < iterations:
            watch.check()
            state = state_of(iteration + 1, images, optimiser, model, generator)
            checkpoint.save({**state, **networks.state(), **average.state()})
    watch.check()
    return current
