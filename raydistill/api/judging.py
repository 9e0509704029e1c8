"""The functions that compare and prove."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from raydistill.api.common import SpaceSource, executor_for, resources_of
from raydistill.storage.data_root import as_data_root

if TYPE_CHECKING:
    from raydistill.certify.ablation_table import Ablation
    from raydistill.certify.certificate import Certificate
    from raydistill.certify.verify import Verification
    from raydistill.comparison.rows import Comparison
    from raydistill.reproduce.run import Results
    from raydistill.search.watcher import Watcher


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
        reason: reads on the test split, which is opened once, if an outcome is missing, and logged with this reason; None reads
            the select images.
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
        InputError: the reason is blank.
        DataError: the data is missing or damaged.
    """
    from contextlib import closing

    from raydistill.catalogue import load_space
    from raydistill.comparison.run import finish_comparison, methods_named, open_where_wanted, plan_comparison
    from raydistill.search.experts import plan_experts, prepare_experts
    from raydistill.search.needs import needs_of_trial
    from raydistill.search.watcher import SilentWatcher
    from raydistill.sets.one import check_reading
    from raydistill.storage.store import Store

    split: Literal["select", "test"] = "select" if reason is None else "test"
    check_reading(split, reason, None)
    root, folder = as_data_root(data_root), Store(str(store)).absolute
    checked = load_space(space, overrides, root)
    told = watcher or SilentWatcher()
    named = methods_named(checked, str(space), methods, overrides)
    jobs = plan_comparison(checked, named, ipc, draws, folder, data_root=root, split=split)
    needs = plan_experts([job.config for job in jobs], folder, root)
    with closing(executor_for(checked.resources, local=local, address=address)) as executor:
        executor.require(needs_of_trial(jobs[0].config, folder.at("compare"), root))
        prepare_experts(needs, jobs[0].config, folder, root, executor, told)
        if reason is not None:
            jobs = open_where_wanted(jobs, reason)
        told.stage("comparison", len(jobs))
        executor.run_jobs(jobs, told)
    return finish_comparison(jobs)


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
    from raydistill.catalogue import find_study
    from raydistill.certify.run import certify_study
    from raydistill.search.watcher import SilentWatcher

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
    from raydistill.search.watcher import SilentWatcher

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
    from raydistill.catalogue import find_study
    from raydistill.certify.ablation import ablate_study
    from raydistill.search.watcher import SilentWatcher

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

    from raydistill.reproduce.jobs import Place
    from raydistill.reproduce.run import asked_for, run_tables
    from raydistill.reproduce.tables import write_results
    from raydistill.search.watcher import SilentWatcher
    from raydistill.spaces.sections import ResourcesConfig
    from raydistill.storage.store import Store

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
