"""The versions that the files of clusters install: one list, which all of them name, within the ranges of pyproject.toml."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = ("s3", "aws")
"""What nodes install besides the package."""
DIRECT = [
    Requirement(line) for lines in (PROJECT["dependencies"], *map(PROJECT["optional-dependencies"].get, EXTRAS)) for line in lines
]
FILES = ["cluster.yaml", "cluster-local.yaml", *sorted(f"clusters/{path.name}" for path in (ROOT / "clusters").iterdir())]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def lines_of(name: str) -> list[str]:
    """The lines of a file that are no comments."""
    return [line for line in text_of(name).splitlines() if not line.lstrip().startswith("#")]


PINS = dict(line.split("==") for line in lines_of("clusters/constraints.txt"))


@pytest.mark.parametrize("requirement", DIRECT, ids=lambda requirement: requirement.name)
def test_every_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    assert PINS[canonicalize_name(requirement.name)] in requirement.specifier


def test_names_are_in_order_and_written_as_pip_compares_them() -> None:
    assert list(PINS) == sorted(map(canonicalize_name, PINS))
    assert all(re.fullmatch(r"[\w.]+", version) for version in PINS.values())


@pytest.mark.parametrize("name", [name for name in FILES if "pip install" in "\n".join(lines_of(name))])
def test_every_install_takes_the_pinned_versions(name: str) -> None:
    installs = [line for line in lines_of(name) if "pip install" in line]
    assert [line for line in installs if not re.search(r"--(constraint|requirement) \S+/clusters/constraints\.txt", line)] == []


def test_the_files_that_install_are_those_with_nodes_of_their_own() -> None:
    assert [name for name in FILES if "pip install" in "\n".join(lines_of(name))] == [
        "cluster.yaml",
        "cluster-local.yaml",
        "clusters/Dockerfile",
    ]


def test_ray_is_the_version_with_which_the_tests_ran_and_that_kuberay_is_told() -> None:
    tried = re.search(r'^TRIED = "([\d.]+)"', text_of("raydistill/search/on_ray/private.py"), flags=re.MULTILINE)
    assert tried is not None
    (cluster,) = [d for d in yaml.safe_load_all(text_of("clusters/kuberay.yaml")) if d["kind"] == "RayCluster"]
    assert (tried[1], cluster["spec"]["rayVersion"]) == (PINS["ray"], PINS["ray"])


def test_the_image_has_the_version_of_the_package_wherever_it_is_named() -> None:
    named = {tag for name in FILES for tag in re.findall(r"raydistill:(\d[\w.]*)", text_of(name))}
    assert named == {PROJECT["version"]}


@pytest.mark.parametrize("name", FILES)
def test_no_file_names_an_index_or_holds_a_secret(name: str) -> None:
    text = text_of(name).lower()
    words = ("index-url", "find-links", "pypi", "/simple", "trusted-host", "aws_secret", "private key-----", "password")
    assert [word for word in words if word in text] == []


@pytest.fixture(scope="module")
def pins() -> ModuleType:
    folder = str(ROOT / ".ci")
    sys.path.insert(0, folder)
    try:
        import pins
    finally:
        sys.path.remove(folder)
    return pins


def test_the_list_is_written_from_what_is_installed(pins: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """All that the package needs and what that needs, in turn; its extras of tests are left out."""
    pins.main()
    printed = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]
    found = dict(line.split("==") for line in printed)
    assert {"torch", "numpy", "sympy", "s3fs", "boto3"} <= set(found)
    assert not {"raydistill", "pytest", "mypy", "moto"} & set(found)
    assert text_of("clusters/constraints.txt").startswith(pins.HEAD)
