"""The functions around a search: search, status."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from raydistill.api.common import SpaceSource, sees_changed_images, workplace_for
from raydistill.storage.data_root import as_data_root

if TYPE_CHECKING:
    from raydistill.report.loggers import LoggingWatcher
    from raydistill.report.status import StudyStatus
    from raydistill.search.watcher import Watcher
    from raydistill.storage.result import SearchResult
    from raydistill.storage.store import Store


@sees_changed_images
def search(
    space: SpaceSource,
    *,
    store: str | Path = "studies",
    data_root: str | Path | None = None,
    local: bool = False,
    address: str | None = None,
    trials: int | None = None,
    overrides: Sequence[str] = (),
    accept_code_change: bool = False,
    watcher: Watcher | None = None,
    log: Sequence[str] = (),
) -> SearchResult:
    """Search a space for the smallest lossless IPC; on a study that exists, continue it.

    Args:
        space: a YAML file, the name of a shipped space, or the document itself.
        store: folder or fsspec URI that holds studies; this one goes to `<store>/<study>/`.
        data_root: folder or URI of the data files; None is each data set's own default.
        local: run the trials one by one in this process, without Ray.
        address: of a running Ray cluster; None starts one on this machine.
        trials: replaces `budget.trials`.
        overrides: `path.to.field=value`, as `--set` takes them.
        accept_code_change: continue a study that other code began.
        watcher: receives progress, as `search.watcher` says; None reports nothing.
        log: tensorboard, mlflow or wandb, each with or without `=target`: where the trials are logged too.

    Returns:
        The verdict and its evidence, as `result.json` holds it.

    Raises:
        SpaceError: the space has mistakes; all are named.
        InputError: there is no such space, both `local` and `address` are given, or a back end of `log` is unknown, not
            installed or cannot be written.
        StudyInUseError: another search holds the study.
        StudyMismatchError: the study was begun with another space or other code.
        ResourcesError: no node can hold one trial.
        StoreError: the store cannot be written, or a record in it is damaged.
    """
    from raydistill.catalogue import load_space

    budget = [] if trials is None else [f"budget.trials={trials}"]
    checked = load_space(space, [*overrides, *budget], as_data_root(data_root))

    from raydistill.search.again import submitted
    from raydistill.search.driver import run_search
    from raydistill.storage.given import Given, whole_path, whole_space
    from raydistill.storage.store import Store

    place = Store(str(store))
    with _logged(log, place.at(checked.study).absolute, watcher) as logging:
        work = workplace_for(
            checked.resources,
            data_root=data_root,
            local=local,
            address=address,
            watcher=logging or watcher,
            job_hours=checked.budget.trial_hours,
        )
        given = Given(
            space=whole_space(str(space)) if isinstance(space, str | Path) else None,
            overrides=tuple(overrides),
            data_root=whole_path(None if data_root is None else str(data_root)),
            local=local,
            address=address,
            accept_code_change=accept_code_change,
            log=_whole(log),
            again=submitted(),
        )
        result = run_search(checked, place, replace(work, given=given), accept_code_change=accept_code_change)
        if logging is not None:
            logging.finish(result)
    _write_tables(place.at(checked.study))
    return result


def _write_tables(study: Store) -> None:
    """The tables of a search that has ended."""
    from raydistill.methods import method_configs
    from raydistill.report.tables import read_study, write_tables

    write_tables(study, read_study(study, method_configs()))


@contextmanager
def _logged(log: Sequence[str], study: Store, watcher: Watcher | None) -> Iterator[LoggingWatcher | None]:
    """A watcher that logs to the back ends, closed at the end; None without any."""
    if not log:
        yield None
        return
    from raydistill.report.loggers import LoggingWatcher, open_loggers
    from raydistill.search.watcher import SilentWatcher

    with closing(LoggingWatcher(watcher or SilentWatcher(), open_loggers(log, study), study)) as logging:
        yield logging


def _whole(log: Sequence[str]) -> tuple[str, ...]:
    """The words of `log`, folders with their whole paths."""
    if not log:
        return ()
    from raydistill.report.loggers.opening import whole_target

    return tuple(map(whole_target, log))


def status(study: str | Path, *, store: str | Path = "studies") -> StudyStatus:
    """Where a study stands, from its files alone: a search of it may run elsewhere, or have stopped.

    Args:
        study: a folder or URI `<store>/<study>`, or a name in `store`.
        store: folder or fsspec URI that holds studies.

    Raises:
        InputError: there is no such study.
        StoreError: a file of it is damaged.
    """
    from raydistill.catalogue import find_study
    from raydistill.report.status import read_status

    return read_status(find_study(str(study), str(store)).absolute)
