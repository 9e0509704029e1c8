"""The functions around one set: distil, read, bring in, hand on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from raydistill.api.common import SpaceSource
from raydistill.errors import InputError
from raydistill.storage.data_root import as_data_root

if TYPE_CHECKING:
    from raydistill.core.contract import Report
    from raydistill.core.synthetic import SyntheticSet
    from raydistill.sets.one import NetworkReading


def distill(
    space: SpaceSource,
    *,
    out: str | Path | None = None,
    store: str | Path | None = None,
    overrides: Sequence[str] = (),
    data_root: str | Path | None = None,
    on_step: Report | None = None,
) -> SyntheticSet:
    """Distil one set without a search.

    Sets the number of torch's threads to the space's `cpus_per_trial`.

    Args:
        space: a YAML file, the name of a shipped space, or the document itself, its ranges fixed by `overrides`; or the folder of
            a trial, which is run again as it was.
        out: folder or URI for `images.safetensors` and `images.png`; None writes nothing.
        store: holds the experts of methods that need them; those that are missing are trained first. None is the store of the
            trial, and `studies` for a space.
        overrides: `path.to.field=value`, as `--set` takes them.
        data_root: folder or URI of the data files; None is each data set's own default.
        on_step: told after every step.

    Returns:
        The set; its images are standardised.

    Raises:
        SpaceError: the space has mistakes, or ranges are left; all are named.
        InputError: there is no such space, or overrides are given for a trial.
        StoreError: `out` or the store cannot be written, or experts in it are damaged.
        DivergedError: a loss is not finite.
    """
    from raydistill.sets.one import distil_once, save_set
    from raydistill.sets.rerun import to_distil
    from raydistill.storage.store import Store

    root = as_data_root(data_root)
    config, experts, _ = to_distil(space, overrides, store, root)
    folder = None if out is None else Store(str(out))
    if folder is not None:
        folder.check_writable()
    distilled = distil_once(config, experts, root, on_step)
    if folder is not None:
        save_set(distilled, folder)
    return distilled.synthetic


@overload
def evaluate(
    set_file: str | Path,
    *,
    network: str | None = ...,
    split: Literal["select", "test"] = ...,
    reason: str | None = ...,
    store: str | Path | None = ...,
    networks: int | None = ...,
    recipe: str | None = ...,
    data_root: str | Path | None = ...,
) -> list[float]: ...


@overload
def evaluate(
    set_file: str | Path,
    *,
    network: list[str] | tuple[str, ...],
    split: Literal["select", "test"] = ...,
    reason: str | None = ...,
    store: str | Path | None = ...,
    networks: int | None = ...,
    recipe: str | None = ...,
    data_root: str | Path | None = ...,
) -> list[NetworkReading]: ...


def evaluate(
    set_file: str | Path,
    *,
    network: str | list[str] | tuple[str, ...] | None = None,
    split: Literal["select", "test"] = "select",
    reason: str | None = None,
    store: str | Path | None = None,
    networks: int | None = None,
    recipe: str | None = None,
    data_root: str | Path | None = None,
) -> list[float] | list[NetworkReading]:
    """Train fresh networks on a saved set and read their accuracy on real images.

    Args:
        set_file: an `images.safetensors` or the folder that holds it.
        network: architecture, as `mlp` or `resnet18:norm=batch`; the set's own name stands for it with all its fields, and None
            for the set's own. Several, in a list, give a reading each.
        split: the images to read on. The confirm images are for a search's named winner alone.
        reason: why the test split is opened; needed with `split="test"` and kept in the log of openings.
        store: where an opening of the test split is logged; None is the store of the study that the set lies in, and `studies`
            for a set outside one.
        networks: how many of each; None takes the number that the set's own trial used.
        recipe: how they are trained; None takes the one that the set's own trial used.
        data_root: folder or URI of the data files; None is each data set's own default.

    Returns:
        One accuracy fraction per network; of a list of architectures one `NetworkReading` for each, in order.

    Raises:
        InputError: there is no such set, recipe or network, an architecture is too large for the images, the list of them is
            empty, or the test split is to be opened without a reason, or logged in another store than that of the set's study.
        DataError: the data is missing, damaged, or not the data that the set was made from.
    """
    from raydistill.sets.one import evaluate_file

    if network is not None and not network:
        raise InputError(f"given {network!r} as network; a name or a list of names is wanted: leave it out for the set's own")
    readings = evaluate_file(
        str(set_file),
        split=split,
        reason=reason,
        log=None if store is None else str(store),
        networks=networks,
        recipe=recipe,
        architectures=[network] if isinstance(network, str) else network or (),
        data_root=as_data_root(data_root),
    )
    return readings if isinstance(network, list | tuple) else list(readings[0].accuracy_fractions)


def import_set(
    file: str | Path,
    *,
    out: str | Path | None = None,
    dataset: str | None = None,
    space: str | None = None,
    labels: str | Path | None = None,
    lr: str | Path | None = None,
    overrides: Sequence[str] = (),
    data_root: str | Path | None = None,
) -> SyntheticSet:
    """Bring a set that others published into this project's form; the file is read by another process and nothing in it is run.

    Args:
        file: a published .pt, or an .npz that `export_set` wrote, which says by itself all that follows.
        out: folder or URI for `images.safetensors` and `images.png`; None writes nothing.
        dataset: what a .pt was distilled from.
        space: what its images are in: `pixels`, `standardised`, `standardised:DATASET` or `zca`.
        labels: file of the labels, where `file` has images alone.
        lr: file of the learned rate.
        overrides: `path.to.field=value` of what the set is evaluated with.
        data_root: folder of the data files; None is each data set's own default.

    Returns:
        The set; its images are in this project's space.

    Raises:
        InputError: a file is missing, refused, or does not fit the data set.
        SpaceError: data set or overrides have mistakes.
        DataError: the data is missing or damaged.
        StoreError: `out` cannot be written.
    """
    from raydistill.sets.importing import import_file
    from raydistill.sets.one import write_set
    from raydistill.storage.store import Store

    folder = None if out is None else Store(str(out))
    if folder is not None:
        folder.check_writable()
    imported = import_file(
        Path(file).expanduser(),
        dataset=dataset,
        space=space,
        labels_file=_as_path(labels),
        lr_file=_as_path(lr),
        overrides=overrides,
        data_root=as_data_root(data_root),
    )
    if folder is not None:
        write_set(imported.synthetic, imported.manifest, folder)
    return imported.synthetic


def export_set(
    set_file: str | Path, out: str | Path, *, form: Literal["png", "npz"] = "png", data_root: str | Path | None = None
) -> str:
    """Write a set in a form that other programs read.

    Args:
        set_file: an `images.safetensors` or the folder that holds it.
        out: a new or empty folder for png, a new file for npz, whose name ends so.
        form: png (class folders of 8-bit images, as torchvision's ImageFolder reads them) or npz (to the last bit).
        data_root: folder of the data files; a whitened set needs its data to be shown.

    Returns:
        What a reader of it should know, in a sentence.

    Raises:
        InputError: there is no such set or form, or `out` is taken or cannot be written.
        DataError: the set is whitened and its data is not here.
    """
    from raydistill.sets.exporting import export_set as export

    return export(str(set_file), out, form, data_root=as_data_root(data_root)).note


def _as_path(file: str | Path | None) -> Path | None:
    """A file as a path with `~` expanded; None stays None."""
    return None if file is None else Path(file).expanduser()
