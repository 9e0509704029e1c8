"""DC and DSA: match the gradients that real and synthetic images give a network while it trains on the synthetic ones.

References: Zhao, Mopuri and Bilen, "Dataset Condensation with Gradient Matching", ICLR 2021 (DC: `augmentation: none`); Zhao and
Bilen, "Dataset Condensation with Differentiable Siamese Augmentation", ICML 2021 (DSA: `augmentation: dsa`).

| symbol       | code and YAML key   | meaning                                                          |
|--------------|---------------------|------------------------------------------------------------------|
| K            | `random_inits`      | random network initialisations, the code's "iterations"          |
| T            | `steps_per_init`    | iterations with each initialisation, the code's "outer loop"     |
| eta_S        | `lr_images`         | learning rate of the synthetic images                            |
| zeta_S       | `image_steps`       | image updates per iteration, on the same real batch              |
| eta_theta    | `lr_model`          | learning rate of the model between iterations                    |
| zeta_theta   | `model_steps`       | steps of the model on the synthetic images, the "inner loop"     |
| abs(B_c)     | `batch_real`        | real images per class in one iteration                           |
| D            | `gradient_distance` | distance of two gradients                                        |

Algorithm (K initialisations x T iterations):

1. draw a random network theta ~ P0;
2. draw a batch of real images of each class, and one augmentation per class for real and synthetic images alike;
3. for each class: the gradient of the cross-entropy of its real images, and that of its synthetic images, for all weights;
4. loss = sum over classes of D of the two;
5. one SGD step on the synthetic images; 3 to 5 zeta_S times for the synthetic side;
6. unless a fresh network comes next: zeta_theta SGD steps of the network on the synthetic images.

With `factor` the synthetic images of 3 are the enlarged tiles of the stored ones (IDC; `core/tiles.py`). With `pool` the network
of 1 lies between initial and trained weights, and `calibration_weight` adds to 4 the mean cross-entropy of the synthetic images
under the trained ones (DANCE; `core/network_pool.py`). Like a pool, IDC matches under networks that learn from real images.

Where paper and code differ: the paper sums one minus the cosine over output units of every layer; the code leaves out parameters
with one dimension (biases, most norms), and so does this file. Both count the inner loop in epochs over the synthetic images, in
batches of 256: up to 256 images an epoch is one step, above it `model_steps` counts steps here. Published pairs of T and
zeta_theta are 1/1 at IPC 1, 10/50 at IPC 10, 50/10 at IPC 50.
Deviations: batches are drawn by an explicit generator; networks with batch norm are refused (the code freezes statistics of 16
real images per class; published numbers use instance norm); the scored set is the last one, or
with `ema_decay` the images' moving average (`core/image_average.py`), while networks train on the images themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from raydistill.core.augment import Draw, place
from raydistill.core.choices import parse_operations
from raydistill.core.contract import Checkpoint, LossWatch, Report, TrainPart
from raydistill.core.image_average import ImageAverage
from raydistill.core.matching import (
    augment_classes,
    restore,
    siamese_draw,
    state_of,
    train_between,
)
from raydistill.core.network_pool import networks_of
from raydistill.core.networks import Network, build_network
from raydistill.core.selection import ClassBatches, starting_images
from raydistill.core.sgd import SGD
from raydistill.core.synthetic import SyntheticSet, hard_set
from raydistill.core.tiles import enlarge_tiles
from raydistill.methods.configs.dc import DCConfig
from raydistill.spaces.network import NetworkConfig


def weight_gradients(model: Network, images: Tensor, label: int, *, keep_graph: bool) -> tuple[Tensor, ...]:
    """Gradients of the mean cross-entropy of images of one class, for every parameter that has rows.

    That is all weights of layers, and of the norms layer norm's alone; no biases.

    Args:
        model: its weights need gradients.
        images: (B, C, H, W), all of one class.
        label: that class.
        keep_graph: whether the gradients are to be differentiated in the images.
    """
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    labels = torch.full((len(images),), label, device=images.device)
    return torch.autograd.grad(functional.cross_entropy(model(images), labels), weights, create_graph=keep_graph)


def gradient_distance(real: Sequence[Tensor], synthetic: Sequence[Tensor]) -> Tensor:
    """The sum over weights and their rows of 1 - cosine of the two gradients of a row, a scalar.

    A row is all that leads into one output unit or channel. A row without a gradient counts 1.

    Source: DC (Zhao et al., ICLR 2021), the layerwise distance of its gradient matching, with the code's 1e-6 in the denominator.
    """
    total = real[0].new_zeros(())
    for a, b in zip(real, synthetic, strict=True):
        a, b = a.flatten(1), b.flatten(1)
        cosine = (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1) + 1e-6)
        total = total + (1 - cosine).sum()
    return total


def matching_gradient(
    model: Network,
    images: Tensor,
    real: Sequence[Sequence[Tensor]],
    draw: Draw | None,
    factor: int = 1,
    calibrate: Callable[[Tensor, int], Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """The loss over all classes, a scalar, and its gradient for the (K * IPC, C, H, W) images.

    One class at a time, so that one class's second-order graph is in memory.

    Args:
        model: its weights need gradients.
        images: class after class; K of the length of `real`.
        real: per class the weight gradients of its real images.
        draw: the augmentation of each class.
        factor: of the stored images, whose enlarged tiles are matched.
        calibrate: what is added to a class's loss, from its images as the network sees them and the class; None for nothing.
    """
    losses: list[Tensor] = []
    gradients: list[Tensor] = []
    for c, own in enumerate(images.detach().chunk(len(real))):
        own = own.clone().requires_grad_()
        seen = augment_classes(enlarge_tiles(own, factor).unsqueeze(0), draw and draw.part(slice(c, c + 1)))
        loss = gradient_distance(real[c], weight_gradients(model, seen, c, keep_graph=True))
        if calibrate is not None:
            loss = loss + calibrate(seen, c)
        gradients += torch.autograd.grad(loss, [own])
        losses.append(loss.detach())
    return torch.stack(losses).sum(), torch.cat(gradients)


def distill(
    train: TrainPart,
    network: NetworkConfig,
    config: DCConfig,
    ipc: int,
    *,
    generator: torch.Generator,
    device: torch.device,
    report: Report,
    checkpoint: Checkpoint,
) -> SyntheticSet:
    """The synthetic set after K x T x zeta_S image updates; arguments as in `datadam.distill`.

    Raises:
        DivergedError: a loss is not finite.
    """
    images = starting_images(config.init, train, network, ipc, generator, config.factor)
    average = ImageAverage(images, config.ema_decay, checkpoint)
    current = hard_set(average.images, train.classes, ipc, config.factor)
    labels = current.decoded().labels
    networks = networks_of(train, network, config, generator=generator, checkpoint=checkpoint)

    def calibrate(seen: Tensor, label: int) -> Tensor:
        own = torch.full((len(seen),), label, device=device)
        return config.calibration_weight / train.classes * networks.calibration(seen, own)

    optimiser = SGD([images], lr=config.lr_images, momentum=config.momentum_images)
    model = build_network(network, train.shape, train.classes, device).train()
    operations = parse_operations(config.augmentation, mirror_keeps_class=train.mirror_keeps_class)
    batches = ClassBatches(train.labels, train.classes)
    iterations = config.random_inits * config.steps_per_init
    steps = iterations * config.image_steps
    watch = LossWatch()
    first = restore(checkpoint, images, optimiser, model, generator)
    if first == 0:
        report(0, steps, None, current)

    for iteration in range(first, iterations):
        if iteration % config.steps_per_init == 0:  # 1
            networks.draw(model, generator)
        chosen = batches.draw(config.batch_real, generator).to(device, non_blocking=True)  # 2
        draw = siamese_draw(operations, train.classes, config.augmentation_draws, generator)
        draw = draw and place(draw, images)
        real = []
        for c, row in enumerate(chosen):  # 3
            seen = augment_classes(train.images[row].unsqueeze(0), draw and draw.part(slice(c, c + 1)))
            real.append(weight_gradients(model, seen, c, keep_graph=False))
        for image_step in range(config.image_steps):
            extra = calibrate if config.calibration_weight else None
            loss, images.grad = matching_gradient(model, images, real, draw, config.factor, extra)  # 3, 4
            optimiser.step()  # 5
            step = iteration * config.image_steps + image_step + 1
            average.update(step)
            watch.add(step, loss)
            report(step, steps, loss, current)
        if (iteration + 1) % config.steps_per_init:  # 6
            train_between(
                model,
                enlarge_tiles(images, config.factor),
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
