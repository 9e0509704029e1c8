"""RaT-BPTT: train a network on the synthetic images, and improve them through the last steps of that training.

Reference: Feng, Vedantam and Kempe, "Embarrassingly Simple Dataset Distillation", ICLR 2024: random truncated backpropagation
through time.

| symbol | code and YAML key | meaning                                                                   |
|--------|-------------------|---------------------------------------------------------------------------|
| K      | `random_inits`    | random networks, each for one update of the images                        |
| T      | `training_steps`  | most steps that a network takes                                           |
| W      | `window`          | its last steps, through which gradients flow                              |
| alpha  | `lr_model`        | learning rate of the network                                              |
| eta    | `lr_images`       | learning rate of the images, of Adam                                      |
| eta_y  | `lr_labels`       | learning rate of the labels, of another Adam; with learned labels only    |
| abs(B) | `batch_real`      | real images per class on which the network is judged                      |

Algorithm, K times:

1. draw a random network theta_0 ~ P0, and its number of steps N evenly from W to T;
2. N steps of plain SGD on batches of the synthetic images, augmented: theta_{i+1} = theta_i - alpha d/dtheta CE at theta_i; the
   first N - W without a graph, so theta_{N-W} counts as a constant;
3. loss = the cross-entropy of a batch of real images of every class under theta_N;
4. one step of Adam on the synthetic images, with the gradient of 3 through the last W steps of 2.

Learned labels (`rat_bptt_soft`, or `labels: experts`): every image that a network is trained on has logits of its own, which
start as those of experts (`core/soft_labels.py`); 2 trains on their softmax, and 4 takes a step on them too.

With `factor` the synthetic images of 2 are the enlarged tiles of the stored ones (IDC; `core/tiles.py`).

Deviations: the network takes plain SGD (published: Adam); labels stay hard or start from experts (published: learned from one-hot
ones); eta and eta_y fall to 0 in a straight line over the second half of the updates (published: constant); real images are not
augmented, and batches hold equally many of every class; the scored set is the last one. Not included: the boosted sets of the
paper's second part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from raydistill.core.adam import Adam
from raydistill.core.augment import Draw, augment_images
from raydistill.core.choices import parse_operations
from raydistill.core.contract import Checkpoint, LossWatch, Report, TrainPart
from raydistill.core.experts import Experts
from raydistill.core.matching import drawn_steps
from raydistill.core.networks import build_network, initialise
from raydistill.core.selection import ClassBatches, starting_images
from raydistill.core.soft_labels import with_soft_labels
from raydistill.core.synthetic import SyntheticSet, hard_set
from raydistill.core.tiles import enlarge_tiles
from raydistill.core.unroll import flatten, logits_by_parameters
from raydistill.methods.configs.rat_bptt import RaTBPTTConfig, RaTBPTTSoftConfig
from raydistill.spaces.network import NetworkConfig

StepLoss = Callable[[Tensor, Tensor, Draw | None], Tensor]
"""From (P,) parameters, the (B,) indices of a batch and its augmentation: the loss of a step, a scalar."""
Steps = Sequence[tuple[Tensor, Draw | None]]
SAVED_AS = (("images", ""), ("logits", "logits."))
"""What is learned: its key in a checkpoint, and the prefix of its optimiser's keys."""


def trained(start: Tensor, loss_of: StepLoss, steps: Steps, lr: float, *, keep_graph: bool) -> Tensor:
    """The (P,) parameters after steps of plain SGD from (P,) ones.

    Args:
        start: a constant; no gradient flows to it.
        loss_of: the loss of a step.
        steps: batches, in order.
        lr: alpha.
        keep_graph: whether the result can be differentiated in what the losses depend on.
    """
    parameters = start.detach().requires_grad_()
    for chosen, draw in steps:
        (slope,) = torch.autograd.grad(loss_of(parameters, chosen, draw), parameters, create_graph=keep_graph)
        parameters = parameters - lr * slope
        if not keep_graph:
            parameters = parameters.detach().requires_grad_()
    return parameters


def loss_after_training(
    logits: Callable[[Tensor, Tensor], Tensor],
    start: Tensor,
    synthetic: tuple[Tensor, Tensor],
    real: tuple[Tensor, Tensor],
    steps: Steps,
    *,
    window: int,
    lr: float,
) -> Tensor:
    """The cross-entropy of real images under a network that was trained on synthetic ones, a scalar.

    It can be differentiated in the synthetic images and probabilities, through the last steps alone.

    Args:
        logits: a network's logits by (P,) parameters and images, as `unroll.logits_by_parameters` gives them.
        start: (P,) theta_0.
        synthetic: (M, C, H, W) images, and (M,) labels or (M, K) probabilities.
        real: (R, C, H, W) images and (R,) labels.
        steps: N of them.
        window: W, at most N.
        lr: alpha.
    """

    def loss_on(images: Tensor, labels: Tensor) -> StepLoss:
        return lambda theta, chosen, draw: functional.cross_entropy(
            logits(theta, augment_images(images[chosen], draw)), labels[chosen]
        )

    constant = loss_on(*(part.detach() for part in synthetic))
    theta = trained(start, constant, steps[:-window], lr, keep_graph=False)
    theta = trained(theta, loss_on(*synthetic), steps[-window:], lr, keep_graph=True)
    return functional.cross_entropy(logits(theta, real[0]), real[1])


def rate(lr: float, step: int, steps: int) -> float:
    """The images' rate of an update, counted from 0: constant in the first half, then down to 0 in a straight line."""
    return lr * min(1.0, 2 * (1 - step / steps))


def distill(
    train: TrainPart,
    network: NetworkConfig,
    config: RaTBPTTConfig,
    ipc: int,
    *,
    generator: torch.Generator,
    device: torch.device,
    report: Report,
    checkpoint: Checkpoint,
    experts: Experts | None = None,
) -> SyntheticSet:
    """The synthetic set after K image updates; arguments as in `datadam.distill`.

    With the config of `rat_bptt_soft`, labels start from experts and are learned; `experts` as in `datm.distill`.

    Raises:
        DivergedError: a loss is not finite.
    """
    images = starting_images(config.init, train, network, ipc, generator, config.factor).requires_grad_()
    current = hard_set(images.detach(), train.classes, ipc, config.factor)
    hard = current.decoded().labels
    learned, logits = [Adam(images, lr=config.lr_images)], None
    if isinstance(config, RaTBPTTSoftConfig):
        assert experts is not None
        logits = with_soft_labels(current, experts, network, train).labels.clone().requires_grad_()
        learned.append(Adam(logits, lr=config.lr_labels))
        current = replace(current, labels=logits.detach())
    rates = [optimiser.lr for optimiser in learned]
    model = build_network(network, train.shape, train.classes, device).train()
    forward = logits_by_parameters(model)
    operations = parse_operations(config.augmentation, mirror_keeps_class=train.mirror_keeps_class)
    batches, real_labels = ClassBatches(train.labels, train.classes), train.labels.to(device)
    watch = LossWatch()
    first = _restore(checkpoint, learned, generator)
    if first == 0:
        report(0, config.random_inits, None, current)

    for step in range(first + 1, config.random_inits + 1):
        initialise(model, generator)  # 1
        number = int(torch.randint(config.window, config.training_steps + 1, (), generator=generator))
        steps = drawn_steps(len(hard), config.batch_model, number, operations, images, generator)
        chosen = batches.draw(config.batch_real, generator).flatten().to(device, non_blocking=True)
        loss = loss_after_training(  # 2, 3
            forward,
            flatten(model),
            (enlarge_tiles(images, config.factor), hard if logits is None else logits.softmax(dim=1)),
            (train.images[chosen], real_labels[chosen]),
            steps,
            window=config.window,
            lr=config.lr_model,
        )
        slopes = torch.autograd.grad(loss, [optimiser.parameter for optimiser in learned])
        for optimiser, full, slope in zip(learned, rates, slopes, strict=True):  # 4
            optimiser.lr = rate(full, step - 1, config.random_inits)
            optimiser.step(slope)
        watch.add(step, loss)
        report(step, config.random_inits, loss, current)
        if checkpoint.is_due() and step < config.random_inits:
            watch.check()
            checkpoint.save(_to_save(step, learned, generator))
    watch.check()
    return current


def _to_save(done: int, learned: Sequence[Adam], generator: torch.Generator) -> dict[str, Tensor]:
    saved = {"done": torch.tensor(done), "generator": generator.get_state()}
    for (name, prefix), optimiser in zip(SAVED_AS, learned, strict=False):
        state = {prefix + key: value for key, value in optimiser.state().items()}
        saved |= {name: optimiser.parameter.detach(), **state}
    return saved


def _restore(checkpoint: Checkpoint, learned: Sequence[Adam], generator: torch.Generator) -> int:
    """Put back the state last saved; returns the updates done."""
    saved = checkpoint.load()
    if saved is None:
        return 0
    for (name, prefix), optimiser in zip(SAVED_AS, learned, strict=False):
        with torch.no_grad():
            optimiser.parameter.copy_(saved[name])
        optimiser.restore({key.removeprefix(prefix): value for key, value in saved.items() if key.startswith(prefix)})
    generator.set_state(saved["generator"])
    return int(saved["done"])
