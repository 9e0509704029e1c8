"""`--log`: TensorBoard's own files read back, MLflow and Weights & Biases through a fake of the few calls that are made of them.

MLflow's client and wandb are too large for the test extra; what the fakes record is what those packages were seen to take.
"""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hand_made import HandMade, ended, trial_config
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from raydistill.core.picture import grid_png
from raydistill.errors import InputError
from raydistill.report.loggers import LoggingWatcher, open_loggers, to_mlflow
from raydistill.report.loggers.logger import Finding, LoggedTrial, markdown_table
from raydistill.report.loggers.opening import whole_target
from raydistill.report.loggers.to_mlflow import MlflowLogger, open_mlflow
from raydistill.report.loggers.to_tensorboard import TensorBoardLogger
from raydistill.report.loggers.to_wandb import WandbLogger, open_wandb
from raydistill.report.loggers.watcher import flat, logged_trial, values_of
from raydistill.search.watcher import SilentWatcher
from raydistill.storage.record import Reading
from raydistill.storage.store import Store

PNG = grid_png(torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)), columns=2)
TRIAL = LoggedTrial(trial_id="0123456789ab", number=7, settings={"ipc": 5, "method.lr_images": 0.5, "method.name": "datadam"})
CURVE = [
    {"arm": "datadam", "ipc": 5, "accuracy_fraction": 0.9, "gap": 0.05},
    {"arm": "datadam", "ipc": 10, "accuracy_fraction": None, "gap": None},
]
FOUND = Finding(text="**lossless at IPC 5**", curve=CURVE, picture=PNG)


def log_all(logger: Any) -> None:
    """One trial of two readings, and the finding."""
    logger.begin(TRIAL)
    logger.reading(TRIAL, 0, {"gap": 0.4, "accuracy_fraction": 0.55})
    logger.reading(TRIAL, 20, {"gap": 0.05, "accuracy_fraction": 0.9})
    logger.end(TRIAL, "finished", {"gap": 0.05, "accuracy_fraction": 0.9}, PNG)
    logger.finish(FOUND)
    logger.close()


def read_back(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0, "scalars": 0})
    found.Reload()
    return found


def text_in(found: EventAccumulator, tag: str) -> str:
    return str(found.Tensors(f"{tag}/text_summary")[0].tensor_proto.string_val[0].decode())


def test_a_setting_that_a_config_leaves_out_at_its_default_is_logged() -> None:
    config = json.loads(trial_config(ask_number=0, ipc=5).canonical_json())
    assert "factor" not in config["method"]
    assert logged_trial("0123456789ab", config).settings["method.factor"] == 1


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    log_all(TensorBoardLogger(folder))
    return folder


def test_tensorboard_has_the_gap_and_the_accuracy_against_the_step(board: Path) -> None:
    found = read_back(board / TRIAL.name)
    assert [(point.step, pytest.approx(point.value)) for point in found.Scalars("gap")] == [(0, 0.4), (20, 0.05)]
    assert [point.step for point in found.Scalars("accuracy_fraction")] == [0, 20]


def test_tensorboard_has_the_settings_as_text_and_as_hyper_parameters(board: Path) -> None:
    found = read_back(board / TRIAL.name)
    assert json.loads(text_in(found, "settings").strip("`json\n")) == TRIAL.settings
    data = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"method.lr_images" in data


def test_tensorboard_has_the_sets_picture(board: Path) -> None:
    (image,) = read_back(board / TRIAL.name).Images("set")
    shown = np.asarray(Image.open(io.BytesIO(image.encoded_image_string)).convert("RGB"))
    assert np.array_equal(shown, np.asarray(Image.open(io.BytesIO(PNG)).convert("RGB")))


def test_tensorboard_has_the_finding_and_the_curve_against_ipc(board: Path) -> None:
    found = read_back(board / "finding")
    assert text_in(found, "finding") == "**lossless at IPC 5**"
    assert text_in(found, "curve").splitlines()[2] == "| datadam | 5 | 0.9 | 0.05 |"
    assert [(point.step, pytest.approx(point.value)) for point in found.Scalars("curve/datadam/gap")] == [(5, 0.05)]


def test_tensorboard_replaces_what_a_killed_search_left_and_keeps_what_ended(tmp_path: Path) -> None:
    killed = TensorBoardLogger(tmp_path)
    killed.begin(TRIAL)
    killed.reading(TRIAL, 0, {"gap": 0.9})
    killed.close()
    again = TensorBoardLogger(tmp_path)
    assert not again.has(TRIAL)
    log_all(again)
    assert [point.step for point in read_back(tmp_path / TRIAL.name).Scalars("gap")] == [0, 20]
    assert TensorBoardLogger(tmp_path).has(TRIAL)


class FakeClient:
    """The calls of `MlflowClient` that are made, kept by run."""

    def __init__(self) -> None:
        self.runs: dict[str, SimpleNamespace] = {}
        self.experiments: list[str] = []

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id=name) if name in self.experiments else None

    def create_experiment(self, name: str) -> str:
        self.experiments.append(name)
        return name

    def create_run(self, experiment: str, *, tags: dict[str, str], run_name: str) -> Any:
        info = SimpleNamespace(run_id=f"run-{len(self.runs)}", status="RUNNING", run_name=run_name)
        self.runs[info.run_id] = SimpleNamespace(info=info, tags=dict(tags), params=[], metrics=[], files={}, deleted=False)
        return self.runs[info.run_id]

    def search_runs(self, experiments: list[str], query: str) -> list[Any]:
        tag, _, value = query.removeprefix("tags.").partition(" = ")
        wanted = (tag.strip("`"), value.strip("'"))
        return [run for run in self.runs.values() if wanted in run.tags.items() and not run.deleted]

    def delete_run(self, run: str) -> None:
        self.runs[run].deleted = True

    def log_batch(self, run: str, *, params: Any = (), metrics: Any = ()) -> None:
        self.runs[run].params += params
        self.runs[run].metrics += metrics

    def set_tag(self, run: str, name: str, value: str) -> None:
        self.runs[run].tags[name] = value

    def log_artifact(self, run: str, path: str) -> None:
        self.runs[run].files[Path(path).name] = Path(path).read_bytes()

    def set_terminated(self, run: str, status: str) -> None:
        self.runs[run].info.status = status


def mlflow_logger(client: FakeClient) -> MlflowLogger:
    return MlflowLogger(client, "digits", (OSError,), metric=lambda *values: values, param=lambda *values: values)


def test_mlflow_has_a_run_per_trial_with_settings_curve_and_picture() -> None:
    client = FakeClient()
    log_all(mlflow_logger(client))
    trial, finding = client.runs.values()
    assert client.experiments == ["digits"]
    assert (trial.info.run_name, trial.info.status, trial.tags["state"]) == ("trial-0007-0123456789ab", "FINISHED", "finished")
    assert ("method.lr_images", "0.5") in trial.params
    gaps = [(step, value) for name, value, _, step in trial.metrics if name == "gap"]
    assert gaps == [(0, 0.4), (20, 0.05)]
    assert trial.files == {"images.png": PNG}
    assert finding.tags["mlflow.note.content"] == "**lossless at IPC 5**"
    assert [(name, value, step) for name, value, _, step in finding.metrics] == [
        ("curve/datadam/accuracy_fraction", 0.9, 5),
        ("curve/datadam/gap", 0.05, 5),
    ]
    assert finding.files["winner.png"] == PNG
    assert b"| datadam | 5 | 0.9 | 0.05 |" in finding.files["finding.md"]


def test_mlflow_replaces_a_run_that_a_killed_search_left_and_keeps_what_ended() -> None:
    client = FakeClient()
    with closing(mlflow_logger(client)) as killed:
        killed.begin(TRIAL)
    again = mlflow_logger(client)
    assert not again.has(TRIAL)
    log_all(again)
    assert [run.deleted for run in client.runs.values()] == [True, False, False]
    assert mlflow_logger(client).has(TRIAL)


def test_mlflow_marks_a_trial_without_a_set_as_failed() -> None:
    client = FakeClient()
    logger = mlflow_logger(client)
    logger.begin(TRIAL)
    logger.end(TRIAL, "diverged", {}, None)
    assert [run.info.status for run in client.runs.values()] == ["FAILED"]


class FakeWandb:
    """The parts of wandb that are used."""

    def __init__(self) -> None:
        self.runs: list[Any] = []

    def init(self, **given: Any) -> Any:
        run = SimpleNamespace(given=given, logged=[], summary={}, notes=None, exit_code=None)
        run.log = lambda values, step=None: run.logged.append((step, values))
        run.finish = lambda exit_code=0: setattr(run, "exit_code", exit_code)
        (Path(given["dir"]) / "wandb").mkdir(exist_ok=True)
        self.runs.append(run)
        return run

    def Settings(self, **given: Any) -> Any:
        return given

    def Image(self, image: Any) -> Any:
        return ("image", image.size)

    def Table(self, *, columns: list[str], data: list[Any]) -> Any:
        return ("table", columns, data)


def test_wandb_has_a_run_per_trial_in_the_studys_group(tmp_path: Path) -> None:
    wandb = FakeWandb()
    log_all(WandbLogger(wandb, "project", "digits", tmp_path, (OSError,)))
    trial, finding = wandb.runs
    assert trial.given["id"] == "digits-0123456789ab"
    assert (trial.given["project"], trial.given["group"], trial.given["config"]) == ("project", "digits", TRIAL.settings)
    assert [(step, values.get("gap")) for step, values in trial.logged[:2]] == [(0, 0.4), (20, 0.05)]
    assert trial.logged[2] == (None, {"set": ("image", Image.open(io.BytesIO(PNG)).size)})
    assert (trial.summary["state"], trial.summary["final/gap"], trial.exit_code) == ("finished", 0.05, 0)
    assert finding.notes == "**lossless at IPC 5**"
    assert finding.logged[0][1]["curve"][2][0] == ["datadam", 5, 0.9, 0.05]


def test_wandb_ends_an_interrupted_run_as_failed_and_knows_which_ended(tmp_path: Path) -> None:
    wandb = FakeWandb()
    with closing(WandbLogger(wandb, "project", "digits", tmp_path, (OSError,))) as killed:
        killed.begin(TRIAL)
    assert [run.exit_code for run in wandb.runs] == [1]
    again = WandbLogger(wandb, "project", "digits", tmp_path, (OSError,))
    assert not again.has(TRIAL)
    log_all(again)
    assert again.has(TRIAL)


class Remembering:
    """A back end that remembers its calls, and fails where it is told to."""

    name = "remembering"
    failures = (ConnectionError,)

    def __init__(self, fails_at: str = "", known: tuple[str, ...] = (), says: str = "the server is gone") -> None:
        self.calls: list[tuple[str, Any]] = []
        self._fails_at, self._known, self._says = fails_at, known, says

    def _call(self, name: str, what: Any) -> None:
        if name == self._fails_at:
            raise ConnectionError(self._says)
        self.calls.append((name, what))

    def has(self, trial: LoggedTrial) -> bool:
        return trial.trial_id in self._known

    def begin(self, trial: LoggedTrial) -> None:
        self._call("begin", trial.number)

    def reading(self, trial: LoggedTrial, step: int, values: Any) -> None:
        self._call("reading", (trial.number, step))

    def end(self, trial: LoggedTrial, state: str, values: Any, picture: bytes | None) -> None:
        self._call("end", (trial.number, state, picture))

    def finish(self, finding: Finding) -> None:
        self._call("finish", finding)

    def close(self) -> None:
        self._call("close", None)


class Notes(SilentWatcher):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.ended: list[int] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def trial_ended(self, record: Any) -> None:
        self.ended.append(record.ask_number)


def play(watcher: LoggingWatcher) -> None:
    """Trial 3 runs here and ends."""
    config, record = ended(3, 10)
    watcher.trial_started(config)
    for reading in record.readings:
        watcher.reading(config, reading)
    watcher.trial_ended(record)


def test_a_trial_is_logged_while_it_runs_and_with_its_picture_at_the_end(tmp_path: Path) -> None:
    config, record = ended(3, 10)
    Store(str(tmp_path)).write(f"trials/{config.trial_id}/images.png", PNG)
    back_end, inner = Remembering(), Notes()
    play(LoggingWatcher(inner, [back_end], Store(str(tmp_path))))
    steps = [("reading", (3, reading.step)) for reading in record.readings]
    assert back_end.calls == [("begin", 3), *steps, ("end", (3, "finished", PNG))]
    assert inner.ended == [3]


def test_a_trial_of_an_earlier_search_is_logged_once(tmp_path: Path) -> None:
    config, record = ended(3, 10)
    lacks, knows = Remembering(), Remembering(known=(config.trial_id,))
    LoggingWatcher(Notes(), [lacks, knows], Store(str(tmp_path))).trial_ended(record)
    assert [name for name, _ in lacks.calls] == ["begin", *["reading"] * len(record.readings), "end"]
    assert knows.calls == []


def test_a_trial_whose_process_was_lost_goes_on_with_its_run(tmp_path: Path) -> None:
    back_end = Remembering()
    watcher = LoggingWatcher(Notes(), [back_end], Store(str(tmp_path)))
    watcher.trial_started(trial_config(3, 10))
    watcher.trial_started(trial_config(3, 10))
    assert back_end.calls == [("begin", 3)]


def test_a_back_end_that_fails_ends_its_own_log_and_not_the_search(tmp_path: Path) -> None:
    failing, other, inner = Remembering(fails_at="reading"), Remembering(), Notes()
    play(LoggingWatcher(inner, [failing, other], Store(str(tmp_path))))
    assert inner.notes == [
        "--log remembering failed, and nothing more is logged there: the server is gone. The search goes on; run it again with "
        "--log to log what is missing"
    ]
    assert [name for name, _ in failing.calls] == ["begin"]
    assert [name for name, _ in other.calls][-1] == "end"
    assert inner.ended == [3]


def test_a_password_in_the_words_of_a_back_end_that_fails_is_not_told(tmp_path: Path) -> None:
    """One that MLflow got by its environment variable, say."""
    failing, inner = Remembering(fails_at="begin", says="no answer from http://me:s3cret@mlflow:5000/api"), Notes()
    play(LoggingWatcher(inner, [failing], Store(str(tmp_path))))
    assert "nothing more is logged there: no answer from http://***@mlflow:5000/api." in inner.notes[0]


def test_the_finding_is_logged_with_the_curve_of_the_studys_records(by_hand: HandMade) -> None:
    back_end = Remembering()
    by_hand.trial(10)
    result = by_hand.result()
    LoggingWatcher(Notes(), [back_end], by_hand.study).finish(result)
    ((_, finding),) = back_end.calls
    assert finding.text.startswith(f"**{result.in_short}**: {result.reason}")
    assert {row["arm"] for row in finding.curve} == {"datadam"}
    assert json.loads(json.dumps(finding.curve)) == list(finding.curve)


def test_a_config_is_flat_and_has_no_empty_values() -> None:
    config = {"ipc": 5, "label": None, "method": {"name": "dm", "lr": 0.5, "kinds": ["a", "b"], "dsa": True}}
    assert flat(config) == {"ipc": 5, "method.name": "dm", "method.lr": 0.5, "method.kinds": '["a", "b"]', "method.dsa": True}


def test_a_number_that_is_not_finite_is_left_out() -> None:
    reading = Reading.model_construct(step=0, fraction=0.0, accuracy_fractions=(0.5,), gap=float("nan"), loss=None)
    assert values_of(reading) == {"accuracy_fraction": 0.5}


def test_no_rows_are_no_table() -> None:
    assert markdown_table([]) == ""


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    missing = {"tensorboard", "mlflow", "wandb"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in missing else found(name, *rest))


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
@pytest.mark.usefixtures("no_package")
def test_a_missing_package_is_named_with_the_line_that_installs_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"--log {name} needs the package {name}: pip install 'raydistill\[{name}\]'"):
        open_loggers([name], Store(str(tmp_path / "digits")))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_back_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown --log 'comet'; allowed: tensorboard, mlflow, wandb"):
        open_loggers(["comet"], Store(str(tmp_path)))


def test_a_back_end_is_given_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--log tensorboard is given 2 times"):
        open_loggers(["tensorboard", "tensorboard=runs"], Store(str(tmp_path)))


@pytest.mark.parametrize("target", ["http://me:s3cret@mlflow:5000", "http://mlflow:5000/?api_key=s3cret"])
def test_a_target_with_credentials_is_refused_without_repeating_them(target: str, tmp_path: Path) -> None:
    """The study would keep them with its command, and `status` would print them."""
    with pytest.raises(InputError, match=r"^--log mlflow=http://.* contains credentials, .* MLFLOW_TRACKING_PASSWORD") as caught:
        open_loggers([f"mlflow={target}"], Store(str(tmp_path / "digits")))
    assert "***" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_written_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match=r"--log tensorboard cannot write to .*runs/digits: .*file is not a folder"):
        open_loggers([f"tensorboard={tmp_path}/file/runs"], Store(str(tmp_path / "digits")))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("target", ["s3://bucket/tb", "file:///shared/tb"])
def test_a_uri_is_no_folder_for_tensorboard(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"--log tensorboard={target} is a URI; .* give a folder's path"):
        open_loggers([f"tensorboard={target}"], Store(str(tmp_path / "digits")))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("server", ["databricks", "databricks-uc"])
def test_a_server_that_mlflow_knows_by_a_word_is_no_folder(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(to_mlflow, "open_mlflow", lambda uri, _: opened.append(uri))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    open_loggers(["mlflow"], Store(str(tmp_path / "digits")))
    open_loggers([f"mlflow={server}"], Store(str(tmp_path / "digits")))
    open_loggers([f"mlflow={tmp_path}/{server}"], Store(str(tmp_path / "digits")))
    assert opened == [server, server, (tmp_path / server).as_uri()]


def test_a_study_in_an_object_store_needs_a_target() -> None:
    with pytest.raises(InputError, match=r"--log tensorboard writes into the study's folder, and memory://x/digits is no folder"):
        open_loggers(["tensorboard"], Store("memory://x/digits"))


def test_a_target_holds_a_folder_per_study(tmp_path: Path) -> None:
    (logger,) = open_loggers([f"tensorboard={tmp_path}/runs"], Store("memory://x/digits"))
    log_all(logger)
    assert (tmp_path / "runs" / "digits" / TRIAL.name / "ended").exists()


class Gone:
    """A client whose server does not answer."""

    def __init__(self, tracking_uri: str) -> None:
        self.uri = tracking_uri

    def get_experiment_by_name(self, name: str) -> Any:
        raise OSError(f"no answer from {self.uri}")


def test_a_server_of_mlflow_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    exceptions = SimpleNamespace(MlflowException=RuntimeError)
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(MlflowClient=Gone))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "mlflow.entities", SimpleNamespace(Metric=None, Param=None))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", exceptions)  # type: ignore[arg-type]
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    with pytest.raises(InputError, match=r"--log mlflow cannot write to http://there: no answer from http://there; give another"):
        open_mlflow("http://there", "digits")


def refuse() -> None:
    raise RuntimeError("no API key")


@pytest.mark.parametrize(
    ("login", "message"),
    [
        (lambda: False, "--log wandb: nobody is logged in; run wandb login, or set WANDB_MODE=offline"),
        (refuse, "--log wandb: no API key; run wandb login, or set WANDB_MODE=offline"),
    ],
)
def test_wandb_without_a_login_is_refused_before_the_search(
    login: Any, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(login=login, errors=SimpleNamespace(Error=RuntimeError)))  # type: ignore[arg-type]
    monkeypatch.delenv("WANDB_MODE", raising=False)
    with pytest.raises(InputError, match=message):
        open_wandb("project", "digits", tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert open_wandb("project", "digits", tmp_path).name == "wandb"


def test_a_target_that_is_a_folder_is_kept_with_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that continues is pasted in another folder."""
    monkeypatch.chdir(tmp_path)
    assert [whole_target(word) for word in ("tensorboard=runs", "mlflow=runs")] == [
        f"tensorboard={tmp_path}/runs",
        f"mlflow={tmp_path}/runs",
    ]
    for word in ("tensorboard", "mlflow=databricks", "mlflow=http://127.0.0.1:5000", "wandb=project"):
        assert whole_target(word) == word
