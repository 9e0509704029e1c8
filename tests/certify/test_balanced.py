"""A search and a certificate of balanced accuracy, on an own folder of two classes, 150 and 50 images."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from made_up import workplace
from PIL import Image

from raydistill.catalogue import load_space
from raydistill.certify.candidate import TrialChoice
from raydistill.certify.certificate import Certificate
from raydistill.certify.run import certify_study
from raydistill.certify.verify import verify_certificate
from raydistill.core.lossless import gap_interval, smallest_margin
from raydistill.core.metrics import accuracy_of
from raydistill.core.paired_gap import OF_CLASSES, PROCEDURE, paired_gap, planned_half_width
from raydistill.data.splits import load_splits
from raydistill.errors import CertifyError, SpaceError
from raydistill.methods import method_configs
from raydistill.report.page.study_page import study_page
from raydistill.report.read import read_whole
from raydistill.report.status import read_status
from raydistill.report.status_words import status_lines
from raydistill.report.summary import end_of_search
from raydistill.search.driver import run_search
from raydistill.search.verdict import select_interval
from raydistill.sets.evaluating import accuracies
from raydistill.spaces.units import percent
from raydistill.storage.baseline import read_baseline
from raydistill.storage.record import read_trials, unpack_bits, unpack_labels
from raydistill.storage.result import SearchResult
from raydistill.storage.sealed import unseal
from raydistill.storage.store import Store
from raydistill.trial.confirm import Confirmation, ConfirmReading, read_set

from .conftest import shorten


def draw(folder: Path, counts: dict[str, int]) -> None:
    """Noise about two levels that overlap, so that networks err."""
    generator = np.random.default_rng(0)
    for level, (name, count) in zip((90, 130), counts.items(), strict=True):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = generator.normal(level + generator.normal(0, 30), 40, (8, 8)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:03d}.png")


def space_file(folder: Path, **goal: Any) -> Path:
    document = {
        "study": "balanced",
        "dataset": {"name": "image_folder", "path": "pets", "size": 8},
        "network": {"name": "convnet", "depth": 1, "width": 4},
        "method": {"name": "random"},
        "controls": [],
        "ipc": 3,
        "evaluation": {"networks": 2, "baseline_networks": 2, "confirm_networks": 2},
        "goal": {"margin_fraction": 0.95, "metric": "balanced_accuracy", **goal},
        "budget": {"trials": 1},
    }
    file = folder / "balanced.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.fixture(scope="module")
def searched_pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search in `store`, not to be written; the space lies beside the images."""
    folder = tmp_path_factory.mktemp("balanced")
    draw(folder / "pets", {"cats": 150, "dogs": 50})
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        run_search(load_space(space_file(folder), [], None), Store(str(folder / "store")), workplace())
    return folder / "store"


@pytest.fixture
def study(searched_pets: Path, tmp_path: Path, short_recipe: None) -> Store:
    """A finished search, alone in its store."""
    shutil.copytree(searched_pets, tmp_path / "store")
    return Store(str(tmp_path / "store/balanced"))


def test_everything_that_a_search_says_is_of_balanced_accuracy(study: Store) -> None:
    baseline, result = read_baseline(study), SearchResult.model_validate_json(unseal(study.read("result.json")))
    ((config, record),) = read_trials(study, method_configs())
    assert baseline is not None
    assert record is not None
    assert record.final is not None
    splits = load_splits(config.dataset)
    select, confirm = splits.select.labels.numpy(), splits.confirm.labels.numpy()
    assert (np.bincount(select).tolist(), np.bincount(confirm).tolist()) == ([15, 5], [15, 5])
    assert baseline.select_classes is not None
    assert baseline.confirm_classes is not None
    assert (baseline.select_classes.tolist(), baseline.confirm_classes.tolist()) == (select.tolist(), confirm.tolist())
    # 4 / (1/15 + 1/5) = 15.
    assert baseline.effective_images == (15, 15)
    assert baseline.accuracy_fractions == tuple(accuracy_of(baseline.select_correct, select))
    correct = unpack_bits(record.select_correct, 20)
    assert record.final.accuracy_fractions == tuple(accuracy_of(correct, select))
    assert record.class_accuracy_fractions is not None
    assert sum(record.class_accuracy_fractions.values()) / 2 == pytest.approx(record.final.accuracy_fraction)
    assert record.class_accuracy_fractions["dogs"] == correct[:, select == 1].mean()
    assert select_interval(record, baseline) == gap_interval(baseline.select_correct, correct, 0.95, select)
    folder = f"trials/{config.trial_id}"
    files = [f"{folder}/confirm-{index}.json" for index in range(2)]
    rows = [ConfirmReading.model_validate_json(unseal(study.read(file))).confirm_correct for file in files]
    confirmed = unpack_bits(rows, 20)
    interval = gap_interval(baseline.confirm_correct, confirmed, 0.95, confirm)
    assert Confirmation.model_validate_json(unseal(study.read(f"{folder}/confirmation.json"))).interval == interval
    assert result.gap_interval is not None
    assert (result.metric, result.gap_interval.upper) == ("balanced_accuracy", interval.upper)
    assert "95.00 points of balanced accuracy, the mean over classes" in end_of_search(study, result)
    assert "95.00 points of balanced accuracy" in status_lines(read_status(study), datetime.now(UTC))
    page = study_page(read_whole(study), study.path("report.html"))
    assert "largest loss of balanced accuracy" in page
    assert record.weakest_class is not None
    assert f"{record.weakest_class[0]}, {percent(record.weakest_class[1])}" in page


def test_a_certificate_is_of_balanced_accuracy_too(study: Store) -> None:
    made: Certificate = certify_study(study, TrialChoice(), workplace(), networks=2, again=False)
    classes = unpack_labels(made.evidence.test_labels)
    assert classes is not None
    assert np.bincount(classes).tolist() == [30, 10]
    full, of_set = (unpack_bits(arm.correct, 40) for arm in made.evidence.arms[:2])
    expected = paired_gap(full, of_set, 0.95, classes)
    assert (made.findings.gap.gap, made.findings.gap.upper) == (expected.gap, expected.upper)
    assert made.findings.arms[0].accuracy_fraction == accuracy_of(full, classes).mean()
    assert made.findings.procedure == f"{PROCEDURE}; {OF_CLASSES}"
    page = study.read("certificate.md").decode()
    assert "the gap in balanced accuracy (the mean over classes of the accuracy within each) to the full data" in page
    assert "95.00 points of balanced accuracy" in page
    verify_certificate(study.path("certificate.json"))


def test_a_class_of_one_test_image_is_refused_before_the_split_is_opened(tmp_path: Path, short_recipe: None) -> None:
    """The data gives its test part: its classes may be as unlike those of the confirm part as they please."""
    draw(tmp_path / "pets/train", {"cats": 150, "dogs": 50})
    draw(tmp_path / "pets/test", {"cats": 40, "dogs": 1})
    run_search(load_space(space_file(tmp_path), [], None), Store(str(tmp_path / "store")), workplace())
    with pytest.raises(
        CertifyError, match=r"class dogs has too few test images \(1\), .* nothing was trained and the test split stays sealed"
    ):
        certify_study(Store(str(tmp_path / "store/balanced")), TrialChoice(), workplace(), networks=2, again=False)
    assert not (tmp_path / "store/test_openings").exists()


def test_a_set_is_evaluated_by_the_metric_of_its_goal(study: Store) -> None:
    """Networks with the seeds of its trial have the accuracies of its record."""
    ((config, record),) = read_trials(study, method_configs())
    assert record is not None
    assert record.final is not None
    splits = load_splits(config.dataset)
    found = accuracies(read_set(study, config.trial_id), config, splits, splits.select, purpose="trial")
    assert tuple(found) == record.final.accuracy_fractions


def test_the_margin_must_be_one_that_the_classes_can_decide(tmp_path: Path) -> None:
    """15 and 5 confirm images are as good as 15 in classes of equal size."""
    draw(tmp_path / "pets", {"cats": 150, "dogs": 50})
    with pytest.raises(SpaceError, match=r"20 confirm images \(as good as 15 in classes of equal size\), 2 confirm_networks"):
        load_space(space_file(tmp_path, margin_fraction=0.01), [], None)


def test_what_goes_unseen_in_a_small_class_bounds_the_margin() -> None:
    """90 and 10 images vary as 36 in equal classes do, in which 8.0 % can go unseen; in the class of ten 25.9 % can, half of it
    on the mean over both."""
    assert smallest_margin(36, 10, 10, 0.95) == pytest.approx(1 - 0.05 ** (1 / 36), abs=1e-6)
    assert smallest_margin(36, 10, 10, 0.95, (90, 10)) == pytest.approx((1 - 0.05 ** (1 / 10)) / 2, abs=1e-6)


def test_a_certificate_plans_with_the_classes_of_the_test_split() -> None:
    """In equal classes as without them; of unequal ones no less than what two sides that agree everywhere leave open."""
    assert planned_half_width(100, 10, 0.95, (50, 50)) == pytest.approx(planned_half_width(100, 10, 0.95))
    agreeing, classes = np.ones((10, 100), dtype=np.bool_), np.repeat([0, 1], [90, 10])
    agreeing[:, 0] = False
    apart = agreeing.copy()
    apart[0, 5] = False
    least = paired_gap(agreeing, apart, 0.95, classes).upper
    assert planned_half_width(100, 10, 0.95, (90, 10)) > least > planned_half_width(100, 10, 0.95)


def test_a_class_of_one_confirm_image_has_no_balanced_accuracy(tmp_path: Path) -> None:
    draw(tmp_path / "pets", {"cats": 150, "dogs": 10})
    with pytest.raises(SpaceError, match=r"goal.metric: given balanced_accuracy, but a class has one select or confirm image"):
        load_space(space_file(tmp_path), [], None)


def test_accuracy_is_the_metric_of_older_versions(tmp_path: Path) -> None:
    """It is left out of what is stored, so that trials keep their ids and results their form."""
    draw(tmp_path / "pets", {"cats": 150, "dogs": 50})
    space = load_space(space_file(tmp_path, metric="accuracy"), [], None)
    trial = space.arms[0].trial(ask_number=0, values={}, data_sha256="0" * 64)
    assert "metric" not in trial.model_dump()["goal"]
    other = load_space(space_file(tmp_path), [], None).arms[0].trial(ask_number=0, values={}, data_sha256="0" * 64)
    assert other.trial_id != trial.trial_id
