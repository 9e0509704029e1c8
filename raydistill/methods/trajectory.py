"""Trajectory matching: a set is good if a student that learns from it goes where networks trained on the full data went.

Shared by DATM (`datm.py`) and PAD (`pad.py`), whose files say what each adds and where it comes from.

| symbol     | code and YAML key                 | meaning                                                                     |
|------------|-----------------------------------|-----------------------------------------------------------------------------|
| theta*_t   | `Experts.snapshot`                | an expert's parameters after t epochs                                       |
| N          | `student_steps`                   | steps of the student                                                        |
| M          | `target_epochs`                   | epochs from the expert's start to its target                                |
| T-         | `window_start`                    | earliest epoch that a student starts from                                   |
| T          | `window_start` + `window_width`   | first upper end (exclusive) of the start epochs                             |
| T+         | T + `window_growth`               | last upper end; equal to T where nothing grows                              |
| E          | `growth_iterations`               | iterations over which the upper end grows from T to T+                      |
| alpha_s    | `lr_student`                      | start of the student's rate, which is learned with the images               |
| -          | `gate`                            | largest loss that changes the set; an iteration above it is dropped         |
| -          | `lr_images`, `lr_labels`, `lr_lr` | learning rates of images, label logits, and of the student's rate           |

Algorithm, `iterations` times:

1. take the next expert (passes over all of them in random order) and a start epoch t, uniform in T- .. U - 1, where
   U = min(T+, T + floor((T+ - T) * iteration / E));
2. student theta_0 = theta*_t; N steps theta_{i+1} = theta_i - alpha_s * gradient of the soft cross-entropy on a batch of the set,
   each batch augmented, batches from passes over the set in random order;
3. loss = || theta_N - theta*_{t+M} ||^2 / || theta*_t - theta*_{t+M} ||^2, over the parameters that the method keeps;
4. if loss <= gate: one SGD step each of images, label logits and alpha_s along the loss's gradient; else drop the iteration.

A student that does not move has loss 1, which is why the gate lies there.

Deviations: an iteration whose loss is not finite is dropped, as one above the gate is. What ends the distillation is a set that
is no longer finite, looked for at each checkpoint and at the end, and a learned rate that has run away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from raydistill.core.augment import draw_one_operation, place_steps
from raydistill.core.choices import parse_operations
from raydistill.core.contract import Checkpoint, Report, TrainPart
from raydistill.core.experts import Experts
from raydistill.core.networks import build_network
from raydistill.core.placement import moved
from raydistill.core.selection import starting_images
from raydistill.core.sgd import SGD
from raydistill.core.soft_labels import images_classified_right, soft_labels
from raydistill.core.synthetic import SyntheticSet, hard_labels
from raydistill.core.train import draw_batches
from raydistill.core.unroll import StudentStep, Unroll, student_loss, unrolled_gradient
from raydistill.errors import DivergedError
from raydistill.methods.configs.trajectory import TrajectoryConfig
from raydistill.spaces.network import NetworkConfig

Keep = Callable[[Tensor], Tensor]
"""(P,) squared errors of the student's parameters to the (P,) mask, 1 or 0, of those that the loss reads."""
LARGEST_RATE = 10.0
"""A learned rate beyond this has run away: the published ones end between 0.005 and 0.1."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _State:
    """What is learned, and the optimisers that learn it."""

    images: Tensor
    logits: Tensor
    lr: Tensor
    optimisers: Mapping[str, SGD]

    @property
    def learned(self) -> dict[str, Tensor]:
        return {"images": self.images, "logits": self.logits, "lr": self.lr}

    def snapshot(self, ipc: int, rate: float) -> SyntheticSet:
        return SyntheticSet(images=self.images.detach(), labels=self.logits.detach(), ipc=ipc, learned_lr=rate)


def match_trajectories(
    train: TrainPart,
    network: NetworkConfig,
    config: TrajectoryConfig,
    ipc: int,
    *,
    generator: torch.Generator,
    device: torch.device,
    report: Report,
    checkpoint: Checkpoint,
    experts: Experts,
    keep: Keep | None = None,
) -> SyntheticSet:
    """The synthetic set, with soft labels and a learned rate, after the configured iterations.

    Args:
        train: real images.
        network: architecture of experts and students.
        config: see `TrajectoryConfig`.
        ipc: images per class.
        generator: on the CPU; the only source of randomness.
        device: where it computes.
        report: called after every iteration, and once before the first.
        checkpoint: keeps the state; a run that was killed continues from it.
        experts: trained on `train`.
        keep: which parameters the loss reads; None means all.

    Raises:
        DivergedError: the set is not finite, or the learned rate is negative or has run away.
    """
    state = _start(train, network, config, ipc, experts, generator)
    student = student_loss(build_network(network, train.shape, train.classes, torch.device("meta")))
    operations = parse_operations(config.augmentation, mirror_keeps_class=train.mirror_keeps_class)
    first, order = _restore(checkpoint, state, generator)
    rate = state.lr.item()
    if first == 0:
        report(0, config.iterations, None, state.snapshot(ipc, rate))

    for iteration in range(first, config.iterations):
        if iteration % experts.count == 0:  # 1
            order = torch.randperm(experts.count, generator=generator)
        expert = int(order[iteration % experts.count])
        span = window_end(config, iteration) - config.window_start
        epoch = config.window_start + int(torch.randint(span, (), generator=generator))
        start, target = moved([experts.snapshot(expert, e) for e in (epoch, epoch + config.target_epochs)], device)
        drawn = []  # 2
        batches = draw_batches(len(state.images), config.batch_synthetic, generator)
        for _ in range(config.student_steps):
            chosen = next(batches)
            drawn.append((chosen, draw_one_operation(operations, len(chosen), generator) if operations else None))
        steps = [StudentStep(chosen, draw) for chosen, draw in place_steps(drawn, state.images)]
        unroll = Unroll(student, start, state.images, state.logits, state.lr, steps)
        matched = unrolled_gradient(config.gradient, unroll, partial(distance, start=start, target=target, keep=keep))  # 3
        is_accepted = bool(matched.loss <= config.gate)  # never a loss that is not finite, as the gate is
        if is_accepted:  # 4
            for name, tensor in state.learned.items():
                tensor.grad = getattr(matched, name)
                state.optimisers[name].step()
            rate = state.lr.item()
            _check_rate(iteration + 1, rate)
        report(iteration + 1, config.iterations, matched.loss, state.snapshot(ipc, rate), is_accepted=is_accepted)
        if checkpoint.is_due() and iteration + 1 < config.iterations:
            _check_set(iteration + 1, state)
            checkpoint.save(_to_save(iteration + 1, state, order, generator))
    _check_set(config.iterations, state)
    return state.snapshot(ipc, rate)


def window_end(config: TrajectoryConfig, iteration: int) -> int:
    """U, the exclusive upper end of the start epochs in an iteration.

    Source: DATM (Guo et al., ICLR 2024), difficulty-aligned sampling with sequential generation.
    """
    grown = config.window_growth * iteration // config.growth_iterations
    return config.window_start + config.window_width + min(config.window_growth, grown)


def distance(theta: Tensor, start: Tensor, target: Tensor, keep: Keep | None) -> Tensor:
    """|| theta - target ||^2 / || start - target ||^2 over the parameters kept, a scalar; 1 for a student that did not move.

    Args:
        theta: (P,) student after its steps.
        start: (P,) where it started.
        target: (P,) where the expert was `target_epochs` later.
        keep: which parameters count, above and below; None means all.
    """
    error, moved = (theta - target).square(), (start - target).square()
    if keep is None:
        return error.sum() / moved.sum()
    mask = keep(error.detach())
    return (error * mask).sum() / (moved * mask).sum()


def _start(
    train: TrainPart, network: NetworkConfig, config: TrajectoryConfig, ipc: int, experts: Experts, generator: torch.Generator
) -> _State:
    if config.init == "correct":
        images = images_classified_right(experts, network, train, ipc, generator)
    else:
        images = starting_images("real" if config.init == "noise" else config.init, train, network, ipc, generator)
    logits = soft_labels(experts, network, train, images, hard_labels(train.classes, ipc))
    if config.init == "noise":
        images = starting_images("noise", train, network, ipc, generator)
    lr = torch.full((), config.lr_student, device=images.device)
    optimisers = {
        "images": SGD([images], lr=config.lr_images, momentum=config.momentum_images),
        "logits": SGD([logits], lr=config.lr_labels, momentum=config.momentum_labels),
        "lr": SGD([lr], lr=config.lr_lr, momentum=config.momentum_images),
    }
    return _State(images=images, logits=logits, lr=lr, optimisers=optimisers)


def _check_rate(step: int, lr: float) -> None:
    if not 0 < lr <= LARGEST_RATE:
        raise DivergedError(step, lr, what="the learned rate")


def _check_set(step: int, state: _State) -> None:
    if not torch.isfinite(state.images.sum() + state.logits.sum()):
        raise DivergedError(step, float("nan"), what="a pixel or a label of the set")


def _to_save(done: int, state: _State, order: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    momenta = {f"momentum.{name}": optimiser.buffers[0] for name, optimiser in state.optimisers.items()}
    return {
        "done": torch.tensor(done),
        "order": order,
        "generator": generator.get_state(),
        **state.learned,
        **{name: momentum for name, momentum in momenta.items() if momentum is not None},
    }


def _restore(checkpoint: Checkpoint, state: _State, generator: torch.Generator) -> tuple[int, Tensor]:
    """Put back the state last saved; returns the iterations done and the order of the experts."""
    saved = checkpoint.load()
    if saved is None:
        return 0, torch.empty(0)
    for name, tensor in state.learned.items():
        tensor.copy_(saved[name])
        if f"momentum.{name}" in saved:
            state.optimisers[name].buffers = [saved[f"momentum.{name}"].to(tensor.device)]
    generator.set_state(saved["generator"])
    return int(saved["done"]), saved["order"]
