"""How often the loops wait for the device, copy to it and launch kernels: nobody adds an `.item()` to a loop unseen.

The table is what one step asks of the device under PyTorch 2.14. Tests allow a quarter more kernels: under 2.11 a gradient of
gradients takes a fifth more. Kernels are operators that are neither views nor allocations; on a GPU one may launch several.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pretend_device
import pytest
import torch
from pretend_device import Counts, counted
from short_runs import BILEVEL, EXPERT, MATCHED, NCFM, TRAJECTORY, RandomExperts, distil, part_on
from three_classes import NETWORK

from raydistill.core.batch_augment import MAKERS, batch_augmentation
from raydistill.core.experts import train_expert
from raydistill.core.networks import build_network, initialise
from raydistill.core.recipes import RECIPES
from raydistill.core.selection import herding, k_center
from raydistill.core.soft_labels import soft_labels
from raydistill.core.train import is_correct, train, train_together
from raydistill.data.preprocess import Standardise

MORE_KERNELS = 1.25
Measure = Callable[[torch.device], tuple[Counts, int]]
"""What some steps asked of the device, and their number."""


@dataclass(frozen=True, slots=True)
class Most:
    """What one step may ask of the device, on average."""

    waits: float
    copies: float
    kernels: float


def of_method(name: str, fields: dict[str, Any]) -> Measure:
    """A method's steps from its first report to its last."""

    def measure(device: torch.device) -> tuple[Counts, int]:
        seen: list[tuple[int, Counts]] = []
        distil(name, fields, device, report=lambda step, *_, **__: seen.append((step, pretend_device.COUNTS.copy())), saves=False)
        (first, before), (last, after) = seen[0], seen[-1]
        return after - before, last - first

    return measure


def of_longer(run: Callable[[torch.device, int], Any]) -> Measure:
    """The steps by which a run of six is longer than one of two; what is done once goes out."""

    def measure(device: torch.device) -> tuple[Counts, int]:
        short, long = (counted(partial(run, device, steps)) for steps in (2, 6))
        return long - short, 4

    return measure


def trained(device: torch.device, steps: int, augmentation: str = "dsa") -> None:
    """A network trained on thirty images in batches of ten, as an evaluation trains it."""
    part, generator = part_on(device), torch.Generator().manual_seed(0)
    network = build_network(NETWORK, part.shape, part.classes, device)
    initialise(network, generator)
    recipe = replace(RECIPES["plain"], steps=steps, batch=10, augmentation="dsa" if augmentation in MAKERS else augmentation)
    space = Standardise(mean=(0.5,), std=(0.2,))
    augment = batch_augmentation(augmentation, space, (8, 8), mirror_keeps_class=False) if augmentation in MAKERS else None
    train(network, part.images, part.labels.to(device), recipe, generator, mirror_keeps_class=False, augment=augment)


def trained_together(device: torch.device, steps: int) -> None:
    """Three networks at once."""
    part, generators = part_on(device), [torch.Generator().manual_seed(seed) for seed in range(3)]
    networks = [build_network(NETWORK, part.shape, part.classes, device) for _ in generators]
    for network, generator in zip(networks, generators, strict=True):
        initialise(network, generator)
    recipe = replace(RECIPES["plain"], steps=steps, batch=10, augmentation="dsa")
    train_together(networks, part.images, part.labels.to(device), recipe, generators, mirror_keeps_class=False)


def chosen_by(select: Callable[..., torch.Tensor]) -> Measure:
    """The choice of one image more in each of three classes."""
    return of_longer(lambda device, ipc: select(part_on(device).images.flatten(1), part_on(device).labels, 3, ipc))


def labelled(device: torch.device, experts: int) -> None:
    """Six images labelled by experts."""
    few = RandomExperts(experts)
    part = part_on(device)
    soft_labels(few, NETWORK, part, part.images[:6], part.labels[:6])


def expert_trained(device: torch.device, steps: int, **changes: Any) -> None:
    """An expert with an epoch of one batch for each step."""
    train_expert(part_on(device), EXPERT.model_copy(update={"epochs": steps, "batch": 30, **changes}), 0, (), None, device)


TABLE: dict[str, tuple[Measure, Most]] = {
    "datadam": (of_method("datadam", MATCHED), Most(0, 4, 141)),
    "datadam, bilevel": (of_method("datadam", BILEVEL), Most(0, 4, 168)),
    "dm": (of_method("dm", MATCHED), Most(0, 4, 87)),
    "ncfm": (of_method("ncfm", NCFM), Most(0, 4, 232)),
    "dc": (of_method("dc", BILEVEL), Most(0, 3, 1019)),
    "datm": (of_method("datm", TRAJECTORY), Most(2, 2, 712)),
    "datm, full": (of_method("datm", {**TRAJECTORY, "gradient": "full"}), Most(2, 2, 608)),
    "datm, tesla": (of_method("datm", {**TRAJECTORY, "gradient": "tesla"}), Most(2, 2, 662)),
    "pad": (of_method("pad", TRAJECTORY), Most(2, 2, 718)),
    "evaluation": (of_longer(trained), Most(0, 2, 35)),
    "evaluation, no augmentation": (of_longer(partial(trained, augmentation="none")), Most(0, 1, 31)),
    # What torchvision asks for depends on the transform that it draws.
    **{f"evaluation, {name}": (of_longer(partial(trained, augmentation=name)), Most(10, 5, 100)) for name in MAKERS},
    "evaluation, 3 networks at once": (of_longer(trained_together), Most(0, 2, 71)),
    "expert": (of_longer(expert_trained), Most(1, 1, 120)),
    "expert, plain SGD": (of_longer(partial(expert_trained, rho=0.0)), Most(1, 1, 30)),
    "k_center, an image of each class": (chosen_by(k_center), Most(0, 0, 21)),
    "herding, an image of each class": (chosen_by(herding), Most(0, 0, 21)),
    "soft labels, an expert": (of_longer(labelled), Most(0, 1, 10)),
}


@pytest.mark.parametrize("what", TABLE)
def test_a_step_asks_no_more_of_the_device_than_the_table_allows(what: str, device: torch.device) -> None:
    measure, most = TABLE[what]
    counts, steps = measure(device)
    assert steps > 0
    assert counts.waits.total() <= most.waits * steps, f"{counts.waits} in {steps} steps"
    assert counts.copies <= most.copies * steps
    assert counts.kernels.total() <= MORE_KERNELS * most.kernels * steps, f"{counts.kernels} in {steps} steps"


def test_accuracy_is_read_with_one_wait(device: torch.device) -> None:
    part = part_on(device)
    labels = part.labels.to(device)
    network = build_network(NETWORK, part.shape, part.classes, device)
    initialise(network, torch.Generator().manual_seed(0))
    assert counted(lambda: is_correct(network, part.images, labels, chunk=7)).waits.total() == 1


def test_a_wait_in_a_loop_is_seen(device: torch.device) -> None:
    """Three losses read one by one are three waits, and so are a mask, an index of the CPU and a copy that blocks."""
    losses = torch.ones(3).to(device, non_blocking=True)

    def waits(work: Callable[[], Any]) -> int:
        return counted(work).waits.total()

    assert waits(lambda: [loss.item() for loss in losses]) == 3
    assert waits(lambda: losses[losses > 0]) == 1
    assert waits(lambda: losses[torch.tensor([0, 2])]) == 1
    assert waits(lambda: torch.ones(3).to(device)) == 1
    assert waits(lambda: torch.tensor(1.0, device=device)) == 1
    assert waits(lambda: losses.cpu()) == 1
    assert waits(lambda: losses.tolist()) == 1
    assert waits(lambda: losses.sum() + torch.full((), 2.0, device=device)) == 0


def test_an_operator_is_one_kernel_and_a_view_is_none(device: torch.device) -> None:
    losses = torch.ones(3).to(device, non_blocking=True)
    assert counted(lambda: losses + 1).kernels.total() == 1
    assert counted(lambda: losses[1:].reshape(1, 2)).kernels.total() == 0
