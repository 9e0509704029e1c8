"""`raydistill cluster-files`: what it writes, what it leaves alone, and that a checkout and a wheel hold the same files."""

from __future__ import annotations

import os
import shutil
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

import raydistill
from raydistill.cli import app
from raydistill.errors import InputError
from raydistill.search import cluster_files
from raydistill.search.cluster_files import shipped_files, write_cluster_files

ROOT = Path(__file__).parents[2]
IN_WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]


def installed(folder: Path) -> Path:
    """The package as a wheel lays it out, by the settings of the build."""
    package = folder / "raydistill"
    shutil.copytree(ROOT / "raydistill", package, ignore=shutil.ignore_patterns("__pycache__"))
    for source, target in IN_WHEEL["force-include"].items():
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / source).is_dir() else shutil.copy)(ROOT / source, path)
    return package


def contents(files: dict[str, Path]) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files.items()}


def test_a_wheel_and_a_checkout_write_the_same_files(tmp_path: Path) -> None:
    assert contents(shipped_files(installed(tmp_path))) == contents(shipped_files())


def test_what_an_install_needs_is_written(tmp_path: Path) -> None:
    """All that the build reads: then `pip install` works in the folder, on a node and in an image."""
    write_cluster_files(tmp_path / "new")
    project = tomllib.loads((tmp_path / "new" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    read = {*IN_WHEEL["packages"], *IN_WHEEL["force-include"], project["readme"], *project["license-files"]}
    assert {path.name for path in (tmp_path / "new").iterdir()} == read


def test_the_files_that_start_clusters_are_written() -> None:
    named = {name for name in shipped_files() if name.startswith("cluster")}
    assert named == {
        "cluster.yaml",
        "cluster-local.yaml",
        "clusters/Dockerfile",
        "clusters/Dockerfile.dockerignore",
        "clusters/constraints.txt",
        "clusters/kuberay.yaml",
        "clusters/slurm.sh",
    }


def test_files_that_are_alike_are_left_and_one_that_lacks_is_written(tmp_path: Path) -> None:
    write_cluster_files(tmp_path)
    (tmp_path / "cluster.yaml").unlink()
    done = write_cluster_files(tmp_path)
    assert done.written == ("cluster.yaml",)
    assert len(done.alike) == len(shipped_files()) - 1


def test_a_file_that_was_filled_in_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text("mine")
    with pytest.raises(InputError) as caught:
        write_cluster_files(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} has files of these names with other content: cluster.yaml; give another folder, or --force to overwrite them"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["cluster.yaml"]
    assert write_cluster_files(tmp_path, force=True).alike == ()
    assert (tmp_path / "cluster.yaml").read_bytes() == (ROOT / "cluster.yaml").read_bytes()


def test_of_many_other_files_a_few_are_named(tmp_path: Path) -> None:
    for name in list(shipped_files())[:7]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=r": cluster.yaml, cluster-local.yaml, .* and 2 more; give another folder"):
        write_cluster_files(tmp_path)


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/below cannot be written: .*; give a folder that can$"):
        write_cluster_files(tmp_path / "file" / "below")


def test_an_installation_without_the_files_says_what_lacks(tmp_path: Path) -> None:
    (tmp_path / "raydistill").mkdir()
    with pytest.raises(InputError, match=r"^this installation of raydistill in .* lacks cluster.yaml, cluster-local.yaml, clus"):
        shipped_files(tmp_path / "raydistill")


def test_the_command_says_what_it_wrote_and_what_comes_next(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["cluster-files", str(tmp_path / "new")])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert f"Written {tmp_path}/new/clusters/kuberay.yaml" in lines
    assert f"Next, in {tmp_path}/new:" in lines
    assert f"  an image         docker build --file clusters/Dockerfile --tag raydistill:{raydistill.__version__} ." in lines


def test_every_file_that_starts_a_cluster_has_its_next_command(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["cluster-files", str(tmp_path)]).output.partition("Next, in")[2]
    helpers = {"clusters/constraints.txt", "clusters/Dockerfile.dockerignore"}
    assert [name for name in shipped_files() if name.startswith("cluster") and name not in helpers and name not in said] == []


def test_the_command_ends_with_two_where_it_would_overwrite(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("mine")
    result = CliRunner().invoke(app, ["cluster-files", str(tmp_path)])
    assert result.exit_code == 2
    assert "--force to overwrite them" in result.output
    assert CliRunner().invoke(app, ["cluster-files", str(tmp_path), "--force"]).exit_code == 0


def test_a_script_stays_executable(tmp_path: Path) -> None:
    write_cluster_files(tmp_path)
    assert os.access(tmp_path / "clusters" / "slurm.sh", os.X_OK)


def test_compiled_files_are_left_out() -> None:
    assert cluster_files.PACKAGE == ROOT / "raydistill"
    assert [name for name in shipped_files() if "__pycache__" in name] == []
