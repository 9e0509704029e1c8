"""Tables against a study whose numbers were chosen by hand (see `hand_made`): 12 s a trial, gaps taken to 0.98."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytest
from hand_made import HandMade, trial_config

from raydistill.errors import StoreError
from raydistill.methods import method_configs
from raydistill.report.cells import config_cells
from raydistill.report.rendering import render
from raydistill.report.tables import StudyRecords, ipc_frame, network_frame, read_study, study_frame, trial_frame, write_tables
from raydistill.sets.evaluating import NetworkReading
from raydistill.spaces.sections import Config
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.store import Store
from raydistill.storage.versioned import write_stored
from raydistill.uses.values import About, CostArm, CostResult, CostRung, Paid


def records_of(made: HandMade) -> StudyRecords:
    return read_study(made.study, method_configs())


def test_a_trial_row_holds_config_result_and_cost(by_hand: HandMade) -> None:
    """Accuracies 0.95 and 0.97: mean 0.96, sample deviation 0.01 * sqrt(2), gap 0.98 - 0.96."""
    trial_id = by_hand.trial(7, (0.95, 0.97), lr_images=0.3)
    (row,) = trial_frame(records_of(by_hand)).to_dict("records")
    expected = {"trial_id": trial_id, "state": "finished", "ask_number": 0, "ipc": 7, "lr_images": 0.3, "dataset": "digits"}
    expected |= {"network": "convnet", "method": "datadam", "width": 32, "recipe": "default", "label_kind": "hard"}
    expected |= {"seconds": 12.0, "distill_seconds": 10.0, "set_bytes": 17990, "images": 70, "train_macs": 2800, "epoch_macs": 28}
    assert {name: row[name] for name in expected} == expected
    assert row["accuracy_fraction_mean"] == pytest.approx(0.96)
    assert row["accuracy_fraction_std"] == pytest.approx(0.0141421356)
    assert row["gap"] == pytest.approx(0.02)


def test_every_config_field_is_a_column_under_its_own_name(by_hand: HandMade) -> None:
    by_hand.trial(7)
    records = records_of(by_hand)
    fields = {f for f in type(records.trials[0][0].method).model_fields if f != "name"}
    assert fields | {"depth", "norm", "split_seed", "networks", "margin_fraction", "seed"} <= set(trial_frame(records))


class WideConfig(Config):
    """A method with a field that the network has too."""

    name: Literal["wide"] = "wide"
    width: int = 5


def test_fields_of_the_same_name_keep_their_sections() -> None:
    fields = {**trial_config(0, 7).model_dump(), "method": {"name": "wide"}}
    cells = config_cells(TrialConfig[WideConfig].model_validate(fields))
    assert (cells["width"], cells["method.width"]) == (32, 5)


def test_failed_and_unfinished_trials_have_a_state_and_a_cause_but_no_numbers(by_hand: HandMade) -> None:
    by_hand.trial(7, state="crashed", error="Traceback (most recent call last):\n  x\nValueError: no", cost=None)
    by_hand.trial(8, None)
    frame = trial_frame(records_of(by_hand))
    assert list(frame["state"]) == ["crashed", "unfinished"]
    assert frame["error"].iloc[0] == "ValueError: no"
    assert frame[["gap", "accuracy_fraction_mean", "seconds", "set_bytes"]].isna().all(axis=None)
    assert list(frame["ipc"]) == [7, 8]


def test_an_ipc_row_counts_trials_and_names_the_best(by_hand: HandMade) -> None:
    """IPC 7: gaps 0.02 and 0.01, and a crash after 12 s; IPC 9: nothing finished. Baseline: 100,000 and 1,000 MACs."""
    by_hand.trial(9, None)
    by_hand.trial(7, (0.96,))
    best = by_hand.trial(7, (0.97,))
    by_hand.trial(7, (0.97,), state="crashed", error="no")
    first, second = ipc_frame(records_of(by_hand)).to_dict("records")
    assert first["best_gap"] == pytest.approx(0.01)
    expected = {"ipc": 7, "trials": 3, "finished": 2, "seconds": 36.0, "trial_id": best, "set_bytes": 17990}
    expected |= {"epoch_macs_saved": 972}
    assert {name: first[name] for name in expected} == expected
    assert (second["ipc"], second["trials"], second["finished"], second["seconds"]) == (9, 1, 0, 0.0)
    assert pd.isna(second["best_gap"])
    assert pd.isna(second["trial_id"])


def test_what_training_saves_is_missing_until_it_was_measured(by_hand: HandMade) -> None:
    by_hand.trial(7, (0.97,))
    frame = ipc_frame(records_of(by_hand))
    assert frame[["train_macs_saved", "train_seconds_saved", "trainings_until_paid"]].isna().all(axis=None)
    assert "train_macs_saved" not in render(frame, "md")


def test_what_training_saves_is_that_of_the_cheapest_schedules(by_hand: HandMade) -> None:
    """The full data takes 90 multiply-adds and 3 s, the set 30 and 1 s; making it cost 200: 200 / 60, so 4 trainings."""
    by_hand.trial(7, (0.97,), images_sha256="a" * 64)
    arms = tuple(
        CostArm(
            source=source,
            ipc=None,
            images=1,
            rungs=(CostRung(steps=1, accuracy_fractions=(0.9,), macs=macs, seconds=seconds),),
            chosen=0,
        )
        for source, macs, seconds in (("full", 90, 3.0), ("set", 30, 1.0))
    )
    about = {**dict.fromkeys(About.model_fields, "x"), "set_sha256": "a" * 64, "ipc": 7, "commit": None, "versions": {}}
    about["recipe"] = "default"
    paid = (Paid(what="making", measure="macs", cost=200.0, trainings=4),)
    numbers: dict[str, Any] = {"networks": 1, "margin_fraction": 0.02, "target_accuracy_fraction": 0.9, "forward_macs": 1}
    found = CostResult(about=About.model_validate(about), arms=arms, paid=paid, **numbers)
    write_stored(by_hand.study.at("uses", "a" * 12), "cost.json", found)
    (row,) = ipc_frame(records_of(by_hand)).to_dict("records")
    assert (row["train_macs_saved"], row["train_seconds_saved"], row["trainings_until_paid"]) == (60, 2.0, 4)
    of_another = found.model_copy(update={"about": About.model_validate({**about, "recipe": "quick"})})
    write_stored(by_hand.study.at("uses", "a" * 12), "cost.json", of_another)
    (row,) = ipc_frame(records_of(by_hand)).to_dict("records")
    assert row["trainings_until_paid"] is None


def test_an_empty_study_has_empty_tables(by_hand: HandMade) -> None:
    records = records_of(by_hand)
    assert len(trial_frame(records)) == len(ipc_frame(records)) == 0
    for suffix in ("md", "csv", "tex"):
        assert "ipc" in render(trial_frame(records), suffix)


def test_a_study_row_holds_the_verdict_and_its_cost(by_hand: HandMade) -> None:
    by_hand.trial(10, (0.97,))
    by_hand.trial(4, (0.90,))
    by_hand.result()
    (row,) = study_frame([records_of(by_hand)]).to_dict("records")
    expected = {"study": "by-hand", "dataset": "digits", "method": "datadam", "label_kind": "hard", "verdict": "lossless"}
    expected |= {"smallest_lossless_ipc": 10, "largest_lossy_ipc": 4, "largest_lossy_trials": 3, "margin_fraction": 0.02}
    expected |= {"trials": 2, "seconds": 24.0, "compression_bytes": 2.0, "trial_id": "0123456789ab"}
    assert {name: row[name] for name in expected} == expected
    assert row["baseline_accuracy_fraction_mean"] == pytest.approx(0.98)


def test_a_race_has_the_method_of_its_winner_not_of_the_control_that_was_asked_first(tmp_path: Path) -> None:
    made = HandMade(tmp_path / "race")
    made.trial(10)
    records = records_of(made)
    ((config, record),) = records.trials
    random = config.model_copy(update={"method": method_configs()["random"](name="random")})
    records = replace(records, trials=[(random, None), (config, record)])
    assert study_frame([records])["method"].tolist() == ["datadam"], "without a result the methods, and no control"
    assert study_frame([replace(records, trials=[(random, None)])])["method"].tolist() == ["random"], "a study of one control"
    of_winner = replace(records, trials=[(config, record)], result=made.result(method="dm", earlier_looks=1))
    (row,) = study_frame([of_winner]).to_dict("records")
    assert (row["method"], row["earlier_looks"]) == ("dm", 1)


def test_studies_are_ordered_by_data_set_method_and_label_kind(tmp_path: Path) -> None:
    for name, label_kind in (("a", "soft"), ("b", "hard")):
        made = HandMade(tmp_path / name)
        made.trial(10)
        made.result(label_kind=label_kind)
    frame = study_frame([read_study(Store(str(tmp_path / name)), method_configs()) for name in ("a", "b")])
    assert list(zip(frame["study"], frame["label_kind"], strict=True)) == [("b", "hard"), ("a", "soft")]


def test_a_study_without_a_result_is_unfinished(by_hand: HandMade) -> None:
    by_hand.trial(10)
    (row,) = study_frame([records_of(by_hand)]).to_dict("records")
    assert (row["verdict"], row["trials"], row["label_kind"]) == ("unfinished", 1, "hard")
    assert pd.isna(row["smallest_lossless_ipc"])


@pytest.mark.parametrize("accuracies", [(0.97,), None], ids=["ended", "cut off"])
def test_an_old_result_is_no_verdict_of_a_study_with_a_further_trial(
    by_hand: HandMade, accuracies: tuple[float, ...] | None
) -> None:
    by_hand.trial(10)
    by_hand.trial(4)
    by_hand.result()
    assert study_frame([records_of(by_hand)])["verdict"].tolist() == ["lossless"]
    by_hand.trial(7, accuracies)
    (row,) = study_frame([records_of(by_hand)]).to_dict("records")
    assert (row["verdict"], row["trials"], row["trial_id"]) == ("unfinished", 3, None)


def test_tables_are_written_below_the_study(by_hand: HandMade) -> None:
    by_hand.trial(7)
    write_tables(by_hand.study, records_of(by_hand))
    names = sorted(path.name for path in by_hand.study.local_path("tables").iterdir())
    assert names == ["ipc.csv", "ipc.md", "ipc.tex", "trials.csv", "trials.md", "trials.tex"]


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"holds no study .* give the folder <store>/<study> of a search"):
        read_study(Store(str(tmp_path)), method_configs())


def test_a_damaged_record_is_named(by_hand: HandMade) -> None:
    trial_id = by_hand.trial(7)
    by_hand.study.write(f"trials/{trial_id}/record.json", "{")
    with pytest.raises(StoreError, match=f"{trial_id}/record.json is damaged"):
        records_of(by_hand)


def test_a_damaged_result_is_named(by_hand: HandMade) -> None:
    by_hand.study.write("result.json", "{}")
    with pytest.raises(StoreError, match=r"result.json is damaged \(study: Field required\); run the search again"):
        records_of(by_hand)


def test_a_row_per_architecture_has_mean_deviation_and_parameters() -> None:
    """0.8 and 0.9: mean 0.85, deviation 0.0707. A single network has no deviation."""
    common = {"parameters": 10, "recipe": "plain", "split": "select"}
    readings = [
        NetworkReading(network="mlp", accuracy_fractions=(0.8, 0.9), **common),  # type: ignore[arg-type]
        NetworkReading(network="lenet", accuracy_fractions=(0.5,), **common),  # type: ignore[arg-type]
    ]
    frame = network_frame(readings)
    assert frame["accuracy_fraction_mean"].tolist() == [pytest.approx(0.85), 0.5]
    assert frame["accuracy_fraction_std"].iloc[0] == pytest.approx(0.0707, abs=1e-4)
    assert pd.isna(frame["accuracy_fraction_std"].iloc[1])
    assert "| mlp       | 85.00" in render(frame, "md")


def test_a_row_per_architecture_says_which_accuracy_it_is() -> None:
    fields = {"network": "mlp", "accuracy_fractions": (0.8, 0.9), "parameters": 10, "recipe": "plain", "split": "select"}
    readings = [NetworkReading(**fields), NetworkReading(**fields, metric="balanced_accuracy")]  # type: ignore[arg-type]
    assert network_frame(readings)["metric"].tolist() == ["accuracy", "balanced_accuracy"]
