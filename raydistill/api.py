"""The Python API: the commands that work on data, as functions.

Imports nothing heavy by itself; each function imports what it needs, after the space is read, so that mistakes are told at
once. What a caller can put right is raised as an error of its own, named under Raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from raydistill.data_root import as_data_root

if TYPE_CHECKING:
    from raydistill.certify.ablation_table import Ablation
    from raydistill.certify.certificate import Certificate
    from raydistill.certify.verify import Verification
    from raydistill.comparison import Comparison
    from raydistill.config import ResourcesConfig
    from raydistill.core.contract import Report
    from raydistill.core.synthetic import SyntheticSet
    from raydistill.one_set import NetworkReading
    from raydistill.record import SearchResult
    from raydistill.report.status import StudyStatus
    from raydistill.reproduce.run import Results
    from raydistill.search.driver import Executor
    from raydistill.search.watcher import Watcher
    from raydistill.store import Store

SpaceSource = str | Path | Mapping[str, Any]
"""A YAML file, the name of a shipped space, or the document itself."""


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
) -> SearchResult:
    """Search a space for the smallest lossless IPC; on a study that exists, continue it.

    Args:
        space: a YAML file, the name of a shipped space, or the document itself.
        store: folder or fsspec URI that holds studies; this one goes to `<store>/<study>/`.
        data_root: folder or URI of the data files; None is each data set's own default.
        local: run the trials one by one in this process, without Ray.
        address: of a running Ray cluster; None starts one on this machine.
        trials: overrides `budget.trials`.
        overrides: `path.to.field=value`, as `--set` takes them.
        accept_code_change: continue a study that other code began.
        watcher: told what happens; None tells nobody.

    Returns:
        The verdict and its evidence, as `result.json` holds it.

    Raises:
        SpaceError: the space has mistakes; all are named.
        InputError: there is no such space, or both `local` and `address` are given.
        StudyInUseError: another search holds the study.
        StudyMismatchError: the study was begun with another space or other code.
        ResourcesError: no node can hold one trial.
        StoreError: the store cannot be written, or a record in it is damaged.
    """
    from raydistill.spaces import load_space

    budget = [] if trials is None else [f"budget.trials={trials}"]
    checked = load_space(space, [*overrides, *budget], as_data_root(data_root))

    from raydistill.report.progress import SilentWatcher
    from raydistill.search.driver import run_search
    from raydistill.store import Store

    return run_search(
        checked,
        Store(str(store)),
        data_root=as_data_root(data_root),
        executor=executor_for(checked.resources, local=local, address=address),
        watcher=watcher or SilentWatcher(),
        accept_code_change=accept_code_change,
    )


def distill(
    space: SpaceSource,
    *,
    out: str | Path | None = None,
    store: str | Path = "studies",
    overrides: Sequence[str] = (),
    data_root: str | Path | None = None,
    on_step: Report | None = None,
) -> SyntheticSet:
    """Distil one set without a search.

    Sets the number of torch's threads to the space's `cpus_per_trial`.

    Args:
        space: a YAML file, the name of a shipped space, or the document itself; its ranges must be fixed by `overrides`.
        out: folder or URI for `images.safetensors` and `images.png`; None writes nothing.
        store: holds the experts of methods that need them; those that are missing are trained first.
        overrides: `path.to.field=value`, as `--set` takes them.
        data_root: folder or URI of the data files; None is each data set's own default.
        on_step: told after every step.

    Returns:
        The set; its images are standardised.

    Raises:
        SpaceError: the space has mistakes, or ranges are left; all are named.
        InputError: there is no such space.
        StoreError: `out` or the store cannot be written, or experts in it are damaged.
        DivergedError: a loss is not finite.
    """
    from raydistill.spaces import load_space

    root = as_data_root(data_root)
    checked = load_space(space, overrides, root)

    from raydistill.one_set import distil_once, only_trial, save_set
    from raydistill.store import Store

    config = only_trial(checked, root)
    folder = None if out is None else Store(str(out))
    if folder is not None:
        folder.check_writable()
    distilled = distil_once(config, Store(str(store)), root, on_step)
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
    store: str | Path = ...,
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
    store: str | Path = ...,
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
    store: str | Path = "studies",
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
        store: where an opening of the test split is logged.
        networks: how many of each; None takes the number that the set's own trial used.
        recipe: how they are trained; None takes the one that the set's own trial used.
        data_root: folder or URI of the data files; None is each data set's own default.

    Returns:
        One accuracy fraction per network; of a list of architectures one `NetworkReading` for each, in order.

    Raises:
        InputError: there is no such set, recipe or network, an architecture is too large for the images, the list of them is
            empty, or the test split is to be opened without a reason.
        DataError: the data is missing, damaged, or not the data that the set was made from.
    """
    from raydistill.one_set import evaluate_file
    from raydistill.spaces import InputError

    if network is not None and not network:
        raise InputError(f"given {network!r} as network; a name or a list of names is wanted: leave it out for the set's own")
    readings = evaluate_file(
        str(set_file),
        split=split,
        reason=reason,
        log=str(store),
        networks=networks,
        recipe=recipe,
        architectures=[network] if isinstance(network, str) else network or (),
        data_root=as_data_root(data_root),
    )
    return readings if isinstance(network, list | tuple) else list(readings[0].accuracy_fractions)


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
        space: data set, network, evaluation and the settings of its method, whose ranges stand at their middle.
        methods: names of methods, or of spaces that give a method's settings; controls are always added. The space's own method,
            by its name or by the space's, has the overrides.
        ipc: images per class.
        draws: starts per method.
        store: gets `compare/<key>/`; the same comparison run again continues there.
        reason: reads on the test split, opened once and logged with this reason; None reads the select images.
        data_root: folder or URI of the data files; None is each data set's own default.
        local: run one by one in this process, without Ray.
        address: of a running Ray cluster; None starts one on this machine.
        overrides: `path.to.field=value`, as `--set` takes them.
        watcher: told what happens; None tells nobody.

    Returns:
        A row per method, as `comparison.json` holds it.

    Raises:
        SpaceError: the space has mistakes; all are named.
        CompareError: an unknown method, too few draws, an IPC above the class size, an override of a method left out.
        DataError: the data is missing or damaged.
    """
    from contextlib import closing

    from raydistill.comparison import finish_comparison, methods_named, plan_comparison
    from raydistill.report.progress import SilentWatcher
    from raydistill.search.experts import plan_experts, prepare_experts
    from raydistill.search.needs import needs_of_trial
    from raydistill.spaces import load_space
    from raydistill.store import Store

    root, folder = as_data_root(data_root), Store(str(store)).absolute
    checked = load_space(space, overrides, root)
    told = watcher or SilentWatcher()
    named = methods_named(checked, str(space), methods, overrides)
    jobs = plan_comparison(checked, named, ipc, draws, folder, data_root=root, reason=reason)
    needs = plan_experts([job.config for job in jobs], folder, root)
    with closing(executor_for(checked.resources, local=local, address=address)) as executor:
        executor.require(needs_of_trial(jobs[0].config, folder.at("compare"), root))
        prepare_experts(needs, jobs[0].config, folder, root, executor, told)
        told.stage("comparison", len(jobs))
        executor.run_jobs(jobs, told)
    return finish_comparison(jobs)


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
    from raydistill.one_set import write_set
    from raydistill.set_import import import_file
    from raydistill.store import Store

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
        out: a new or empty folder for png, a file for npz.
        form: png (class folders of 8-bit images, as torchvision's ImageFolder reads them) or npz (to the last bit).
        data_root: folder of the data files; a whitened set needs its data to be shown.

    Returns:
        What a reader of it should know, in a sentence.

    Raises:
        InputError: there is no such set or form, or `out` is taken.
        DataError: the set is whitened and its data is not here.
    """
    from raydistill.set_export import export_set as export

    return export(str(set_file), Path(out).expanduser(), form, data_root=as_data_root(data_root)).note


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

    Opens the test split, logged, as long as there is something left to read.

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
        watcher: told what happens; None tells nobody.

    Raises:
        InputError: an unknown table, reading or scale, or both `local` and `address`.
        DeviceError: a GPU is asked for that is not there.
        StoreError: the store cannot be written, has too little room, or has results of other data.
    """
    from contextlib import closing

    from raydistill.config import ResourcesConfig
    from raydistill.report.progress import SilentWatcher
    from raydistill.reproduce.jobs import Place
    from raydistill.reproduce.run import asked_for, run_tables
    from raydistill.reproduce.tables import write_results
    from raydistill.store import Store

    asked = asked_for(tables, reading, scale)
    place = Place(
        store=Store(str(store)).absolute,
        data_root=as_data_root(data_root),
        threads=threads,
        device="cuda" if gpus > 0 else "cpu",
    )
    resources = ResourcesConfig(cpus_per_trial=threads, gpus_per_trial=gpus)
    with closing(executor_for(resources, local=local, address=address)) as executor:
        results = run_tables(asked, place, executor, watcher or SilentWatcher())
    write_results(results, place.folder)
    return results


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
    """Train the experts that a search of a space would read: those that are missing, and damaged ones again.

    Args:
        space: a YAML file, the name of a shipped space, or the document itself.
        store: gets `experts/<key>/`.
        data_root: folder or URI of the data files; None is each data set's own default.
        local: run one by one in this process, without Ray.
        address: of a running Ray cluster; None starts one on this machine.
        overrides: `path.to.field=value`, as `--set` takes them.
        watcher: told what happens; None tells nobody.

    Returns:
        The keys of the sets; none where the space's method reads no experts.

    Raises:
        SpaceError: the space has mistakes; all are named.
        ExpertsError: the space's window is longer than its experts' trajectories.
        StoreError: the store cannot be written, or has too little room.
    """
    from contextlib import closing

    from raydistill.config import dataset_config
    from raydistill.core.data import load_splits
    from raydistill.report.progress import SilentWatcher
    from raydistill.search.experts import extreme_trials, plan_experts, prepare_experts
    from raydistill.search.needs import needs_of_trial
    from raydistill.spaces import load_space
    from raydistill.store import Store

    root, folder = as_data_root(data_root), Store(str(store)).absolute
    checked = load_space(space, overrides, root)
    folder.check_writable()
    configs = extreme_trials(checked, load_splits(dataset_config(checked.template["dataset"]), root).sha256)
    if not configs:
        return []
    needs = plan_experts(configs, folder, root, rebuild_damaged=True)
    with closing(executor_for(checked.resources, local=local, address=address)) as executor:
        told = watcher or SilentWatcher()
        executor.require(needs_of_trial(configs[0], folder.at("experts"), root))
        prepare_experts(needs, configs[0], folder, root, executor, told, rebuild_damaged=True)
    return [need.settings.key for need in needs]


def certify(
    study: str | Path,
    *,
    store: str | Path = "studies",
    trial: str | None = None,
    networks: int = 10,
    again: bool = False,
    accept_code_change: bool = False,
    data_root: str | Path | None = None,
    local: bool = False,
    address: str | None = None,
    watcher: Watcher | None = None,
) -> Certificate:
    """Prove on the sealed test split, opened once and logged, that a study's winner is lossless, or say that it is not.

    Args:
        study: a folder `<store>/<study>`, or a name in the store.
        store: where names are looked for.
        trial: names a finished trial; None takes the search's winner.
        networks: trained afresh on the full data, on the set and on each control, in pairs.
        again: open the test split once more for a study that has its certificate; the new one says so.
        accept_code_change: certify a set that other code made.
        data_root: folder or URI of the data files; None is each data set's own default.
        local: train the networks one by one in this process, without Ray.
        address: of a running Ray cluster; None starts one on this machine.
        watcher: told what happens; None tells nobody.

    Returns:
        The certificate, as `certificate.json` holds it.

    Raises:
        InputError: there is no such study.
        CertifyError: there is nothing to certify, it is certified, or the test split is too small for the margin.
        StudyInUseError: a search holds the study.
        DataError: the data is not the data of the study.
        StoreError: a file of the study is damaged or missing.
    """
    from raydistill.certify.run import certify_study
    from raydistill.report.progress import SilentWatcher
    from raydistill.spaces import find_study

    folder = find_study(str(study), str(store)).absolute
    return certify_study(
        folder,
        trial_id=trial,
        networks=networks,
        again=again,
        accept_code_change=accept_code_change,
        data_root=as_data_root(data_root),
        executor=executor_for(resources_of(folder), local=local, address=address),
        watcher=watcher or SilentWatcher(),
    )


def verify(
    certificate: str | Path,
    *,
    retrain: bool = False,
    data_root: str | Path | None = None,
    local: bool = False,
    address: str | None = None,
    watcher: Watcher | None = None,
) -> Verification:
    """Check a certificate: without opening the test split, or by training its networks again.

    Args:
        certificate: a certificate.json, or the folder that holds it.
        retrain: train again with the stored seeds and compare image by image; this opens the test split, and the log says so.
        data_root: folder or URI of the data files, for `retrain`.
        local: train one by one in this process, without Ray.
        address: of a running Ray cluster; None starts one on this machine.
        watcher: told what happens; None tells nobody.

    Raises:
        CertifyError: there is no certificate, or nothing to train again with.
        VerificationError: something does not match; all of it is named.
    """
    from raydistill.certify import verify as checks
    from raydistill.report.progress import SilentWatcher

    path = str(Path(certificate).absolute()) if "://" not in str(certificate) else str(certificate)
    verification = checks.verify_certificate(path)
    if not retrain:
        return verification
    return checks.retrain(
        verification,
        path,
        data_root=as_data_root(data_root),
        executor=executor_for(resources_of(checks.study_of(path)), local=local, address=address),
        watcher=watcher or SilentWatcher(),
    )


def ablate(
    study: str | Path,
    *,
    store: str | Path = "studies",
    trial: str | None = None,
    draws: int = 5,
    networks: int = 3,
    accept_code_change: bool = False,
    data_root: str | Path | None = None,
    local: bool = False,
    address: str | None = None,
    watcher: Watcher | None = None,
) -> Ablation:
    """Turn each term of a study's winning method off in turn, at the found size, and take the effects in pairs.

    Args:
        study: a folder `<store>/<study>`, or a name in the store.
        store: where names are looked for.
        trial: names a finished trial; None takes the search's winner.
        draws: distillations of each variant.
        networks: behind each draw.
        accept_code_change: take a trial that other code made.
        data_root: folder or URI of the data files; None is each data set's own default.
        local: one by one in this process, without Ray.
        address: of a running Ray cluster; None starts one on this machine.
        watcher: told what happens; None tells nobody.

    Returns:
        A row per term, as `ablation.json` holds it.

    Raises:
        InputError: there is no such study.
        CertifyError: there is no trial to take apart, or its method has no terms.
        StudyInUseError: a search holds the study.
        DataError: the data is not the data of the study.
        StoreError: a file of the study is damaged or missing.
    """
    from raydistill.certify.ablation import ablate_study
    from raydistill.report.progress import SilentWatcher
    from raydistill.spaces import find_study

    folder = find_study(str(study), str(store)).absolute
    return ablate_study(
        folder,
        trial_id=trial,
        draws=draws,
        networks=networks,
        accept_code_change=accept_code_change,
        data_root=as_data_root(data_root),
        executor=executor_for(resources_of(folder), local=local, address=address),
        watcher=watcher or SilentWatcher(),
    )


def status(study: str | Path, *, store: str | Path = "studies") -> StudyStatus:
    """Where a study stands, from what it left in its store: a search of it may run elsewhere, or have stopped.

    Args:
        study: a folder or URI `<store>/<study>`, or a name in `store`.
        store: folder or fsspec URI that holds studies.

    Raises:
        InputError: there is no such study.
        StoreError: a file of it is damaged.
    """
    from raydistill.report.status import read_status
    from raydistill.spaces import find_study

    return read_status(find_study(str(study), str(store)).absolute)


def executor_for(resources: ResourcesConfig, *, local: bool, address: str | None) -> Executor:
    """What carries trials out: this process alone, a Ray cluster on this machine, or one at an address.

    Raises:
        InputError: both `local` and an address are given.
    """
    if local and address:
        from raydistill.spaces import InputError

        raise InputError(f"local and the address {address}; the one runs without Ray, the other on a cluster: give one of them")
    if local:
        from raydistill.search.local import LocalExecutor

        return LocalExecutor()
    from raydistill.search.on_ray import RayExecutor

    return RayExecutor(address, resources)


def resources_of(study: Store) -> ResourcesConfig:
    """What one trial of a study was given, by its space as it was run."""
    import yaml

    from raydistill.config import ResourcesConfig

    return ResourcesConfig.model_validate(yaml.safe_load(study.read("search_space.yaml")).get("resources", {}))


def _as_path(file: str | Path | None) -> Path | None:
    """A file as a path with `~` expanded; None stays None."""
    return None if file is None else Path(file).expanduser()
