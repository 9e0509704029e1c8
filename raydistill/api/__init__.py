"""The Python API: the commands that work on data, as functions; their modules are named as those of `raydistill.cli`.

Imports nothing heavy by itself; each function imports what it needs, after the space is read, so that mistakes are told at
once. What a caller can put right is raised as an error of its own, named under Raises.
"""

from raydistill.api.common import SpaceSource
from raydistill.api.experts import build_experts
from raydistill.api.judging import ablate, certify, compare, reproduce, verify
from raydistill.api.searching import search, status
from raydistill.api.sets import distill, evaluate, export_set, import_set

__all__ = [
    "SpaceSource",
    "ablate",
    "build_experts",
    "certify",
    "compare",
    "distill",
    "evaluate",
    "export_set",
    "import_set",
    "reproduce",
    "search",
    "status",
    "verify",
]
