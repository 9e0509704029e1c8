"""The Python API: the commands that work on data, as functions; its modules have the names of those in `raydistill.cli`.

Importing it loads nothing heavy. Each function imports what it needs after the space is read, so that mistakes in it are reported
at once. What a caller can correct is raised as an error of `raydistill.errors`, named under Raises.
"""

from raydistill.api.certifying import ablate, certify, verify
from raydistill.api.comparing import compare
from raydistill.api.data import check_data, write_space
from raydistill.api.experts import build_experts
from raydistill.api.reporting import load_study, write_plots, write_report
from raydistill.api.reproducing import reproduce
from raydistill.api.searching import search, status
from raydistill.api.sets import distill, evaluate, export_set, import_set, import_sets, load_set
from raydistill.api.uses import evaluate_for

__all__ = [
    "ablate",
    "build_experts",
    "certify",
    "check_data",
    "compare",
    "distill",
    "evaluate",
    "evaluate_for",
    "export_set",
    "import_set",
    "import_sets",
    "load_set",
    "load_study",
    "reproduce",
    "search",
    "status",
    "verify",
    "write_plots",
    "write_report",
    "write_space",
]
