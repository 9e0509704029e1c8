"""Reports of `check` on this node's own disk, so that check, init, plan and search look at the same images once.

A report is kept under the hash of all that it depends on: every image's name, stamp, class, part and group, what else the listing
says, and the rules. Few images are looked at again each time.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from raydistill.data.own.cache import LEAST_IMAGES, bound_bytes
from raydistill.data.own.check import Tell, check
from raydistill.data.own.items import Listing
from raydistill.data.own.report import DataReport
from raydistill.spaces.sections import ImageFolderConfig
from raydistill.storage.node_cache import cache_folder
from raydistill.storage.store import Store

CHECK_VERSION = 1
"""Raised whenever a report says other things of the same images: kept reports of another version are not used."""


def checked(found: Listing, config: ImageFolderConfig, place: Path, *, is_size_proposed: bool, tell: Tell) -> DataReport:
    """The report of `check`, kept from an earlier call where nothing that it depends on has changed.

    Args:
        found: what the path holds.
        config: the rules by which the images are read.
        place: the path itself.
        is_size_proposed: as for `check`.
        tell: as for `check`; told nothing by a kept report.

    Raises:
        StoreError: the cache cannot be written.
    """
    if len(found.items) < LEAST_IMAGES or bound_bytes() == 0:
        return check(found, config, place, is_size_proposed=is_size_proposed, tell=tell)
    folder = Store(str(cache_folder() / "images" / "reports"))
    name = f"{_key(found, config, place, is_size_proposed=is_size_proposed)}.json"
    kept = folder.read_or_none(name)
    if kept is not None:
        with suppress(ValidationError):  # damaged, or of a version with other fields: made again
            return DataReport.model_validate_json(kept)
    report = check(found, config, place, is_size_proposed=is_size_proposed, tell=tell)
    folder.write(name, report.model_dump_json())
    return report


def _key(found: Listing, config: ImageFolderConfig, place: Path, *, is_size_proposed: bool) -> str:
    said = {
        "version": CHECK_VERSION,
        "config": config.model_dump(mode="json"),
        "place": str(place),
        "is_size_proposed": is_size_proposed,
        "layout": found.layout,
        "classes": found.class_names,
        "litter": dict(found.litter),
        "problems": [[problem.kind, problem.item, problem.text, problem.remedy] for problem in found.problems],
    }
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for item in found.items:
        digest.update(json.dumps([item.name, item.stamp, item.class_name, item.part, item.group]).encode())
    return digest.hexdigest()
