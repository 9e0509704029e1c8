"""Jobs of two searches on one cluster at the same time: with and without GPUs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up import Told

ray = pytest.importorskip("ray")

from raydistill.search.on_ray import RayExecutor  # noqa: E402
from raydistill.search.on_ray.access import be_patient  # noqa: E402
from raydistill.spaces.sections import ResourcesConfig  # noqa: E402

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def _cluster() -> Iterator[None]:
    """Three cores and a GPU that is none: Ray hands out its number and looks no further."""
    be_patient()
    ray.init(address="local", num_cpus=3, num_gpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def meeting(name: str, folder: Path, expected: int) -> Any:
    """A job that writes which GPU it sees, and ends when so many others run beside it."""

    class Job:
        """Made here, so that it travels by value."""

        networks = 1

        def __init__(self) -> None:
            self.name = name

        def __call__(self) -> None:
            import os
            import time

            folder.joinpath(f"{name}.json").write_text(json.dumps(os.environ.get("CUDA_VISIBLE_DEVICES")))
            deadline = time.monotonic() + 600  # on a busy machine a process of Ray's takes minutes to start
            while len(list(folder.glob("*.json"))) < expected:
                assert time.monotonic() < deadline, f"{name} ran alone"
                time.sleep(0.05)

    return Job()


@pytest.mark.usefixtures("_cluster")
def test_a_search_on_cpus_runs_beside_one_whose_trials_share_a_gpu(tmp_path: Path) -> None:
    """Two halves of GPU 0 and one job without any: three cores, so all three run at once, and none ends before all do."""
    on_gpu = RayExecutor(None, ResourcesConfig(gpus_per_trial=0.5))
    jobs = [meeting(f"gpu-{number}", tmp_path, 3) for number in range(2)]
    other_search = threading.Thread(target=on_gpu.run_jobs, args=(jobs, Told()))
    other_search.start()
    RayExecutor(None, ResourcesConfig()).run_jobs([meeting("cpu", tmp_path, 3)], Told())
    other_search.join()
    seen = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert {name: gpu or None for name, gpu in seen.items()} == {"gpu-0": "0", "gpu-1": "0", "cpu": None}
