"""The rules of the house that a reader can rely on without reading everything: who may import whom, and what nobody does.

Each rule is a function from the package's sources to its complaints; each is also shown a small source that breaks it.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "raydistill"

CHAIN = (
    "__main__ -> cli -> __init__ -> api -> reproduce -> certify -> report -> uses -> sets, bench -> search, comparison -> trial "
    "-> experts -> catalogue -> methods -> core -> data -> storage -> spaces -> errors"
)
"""The rooms of the package, highest first: each imports those behind it in the chain, never one before it or beside it."""
FLOORS = {room: floor for floor, rooms in enumerate(CHAIN.split(" -> ")) for room in rooms.split(", ")}

ONLY_IN = {"ray": "raydistill.search.on_ray", "optuna": "raydistill.search"}
"""Library to the one folder that may import it."""

TORCH = ("torch", "torchvision", "safetensors.torch")
WITHOUT_TORCH = ("errors", "spaces", "storage")

PRIVATE_PARTS = ("ray._private", "ray._raylet", "ray.core", "ray.autoscaler", "ray.dashboard.modules.job")
MAY_USE_PRIVATE_PARTS = "raydistill.search.on_ray.private"
"""Ray may change these in any release; this one module imports them, and says which are gone."""

MAY_OPEN_TEST = frozenset(
    f"raydistill.{name}" for name in ("certify.reading", "comparison.run", "sets.evaluating", "reproduce.run")
)
"""`sets.evaluating` holds `evaluate --split test`; of a certification one module alone opens, after everything is trained."""
PICKLERS = frozenset({"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve"})
PICKLING_NAMES = frozenset({"read_pickle", "to_pickle"})
LOADS_WEIGHTS = "raydistill.sets.weights_only"
"""A program of its own, which reads others' files of tensors with `torch.load(..., weights_only=True)` and nothing else."""

Sources = Mapping[str, str]
"""Dotted module name to source; a package's `__init__` goes by the package's name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    """One imported module or name."""

    module: str
    target: str
    """Dotted, down to the imported name."""
    line: int
    runs_at_load: bool
    """Outside functions and outside `if TYPE_CHECKING`."""

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


def package_sources() -> dict[str, str]:
    sources = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        sources[".".join(parts).removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return sources


def imports(sources: Sources) -> list[Import]:
    found: list[Import] = []
    for module, source in sources.items():
        for node, runs_at_load in walk(ast.parse(source), runs_at_load=True):
            for target in targets(node, module, is_package=any(name.startswith(f"{module}.") for name in sources)):
                found.append(Import(module=module, target=target, line=node.lineno, runs_at_load=runs_at_load))
    return found


def walk(node: ast.AST, *, runs_at_load: bool) -> Iterator[tuple[ast.stmt, bool]]:
    """Every statement below a node, with whether it runs when the module is loaded."""
    for child in ast.iter_child_nodes(node):
        inside = runs_at_load and not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            inside = False
        if isinstance(child, ast.stmt):
            yield child, inside
        yield from walk(child, runs_at_load=inside)


def targets(node: ast.stmt, module: str, *, is_package: bool) -> list[str]:
    """What a statement imports, as absolute dotted names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    parts = module.split(".")
    base = parts[: len(parts) - node.level + is_package] if node.level else []
    return [".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names]


def belongs(target: str, folder: str) -> bool:
    return target == folder or target.startswith(f"{folder}.")


def room(module: str, sources: Sources) -> str | None:
    """The room of a module, or of a name in `raydistill` itself; None for a module without a place in the chain."""
    part = module.split(".")[1] if "." in module else "__init__"
    if part in FLOORS:
        return part
    return None if any(belongs(name, f"raydistill.{part}") for name in sources) else "__init__"


def upward_imports(sources: Sources) -> list[str]:
    """Imports from a room before or beside the own one in the chain, and modules that have no place in it."""
    complaints = [f"{module} has no place in the chain {CHAIN}" for module in sources if room(module, sources) is None]
    for found in imports(sources):
        own, other = room(found.module, sources), room(found.target, sources)
        if own is None or other is None or own == other or not belongs(found.target, "raydistill"):
            continue
        if FLOORS[other] <= FLOORS[own]:
            complaints.append(f"{found}: {own} may not import {other}, by the chain {CHAIN}")
    return complaints


def fenced_imports(sources: Sources) -> list[str]:
    """Imports of Ray and Optuna outside their folders."""
    return [
        f"{found}, which belongs to {folder}"
        for found in imports(sources)
        for library, folder in ONLY_IN.items()
        if belongs(found.target, library) and not belongs(found.module, folder)
    ]


def early_torch(sources: Sources) -> list[str]:
    """Imports of torch in rooms that must not know it: a study is read, and a space checked, without it."""
    return [
        f"{found}, in a room without torch"
        for found in imports(sources)
        if any(belongs(found.target, library) for library in TORCH) and room(found.module, sources) in WITHOUT_TORCH
    ]


def cycles(sources: Sources) -> list[str]:
    """Modules that import each other while they are loaded."""
    graph: dict[str, set[str]] = {module: set() for module in sources}
    for found in imports(sources):
        target = found.target if found.target in sources else found.target.rpartition(".")[0]
        if found.runs_at_load and target in sources and target != found.module:
            graph[found.module].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" <- ".join(error.args[1])]
    return []


def doors_to_test(sources: Sources) -> list[str]:
    """Uses of `open_test` by anyone but the few who may, apart from the module that defines it."""
    complaints = []
    for module, source in sources.items():
        tree = ast.parse(source)
        if module in MAY_OPEN_TEST or any(isinstance(n, ast.FunctionDef) and n.name == "open_test" for n in tree.body):
            continue
        for node in ast.walk(tree):
            names = {getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "value", None)}
            if "open_test" in {name for name in names if isinstance(name, str)} or (
                isinstance(node, ast.alias) and node.name == "open_test"
            ):
                complaints.append(f"{module}:{getattr(node, 'lineno', 0)} opens the test split")
    return complaints


def pickles(sources: Sources) -> list[str]:
    """Whatever reads or writes pickles: the modules, torch.load and torch.save, pandas' pair, allow_pickle=True."""
    complaints = [
        str(found)
        for found in imports(sources)
        if found.target.split(".")[0] in PICKLERS or found.target in ("torch.load", "torch.save")
    ]
    for module, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if (
                isinstance(node, ast.Attribute)
                and (node.attr in PICKLING_NAMES or ast.unparse(node) in ("torch.load", "torch.save"))
                and not (module == LOADS_WEIGHTS and node.attr == "load")
            ):
                complaints.append(f"{module}:{node.lineno} uses {ast.unparse(node)}")
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                if not any(word.arg == "weights_only" and ast.unparse(word.value) == "True" for word in node.keywords):
                    complaints.append(f"{module}:{node.lineno} loads more than weights")
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
                complaints.append(f"{module}:{node.lineno} allows pickles")
    return complaints


def private_parts(sources: Sources) -> list[str]:
    """Imports, uses and names in texts of Ray's private parts, outside the one module for them."""
    return [
        f"{module}:{number} names {part}, which only {MAY_USE_PRIVATE_PARTS} may"
        for module, source in sources.items()
        if module != MAY_USE_PRIVATE_PARTS
        for number, line in enumerate(source.splitlines(), start=1)
        for part in PRIVATE_PARTS
        if part in line
    ]


def ray_loaded_by(tests: Sources, sources: Sources) -> list[str]:
    """Test files that cannot be collected without Ray, because what they import imports it; `importorskip` makes one content."""
    loads: dict[str, set[str]] = {module: set() for module in sources}
    for found in imports(sources):
        if found.runs_at_load:
            loads[found.module] |= prefixes(found.target)
    complaints = []
    for test, source in tests.items():
        if 'importorskip("ray")' in source:
            continue
        reached: set[str] = set()
        ahead = set().union(*(prefixes(found.target) for found in imports({test: source}) if found.runs_at_load))
        while ahead - reached:
            reached |= ahead
            ahead = set().union(*(loads.get(module, set()) for module in reached))
        if "ray" in reached:
            complaints.append(f"{test} loads ray: import inside the marked test, or begin with pytest.importorskip")
    return complaints


def prefixes(target: str) -> set[str]:
    """A dotted name and the packages that are loaded on the way to it."""
    parts = target.split(".")
    return {".".join(parts[: length + 1]) for length in range(len(parts))}


RULES = [upward_imports, fenced_imports, early_torch, private_parts, cycles, doors_to_test, pickles]
SAMPLE = {
    "raydistill": "from raydistill.api import search\n",
    "raydistill.api": "def search():\n    from raydistill.search.driver import run_search\n",
    "raydistill.cli": "import raydistill.api\n",
    "raydistill.errors": "",
    "raydistill.spaces.sections": "import pydantic\n",
    "raydistill.data": "",
    "raydistill.core": "",
    "raydistill.data.splits": "import torch\nimport raydistill.spaces\n\ndef open_test():\n    torch.manual_seed(0)\n",
    "raydistill.core.train": "from raydistill.data import splits\n",
    "raydistill.methods": "from raydistill.methods.dm import distill\n",
    "raydistill.methods.dm": "from ..core import train\nif TYPE_CHECKING:\n    import raydistill.methods\n",
    "raydistill.sets.evaluating": "from raydistill.data.splits import open_test\n",
    "raydistill.trial.run": "from raydistill.methods import METHODS\nfrom ..spaces import sections\n",
    "raydistill.search": "",
    "raydistill.search.driver": "import optuna\nfrom raydistill.trial.run import run_trial\n",
    "raydistill.search.on_ray": "from ray import tune\n",
    "raydistill.search.on_ray.private": "from ray._private.node import Node\n",
}
"""A package in which every rule holds."""


@pytest.mark.parametrize("rule", RULES)
def test_the_package_keeps_the_rule(rule) -> None:
    assert rule(package_sources()) == []


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_is_content_with_a_package_that_keeps_it(rule) -> None:
    assert rule(SAMPLE) == []


@pytest.mark.parametrize(
    ("rule", "module", "line", "complaint"),
    [
        (
            upward_imports,
            "raydistill.errors",
            "import raydistill.core.train",
            "errors may not import core, by the chain __main__ ->",
        ),
        (upward_imports, "raydistill.errors", "from raydistill import __version__", "errors may not import __init__"),
        (
            upward_imports,
            "raydistill.core.train",
            "from ..methods import dm",
            "imports raydistill.methods.dm: core may not import",
        ),
        (
            upward_imports,
            "raydistill.methods.dm",
            "def f():\n    import raydistill.trial",
            "methods.dm:2 imports raydistill.trial",
        ),
        (upward_imports, "raydistill.trial.run", "from raydistill.search import driver", "trial may not import search"),
        (upward_imports, "raydistill.bench.x", "import raydistill.sets.evaluating", "bench may not import sets"),
        (upward_imports, "raydistill.utils", "", "raydistill.utils has no place in the chain"),
        (
            fenced_imports,
            "raydistill.search.driver",
            "import ray.tune",
            "imports ray.tune, which belongs to raydistill.search.on_ray",
        ),
        (fenced_imports, "raydistill.core.train", "def f():\n    import ray", "imports ray, which belongs"),
        (fenced_imports, "raydistill.methods.dm", "from optuna import Trial", "imports optuna.Trial, which belongs"),
        (
            early_torch,
            "raydistill.spaces.sections",
            "from torch import Tensor",
            "imports torch.Tensor, in a room without",
        ),
        (
            early_torch,
            "raydistill.spaces.sections",
            "def f():\n    import safetensors.torch",
            "safetensors.torch, in a room",
        ),
        (private_parts, "raydistill.search.on_ray", "from ray._private import node", "on_ray:1 names ray._private, which only"),
        (private_parts, "raydistill.search.on_ray", "import ray\nray._raylet.Config", "search.on_ray:2 names ray._raylet"),
        (cycles, "raydistill.core.train", "import raydistill.methods.dm", "raydistill.core.train"),
        (cycles, "raydistill.core.train", "from raydistill.methods.dm import distill", "raydistill.methods.dm"),
        (doors_to_test, "raydistill.trial.run", "from raydistill.data.splits import open_test", "raydistill.trial.run:1 opens"),
        (doors_to_test, "raydistill.search.driver", "def f(data):\n    data.open_test()", "search.driver:2 opens"),
        (doors_to_test, "raydistill.methods.dm", "getattr(data, 'open_test')()", "methods.dm:1 opens"),
        (pickles, "raydistill.core.train", "import pickle", "imports pickle"),
        (
            pickles,
            "raydistill.sets.weights_only",
            "torch.load('x', weights_only=False)",
            "sets.weights_only:1 loads more than weights",
        ),
        (pickles, "raydistill.sets.weights_only", "torch.save({}, 'x')", "sets.weights_only:1 uses torch.save"),
        (pickles, "raydistill.trial.run", "torch.load('x', weights_only=True)", "raydistill.trial.run:1 uses torch.load"),
        (pickles, "raydistill.core.train", "from torch import load", "imports torch.load"),
        (pickles, "raydistill.trial.run", "import torch\ntorch.save({}, 'x')", "raydistill.trial.run:2 uses torch.save"),
        (pickles, "raydistill.trial.run", "frame.to_pickle('x')", "uses frame.to_pickle"),
        (pickles, "raydistill.trial.run", "numpy.load('x', allow_pickle=True)", "allows pickles"),
    ],
)
def test_the_rule_complains_of_a_package_that_breaks_it(rule, module: str, line: str, complaint: str) -> None:
    (found,) = rule({**SAMPLE, module: f"{line}\n"})
    assert complaint in found


def test_the_fast_suite_is_collected_without_ray() -> None:
    tests = {path.name: path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.rglob("*.py"))}
    assert ray_loaded_by(tests, package_sources()) == []


@pytest.mark.parametrize(
    ("source", "is_content"),
    [
        ("from raydistill.search.on_ray import RayExecutor", False),
        ("import raydistill.search.driver", True),
        ("def test():\n    import raydistill.search.on_ray", True),
        ('pytest.importorskip("ray")\nimport raydistill.search.on_ray', True),
        ("import ray", False),
    ],
)
def test_a_test_file_that_loads_ray_is_told_of(source: str, is_content: bool) -> None:
    assert (ray_loaded_by({"test_x.py": source}, SAMPLE) == []) is is_content


def test_a_module_may_be_imported_upwards_in_words_only() -> None:
    """Docstrings and comments that name a module above are no imports."""
    assert upward_imports({**SAMPLE, "raydistill.errors": '"""Read by `raydistill.core.train`."""\n'}) == []


@pytest.mark.parametrize("module", ["raydistill", "raydistill.cli", "raydistill.methods"])
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'torch', 'ray', 'optuna', 'pandas', 'sklearn'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_numerical_library_loads_without_ray_and_optuna() -> None:
    """`core`, `methods` and `trial` are usable alone: the two libraries are hidden, and the imports still work."""
    modules = [m for m in package_sources() if m.split(".")[1:2] in (["core"], ["methods"], ["trial"])]
    code = f"import sys; sys.modules.update(ray=None, optuna=None); import {', '.join(modules)}"
    subprocess.run([sys.executable, "-c", code], check=True)
