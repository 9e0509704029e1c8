"""Fixtures for all tests. Its presence puts this folder on the path, so that tests may import `hand_made`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hand_made import HandMade
    from s3_server import Bucket


ON_PRETEND_GPU = Path(__file__).parent / "gpu"

# Ray has its workers give way to everything else (nice 15): beside two busy processes on two cores they have a thirtieth of each.
os.environ.setdefault("RAY_worker_niceness", "0")
# Read when torch is loaded: threads that wait by spinning keep the cores of a busy machine from those that they wait for.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


ONLY_WHEN_ASKED_FOR = ("chaos", "cluster", "pretend_gpu")
"""Marks of tests that take hours, of those that need root and make networks, and of those that need a process of their own."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave tests with some marks out unless they are asked for."""
    for item in items:
        if item.path.is_relative_to(ON_PRETEND_GPU):
            item.add_marker("pretend_gpu")
    marks = [mark for mark in ONLY_WHEN_ASKED_FOR if mark not in config.option.markexpr]
    left_out = [item for item in items if any(item.get_closest_marker(mark) for mark in marks)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def _no_defaults_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user's environment says of stores and data is in no command line. The tests of MNIST's files read it before."""
    for name in ("RAYDISTILL_DATA", "RAYDISTILL_STORE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def by_hand(tmp_path: Path) -> HandMade:
    """An empty study at `<tmp_path>/store/by-hand`."""
    from hand_made import HandMade

    return HandMade(tmp_path / "store" / "by-hand")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket on an S3 server of this machine, and the environment that leads to it."""
    from s3_server import bucket_on_loopback

    with bucket_on_loopback() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def small_cluster() -> Iterator[None]:
    """A Ray cluster of two cores, which an executor of this process finds: without the dozen processes of a dashboard."""
    ray = pytest.importorskip("ray")

    from raydistill.search.on_ray.access import be_patient

    be_patient()
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def float64() -> Iterator[None]:
    """Tensors in double precision, for golden values."""
    import torch

    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
