"""The training recipe: schedule, batches, equal steps, hard and soft labels, and the same bytes from the same seed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from raydistill.core import train as train_module
from raydistill.core.networks import Network, build_network, initialise
from raydistill.core.recipes import RECIPES, Recipe
from raydistill.core.selection import ClassBatches
from raydistill.core.sgd import SGD
from raydistill.core.train import draw_batches, images_at_once, is_correct, train, train_together
from raydistill.data.splits import load_splits
from raydistill.spaces.network import ConvNetConfig, MLPConfig
from raydistill.spaces.sections import DatasetConfig

CPU = torch.device("cpu")
SHORT = Recipe(name="short", lr=0.05, momentum=0.9, weight_decay=5e-4, schedule="cosine", steps=5, batch=8, augmentation="none")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fresh(seed: int = 0, **fields: Any) -> Network:
    network = build_network(ConvNetConfig(name="convnet", **{"depth": 2, "width": 4, **fields}), (1, 8, 8), 10, CPU)
    initialise(network, generator(seed))
    return network


def some_digits(count: int = 20) -> tuple[Tensor, Tensor]:
    part = load_splits(DatasetConfig(name="digits")).train
    return part.images[:count], part.labels[:count]


def trained(recipe: Recipe = SHORT, seed: int = 1, labels: Tensor | None = None, count: int = 20) -> Network:
    network = fresh()
    images, hard = some_digits(count)
    train(network, images, hard if labels is None else labels, recipe, generator(seed), mirror_keeps_class=False)
    return network


def weights(network: Network) -> Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_a_recipe_describes_itself_in_one_line() -> None:
    assert str(SHORT) == (
        "short: SGD, lr 0.05 (cosine), momentum 0.9, weight decay 0.0005, 5 steps of 8 images, augmentation none"
    )


def test_doubling_a_recipe_changes_its_steps_and_name_alone() -> None:
    assert SHORT.doubled() == replace(SHORT, name="short, doubled", steps=10)


@pytest.mark.parametrize(("images", "seen"), [(100, 40), (8, 40), (3, 15)])
def test_images_seen_are_steps_times_the_batch_or_the_whole_set(images: int, seen: int) -> None:
    """5 steps of 8, or of 3 where there are only 3."""
    assert SHORT.images_seen(images) == seen


def test_batches_of_a_pass_share_no_image_and_leave_the_short_last_one_out() -> None:
    """10 images by 4: two batches a pass, two images left out, then a new order."""
    batches = draw_batches(10, 4, generator())
    for _ in range(5):
        first, second = next(batches), next(batches)
        assert len(first) == len(second) == 4
        assert len({*first.tolist(), *second.tolist()}) == 8


def test_every_image_is_met_over_the_passes() -> None:
    batches = draw_batches(10, 4, generator())
    seen = {index for batch in itertools.islice(batches, 40) for index in batch.tolist()}
    assert seen == set(range(10))


@pytest.mark.parametrize("batch", [4, 5, 100])
def test_a_set_no_larger_than_a_batch_is_one_batch(batch: int) -> None:
    batches = draw_batches(4, batch, generator())
    assert [sorted(next(batches).tolist()) for _ in range(3)] == [[0, 1, 2, 3]] * 3


def test_batches_depend_on_their_generator_alone() -> None:
    def first(seed: int) -> list[list[int]]:
        return [batch.tolist() for batch in itertools.islice(draw_batches(50, 8, generator(seed)), 9)]

    assert first(1) == first(1)
    assert first(1) != first(2)


def rates(recipe: Recipe, monkeypatch: pytest.MonkeyPatch, count: int = 20) -> list[float]:
    """Learning rate of every step of one training."""
    seen: list[float] = []
    step = SGD.step

    def noted(self: SGD) -> None:
        seen.append(self.lr)
        step(self)

    with monkeypatch.context() as patched:
        patched.setattr(SGD, "step", noted)
        trained(recipe, count=count)
    return seen


def test_cosine_falls_from_the_rate_towards_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """(1 + cos(pi k / 4)) / 2 for k = 0 to 3: 1, 0.853553, 0.5, 0.146447."""
    recipe = replace(SHORT, lr=2.0, steps=4)
    assert rates(recipe, monkeypatch) == pytest.approx([2.0, 1.707107, 1.0, 0.292893], abs=1e-6)


def test_a_drop_takes_a_tenth_after_half_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(SHORT, schedule="drop", lr=0.5, steps=4)
    assert rates(recipe, monkeypatch) == pytest.approx([0.5, 0.5, 0.05, 0.05])


def momenta(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Before every step of one training: whether the optimiser remembers earlier ones."""
    seen: list[bool] = []
    step = SGD.step

    def noted(self: SGD) -> None:
        seen.append(any(buffer is not None for buffer in self.buffers))
        step(self)

    with monkeypatch.context() as patched:
        patched.setattr(SGD, "step", noted)
        trained(recipe)
    return seen


def test_the_momentum_is_forgotten_at_the_drop_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first step knows none; of four, the third is the first after the drop."""
    assert momenta(replace(SHORT, schedule="drop", steps=4), monkeypatch) == [False, True, False, True]
    assert momenta(replace(SHORT, steps=4), monkeypatch) == [False, True, True, True]


@pytest.mark.parametrize("count", [3, 20, 100])
def test_sets_of_every_size_take_the_same_number_of_steps(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal steps, not epochs: 3 images are one batch of a pass, 100 are twelve."""
    assert len(rates(SHORT, monkeypatch, count)) == 5


def test_one_step_is_sgd_by_hand() -> None:
    """A linear softmax on one embedding of 1, class 0 of 2, from weights 0: p = 1/2 each, so the gradient is -1/2 and 1/2.

    With rate 0.1 and no decay, weights and biases become 0.05 and -0.05.
    """
    network = build_network(MLPConfig(name="mlp", width=1), (1, 1, 1), 2, CPU)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.hidden[1].bias.fill_(1.0)
        network.hidden[3].weight.fill_(1.0)
    recipe = replace(SHORT, lr=0.1, steps=1, weight_decay=0.0)
    train(network, torch.ones(1, 1, 1, 1), torch.tensor([0]), recipe, generator(), mirror_keeps_class=False)
    assert network.classifier.weight.flatten().tolist() == pytest.approx([0.05, -0.05])
    assert network.classifier.bias.tolist() == pytest.approx([0.05, -0.05])


def test_the_same_seed_gives_the_same_network_bit_for_bit() -> None:
    recipe = replace(SHORT, augmentation="dsa")
    assert torch.equal(weights(trained(recipe)), weights(trained(recipe)))


def test_another_seed_gives_another_network() -> None:
    assert not torch.equal(weights(trained(seed=1)), weights(trained(seed=2)))


def test_training_neither_uses_nor_touches_the_global_generator() -> None:
    recipe = replace(SHORT, augmentation="dsa")
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = weights(trained(recipe))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(first, weights(trained(recipe)))


def test_training_leaves_the_images() -> None:
    images, labels = some_digits()
    before = images.clone()
    train(fresh(), images, labels, replace(SHORT, augmentation="dsa"), generator(), mirror_keeps_class=False)
    assert torch.equal(before, images)


def test_logits_that_are_sure_train_as_their_classes_do() -> None:
    """Softmax of (1000, 0, ...) is 1 on the class: the soft loss is the hard one."""
    _, labels = some_digits()
    sure = 1000 * torch.nn.functional.one_hot(labels, 10).float()
    torch.testing.assert_close(weights(trained(labels=sure)), weights(trained()))


def test_logits_that_say_nothing_teach_nothing() -> None:
    """Equal logits ask for a tenth each: after training the outputs are nearer to that than before."""
    images, labels = some_digits()
    network = fresh()
    before = spread(network, images)
    train(network, images, torch.zeros(len(labels), 10), replace(SHORT, steps=60), generator(), mirror_keeps_class=False)
    assert spread(network, images) < before / 2


@torch.no_grad()
def spread(network: Network, images: Tensor) -> float:
    """Standard deviation of all probabilities."""
    return float(network(images).softmax(dim=1).std())


def test_flip_is_left_out_of_dsa_for_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[tuple[str, ...]] = set()

    def noted(images: Tensor, operations: tuple[str, ...], generator: torch.Generator) -> Tensor:
        seen.add(operations)
        return images

    monkeypatch.setattr(train_module, "augment_each", noted)
    trained(replace(SHORT, augmentation="dsa"))
    assert seen == {("color", "crop", "cutout", "scale", "rotate")}


def test_correctness_is_returned_image_by_image_in_order() -> None:
    network = fresh()
    images, _ = some_digits(50)
    labels = network(images).argmax(dim=1)
    labels[[3, 49]] = (labels[[3, 49]] + 1) % 10
    correct = is_correct(network, images, labels, chunk=7)
    assert correct.dtype == torch.bool
    assert (~correct).nonzero().flatten().tolist() == [3, 49]


@pytest.mark.parametrize(("side", "count"), [(8, 1000), (32, 1000), (64, 250), (224, 20), (2000, 1)])
def test_large_images_go_through_a_network_fewer_at_once(side: int, count: int) -> None:
    """1,024,000 pixels: 250 images of 64 x 64, 20 of 224 x 224 (1,003,520)."""
    assert images_at_once(torch.empty(1, 3, side, side)) == count


def test_batch_norm_is_read_in_evaluation_mode() -> None:
    """Then an image's class does not depend on the images beside it, but for one that rounding may put on the other side."""
    network = trained_with_batch_norm()
    images, labels = some_digits(40)
    together = is_correct(network, images, labels, chunk=40)
    assert int((together != is_correct(network, images, labels, chunk=1)).sum()) <= 1
    assert not network.training


def trained_with_batch_norm() -> Network:
    network = fresh(norm="batch")
    images, labels = some_digits()
    train(network, images, labels, SHORT, generator(), mirror_keeps_class=False)
    return network


def test_twenty_real_digits_per_class_teach_a_short_recipe() -> None:
    """A ConvNet-2 of width 16 after 150 plain steps is right on more than 85 % of the select images; a guess is right on 10 %."""
    splits = load_splits(DatasetConfig(name="digits"))
    chosen = ClassBatches(splits.train.labels, 10).draw(20, generator()).flatten()
    network = fresh(width=16)
    recipe = replace(RECIPES["plain"], steps=150)
    train(network, splits.train.images[chosen], splits.train.labels[chosen], recipe, generator(), mirror_keeps_class=False)
    assert float(is_correct(network, splits.select.images, splits.select.labels).float().mean()) > 0.85


def test_label_smoothing_is_training_on_smoothed_targets() -> None:
    """With 0.1 and 10 classes the target is 0.9 + 0.01 for the class and 0.01 for the others."""
    _, hard = some_digits()
    smoothed = (0.9 * functional.one_hot(hard, 10) + 0.01).log()
    by_hand = trained(labels=smoothed)
    torch.testing.assert_close(weights(trained(replace(SHORT, label_smoothing=0.1))), weights(by_hand), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("fields", [{"norm": "instance"}, {"norm": "batch"}])
@pytest.mark.parametrize("changes", [{"augmentation": "dsa"}, {"label_smoothing": 0.1}, {"schedule": "drop", "steps": 4}])
def test_networks_that_train_together_end_as_those_that_train_alone(fields: dict[str, Any], changes: dict[str, Any]) -> None:
    """Parameters and running statistics, up to rounding; 20 images in batches of 8, so that passes begin anew."""
    recipe = replace(SHORT, **changes)
    images, labels = some_digits()
    alone, together = ([fresh(seed, **fields) for seed in (3, 4, 5)] for _ in range(2))
    for seed, network in enumerate(alone):
        train(network, images, labels, recipe, generator(seed), mirror_keeps_class=False)
    train_together(together, images, labels, recipe, [generator(seed) for seed in range(3)], mirror_keeps_class=False)
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(other.state_dict(), one.state_dict(), rtol=1e-3, atol=1e-5)


def test_networks_train_together_on_soft_labels() -> None:
    images, _ = some_digits()
    soft = torch.randn(20, 10, generator=generator(9))
    alone, together = fresh(3), [fresh(3), fresh(4)]
    train(alone, images, soft, SHORT, generator(0), mirror_keeps_class=False)
    train_together(together, images, soft, SHORT, [generator(0), generator(1)], mirror_keeps_class=False)
    torch.testing.assert_close(weights(together[0]), weights(alone), rtol=1e-3, atol=1e-5)
