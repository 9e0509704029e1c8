"""Checks a certificate against the files of its study: everything in it that can be read or computed again without the data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from raydistill.certify.arms import Plan
from raydistill.certify.certificate import (
    PAGE,
    Certificate,
    Earlier,
    Evidence,
    Opening,
    Sizes,
    SmallerIpc,
    content_sha256,
    read_certificate,
)
from raydistill.certify.evidence import admissibility_of, found_by, of_side, openings_of, own_opening, race_of, smaller_of
from raydistill.certify.page import render_page
from raydistill.core.cost import forward_macs
from raydistill.core.synthetic import decode, sha256
from raydistill.errors import CertifyError, StoreError
from raydistill.methods import method_configs
from raydistill.storage.baseline import Baseline, read_baseline
from raydistill.storage.layout import CERTIFICATE_FILE, SET_FILE
from raydistill.storage.record import TrialRecord, read_record, read_trials
from raydistill.storage.result import read_result
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored

TOLERANCE = 1e-9
"""Between a stored number and the same one computed on another machine, whose mathematical library may round differently."""


def mismatches_beside(certificate: Certificate, study: Store) -> Iterator[str]:
    """Where the study's files contradict the certificate.

    Raises:
        StoreError: a file is damaged.
    """
    evidence = certificate.evidence
    yield from _trial(evidence, study)
    yield from _search(evidence, study)
    if not study.exists(PAGE) or study.read(PAGE).decode() != render_page(certificate):
        yield f"{PAGE} is not the page of this certificate"
    for name, stored in _kept_files(evidence).items():
        if (data := study.read_or_none(name)) is not None and sha256(data) != stored:
            yield f"{name} is another {_kind(name)}: its hash is not the one in the certificate"
    yield from _plan_and_copies(certificate, study)
    yield from _earlier(evidence, study)
    yield from _log(evidence, study.parent)


def left_unchecked(certificate: Certificate, study: Store) -> Iterator[str]:
    """What the study's files cannot confirm, and why."""
    evidence = certificate.evidence
    gone = [_kind(name) for name in _kept_files(evidence) if not study.exists(name)]
    if gone:
        counts = " and ".join(f"{gone.count(kind)} {kind}s" for kind in dict.fromkeys(gone))
        yield f"{counts}: the study no longer has them; --retrain makes them again"
    kept = (
        f"certificate/{evidence.number}/plan.json",
        *_copies(evidence.number),
        *(_copies(earlier.number)[0] for earlier in evidence.earlier),
    )
    lost = [name for name in kept if not study.exists(name)]
    if lost:
        yield f"{', '.join(lost)}: not there any more"
    if evidence.openings and not _logged_until_then(evidence, study.parent):
        yield (
            f"the log of openings: {study.parent.path('test_openings')} has none until this certificate, so nothing here says "
            "how often its test images were read"
        )
    records = _records(study)
    again = _ran_again(evidence, records, study)
    if again:
        crashed = ", ".join(f"{count} crashed at IPC {ipc}" for ipc, count in again.items())
        yield f"{crashed}: these trials have run again since the certificate, and their records no longer show it"
    if any(_is_later(record, evidence) for record in records):
        yield "confirmed candidates and seconds of the search: it continued after the certificate, and its result is newer"


def differences(path: str, stored: Any, again: Any) -> Iterator[str]:
    """Places where a stored value differs from the one computed again."""
    if isinstance(stored, dict) and isinstance(again, dict):
        for key in dict.fromkeys([*stored, *again]):
            yield from differences(f"{path}.{key}", stored.get(key), again.get(key))
    elif isinstance(stored, list) and isinstance(again, list) and len(stored) == len(again):
        for index, (one, other) in enumerate(zip(stored, again, strict=True)):
            yield from differences(f"{path}[{index}]", one, other)
    elif isinstance(stored, float) and isinstance(again, float) and math.isclose(stored, again, abs_tol=TOLERANCE):
        return
    elif stored != again:
        yield f"{path} is {stored!r}, and computed again it is {again!r}"


def _trial(evidence: Evidence, study: Store) -> Iterator[str]:
    """Mismatches with the certified trial's record and set."""
    folder = f"trials/{evidence.trial_id}"
    record = read_record(study, evidence.trial_id) if study.exists(folder) else None
    if record is None or record.config != evidence.config:
        yield f"{folder}/record.json does not have the certified config"
        return
    if record.experts_sha256 != evidence.experts_sha256:
        yield f"{folder}/record.json names other experts than the certificate"
    if record.code_sha256 != evidence.search_code_sha256:
        yield f"{folder}/record.json names other code of the search than the certificate"
    yield from differences("evidence.search_commit", evidence.search_commit, record.commit)
    data = study.read_or_none(f"{folder}/{SET_FILE}")
    if data is None:
        yield f"{folder}/images.safetensors is missing"
    elif sha256(data) != evidence.arms[1].set_sha256:
        yield f"{folder}/images.safetensors is another set: its hash is not the one in the certificate"
    else:
        again = _sizes(evidence, record, data).model_dump()
        yield from differences("evidence.sizes", evidence.sizes.model_dump(), again)


def _sizes(evidence: Evidence, record: TrialRecord, data: bytes) -> Sizes:
    """The sizes that follow from record and set; the others stay as stored."""
    synthetic, manifest = decode(data)
    classes = len(manifest.class_names)
    channels, height, width = synthetic.images.shape[1:]
    found = {
        "classes": classes,
        "set_images": record.images,
        "set_bytes": record.set_bytes,
        "forward_macs": forward_macs(evidence.trial.network, (channels, height, width), classes),
        "distill_seconds": record.cost.distill_seconds if record.cost else None,
    }
    return evidence.sizes.model_copy(update=found)


def _search(evidence: Evidence, study: Store) -> Iterator[str]:
    """Mismatches with the search: its baseline, the trials below the certified IPC, and its result."""
    baseline = read_baseline(study)
    if baseline is None:
        yield "baseline/baseline.json is missing, and the evidence of the full data with it"
    else:
        yield from _baseline(evidence, study, baseline)
    records = _records(study)
    smaller = [row.model_dump(mode="json") for row in _smaller(evidence, records, study)]
    yield from differences("evidence.smaller", [row.model_dump(mode="json") for row in evidence.smaller], smaller)
    if any(_is_later(record, evidence) for record in records):  # the result is newer than the certificate
        return
    result = read_result(study)
    if result is None:
        yield "result.json is missing"
        return
    yield from differences("evidence.race", evidence.race, race_of(result, evidence.rules))
    yield from differences("evidence.confirmed_candidates", evidence.confirmed_candidates, result.confirmed_candidates)
    yield from differences("evidence.sizes.search_seconds", evidence.sizes.search_seconds, result.seconds)


def _smaller(evidence: Evidence, records: Sequence[TrialRecord], study: Store) -> list[SmallerIpc]:
    """The results below the certified IPC when the certificate was written, with the crashes that have run again since."""
    rows = {row.ipc: row for row in _until_then(evidence, records, study)}
    for ipc, count in _ran_again(evidence, records, study).items():
        row = rows.get(ipc, SmallerIpc(ipc=ipc, trials={}, best_trial_id=None, best_correct=()))
        rows[ipc] = row.model_copy(update={"trials": {**row.trials, "crashed": row.trials.get("crashed", 0) + count}})
    return sorted(rows.values(), key=lambda row: row.ipc, reverse=True)


def _ran_again(evidence: Evidence, records: Sequence[TrialRecord], study: Store) -> dict[int, int]:
    """Per IPC, how many trials that the certificate counts as crashed can have run again since.

    A search that continues runs them again under the same id, and their records then have the later start. So there are at most
    as many as later records at that IPC.
    """
    now = {row.ipc: row.trials.get("crashed", 0) for row in _until_then(evidence, records, study)}
    later = Counter(record.ipc for record in _side(evidence, records, study) if _is_later(record, evidence))
    gone = {row.ipc: row.trials.get("crashed", 0) - now.get(row.ipc, 0) for row in evidence.smaller}
    return {ipc: count for ipc, count in gone.items() if 0 < count <= later[ipc]}


def _until_then(evidence: Evidence, records: Sequence[TrialRecord], study: Store) -> tuple[SmallerIpc, ...]:
    """The results below the certified IPC of the records that are not later than the certificate."""
    then = [record for record in _side(evidence, records, study) if not _is_later(record, evidence)]
    return smaller_of(then, evidence.trial.ipc)


def _side(evidence: Evidence, records: Sequence[TrialRecord], study: Store) -> Sequence[TrialRecord]:
    """The records that the certificate's rules look at."""
    return records if evidence.rules == 1 else of_side(records, evidence.trial, study)


def _baseline(evidence: Evidence, study: Store, baseline: Baseline) -> Iterator[str]:
    """Mismatches with the networks on the full data; there is a verdict only if they are trained to the end."""
    yield from differences("evidence.recipe.full_steps", evidence.recipe.full_steps, baseline.steps)
    for field in ("train_images", "train_bytes"):
        yield from differences(f"evidence.sizes.{field}", getattr(evidence.sizes, field), getattr(baseline, field))
    try:
        again = admissibility_of(study, baseline, evidence.trial.evaluation.baseline_networks, evidence.recipe.steps)
    except FileNotFoundError:
        yield "a file baseline/network-*.json is missing, and evidence.admissibility cannot be computed again"
        return
    if evidence.admissibility.chance_fraction is None:  # the baseline may have been built again by a version that has it
        again = again.model_copy(update={"chance_fraction": None})
    stored = evidence.admissibility.model_dump(mode="json")
    yield from differences("evidence.admissibility", stored, again.model_dump(mode="json"))


def _log(evidence: Evidence, log: Store) -> Iterator[str]:
    """Mismatches with the log of openings; a study that was handed on without it has none."""
    logged = _logged_until_then(evidence, log)
    if not logged:
        return
    for opening in evidence.openings:
        if logged.get(opening.file) != opening:
            yield f"test_openings/{opening.file} in {log.root} is missing or differs from the certificate"
    for file in logged.keys() - {opening.file for opening in evidence.openings}:
        yield f"test_openings/{file} in {log.root} is older than the certificate, which leaves it out"


def _logged_until_then(evidence: Evidence, log: Store) -> dict[str, Opening]:
    """The openings of the data set that the log has: up to the certificate's own, and those that the certificate states.

    Others that are later are no matter of it: by their names, or because they found its own in the log, whatever the clock of
    their machine said.
    """
    stated, own = {opening.file for opening in evidence.openings}, own_opening(evidence)
    found = openings_of(log, evidence.config["dataset"])
    return {
        o.file: o
        for o in found
        if o.file in stated or (own is not None and o.file < own.file and own.file not in found_by(o, log))
    }


def _plan_and_copies(certificate: Certificate, study: Store) -> Iterator[str]:
    """Mismatches with the plan that the certification began with, and with the copies that it kept."""
    evidence = certificate.evidence
    name = f"certificate/{evidence.number}/plan.json"
    try:
        plan = read_stored(study, name, Plan, "restore it")
    except StoreError as error:
        yield str(error)
        plan = None
    if plan is not None:
        stored = (evidence.trial_id, len(evidence.seeds), evidence.code_sha256, evidence.started_at)
        said = (plan.trial_id, plan.networks, plan.code_sha256, plan.started_at)
        arms = [(arm.name, arm.draw) for arm in evidence.arms]
        if said != stored or [(arm.name, arm.draw) for arm in plan.arms] != arms:
            yield f"{name} is not the plan of this certificate"
    copy, page = _copies(evidence.number)
    if (data := study.read_or_none(copy)) is not None and data != study.read_or_none(CERTIFICATE_FILE):
        yield f"{copy} is not a copy of {CERTIFICATE_FILE}"
    if (data := study.read_or_none(page)) is not None and data != render_page(certificate).encode():
        yield f"{page} is not the page of this certificate"


def _earlier(evidence: Evidence, study: Store) -> Iterator[str]:
    """Mismatches with the certificates that the study had before, of which `certify` keeps copies."""
    for earlier in evidence.earlier:
        name, _ = _copies(earlier.number)
        if not study.exists(name):
            continue
        try:
            copy = read_certificate(study, name)
        except CertifyError as error:
            yield str(error)
            continue
        found = Earlier(
            number=copy.evidence.number,
            verdict=copy.findings.verdict,
            finished_at=copy.evidence.finished_at,
            content_sha256=content_sha256(copy.findings, copy.evidence),
        )
        if found != earlier:
            yield f"{name} is not certificate {earlier.number} as evidence.earlier has it, or was changed"


def _copies(number: int) -> tuple[str, str]:
    """The copies of a certificate and of its page that `certify` keeps."""
    return f"certificate/{number}/certificate.json", f"certificate/{number}/certificate.md"


def _kept_files(evidence: Evidence) -> dict[str, str | None]:
    """The certificate's own files, with their hashes; they may be deleted to save disk space."""
    folder = f"certificate/{evidence.number}"
    files: dict[str, str | None] = {}
    for arm in evidence.arms:
        if arm.name not in ("full", "set"):
            files[f"{folder}/sets/{arm.name}-{arm.draw}.safetensors"] = arm.set_sha256
        for index, stored in enumerate(arm.parameters_sha256):
            files[f"{folder}/networks/{arm.name}-{arm.draw}-{index}.safetensors"] = stored
    return files


def _kind(name: str) -> str:
    return "control set" if "/sets/" in name else "network"


def _records(study: Store) -> list[TrialRecord]:
    return [record for _, record in read_trials(study, method_configs()) if record is not None]


def _is_later(record: TrialRecord, evidence: Evidence) -> bool:
    """Whether a trial began after the certificate was written: a search of the study may continue."""
    return datetime.fromisoformat(record.started_at) > datetime.fromisoformat(evidence.finished_at)
