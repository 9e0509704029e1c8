"""What a set is good for besides the network that it was made with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from raydistill.api.common import sees_changed_images, workplace_for
from raydistill.errors import InputError
from raydistill.storage.data_root import as_data_root

if TYPE_CHECKING:
    from raydistill.search.watcher import Watcher
    from raydistill.uses.values import UseResult


@sees_changed_images
def evaluate_for(
    use: Literal["transfer", "continual", "nas", "cost", "privacy"],
    set_file: str | Path,
    *,
    split: Literal["select", "test"] = "select",
    reason: str | None = None,
    store: str | Path | None = None,
    network: str | Sequence[str] | None = None,
    networks: int | None = None,
    recipe: str | None = None,
    controls: Sequence[str] | None = None,
    class_steps: int | None = None,
    orders: int | None = None,
    distil_in_steps: bool = False,
    space: str | None = None,
    sample: int | None = None,
    proxy_share: float | None = None,
    hours: float | None = None,
    into: str | Path | None = None,
    gpus: float = 0,
    data_root: str | Path | None = None,
    local: bool = False,
    address: str | None = None,
    dry_run: bool = False,
    watcher: Watcher | None = None,
) -> UseResult | None:
    """Judge a saved set by what it is used for, with controls of the same size beside it; run again, it continues.

    Args:
        use: transfer (other networks), continual (a memory while classes come step by step), nas (the choice of a network),
            cost (what training costs until it is good enough), or privacy (what it shows of the train images).
        set_file: an `images.safetensors` or the folder that holds it.
        split: the images that networks are read on: select, or test.
        reason: why the test split is opened; needed with `split="test"`, and logged.
        store: where an opening of the test split is logged; None is the store of the set's study, or `studies`.
        network: for transfer the networks, by default all that fit; for continual one, by default the set's own.
        networks: networks of each kind on each source; None is 3 for transfer and cost, 1 for continual and nas.
        recipe: how they are trained; None takes that of the set's trial.
        controls: names of controls, or `["none"]`; None is random, k_center, herding and k_means_medoids, with
            the set's label kind; for cost the control that the study's race found, where there is one.
        class_steps: for continual, in how many steps the classes come; None is 5, or as many as there are classes.
        orders: for continual, how many orders of the classes; None is 5.
        distil_in_steps: for continual, add a memory that the set's method distils from the classes of each step alone.
        space: for nas, values of some axes of the space, as `width=8,16:depth=1,2`; None is the field's space of 720.
        sample: for nas, how many networks of the space; None is as many as fit into `hours`.
        proxy_share: for nas, steps on a set as a part of the recipe's; None is 0.25.
        hours: more is refused; for nas it bounds the sample, and None is 1.
        into: folder or URI of the records; None is `uses/` in the set's study, or beside a set outside one.
        gpus: share of a GPU for each network; 0 computes on the CPU.
        data_root: folder or URI of the data files; None is each data set's own default.
        local: run one by one in this process, without Ray.
        address: of a running Ray cluster; None starts one on this machine.
        dry_run: only tell the watcher how long it would take.
        watcher: receives progress, as `search.watcher` says; None reports nothing.

    Returns:
        The result, as `<use>.json` holds it; None with `dry_run`.

    Raises:
        InputError: there is no such set, protocol, network, control or recipe, an option is not the protocol's, or it would take
            longer than the hours given.
        DataError: the data is missing, or not the data that the set was made from.
        StoreError: the folder cannot be written, or a record in it is damaged.
    """
    from contextlib import closing

    from raydistill.search.needs import needs_of_trial
    from raydistill.sets.evaluating import check_reading
    from raydistill.sets.place import ImagesToRead
    from raydistill.spaces.sections import ResourcesConfig
    from raydistill.uses.names import USES
    from raydistill.uses.options import Wanted, check_wanted
    from raydistill.uses.protocols import estimated, run_protocol
    from raydistill.uses.running import Run
    from raydistill.uses.subject import read_subject

    if use not in USES:
        raise InputError(f"given the use {use!r}; allowed: {', '.join(USES)}: give one of these")
    wanted = Wanted(
        networks=networks,
        recipe=recipe,
        controls=None if controls is None else tuple(controls),
        hours=hours,
        architectures=None if network is None else (network,) if isinstance(network, str) else tuple(network),
        class_steps=class_steps,
        orders=orders,
        distil_in_steps=distil_in_steps or None,
        space=space,
        sample=sample,
        proxy_share=proxy_share,
    )
    check_wanted(use, wanted)
    check_reading(split, reason, networks)
    root = as_data_root(data_root)
    subject = read_subject(str(set_file), root, None if into is None else str(into), "cuda" if gpus > 0 else "cpu")
    resources = ResourcesConfig(cpus_per_trial=subject.config.cpus_per_trial, gpus_per_trial=gpus)
    work = workplace_for(resources, data_root=data_root, local=local, address=address, watcher=watcher)
    on = ImagesToRead(split=split, reason=reason, log=None if store is None else str(store), data_root=root)
    run = Run(subject=subject, on=on, wanted=wanted, work=work)
    with closing(work.executor):
        if dry_run:
            work.watcher.note(estimated(use, run))
            return None
        work.executor.require(needs_of_trial(subject.config, subject.place.folder, root))
        return run_protocol(use, run)
