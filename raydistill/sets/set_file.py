"""Writes the file of a set, and reads it back checked: its hash, its config, and the data that it was made from."""

from __future__ import annotations

import json
from typing import Any

from raydistill.catalogue import find_file
from raydistill.core.picture import set_png
from raydistill.core.synthetic import Manifest, SyntheticSet, decode, encode, sha256
from raydistill.data.splits import Splits, load_splits, splits_of
from raydistill.errors import InputError
from raydistill.methods import method_configs
from raydistill.search.winner import Winner
from raydistill.sets.class_order import check_same_classes
from raydistill.spaces.sections import ImportedConfig
from raydistill.spaces.trial import TrialConfig, read_trial_config
from raydistill.storage.data_root import DataRoot
from raydistill.storage.layout import PICTURE_FILE, RECORD_FILE, SET_FILE, WINNER_FILE, WINNER_FOLDER
from raydistill.storage.record import TrialRecord
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored


def write_set(synthetic: SyntheticSet, manifest: Manifest, folder: Store) -> tuple[str, str]:
    """Like `save_set`, for any set and manifest."""
    folder.write(SET_FILE, encode(synthetic, manifest))
    folder.write(PICTURE_FILE, set_png(synthetic, manifest.preprocess))
    return folder.path(SET_FILE), folder.path(PICTURE_FILE)


def read_set_file(path: str) -> tuple[SyntheticSet, TrialConfig[Any]]:
    """The set in an `images.safetensors`, or in a folder that contains one, and its config.

    Raises:
        InputError: there is no such file, or it is damaged.
    """
    synthetic, _, config = read_whole_set_file(path)
    return synthetic, config


def read_set_with_data(path: str, data_root: DataRoot) -> tuple[SyntheticSet, TrialConfig[Any], Splits]:
    """A saved set, its config and the splits of its data.

    Raises:
        InputError: there is no such file, it is damaged, or its classes are not those of the data.
        DataError: the data is missing, or not the data that the set was made from.
    """
    synthetic, manifest, config = read_whole_set_file(path)
    check_same_classes(manifest.class_names, load_splits(config.dataset, data_root).class_names, path)
    return synthetic, config, splits_of(config, data_root)


def read_whole_set_file(path: str) -> tuple[SyntheticSet, Manifest, TrialConfig[Any]]:
    """Like `read_set_file`, with the manifest.

    Raises:
        InputError: there is no such file, or it is damaged.
    """
    folder, name = find_file(path, SET_FILE)
    try:
        data = folder.read(name)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise InputError(
            f"no set at {folder.path(name)}; give an images.safetensors, or the folder of a finished trial; a "
            "study has a folder `winner` once its search has found one"
        ) from error
    if (said := _recorded_sha256(folder)) is not None and said != sha256(data):
        raise InputError(
            f"{folder.path(name)} was changed after it was written: its hash is {sha256(data)[:12]}, the file beside it says "
            f"{said[:12]}; restore it, or run the search again, which says what to do"
        )
    try:
        synthetic, manifest = decode(data)
        methods: dict[str, type[Any]] = {**method_configs(), "imported": ImportedConfig}
        return synthetic, manifest, read_trial_config(json.dumps(manifest.config), methods)
    except ValueError as error:
        raise InputError(f"{folder.path(name)}: {error}") from error


def _recorded_sha256(folder: Store) -> str | None:
    """The hash of the set that a record, or the file that names the winner, says lies in a folder; None where neither does."""
    remedy = "restore it, or run the search again, which says what to do"
    if folder.root.rstrip("/").rpartition("/")[2] == WINNER_FOLDER:
        winner = read_stored(folder.parent, WINNER_FILE, Winner, remedy)
        return None if winner is None else winner.images_sha256
    record = read_stored(folder, RECORD_FILE, TrialRecord, remedy)
    return None if record is None else record.images_sha256
