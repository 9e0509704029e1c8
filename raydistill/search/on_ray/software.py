"""What a node runs, beside what the driver runs: raydistill's code, Python, PyTorch, torchvision.

The numbers of a trial depend on all of them, so one study has one of each. Ray itself compares its own version and Python's
when a node joins. The part of a version after `+` names a build, such as `cpu` or `cu128`, and may differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

ALIKE = ("code", "Python", "torch", "torchvision")
"""What must be the same on every node; raydistill's version is told with its code."""
REMEDY = "install the same versions on every node"


def looker() -> Callable[[], dict[str, str]]:
    """A function that says what its node runs; pickled by value, because a node with another version may not have this file."""

    def look() -> dict[str, str]:
        import importlib.metadata
        import platform

        found = {"Python": ".".join(platform.python_version_tuple()[:2])}
        for name in ("torch", "torchvision", "raydistill"):
            try:
                found[name] = importlib.metadata.version(name).partition("+")[0]
            except importlib.metadata.PackageNotFoundError:
                found[name] = "as a folder" if name == "raydistill" else "none"
        try:
            from raydistill.storage.record import code_sha256

            found["code"] = code_sha256()
        except ImportError as error:
            found |= {"raydistill": "none", "code": str(error)}
        return found

    return look


def differing(asked: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Keys of what a node runs otherwise than the driver."""
    return [key for key in ALIKE if found[key] != asked[key]]


def complaint(asked: Mapping[str, str], found: Mapping[str, str]) -> str | None:
    """What one node runs that is other than the driver's, or None; goes on after the node's name."""
    keys = differing(asked, found)
    return f"runs {_told(found, keys)}, but the driver runs {_told(asked, keys)}: {REMEDY}" if keys else None


def complaints(asked: Mapping[str, str], nodes: Sequence[tuple[str, Mapping[str, str]]]) -> str | None:
    """What any node runs that is other than the driver's, all in one message, or None.

    Args:
        asked: what the driver runs.
        nodes: the name of each node, and what it runs.
    """
    others = [(name, found, differing(asked, found)) for name, found in nodes]
    told = [f"node {name} runs {_told(found, keys)}" for name, found, keys in others if keys]
    keys = [key for key in ALIKE if any(key in differ for _, _, differ in others)]
    return f"{'; '.join(told)}, but the driver runs {_told(asked, keys)}: {REMEDY}" if told else None


def _told(runs: Mapping[str, str], keys: Sequence[str]) -> str:
    words = [f"raydistill {runs['raydistill']} (code {runs['code'][:12]})" if k == "code" else f"{k} {runs[k]}" for k in keys]
    return ", ".join(words)
