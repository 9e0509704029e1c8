"""Opens the back ends that `--log` names, before a search begins."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from raydistill.errors import InputError
from raydistill.report.loggers.logger import Logger
from raydistill.spaces.paths import given_path
from raydistill.storage.remote import without_credentials
from raydistill.storage.store import Store

PACKAGES = {"tensorboard": "tensorboard", "mlflow": "mlflow", "wandb": "wandb"}
"""Back end to the package it needs; the extra has the back end's name."""

FOLDERS = {"tensorboard": "tensorboard", "mlflow": "mlruns"}
"""Folder in the study's own, without a target."""

NAMED_SERVERS = ("databricks", "databricks-uc")
"""Servers that MLflow knows by a word, which is no folder."""


def open_loggers(asked: Sequence[str], study: Store) -> list[Logger]:
    """The back ends, ready to write.

    Args:
        asked: a name of `BACK_ENDS` each, or `name=target`; see `docs/report.md` for the targets.
        study: the study's folder, below which a back end without a target writes.

    Raises:
        InputError: a back end is unknown, named twice or not installed, or its target has credentials, is of another kind, or
            cannot be written.
    """
    for word in asked:
        if without_credentials(word) != word:
            raise InputError(
                f"--log {without_credentials(word)} contains credentials, but the study keeps its command: remove them, and set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the environment, or MLFLOW_TRACKING_URI to the whole "
                "target and give --log mlflow alone"
            )
    names = [word.partition("=")[0] for word in asked]
    for name in names:
        if name not in BACK_ENDS:
            raise InputError(f"unknown --log {name!r}; allowed: {', '.join(BACK_ENDS)}, or one of them with =TARGET")
        if names.count(name) > 1:
            raise InputError(f"--log {name} is given {names.count(name)} times; a study has one log there: give it once")
        if importlib.util.find_spec(PACKAGES[name]) is None:
            raise InputError(f"--log {name} needs the package {PACKAGES[name]}: pip install 'raydistill[{name}]'")
    return [BACK_ENDS[name](word.partition("=")[2] or None, study) for name, word in zip(names, asked, strict=True)]


def whole_target(asked: str) -> str:
    """A word of `--log`; a target that is a folder has its whole path, which holds in every folder."""
    name, mark, target = asked.partition("=")
    is_folder = name in FOLDERS and target and "://" not in target and not (name == "mlflow" and target in NAMED_SERVERS)
    return f"{name}{mark}{given_path(target).absolute()}" if is_folder else asked


def _tensorboard(target: str | None, study: Store) -> Logger:
    if target and "://" in target:
        raise InputError(
            f"--log tensorboard={target} is a URI; TensorBoard's files are written to a folder: give a folder's path"
        )
    folder = given_path(target) / _name(study) if target else _local(study, "tensorboard", "runs")
    _check_writable(folder, "tensorboard")
    from raydistill.report.loggers.to_tensorboard import TensorBoardLogger

    return TensorBoardLogger(folder)


def _mlflow(target: str | None, study: Store) -> Logger:
    uri = target or os.environ.get("MLFLOW_TRACKING_URI") or _local(study, "mlflow", "http://127.0.0.1:5000").absolute().as_uri()
    if uri.startswith("file://") or ("://" not in uri and uri not in NAMED_SERVERS):
        folder = given_path(uri.removeprefix("file://")).absolute()
        _check_writable(folder, "mlflow")
        uri = folder.as_uri()
    from raydistill.report.loggers.to_mlflow import open_mlflow

    return open_mlflow(uri, _name(study))


def _wandb(target: str | None, study: Store) -> Logger:
    folder = Path(os.environ.get("WANDB_DIR") or (study.local_path(".") if study.is_local else "."))
    _check_writable(folder, "wandb")
    from raydistill.report.loggers.to_wandb import open_wandb

    return open_wandb(target or os.environ.get("WANDB_PROJECT") or "raydistill", _name(study), folder)


BACK_ENDS: dict[str, Callable[[str | None, Store], Logger]] = {"tensorboard": _tensorboard, "mlflow": _mlflow, "wandb": _wandb}
"""Name to what opens it, with its target and the study's folder."""


def _name(study: Store) -> str:
    return study.root.rstrip("/").rpartition("/")[2]


def _local(study: Store, name: str, example: str) -> Path:
    if not study.is_local:
        raise InputError(
            f"--log {name} writes into the study's folder, and {study.root} is no folder of this machine: give a target, as in "
            f"--log {name}={example}"
        )
    return study.local_path(FOLDERS[name])


def _check_writable(folder: Path, name: str) -> None:
    """Refuse a target that cannot be written, without leaving anything there.

    Raises:
        InputError: the folder, or the nearest one above it that exists, cannot be written.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise InputError(
            f"--log {name} cannot write to {folder}: {there} is not a folder that can be written; give another target"
        )
