"""Checks whether a study may be continued: it must have the same space, the same data and the same code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from raydistill.errors import StoreError, StudyMismatchError
from raydistill.search.distributions import complete_document
from raydistill.spaces.bounded import read_yaml
from raydistill.spaces.document import label_of
from raydistill.spaces.sections import SearchConfig
from raydistill.spaces.space import SearchSpace
from raydistill.storage.baseline import read_baseline, read_networks
from raydistill.storage.layout import SPACE_FILE
from raydistill.storage.record import code_sha256, read_trials
from raydistill.storage.store import Store

MAY_CHANGE = (
    *(f"budget.{name}" for name in ("trials", "hours", "gpu_hours", "trial_hours", "silence_minutes")),
    "resources.max_concurrent_trials",
    "dataset.path",
)
"""Keys on which no trial depends. (The data behind `dataset.path` is checked by its hash.)"""
SECTIONS = ("study", "seed", "dataset", "network", "ipc", "evaluation", "goal", "budget", "resources")
"""Sections of every stored space, beside `method` or `methods`; `controls` and `search` are not in those of older versions."""


def as_started(space: SearchSpace, study: Store) -> SearchSpace:
    """The space, without its default controls where the study was started by a version that had none."""
    is_older = study.exists(SPACE_FILE) and "controls" not in stored_document(study)
    return space if space.are_controls_given or not is_older else space.without_controls()


def check_resumable(space: SearchSpace, study: Store, *, data_sha256: str, accept_code_change: bool) -> None:
    """Check that the files of a study were made with this space, this data and this code.

    Raises:
        StudyMismatchError: they were made with others.
        StoreError: a file of the study is damaged.
    """
    if study.exists(SPACE_FILE):
        _check_space(space, study)
    trials = read_trials(study, {arm.method: arm.method_config for arm in space.arms})
    networks = read_networks(study)
    used = {config.data_sha256 for config, _ in trials} | {network.data_sha256 for network in networks if network.data_sha256}
    other_data = used - {data_sha256}
    if other_data:
        raise StudyMismatchError(
            f"study {study.root} was started on data with hash {other_data.pop()[:12]}, but data set "
            f"{space.shared['dataset']['name']} now has {data_sha256[:12]}: restore the original data, or give the new search "
            "another name (study: ...)"
        )
    baseline = read_baseline(study)
    written = [record.code_sha256 for _, record in trials if record is not None]
    written += [network.code_sha256 for network in networks if network.code_sha256]
    written += [baseline.code_sha256] if baseline is not None else []
    other_code = [code for code in written if code != code_sha256()]
    if other_code and not accept_code_change:
        raise StudyMismatchError(
            f"study {study.root} has {len(other_code)} records of another version of the code (hash {other_code[0][:12]}, now "
            f"{code_sha256()[:12]}), but a study must use one version: go back to that version, give the new search another name "
            "(study: ...), or mix versions with --accept-code-change"
        )


def stored_document(study: Store) -> dict[str, Any]:
    """The search space that a study was started with, with all defaults written out.

    Raises:
        StoreError: the file is damaged.
    """
    try:
        stored, _ = read_yaml(study.read(SPACE_FILE))
    except FileNotFoundError as error:
        raise StoreError(f"{study.root} holds no study (no {SPACE_FILE}); give the folder <store>/<study> of a search") from error
    except yaml.YAMLError as error:
        raise StoreError(f"{study.path(SPACE_FILE)} is damaged ({error}); restore it, or start a new study") from error
    if not isinstance(stored, dict):
        raise StoreError(f"{study.path(SPACE_FILE)} is damaged (not a mapping); restore it, or start a new study")
    lacking = [section for section in SECTIONS if section not in stored]
    lacking += [] if {"method", "methods"} & set(stored) else ["method"]
    if lacking:
        raise StoreError(f"{study.path(SPACE_FILE)} is damaged (lacks {', '.join(lacking)}); restore it, or start a new study")
    return stored


def _check_space(space: SearchSpace, study: Store) -> None:
    # A study of an older version has no controls, and its trials were chosen by the law.
    stored = {"controls": [], "search": SearchConfig().model_dump(mode="json"), **stored_document(study)}
    changes = list(differences(stored, complete_document(space)))
    if changes:
        raise StudyMismatchError(
            "\n".join(
                [
                    f"study {study.root} was started with a different search space:",
                    *(f"  {change}" for change in changes),
                    f"Only {', '.join(MAY_CHANGE[:-1])} and {MAY_CHANGE[-1]} may change: restore the old values, or give the "
                    "new search another name (study: ...)",
                ]
            )
        )


def differences(stored: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    """One line per key that differs, with the old and the new value."""
    old, new = dict(_leaves(stored)), dict(_leaves(given))
    for key in sorted(old.keys() | new.keys()):
        if key not in MAY_CHANGE and old.get(key) != new.get(key):
            was, now = (json.dumps(side[key]) if key in side else "not given" for side in (old, new))
            yield f"{key}: was {was}, is now {now}"


def _leaves(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value); a range counts as one value."""
    for key, value in document.items():
        path = f"{prefix}{key}"
        if path == "resources.gpus_per_trial":
            # A trial depends on whether it uses a GPU, but not on how many trials share one.
            yield f"{path} above 0", value > 0
        elif isinstance(value, Mapping) and not {"low", "choices"} & set(value):
            yield from _leaves(value, f"{path}.")
        elif key in ("methods", "controls") and isinstance(value, list):
            for section in value:
                yield from _leaves(section, f"{path}.{label_of(section)}.")
        else:
            yield path, value
