"""Ray's private parts: there in the installed Ray, and missed with a message in one that has lost them or is another version."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

pytest.importorskip("ray")

from raydistill.errors import ClusterError
from raydistill.search.on_ray import private
from raydistill.search.on_ray.private import check_version, lacks, missing, number

ROOT = Path(__file__).parents[2]
SOURCE = Path(private.__file__).read_text(encoding="utf-8")

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def looked_up() -> ModuleType:
    folder = str(ROOT / ".ci")
    sys.path.insert(0, folder)
    try:
        import ray_versions
    finally:
        sys.path.remove(folder)
    return ray_versions


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("2.60.0", (2, 60, 0)), ("2.61.0rc1", (2, 61, 0)), ("3.0.0.dev0", (3, 0, 0)), ("2.60", (2, 60))],
)
def test_a_version_is_read_up_to_its_first_letter(version: str, numbers: tuple[int, ...]) -> None:
    assert number(version) == numbers


@pytest.mark.parametrize("version", ["2.60.0", "2.61.0rc1", "2.100.3"])
def test_a_ray_within_the_range_is_taken(version: str) -> None:
    check_version(version)


@pytest.mark.parametrize("version", ["2.59.0", "1.13.0", "3.0.0", "3.0.0.dev0"])
def test_a_ray_outside_the_range_is_refused_with_the_range_and_what_to_do(version: str) -> None:
    with pytest.raises(ClusterError) as caught:
        check_version(version)
    assert str(caught.value) == (
        f"Ray {version} is installed, but raydistill works with Ray from 2.60 and below 3; install one of these on every node, "
        'pip install "ray[default,tune]==2.60.0", or search without Ray: --local'
    )


def test_the_range_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (line,) = [line for line in project["dependencies"] if line.startswith("ray[")]
    found = re.fullmatch(r"ray\[default,tune\]>=([\d.]+),<([\d.]+)", line)
    assert found is not None
    assert (number(found[1]), number(found[2])) == (private.OLDEST, private.BELOW)


LOAD = """
import sys
import ray
{change}
from raydistill.errors import ClusterError
try:
    from raydistill.search.on_ray import RayExecutor
except ClusterError as error:
    print(error)
"""


def loaded_with(change: str) -> str:
    """What is said when the package's part for Ray is loaded in a process whose Ray was changed."""
    done = subprocess.run([sys.executable, "-c", LOAD.format(change=change)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("sys.modules['ray._private.grpc_utils'] = None", "import of ray._private.grpc_utils halted; None in sys.modules"),
        (
            "import ray._private.services as s; del s.canonicalize_bootstrap_address_or_die",
            "cannot import name 'canonicalize_boot",
        ),
        ("from ray._private.node import Node; del Node.dead_processes", "(Node.dead_processes)"),
        ("import ray._private.worker as w; del w._global_node", "(ray._private.worker._global_node)"),
    ],
    ids=["a module", "a function", "a method", "a variable"],
)
def test_a_ray_that_has_lost_a_part_is_refused_before_anything_starts(change: str, part: str) -> None:
    said = loaded_with(change)
    assert said.startswith(f"Ray {private.ray.__version__} is installed, but lacks a part of Ray that raydistill uses (")
    assert part in said
    assert said.endswith('on every node, pip install "ray[default,tune]==2.60.0", or search without Ray: --local')


def test_a_ray_of_another_version_is_refused_before_its_parts_are_looked_at() -> None:
    said = loaded_with("ray.__version__ = '3.1.0'; sys.modules['ray._private.node'] = None")
    assert said.startswith("Ray 3.1.0 is installed, but raydistill works with Ray from 2.60 and below 3;")


def test_the_command_says_so_too_and_ends_with_two(tmp_path: Path) -> None:
    code = "import ray; ray.__version__ = '2.59.0'; from raydistill.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "search", "digits_datadam", "--store", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Error: Ray 2.59.0 is installed, but raydistill works with Ray from 2.60 and below 3; install" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_missing_names_are_told_with_their_owner() -> None:
    assert missing(((Path, ("exists", "vanish")), (SimpleNamespace(a=1), ("a", "b")))) == ["Path.vanish", "SimpleNamespace.b"]


def test_the_error_of_a_lost_part_says_what_to_install() -> None:
    assert str(lacks("2.61.0", "Node.x")) == (
        "Ray 2.61.0 is installed, but lacks a part of Ray that raydistill uses (Node.x); install the version with which "
        'raydistill was tested on every node, pip install "ray[default,tune]==2.60.0", or search without Ray: --local'
    )


def test_the_look_up_in_wheels_knows_every_part_that_is_used(looked_up: ModuleType) -> None:
    parts = looked_up.parts_of(SOURCE)
    assert {name for _, name in parts} >= {
        "init_grpc_channel",
        "AuthenticationTokenLoader.get_token_for_http_header",
        "_global_node",
        "get_cluster_config",
        "Node.dead_processes",
    }
    assert ("ray._private.state", "get_cluster_config") in parts
    attributes = sum(len(names) for _, names in private.ATTRIBUTES)
    assert len(parts) == attributes + len({name for _, name in parts if getattr(private, name, None) is not None})


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A made-up wheel of Ray: one module, and one that is compiled."""
    path = tmp_path / "ray-9.0.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as files:
        files.writestr("ray/_private/node.py", "class Node:\n    gone = None\n    def live(self): ...\n")
        files.writestr("ray/_raylet.so", b"\x00Loader\x00has_token\x00")
    return path


@pytest.mark.parametrize(
    ("module", "name", "has"),
    [
        ("ray._private.node", "Node", True),
        ("ray._private.node", "Node.live", True),
        ("ray._private.node", "live", True),
        ("ray._private.node", "Node.dead", False),
        ("ray._private.absent", "Node", False),
        ("ray._raylet", "Loader.has_token", True),
        ("ray._raylet", "Loader.reset", False),
    ],
)
def test_a_part_is_looked_up_in_a_wheel(looked_up: ModuleType, wheel: Path, module: str, name: str, has: bool) -> None:
    assert looked_up.lacking(wheel, [(module, name)]) == ([] if has else [f"{module}: {name}"])


def test_a_wheel_without_the_parts_ends_the_look_up_with_one(
    looked_up: ModuleType, wheel: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert looked_up.main([str(wheel)]) == 1
    assert "ray-9.0.0-py3-none-any.whl: lacks ray._private" in capsys.readouterr().out


def test_an_index_that_lists_nothing_is_told(looked_up: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looked_up.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout="nothing"))
    with pytest.raises(ValueError, match=r"^pip lists no versions of ray: 'nothing'; see to pip's index$"):
        looked_up.allowed_versions()


def test_the_versions_of_the_index_are_those_that_the_project_allows(
    looked_up: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "ray (3.0.0)\nAvailable versions: 3.0.0, 2.61.1, 2.60.0, 2.59.0\n"
    monkeypatch.setattr(looked_up.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=said))
    assert looked_up.allowed_versions() == ["2.60.0", "2.61.1"]
