"""What a study's page says of the uses of its winner."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hand_race import write_race

from raydistill.report.looks import looks_of
from raydistill.report.page.privacy import privacy_chart
from raydistill.report.page.study_page import study_page
from raydistill.report.page.training_cost import training_cost_chart
from raydistill.report.page.uses import continual_chart, nas_chart, transfer_chart
from raydistill.report.read import read_whole
from raydistill.report.use_words import source_words
from raydistill.storage.store import Store
from raydistill.storage.versioned import write_stored
from raydistill.uses.membership import Auc
from raydistill.uses.names import USES
from raydistill.uses.nearness import Nearness
from raydistill.uses.ranks import RankCorrelation
from raydistill.uses.values import (
    About,
    ContinualArm,
    ContinualResult,
    CostArm,
    CostResult,
    CostRung,
    NasArm,
    NasResult,
    Paid,
    PrivacyArm,
    PrivacyResult,
    TransferCell,
    TransferResult,
)

ABOUT = About(**{**dict.fromkeys(About.model_fields, "x"), "ipc": 13, "commit": None, "versions": {}})  # type: ignore[arg-type]
TRANSFER = TransferResult(
    about=ABOUT,
    cells=(
        TransferCell(source="set", network="mlp:width=8", accuracy_fractions=(0.8, 0.9), seconds=1.0),
        TransferCell(source="set", network="lenet", accuracy_fractions=(0.7, 0.7), seconds=1.0),
        TransferCell(source="full", network="mlp:width=8", accuracy_fractions=(0.95, 0.95), seconds=1.0),
        TransferCell(source="full", network="lenet", accuracy_fractions=(0.9, 0.9), seconds=1.0),
    ),
)
CONTINUAL = ContinualResult(
    about=ABOUT,
    networks=1,
    orders=((("a", "b"), ("c",)), (("c", "a"), ("b",))),
    arms=(
        ContinualArm(source="set", accuracy_fractions=((0.9, 0.8), (0.9, 0.6)), stored_images=9, seconds=1.0),
        ContinualArm(source="random", accuracy_fractions=((0.7, 0.5), (0.7, 0.5)), stored_images=9, seconds=1.0),
    ),
)


def arm(source: str, value: float | None) -> NasArm:
    found = RankCorrelation(
        value=value, low=None if value is None else value - 0.25, high=None if value is None else value + 0.25
    )
    fields: dict[str, Any] = {
        "chosen": "convnet",
        "chosen_accuracy_fraction": 0.9,
        "steps": 9,
        "stored_images": 9,
        "seconds": 9.0,
    }
    return NasArm(source=source, accuracy_fractions=(0.9, 0.8), spearman=found, kendall=found, **fields)


NAS = NasResult(
    about=ABOUT, networks=("a", "b"), seeds=1, space=2, left_out=0, arms=(arm("full", 1.0), arm("set", 0.5), arm("early", None))
)
COST = CostResult(
    about=ABOUT,
    networks=2,
    margin_fraction=0.03,
    target_accuracy_fraction=0.9,
    forward_macs=10,
    arms=tuple(
        CostArm(
            source=source,
            ipc=13,
            images=9,
            rungs=tuple(
                CostRung(steps=steps, accuracy_fractions=(low, high), macs=macs * steps, seconds=1.0)
                for steps, (low, high) in ((1, (0.7, 0.8)), (10, (0.92, 0.94)))
            ),
            chosen=1,
        )
        for source, macs in (("full", 10**9), ("set", 10**8))
    ),
    paid=(Paid(what="making", measure="macs", cost=4.5e10, trainings=5),),
)
PRIVACY = PrivacyResult(
    about=ABOUT,
    train_images=797,
    held_out_images=250,
    arms=tuple(
        PrivacyArm(
            source=source,
            images=130,
            copies=copies,
            pixel=Nearness(synthetic=(1.0, 1.5, 2.0, 2.5, 3.0), real=(2.0, 3.0, 4.0, 5.0, 6.0), nearer_fraction=0.25),
            feature=Nearness(synthetic=(1.0, 1.5, 2.0, 2.5, 3.0), real=(0.0, 0.0, 0.0, 0.0, 0.0), nearer_fraction=0.0),
            by_distance=Auc(value=value, low=value - 0.04, high=value + 0.04),
            by_loss=Auc(value=0.5, low=0.4, high=0.6),
        )
        for source, copies, value in (("set", 0, 0.52), ("random", 130, 0.6))
    ),
)
LOOKS = looks_of({source_words(name): name != "set" for name in ("set", "random", "full", "early")})


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_race(tmp_path_factory.mktemp("race") / "by-hand", 30)


@pytest.fixture
def study(race: Path, tmp_path: Path) -> Path:
    """A race whose winner's set has a hash of fives."""
    return Path(shutil.copytree(race, tmp_path / "by-hand"))


def page_of(folder: Path) -> str:
    return study_page(read_whole(Store(str(folder))), str(folder / "report.html"))


def test_results_that_lie_in_the_study_are_drawn_with_their_tables(study: Path) -> None:
    folder = Store(str(study / "uses" / "555555555555"))
    results = {"transfer": TRANSFER, "continual": CONTINUAL, "nas": NAS, "cost": COST, "privacy": PRIVACY}
    for name, result in results.items():
        write_stored(folder, f"{name}.json", result)
    page = page_of(study)
    assert page.index('id="short"') < page.index('id="uses"') < page.index('id="cost"')
    for name in results:
        assert f'id="{"training-cost" if name == "cost" else name}"' in page
        assert f'href="uses/555555555555/{name}.json"' in page
    assert "85.00 +- 7.07" in page
    assert "--protocol" not in page


def test_a_protocol_that_was_not_run_has_its_command(study: Path) -> None:
    page = page_of(study)
    assert re.findall(r"raydistill evaluate \S*/winner --protocol (\w+)", page) == list(USES)


def test_the_results_of_another_winner_are_not_shown(study: Path) -> None:
    write_stored(Store(str(study / "uses" / "444444444444")), "transfer.json", TRANSFER)
    assert 'id="transfer"' not in page_of(study)


def test_a_damaged_result_is_named_and_the_page_is_written(study: Path) -> None:
    folder = study / "uses" / "555555555555"
    write_stored(Store(str(folder)), "transfer.json", TRANSFER)
    (folder / "transfer.json").write_text((folder / "transfer.json").read_text().replace("0.8", "0.9"))
    assert "was changed after it was written; delete it and run the same command again" in page_of(study)


def test_a_study_without_a_winner_has_no_uses(study: Path) -> None:
    (study / "result.json").unlink()
    assert 'id="uses"' not in page_of(study)


def test_the_looks_of_the_studys_arms_stay_as_they_are(study: Path) -> None:
    before = re.findall(r"\.a\d+ \{ --c: [^}]*\}", page_of(study))
    write_stored(Store(str(study / "uses" / "555555555555")), "transfer.json", TRANSFER)
    after = re.findall(r"\.a\d+ \{ --c: [^}]*\}", page_of(study))
    assert set(before) < set(after)


def test_a_network_is_a_row_and_a_source_a_mark_in_it() -> None:
    """Two networks of 2 x 13 + 16 pixels. Means 85, 70, 95 and 90 % lie in this order on the axis."""
    chart = transfer_chart(TRANSFER, LOOKS)
    assert chart.height == 84
    assert [mark.y for mark in chart.marks] == [14.5, 56.5, 27.5, 69.5]
    mlp, lenet, full_mlp, full_lenet = (mark.x for mark in chart.marks)
    assert lenet < mlp < full_lenet < full_mlp
    assert [text for _, text in chart.y_ticks] == ["mlp", "lenet"]
    assert [key.label for key in chart.keys] == ["the set", "full data"]


def test_a_memory_is_a_line_over_the_steps() -> None:
    """The set falls from 90 to 70 %, random images from 70 to 50."""
    chart = continual_chart(CONTINUAL, LOOKS)
    assert [text for _, text in chart.x_ticks] == ["2", "3"]
    (first, last), (random_first, random_last) = ([y for _, y in line.points] for line in chart.lines)
    assert first < last == random_first < random_last
    assert chart.marks[0].span == (chart.marks[0].y, chart.marks[0].y)  # the orders agree


def test_a_way_to_rank_is_a_row_and_one_without_a_correlation_is_left_out() -> None:
    chart = nas_chart(NAS, LOOKS)
    assert [text for _, text in chart.y_ticks] == ["the set"]
    (mark,) = chart.marks
    assert mark.span is not None
    assert mark.span[0] < mark.x < mark.span[1]


def test_a_schedule_is_a_mark_at_its_work_and_the_line_across_is_the_accuracy_to_reach() -> None:
    """The set does a tenth of the full data's work: its long schedule costs what the full data's short one does."""
    chart = training_cost_chart(COST, LOOKS)
    full_short, full_long, set_short, set_long = chart.marks
    assert set_short.x < set_long.x == full_short.x < full_long.x
    assert full_short.y == set_short.y > chart.rules[0].at > full_long.y
    assert "the shortest that is enough" in set_long.label
    assert chart.note.endswith("Paid for: making it, counted in multiply-adds (45 billion multiply-adds), after 5 trainings.")


def test_a_score_of_membership_is_a_row_with_its_interval() -> None:
    chart = privacy_chart(PRIVACY, LOOKS)
    assert [text for _, text in chart.y_ticks] == [
        "the set, by distance",
        "the set, by loss",
        "random, by distance",
        "random, by loss",
    ]
    by_distance, by_loss, random, _ = chart.marks
    assert by_loss.x == chart.rules[0].at < by_distance.x < random.x
    assert by_distance.span is not None
    assert by_distance.span[0] < by_loss.x < by_distance.span[1]
    assert "whose membership is certain, are in random (130 of 130). None of this is a proof of privacy" in chart.note
