"""What a search does about damaged files before it goes on: it makes again what follows from other files, and refuses the rest.

Made again: a trial's `config.json` from its record, `baseline.json` from the files of its networks, a picture from its set, and a
trial whose record is gone. A damaged `confirmation.json` is removed. Nothing else is changed or removed.
"""

from __future__ import annotations

from collections.abc import Sequence

from raydistill.core.picture import set_png
from raydistill.core.synthetic import decode
from raydistill.errors import StoreError
from raydistill.methods import method_configs
from raydistill.search.watcher import Watcher
from raydistill.storage.baseline import BASELINE_FILE, read_baseline, read_networks
from raydistill.storage.layout import CONFIG_FILE, CONFIRMATION_FILE, PICTURE_FILE, RECORD_FILE, SET_FILE
from raydistill.storage.looks import looks_at
from raydistill.storage.manifest import (
    Damage,
    damages,
    is_of_the_end,
    read_manifest,
)
from raydistill.storage.record import config_of, read_record
from raydistill.storage.result import SearchResult, read_result
from raydistill.storage.store import Store

RECORD = f"/{RECORD_FILE}"
VERDICT = ("verdict", "smallest_lossless_ipc", "winner_trial_id", "confirmed_candidates")
"""Fields of a result that no search changes without a new trial."""


def repair_study(study: Store, watcher: Watcher) -> set[str]:
    """Make again what can be made again, and tell of each.

    Args:
        study: its folder, locked.
        watcher: receives a note for each repair.

    Returns:
        What the search that goes on makes anew, so that the manifest no longer holds for it (`manifest.forget`).

    Raises:
        StoreError: a file is damaged that nothing else holds; all of them are named.
    """
    looks_at(study)  # a damaged count is refused before anything is trained
    every = damages(study, None, every=True)
    _remove_confirmations(study, every, watcher)
    found = [damage for damage in every if not is_of_the_end(damage.name)]
    gone = {damage.name for damage in found if damage.is_gone}
    repaired = _write_configs_again(study, found, watcher)
    repaired |= _remove_spoilt_baseline(study, gone, watcher)
    repaired |= _draw_pictures_again(study, found, watcher)
    manifest = read_manifest(study)
    listed = () if manifest is None else manifest.files
    runs_again = {name.removesuffix(RECORD) for name in gone if name.endswith(RECORD)}
    # A search that was cut off after it had found a record gone may have taken no more than that out of the manifest.
    runs_again |= {
        _folder(name) for name in listed if name.startswith("trials/") and f"{_folder(name)}/{RECORD_FILE}" not in listed
    }
    left = []
    for damage in found:
        is_record = damage.name.endswith(RECORD)
        if damage.name in repaired or (_folder(damage.name) in runs_again and not is_record):
            continue
        if damage.is_gone:
            then = "its trial runs again" if is_record else "it is made again if the search needs it"
            watcher.note(f"{study.path(damage.name)} is gone: {then}")
        else:
            left.append(damage)
    if left:
        raise StoreError(
            f"{len(left)} files of {study.root} are not as the search left them:\n"
            + "\n".join(f"  {damage.in_words(study)}; {_remedy(damage.name)}" for damage in left)
        )
    return {
        *({damage.name for damage in found} - repaired),
        *(name for name in listed if _folder(name) in runs_again or is_of_the_end(name)),
        *(repaired & {BASELINE_FILE}),
    }


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _remedy(name: str) -> str:
    """What to do about a damaged file that nothing else holds."""
    if name.startswith("trials/") and name.endswith((RECORD, f"/{SET_FILE}")):
        return f"restore it, or delete {_folder(name)}/{RECORD_FILE}, and the trial runs again"
    return "restore it, or delete it, and the search makes it again if it needs it"


def check_result(before: SearchResult | None, now: SearchResult, study: Store) -> None:
    """Refuse a result that changes although no trial was added: then a file was changed that has no hash of itself.

    Args:
        before: the result in the study; None if there is none.
        now: the one that follows from its files.
        study: its folder.

    Raises:
        StoreError: they differ in what a new trial alone may change.
    """
    if before is None or _is_extended(before, now):
        return
    pairs = [(name, getattr(before, name), getattr(now, name)) for name in VERDICT]
    pairs += [("trials", _ended(before), _ended(now)), ("the winner's gap", _rounded(before), _rounded(now))]
    changed = [(name, was, is_now) for name, was, is_now in pairs if was != is_now]
    if changed:
        listed = ", ".join(f"{name} was {was!r} and is {is_now!r}" for name, was, is_now in changed)
        raise StoreError(
            f"{study.path('result.json')} would change without a new trial ({listed}), so a record, a baseline or a confirmation "
            "was changed after the search ended: restore the study's files, or delete result.json to take the new result"
        )


def looks_before(before: SearchResult | None, now: SearchResult, looks: Sequence[int]) -> int:
    """How often the confirm images of a study have been looked at before, with fewer trials.

    Args:
        before: the result in the study; None if there is none, or a damaged one.
        now: the one that follows from its files.
        looks: how many trials had ended at each look, as far as they are noted.
    """
    of_results = 0 if before is None else before.earlier_looks + int(before.has_looked and _is_extended(before, now))
    return max(of_results, sum(ended < now.ended_trials for ended in looks))


def _is_extended(before: SearchResult, now: SearchResult) -> bool:
    """Whether trials have ended since; one whose process was lost adds no seconds."""
    return before.seconds != now.seconds or before.ended_trials < now.ended_trials


def _ended(result: SearchResult) -> dict[str, int]:
    """Trials by state; those that crashed may come and go, because they run again."""
    return {state: count for state, count in result.trials.items() if state != "crashed"}


def _rounded(result: SearchResult) -> float | None:
    """The gap on the confirm images, to a millionth, because another machine may differ in the last bits."""
    return None if result.gap_interval is None else round(result.gap_interval.gap, 6)


def result_or_none(study: Store) -> SearchResult | None:
    """The result in a study; None where there is none, or where it is damaged, because the search writes it again."""
    try:
        return read_result(study)
    except StoreError:
        return None


def _write_configs_again(study: Store, found: Sequence[Damage], watcher: Watcher) -> set[str]:
    """Write each trial's config again that is gone or changed and that its record holds; returns their files."""
    written = set()
    for name in sorted(damage.name for damage in found if damage.name.endswith(f"/{CONFIG_FILE}")):
        kind, trial_id, _ = name.split("/")
        record = read_record(study, trial_id) if kind == "trials" else None
        config = config_of(study, trial_id, record, method_configs()) if record is not None else None
        if config is not None:
            study.write(name, config.to_file())
            watcher.note(f"{study.path(name)} was gone or damaged: it is written again from the trial's record")
            written.add(name)
    return written


def _remove_spoilt_baseline(study: Store, gone: set[str], watcher: Watcher) -> set[str]:
    """Remove a damaged summary of the baseline, or one whose networks are gone, so that it is built again; returns its file."""
    is_whole = not any(name.startswith("baseline/network-") for name in gone)
    try:
        read_baseline(study)
    except StoreError as error:
        read_networks(study)
        watcher.note(str(error).partition("; ")[0] + ": it is built again from its networks")
        is_whole = False
    if is_whole:
        return set()
    study.delete(BASELINE_FILE)
    return {BASELINE_FILE}


def _remove_confirmations(study: Store, found: Sequence[Damage], watcher: Watcher) -> None:
    """Remove what a damaged `confirmation.json` says: it follows from the answers beside it, and nobody reads it."""
    for name in sorted(damage.name for damage in found if damage.name.endswith(f"/{CONFIRMATION_FILE}")):
        study.delete(name)
        watcher.note(f"{study.path(name)} was gone or damaged: it is made again if the search confirms its trial")


def _draw_pictures_again(study: Store, found: Sequence[Damage], watcher: Watcher) -> set[str]:
    """Draw each picture again that is gone or changed and whose set is intact; returns their files."""
    drawn = set()
    spoilt = {damage.name for damage in found}
    for name in sorted(spoilt):
        folder = name.removesuffix(f"/{PICTURE_FILE}")
        data = None if folder == name or f"{folder}/{SET_FILE}" in spoilt else study.read_or_none(f"{folder}/{SET_FILE}")
        if data is None:
            continue
        synthetic, manifest = decode(data)
        study.write(name, set_png(synthetic, manifest.preprocess))
        watcher.note(f"{study.path(name)} was gone or damaged: it is drawn again from the trial's set")
        drawn.add(name)
    return drawn
