"""Reads a study whole: every record that can be read, and a note for each that cannot.

Unlike `tables.read_study`, one damaged record among many is no error here: it is left out, and `Study.left_out` names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import ConfigDict, Field, ValidationError

from raydistill.errors import StoreError
from raydistill.report.study import Study, Trial, arm_of, controls_of
from raydistill.spaces.bounded import read_json, read_yaml
from raydistill.spaces.sections import Config, EvaluationConfig, GoalConfig
from raydistill.storage.baseline import read_baseline
from raydistill.storage.given import given_or_damage
from raydistill.storage.layout import CONFIG_FILE, RECORD_FILE, SPACE_FILE, trial_file
from raydistill.storage.lock import holder_of, searcher
from raydistill.storage.manifest import damages
from raydistill.storage.record import read_progress, read_record
from raydistill.storage.result import read_result
from raydistill.storage.store import Store


class _Name(Config):
    model_config = ConfigDict(extra="ignore")

    name: str


class _Read(Config):
    """What is read of a trial's config here and by whoever shows it; its other fields may be of another version."""

    model_config = ConfigDict(extra="ignore")

    ask_number: int
    ipc: int = Field(ge=1)
    dataset: _Name
    method: _Name
    goal: GoalConfig
    evaluation: EvaluationConfig


def read_whole(store: Store) -> Study:
    """A study with everything in it that can be read.

    Raises:
        StoreError: the folder holds no study, or its space, its baseline or its result is damaged or of another version.
    """
    space = _read_space(store)
    controls = controls_of(space)
    asked: list[Trial] = []
    left_out: list[str] = []
    for trial_id in store.at("trials").folders("."):
        try:
            trial = _read_trial(store, trial_id, controls)
        except StoreError as error:
            left_out.append(str(error))
        else:
            asked += [] if trial is None else [trial]
    result = read_result(store)
    given, not_given = given_or_damage(store)
    return Study(
        store=store,
        space=space,
        asked=tuple(sorted(asked, key=lambda trial: trial.ask_number)),
        baseline=read_baseline(store),
        result=result,
        holder=searcher(holder_of(store)),
        given=given,
        left_out=(*left_out, *not_given),
        changed=damages(store, result.winner_trial_id if result else None, every=False),
    )


def _read_space(store: Store) -> Mapping[str, Any]:
    data = store.read_or_none(SPACE_FILE)
    if data is None:
        raise StoreError(f"{store.root} holds no study (no {SPACE_FILE}); give the folder <store>/<study> of a search")
    try:
        space, _ = read_yaml(data)
    except yaml.YAMLError as error:
        cause = " ".join(str(error).split())
        raise StoreError(f"{store.path(SPACE_FILE)} is damaged ({cause}); restore it, or start a new study") from error
    if not isinstance(space, dict) or not isinstance(space.get("dataset"), dict):
        raise StoreError(f"{store.path(SPACE_FILE)} is damaged (no section dataset); restore it, or start a new study")
    return space


def _read_trial(store: Store, trial_id: str, controls: frozenset[str]) -> Trial | None:
    """A trial; None for a folder that holds none yet.

    Raises:
        StoreError: its record or its config is damaged.
    """
    record = read_record(store, trial_id)
    config = record.config if record is not None else _read_config(store, trial_id)
    if config is None:
        return None
    try:
        _Read.model_validate(config)
    except ValidationError as error:
        first = error.errors()[0]
        file = store.path("trials", trial_id, CONFIG_FILE if record is None else RECORD_FILE)
        cause = f"its config: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise StoreError(f"{file} is damaged ({cause}); delete the trial's folder to run the trial again") from error
    progress = None if record is not None else read_progress(store, trial_id)
    return Trial(trial_id=trial_id, config=config, is_control=arm_of(config) in controls, record=record, progress=progress)


def _read_config(store: Store, trial_id: str) -> dict[str, Any] | None:
    name = trial_file(trial_id, CONFIG_FILE)
    data = store.read_or_none(name)
    if data is None:
        return None
    try:
        config = read_json(data)
    except ValueError as error:
        raise StoreError(f"{store.path(name)} is damaged ({error}); delete the trial's folder to run the trial again") from error
    if not isinstance(config, dict):
        raise StoreError(f"{store.path(name)} is damaged (no section); delete the trial's folder to run the trial again")
    return config
