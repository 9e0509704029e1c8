"""The functions around one set: distil, evaluate, load, import, export."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from raydistill.api.common import SpaceSource, sees_changed_images
from raydistill.errors import InputError
from raydistill.spaces.paths import given_path
from raydistill.spaces.units import percent
from raydistill.storage.data_root import as_data_root

if TYPE_CHECKING:
    from raydistill.core.contract import Report
    from raydistill.core.synthetic import SyntheticSet
    from raydistill.search.watcher import Watcher
    from raydistill.sets.evaluating import NetworkReading
    from raydistill.sets.loaded import LoadedSet


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

    def __repr__(self) -> str:
        """Each architecture's mean accuracy in a line; `readings` has everything."""
        rows = [
            f"{one.network}: {percent(statistics.mean(one.accuracy_fractions))} over {len(one.accuracy_fractions)} networks"
            for one in self.readings
        ]
        return f"Evaluation({self.readings[0].split} images; {'; '.join(rows)})"


@sees_changed_images
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
        The set; its images are standardised, or whitened where the space says zca.

    Raises:
        SpaceError: the space has mistakes, or ranges are left; all are named.
        InputError: there is no such space, or overrides are given for a trial.
        StoreError: `out` or the store cannot be written, or experts in it are damaged.
        DivergedError: a loss is not finite.
    """
    from raydistill.sets.distilling import distil_once, save_set
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


@sees_changed_images
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
    from raydistill.sets.evaluating import evaluate_file
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


def load_set(set_file: str | Path, *, data_root: str | Path | None = None) -> LoadedSet:
    """Open a saved set for PyTorch: images, labels, and a network and an optimiser that train on it as its trial did.

        found = raydistill.load_set("studies/digits/winner")
        network = found.new_network()
        optimiser = found.new_optimiser(network)
        for images, targets in found.batches():
            optimiser.zero_grad(), cross_entropy(network(images), targets).backward(), optimiser.step()

    Args:
        set_file: an `images.safetensors` or the folder that holds it.
        data_root: folder or URI of the data files, for `select_images` and for recipes that augment; None is their default.

    Returns:
        `images` and `labels`, what the labels are (`labels_are`), `mean` and `std`, the learned learning rate
        (`learned_training_lr`), `recorded_accuracy_fraction`, and `as_torch_dataset()`.

    Raises:
        InputError: there is no such set, or it is damaged.
        StoreError: the record of its trial is damaged.
    """
    from raydistill.sets.loaded import read_loaded_set

    return read_loaded_set(str(set_file), as_data_root(data_root))


@sees_changed_images
def import_set(
    file: str | Path,
    *,
    out: str | Path | None = None,
    dataset: str | None = None,
    space: str | None = None,
    labels: str | Path | None = None,
    labels_are: Literal["probabilities", "logits"] | None = None,
    lr: str | Path | None = None,
    entry: int | None = None,
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
        labels_are: what soft labels are; None decides it from their values, and refuses a doubtful case.
        lr: file of the learned rate.
        entry: which set of a file with several, counted from 1; None takes the last. `import_sets` takes all.
        overrides: `path.to.field=value`, of the settings that the set is evaluated with.
        data_root: folder of the data files; None is each data set's own default.

    Returns:
        The set; its images are in this project's space, its labels are classes or logits.

    Raises:
        InputError: a file is missing, refused, or does not fit the data set; or it is not clear what its soft labels are.
        SpaceError: data set or overrides have mistakes.
        DataError: the data is missing or damaged.
        StoreError: `out` cannot be written.
    """
    from raydistill.sets.importing import Given, import_into

    given = Given(
        dataset=dataset,
        space=space,
        labels_file=_as_path(labels),
        labels_are=labels_are,
        lr_file=_as_path(lr),
        overrides=tuple(overrides),
    )
    place = None if out is None else str(out)
    (imported,), _ = import_into(place, _path(file), given, entry="last" if entry is None else entry, data_root=data_root)
    return imported.synthetic


@sees_changed_images
def import_sets(
    file: str | Path,
    *,
    out: str | Path | None = None,
    dataset: str | None = None,
    space: str | None = None,
    labels_are: Literal["probabilities", "logits"] | None = None,
    overrides: Sequence[str] = (),
    data_root: str | Path | None = None,
) -> tuple[SyntheticSet, ...]:
    """Read every set of a published file, such as the repetitions of an experiment whose mean a paper quotes.

    Args:
        file: a published .pt that lists its sets, as those of DC, DM and DataDAM do.
        out: folder or URI; each set goes to `entry-<number>/` in it. None writes nothing.
        dataset: what they were distilled from.
        space: what their images are in, as in `import_set`.
        labels_are: what soft labels are, as in `import_set`.
        overrides: `path.to.field=value`, of the settings that the sets are evaluated with.
        data_root: folder of the data files; None is each data set's own default.

    Returns:
        The sets, in the order of the file.

    Raises:
        InputError: the file is missing, refused, or does not fit the data set; or it is not clear what its soft labels are.
        SpaceError: data set or overrides have mistakes.
        DataError: the data is missing or damaged.
        StoreError: `out` cannot be written.
    """
    from raydistill.sets.importing import Given, import_into

    given = Given(dataset=dataset, space=space, labels_are=labels_are, overrides=tuple(overrides))
    imported, _ = import_into(None if out is None else str(out), _path(file), given, entry="all", data_root=data_root)
    return tuple(one.synthetic for one in imported)


@sees_changed_images
def export_set(
    set_file: str | Path,
    out: str | Path,
    *,
    form: Literal["hf", "folder", "npz", "png"] = "folder",
    accuracy: bool = True,
    data_root: str | Path | None = None,
) -> str:
    """Write a set in a form that other programs read.

    Args:
        set_file: an `images.safetensors` or the folder that holds it.
        out: a new or empty folder for hf and folder, a new file NAME.npz for npz.
        form: hf (a Hugging Face data set: Parquet and a card), folder (class folders of PNG files, as torchvision's ImageFolder
            reads them), both of 8-bit pixels; or npz (exact to the last bit). `png` is an older name of folder.
        accuracy: with 8-bit pixels, train the set's networks before and after rounding and clipping, and write both accuracies.
        data_root: folder of the data files, for the accuracy and for a whitened set; None is each data set's own default.

    Returns:
        One sentence that a reader of the export should know.

    Raises:
        InputError: there is no such set or form, `out` is taken or cannot be written, or pyarrow, which hf needs, is missing.
        DataError: the data is missing.
    """
    from raydistill.sets.exporting import export_set as export

    return export(str(set_file), out, form, accuracy=accuracy, data_root=as_data_root(data_root)).note


def _path(file: str | Path) -> Path:
    """A file as a path with `~` expanded."""
    return given_path(file)


def _as_path(file: str | Path | None) -> Path | None:
    """Like `_path`; None stays None."""
    return None if file is None else _path(file)
