"""The work behind the tables as tasks of a Ray cluster."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from raydistill.reproduce.jobs import Place
from raydistill.reproduce.run import _readings, asked_for
from raydistill.reproduce.scales import SMALL
from raydistill.reproduce.settings import rows_of
from raydistill.spaces.sections import ResourcesConfig
from raydistill.storage.store import Store

from .test_run import Told, write_mhist


@pytest.mark.ray
@pytest.mark.usefixtures("small_cluster")
def test_networks_are_trained_and_read_in_other_processes(tmp_path: Path) -> None:
    """MHIST's row of Table I: two networks on the full data, whose images lie in files that every process finds."""
    from raydistill.search.on_ray.executor import RayExecutor

    write_mhist(tmp_path)
    place = Place(store=Store(str(tmp_path / "store")), data_root=tmp_path, threads=1, device="cpu")
    cell = rows_of(1, "as_run", SMALL)["mhist", "full data"].own
    jobs = _readings([cell], place, asked_for("1", "as_run", "small"))
    told: Any = Told()
    with closing(RayExecutor(None, ResourcesConfig())) as executor:
        executor.run_jobs(jobs, told)
    (outcome,) = (job.read() for job in jobs)
    assert outcome is not None
    assert len(outcome.accuracy_fractions) == 2
    assert told.done == 1
