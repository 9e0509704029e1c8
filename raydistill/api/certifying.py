"""Proving what a finished search found: certify, verify, ablate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from raydistill.api.common import resources_of, sees_changed_images, workplace_for

if TYPE_CHECKING:
    from raydistill.certify.ablation_table import Ablation
    from raydistill.certify.certificate import Certificate
    from raydistill.certify.verify import Verification
    from raydistill.search.watcher import Watcher


@sees_changed_images
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
    """Prove on the sealed test split, opened once and logged, whether a study's winner is lossless.

    Args:
        study: a folder `<store>/<study>`, or a name in the store.
        store: folder or URI in which a name is looked up.
        trial: the id of a finished trial; None takes the search's winner.
        networks: how many are trained from scratch on the full data, on the set and on each control, in pairs.
        again: open the test split once more for a study that has its certificate; the new certificate says so.
        accept_code_change: certify a set that other code made.
        data_root: folder or URI of the data files; None is each data set's own default.
        local: train the networks one by one in this process, without Ray.
        address: of a running Ray cluster; None starts one on this machine.
        watcher: receives progress, as `search.watcher` says; None reports nothing.

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
    from raydistill.certify.candidate import TrialChoice
    from raydistill.certify.run import certify_study

    folder = find_study(str(study), str(store)).absolute
    work = workplace_for(resources_of(folder), data_root=data_root, local=local, address=address, watcher=watcher)
    choice = TrialChoice(trial_id=trial, accept_code_change=accept_code_change)
    return certify_study(folder, choice, work, networks=networks, again=again)


@sees_changed_images
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
        watcher: receives progress, as `search.watcher` says; None reports nothing.

    Raises:
        CertifyError: there is no certificate, or nothing to train again.
        VerificationError: something does not match; every mismatch is named.
    """
    from raydistill.certify import verify as checks
    from raydistill.spaces.paths import from_root

    path = str(from_root(Path(certificate))) if "://" not in str(certificate) else str(certificate)
    verification = checks.verify_certificate(path)
    if not retrain:
        return verification
    resources = resources_of(checks.study_of(path))
    work = workplace_for(resources, data_root=data_root, local=local, address=address, watcher=watcher)
    return checks.retrain(verification, path, work)


@sees_changed_images
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
    """Turn each term of a study's winning method off in turn, at the found size, and measure the effects in pairs.

    Args:
        study: a folder `<store>/<study>`, or a name in the store.
        store: folder or URI in which a name is looked up.
        trial: the id of a finished trial; None takes the search's winner.
        draws: distillations of each variant.
        networks: how many read each draw.
        accept_code_change: ablate a trial that other code made.
        data_root: folder or URI of the data files; None is each data set's own default.
        local: run one by one in this process, without Ray.
        address: of a running Ray cluster; None starts one on this machine.
        watcher: receives progress, as `search.watcher` says; None reports nothing.

    Returns:
        A row per term, as `ablation.json` holds it.

    Raises:
        InputError: there is no such study.
        CertifyError: there is no trial to ablate, or its method has no terms.
        StudyInUseError: a search holds the study.
        DataError: the data is not the data of the study.
        StoreError: a file of the study is damaged or missing.
    """
    from raydistill.catalogue import find_study
    from raydistill.certify.ablation import ablate_study
    from raydistill.certify.candidate import TrialChoice

    folder = find_study(str(study), str(store)).absolute
    work = workplace_for(resources_of(folder), data_root=data_root, local=local, address=address, watcher=watcher)
    choice = TrialChoice(trial_id=trial, accept_code_change=accept_code_change)
    return ablate_study(folder, choice, work, draws=draws, networks=networks)
