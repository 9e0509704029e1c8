"""A certificate in its study: whichever file beside it says otherwise is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from hand_certified import set_at
from hand_made import trial_config, trial_record
from made_up import workplace
from resealed import reseal

from raydistill.certify.candidate import TrialChoice
from raydistill.certify.certificate import Certificate, Evidence, content_sha256
from raydistill.certify.findings import find
from raydistill.certify.page import render_page
from raydistill.certify.run import certify_study
from raydistill.certify.verify import verify_certificate
from raydistill.errors import VerificationError
from raydistill.methods import method_configs
from raydistill.storage.record import read_trials, write_record
from raydistill.storage.store import Store


def test_a_certificate_in_its_study_is_held_against_the_files_beside_it(certified: Store) -> None:
    found = verify_certificate(certified.path("certificate.json"))
    assert found.not_checked == ()
    assert found.checked[1].startswith("set, controls, config, record, baseline, smaller sizes, page, networks and log of")


HERDING = "certificate/1/sets/herding-0.safetensors"


def opened(study: Store, name: str) -> None:
    """Log an opening of the certificate's test images."""
    (certificates,) = study.parent.files("test_openings")
    study.parent.write(f"test_openings/{name}", study.parent.read(f"test_openings/{certificates}"))


def change(study: Store, name: str, **changes: Any) -> None:
    """Edit a JSON file of a study, as a program would that wrote other values."""
    if b"file_sha256" in study.read(name):
        reseal(study, name, **changes)
    else:
        study.write_json(name, {**study.read_json(name), **changes})


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda study, trial: study.write(f"{trial}/images.safetensors", "x"), "images.safetensors is another set"),
        (lambda study, trial: study.delete(f"{trial}/images.safetensors"), "images.safetensors is missing"),
        (lambda study, trial: study.delete(f"{trial}/record.json"), "record.json does not have the certified config"),
        (lambda study, trial: change(study, f"{trial}/record.json", experts_sha256="1" * 64), "record.json names other experts"),
        (
            lambda study, trial: study.write("certificate.md", "All is well."),
            "certificate.md is not the page of this certificate",
        ),
        (
            lambda study, trial: study.write("certificate/1/networks/set-0-1.safetensors", "x"),
            "networks/set-0-1.safetensors is another network",
        ),
        (
            lambda study, trial: study.write("certificate/1/sets/k_center-0.safetensors", study.read(HERDING)),
            "sets/k_center-0.safetensors is another control set: its hash is not the one in the certificate",
        ),
        (lambda study, trial: change(study, f"{trial}/record.json", code_sha256="1" * 64), "names other code of the search than"),
        (lambda study, trial: study.delete("baseline/network-1.json"), "a file baseline/network-*.json is missing, and evidence"),
        (lambda study, trial: study.delete("baseline/baseline.json"), "baseline/baseline.json is missing, and the evidence of"),
        (lambda study, trial: study.delete("result.json"), "result.json is missing"),
        (lambda study, trial: change(study, "certificate/1/plan.json", networks=9), "plan.json is not the plan of this"),
        (lambda study, trial: study.write("certificate/1/plan.json", "{"), "plan.json is damaged"),
        (lambda study, trial: study.write("certificate/1/certificate.json", "{}"), "is not a copy of certificate.json"),
        (lambda study, trial: study.write("certificate/1/certificate.md", "x"), "1/certificate.md is not the page of this"),
        (
            lambda study, trial: opened(study, "20200101T000000000000-digits.json"),
            "20200101T000000000000-digits.json in",
        ),
    ],
    ids=[
        *("other set", "no set", "no record", "experts", "page", "network", "control", "code", "baseline network", "baseline"),
        *("result", "plan", "half a plan", "copy", "copy of the page", "left out"),
    ],
)
def test_a_file_that_is_another_is_named(certified: Store, spoil: Callable[[Store, str], None], named: str) -> None:
    trial = json.loads(certified.read("certificate.json"))["evidence"]["trial_id"]
    spoil(certified, f"trials/{trial}")
    with pytest.raises(VerificationError) as raised:
        verify_certificate(certified.path("certificate.json"))
    (line,) = [line for line in str(raised.value).splitlines() if line.startswith("  ")]
    assert named in line


def test_a_certificate_is_held_against_those_that_the_study_had_before(certified: Store) -> None:
    """Of two certificates, the second is held against the copy of the first, which may be deleted."""
    certify_study(certified, TrialChoice(), workplace(), networks=2, again=True)
    path, first = certified.path("certificate.json"), "certificate/1/certificate.json"
    assert verify_certificate(path).not_checked == ()
    stated = json.loads(certified.read("certificate.json"))["evidence"]["earlier"][0]
    named = rf"{first} is not certificate 1 as evidence\.earlier has it, or was changed"
    for other in ({"verdict": "inconclusive"}, {"finished_at": "2026"}, {"content_sha256": "e" * 64}):
        changed_in_place(certified, "earlier", 0, value={**stated, **other})
        with pytest.raises(VerificationError, match=named):
            verify_certificate(path)
    changed_in_place(certified, "earlier", 0, value=stated)
    kept = certified.read(first)
    certified.write(first, kept.replace(b'"test_images": 450', b'"test_images": 451'))
    with pytest.raises(VerificationError, match=named):
        verify_certificate(path)
    certified.write(first, "{}")
    with pytest.raises(VerificationError, match=rf"{first} is not a certificate of this version"):
        verify_certificate(path)
    certified.delete(first)
    assert verify_certificate(path).not_checked == (f"{first}: not there any more",)


def changed_in_place(study: Store, *path: Any, value: Any) -> str:
    """The study's certificate with one value of its evidence changed, and all that follows from it made to fit."""
    document = json.loads(study.read("certificate.json"))
    set_at(document, "evidence", *path)(value)
    evidence = Evidence.model_validate_json(json.dumps(document["evidence"]))
    findings = find(evidence)
    forged = Certificate(findings=findings, evidence=evidence, content_sha256=content_sha256(findings, evidence))
    for place in ("", f"certificate/{evidence.number}/"):
        study.write(f"{place}certificate.json", forged.to_json())
        study.write(f"{place}certificate.md", render_page(forged))
    return study.path("certificate.json")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("sizes", "set_bytes"), 1),
        (("sizes", "classes"), 11),
        (("sizes", "forward_macs"), 1),
        (("sizes", "distill_seconds"), 0.5),
        (("sizes", "search_seconds"), 0.5),
        (("sizes", "train_bytes"), 10**9),
        (("admissibility", "at_doubled", 0), "f" * 64),
        (("recipe", "full_steps"), 7),
        (("search_code_sha256",), "1" * 64),
        (("search_commit",), "abc"),
        (("confirmed_candidates",), 99),
        (("smaller",), [{"ipc": 1, "trials": {"finished": 1}, "best_trial_id": "b" * 12, "best_correct": ["00" * 32] * 2}]),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_evidence_that_the_study_contradicts_is_named(certified: Store, path: tuple[Any, ...], value: Any) -> None:
    with pytest.raises(VerificationError) as raised:
        verify_certificate(changed_in_place(certified, *path, value=value))
    (line,) = [line for line in str(raised.value).splitlines() if line.startswith("  ")]
    assert {"search_code_sha256": "names other code"}.get(path[0], f"evidence.{path[0]}") in line


def test_evidence_that_cannot_be_read_is_named_in_its_study_too(certified: Store) -> None:
    document = json.loads(certified.read("certificate.json"))
    document["evidence"]["config"]["method"]["name"] = "unheard-of"
    certified.write_json("certificate.json", document)
    with pytest.raises(VerificationError, match="the evidence cannot be read"):
        verify_certificate(certified.path("certificate.json"))


def test_a_study_that_was_searched_on_is_no_mismatch_and_is_said(certified: Store) -> None:
    add_trial(certified, 1, "finished", "2099-01-01T00:00:00+00:00")
    change(certified, "result.json", confirmed_candidates=99)
    found = verify_certificate(certified.path("certificate.json"))
    assert found.not_checked == (
        "confirmed candidates and seconds of the search: it continued after the certificate, and its result is newer",
    )


@pytest.mark.parametrize("is_alone", [False, True], ids=["beside a finished trial", "alone at its IPC"])
def test_a_trial_that_had_crashed_and_ran_again_is_no_mismatch_and_is_said(study: Store, is_alone: bool) -> None:
    certify_beside_a_crash(study, is_alone=is_alone)
    assert verify_certificate(study.path("certificate.json")).not_checked == ()
    add_trial(study, 1, "finished", "2099-01-01T00:00:00+00:00")
    assert verify_certificate(study.path("certificate.json")).not_checked == (
        "1 crashed at IPC 1: these trials have run again since the certificate, and their records no longer show it",
        "confirmed candidates and seconds of the search: it continued after the certificate, and its result is newer",
    )


@pytest.mark.parametrize(
    ("counted", "started_at"),
    [(2, "2099-01-01T00:00:00+00:00"), (1, "2001-01-01T00:00:00+00:00")],
    ids=["more than ran again", "not since"],
)
def test_a_crash_that_no_trial_ran_again_for_is_named(study: Store, counted: int, started_at: str) -> None:
    certify_beside_a_crash(study, is_alone=True)
    path = changed_in_place(study, "smaller", 0, "trials", value={"crashed": counted})
    add_trial(study, 1, "finished", started_at)
    with pytest.raises(VerificationError, match=r"evidence\.smaller"):
        verify_certificate(path)


def certify_beside_a_crash(study: Store, *, is_alone: bool) -> None:
    """Certify the trial at IPC 2 of a study with a trial that crashed at IPC 1, where the other trial may be left out."""
    of_ipc = {record.ipc: record.trial_id for _, record in read_trials(study, method_configs()) if record is not None}
    add_trial(study, 1, "crashed", "2001-01-01T00:00:00+00:00")
    if is_alone:
        study.delete_folder(f"trials/{of_ipc[1]}")
    certify_study(study, TrialChoice(trial_id=of_ipc[2]), workplace(), networks=2, again=False)


def add_trial(study: Store, ipc: int, state: Any, started_at: str) -> None:
    """A trial that ended in a state, among the study's."""
    config = trial_config(7, ipc)
    study.write(f"trials/{config.trial_id}/config.json", config.canonical_json())
    write_record(study, trial_record(config, (0.9,), state=state, started_at=started_at))


def test_networks_and_controls_may_be_deleted_and_that_is_said(certified: Store) -> None:
    """Eleven arms (full, set, five draws of random, k-center, herding, two of k-means) of two networks; nine are controls."""
    shutil.rmtree(certified.local_path("certificate"))
    found = verify_certificate(certified.path("certificate.json"))
    folder = "certificate/1"
    assert found.not_checked == (
        "22 networks and 9 control sets: the study no longer has them; --retrain makes them again",
        f"{folder}/plan.json, {folder}/certificate.json, {folder}/certificate.md: not there any more",
    )


@pytest.mark.parametrize("is_read_since", [False, True])
def test_a_study_that_was_handed_on_without_its_log_is_not_called_false(certified: Store, is_read_since: bool) -> None:
    """Neither when its test images are read in the new place, as `verify --retrain` does."""
    if is_read_since:
        opened(certified, "29990101T000000000000-digits.json")
    for file in certified.parent.files("test_openings"):
        if not file.startswith("2999"):
            certified.parent.delete(f"test_openings/{file}")
    found = verify_certificate(certified.path("certificate.json"))
    assert found.not_checked == (
        f"the log of openings: {certified.parent.path('test_openings')} has none until this certificate, so nothing here says "
        "how often its test images were read",
    )


@pytest.mark.parametrize("has_found", [True, False])
def test_a_later_opening_by_a_host_whose_clock_is_behind_is_told_from_an_earlier_one(certified: Store, has_found: bool) -> None:
    """The later one found the certificate's own opening in the log."""
    (own,) = certified.parent.files("test_openings")
    entry = {"opened_at": "2020", "reason": "a look", "user": "me", "host": "behind", "dataset": {"name": "digits"}}
    name = "test_openings/20200101T000000000000-digits.json"
    certified.parent.write_json(name, {**entry, "after": [own] if has_found else []})
    if has_found:
        assert verify_certificate(certified.path("certificate.json")).not_checked == ()
        return
    with pytest.raises(VerificationError, match=rf"{name} in .* is older than the certificate, which leaves it out"):
        verify_certificate(certified.path("certificate.json"))


def test_a_certificate_of_an_older_version_that_states_an_opening_of_others_after_its_own_holds(certified: Store) -> None:
    """They stated what was logged while their networks were read."""
    own = json.loads(certified.read("certificate.json"))["evidence"]["openings"][0]
    entry = {"opened_at": "2999", "reason": "a look", "user": "me", "host": "here"}
    name = "29990101T000000000000-digits.json"
    certified.parent.write_json(f"test_openings/{name}", {**entry, "dataset": {"name": "digits"}})
    found = verify_certificate(changed_in_place(certified, "openings", value=[own, {"file": name, **entry}]))
    assert found.not_checked == ()


def test_a_certificate_that_does_not_know_chance_holds_beside_a_baseline_that_was_built_again(certified: Store) -> None:
    found = verify_certificate(changed_in_place(certified, "admissibility", "chance_fraction", value=None))
    assert found.not_checked == ()


def test_an_opening_that_the_log_no_longer_has_is_named_beside_one_that_it_has(certified: Store) -> None:
    opened(certified, "20200101T000000000000-digits.json")
    own = next(file for file in certified.parent.files("test_openings") if not file.startswith("2020"))
    certified.parent.delete(f"test_openings/{own}")
    with pytest.raises(VerificationError, match=rf"test_openings/{own} in .* is missing or differs from the certificate"):
        verify_certificate(certified.path("certificate.json"))
