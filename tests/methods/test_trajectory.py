"""Trajectory matching: the window, the distance and the filter by hand; gate, rate and golden losses."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor

from raydistill.core.contract import NoCheckpoint, TrainPart
from raydistill.core.expert_fields import ExpertSettings
from raydistill.core.experts import Experts, train_expert
from raydistill.core.synthetic import SyntheticSet
from raydistill.data.splits import load_splits
from raydistill.errors import DivergedError
from raydistill.methods import METHODS, trajectory
from raydistill.methods.configs.datm import DATMConfig
from raydistill.methods.configs.pad import PADConfig
from raydistill.methods.configs.trajectory import TrajectoryConfig
from raydistill.methods.pad import parameters_kept
from raydistill.methods.trajectory import distance, window_end
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.network import ConvNetConfig, ResNet18Config
from raydistill.spaces.sections import Config, DatasetConfig

CPU = torch.device("cpu")
NETWORK = ConvNetConfig(name="convnet", depth=2, width=4)
SHORT: dict[str, Any] = {
    "experts": 2,
    "expert_epochs": 4,
    "iterations": 3,
    "student_steps": 3,
    "window_width": 2,
    "window_growth": 0,
    "batch_synthetic": 10,
    "lr_student": 0.05,
    "gate": 10.0,
}


class InMemory:
    """Experts trained on digits in a moment, in float64."""

    epochs = 4
    count = 2

    def __init__(self, part: TrainPart) -> None:
        settings = ExpertSettings(
            dataset={"name": "digits"},
            data_sha256="d" * 64,
            network=NETWORK,
            operations=(),
            epochs=self.epochs,
            lr=0.05,
            momentum=0.0,
            batch=128,
            rho=0.0,
            gap_weight=0.0,
            seed=0,
            curriculum=None,
        )
        self.snapshots = [train_expert(part, settings, e, range(5), None, CPU)[0] for e in range(self.count)]

    def snapshot(self, expert: int, epoch: int) -> Tensor:
        return self.snapshots[expert][epoch].double()


@pytest.fixture(scope="module")
def part() -> TrainPart:
    splits = load_splits(DatasetConfig(name="digits"))
    return TrainPart(images=splits.train.images, labels=splits.train.labels, classes=10, mirror_keeps_class=False)


@pytest.fixture(scope="module")
def experts(part: TrainPart) -> InMemory:
    return InMemory(part)


def distil(method: str, part: TrainPart, experts: Experts, report: Any = lambda *_, **__: None, **fields: Any) -> SyntheticSet:
    double = TrainPart(images=part.images.double(), labels=part.labels, classes=10, mirror_keeps_class=False)
    return METHODS[method].distill(
        double,
        NETWORK,
        METHODS[method].config.model_validate({"name": method, **SHORT, **fields}),
        2,
        generator=torch.Generator().manual_seed(0),
        device=CPU,
        report=report,
        checkpoint=NoCheckpoint(),
        experts=experts,
    )


@pytest.mark.parametrize(("iteration", "end"), [(0, 10), (99, 10), (100, 11), (500, 15), (999, 19), (1000, 20), (9999, 20)])
def test_the_window_grows_as_published(iteration: int, end: int) -> None:
    """T- = 0, T = 10, T+ = 20, E = 1000: U(0) = 10, U(500) = 15, U(1000 and later) = 20."""
    config = DATMConfig(name="datm", window_start=0, window_width=10, window_growth=10, growth_iterations=1000)
    assert window_end(config, iteration) == end


def test_a_window_that_does_not_grow_stays() -> None:
    config = DATMConfig(name="datm", window_start=40, window_width=20, window_growth=0)
    assert [window_end(config, i) for i in (0, 9999)] == [60, 60]


def test_epochs_read_reach_to_the_last_target() -> None:
    """The last start epoch is T+ - 1 = 19, its target two later."""
    config = DATMConfig(name="datm", window_start=0, window_width=10, window_growth=10, target_epochs=2)
    assert (config.epochs_read()[0], config.epochs_read()[-1]) == (0, 21)


def test_a_student_that_stands_still_has_distance_one() -> None:
    start, target = torch.tensor([1.0, 2.0]), torch.tensor([4.0, 6.0])
    assert float(distance(start, start, target, None)) == 1.0


def test_distance_by_hand() -> None:
    """Errors (1, 2) squared are 1 + 4 = 5; the expert moved (3, 4), squared 25."""
    theta, start, target = torch.tensor([3.0, 4.0]), torch.tensor([1.0, 2.0]), torch.tensor([4.0, 6.0])
    assert float(distance(theta, start, target, None)) == pytest.approx(0.2)


def test_leaving_out_by_depth_by_hand() -> None:
    """alpha = 0.5 of five entries leaves out floor(2.5) = 2: what is left is (1 + 4 + 0) / (9 + 16 + 1)."""
    theta, start = torch.tensor([9.0, 9.0, 3.0, 4.0, 1.0]), torch.tensor([0.0, 0.0, 1.0, 2.0, 0.0])
    target = torch.tensor([0.0, 5.0, 4.0, 6.0, 1.0])
    keep = parameters_kept(PADConfig(name="pad", shallow_fraction=0.5))
    assert float(distance(theta, start, target, keep)) == pytest.approx(5 / 26)


def test_leaving_out_by_loss_by_hand() -> None:
    """Of squared errors 81, 16, 1, 4, 0 the two smallest go, the third and the fifth: 101 / (0 + 25 + 16)."""
    theta, start = torch.tensor([9.0, 9.0, 3.0, 4.0, 1.0]), torch.tensor([0.0, 0.0, 1.0, 2.0, 0.0])
    target = torch.tensor([0.0, 5.0, 4.0, 6.0, 1.0])
    keep = parameters_kept(PADConfig(name="pad", shallow_fraction=0.5, leave_out="loss"))
    assert float(distance(theta, start, target, keep)) == pytest.approx(101 / 41)


@pytest.mark.parametrize(("share", "left_out"), [(0.25, 79_426), (0.5, 158_853), (0.75, 238_279)])
def test_the_share_left_out_of_an_mnist_convnet(share: float, left_out: int) -> None:
    """floor(alpha * 317,706)."""
    keep = parameters_kept(PADConfig(name="pad", shallow_fraction=share))
    assert keep is not None
    mask = keep(torch.zeros(317_706))
    assert (int((mask == 0).sum()), bool(mask[left_out]), bool(mask[left_out - 1])) == (left_out, True, False)


def test_without_a_share_and_a_filter_pad_is_datm(part: TrainPart, experts: InMemory) -> None:
    pad = distil("pad", part, experts, shallow_fraction=0.0, filter_data=False)
    datm = distil("datm", part, experts)
    torch.testing.assert_close(pad.images, datm.images)
    torch.testing.assert_close(pad.labels, datm.labels)


class RandomWalks:
    """Experts that were never trained: float64 paths from a seed.

    Uniform draws are the same bits on every machine; normal ones differ in the seventh digit with the CPU's kernels.
    """

    epochs = 4
    count = 2

    def __init__(self, size: int) -> None:
        draws = torch.rand(self.count, self.epochs + 1, size, generator=torch.Generator().manual_seed(0)).double()
        self.paths = 0.1 * (12**0.5 * (draws - 0.5)).cumsum(dim=1)  # steps of deviation 0.1

    def snapshot(self, expert: int, epoch: int) -> Tensor:
        return self.paths[expert, epoch]


GOLDEN = {
    "datm": [0.0001720183232791772, -0.0005608555432674578, -0.0003163788146488544],
    "pad": [0.00020180054844631812, -0.0006872464365003106, -0.00042703365273799587],
}
"""In float64, less 1; they change only with the maths or the draws."""


@pytest.mark.parametrize("method", ["datm", "pad"])
def test_golden_losses_of_three_steps(method: str, part: TrainPart, experts: InMemory) -> None:
    losses: list[float] = []
    walks = RandomWalks(len(experts.snapshot(0, 0)))
    distil(method, part, walks, lambda step, steps, loss, s, **_: losses.append(loss.item()) if loss is not None else None)
    # A student that stands still has loss 1: what three steps change is small, and is what must come out. Other kernels sum in
    # another order, which is about 1e-16 of the 1, so 1e-12 of these.
    assert [loss - 1 for loss in losses] == pytest.approx(GOLDEN[method], rel=1e-6)


def test_a_loss_above_the_gate_changes_nothing_and_is_told(part: TrainPart, experts: InMemory) -> None:
    told: list[bool] = []
    sets: list[SyntheticSet] = []

    def report(step: int, steps: int, loss: Any, synthetic: SyntheticSet, *, is_accepted: bool = True) -> None:
        told.append(is_accepted)
        sets.append(SyntheticSet(images=synthetic.images.clone(), labels=synthetic.labels.clone(), ipc=2))

    last = distil("datm", part, experts, report, gate=1e-9)
    assert told == [True, False, False, False]
    assert torch.equal(sets[0].images, last.images)
    assert torch.equal(sets[0].labels, last.labels)
    assert last.learned_lr == pytest.approx(0.05)


def test_a_loss_that_is_not_finite_is_dropped_as_one_above_the_gate(
    part: TrainPart, experts: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three iterations the second has no loss: it alone changes nothing."""
    told: list[bool] = []
    sets: list[SyntheticSet] = []
    whole, calls = trajectory.unrolled_gradient, iter((1, 2, 3))

    def gradient(*given: Any) -> Any:
        matched = whole(*given)
        return matched._replace(loss=matched.loss * float("nan")) if next(calls) == 2 else matched

    def report(step: int, steps: int, loss: Any, synthetic: SyntheticSet, *, is_accepted: bool = True) -> None:
        told.append(is_accepted)
        sets.append(SyntheticSet(images=synthetic.images.clone(), labels=synthetic.labels.clone(), ipc=2))

    monkeypatch.setattr(trajectory, "unrolled_gradient", gradient)
    distil("datm", part, experts, report)
    assert told == [True, True, False, True]
    assert torch.equal(sets[1].images, sets[2].images)
    assert not torch.equal(sets[2].images, sets[3].images)


def test_a_set_that_is_not_finite_is_divergence(part: TrainPart, experts: InMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of the first iteration is finite and its gradient is not; those after it are dropped."""
    whole = trajectory.unrolled_gradient
    monkeypatch.setattr(trajectory, "unrolled_gradient", lambda *given: whole(*given)._replace(images=whole(*given).images / 0))
    with pytest.raises(DivergedError, match="a pixel or a label of the set is nan at step 3; lower the learning rates"):
        distil("datm", part, experts)


def test_images_labels_and_rate_are_learned(part: TrainPart, experts: InMemory) -> None:
    starts: list[SyntheticSet] = []
    learned = distil("datm", part, experts, lambda step, steps, loss, s, **_: starts.append(s), iterations=1, lr_lr=0.001)
    assert learned.learned_lr != pytest.approx(0.05)
    still = distil("datm", part, experts, iterations=1, lr_labels=0.0, lr_lr=0.0)
    assert still.learned_lr == pytest.approx(0.05)
    assert not torch.equal(still.labels, learned.labels)
    torch.testing.assert_close(still.images, learned.images)


@pytest.mark.parametrize(("lr_lr", "shown"), [(1e3, r"the learned rate is -?[\d.e+]+ at step 1")])
def test_a_rate_that_runs_away_is_divergence(part: TrainPart, experts: InMemory, lr_lr: float, shown: str) -> None:
    with pytest.raises(DivergedError, match=shown):
        distil("datm", part, experts, lr_lr=lr_lr)


@pytest.mark.parametrize("init", ["correct", "real", "noise", "k_means"])
def test_each_start_has_labels_that_name_its_class(part: TrainPart, experts: InMemory, init: str) -> None:
    starts: list[SyntheticSet] = []
    distil("datm", part, experts, lambda step, steps, loss, s, **_: starts.append(s), init=init, gate=1e-9)
    assert starts[0].labels.argmax(dim=1).tolist() == [j // 2 for j in range(20)]


def test_random_soft_takes_the_start_of_datm_from_real_images(part: TrainPart, experts: InMemory) -> None:
    start = distil("datm", part, experts, init="real", gate=1e-9)
    fields = {"name": "random_soft", "experts": 2, "expert_epochs": 4}
    control = METHODS["random_soft"].distill(
        TrainPart(images=part.images.double(), labels=part.labels, classes=10, mirror_keeps_class=False),
        NETWORK,
        METHODS["random_soft"].config.model_validate(fields),
        2,
        generator=torch.Generator().manual_seed(0),
        device=CPU,
        report=lambda *_: None,
        checkpoint=NoCheckpoint(),
        experts=experts,
    )
    assert torch.equal(control.images, start.images)
    torch.testing.assert_close(control.labels, start.labels)
    assert control.learned_lr is None


FACTS = DataFacts(smallest_class=77, confirm_images=300)


@pytest.mark.parametrize(
    ("config", "network", "field", "message"),
    [
        (
            DATMConfig(name="datm", expert_epochs=10, window_width=8, window_growth=2),
            NETWORK,
            "expert_epochs",
            r"given 10; the window reads up to epoch 11 .*: raise it, or take an earlier window",
        ),
        (
            DATMConfig(name="datm"),
            ConvNetConfig(name="convnet", norm="batch"),
            "name",
            "not the running statistics of batch norm",
        ),
        (
            DATMConfig(name="datm"),
            ResNet18Config(name="resnet18", norm="batch"),
            "name",
            "not the running statistics of batch norm",
        ),
        (
            PADConfig(name="pad", expert_initial_fraction=0.01),
            NETWORK,
            "filter_data",
            r"the scheduler's shares need 100 images of each class, and the smallest has 77: raise",
        ),
    ],
)
def test_what_experts_cannot_serve_is_refused(config: TrajectoryConfig, network: Config, field: str, message: str) -> None:
    ((named, told),) = list(config.against(FACTS, network))
    assert named == field
    assert re.search(message, told)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"expert_drop_fractions": (0.1, 1.0)}, "expert_drop_fractions"),
        ({"expert_drop_fractions": (-0.5, 0.2)}, "expert_drop_fractions"),
        ({"expert_drop_fractions": (0.2, 0.1)}, r"drop_fractions are 0\.2 and 0\.1 \(PAD: expert_drop_fr.*: swap them"),
        ({"expert_drop_epochs": (24, 16)}, r"drop_epochs are 24 and 16 \(PAD: expert_drop_epochs\); .*: swap them"),
    ],
)
def test_a_curriculum_that_makes_no_sense_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PADConfig(name="pad", **fields)


def test_a_curriculum_that_drops_before_it_has_added_all_is_refused_in_a_space_and_read_in_a_record() -> None:
    facts = DataFacts(smallest_class=100, confirm_images=100, shape=(1, 8, 8))
    config = PADConfig(name="pad", expert_all_from_epoch=41)
    ((field, message),) = config.against(facts, ConvNetConfig(name="convnet", depth=2, width=4))
    assert field == "expert_all_from_epoch"
    assert message.startswith("it is 41, but after epoch 40 easy images are dropped, before all were added: write 40 or less")


def test_a_curriculum_may_drop_as_soon_as_it_has_added_all() -> None:
    """As published for CIFAR-100 and Tiny ImageNet: all from epoch 40, the easiest dropped after it."""
    curriculum = PADConfig(name="pad", expert_all_from_epoch=40).curriculum()
    assert curriculum is not None
    assert [curriculum.span(epoch) for epoch in (40, 41)] == [(0.0, 1.0), (0.1, 1.0)]


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_outside_zero_to_one_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="shallow_fraction"):
        PADConfig(name="pad", shallow_fraction=share)
