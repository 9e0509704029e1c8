"""Checking certificates: what is found when any part of one is changed, and training again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hand_certified import FULL, certificate, earlier, set_at
from made_up import workplace

import raydistill
from raydistill.certify import verify
from raydistill.certify.certificate import Certificate, content_sha256
from raydistill.certify.findings import find
from raydistill.certify.verify import retrain, verify_certificate
from raydistill.core.recipes import RECIPES
from raydistill.errors import CertifyError, InputError, VerificationError
from raydistill.search.local import LocalExecutor
from raydistill.search.needs import NodeNeeds
from raydistill.storage.store import Store


def written(folder: Path, made: Certificate) -> str:
    """A certificate alone in a folder."""
    (folder / "certificate.json").write_text(made.to_json())
    return str(folder / "certificate.json")


def edited(folder: Path, edit: Callable[[dict[str, Any]], None], *, honest_hash: bool = False) -> str:
    """A certificate by hand, edited, alone in a folder; an edit of the evidence may come with the hash that fits it."""
    document = json.loads(certificate((190, 190, 190), controls={"random": [FULL]}).to_json())
    edit(document)
    made = Certificate.model_validate_json(json.dumps(document))
    if honest_hash:
        made = made.model_copy(update={"content_sha256": content_sha256(made.findings, made.evidence)})
    return written(folder, made)


def test_the_log_of_openings_is_found_from_a_folder_inside_of_the_study(
    certified: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = Path(certified.path("tables"))
    inside.mkdir()
    monkeypatch.chdir(inside)
    assert raydistill.verify("../certificate.json").not_checked == ()


def test_a_certificate_alone_holds_and_says_what_was_not_checked(tmp_path: Path) -> None:
    found = verify_certificate(written(tmp_path, certificate()))
    assert found.checked == ("the verdict, every bound and every sentence follow from the stored per-image correctness",)
    assert found.not_checked == ("set, record, networks and log: no study lies beside the certificate",)
    assert repr(found) == f"Verification({found.certificate!r} holds; 1 checked, 1 not checked)"
    assert len(repr(found)) < 150


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("findings", "verdict"), "lossless", "findings.verdict is 'lossless', and computed again it is 'not_lossless'"),
        (("findings", "gap", "upper"), 0.019, "findings.gap.upper is 0.019, and computed again it is 0.0"),
        (("findings", "lossless_controls"), 0, "findings.lossless_controls is 0, and computed again it is 1"),
        (("findings", "headline", 1), "All is well.", "findings.headline[1] is 'All is well.'"),
        (("evidence", "arms", 1, "correct", 0), "ff" * 25, "findings.arms[1].accuracy_fraction is 0.9"),
        (("evidence", "trial_id"), "0" * 12, "the certificate is for trial 000000000000"),
        (("evidence", "config", "seed"), 7, "the certificate is for trial"),
        (("evidence", "seeds", 0), 5, "evidence.seeds are not those of this data"),
        (("evidence", "arms", 0, "parameters_sha256", 1), "x", "evidence.seal is not the hash over the networks' parameters"),
        (("evidence", "recipe", "batch"), 7, "are not of the trial's recipe, or of other steps or another batch"),
        (("evidence", "recipe", "words"), "long: SGD", "evidence.recipe.words (long: SGD) are not of the trial's recipe"),
        (("evidence", "earlier"), [earlier().model_dump()], "evidence.earlier does not name each certificate before number 1"),
        (("evidence", "openings"), [], "evidence.openings does not have this certificate's own opening"),
        (("evidence", "openings", 0, "reason"), "a look", "evidence.openings does not have this certificate's own opening"),
        (
            ("evidence", "smaller"),
            [{"ipc": 5, "trials": {}, "best_trial_id": None, "best_correct": []}],
            "findings.smaller is []",
        ),
    ],
)
def test_an_edit_is_named_even_where_the_hash_was_edited_too(tmp_path: Path, path: Any, value: Any, named: str) -> None:
    name = edited(tmp_path, lambda document: set_at(document, *path)(value), honest_hash=True)
    with pytest.raises(VerificationError) as raised:
        verify_certificate(name)
    assert named in str(raised.value)
    assert "content_sha256" not in str(raised.value)
    assert str(raised.value).endswith("Get the file that raydistill certify wrote, or certify again")


def test_a_second_certificate_that_leaves_out_the_first_does_not_hold(tmp_path: Path) -> None:
    """Its first lines would not say what the first one said."""
    verify_certificate(written(tmp_path, certificate(number=2, earlier=(earlier(),))))
    for named in ((), (earlier(2),), (earlier(), earlier(2))):
        with pytest.raises(VerificationError, match=r"evidence\.earlier does not name each certificate before number 2"):
            verify_certificate(written(tmp_path, certificate(number=2, earlier=named)))


def test_an_edit_that_nothing_follows_from_is_told_by_the_hash(tmp_path: Path) -> None:
    name = edited(tmp_path, lambda document: set_at(document, "evidence", "finished_at")("2027-01-01"))
    with pytest.raises(VerificationError, match="content_sha256 is not the hash of what the certificate says, so something"):
        verify_certificate(name)


def test_evidence_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    name = edited(tmp_path, lambda document: set_at(document, "evidence", "arms", 1, "correct", 0)("zz"))
    with pytest.raises(VerificationError, match="the evidence cannot be read"):
        verify_certificate(name)


@pytest.mark.parametrize(
    "path",
    [("sizes", "forward_macs"), ("sizes", "set_images"), ("sizes", "set_bytes"), ("recipe", "steps"), ("recipe", "batch")],
    ids=".".join,
)
def test_a_size_of_nothing_is_refused(tmp_path: Path, path: tuple[str, ...]) -> None:
    document = json.loads(certificate().to_json())
    set_at(document, "evidence", *path)(0)
    (tmp_path / "certificate.json").write_text(json.dumps(document))
    with pytest.raises(CertifyError, match=rf"evidence\.{re.escape('.'.join(path))}: Input should be greater than 0"):
        verify_certificate(str(tmp_path))


def test_rounding_of_another_machine_is_no_mismatch(tmp_path: Path) -> None:
    made = certificate()
    gap = made.findings.gap.model_copy(update={"upper": made.findings.gap.upper + 1e-12})
    findings = made.findings.model_copy(update={"gap": gap})
    rounded = Certificate(findings=findings, evidence=made.evidence, content_sha256=content_sha256(findings, made.evidence))
    assert verify_certificate(written(tmp_path, rounded)).certificate == rounded


def test_what_is_no_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("a page")
    with pytest.raises(
        InputError, match=r"page.md is not a \.json file; give a \.json file, or the folder that contains certificate\.json"
    ):
        verify_certificate(str(tmp_path / "page.md"))
    with pytest.raises(CertifyError, match=r"no certificate at .*give a certificate\.json that raydistill certify wrote"):
        verify_certificate(str(tmp_path / "certificate.json"))
    (tmp_path / "certificate.json").write_text("{}")
    with pytest.raises(CertifyError, match=r"is not a certificate of this version \(findings: Field required\)"):
        verify_certificate(str(tmp_path))


def again(study: Store, held: verify.Verification | None = None, executor: LocalExecutor | None = None) -> verify.Verification:
    path = study.path("certificate.json")
    return retrain(held or verify_certificate(path), path, workplace(executor=executor))


def test_training_again_gives_the_same_answers_and_is_logged(certified: Store) -> None:
    found = again(certified)
    assert found.checked[-1] == "22 networks, trained again, get the same test images right"
    log = certified.parent
    reasons = [log.read_json(f"test_openings/{name}")["reason"] for name in log.files("test_openings")]
    assert len(reasons) == 2
    assert reasons[1].startswith("verification of certificate 1 of study made-up, trial ")
    verify_certificate(certified.path("certificate.json"))


class Looking(LocalExecutor):
    """Remembers which folder nodes are asked to reach, and in which ones jobs work."""

    def __init__(self) -> None:
        self.needed: list[NodeNeeds] = []
        self.worked_in: list[Store] = []

    def require(self, needs: NodeNeeds) -> None:
        self.needed.append(needs)

    def run_jobs(self, jobs: Any, watcher: Any) -> None:
        self.worked_in += [job.store for job in jobs]
        super().run_jobs(jobs, watcher)


def test_training_again_happens_in_the_study_which_every_node_is_asked_to_reach(certified: Store) -> None:
    """The temporary folder of the driver is on no other machine."""
    certified.write("certificate/1/again/certificate/1/networks/set-0-0.safetensors", "left by a killed process")
    looking = Looking()
    again(certified, executor=looking)
    folder = certified.path("certificate/1/again")
    assert {store.root for store in looking.worked_in} == {folder}
    assert [needs.study.root for needs in looking.needed] == [folder]
    assert not certified.exists("certificate/1/again")


def test_what_was_trained_again_is_removed_after_an_error_too(certified: Store) -> None:
    class Failing(LocalExecutor):
        def run_jobs(self, jobs: Any, watcher: Any) -> None:
            raise RuntimeError("no node is left")

    with pytest.raises(RuntimeError, match="no node is left"):
        again(certified, executor=Failing())
    assert not certified.exists("certificate/1/again")
    assert len(certified.parent.files("test_openings")) == 1


def test_made_up_answers_are_found_by_training_again(certified: Store) -> None:
    """A certificate that is whole in itself, with answers that no network gave."""
    made = verify_certificate(certified.path("certificate.json")).certificate
    arms = list(made.evidence.arms)
    arms[1] = arms[1].model_copy(update={"correct": ("f" * 114, *arms[1].correct[1:])})
    evidence = made.evidence.model_copy(update={"arms": tuple(arms), "test_sha256": "0" * 64})
    findings = find(evidence)
    forged = Certificate(findings=findings, evidence=evidence, content_sha256=content_sha256(findings, evidence))
    held = verify.Verification(certificate=forged, checked=(), not_checked=())
    with pytest.raises(VerificationError) as raised:
        again(certified, held=held)
    lines = [line for line in str(raised.value).splitlines() if line.startswith("  ")]
    assert lines[0] == "  the test images are different"
    assert lines[1].startswith("  set, network 0: ")
    assert lines[1].endswith(" of 450 test images differ")
    assert len(lines) == 2


def test_other_answers_of_networks_of_a_gpu_are_not_called_false() -> None:
    evidence = certificate().evidence
    assert verify._what_other_images_mean(evidence).endswith("if they are the same, it does not hold")
    on_gpu = evidence.model_copy(update={"config": {**evidence.config, "device": "cuda"}})
    assert "not comparable bit for bit" in verify._what_other_images_mean(on_gpu)


def test_without_its_study_nothing_can_be_trained_again(tmp_path: Path) -> None:
    path = written(tmp_path, certificate())
    held = verify_certificate(path)
    with pytest.raises(CertifyError, match="has no study beside it, which holds the set to train on"):
        retrain(held, path, workplace())


def test_another_recipe_cannot_train_again(certified: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "default", RECIPES["long"])
    with pytest.raises(CertifyError, match=r"the certificate trained by default: .*, and this code has long: "):
        again(certified)
