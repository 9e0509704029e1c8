"""Parts that the matching methods share: siamese augmentation, features of real images, model steps, the saved state.

Symbols: K classes, b real images per class, IPC synthetic images per class; images (N, C, H, W).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from raydistill.core.augment import Draw, augment, augment_images, draw_one_operation, draw_per_group, place_steps
from raydistill.core.choices import AugmentationDraws
from raydistill.core.contract import Checkpoint
from raydistill.core.layers import Features
from raydistill.core.networks import Network
from raydistill.core.sgd import SGD
from raydistill.core.train import draw_batches

REAL_CHUNK = 64
"""Real images in one forward pass on a CPU: their activations stay in the cache, which saves up to a quarter of the time."""
REAL_CHUNK_ON_GPU = 1024
"""The same on other devices: few launches, and 1.3 GB at width 128 with 28 x 28 pixels."""


def siamese_draw(operations: tuple[str, ...], classes: int, draws: AugmentationDraws, generator: torch.Generator) -> Draw | None:
    """The augmentation of one iteration, the same for real and synthetic images; None for no augmentation."""
    if not operations:
        return None
    if draws == "per_class":
        return draw_per_group(operations, classes, generator)
    one = draw_per_group(operations, 1, generator)
    return Draw(operations=one.operations * classes, numbers=one.numbers.expand(classes, -1))


def augment_classes(images: Tensor, draw: Draw | None) -> Tensor:
    """Augment (K, B, C, H, W) images, each class with its own draw; returns (K * B, C, H, W) images, ordered by class."""
    return (augment(images, draw) if draw else images).flatten(0, 1)


@torch.no_grad()
def real_features(
    model: Network, images: Tensor, chosen: Tensor, draw: Draw | None, read: Callable[[Features, int], list[Tensor]]
) -> list[Tensor]:
    """What a method reads from the features of real images, class after class: their class means, for most.

    Works in chunks of whole classes, which does not change the result for normalisation per image. Batch norm computes its
    statistics over all classes, as in the published code, so it needs a single pass.

    Args:
        model: network whose features are read.
        images: (N, C, H, W) real images.
        chosen: (K, b) indices of the images of each class.
        draw: augmentation; None for none.
        read: given features and their number of classes K, tensors whose first dimension is K.
    """
    needs_all = any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    chunk = REAL_CHUNK if images.device.type == "cpu" else REAL_CHUNK_ON_GPU
    classes = len(chosen) if needs_all else max(1, chunk // chosen.shape[1])
    parts: list[list[Tensor]] = []
    for start in range(0, len(chosen), classes):
        part = slice(start, min(start + classes, len(chosen)))
        batch = images[chosen[part]]
        parts.append(read(model.features(augment_classes(batch, draw and draw.part(part))), len(batch)))
    return [torch.cat(rows) for rows in zip(*parts, strict=True)]


def train_between(
    model: Network,
    images: Tensor,
    labels: Tensor,
    operations: tuple[str, ...],
    generator: torch.Generator,
    *,
    lr: float,
    steps: int,
    batch: int,
) -> None:
    """Train the model with plain SGD on the synthetic images, with the augmentation of the distillation but drawn per image."""
    model.requires_grad_(True)
    optimiser = SGD(model.parameters(), lr=lr)
    for chosen, draw in drawn_steps(len(images), batch, steps, operations, images, generator):
        loss = functional.cross_entropy(model(augment_images(images[chosen], draw)), labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def drawn_steps(
    count: int, batch: int, steps: int, operations: tuple[str, ...], like: Tensor, generator: torch.Generator
) -> list[tuple[Tensor, Draw | None]]:
    """Batches of a model's steps on `count` images, as indices, and the augmentation of each, drawn per image.

    Args:
        count: number of images.
        batch: images of a step; all of them where there are fewer.
        steps: number of steps.
        operations: of the augmentation; none for plain images.
        like: (..., H, W) of the images' size, type and device, where the result lies.
        generator: on the CPU.
    """
    batches = draw_batches(count, batch, generator)
    drawn: list[tuple[Tensor, Draw | None]] = []
    for _ in range(steps):
        chosen = next(batches)
        drawn.append((chosen, draw_one_operation(operations, len(chosen), generator) if operations else None))
    return place_steps(drawn, like)


def state_of(done: int, images: Tensor, optimiser: SGD, model: Network, generator: torch.Generator) -> Mapping[str, Tensor]:
    """The state from which the iterations after the first `done` ones can continue."""
    (momentum,) = optimiser.buffers
    return {
        "done": torch.tensor(done),
        "images": images.detach(),
        "generator": generator.get_state(),
        "momentum": torch.zeros_like(images) if momentum is None else momentum,
        **{f"model.{name}": value for name, value in model.state_dict().items()},
    }


def restore(checkpoint: Checkpoint, images: Tensor, optimiser: SGD, model: Network, generator: torch.Generator) -> int:
    """Restore the last saved state; returns the number of iterations done, 0 if nothing is saved."""
    state = checkpoint.load()
    if state is None:
        return 0
    with torch.no_grad():
        images.copy_(state["images"])
    if optimiser.momentum:
        optimiser.buffers = [state["momentum"].to(images.device)]
    model.load_state_dict({name.removeprefix("model."): value for name, value in state.items() if name.startswith("model.")})
    generator.set_state(state["generator"])
    return int(state["done"])
