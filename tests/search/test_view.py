"""`study.db` as optuna-dashboard shows it, asked through the installed dashboard's own API, and as Optuna reads it.

The made-up study, margin 0.02: trial 0 reads 0.001 at IPC 60, trial 1 wins with 0.01 at IPC 16, trial 2 reads 0.05 at IPC 8,
trial 3 reads 0.015 at IPC 12 and was not confirmed, trial 4 reads 0.018 at the winner's IPC, trial 5 was stopped at IPC 4 where
it read 0.01, trial 6 diverged. By values alone trial 2 would be the best of the finished ones.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import optuna_dashboard
import pytest
import torch
from made_up import record, space
from optuna.artifacts import FileSystemArtifactStore
from optuna.storages import RDBStorage

from raydistill.core.picture import grid_png
from raydistill.search.view import LEGEND, StudyView, note_of
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.record import Reading, TrialRecord
from raydistill.storage.result import SearchResult
from raydistill.storage.store import Store

SPACE = space()
TRIALS: list[tuple[int, float | None, str]] = [
    (60, 0.001, "finished"),
    (16, 0.01, "finished"),
    (8, 0.05, "finished"),
    (12, 0.015, "finished"),
    (16, 0.018, "finished"),
    (4, 0.01, "pruned"),
    (30, None, "diverged"),
]
"""IPC, gap and state by ask number."""
WINNER = 1


def config(number: int) -> TrialConfig[Any]:
    values = {"ipc": TRIALS[number][0], "method.lr_images": 1.0, "method.random_inits": 15, "method.init": "real"}
    return SPACE.arms[0].trial(ask_number=number, values=values, data_sha256="d" * 64)


def made(number: int) -> TrialRecord:
    _, gap, state = TRIALS[number]
    if gap is None:
        return record(config(number), None, state, error="the loss is nan at step 3")  # type: ignore[arg-type]
    readings = [
        Reading(step=step, fraction=step / 9, accuracy_fractions=(0.5,), gap=read, loss=None)
        for step, read in ((0, 0.4), (9, gap))
    ]
    return record(config(number), gap, state, readings=tuple(readings))  # type: ignore[arg-type]


def result(winner: int | None = WINNER) -> SearchResult:
    changes: dict[str, Any] = {
        "study": "made-up",
        "method": "datadam",
        "verdict": "not_reached" if winner is None else "lossless",
        "reason": "the upper bound of its gap is 1.2 points",
        "finding": None,
        "winner_trial_id": None if winner is None else config(winner).trial_id,
        "smallest_lossless_ipc": None if winner is None else TRIALS[winner][0],
        "largest_ipc_tried": 60,
    }
    return SearchResult.model_construct(**changes)


PNG = grid_png(torch.zeros(2, 1, 8, 8), columns=2)
CONFIGS = {number: config(number) for number in range(len(TRIALS))}
RECORDS = {number: made(number) for number in CONFIGS}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished search; no test changes it."""
    folder = tmp_path_factory.mktemp("view") / "made-up"
    for number, ended in RECORDS.items():
        if ended.state == "finished":
            Store(str(folder)).write(f"trials/{CONFIGS[number].trial_id}/images.png", PNG)
    StudyView(SPACE, Store(str(folder)), folder.parent / "disk" / "study.db").rebuild(CONFIGS, RECORDS, result())
    return folder


def dashboard(folder: Path) -> Any:
    """The dashboard's own application on a study's folder."""
    artifacts = FileSystemArtifactStore(folder / "artifacts")
    return optuna_dashboard.wsgi(RDBStorage(f"sqlite:///{folder}/study.db"), artifact_store=artifacts)


def get(app: Any, path: str) -> bytes:
    """What the application answers, without a port."""
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    environ["PATH_INFO"] = path
    status: list[str] = []
    body = b"".join(app(environ, lambda line, headers, *_: status.append(line)))
    assert status == ["200 OK"]
    return body


def detail(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(get(dashboard(folder), "/api/studies/1"))
    return found


def test_the_dashboard_lists_the_study(study: Path) -> None:
    (listed,) = json.loads(get(dashboard(study), "/api/studies"))["study_summaries"]
    assert (listed["study_name"], listed["directions"]) == ("made-up", ["minimize"])


def test_the_dashboards_best_trial_is_the_winner(study: Path) -> None:
    (best,) = detail(study)["best_trials"]
    assert (best["number"], best["values"]) == (WINNER, [16.0])
    assert {"key": "trial_id", "value": CONFIGS[WINNER].trial_id} in best["user_attrs"]


def test_optunas_own_best_trial_is_the_winner(study: Path) -> None:
    loaded = optuna.load_study(study_name="made-up", storage=f"sqlite:///{study}/study.db")
    assert loaded.best_trial.number == WINNER
    assert loaded.metric_names == ["lossless_ipc"]


def test_the_dashboard_names_the_metric_and_which_trials_are_not_lossless(study: Path) -> None:
    """Gap minus margin, and 1 where the verdict passes over: the smaller ones, and the other at the winner's IPC."""
    found = detail(study)
    assert found["objective_names"] == ["lossless_ipc"]
    assert [trial["state"] for trial in found["trials"]] == [*["Complete"] * 5, "Pruned", "Fail"]
    assert [trial.get("values") for trial in found["trials"]] == [[60.0], [16.0], ["inf"], ["inf"], ["inf"], None, None]
    constraints = [[pytest.approx(value) for value in trial["constraints"]] for trial in found["trials"]]
    assert constraints == [[-0.019, 0], [-0.01, 0], [0.03, 1], [-0.005, 1], [-0.002, 1], [-0.01, 1], []]


def test_the_dashboard_draws_the_gap_at_each_reading(study: Path) -> None:
    found = detail(study)
    assert found["has_intermediate_values"]
    assert found["trials"][5]["intermediate_values"] == [{"step": 0, "value": 0.4}, {"step": 9, "value": 0.01}]


def test_the_dashboard_shows_the_finding_as_the_studys_note(study: Path) -> None:
    assert detail(study)["note"] == {"version": 1, "body": note_of(result())}
    assert note_of(result()).startswith("**lossless at IPC 16 (datadam)**: the upper bound of its gap is 1.2 points")


def test_a_note_longer_than_one_attribute_is_whole(tmp_path: Path) -> None:
    reason = "because " * 600
    view = StudyView(SPACE, Store(str(tmp_path / "made-up")), tmp_path / "study.db")
    view.rebuild(CONFIGS, RECORDS, result().model_copy(update={"reason": reason}))
    loaded = optuna.load_study(study_name="made-up", storage=f"sqlite:///{tmp_path}/made-up/study.db")
    assert reason in optuna_dashboard.get_note(loaded)


def test_the_dashboard_downloads_each_picture(study: Path) -> None:
    found, app = detail(study), dashboard(study)
    for trial in found["trials"][:5]:
        (picture,) = trial["artifacts"]
        assert (picture["filename"], picture["mimetype"]) == (f"trial-{trial['number']}.png", "image/png")
        assert get(app, f"/artifacts/1/{trial['trial_id']}/{picture['artifact_id']}") == PNG
    assert [len(trial["artifacts"]) for trial in found["trials"][5:]] == [0, 0]


def test_the_winners_picture_is_the_studys_own_too(study: Path) -> None:
    (picture,) = detail(study)["artifacts"]
    assert get(dashboard(study), f"/artifacts/1/{picture['artifact_id']}") == PNG
    assert picture["filename"] == f"trial-{WINNER}.png"


def test_without_a_winner_no_trial_is_the_best(tmp_path: Path) -> None:
    """The dashboard names one all the same if any has finished: with an infinite value."""
    StudyView(SPACE, Store(str(tmp_path / "made-up")), tmp_path / "study.db").rebuild(CONFIGS, RECORDS, result(None))
    (best,) = detail(tmp_path / "made-up")["best_trials"]
    assert best["values"] == ["inf"]
    loaded = optuna.load_study(study_name="made-up", storage=f"sqlite:///{tmp_path}/made-up/study.db")
    with pytest.raises(ValueError, match="No feasible trials"):
        _ = loaded.best_trial


def test_while_a_search_runs_the_best_trial_is_the_smallest_within_the_margin_so_far(tmp_path: Path) -> None:
    """Trials 0 to 3: IPC 12 reads within the margin, and no verdict has passed it over yet."""
    view = StudyView(SPACE, Store(str(tmp_path / "made-up")), tmp_path / "study.db")
    view.rebuild({}, {})
    for number in range(4):
        view.ask(CONFIGS[number])
        view.tell(RECORDS[number])
    view.close()
    loaded = optuna.load_study(study_name="made-up", storage=f"sqlite:///{tmp_path}/study.db")
    assert loaded.best_trial.number == 3
    assert [trial.value for trial in loaded.trials] == [60.0, 16.0, math.inf, 12.0]
    assert optuna_dashboard.get_note(loaded).endswith(LEGEND + "\n")


def test_a_trial_that_was_stopped_has_no_value_of_another_kind(tmp_path: Path) -> None:
    view = StudyView(SPACE, Store(str(tmp_path / "made-up")), tmp_path / "study.db")
    view.rebuild({}, {})
    view.ask(CONFIGS[5])
    view.tell(RECORDS[5])
    view.close()
    (trial,) = optuna.load_study(study_name="made-up", storage=f"sqlite:///{tmp_path}/study.db").trials
    assert (trial.state.name, trial.values, trial.intermediate_values) == ("PRUNED", None, {0: 0.4, 9: 0.01})


def test_a_waiting_trial_runs_in_its_own_place(tmp_path: Path) -> None:
    view = StudyView(SPACE, Store(str(tmp_path / "made-up")), tmp_path / "study.db")
    view.rebuild({0: CONFIGS[0], 1: CONFIGS[1]}, {0: RECORDS[0]})
    view.ask(CONFIGS[1])
    view.tell(RECORDS[1])
    view.close()
    trials = optuna.load_study(study_name="made-up", storage=f"sqlite:///{tmp_path}/study.db").trials
    assert [(trial.user_attrs["ask_number"], trial.state.name, trial.value) for trial in trials] == [
        (0, "COMPLETE", 60.0),
        (1, "COMPLETE", 16.0),
    ]
    assert trials[1].params == {**trials[0].params, "ipc": 16}


def test_a_study_in_an_object_store_has_no_artefacts(tmp_path: Path) -> None:
    """The dashboard could not read them there: it takes a folder of its own machine."""
    folder = Store("memory://view/made-up")
    folder.write(f"trials/{CONFIGS[0].trial_id}/images.png", PNG)
    database = tmp_path / "study.db"
    StudyView(SPACE, folder, database).rebuild({0: CONFIGS[0]}, {0: RECORDS[0]})
    assert folder.files("artifacts") == []
    (trial,) = optuna.load_study(study_name="made-up", storage=f"sqlite:///{database}").trials
    assert [key for key in trial.system_attrs if key.startswith("artifacts")] == []
