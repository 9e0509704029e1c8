"""NCFM: match the characteristic functions of real and synthetic embeddings, at frequencies that a small network chooses.

Reference: Wang, Yang, Liu, Sun, Hu, He and Zhang, "Dataset Distillation with Neural Characteristic Function: A Minmax
Perspective", CVPR 2025.

| symbol | code and YAML key          | meaning                                                          |
|--------|----------------------------|------------------------------------------------------------------|
| K      | `random_inits`             | updates, each with a network between initial and trained weights |
| eta    | `lr_images`                | learning rate of the images, of Adam                             |
| abs(B) | `batch_real`               | real images per class in one iteration                           |
| f      | `features`                 | embedding, the input of a network's classifier, cut to length 1  |
| t, M   | `frequencies`              | frequencies, points of the embedding's space; their number       |
| Phi(t) | `characteristic_functions` | mean over a class's images x of exp(i t . f(x))                  |
| psi    | `FrequencySampler`         | sampling network; `lr_sampler` is its learning rate              |
| alpha  | `amplitude_share`          | weight of the amplitudes' difference                             |

Algorithm, K times:

1. draw a network's weights between those of a pair of the pool (`core/network_pool.py`);
2. draw a batch of real images of each class, and one augmentation per class for real and synthetic images alike;
3. embeddings of length 1: of the real images without gradient, of the synthetic images with;
4. draw M frequencies t = s * z: z standard normal, s between 0 and 2 for each dimension of the embedding, by psi from normal
   noise, one s for every 16 z (a scale mixture of normals);
5. loss = scale * mean over classes and frequencies of the root of alpha (abs(Phi_r) - abs(Phi_s))^2 + (1 - alpha) 2 abs(Phi_r)
   abs(Phi_s) (1 - cos(difference of their phases)), r real and s synthetic; beside it `calibration_weight` times the
   cross-entropy of the synthetic images under the pair's trained weights;
6. from the same gradients one step of Adam on the synthetic images, down, and one of plain SGD on psi, up.

With `factor` the synthetic images of 3 are the enlarged tiles of the stored ones (IDC; `core/tiles.py`). With `pool: 0` the
network of 1 is a fresh one.

The paper's text has no calibration and 1024 frequencies; its published code has both as here.
Deviations: psi has two hidden layers of 64 units without batch norm, begins at s = 1, and takes plain SGD (published: three
layers as wide as the embedding, with batch norm and momentum; the code's psi gives t itself, not s). All classes share the
frequencies of an update and take one step together, calibration included (published: a step for each class, and one for each
class's calibration). Adam has no weight decay (published: AdamW), and pixels are not cut to the range of bytes. The pool learns
for `pool_steps` of the recipe `default` (published: 60 epochs). Labels are hard, and the scored set is the last one, or with
`ema_decay` the images' moving average (published: soft labels and fine-tuning for some numbers). Not included: features of
several layers, which the code takes of deep networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from raydistill.core.adam import Adam
from raydistill.core.choices import parse_operations
from raydistill.core.contract import Checkpoint, LossWatch, Report, TrainPart
from raydistill.core.image_average import ImageAverage
from raydistill.core.layers import Features
from raydistill.core.matching import augment_classes, real_features, siamese_draw
from raydistill.core.network_pool import networks_of
from raydistill.core.networks import build_network
from raydistill.core.placement import moved
from raydistill.core.selection import ClassBatches, starting_images
from raydistill.core.synthetic import SyntheticSet, hard_set
from raydistill.core.tiles import enlarge_tiles
from raydistill.methods.configs.ncfm import NCFMConfig
from raydistill.spaces.network import NetworkConfig

WIDTH = 64
"""Of psi's noise and of its hidden layers."""
PER_SCALE = 16
"""Frequencies with the same s; the paper's mixture has a sixteenth as many components as frequencies."""
LEAK = 0.2
"""Slope of psi's leaky ReLU below 0, as published."""
SMALLEST = 1e-12
"""Below it a squared discrepancy counts as 0, where the root has no slope."""


def unit_embeddings(features: Features, classes: int) -> list[Tensor]:
    """One (K, B, E) tensor: embeddings of length 1, of features of K * B images, class after class."""
    return [functional.normalize(features.embedding, dim=1).unflatten(0, (classes, -1))]


def characteristic_functions(features: Tensor, frequencies: Tensor) -> Tensor:
    """(K, M, 2) real and imaginary parts of each class's empirical characteristic function.

    Args:
        features: (K, B, E), class by class.
        frequencies: (M, E).

    Source: NCFM (Wang et al., CVPR 2025), equation 5.
    """
    angles = features @ frequencies.T
    return torch.stack([angles.cos().mean(dim=1), angles.sin().mean(dim=1)], dim=-1)


def discrepancies(real: Tensor, synthetic: Tensor, amplitude_share: float) -> Tensor:
    """(K, M) distances of two characteristic functions at each frequency, their amplitudes and phases weighted.

    Args:
        real: (K, M, 2), as `characteristic_functions` gives them.
        synthetic: the same of the synthetic images.
        amplitude_share: alpha.

    Source: NCFM (Wang et al., CVPR 2025), equation 8. The phases' term is what the amplitudes' leaves of the squared distance in
    the plane (equation 7), so it needs no angle.
    """
    lengths: list[Tensor] = [torch.linalg.vector_norm(functions, dim=-1) for functions in (real, synthetic)]
    amplitude = (lengths[0] - lengths[1]).square()
    phase = (real - synthetic).square().sum(dim=-1) - amplitude
    return (amplitude_share * amplitude + (1 - amplitude_share) * phase).clamp_min(SMALLEST).sqrt()


class FrequencySampler:
    """psi: draws frequencies from a scale mixture of normals, and learns its scales.

    Source: NCFM (Wang et al., CVPR 2025), section 4.2.2.
    """

    def __init__(self, size: int, generator: torch.Generator, device: torch.device, *, lr: float) -> None:
        """Begin with all scales at 1, that is with standard normal frequencies.

        Args:
            size: E, of the embedding.
            generator: on the CPU.
            device: where the frequencies lie.
            lr: learning rate; 0 keeps the scales at 1.
        """
        hidden = [torch.randn(WIDTH, WIDTH, generator=generator) * (2 / WIDTH) ** 0.5 for _ in range(2)]
        weights = [*hidden, torch.zeros(size, WIDTH)]
        self._parameters = [part.to(device) for matrix in weights for part in (matrix, torch.zeros(len(matrix)))]
        self._lr = lr
        for parameter in self.learned:
            parameter.requires_grad_()

    @property
    def learned(self) -> list[Tensor]:
        """What `ascend` takes slopes of; empty where nothing is learned."""
        return self._parameters if self._lr else []

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """(M, E) new frequencies; gradients flow to what is learned."""
        size = len(self._parameters[-1])
        noise = torch.randn(-(-count // PER_SCALE), WIDTH, generator=generator)
        normal = torch.randn(count, size, generator=generator)
        hidden, normal = moved([noise, normal], self._parameters[0].device)
        first, first_bias, second, second_bias, last, last_bias = self._parameters
        hidden = functional.leaky_relu(functional.linear(hidden, first, first_bias), LEAK)
        hidden = functional.leaky_relu(functional.linear(hidden, second, second_bias), LEAK)
        scales = 1 + functional.linear(hidden, last, last_bias).tanh()
        return scales.unsqueeze(1).expand(-1, PER_SCALE, -1).flatten(0, 1)[:count] * normal

    @torch.no_grad()
    def ascend(self, slopes: Sequence[Tensor]) -> None:
        """A step up the slopes of a loss in what is learned."""
        for parameter, slope in zip(self.learned, slopes, strict=True):
            parameter.add_(slope, alpha=self._lr)

    def state(self) -> Mapping[str, Tensor]:
        """What a checkpoint keeps."""
        return {f"sampler.{place}": parameter.detach() for place, parameter in enumerate(self._parameters)}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        for place, parameter in enumerate(self._parameters):
            parameter.copy_(state[f"sampler.{place}"])


def distill(
    train: TrainPart,
    network: NetworkConfig,
    config: NCFMConfig,
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
    optimiser = Adam(images, lr=config.lr_images)
    model = build_network(network, train.shape, train.classes, device).train().requires_grad_(False)
    sampler = FrequencySampler(model.classifier.in_features, generator, device, lr=config.lr_sampler)
    operations = parse_operations(config.augmentation, mirror_keeps_class=train.mirror_keeps_class)
    batches = ClassBatches(train.labels, train.classes)
    watch = LossWatch()
    saved = checkpoint.load()
    first = 0
    if saved is None:
        report(0, config.random_inits, None, current)
    else:
        with torch.no_grad():
            images.copy_(saved["images"])
        optimiser.restore(saved)
        sampler.restore(saved)
        generator.set_state(saved["generator"])
        first = int(saved["done"])

    for step in range(first + 1, config.random_inits + 1):
        networks.draw(model, generator)  # 1
        chosen = batches.draw(config.batch_real, generator).to(device, non_blocking=True)  # 2
        draw = siamese_draw(operations, train.classes, config.augmentation_draws, generator)
        (real,) = real_features(model, train.images, chosen, draw, unit_embeddings)  # 3
        seen = augment_classes(enlarge_tiles(images, config.factor).unflatten(0, (train.classes, -1)), draw)
        (synthetic,) = unit_embeddings(model.features(seen), train.classes)
        frequencies = sampler.draw(config.frequencies, generator)  # 4
        functions = [characteristic_functions(features, frequencies) for features in (real, synthetic)]
        loss = config.loss_scale * discrepancies(functions[0], functions[1], config.amplitude_share).mean()  # 5
        if config.calibration_weight:
            loss = loss + config.calibration_weight * networks.calibration(seen, labels)
        slope, *slopes = torch.autograd.grad(loss, [images, *sampler.learned])
        optimiser.step(slope)  # 6
        average.update(step)
        sampler.ascend(slopes)
        watch.add(step, loss)
        report(step, config.random_inits, loss, current)
        if checkpoint.is_due() and step < config.random_inits:
            watch.check()
            checkpoint.save(
                {
                    "done": torch.tensor(step),
                    "images": images.detach(),
                    "generator": generator.get_state(),
                    **optimiser.state(),
                    **sampler.state(),
                    **networks.state(),
                    **average.state(),
                }
            )
    watch.check()
    return current
