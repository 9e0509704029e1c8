"""The expert sets in a store: listing them with the studies that use them, and deleting unused ones."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, ValidationError

from raydistill.core.expert_fields import ExpertSettings
from raydistill.errors import StoreError
from raydistill.experts.files import read_row, there
from raydistill.experts.need import FOLDER, ExpertNeed
from raydistill.spaces.sections import Config
from raydistill.storage.layout import SPACE_FILE
from raydistill.storage.lock import study_lock
from raydistill.storage.record import code_sha256
from raydistill.storage.store import Store


class ExpertSet(Config):
    """A set of experts in the store, as `raydistill experts list` shows it."""

    key: str
    dataset: str
    network: str
    experts: int
    epochs: int
    snapshots: int
    """Number of snapshots of all experts."""
    size_bytes: int
    seconds: float
    """Total training time."""
    train_accuracy_fraction: float | None
    """Mean over the experts after their last epoch."""
    filtered: bool
    """Whether a curriculum selected their training images."""
    other_code: bool
    """Whether another version of the code trained some of them."""
    studies: tuple[str, ...] = Field(strict=False)
    """Existing studies that use the set."""


def list_sets(store: Store) -> list[ExpertSet]:
    """The expert sets in a store, sorted by key.

    Raises:
        StoreError: a file of a set is damaged.
    """
    return [_describe(store, key) for key in _keys(store)]


def prune_sets(store: Store, keys: Sequence[str] = ()) -> list[str]:
    """Delete expert sets, by default those that no existing study uses; returns their keys.

    Raises:
        StoreError: there is no set with a given key.
        StudyInUseError: a set is being built.
    """
    found = _keys(store)
    unknown = [key for key in keys if key not in found]
    if unknown:
        raise StoreError(
            f"no experts with key {unknown[0]} in {store.path(FOLDER)}; existing keys: {', '.join(found) or 'none'}: give one of "
            "these, or no key"
        )
    chosen = list(keys) or [key for key in found if not _studies(store, key)]
    for key in chosen:
        with study_lock(store.at(FOLDER, key), wait_seconds=0):
            store.delete_folder(f"{FOLDER}/{key}")
    return chosen


def note_use(need: ExpertNeed, store: Store, study: str | None) -> None:
    """Write the settings of an expert set, and that a study uses it."""
    folder = store.at(FOLDER, need.settings.key)
    folder.write("settings.json", need.settings.model_dump_json(indent=2) + "\n")
    if study is not None:
        folder.write_json(f"uses/{study}.json", {"study": study, "experts": need.count, "epochs": sorted(need.kept)})


def _keys(store: Store) -> list[str]:
    return [key for key in store.folders(FOLDER) if store.exists(f"{FOLDER}/{key}/settings.json")]


def _studies(store: Store, key: str) -> tuple[str, ...]:
    names = [name.removesuffix(".json") for name in store.files(f"{FOLDER}/{key}/uses")]
    return tuple(name for name in names if store.exists(f"{name}/{SPACE_FILE}"))


def _describe(store: Store, key: str) -> ExpertSet:
    folder = f"{FOLDER}/{key}"
    try:
        settings = ExpertSettings.model_validate_json(store.read(f"{folder}/settings.json"))
    except ValidationError as error:
        cause = error.errors()[0]["msg"]
        raise StoreError(
            f"{store.path(folder)} is damaged, or was written by another version ({cause}); delete it: raydistill experts prune "
            f"{key}"
        ) from error
    names = [name.removesuffix(".json") for name in store.files(folder) if name.endswith(".json") and name != "settings.json"]
    rows = {name: there(read_row(store, f"{folder}/{name}"), name) for name in names}
    experts = [row for name, row in rows.items() if name.startswith("expert")]
    accuracies = [row.train_accuracy_fraction for row in experts if row.train_accuracy_fraction is not None]
    return ExpertSet(
        key=key,
        dataset=settings.dataset["name"],
        network=settings.network.name,
        experts=len(experts),
        epochs=settings.epochs,
        snapshots=sum(len(row.epochs) for row in experts),
        size_bytes=sum(row.bytes for row in rows.values()),
        seconds=sum(row.seconds for row in rows.values()),
        train_accuracy_fraction=sum(accuracies) / len(accuracies) if accuracies else None,
        filtered=settings.curriculum is not None,
        other_code=any(row.code_sha256 != code_sha256() for row in rows.values()),
        studies=_studies(store, key),
    )
