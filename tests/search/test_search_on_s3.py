"""Whole searches whose store is a bucket on a real S3 server: killed and continued, certified, tabulated, compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from s3_server import SECRET
from typer.testing import CliRunner

from raydistill.cli import app
from raydistill.storage import lease
from raydistill.storage.store import Store

if TYPE_CHECKING:
    from s3_server import Bucket

pytestmark = pytest.mark.slow

TINY = """
study: made-up
dataset: {name: digits}
network: {name: convnet, depth: 2, width: 4}
method: {name: datadam, lr_images: {low: 0.1, high: 10.0, log: true}, random_inits: {low: 4, high: 8}, batch_real: 8}
ipc: {low: 6, high: 12}
evaluation: {recipe: default, networks: 2, baseline_networks: 2, confirm_networks: 2}
goal: {margin_fraction: 0.9}
controls: []
budget: {trials: 5}
"""
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def begun(*arguments: str) -> subprocess.Popen[str]:
    """The command, in a process that can be killed. The recipe `default` has five steps."""
    code = (
        f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r})\n"
        "from raydistill.cli import main\n"
        "from write_faults import short_recipe\n"
        "with short_recipe():\n"
        "    main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def done(*arguments: str) -> str:
    """What the command prints, in this process, with connections of its own.

    It takes the lease of another for ended after 3 seconds, so that a test need not wait for a minute: no holder of one lives.
    For its own it keeps the usual seconds, since on a busy machine it renews late. The recipe `default` has five steps.
    """
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        from write_faults import short_recipe

        patch.setattr(lease, "LEASE_SECONDS", 3.0)
        patch.setattr(lease, "POLL_SECONDS", 0.2)
        with short_recipe():
            ended = CliRunner().invoke(app, list(arguments))
    torch.set_num_threads(threads)
    assert ended.exit_code == 0, ended.output
    return ended.output


def records(study: Store) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for trial_id in study.folders("trials"):
        data = study.read_or_none(f"trials/{trial_id}/record.json")
        if data is not None:
            record = json.loads(data)
            number = record["config"]["ask_number"]
            assert number not in found
            found[number] = record
    return found


def contents(bucket: Bucket) -> dict[str, bytes]:
    store = Store(bucket.uri)
    return {name: store.read(name) for name in store.stamps()}


def test_a_search_in_a_bucket_is_killed_taken_up_without_repeating_anything_and_certified(bucket: Bucket, tmp_path: Path) -> None:
    space = tmp_path / "tiny.yaml"
    space.write_text(TINY)
    store, study = f"{bucket.uri}/studies", Store(f"{bucket.uri}/studies/made-up")
    killed = begun("search", str(space), "--local", "--store", store)
    while len(records(study)) < 1:
        assert killed.poll() is None, killed.communicate()[0]
        time.sleep(0.2)
    killed.kill()
    killed.wait()
    before = records(study)
    assert study.exists(".lock")
    output = done("search", str(space), "--local", "--store", store)
    after = records(study)
    assert sorted(after) == [0, 1, 2, 3, 4]
    assert before.items() <= after.items()
    assert not study.exists(".lock")
    assert study.read("study.db").startswith(b"SQLite format 3")
    assert study.read_json("result.json")["verdict"] == "lossless"
    assert SECRET not in output
    assert "| " in done("tables", "made-up", "--store", store)
    done("certify", "made-up", "--store", store, "--local", "--networks", "2")
    done("verify", f"{study.root}/certificate.json")
    found = contents(bucket)
    assert not [name for name, data in found.items() if SECRET.encode() in data or b"AKIAIOSFODNN7EXAMPLE" in data]


def test_a_comparison_and_its_experts_lie_in_a_bucket(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYDISTILL_CACHE", str(tmp_path / "cache"))
    overrides = [
        *("--set", "network.width=4", "--set", "network.depth=2", "--set", "evaluation.networks=1"),
        *("--set", "evaluation.recipe=default", "--set", "method.experts=1", "--set", "method.iterations=2"),
    ]
    options = ["--store", f"{bucket.uri}/studies", "--local", "--ipc", "1", "--draws", "2", "--methods", "datm"]
    done("compare", "digits_datm", *options, *overrides)
    assert Store(f"{bucket.uri}/studies/experts").folders(".")
    assert list((tmp_path / "cache/files").glob("*.safetensors"))


def test_what_a_trial_costs_in_requests(bucket: Bucket, tmp_path: Path) -> None:
    """Per trial, without checkpoints: measured, and held so that it does not grow unseen."""
    space = tmp_path / "tiny.yaml"
    space.write_text(TINY)
    store = f"{bucket.uri}/studies"

    def requests(trials: int) -> Counter[str]:
        bucket.requests.clear()
        done("search", str(space), "--local", "--store", store, "--trials", str(trials), "--set", "evaluation.confirm_networks=2")
        return Counter(line.split()[0] for line in bucket.requests if "/trials/" in line)

    requests(1)
    of_two_more = requests(3)
    print(of_two_more)
    assert sum(of_two_more.values()) <= 80
