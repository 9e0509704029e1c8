"""Times image updates of published implementations, with the building blocks that lie in a checkout of theirs.

Nothing of such a checkout is here: its functions are imported by name while the program runs, and put together as its own script
does, with random images in place of a data set. Three kinds are known, by their files:

- `DatasetCondensation` (DC, DSA and DM; Zhao and Bilen): `main.py`, `main_DM.py`, `utils.py`, `networks.py`;
- `DataDAM` (Sajedi et al.): `main_DataDAM.py`, `utils.py`, `networks.py`;
- `DATM` (Guo et al.): `distill/DATM.py`, `utils/utils_baseline.py`, `networks.py`, `reparam_module.py`.

Their ConvNet is built at the case's width with instance norm, and their augmentation leaves flips out, as ours does on digits.
"""

from __future__ import annotations

import functools
import importlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from raydistill.bench.work import CLASSES, Spent, StepCase, Turn, random_part
from raydistill.core.choices import parse_operations
from raydistill.errors import InputError

Code = Mapping[str, ModuleType]
"""The checkout's modules, by name."""
LR_NETWORK = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A kind of published implementation."""

    name: str
    files: tuple[str, ...]
    """By which a checkout is recognised."""
    modules: tuple[str, ...]
    """What is imported from it."""
    steps: Mapping[str, Callable[[Code, StepCase, _Data], Callable[[], None]]]
    """For each method what makes its turn."""


class _Data:
    """The random data of a case, as published scripts hold theirs."""

    def __init__(self, case: StepCase) -> None:
        part = random_part(case)
        self.images = part.images
        self.indices = [torch.nonzero(part.labels == c).flatten().tolist() for c in range(CLASSES)]
        self.synthetic = torch.cat([self.real(c, case.ipc) for c in range(CLASSES)]).requires_grad_()
        self.labels = torch.arange(CLASSES).repeat_interleave(case.ipc)
        self.strategy = "_".join(parse_operations("dsa", mirror_keeps_class=part.mirror_keeps_class))

    def real(self, c: int, count: int) -> Tensor:
        """`count` random images of class c, by a permutation of the whole class."""
        return self.images[np.random.permutation(self.indices[c])[:count]]


def recognise(directory: Path) -> Published:
    """The kind of implementation in a folder.

    Raises:
        InputError: it is none of them.
    """
    for kind in KINDS:
        if all((directory / file).is_file() for file in kind.files):
            return kind
    known = "; ".join(f"{kind.name} has {', '.join(kind.files)}" for kind in KINDS)
    raise InputError(
        f"{directory} is no checkout of a published implementation that can be timed here. {known}. "
        "Give --against the folder with these files"
    )


def published_turn(case: StepCase, directory: Path, threads: int) -> Turn:
    """Their side of a case.

    Args:
        case: see `work.StepCase`.
        directory: a checkout that `recognise` knows, of a kind that has the case's method.
        threads: torch threads of this process, from now on.

    Raises:
        InputError: the checkout cannot be imported, or lacks a building block.
    """
    torch.set_num_threads(threads)
    kind = recognise(directory)
    with explained(kind, directory):
        with first_on_path(directory):
            code = {name: importlib.import_module(name) for name in kind.modules}
        updates = kind.steps[case.method.name](code, case, _Data(case))

    def turn() -> Spent:
        cpu, wall = time.process_time(), time.perf_counter()
        with explained(kind, directory):
            updates()
        return Spent(time.process_time() - cpu, time.perf_counter() - wall)

    return turn


@contextmanager
def explained(kind: Published, directory: Path) -> Iterator[None]:
    """Say in one sentence what a checkout lacks."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(
            f"{directory} was recognised as {kind.name}, whose code imports {error.name}, which is not installed: install it "
            "(its code then runs beside ours with our versions of PyTorch and NumPy)"
        ) from error
    except (AttributeError, ImportError) as error:
        raise InputError(
            f"{directory} was recognised as {kind.name} by its files, but its code does not fit: {error}. Give an unchanged "
            "checkout"
        ) from error


@contextmanager
def first_on_path(directory: Path) -> Iterator[None]:
    """Import from a folder before anywhere else, write no bytecode there, and forget its modules' names at the end."""
    names = {name for kind in KINDS for module in kind.modules for name in (module, module.partition(".")[0])}
    shadowed = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    writes = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(directory))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(directory))
        sys.dont_write_bytecode = writes
        for name in names & sys.modules.keys():
            del sys.modules[name]
        sys.modules.update(shadowed)


def _network(code: Code, case: StepCase) -> nn.Module:
    """A new ConvNet of theirs; their `get_network` has no width 16."""
    settings: dict[str, Any] = {"net_act": "relu", "net_norm": "instancenorm", "net_pooling": "avgpooling"}
    network: Any = code["networks"].ConvNet(
        channel=case.shape[0],
        num_classes=CLASSES,
        net_width=case.network.width,
        net_depth=case.network.depth,
        im_size=case.shape[1:],
        **settings,
    )
    network.features.register_forward_pre_hook(_in_usual_order)
    return network.train()  # type: ignore[no-any-return]


def _in_usual_order(features: nn.Module, given: tuple[Tensor]) -> Tensor:
    """The images with plain strides, at no cost.

    Where sampling leaves grey images with the strides of `channels_last`, PyTorch's convolutions go on with them, and the `view`
    of their ConvNet fails.
    """
    del features
    return given[0].reshape(len(given[0]), -1).reshape(given[0].shape)


def _own_of_class(data: _Data, case: StepCase, c: int) -> Tensor:
    return data.synthetic[c * case.ipc : (c + 1) * case.ipc].reshape(case.ipc, *case.shape)


def _siamese(augment: Callable[..., Tensor], data: _Data, parameters: Any, *batches: Tensor) -> list[Tensor]:
    """The same augmentation for several batches, seeded by the clock as theirs is."""
    seed = int(time.time() * 1000) % 100_000
    return [augment(batch, data.strategy, seed=seed, param=parameters) for batch in batches]


def _dm(code: Code, case: StepCase, data: _Data) -> Callable[[], None]:
    utils = code["utils"]
    augment, parameters = utils.DiffAugment, utils.ParamDiffAug()
    optimiser = torch.optim.SGD([data.synthetic], lr=1e-3, momentum=0.5)

    def update() -> None:
        network: Any = _network(code, case).requires_grad_(False)
        loss = torch.tensor(0.0)
        for c in range(CLASSES):
            real, own = _siamese(augment, data, parameters, data.real(c, case.method.batch_real), _own_of_class(data, case, c))
            difference = network.embed(real).detach().mean(dim=0) - network.embed(own).mean(dim=0)
            loss += (difference**2).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()

    return functools.partial(_repeat, update, case.updates)


def _datadam(code: Code, case: StepCase, data: _Data) -> Callable[[], None]:
    utils = code["utils"]
    augment, attention, parameters = utils.DiffAugment, utils.get_attention, utils.ParamDiffAug()
    optimiser = torch.optim.SGD([data.synthetic], lr=1e-3, momentum=0.5)
    power = int(case.method.attention_power)

    def seen_by(network: Any, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Copies of what the ReLUs give, and the embedding, which their forward pass returns first."""
        activations: list[Tensor] = []
        relus = [module for module in network.features if isinstance(module, nn.ReLU)]
        hooks = [relu.register_forward_hook(lambda module, given, output: activations.append(output.clone())) for relu in relus]
        embedding = network(images)[0]
        for hook in hooks:
            hook.remove()
        return activations, embedding

    def gap(real: Tensor, own: Tensor) -> Tensor:
        """Of class means."""
        real_mean, own_mean = (rows.reshape(CLASSES, len(rows) // CLASSES, -1).mean(dim=1).cpu() for rows in (real, own))
        return ((real_mean - own_mean) ** 2).sum()

    def update() -> None:
        network = _network(code, case).requires_grad_(False)
        pairs = []
        for c in range(CLASSES):
            pairs.append(_siamese(augment, data, parameters, data.real(c, case.method.batch_real), _own_of_class(data, case, c)))
        real_images, own_images = (torch.cat(batches) for batches in zip(*pairs, strict=True))
        real, real_embedding = seen_by(network, real_images)
        own, own_embedding = seen_by(network, own_images)
        loss = 100 * case.method.mmd_weight * gap(real_embedding.detach(), own_embedding)
        for a, b in zip(real[:-1], own[:-1], strict=True):
            maps = (attention(block, param=1, exp=power, norm="l2") for block in (a.detach(), b))
            loss = loss + 100 * gap(*maps)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()

    return functools.partial(_repeat, update, case.updates)


def _dc(code: Code, case: StepCase, data: _Data) -> Callable[[], None]:
    utils = code["utils"]
    match, augment, train, pairs_of = utils.match_loss, utils.DiffAugment, utils.epoch, utils.TensorDataset
    arguments = SimpleNamespace(
        device="cpu", dis_metric="ours", dsa=True, dsa_strategy=data.strategy, dsa_param=utils.ParamDiffAug(), dc_aug_param=None
    )
    criterion = nn.CrossEntropyLoss()
    optimiser = torch.optim.SGD([data.synthetic], lr=1e-3, momentum=0.5)
    method = case.method

    def update(network: nn.Module) -> None:
        weights = list(network.parameters())
        loss = torch.tensor(0.0)
        for c in range(CLASSES):
            real, own = _siamese(
                augment, data, arguments.dsa_param, data.real(c, method.batch_real), _own_of_class(data, case, c)
            )
            labels = [torch.full((len(batch),), c) for batch in (real, own)]
            real_slopes = torch.autograd.grad(criterion(network(real), labels[0]), weights)
            copies = [slope.detach().clone() for slope in real_slopes]
            own_slopes = torch.autograd.grad(criterion(network(own), labels[1]), weights, create_graph=True)
            loss += match(own_slopes, copies, arguments)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()

    def updates() -> None:
        network = _network(code, case)
        trainer = torch.optim.SGD(network.parameters(), lr=LR_NETWORK)
        for iteration in range(case.updates):
            update(network)
            if iteration + 1 < case.updates:
                own = pairs_of(data.synthetic.detach().clone(), data.labels.clone())
                batches = torch.utils.data.DataLoader(own, batch_size=method.batch_model, shuffle=True, num_workers=0)
                for _ in range(method.model_steps):
                    train("train", batches, network, trainer, criterion, arguments, aug=True)

    return updates


def _datm(code: Code, case: StepCase, data: _Data) -> Callable[[], None]:
    utils = code["utils.utils_baseline"]
    augment, parameters = utils.DiffAugment, utils.ParamDiffAug()
    method = case.method
    logits = torch.randn(len(data.synthetic), CLASSES).requires_grad_()
    rate = torch.tensor(method.lr_student).requires_grad_()
    optimisers = [
        torch.optim.SGD([data.synthetic], lr=method.lr_images, momentum=method.momentum_images),
        torch.optim.SGD([logits], lr=1e-3, momentum=method.momentum_labels),
        torch.optim.SGD([rate], lr=method.lr_lr, momentum=method.momentum_images),
    ]
    start = torch.cat([parameter.detach().flatten() for parameter in _network(code, case).parameters()])
    target = start + 0.05 * torch.randn(len(start))

    def update() -> None:
        student = code["reparam_module"].ReparamModule(_network(code, case)).train()
        theta = start.clone().requires_grad_()
        waiting: list[Tensor] = []
        for _ in range(method.student_steps):
            waiting = waiting or list(torch.randperm(len(data.synthetic)).split(method.batch_synthetic))
            chosen = waiting.pop()
            seen = augment(data.synthetic[chosen], data.strategy, param=parameters)
            likelihood = student(seen, flat_param=theta).log_softmax(dim=1)
            loss = -(likelihood * logits[chosen].softmax(dim=1)).sum() / len(chosen)
            (slope,) = torch.autograd.grad(loss, theta, create_graph=True)
            theta = theta - rate * slope
        distance = (theta - target).square().sum() / (start - target).square().sum()
        for optimiser in optimisers:
            optimiser.zero_grad()
        distance.backward()
        for optimiser in optimisers:
            optimiser.step()
        distance.item()

    return functools.partial(_repeat, update, case.updates)


def _repeat(update: Callable[[], None], times: int) -> None:
    for _ in range(times):
        update()


KINDS = (
    Published(
        name="DatasetCondensation",
        files=("main.py", "main_DM.py", "utils.py", "networks.py"),
        modules=("networks", "utils"),
        steps={"dm": _dm, "dc": _dc},
    ),
    Published(
        name="DataDAM",
        files=("main_DataDAM.py", "utils.py", "networks.py"),
        modules=("networks", "utils"),
        steps={"datadam": _datadam},
    ),
    Published(
        name="DATM",
        files=("distill/DATM.py", "utils/utils_baseline.py", "networks.py", "reparam_module.py"),
        modules=("networks", "reparam_module", "utils.utils_baseline"),
        steps={"datm": _datm},
    ),
)
