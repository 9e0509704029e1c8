"""Checking a certificate: what follows from its evidence, what lies beside it, and on request the training itself."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from raydistill.baseline import recipe_of, splits_of
from raydistill.certify.arms import ArmPlan, Plan, certificate_seeds, network_jobs, set_jobs, trained_arms
from raydistill.certify.certificate import PAGE, Certificate, CertifyError, content_sha256, read_certificate, seal_of
from raydistill.certify.evidence import opening_reason
from raydistill.certify.findings import find
from raydistill.certify.page import render_page
from raydistill.certify.reading import read_on_test
from raydistill.core.synthetic import sha256
from raydistill.data_root import DataRoot
from raydistill.methods import METHODS
from raydistill.record import read_record, unpack_bits, versions
from raydistill.search.driver import Executor
from raydistill.search.jobs import run_missing
from raydistill.search.watcher import Watcher
from raydistill.store import Store

TOLERANCE = 1e-9
"""Between a stored number and the same worked out on another machine, whose mathematical library may round otherwise."""


class VerificationError(Exception):
    """A certificate does not hold what it says; every mismatch is named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What was checked of a certificate that holds."""

    certificate: Certificate
    checked: tuple[str, ...]
    """In sentences."""
    not_checked: tuple[str, ...]
    """What could not be, and why."""


def verify_certificate(path: str) -> Verification:
    """Check a certificate without opening the test split.

    Args:
        path: of a certificate.json; what else is checked lies beside it, in its study.

    Raises:
        CertifyError: there is no certificate.
        VerificationError: something does not match; all of it is named.
    """
    folder, name = _split(path)
    certificate = read_certificate(folder, name)
    mismatches = list(_in_itself(certificate))
    checked = ["the verdict, every bound and every sentence follow from the stored per-image correctness"]
    not_checked = []
    if folder.exists("trials") and folder.exists("search_space.yaml"):
        mismatches += _beside(certificate, folder)
        checked.append("set, config, record, page, networks and log of openings beside it are those it names")
    else:
        not_checked.append("set, record, networks and log: no study lies beside the certificate")
    if mismatches:
        listed = "\n".join(f"  {mismatch}" for mismatch in mismatches)
        raise VerificationError(f"{path} does not hold:\n{listed}\nGet the file that raydistill certify wrote, or certify again")
    return Verification(certificate=certificate, checked=tuple(checked), not_checked=tuple(not_checked))


def retrain(verification: Verification, path: str, *, data_root: DataRoot, executor: Executor, watcher: Watcher) -> Verification:
    """Train every network of a verified certificate again with its seeds, read them on test, and compare image by image.

    Opens the test split, with the reason `verification` in the log. Bit for bit the same is expected on the same kind of device
    with the same versions; what differs is named with both.

    Raises:
        CertifyError: the study is not beside the certificate, or its recipe is another now.
        VerificationError: a network gets other images right.
    """
    study, evidence = study_of(path), verification.certificate.evidence
    recipe = recipe_of(evidence.trial, splits_of(evidence.trial, data_root))
    if str(recipe) != evidence.recipe.words:
        raise CertifyError(
            f"the certificate trained by {evidence.recipe.words}, and this code has {recipe}: use the code that made it"
        )
    with tempfile.TemporaryDirectory(prefix="raydistill-retrain-") as folder, closing(executor):
        copy = _copy_study(study, Store(folder), evidence.trial_id)
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
            if arm.is_control and METHODS[arm.name].label_kind == "soft":
                # Its labels are of experts that may have been built anew since: it was held against its hash, and is taken.
                copy.write(plan.set_file(arm), study.read(plan.set_file(arm)))
        run_missing("control sets", set_jobs(plan, evidence.trial, copy, data_root, experts=study.parent), executor, watcher)
        run_missing("certificate, again", network_jobs(plan, evidence.trial, copy, data_root), executor, watcher)
        reason = f"verification of certificate {evidence.number} of study {evidence.study}, trial {evidence.trial_id}"
        read = read_on_test(
            trained_arms(plan, copy), plan, evidence.trial, copy, reason=reason, log=study.parent, data_root=data_root
        )
    mismatches = [] if read.sha256 == evidence.test_sha256 else ["the test images are others"]
    for stored, again in zip(evidence.arms, read.arms, strict=True):
        mismatches += _other_images(stored.title, stored.correct, again.correct, read.images)
    if mismatches:
        then = f"then torch {evidence.versions.get('torch')} on {evidence.read_on}"
        now = f"now {versions().get('torch')} on {read.read_on}"
        raise VerificationError(
            "\n".join(
                [
                    f"{path} was not trained again to the same networks ({then}, {now}):",
                    *(f"  {mismatch}" for mismatch in mismatches),
                    "Use the device and versions of the certificate; if they are the same, it does not hold",
                ]
            )
        )
    count = len(evidence.seeds) * len(evidence.arms)
    said = f"{count} networks, trained again, get the same test images right"
    return Verification(
        certificate=verification.certificate, checked=(*verification.checked, said), not_checked=verification.not_checked
    )


def _in_itself(certificate: Certificate) -> Iterator[str]:
    """Mismatches between the evidence and what is said to follow from it."""
    evidence = certificate.evidence
    try:
        again = find(evidence)
    except (ValueError, ValidationError) as error:
        yield f"the evidence cannot be read: {error}"
        return
    yield from _differences("findings", certificate.findings.model_dump(mode="json"), again.model_dump(mode="json"))
    if evidence.trial.trial_id != evidence.trial_id:
        yield f"evidence.config has hash {evidence.trial.trial_id}, the certificate is for trial {evidence.trial_id}"
    if certificate_seeds(evidence.number, evidence.trial.data_sha256, len(evidence.seeds)) != list(evidence.seeds):
        yield "evidence.seeds are not those of this data and this certificate's number"
    if seal_of(evidence.arms) != evidence.seal:
        yield "evidence.seal is not the hash over the networks' parameters"
    reason = opening_reason(evidence.study, evidence.number, evidence.trial_id, evidence.seal)
    if not evidence.openings or evidence.openings[-1].reason != reason:
        yield "evidence.openings does not end with this certificate's own opening of its sealed networks"
    if content_sha256(certificate.findings, evidence) != certificate.content_sha256:
        yield "content_sha256 is not the hash of what the certificate says, so something in it was changed"


def _beside(certificate: Certificate, study: Store) -> Iterator[str]:
    """Mismatches with the study's files."""
    evidence = certificate.evidence
    folder = f"trials/{evidence.trial_id}"
    record = read_record(study, evidence.trial_id) if study.exists(folder) else None
    if record is None or record.config != evidence.config:
        yield f"{folder}/record.json is not of the certified config"
    elif record.experts_sha256 != evidence.experts_sha256:
        yield f"{folder}/record.json names other experts than the certificate"
    if not study.exists(f"{folder}/images.safetensors"):
        yield f"{folder}/images.safetensors is missing"
    elif sha256(study.read(f"{folder}/images.safetensors")) != evidence.arms[1].set_sha256:
        yield f"{folder}/images.safetensors is another set: its hash is not the certificate's"
    if not study.exists(PAGE) or study.read(PAGE).decode() != render_page(certificate):
        yield f"{PAGE} does not say what the certificate says"
    yield from _networks(certificate, study)
    log = study.parent
    for opening in evidence.openings:
        name = f"test_openings/{opening.file}"
        if not log.exists(name) or any(
            log.read_json(name)[field] != getattr(opening, field) for field in ("opened_at", "reason", "user", "host")
        ):
            yield f"{name} in {log.root} is missing or says something else than the certificate"


def _networks(certificate: Certificate, study: Store) -> Iterator[str]:
    """Parameters that are there and are not those that were sealed; they may be deleted to save room."""
    evidence = certificate.evidence
    for arm in evidence.arms:
        for index, stored in enumerate(arm.parameters_sha256):
            name = f"certificate/{evidence.number}/networks/{arm.name}-{arm.draw}-{index}.safetensors"
            if study.exists(name) and sha256(study.read(name)) != stored:
                yield f"{name} is another network: its hash is not the certificate's"


def _differences(path: str, stored: Any, again: Any) -> Iterator[str]:
    """Places at which a stored value is not the one worked out again."""
    if isinstance(stored, dict) and isinstance(again, dict):
        for key in dict.fromkeys([*stored, *again]):
            yield from _differences(f"{path}.{key}", stored.get(key), again.get(key))
    elif isinstance(stored, list) and isinstance(again, list) and len(stored) == len(again):
        for index, (one, other) in enumerate(zip(stored, again, strict=True)):
            yield from _differences(f"{path}[{index}]", one, other)
    elif isinstance(stored, float) and isinstance(again, float) and math.isclose(stored, again, abs_tol=TOLERANCE):
        return
    elif stored != again:
        yield f"{path} is {stored!r}, and follows as {again!r}"


def _other_images(title: str, stored: tuple[str, ...], again: tuple[str, ...], images: int) -> Iterator[str]:
    changed = (unpack_bits(stored, images) != unpack_bits(again, images)).sum(axis=1)
    for index in np.flatnonzero(changed):
        yield f"{title}, network {index}: {changed[index]} of {images} test images differ"


def _copy_study(study: Store, copy: Store, trial_id: str) -> Store:
    """What training needs of a study, in a folder of its own, so that nothing made before is taken for made again."""
    for name in (f"trials/{trial_id}/record.json", f"trials/{trial_id}/images.safetensors"):
        copy.write(name, study.read(name))
    return copy


def study_of(path: str) -> Store:
    """The folder of a certificate, which is its study's.

    Raises:
        CertifyError: no study lies there.
    """
    study = _split(path)[0]
    if not study.exists("search_space.yaml"):
        raise CertifyError(f"{path} has no study beside it, and the set to train on lies there; give <study>/certificate.json")
    return study


def _split(path: str) -> tuple[Store, str]:
    """The folder of a certificate, and its name in it; a folder stands for its certificate.json."""
    file = path if path.endswith(".json") else f"{path.rstrip('/')}/certificate.json"
    if file != path and Path(path).is_file():
        raise CertifyError(f"{path} is no certificate; give a certificate.json, or the folder that holds it")
    folder, _, name = file.rpartition("/") if "/" in file else (".", "", file)
    return Store(folder), name
