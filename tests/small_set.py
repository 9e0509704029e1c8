"""A small set of digits in a folder, and protocols run on it in this process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from raydistill.catalogue import load_space
from raydistill.core.synthetic import Manifest, SyntheticSet, hard_labels
from raydistill.data.splits import load_splits
from raydistill.sets.distilling import only_trial
from raydistill.sets.set_file import write_set
from raydistill.storage.store import Store

from hand_made import FIXED, SMALL  # isort: skip


def write_small_set(
    folder: Path, labels: torch.Tensor | None = None, *overrides: str, fixed: Sequence[str] = tuple(FIXED), ipc: int = 3
) -> str:
    """Three images of each digit (or `ipc`), evaluated with a ConvNet-2 of width 8; returns the folder."""
    config = only_trial(load_space(SMALL, [*fixed, *overrides], None, for_search=False), None)
    splits = load_splits(config.dataset)
    hard = hard_labels(10, ipc)
    images = torch.cat([splits.train.images[splits.train.labels == c][:ipc] for c in range(10)])
    synthetic = SyntheticSet(images=images, labels=hard if labels is None else labels, ipc=ipc)
    about: dict[str, Any] = json.loads(config.canonical_json())
    manifest = Manifest(preprocess=splits.preprocess, class_names=splits.class_names, config=about, code_sha256="c" * 64)
    write_set(synthetic, manifest, Store(str(folder)))
    return str(folder)
