"""The functions around one set: distil, evaluate, import, export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from raydistill.api.common import SpaceSource
from raydistill.errors import InputError
from raydistill.storage.data_root import as_data_root

if TYPE_CHECKING:
    from raydistill.core.contract import Report
    from raydistill.core.synthetic import SyntheticSet
    from raydistill.search.watcher import Watcher
    from raydistill.sets.one import NetworkReading


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """What fresh networks read of one saved set."""

    readings: tuple[NetworkReading, ...]
    """One per architecture, in the order asked: `network`, `accuracy_fractions`, `parameters`, `recipe` and `split`."""

    @property
    def accuracy_fractions(self) -> tuple[float, ...]:
        """One per network, where the set was evaluated with one architecture.

        Raises:
            InputError: it was evaluated with several.
        """
        if len(self.readings) != 1:
            names = ", ".join(reading.network for reading in self.readings)
            raise InputError(
                f"the set was evaluated with {len(self.readings)} architectures ({names}), which have accuracies of their own: "
                "read those of each in readings, as readings[0].accuracy_fractions"
            )
        return self.readings[0].accuracy_fractions


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
        store: holds the experts of methods that need them; missing experts are trained first. None is the store of the trial, or
            `studies` for a space.
        overrides: `path.to.field=value`, as `--set` takes them.
        data_root: folder or URI of the data files; None is each data set's own default.
        on_step: called after every step; see `raydistill.core.contract.Report`.

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


def evaluate(
    set_file: str | Path,
    *,
    network: str | Sequence[str] | None = None,
    split: Literal["select", "test"] = "select",
    reason: str | None = None,
    store: str | Path | None = None,
    networks: int | None = None,
    recipe: str | None = None,
    data_root: str | Path | None = None,
    watcher: Watcher | None = None,
) -> Evaluation:
    """Train fresh networks on a saved set and read their accuracy on real images.

    Args:
        set_file: an `images.safetensors` or the folder that holds it.
        network: architecture, as `mlp` or `resnet18:norm=batch`, or a list of them. The name of the set's own network means that
            network with all its fields; None takes the set's own.
        split: the images to read on: select, or test. The confirm images are kept for a search's named winner.
        reason: why the test split is opened; needed with `split="test"` and kept in the log of openings.
        store: where an opening of the test split is logged; None is the store of the study that the set lies in, or `studies`
            for a set outside a study.
        networks: how many of each architecture; None takes the number that the set's own trial used.
        recipe: how they are trained; None takes the one that the set's own trial used.
        data_root: folder or URI of the data files; None is each data set's own default.
        watcher: receives progress, as `search.watcher` says; None reports nothing.

    Returns:
        The result: `.readings` has one row per architecture, in order, and `.accuracy_fractions`, where there is one
        architecture, one accuracy fraction per network.

    Raises:
        InputError: there is no such set, recipe or network, an architecture is too large for the images, the list of them is
            empty, or the test split is to be opened without a reason, or logged in another store than that of the set's study.
        DataError: the data is missing, damaged, or not the data that the set was made from.
    """
    from raydistill.sets.one import evaluate_file
    from raydistill.sets.place import ImagesToRead

    if network is not None and not network:
        raise InputError(
            f"given {network!r} as network; give an architecture, as 'mlp', or a list of them, or leave it out for the set's own"
        )
    log = None if store is None else str(store)
    on = ImagesToRead(split=split, reason=reason, log=log, data_root=as_data_root(data_root))
    architectures = [network] if isinstance(network, str) else network or ()
    readings = evaluate_file(str(set_file), on, networks=networks, recipe=recipe, architectures=architectures, watcher=watcher)
    return Evaluation(readings=tuple(readings))


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
    """Read a set that others published into this project's form, in a process of its own that runs nothing of the file.

    Args:
        file: a published .pt, or an .npz that `export_set` wrote, which needs none of the arguments about its contents.
        out: folder or URI for `images.safetensors` and `images.png`; None writes nothing.
        dataset: what a .pt was distilled from.
        space: what its images are in: `pixels`, `standardised`, `standardised:DATASET` or `zca`.
        labels: file of the labels, where `file` has only images.
        lr: file of the learned rate.
        overrides: `path.to.field=value`, of the settings that the set is evaluated with.
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
        out: a new or empty folder for png, a new file NAME.npz for npz.
        form: png (class folders of 8-bit images, as torchvision's ImageFolder reads them) or npz (exact to the last bit).
        data_root: folder of the data files; the images of a whitened set cannot be made without its data.

    Returns:
        One sentence that a reader of the export should know.

    Raises:
        InputError: there is no such set or form, or `out` is taken or cannot be written.
        DataError: the set is whitened, and its data is missing.
    """
    from raydistill.sets.exporting import export_set as export

    return export(str(set_file), out, form, data_root=as_data_root(data_root)).note


def _as_path(file: str | Path | None) -> Path | None:
    """A file as a path with `~` expanded; None stays None."""
    return None if file is None else Path(file).expanduser()
