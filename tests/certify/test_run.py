"""Whole certifications in this process: what they leave, when they open the test split, and what they refuse before that."""

from __future__ import annotations

import functools
import json
import pickle
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from made_up import Told, workplace
from resealed import content, reseal

from raydistill.certify import arms, candidate, reading, run
from raydistill.certify.arms import plan_arms, set_jobs
from raydistill.certify.candidate import TrialChoice
from raydistill.certify.certificate import Certificate, read_certificate
from raydistill.certify.evidence import openings_of
from raydistill.certify.run import certify_study
from raydistill.certify.verify import verify_certificate
from raydistill.core.synthetic import decode
from raydistill.data import splits as data
from raydistill.errors import CertifyError, DataError, StoreError, StudyInUseError
from raydistill.methods import METHODS, Control, Method
from raydistill.report.status import read_status
from raydistill.report.status_words import status_lines
from raydistill.search.local import LocalExecutor
from raydistill.spaces.sections import Config, DatasetConfig
from raydistill.storage.checkout import commit
from raydistill.storage.lock import study_lock
from raydistill.storage.record import code_sha256
from raydistill.storage.store import Store

from .conftest import shorten


def certify(study: Store, watcher: Any = None, **given: Any) -> Certificate:
    work = workplace(watcher, given.pop("executor", None))
    choice = TrialChoice(trial_id=given.pop("trial_id", None), accept_code_change=given.pop("accept_code_change", False))
    return certify_study(study, choice, work, **{"networks": 2, "again": False, **given})


@pytest.fixture(scope="module")
def trained_once(searched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a study that has everything of a certificate but the opening, not to be written; `trained` copies it."""
    folder = tmp_path_factory.mktemp("trained") / "store"
    shutil.copytree(searched, folder)
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        patch.setattr(run, "read_on_test", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            certify(Store(str(folder / "made-up")))
    return folder


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path, short_recipe: None) -> Store:
    """A copy of that study, alone in its store."""
    shutil.copytree(trained_once, tmp_path / "store")
    return Store(str(tmp_path / "store" / "made-up"))


def openings(study: Store) -> list[str]:
    return study.parent.files("test_openings")


def change_result(study: Store, **changes: Any) -> None:
    reseal(study, "result.json", **changes)


def test_a_certificate_holds_what_was_trained_and_read(study: Store) -> None:
    told = Told()
    made = certify(study, told)
    assert read_certificate(study) == made
    assert [(arm.name, arm.draw) for arm in made.evidence.arms] == [
        ("full", 0),
        ("set", 0),
        *(("random", draw) for draw in range(5)),
        ("k_center", 0),
        ("herding", 0),
        ("k_means", 0),
        ("k_means_medoids", 0),
    ]
    assert made.evidence.test_images == 450
    assert made.evidence.trial_id == content(study, "result.json")["winner_trial_id"]
    assert told.all("stage") == [("control sets", 9), ("certificate", 22)]
    (estimate,) = [note for note in told.all("note") if "at once" in note or "one at a time" in note]
    times = r"about \S+ s: 2 networks on the full data at \S+ s each, 20 networks on the set and on controls at \S+ s each"
    assert re.fullmatch(rf"{times}, one at a time", estimate)
    assert told.events[0] == ("note", estimate)
    assert study.read("certificate.md").decode().startswith("# Certificate: study made-up, trial ")
    verify_certificate(study.path("certificate.json"))
    assert (made.evidence.search_commit, made.evidence.commit) == (commit(), commit())


def test_the_test_split_is_opened_once_after_everything_is_trained(trained: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("full-0-0", "herding-0-1"):
        trained.delete(f"certificate/1/networks/{name}.safetensors")
    there: list[int] = []
    opened = reading.open_test

    def open_and_look(*given: Any, **named: Any) -> Any:
        there.append(len(trained.files("certificate/1/networks")))
        return opened(*given, **named)

    monkeypatch.setattr(reading, "open_test", open_and_look)
    made = certify(trained)
    assert there == [22]
    assert len(openings(trained)) == 1
    assert made.evidence.openings[-1].reason.endswith(f"networks sealed as {made.evidence.seal}")


def test_a_certification_that_is_killed_goes_on_with_the_split_still_sealed(study: Store) -> None:
    class Killed(LocalExecutor):
        def run_jobs(self, jobs: Any, watcher: Any) -> None:
            super().run_jobs(jobs[:3], watcher)
            if len(jobs) > 9:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        certify(study, executor=Killed())
    assert openings(study) == []
    left = sorted(study.files("certificate/1/networks"))
    assert len(left) == 3
    told = Told()
    certify(study, told)
    assert told.all("stage") == [("control sets", 6), ("certificate", 22)]
    assert told.all("found") == [3]
    assert len(openings(study)) == 1


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (
            lambda study: study.delete("baseline/network-1.json"),
            CertifyError,
            r"baseline lacks a file network-\*\.json, .* the test split stays sealed: restore it, or delete it and baseline/",
        ),
        (
            lambda study: study.write("baseline/network-1.json", "[{}]"),
            StoreError,
            r"network-1\.json is damaged \(Field required\); restore it",
        ),
        (
            lambda study: study.write(
                "baseline/network-1.json",
                json.dumps([{**one, "select_correct": "ff"} for one in content(study, "baseline/network-0.json")["readings"]]),
            ),
            StoreError,
            r"network-\*\.json is damaged \(\d+ bits for 250 images: they belong to a different set of images\); restore it",
        ),
        (
            lambda study: cut(study, "certificate/1/networks/herding-0-1.safetensors"),
            StoreError,
            r"herding-0-1\.safetensors is damaged \(.*\); delete it, and certify again to train it again",
        ),
        (
            lambda study: cut(study, "certificate/1/sets/random-0.safetensors"),
            StoreError,
            r"random-0\.safetensors: not a synthetic set .*; delete it and the networks trained on it, and certify again",
        ),
        (
            lambda study: study.parent.write("test_openings/20200101T000000000000-digits.json", "{"),
            StoreError,
            r"digits\.json is damaged \(.*\), and it records an opening of the test split: restore it",
        ),
        (
            lambda study: cut(study, "certificate/1/plan.json"),
            StoreError,
            r"plan\.json is damaged \(.*\); delete certificate/1 to start over",
        ),
        (
            lambda study: study.delete(f"trials/{study.read_json('result.json')['winner_trial_id']}/images.safetensors"),
            StoreError,
            r"images\.safetensors is missing; restore it, or delete the trial's record\.json",
        ),
    ],
    ids=["no baseline network", "baseline network", "other images", "network", "control", "log", "plan", "no set"],
)
def test_what_is_damaged_is_told_before_the_split_is_opened(trained: Store, spoil: Any, error: Any, message: str) -> None:
    spoil(trained)
    before = openings(trained)
    with pytest.raises(error, match=message):
        certify(trained)
    assert openings(trained) == before


def cut(study: Store, name: str) -> None:
    """Leave a half of a file."""
    data = study.read(name)
    study.write(name, data[: len(data) // 2])


def test_a_kill_right_after_the_opening_shows_in_the_next_certificate(trained: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The split was opened and nothing written: it is opened again, for the same networks, and that is said."""

    def killed(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(reading, "is_correct", killed)
        with pytest.raises(KeyboardInterrupt):
            certify(trained)
    told = Told()
    made = certify(trained, told)
    assert told.all("stage") == []
    assert [opening.reason for opening in made.evidence.openings] == [made.evidence.openings[0].reason] * 2
    assert any("had been opened once besides" in sentence for sentence in made.findings.headline)


def test_an_opening_by_somebody_else_while_the_networks_are_read_is_no_matter_of_the_certificate(
    trained: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, opened = reading.is_correct, []

    def read_beside_another(*given: Any) -> Any:
        if not opened:
            opened.append(data.open_test(DatasetConfig(name="digits"), reason="a look", log=trained.parent))
        return read(*given)

    monkeypatch.setattr(reading, "is_correct", read_beside_another)
    made = certify(trained)
    assert len(openings(trained)) == 2
    assert [opening.file for opening in made.evidence.openings] == openings(trained)[:1]
    assert verify_certificate(trained.path("certificate.json")).not_checked == ()


def test_an_earlier_opening_by_a_host_whose_clock_runs_ahead_is_stated(trained: Store) -> None:
    ahead = {"opened_at": "2999", "reason": "a look", "user": "me", "host": "ahead", "dataset": {"name": "digits"}}
    trained.parent.write_json("test_openings/29990101T000000000000-digits.json", ahead)
    made = certify(trained)
    assert [opening.host == "ahead" for opening in made.evidence.openings] == [True, False]
    assert any("had been opened once besides" in sentence for sentence in made.findings.headline)
    assert verify_certificate(trained.path("certificate.json")).not_checked == ()


def test_a_log_that_lost_the_certificates_own_opening_ends_it(trained: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    read = reading.is_correct

    def read_and_lose(*given: Any) -> Any:
        for file in openings(trained):
            trained.parent.delete(f"test_openings/{file}")
        return read(*given)

    monkeypatch.setattr(reading, "is_correct", read_and_lose)
    with pytest.raises(StoreError, match=r"the log of openings no longer has the entry of this certificate \(certificate 1 of"):
        certify(trained)
    assert not trained.exists("certificate.json")


def test_openings_of_the_same_images_are_counted_however_they_were_preprocessed_or_split(tmp_path: Path) -> None:
    log, data = Store(str(tmp_path)), {"name": "cifar10", "split_seed": 0, "preprocess": "standardise"}
    entry = {"opened_at": "2026", "reason": "a look", "user": "me", "host": "here"}
    others = [data, {**data, "preprocess": "zca"}, {**data, "split_seed": 5}, {**data, "name": "mnist"}]
    for number, dataset in enumerate(others):
        log.write_json(f"test_openings/{number}.json", {**entry, "dataset": dataset})
    assert [opening.file for opening in openings_of(log, data)] == ["0.json", "1.json", "2.json"]


def test_an_entry_that_is_being_written_is_no_opening_yet(tmp_path: Path) -> None:
    """Half of it would end the certificate of somebody else."""
    (tmp_path / "test_openings").mkdir()
    (tmp_path / "test_openings" / ".20261124T200000000000-digits.json.ab12cd").write_text('{"opened_at": "2026')
    assert openings_of(Store(str(tmp_path)), {"name": "digits"}) == ()


def test_openings_of_other_folders_of_images_are_not_counted(tmp_path: Path) -> None:
    log, data = Store(str(tmp_path)), {"name": "image_folder", "path": "cats", "size": 32}
    entry = {"opened_at": "2026", "reason": "a look", "user": "me", "host": "here"}
    for number, dataset in enumerate([{**data, "size": 64}, {**data, "path": "dogs"}]):
        log.write_json(f"test_openings/{number}.json", {**entry, "dataset": dataset})
    assert [opening.file for opening in openings_of(log, data)] == ["0.json"]


def test_jobs_travel_to_other_processes(study: Store) -> None:
    """As Ray sends them; a network trained there is the one trained here."""
    found = candidate.find_candidate(study, TrialChoice(), None)
    plan = run._plan(study, found, networks=2, number=1)
    job = arms.network_jobs(plan, found.config, study, None)[0]
    pickle.loads(pickle.dumps(job))()
    file = plan.parameters_file(plan.arms[0], 0)
    sent = study.read(file)
    study.delete(file)
    job()
    assert study.read(file) == sent


def test_the_same_study_gives_the_same_certificate(certified: Store, searched: Path, tmp_path: Path) -> None:
    shutil.copytree(searched, tmp_path / "other")
    one, other = read_certificate(certified), certify(Store(str(tmp_path / "other" / "made-up")))
    assert one is not None
    assert one.findings == other.findings
    assert one.evidence.arms == other.evidence.arms


def test_networks_of_one_seed_start_alike_in_every_arm(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained for no step, all networks of a seed are the same; those of another seed are others."""
    untrained = arms.train_fresh
    monkeypatch.setattr(
        arms,
        "train_fresh",
        lambda images, labels, splits, network, recipe, seed, device: untrained(
            images, labels, splits, network, arms.replace(recipe, steps=0), seed, device
        ),
    )
    hashes = [arm.parameters_sha256 for arm in certify(study).evidence.arms]
    assert len(set(hashes)) == 1
    assert hashes[0][0] != hashes[0][1]


def test_a_second_certificate_is_refused(certified: Store) -> None:
    with pytest.raises(CertifyError, match=r"has its certificate .*the test split is opened once.*--again"):
        certify(certified)
    assert len(openings(certified)) == 1


def test_a_second_opening_is_marked_and_keeps_the_first(certified: Store) -> None:
    first = read_certificate(certified)
    assert first is not None
    second = certify(certified, again=True)
    assert (second.evidence.number, second.evidence.earlier[0].content_sha256) == (2, first.content_sha256)
    assert set(second.evidence.seeds).isdisjoint(first.evidence.seeds)
    assert any(sentence.startswith("OPENING NUMBER 2") for sentence in second.findings.headline)
    assert len(openings(certified)) == 2
    assert read_certificate(certified, "certificate/1/certificate.json") == first
    verify_certificate(certified.path("certificate.json"))


def test_a_first_certificate_is_no_second(study: Store) -> None:
    with pytest.raises(CertifyError, match="has no certificate yet to repeat: leave --again out"):
        certify(study, again=True)


def test_too_few_test_images_are_said_before_anything_is_trained(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three images decide no margin of 0.95 with two pairs."""
    monkeypatch.setattr(candidate, "count_test_images", lambda *_: (1, 2))
    monkeypatch.setattr(candidate, "planned_half_width", lambda *_: 0.97)
    with pytest.raises(
        CertifyError, match=r"3 test images with 2 pairs of networks can decide no margin below 0\.9700 .*nothing was"
    ):
        certify(study)
    assert not study.exists("certificate")
    assert openings(study) == []


def test_data_without_a_test_split_decides_nothing(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidate, "count_test_images", lambda *_: (0,) * 10)
    with pytest.raises(CertifyError, match=r"0 test images .* can decide no margin below 1\.0000"):
        certify(study)


def test_one_network_is_refused(study: Store) -> None:
    with pytest.raises(CertifyError, match="given 1 networks; one pair does not show how pairs vary"):
        certify(study, networks=1)


def test_a_study_without_a_candidate_is_refused(study: Store) -> None:
    change_result(study, verdict="not_reached", reason="no trial came within the margin", winner_trial_id=None)
    with pytest.raises(CertifyError, match=r"has no candidate: its verdict is not reached .*name a finished trial with"):
        certify(study)


def test_a_trial_can_be_named(study: Store) -> None:
    change_result(study, verdict="inconclusive", winner_trial_id=None)
    named = study.folders("trials")[0]
    assert certify(study, trial_id=named).evidence.trial_id == named


def test_a_trial_that_is_none_is_refused_with_those_there_are(study: Store) -> None:
    with pytest.raises(CertifyError, match=f"trial abc is not a finished trial of .*; finished: .*{study.folders('trials')[0]}"):
        certify(study, trial_id="abc")


def test_a_search_that_has_not_ended_is_refused(study: Store) -> None:
    study.delete("result.json")
    with pytest.raises(CertifyError, match=r"has no result\.json, so its search has not ended"):
        certify(study)


def test_an_extended_search_without_its_new_verdict_is_refused(study: Store) -> None:
    """The result is of one of the two trials."""
    change_result(study, trials={"finished": 1})
    with pytest.raises(CertifyError, match=r"has trials that ended after its result\.json was written.*run the search again"):
        certify(study)


def test_a_damaged_result_is_refused(study: Store) -> None:
    study.write("result.json", "{}")
    with pytest.raises(StoreError, match=r"result\.json is damaged .*run the search again"):
        certify(study)


def test_a_study_without_its_baseline_is_refused(study: Store) -> None:
    study.delete("baseline/baseline.json")
    with pytest.raises(CertifyError, match="has no baseline to compare with"):
        certify(study)


def test_a_set_whose_hash_is_wrong_is_refused(study: Store) -> None:
    name = f"trials/{content(study, 'result.json')['winner_trial_id']}/images.safetensors"
    study.write(name, study.read(name) + b" ")
    with pytest.raises(StoreError, match="has changed: its hash differs from the one in the trial's record"):
        certify(study)
    assert openings(study) == []


def test_a_study_of_other_code_is_refused_and_can_be_accepted(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (candidate, run):
        monkeypatch.setattr(module, "code_sha256", lambda: "f" * 64)
    with pytest.raises(CertifyError, match=r"was searched by other code .* now ffffffffffff.*--accept-code-change"):
        certify(study)
    made = certify(study, accept_code_change=True)
    assert (made.evidence.code_sha256, made.evidence.search_code_sha256) == ("f" * 64, code_sha256())
    assert any("made by other code" in sentence for sentence in made.findings.headline)


def test_a_study_of_other_data_is_refused(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "_hash", lambda *_: "0" * 64)
    data.load_splits.cache_clear()
    try:
        with pytest.raises(DataError, match="the trial was made for"):
            certify(study)
    finally:
        data.load_splits.cache_clear()


def test_a_certificate_that_was_begun_otherwise_is_not_mixed(study: Store) -> None:
    class Killed(LocalExecutor):
        def run_jobs(self, jobs: Any, watcher: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        certify(study, executor=Killed())
    with pytest.raises(CertifyError, match=r"certificate/1 was begun for trial .* with 2 networks .*now it is .* 3 networks"):
        certify(study, networks=3)


def test_a_study_in_use_is_refused(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "study_lock", functools.partial(study_lock, wait_seconds=0))
    with study_lock(study), pytest.raises(StudyInUseError, match="is in use by process"):
        certify(study)


def test_a_study_that_is_certified_is_not_taken_for_one_that_is_searched(study: Store) -> None:
    seen = []

    class Looking(LocalExecutor):
        def run_jobs(self, jobs: Any, watcher: Any) -> None:
            seen.append(read_status(study))
            super().run_jobs(jobs, watcher)

    certify(study, executor=Looking())
    assert {(one.stage, one.holder, one.verdict) for one in seen} == {("ended", None, "lossless")}
    assert all((one.used_by or "").startswith("raydistill certify, process ") for one in seen)
    assert re.search(r"^In use by +raydistill certify, process ", status_lines(seen[0], datetime.now(UTC)), re.MULTILINE)
    assert read_status(study).used_by is None


def test_controls_follow_from_the_label_kind_of_the_set(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A control for soft sets alone, whose settings come from the winner's, and the sets that are made of it."""

    class SoftConfig(Config):
        name: str
        power: float

    random = METHODS["random"]
    control = Control(label_kinds=frozenset({"soft"}), draws=2, settings=lambda winner: {"power": winner.attention_power})
    monkeypatch.setitem(METHODS, "random_soft", Method(SoftConfig, random.distill, label_kind="soft", control=control))
    for name in ("k_center_soft", "herding_soft", "k_means_soft", "k_means_medoids_soft"):
        monkeypatch.setitem(METHODS, name, replace(METHODS[name], control=None))
    winner = candidate.find_candidate(study, TrialChoice(), None).config
    hard, soft = ([arm.name for arm in plan_arms(winner, kind)] for kind in ("hard", "soft"))  # type: ignore[arg-type]
    assert hard == ["full", "set", *["random"] * 5, "k_center", "herding", "k_means", "k_means_medoids"]
    assert soft == ["full", "set", "random_soft", "random_soft", *hard[2:]]
    made = arms.control_config(winner, plan_arms(winner, "soft")[3])
    assert made.method == SoftConfig(name="random_soft", power=4.0)
    assert made.seed not in (winner.seed, arms.control_config(winner, plan_arms(winner, "soft")[2]).seed)


def test_controls_pack_as_the_winner_does(study: Store) -> None:
    winner = candidate.find_candidate(study, TrialChoice(), None).config
    packed = winner.model_copy(update={"method": winner.method.model_copy(update={"factor": 2})})
    for arm in plan_arms(winner, "hard")[2:]:
        assert arms.control_config(packed, arm).factor == 2
        assert "factor" not in arms.control_config(winner, arm).method.model_dump()


def test_the_winners_own_method_is_no_control_of_it(study: Store) -> None:
    winner = candidate.find_candidate(study, TrialChoice(), None).config
    k_center = winner.model_copy(update={"method": METHODS["k_center"].config(name="k_center")})
    others = ["herding", "k_means", "k_means_medoids"]
    assert [arm.name for arm in plan_arms(k_center, "hard")] == ["full", "set", *["random"] * 5, *others]


def test_controls_have_the_size_of_the_set(study: Store) -> None:
    found = candidate.find_candidate(study, TrialChoice(), None)
    plan = run._plan(study, found, networks=2, number=1)
    for job in set_jobs(plan, found.config, study, None, experts=study.parent):
        job()
        made, _ = decode(study.read(plan.set_file(plan.arms[job.index])))
        assert made.images.shape == found.synthetic.images.shape
