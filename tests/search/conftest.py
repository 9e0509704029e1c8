"""A cluster for a file's searches, and the tiny search to compare with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """One cluster for the module, and its address; an executor in this process finds it and leaves it running."""
    ray = pytest.importorskip("ray")

    from raydistill.search.on_ray.access import be_patient

    be_patient()
    context = ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield context.address_info["gcs_address"]
    ray.shutdown()


@pytest.fixture(scope="module")
def locally(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny search in one process, to compare with."""
    from tiny_search import search

    folder = tmp_path_factory.mktemp("locally")
    search(folder, local=True)
    return folder


@pytest.fixture
def with_baseline(tmp_path: Path, locally: Path) -> Path:
    """A store in which the tiny study has its baseline, so that a search begins with its trials."""
    shutil.copytree(locally / "made-up" / "baseline", tmp_path / "made-up" / "baseline")
    return tmp_path
