"""Parts that matching methods share: draws, chunks, model steps, and the saved state."""

from __future__ import annotations

import pytest
import torch
from three_classes import Kept
from torch import Tensor, nn

from raydistill.core import matching
from raydistill.core.choices import OPERATIONS
from raydistill.core.layers import Features
from raydistill.core.matching import augment_classes, real_features, restore, siamese_draw, state_of, train_between
from raydistill.core.networks import Network, build_network, initialise
from raydistill.core.sgd import SGD
from raydistill.methods.configs.fields import larger_than_a_class
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.network import ConvNetConfig, MLPConfig

CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def started(norm: str = "instance") -> Network:
    config = ConvNetConfig.model_validate({"name": "convnet", "depth": 2, "width": 4, "norm": norm})
    network = build_network(config, (1, 8, 8), 3, CPU)
    initialise(network, generator())
    return network.requires_grad_(False)


def embeddings(features: Features, classes: int) -> list[Tensor]:
    return [features.embedding.reshape(classes, -1, features.embedding.shape[1]).mean(dim=1)]


def test_one_draw_per_step_is_the_same_for_every_class() -> None:
    draw = siamese_draw(OPERATIONS, 4, "per_step", generator())
    assert draw is not None
    assert len(set(draw.operations)) == 1
    assert bool((draw.numbers == draw.numbers[0]).all())


def test_draws_per_class_differ() -> None:
    draw = siamese_draw(OPERATIONS, 4, "per_class", generator())
    assert draw is not None
    assert len({tuple(row) for row in draw.numbers.tolist()}) == 4


def test_no_operation_is_no_draw_and_leaves_the_images() -> None:
    images = torch.randn(2, 3, 1, 8, 8)
    assert siamese_draw((), 2, "per_class", generator()) is None
    assert torch.equal(augment_classes(images, None), images.flatten(0, 1))


def test_a_class_is_augmented_as_it_is_among_all() -> None:
    images = torch.randn(4, 3, 1, 8, 8)
    draw = siamese_draw(OPERATIONS, 4, "per_class", generator())
    assert draw is not None
    alone = [augment_classes(images[c : c + 1], draw.part(slice(c, c + 1))) for c in range(4)]
    torch.testing.assert_close(torch.cat(alone), augment_classes(images, draw))


@pytest.mark.parametrize(("norm", "passes"), [("instance", 3), ("batch", 1)])
def test_chunks_of_whole_classes_unless_batch_norm_needs_all(norm: str, passes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three classes of 5 images, in chunks of 5."""
    monkeypatch.setattr(matching, "REAL_CHUNK", 5)
    seen: list[int] = []

    def means(features: Features, classes: int) -> list[Tensor]:
        seen.append(classes)
        return embeddings(features, classes)

    chosen = torch.arange(15).view(3, 5)
    (found,) = real_features(started(norm).train(), torch.randn(15, 1, 8, 8), chosen, None, means)
    assert len(seen) == passes
    assert found.shape[0] == 3


def test_a_model_step_is_plain_sgd_by_hand() -> None:
    """Embedding 1, class 0 of 2, weights 0: the gradient is -1/2 and 1/2; one step of 0.1 gives 0.05 and -0.05."""
    network = build_network(MLPConfig(name="mlp", width=1), (1, 1, 1), 2, CPU)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.hidden[1].bias.fill_(1.0)
    network.hidden[3] = nn.Identity()
    image = torch.ones(1, 1, 1, 1)
    train_between(network, image, torch.tensor([0]), (), generator(), lr=0.1, steps=1, batch=4)
    assert network.classifier.weight.flatten().tolist() == pytest.approx([0.05, -0.05])


def test_a_batch_above_the_smallest_class_is_reported() -> None:
    facts = DataFacts(smallest_class=5, confirm_images=300)
    assert list(larger_than_a_class(5, facts)) == []
    ((field, message),) = larger_than_a_class(6, facts)
    assert (field, message) == ("batch_real", "given 6; the smallest class has 5 train images: write at most that number")


def test_a_state_brings_back_images_momentum_model_and_generator() -> None:
    images, source, model = torch.randn(3, 1, 8, 8), generator(1), started()
    optimiser = SGD([images], lr=0.1, momentum=0.5)
    images.grad = torch.ones_like(images)
    optimiser.step()
    state = {name: value.clone() for name, value in state_of(7, images, optimiser, model, source).items()}
    next_draw = torch.rand(1, generator=source)

    other, later, fresh = torch.zeros_like(images), generator(9), started()
    with torch.no_grad():
        fresh.classifier.weight.zero_()
    again = SGD([other], lr=0.1, momentum=0.5)
    assert restore(Kept(state), other, again, fresh, later) == 7
    assert torch.equal(other, images)
    assert torch.equal(again.buffers[0], torch.ones_like(images))
    assert torch.equal(fresh.classifier.weight, model.classifier.weight)
    assert torch.equal(torch.rand(1, generator=later), next_draw)


def test_where_nothing_was_saved_nothing_is_done() -> None:
    images = torch.zeros(1, 1, 8, 8)
    assert restore(Kept(None), images, SGD([images], lr=0.1), started(), generator()) == 0
