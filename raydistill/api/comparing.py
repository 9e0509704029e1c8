"""Comparing methods at one IPC."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from raydistill.api.common import SpaceSource, sees_changed_images, workplace_for
from raydistill.storage.data_root import as_data_root

if TYPE_CHECKING:
    from raydistill.comparison.rows import Comparison
    from raydistill.search.watcher import Watcher


@sees_changed_images
def compare(
    space: SpaceSource,
    *,
    methods: Sequence[str],
    ipc: int,
    draws: int = 10,
    store: str | Path = "studies",
    reason: str | None = None,
    data_root: str | Path | None = None,
    local: bool = False,
    address: str | None = None,
    overrides: Sequence[str] = (),
    watcher: Watcher | None = None,
) -> Comparison:
    """Distil sets of several methods from the same random draws, and compare each with the draw itself, in pairs.

    Args:
        space: data set, network, evaluation and the settings of its method; of each range the middle is taken.
        methods: names of methods, or of spaces that give a method's settings; controls are always added. The overrides apply to
            the space's own method, named by its own name or by the space's.
        ipc: images per class.
        draws: starts per method.
        store: gets `compare/<key>/`; the same comparison run again continues there.
        reason: reads on the test split, which is opened once, and only if an outcome is missing, and logged with this reason;
            None reads on the select images.
        data_root: folder or URI of the data files; None is each data set's own default.
        local: run one by one in this process, without Ray.
        address: of a running Ray cluster; None starts one on this machine.
        overrides: `path.to.field=value`, as `--set` takes them.
        watcher: receives progress, as `search.watcher` says; None reports nothing.

    Returns:
        A row per method, as `comparison.json` holds it.

    Raises:
        SpaceError: the space has mistakes; all are named.
        CompareError: an unknown method, too few draws, an IPC above the class size, an override of a method left out.
        InputError: the reason is blank.
        DataError: the data is missing or damaged.
    """
    from contextlib import closing

    from raydistill.catalogue import load_space
    from raydistill.comparison.run import finish_comparison, methods_named, open_where_wanted, plan_comparison
    from raydistill.data.splits import load_splits
    from raydistill.search.experts import plan_experts, prepare_experts
    from raydistill.search.needs import needs_of_trial
    from raydistill.search.pace import parts_of_comparison
    from raydistill.sets.evaluating import check_reading
    from raydistill.storage.store import Store

    split: Literal["select", "test"] = "select" if reason is None else "test"
    check_reading(split, reason, None)
    folder = Store(str(store)).absolute
    checked = load_space(space, overrides, as_data_root(data_root), for_search=False)
    work = workplace_for(checked.resources, data_root=data_root, local=local, address=address, watcher=watcher)
    named = methods_named(checked, str(space), methods, overrides)
    jobs = plan_comparison(checked, named, ipc, draws, folder, data_root=work.data_root, split=split)
    needs = plan_experts([job.config for job in jobs], folder, work.data_root)
    with closing(work.executor):
        work.executor.require(needs_of_trial(jobs[0].config, folder.at("compare"), work.data_root))
        prepare_experts(needs, jobs[0].config, folder, work)
        if reason is not None:
            jobs = open_where_wanted(jobs, reason)
        left = [job for job in jobs if not job.is_done]
        if left and watcher is not None:
            work.tell_estimate(
                parts_of_comparison([job.config for job in left], load_splits(jobs[0].config.dataset, work.data_root))
            )
        work.run_stage("comparison", len(jobs), left)
    return finish_comparison(jobs)
