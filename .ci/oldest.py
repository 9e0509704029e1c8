"""Prints, as pip constraints, the oldest version of each dependency that pyproject.toml allows."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement


def oldest(requirement: Requirement) -> str:
    """The requirement pinned to its lower bound.

    Raises:
        ValueError: it has no lower bound.
    """
    bounds = [clause.version for clause in requirement.specifier if clause.operator == ">="]
    if len(bounds) != 1:
        raise ValueError(f"{requirement} has {len(bounds)} lower bounds; give it one, as in 'name>=1.2'")
    return f"{requirement.name}=={bounds[0]}"


def main() -> None:
    """Print one constraint a line."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for line in project["dependencies"]:
        print(oldest(Requirement(line)))


if __name__ == "__main__":
    main()
