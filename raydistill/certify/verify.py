"""Checks a certificate: what follows from its evidence, what lies beside it, and on request the training itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError

from raydistill.catalogue import find_file
from raydistill.certify.arms import ArmPlan, Plan, certificate_seeds, network_jobs, parts_of, set_jobs, trained_arms
from raydistill.certify.beside import differences, left_unchecked, mismatches_beside
from raydistill.certify.certificate import Certificate, Evidence, Findings, content_sha256, read_certificate, seal_of
from raydistill.certify.evidence import own_opening
from raydistill.certify.findings import find
from raydistill.certify.reading import SplitReading, read_on_test
from raydistill.core.recipes import recipe_of
from raydistill.data.splits import splits_of
from raydistill.errors import CertifyError, VerificationError
from raydistill.methods import METHODS
from raydistill.search.needs import needs_of_trial
from raydistill.search.workplace import Workplace
from raydistill.storage.baseline import read_baseline
from raydistill.storage.layout import CERTIFICATE_FILE, RECORD_FILE, SET_FILE, SPACE_FILE, trial_file
from raydistill.storage.lock import study_lock
from raydistill.storage.record import read_record, unpack_bits, versions
from raydistill.storage.store import Store

AGAIN = "again"
"""Folder in a certificate's while its networks are trained again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What was checked of a certificate that holds."""

    certificate: Certificate
    checked: tuple[str, ...]
    """In sentences."""
    not_checked: tuple[str, ...]
    """What could not be checked, and why."""

    def __repr__(self) -> str:
        """The verification in a line."""
        return f"Verification({self.certificate!r} holds; {len(self.checked)} checked, {len(self.not_checked)} not checked)"


def verify_certificate(path: str) -> Verification:
    """Check a certificate without opening the test split.

    Args:
        path: of a certificate.json; what else is checked lies beside it, in its study.

    Raises:
        CertifyError: there is no certificate.
        VerificationError: something does not match; all of it is named.
    """
    folder, name = find_file(path, CERTIFICATE_FILE)
    certificate = read_certificate(folder, name)
    try:
        again = find(certificate.evidence)
    except (ValueError, ValidationError) as error:
        raise VerificationError(_does_not_hold(path, [f"the evidence cannot be read: {error}"])) from error
    mismatches = list(_in_itself(certificate, again))
    checked = ["the verdict, every bound and every sentence follow from the stored per-image correctness"]
    not_checked: list[str] = []
    if folder.exists("trials") and folder.exists(SPACE_FILE):
        mismatches += mismatches_beside(certificate, folder)
        not_checked += left_unchecked(certificate, folder)
        checked.append(
            "set, controls, config, record, baseline, smaller sizes, page, networks and log of openings beside it are as it says"
        )
    else:
        not_checked.append("set, record, networks and log: no study lies beside the certificate")
    if mismatches:
        raise VerificationError(_does_not_hold(path, mismatches))
    return Verification(certificate=certificate, checked=tuple(checked), not_checked=tuple(not_checked))


def retrain(verification: Verification, path: str, work: Workplace) -> Verification:
    """Train every network of a verified certificate again with its seeds, read them on test, and compare image by image.

    Opens the test split, with the reason `verification` in the log. Bit for bit the same is expected on the same kind of CPU with
    the same versions and threads; what differs is named with both. Of networks that a GPU trained it is not expected.

    Args:
        verification: of the certificate, as `verify_certificate` gives it.
        path: of the certificate, in its study.
        work: trains the networks; its executor is closed at the end.

    Raises:
        CertifyError: the study is not beside the certificate, or its recipe is another now.
        StudyInUseError: another process trains the networks of this certificate again.
        StoreError: the study cannot be written, or a file of it is damaged.
        VerificationError: a network gets other images right.
    """
    study, evidence = study_of(path), verification.certificate.evidence
    recipe = recipe_of(evidence.trial, splits_of(evidence.trial, work.data_root))
    if str(recipe) != evidence.recipe.words:
        raise CertifyError(
            f"the certificate trained by {evidence.recipe.words}, and this code has {recipe}: use the code that made it"
        )
    with _study_again(study, evidence, work) as copy, closing(work.executor):
        work.executor.require(needs_of_trial(evidence.trial, copy, work.data_root))
        read = _read_again(evidence, study, copy, work)
    mismatches = [] if read.sha256 == evidence.test_sha256 else ["the test images are different"]
    for stored, again in zip(evidence.arms, read.arms, strict=True):
        mismatches += _other_images(stored.title, stored.correct, again.correct, read.images)
    if mismatches:
        then = f"then torch {evidence.versions.get('torch')} on {evidence.read_on}"
        now = f"now {versions().get('torch')} on {read.read_on}"
        listed = "\n".join(f"  {mismatch}" for mismatch in mismatches)
        raise VerificationError(
            f"{path} was not trained again to the same networks ({then}, {now}):\n{listed}\n{_what_other_images_mean(evidence)}"
        )
    count = len(evidence.seeds) * len(evidence.arms)
    said = f"{count} networks, trained again, get the same test images right"
    return Verification(
        certificate=verification.certificate, checked=(*verification.checked, said), not_checked=verification.not_checked
    )


@contextmanager
def _study_again(study: Store, evidence: Evidence, work: Workplace) -> Iterator[Store]:
    """A folder in the study in which its networks are trained again, so that none of before is read in place of a new one.

    It lies in the study because every node of a cluster reaches that, and holds what training needs. It is removed at the end,
    and at the beginning what a killed process has left.
    """
    own = study.at(f"certificate/{evidence.number}")
    with study_lock(own, tell=work.watcher.note, command="verify") as locked:
        locked.delete_folder(AGAIN)
        try:
            yield _copy_study(study, locked.at(AGAIN), evidence.trial_id)
        finally:
            locked.delete_folder(AGAIN)


def _read_again(evidence: Evidence, study: Store, copy: Store, work: Workplace) -> SplitReading:
    """The networks of a certificate, trained again in a folder of their own and read on the test images."""
    trial, data_root = evidence.trial, work.data_root
    plan = Plan(
        number=evidence.number,
        trial_id=evidence.trial_id,
        networks=len(evidence.seeds),
        full_steps=evidence.recipe.full_steps,
        arms=tuple(ArmPlan(name=arm.name, draw=arm.draw) for arm in evidence.arms),
        code_sha256=evidence.code_sha256,
        started_at=evidence.started_at,
    )
    for arm in plan.arms:
        if arm.is_control and METHODS[arm.name].label_kind == "soft" and study.exists(plan.set_file(arm)):
            # Its labels come from experts that may have been built anew since; its hash was checked by verifying.
            copy.write(plan.set_file(arm), study.read(plan.set_file(arm)))
    jobs = network_jobs(plan, trial, copy, data_root)
    baseline, record = read_baseline(study), read_record(study, evidence.trial_id)
    if baseline is not None and record is not None:
        work.tell_estimate(parts_of(jobs, baseline, record, plan.full_steps))
    work.run_missing("control sets", set_jobs(plan, trial, copy, data_root, experts=study.parent))
    work.run_missing("certificate, again", jobs)
    reason = f"verification of certificate {evidence.number} of study {evidence.study}, trial {evidence.trial_id}"
    arms = trained_arms(plan, copy)
    return read_on_test(arms, plan, trial, copy, reason=reason, log=study.parent, data_root=data_root)


def _does_not_hold(path: str, mismatches: list[str]) -> str:
    """All that does not match, and what to do."""
    listed = "\n".join(f"  {mismatch}" for mismatch in mismatches)
    return f"{path} does not hold:\n{listed}\nGet the file that raydistill certify wrote, or certify again"


def _in_itself(certificate: Certificate, again: Findings) -> Iterator[str]:
    """Mismatches between the evidence and what is said to follow from it; `again` is what does."""
    evidence = certificate.evidence
    yield from differences("findings", certificate.findings.model_dump(mode="json"), again.model_dump(mode="json"))
    if evidence.trial.trial_id != evidence.trial_id:
        yield f"evidence.config has hash {evidence.trial.trial_id}, the certificate is for trial {evidence.trial_id}"
    if certificate_seeds(evidence.number, evidence.trial.data_sha256, len(evidence.seeds)) != list(evidence.seeds):
        yield "evidence.seeds are not those of this data and this certificate's number"
    if [earlier.number for earlier in evidence.earlier] != list(range(1, evidence.number)):
        yield f"evidence.earlier does not name each certificate before number {evidence.number}"
    recipe = evidence.recipe
    named = recipe.words.startswith(f"{evidence.trial.evaluation.recipe}: ")
    if not named or f", {recipe.steps} steps of {recipe.batch} images, " not in recipe.words:
        yield f"evidence.recipe.words ({recipe.words}) are not of the trial's recipe, or of other steps or another batch"
    if seal_of(evidence.arms) != evidence.seal:
        yield "evidence.seal is not the hash over the networks' parameters"
    if own_opening(evidence) is None:
        yield "evidence.openings does not have this certificate's own opening of its sealed networks"
    if content_sha256(certificate.findings, evidence) != certificate.content_sha256:
        yield "content_sha256 is not the hash of what the certificate says, so something in it was changed"


def _other_images(title: str, stored: tuple[str, ...], again: tuple[str, ...], images: int) -> Iterator[str]:
    changed = (unpack_bits(stored, images) != unpack_bits(again, images)).sum(axis=1)
    for index in np.flatnonzero(changed):
        yield f"{title}, network {index}: {changed[index]} of {images} test images differ"


def _what_other_images_mean(evidence: Evidence) -> str:
    if evidence.trial.device == "cuda":
        return "Its networks were trained on a GPU and are not comparable bit for bit; it may hold all the same"
    return "Use the device and versions of the certificate; if they are the same, it does not hold"


def _copy_study(study: Store, copy: Store, trial_id: str) -> Store:
    """Copy what training needs of a study."""
    for name in (trial_file(trial_id, RECORD_FILE), trial_file(trial_id, SET_FILE)):
        copy.write(name, study.read(name))
    return copy


def study_of(path: str) -> Store:
    """The folder of a certificate, which is its study's.

    Raises:
        CertifyError: no study lies there.
    """
    study, _ = find_file(path, CERTIFICATE_FILE)
    if not study.exists(SPACE_FILE):
        raise CertifyError(f"{path} has no study beside it, which holds the set to train on; give <study>/certificate.json")
    return study
