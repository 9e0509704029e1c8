"""Reproducing the report's tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from raydistill.api.common import workplace_for

if TYPE_CHECKING:
    from raydistill.reproduce.run import Results
    from raydistill.search.watcher import Watcher


def reproduce(
    tables: str,
    *,
    reading: Literal["as_run", "as_specified"] = "as_run",
    scale: Literal["small", "full"] = "small",
    threads: int = 1,
    gpus: float = 0,
    store: str | Path = "studies",
    data_root: str | Path | None = None,
    local: bool = False,
    address: str | None = None,
    watcher: Watcher | None = None,
) -> Results:
    """Make the report's tables again, beside its own values; run again, it continues.

    Opens the test split, logged, while something is left to read.

    Args:
        tables: numbers from 1 to 7 joined by commas, or all.
        reading: the settings as its code ran them, or as its text says.
        scale: small is for two CPU cores, full is the report's size.
        threads: torch's, in each job.
        gpus: share of a GPU for each job; 0 computes on the CPU.
        store: gets `reproduce/<code>/`, with the tables in `tables/` there.
        data_root: folder of the data files; a data set that is not there leaves its rows out.
        local: run one by one in this process, without Ray.
        address: of a running Ray cluster; None starts one on this machine.
        watcher: receives progress, as `search.watcher` says; None reports nothing.

    Raises:
        InputError: an unknown table, reading or scale, or both `local` and `address`.
        DeviceError: a GPU is asked for that is not there.
        StoreError: the store cannot be written, has too little room, or has results of other data.
    """
    from contextlib import closing

    from raydistill.reproduce.jobs import Place
    from raydistill.reproduce.run import asked_for, run_tables
    from raydistill.reproduce.tables import write_results
    from raydistill.spaces.sections import ResourcesConfig
    from raydistill.storage.store import Store

    asked = asked_for(tables, reading, scale)
    resources = ResourcesConfig(cpus_per_trial=threads, gpus_per_trial=gpus)
    work = workplace_for(resources, data_root=data_root, local=local, address=address, watcher=watcher)
    device: Literal["cpu", "cuda"] = "cuda" if gpus > 0 else "cpu"
    place = Place(store=Store(str(store)).absolute, data_root=work.data_root, threads=threads, device=device)
    with closing(work.executor):
        results = run_tables(asked, place, work)
    write_results(results, place.folder)
    return results
