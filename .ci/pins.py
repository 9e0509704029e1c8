"""Prints, as pip constraints, the versions in this environment of all that a node of a cluster installs.

    python .ci/pins.py > clusters/constraints.txt

That is raydistill with its extras `s3` and `aws`, and what these need, on Linux and x86-64 with Python 3.11 to 3.13.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator

from packaging.requirements import Requirement

WANTED = "raydistill[s3,aws]"
PYTHONS = ("3.11", "3.12", "3.13")
HEAD = """\
# The versions that every node of a cluster installs: cluster.yaml, cluster-local.yaml and the Dockerfile name this file, and
# kuberay.yaml runs the image that the Dockerfile makes. Written by `python .ci/pins.py > clusters/constraints.txt`.
# tests/test_cluster_pins.py holds them against pyproject.toml.
"""


def environments(extras: set[str]) -> Iterator[dict[str, str]]:
    """What markers are asked with: each Python, each extra and none."""
    for python in PYTHONS:
        for extra in ("", *extras):
            yield {"extra": extra, "python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}


def closure(wanted: str) -> dict[str, str]:
    """Name to installed version of a package and of all that it needs; without the package itself."""
    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    ahead = [Requirement(wanted)]
    while ahead:
        requirement = ahead.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if (name, frozenset(requirement.extras)) in seen:
            continue
        seen.add((name, frozenset(requirement.extras)))
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:  # of another Python than this one
            continue
        found[name] = distribution.version
        for line in distribution.requires or []:
            needed = Requirement(line)
            if needed.marker is None or any(map(needed.marker.evaluate, environments(requirement.extras))):
                ahead.append(needed)
    del found[Requirement(wanted).name]
    return found


def main() -> None:
    """Print one constraint a line."""
    print(HEAD, end="")
    for name, version in sorted(closure(WANTED).items()):
        print(f"{name}=={version}")


if __name__ == "__main__":
    main()
