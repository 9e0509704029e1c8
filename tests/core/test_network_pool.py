"""Networks between initial and trained weights, and the calibration by trained ones, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from three_classes import Kept

from raydistill.core.contract import NoCheckpoint, TrainPart
from raydistill.core.network_pool import FreshNetworks, NetworkPool, networks_of, set_parameters, train_pair
from raydistill.core.networks import Network, build_network, initialise
from raydistill.core.unroll import flatten
from raydistill.errors import DivergedError
from raydistill.methods.configs.matching import MatchingFields
from raydistill.spaces.network import MLPConfig

CPU = torch.device("cpu")
MLP = MLPConfig(name="mlp", width=1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blank() -> Network:
    return build_network(MLP, (1, 2, 2), 3, CPU)


def parameters() -> int:
    return len(flatten(blank()))


def pool_of(start: float, trained: float, share: tuple[float, float]) -> NetworkPool:
    """One pair whose weights are all `start`, then all `trained`."""
    weights = torch.stack([torch.full((parameters(),), start), torch.full((parameters(),), trained)])
    return NetworkPool(weights.unsqueeze(0), share, blank())


def part() -> TrainPart:
    labels = torch.arange(3).repeat(20)
    images = torch.randn(60, 1, 2, 2, generator=generator()) + labels.view(-1, 1, 1, 1)
    return TrainPart(images=images, labels=labels, classes=3, mirror_keeps_class=False)


@pytest.mark.parametrize(("share", "weight"), [(0.0, 2.0), (0.25, 4.0), (1.0, 10.0)])
def test_weights_lie_between_the_initial_and_the_trained_ones_by_the_share(share: float, weight: float) -> None:
    """Between 2 and 10: 2 + 8 s."""
    model = blank()
    pool_of(2.0, 10.0, (share, share)).draw(model, generator())
    assert set(flatten(model).tolist()) == {weight}


def test_the_share_is_drawn_anew_within_its_ends() -> None:
    pool, model, source, seen = pool_of(0.0, 1.0, (0.25, 0.5)), blank(), generator(), []
    for _ in range(50):
        pool.draw(model, source)
        seen.append(flatten(model)[0].item())
    assert 0.25 <= min(seen) < 0.3
    assert 0.45 < max(seen) <= 0.5


def test_every_pair_is_drawn() -> None:
    weights = torch.arange(3.0).view(3, 1, 1).expand(3, 2, parameters())
    pool, model, source, seen = NetworkPool(weights, (0.0, 1.0), blank()), blank(), generator(), set()
    for _ in range(30):
        pool.draw(model, source)
        seen.add(flatten(model)[0].item())
    assert seen == {0.0, 1.0, 2.0}


def test_calibration_is_the_cross_entropy_under_the_trained_weights() -> None:
    """Trained weights of 0 give equal logits for 3 classes: log 3, whatever the drawn network and the image."""
    pool = pool_of(5.0, 0.0, (0.0, 0.0))
    pool.draw(blank(), generator())
    loss = pool.calibration(torch.randn(4, 1, 2, 2), torch.tensor([0, 1, 2, 0]))
    assert loss.item() == pytest.approx(math.log(3))


def test_calibration_leads_to_the_images_and_leaves_the_pool() -> None:
    pool = networks_of(part(), MLP, MatchingFields(pool=1, pool_steps=2), generator=generator(), checkpoint=NoCheckpoint())
    pool.draw(blank(), generator())
    images = torch.randn(6, 1, 2, 2, generator=generator(1), requires_grad=True)
    before = pool.state()["pool"].clone()
    pool.calibration(images, torch.arange(3).repeat(2)).backward()
    assert images.grad is not None
    assert torch.equal(pool.state()["pool"], before)


def test_a_pair_begins_with_the_initialisation_and_ends_trained() -> None:
    start, trained = train_pair(part(), MLP, 3, generator(5))
    fresh = blank()
    initialise(fresh, generator(5))
    assert torch.equal(start, flatten(fresh))
    assert not torch.equal(start, trained)


def test_set_parameters_is_the_inverse_of_flatten() -> None:
    flat = torch.arange(float(parameters()))
    model = blank()
    set_parameters(model, flat)
    assert torch.equal(flatten(model), flat)


def test_a_saved_pool_is_taken_up_with_the_pair_of_its_last_draw() -> None:
    weights = torch.stack([torch.zeros(2, parameters()), torch.ones(2, parameters())])
    saved = {"pool": weights, "pool.pair": torch.tensor(1)}
    pool = networks_of(part(), MLP, MatchingFields(pool=2, pool_steps=9), generator=generator(), checkpoint=Kept(saved))
    assert torch.equal(pool.state()["pool"], weights)
    assert int(pool.state()["pool.pair"]) == 1


def test_without_pairs_networks_are_fresh_and_nothing_is_drawn_or_saved() -> None:
    source, same = generator(3), generator(3)
    networks = networks_of(part(), MLP, MatchingFields(pool=0, pool_steps=9), generator=source, checkpoint=NoCheckpoint())
    assert isinstance(networks, FreshNetworks)
    model, expected = blank(), blank()
    networks.draw(model, source)
    initialise(expected, same)
    assert torch.equal(flatten(model), flatten(expected))
    assert networks.state() == {}
    assert networks.calibration(torch.ones(1, 1, 2, 2), torch.tensor([0])).item() == 0


def test_a_pool_refuses_a_network_that_diverged() -> None:
    """Images of 1e30 leave no weight finite."""
    large = replace(part(), images=part().images * 1e30)
    with pytest.raises(DivergedError, match=r"for a pool is .* at step 5; .* or lower method\.pool_steps"):
        train_pair(large, MLP, 5, generator())
