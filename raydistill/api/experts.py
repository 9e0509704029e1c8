"""Expert trajectories on a store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from raydistill.api.common import SpaceSource, sees_changed_images, workplace_for
from raydistill.storage.data_root import as_data_root

if TYPE_CHECKING:
    from raydistill.search.watcher import Watcher


@sees_changed_images
def build_experts(
    space: SpaceSource,
    *,
    store: str | Path = "studies",
    data_root: str | Path | None = None,
    local: bool = False,
    address: str | None = None,
    overrides: Sequence[str] = (),
    watcher: Watcher | None = None,
) -> list[str]:
    """Train the missing experts that a search of a space reads; retrain damaged ones.

    Args:
        space: a YAML file, the name of a shipped space, or the document itself.
        store: folder or fsspec URI; the experts go to `<store>/experts/<key>/`.
        data_root: folder or URI of the data files; None is each data set's own default.
        local: run one by one in this process, without Ray.
        address: of a running Ray cluster; None starts one on this machine.
        overrides: `path.to.field=value`, as `--set` takes them.
        watcher: receives progress, as `search.watcher` says; None reports nothing.

    Returns:
        The keys of the sets; none where the space's method reads no experts.

    Raises:
        SpaceError: the space has mistakes; all are named.
        ExpertsError: the space's window is longer than its experts' trajectories.
        StoreError: the store cannot be written, or has too little room.
    """
    from contextlib import closing

    from raydistill.catalogue import load_space
    from raydistill.data.splits import load_splits
    from raydistill.search.experts import extreme_trials, plan_experts, prepare_experts
    from raydistill.search.needs import needs_of_trial
    from raydistill.spaces.sections import dataset_config
    from raydistill.storage.store import Store

    root, folder = as_data_root(data_root), Store(str(store)).absolute
    checked = load_space(space, overrides, root, for_search=False)
    work = workplace_for(checked.resources, data_root=root, local=local, address=address, watcher=watcher)
    folder.check_writable()
    configs = extreme_trials(checked, load_splits(dataset_config(checked.shared["dataset"]), root).sha256)
    if not configs:
        return []
    needs = plan_experts(configs, folder, root, rebuild_damaged=True)
    with closing(work.executor):
        work.executor.require(needs_of_trial(configs[0], folder.at("experts"), root))
        prepare_experts(needs, configs[0], folder, work, rebuild_damaged=True)
    return [need.settings.key for need in needs]
