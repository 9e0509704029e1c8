"""Settings of the methods, one file each, beside the loops that they set.

May enter: a config, and what follows from one alone: its ablations, its cost in images. Must not know: torch, or any module that
loads it, so that a study is read, a space checked and a schema written without it.
"""

from raydistill.methods.configs import (
    coreset,
    datadam,
    datm,
    dc,
    dm,
    fields,
    ncfm,
    pad,
    rat_bptt,
    soft_coreset,
    soft_distilled,
    trajectory,
)

__all__ = [
    "coreset",
    "datadam",
    "datm",
    "dc",
    "dm",
    "fields",
    "ncfm",
    "pad",
    "rat_bptt",
    "soft_coreset",
    "soft_distilled",
    "trajectory",
]
