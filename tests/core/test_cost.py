"""Costs: multiply-accumulates by hand, seconds by activity, and peak memory."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest
import torch

from raydistill.core.cost import Stopwatch, forward_macs, keep_freed_memory
from raydistill.spaces.network import ConvNetConfig, LeNetConfig, MLPConfig, ResNet18Config

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("shape", "classes", "fields", "macs"),
    [
        ((1, 28, 28), 10, {}, 48_386_048),
        ((1, 32, 32), 10, {}, 61_233_152),
        ((3, 224, 224), 2, {"depth": 7, "width": 32}, 197_425_216),
        ((1, 8, 8), 10, {"depth": 2, "width": 32}, 376_128),
    ],
)
def test_convnet_costs_what_its_convolutions_and_classifier_multiply(
    shape: tuple[int, int, int], classes: int, fields: dict[str, Any], macs: int
) -> None:
    """MNIST: 32^2 * 9 * 128 + 16^2 * 9 * 128^2 + 8^2 * 9 * 128^2 + 2048 * 10
    = 1,179,648 + 37,748,736 + 9,437,184 + 20,480 = 48,386,048.

    Digits: 12^2 * 9 * 32 + 6^2 * 9 * 32^2 + 288 * 10 = 41,472 + 331,776 + 2,880 = 376,128.
    """
    assert forward_macs(ConvNetConfig(name="convnet", **fields), shape, classes) == macs


def test_mlp_costs_the_sizes_of_its_layers() -> None:
    """784 * 128 + 128 * 128 + 128 * 10 = 100,352 + 16,384 + 1,280 = 118,016."""
    assert forward_macs(MLPConfig(name="mlp"), (1, 28, 28), 10) == 118_016


def test_lenet_and_resnet18_cost_what_they_multiply() -> None:
    """LeNet on 28 x 28: 28^2 * 25 * 6 + 10^2 * 150 * 16 + 400 * 120 + 120 * 84 + 84 * 10 = 416,520.

    ResNet18 on 32 x 32, the known 0.56 billion: 32^2 * 27 * 64 for the stem; 32^2 * 9 * 64^2 * 4 in stage one. A later stage of
    width w and side s has one convolution from w / 2, three from w and one projection: s^2 * w^2 * (9 / 2 + 27 + 1 / 2), and with
    s * w = 2048 throughout each multiplies 134,217,728 times. 512 * 10 in the classifier.
    """
    assert forward_macs(LeNetConfig(name="lenet"), (1, 28, 28), 10) == 416_520
    expected = 1_769_472 + 150_994_944 + 3 * 134_217_728 + 5_120
    assert forward_macs(ResNet18Config(name="resnet18"), (3, 32, 32), 10) == expected == 555_422_720


def test_resnet18_with_batch_norm_is_counted_on_images_of_8_by_8() -> None:
    """8^2 * 9 * 64 = 36,864 for the stem, a sixteenth of the stages above, 34,603,008, and 5,120 in the classifier.

    Its last feature map is one pixel, of which batch norm has no statistics while it trains on a single image.
    """
    network = ResNet18Config(name="resnet18", norm="batch")
    assert forward_macs(network, (1, 8, 8), 10) == 36_864 + 34_603_008 + 5_120 == 34_644_992


@pytest.mark.parametrize("norm", ["instance", "batch", "layer", "group", "none"])
def test_norms_cost_nothing(norm: Any) -> None:
    assert forward_macs(ConvNetConfig(name="convnet", norm=norm), (1, 28, 28), 10) == 48_386_048


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


def test_seconds_of_an_activity_add_up(clock: Clock) -> None:
    watch = Stopwatch()
    for seconds in (2, 3):
        with watch.measure("train"):
            clock.now += seconds
        clock.now += 10
    assert watch.seconds == {"train": 5}


def test_an_activity_inside_another_is_counted_in_both(clock: Clock) -> None:
    watch = Stopwatch()
    with watch.measure("whole"):
        clock.now += 1
        with watch.measure("evaluate"):
            clock.now += 2
    assert watch.seconds == {"whole": 3, "evaluate": 2}


def test_an_activity_that_fails_is_counted(clock: Clock) -> None:
    def fail() -> None:
        clock.now += 2
        raise RuntimeError("boom")

    watch = Stopwatch()
    with pytest.raises(RuntimeError, match="boom"), watch.measure("train"):
        fail()
    assert watch.seconds == {"train": 2}


def test_what_is_under_way_is_in_the_seconds_so_far(clock: Clock) -> None:
    watch = Stopwatch()
    watch.seconds = {"whole": 10.0, "evaluate": 4.0}
    with watch.measure("whole"):
        clock.now += 3
        assert watch.so_far() == {"whole": 13, "evaluate": 4}
    assert watch.so_far() == {"whole": 13, "evaluate": 4}


def test_peak_memory_is_no_less_than_what_is_held() -> None:
    """256 MiB of ones, beside what the process has held before; in one of its own, which has nothing that it could use again."""
    code = """
import torch
from raydistill.core.cost import peak_memory_bytes, reset_peak_memory
device = torch.device("cpu")
reset_peak_memory(device)
base = peak_memory_bytes(device)
held = torch.ones(2**26)
print(peak_memory_bytes(device) - base)
"""
    said = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert int(said) > 2**27


def test_a_reset_forgets_an_earlier_peak() -> None:
    """256 MiB are held and given back, in a process of its own: one that has freed as much before may keep them."""
    code = """
import torch
from raydistill.core.cost import keep_freed_memory, peak_memory_bytes, reset_peak_memory
keep_freed_memory()
device = torch.device("cpu")
reset_peak_memory(device)
held = torch.ones(2**26)
peak = peak_memory_bytes(device)
del held
reset_peak_memory(device)
print(peak - peak_memory_bytes(device))
"""
    said = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert int(said) > 2**27


def test_keeping_freed_memory_may_be_asked_twice() -> None:
    keep_freed_memory()
    keep_freed_memory()
    assert float(torch.ones(10).sum()) == 10
