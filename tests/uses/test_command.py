"""`raydistill evaluate --protocol transfer` and the other uses of a set."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from small_set import write_small_set
from typer.testing import CliRunner

from raydistill.cli import app
from raydistill.report.progress import STAGE_COUNTS

SHORT = ["--recipe", "plain", "--networks", "1", "--controls", "random", "--local"]


def evaluate(*words: str) -> Any:
    return CliRunner().invoke(app, ["evaluate", *words])


def test_the_command_prints_the_table_and_how_long_it_takes_before(small_set: str) -> None:
    done = evaluate(small_set, "--protocol", "transfer", "--network", "mlp", *SHORT)
    assert done.exit_code == 0, done.output
    assert "| full data" in done.stdout
    assert "3 networks mlp at" in done.stderr
    assert "control sets: 1 sets" in done.stderr


def test_the_page_of_its_study_is_named_as_the_next_thing_to_look_at(tmp_path: Path) -> None:
    study = tmp_path / "store" / "study"
    (study / "trials").mkdir(parents=True)
    (study / "search_space.yaml").write_text("study: study\n")
    done = evaluate(write_small_set(study / "winner"), "--protocol", "transfer", "--network", "mlp", *SHORT)
    assert done.exit_code == 0, done.output
    assert done.stderr.endswith(f"Next:\n  raydistill report {study}\n")


def test_the_command_prints_json_for_scripts(small_set: str) -> None:
    done = evaluate(small_set, "--protocol", "transfer", "--network", "mlp", "--format", "json", *SHORT)
    assert [row["source"] for row in json.loads(done.stdout)] == ["set", "random", "full"]


def test_a_dry_run_of_the_command_prints_the_time_alone(small_set: str) -> None:
    done = evaluate(small_set, "--protocol", "transfer", "--network", "mlp", "--dry-run", *SHORT)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "3 networks mlp at" in done.stderr


@pytest.mark.parametrize("protocol", [[], ["--protocol", "dc_bench"]])
@pytest.mark.parametrize("option", [["--orders", "2"], ["--into", "x"], ["--local"], ["--dry-run"], ["--hours", "1"]])
def test_an_option_of_these_protocols_is_refused_elsewhere(small_set: str, protocol: list[str], option: list[str]) -> None:
    done = evaluate(small_set, *protocol, *option)
    assert done.exit_code == 2
    assert "only --protocol transfer, continual, nas, cost, privacy take it" in " ".join(done.stderr.split()).replace("│ ", "")


def test_augmentations_are_refused_with_these_protocols(small_set: str) -> None:
    done = evaluate(small_set, "--protocol", "transfer", "--augmentations", "dsa", *SHORT)
    assert done.exit_code == 2
    assert "augmentations are dc_bench's, not transfer's: leave --augmentations out" in done.stderr


def test_the_protocols_are_named_where_one_is_unknown(small_set: str) -> None:
    done = evaluate(small_set, "--protocol", "transfr")
    assert "unknown protocol 'transfr'; did you mean 'transfer'? Allowed: dc_bench, dd_ranking, transfer" in done.stderr


def test_progress_counts_control_sets_as_sets() -> None:
    assert STAGE_COUNTS["control sets"] == "sets"


@pytest.mark.ray
@pytest.mark.usefixtures("small_cluster")
def test_networks_are_trained_as_tasks_of_a_cluster(small_set: str) -> None:
    """Those of `transfer`, as of `continual`, `nas` and `cost`, and the comparisons of `privacy`."""
    from raydistill.search.on_ray.executor import RayExecutor
    from raydistill.search.watcher import SilentWatcher
    from raydistill.search.workplace import Workplace
    from raydistill.sets.place import ImagesToRead
    from raydistill.spaces.sections import ResourcesConfig
    from raydistill.uses.options import Wanted
    from raydistill.uses.protocols import run_protocol
    from raydistill.uses.running import Run
    from raydistill.uses.subject import read_subject

    subject = read_subject(small_set, None, None, "cpu")
    wanted = Wanted(networks=1, recipe="dc", controls=("random",), architectures=("mlp",))
    with closing(RayExecutor(None, ResourcesConfig())) as executor:
        work = Workplace(executor=executor, data_root=None, watcher=SilentWatcher())
        result = run_protocol("transfer", Run(subject=subject, on=ImagesToRead(), wanted=wanted, work=work))
        wanted = Wanted(recipe="dc", controls=("random",))
        shown = run_protocol("privacy", Run(subject=subject, on=ImagesToRead(), wanted=wanted, work=work))
    assert [arm.source for arm in shown.arms] == ["set", "random"]  # type: ignore[union-attr]
    assert Path(small_set, "uses", "transfer.json").is_file()
    assert [cell.source for cell in result.cells] == ["set", "random", "full"]  # type: ignore[union-attr]
