"""From a finished search to its certificate: check, plan, train, seal, open the test split once, write.

The split is opened last. Opened before training, it would stay open while jobs run, are killed and start again, each time an
occasion to look; opened by each job, it would be opened a hundred times. So all networks are trained first and their parameters
are kept; one hash over them goes into the log as the reason for the opening, before a single test image is read.
"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

from raydistill.certify.arms import Plan, network_jobs, parts_of, plan_arms, set_jobs, trained_arms
from raydistill.certify.candidate import Candidate, TrialChoice, check_test_images, find_candidate
from raydistill.certify.certificate import PAGE, Certificate, Earlier, content_sha256, read_certificate, seal_of
from raydistill.certify.evidence import (
    check_evidence,
    gather_evidence,
    opening_reason,
    openings_of,
    openings_until,
    study_name,
)
from raydistill.certify.findings import find
from raydistill.certify.page import render_page
from raydistill.certify.reading import read_on_test
from raydistill.errors import CertifyError
from raydistill.search.needs import needs_of_trial
from raydistill.search.workplace import Workplace
from raydistill.storage.layout import CERTIFICATE_FILE
from raydistill.storage.lock import study_lock
from raydistill.storage.record import code_sha256
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored, write_stored


def certify_study(study: Store, choice: TrialChoice, work: Workplace, *, networks: int, again: bool) -> Certificate:
    """Certify a study's winner, or continue where an earlier call was interrupted.

    Args:
        study: of a finished search, by a path that other processes see too.
        choice: which of its trials.
        work: trains the networks; its executor is closed at the end.
        networks: of each arm.
        again: open the test split once more for a study that has its certificate; the new one says so.

    Raises:
        CertifyError: there is nothing to certify, it is certified, or the test split is too small for the margin.
        StudyInUseError: a search holds the study.
        StoreError: a file of the study is damaged or missing.
        DataError: the data is not the data of the study.
    """
    data_root = work.data_root
    with study_lock(study, tell=work.watcher.note, command="certify") as study, closing(work.executor):
        earlier = _earlier(study, again=again)
        candidate = find_candidate(study, choice, data_root)
        work.executor.require(needs_of_trial(candidate.config, study, data_root))
        check_test_images(candidate, networks, data_root)
        plan = _plan(study, candidate, networks, number=len(earlier) + 1)
        sets = set_jobs(plan, candidate.config, study, data_root, experts=study.parent)
        jobs = network_jobs(plan, candidate.config, study, data_root)
        work.tell_estimate(parts_of(jobs, candidate.baseline, candidate.record, plan.full_steps))
        work.run_missing("control sets", sets)
        work.run_missing("certificate", jobs, networks * len(plan.arms))
        arms = trained_arms(plan, study)
        opened_before = check_evidence(study, candidate)
        log = study.parent
        work.watcher.note(f"All networks are trained; the test split is opened, and {log.path('test_openings')} says so")
        reason = opening_reason(study_name(study), plan.number, plan.trial_id, seal_of(arms))
        read = read_on_test(arms, plan, candidate.config, study, reason=reason, log=log, data_root=data_root)
        opened_now = openings_of(log, candidate.config.dataset.model_dump(mode="json"))
        openings = openings_until(opened_before, opened_now, reason)
        evidence = gather_evidence(study, candidate, plan, read, earlier, openings, data_root)
        findings = find(evidence)
        certificate = Certificate(findings=findings, evidence=evidence, content_sha256=content_sha256(findings, evidence))
        _write(study, certificate)
        return certificate


def archived(number: int) -> str:
    """Where a certificate goes when a later one takes its place, without the suffix."""
    return f"certificate/{number}/certificate"


def _earlier(study: Store, *, again: bool) -> tuple[Earlier, ...]:
    """The certificates that the study has; none on the first call."""
    if not study.exists(CERTIFICATE_FILE):
        if again:
            raise CertifyError(f"study {study.root} has no certificate yet to repeat: leave --again out")
        return ()
    latest = read_certificate(study)
    if not again:
        said = latest.findings.verdict.replace("_", " ")
        raise CertifyError(
            f"study {study.root} has its certificate ({study.path(CERTIFICATE_FILE)}: {said}), and the test split is opened "
            "once, because a choice among several readings proves nothing: check the certificate with raydistill verify, or open "
            "the split again with --again, which the new certificate states in its first lines"
        )
    found = latest.evidence
    one = Earlier(
        number=found.number,
        verdict=latest.findings.verdict,
        finished_at=found.finished_at,
        content_sha256=latest.content_sha256,
    )
    return (*found.earlier, one)


def _plan(study: Store, candidate: Candidate, networks: int, number: int) -> Plan:
    """The plan of this certificate: the one that was begun, or a new one."""
    plan = Plan(
        number=number,
        trial_id=candidate.config.trial_id,
        networks=networks,
        full_steps=candidate.baseline.steps,
        arms=plan_arms(candidate.config, candidate.synthetic.label_kind),
        code_sha256=code_sha256(),
        started_at=datetime.now(UTC).isoformat(),
    )
    name = f"{plan.folder}/plan.json"
    begun = read_stored(study, name, Plan, f"delete {plan.folder} to start over")
    if begun is None:
        write_stored(study, name, plan)
        return plan
    if begun.model_copy(update={"started_at": plan.started_at}) != plan:
        raise CertifyError(
            f"{study.path(plan.folder)} was begun for trial {begun.trial_id} with {begun.networks} networks by code "
            f"{begun.code_sha256[:12]}; now it is trial {plan.trial_id}, {plan.networks} networks, code {plan.code_sha256[:12]}: "
            "repeat the first call to continue, or delete that folder to start over"
        )
    return begun


def _write(study: Store, certificate: Certificate) -> None:
    """Write the certificate and its page, and keep a copy that a later one does not replace. The certificate is last."""
    text, page, copy = certificate.to_json(), render_page(certificate), archived(certificate.evidence.number)
    for name, data in ((f"{copy}.json", text), (f"{copy}.md", page), (PAGE, page), (CERTIFICATE_FILE, text)):
        study.write(name, data)
