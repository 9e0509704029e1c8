"""The card of an exported set: `README.md` in the form that Hugging Face reads, with the finding, the licence and the making."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from raydistill.core.synthetic import Manifest, SyntheticSet, tiles_in_words
from raydistill.data.licences import LICENCES, Licence
from raydistill.data.preprocess import Standardise
from raydistill.sets.eight_bit import Loss
from raydistill.sets.place import study_around
from raydistill.spaces.network_names import network_text
from raydistill.spaces.trial import TrialConfig
from raydistill.spaces.units import looked_before
from raydistill.storage.record import TrialRecord, read_record, versions
from raydistill.storage.result import read_result

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""Images below which a set has the category that Hugging Face gives to its size."""


def write_card(
    folder: Path,
    set_file: str,
    synthetic: SyntheticSet,
    manifest: Manifest,
    config: TrialConfig[Any],
    note: str,
    loss: Loss | None,
) -> None:
    """Write `README.md` into an export.

    Args:
        folder: of the export.
        set_file: path of the set; where it lies in a study, the card has the study's finding.
        synthetic: the set.
        manifest: of the set.
        config: of its trial.
        note: what was rounded and clipped.
        loss: what that costs in accuracy; None if it was not measured.
    """
    licence = LICENCES[config.dataset.name]
    title = f"{config.dataset.name}, {synthetic.ipc} images per class, {_made_by(config)}"
    finding, record = _found(set_file, config)
    sections = {
        "What was found": finding,
        "8-bit pixels": f"{note[0].upper()}{note[1:]}.\n\n{_exact(loss)}",
        "What is in it": _contents(synthetic, manifest),
        "How it was made": _making(manifest, config, record),
        "Licence of the source data": f"{licence.words} ({licence.source}). The images derive from them.",
    }
    body = "\n".join(f"## {name}\n\n{text}\n" for name, text in sections.items())
    header = yaml.safe_dump(_header(title, licence, synthetic), sort_keys=False, allow_unicode=True)
    (folder / "README.md").write_text(f"---\n{header}---\n\n# {title}\n\n{body}", encoding="utf-8")


def _header(title: str, licence: Licence, synthetic: SyntheticSet) -> dict[str, Any]:
    size = next((name for limit, name in SIZES if len(synthetic.decoded().images) < limit), "1M<n<10M")
    named = {"license_name": "see-the-card", "license_link": licence.source} if licence.name == "other" else {}
    return {
        "license": licence.name,
        **named,
        "pretty_name": title,
        "task_categories": ["image-classification"],
        "size_categories": [size],
        "tags": ["dataset-distillation", "raydistill"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}],
    }


def _made_by(config: TrialConfig[Any]) -> str:
    name = config.method.name
    return "imported from a published file" if name == "imported" else f"made by {config.arm}"


def _found(set_file: str, config: TrialConfig[Any]) -> tuple[str, TrialRecord | None]:
    """What a search says about the set, and the record of its trial."""
    study = study_around(set_file)
    if study is None:
        return "The set was not found by a search, so nothing is claimed about it beside the accuracy below.", None
    record, result = read_record(study, config.trial_id), read_result(study)
    if result is None:
        return "The set is of a search that has not ended, so nothing is claimed about it yet.", record
    if result.winner_trial_id != config.trial_id:
        winner = result.winner_trial_id or "no set"
        return (
            f"The set is of a search that named another as the smallest lossless one ({winner}), so nothing is claimed about it "
            f"beside the accuracy below. Its trial is {config.trial_id}."
        ), record
    finding = "" if result.finding is None else f"\n\nThe race against real images: {result.finding.sentence}."
    finding += f"\n\nNote: {looked_before(result.earlier_looks)}." if result.earlier_looks else ""
    return (
        f"{result.verdict.replace('_', ' ').capitalize()}: {result.reason}.{finding}\n\nBoth are about the set as it is stored, "
        "with pixels that are not rounded or clipped, under the recipe below."
    ), record


def _exact(loss: Loss | None) -> str:
    how = "" if loss is None else f"Network {loss.network}, recipe {loss.recipe}; every number is in `about.json`. "
    return f"{how}The exact values are not in here; `raydistill export --format npz` writes them."


def _contents(synthetic: SyntheticSet, manifest: Manifest) -> str:
    seen = synthetic.decoded()
    channels, height, width = seen.images.shape[1:]
    lines = [
        f"{len(seen.images)} images of {height}x{width} pixels, {'grey' if channels == 1 else 'colour'}, in "
        f"{len(manifest.class_names)} classes:",
        "",
        "- `image`: the image, ordered by class",
        "- `label`: its class",
    ]
    if synthetic.label_kind == "soft":
        lines.append("- `logits`: its soft label; train on their softmax, not on `label`")
    if synthetic.factor != 1:
        lines += ["", f"In the study {tiles_in_words(synthetic)}. Here they are enlarged already."]
    if synthetic.learned_lr is not None:
        lines += ["", f"Train a network with the learning rate {synthetic.learned_lr:g}, which was learned with the images."]
    preprocess = manifest.preprocess
    if isinstance(preprocess, Standardise):
        mean, std = (", ".join(f"{value:.4f}" for value in values) for values in (preprocess.mean, preprocess.std))
        lines += ["", f"Standardise with mean {mean} and standard deviation {std}, of pixels from 0 to 1."]
    else:
        lines += ["", f"The accuracies are of networks on images whitened with the ZCA matrices {preprocess.key[:12]}."]
    load = 'from datasets import load_dataset\n\ntrain = load_dataset("path/of/this/folder", split="train")'
    return "\n".join([*lines, "", "```python", load, "```"])


def _making(manifest: Manifest, config: TrialConfig[Any], record: TrialRecord | None) -> str:
    commit = None if record is None else record.commit
    code = f"code {manifest.code_sha256[:12]}" + ("" if commit is None else f", commit {commit}")
    return (
        f"Data set {config.dataset.name}, network {network_text(config.network)}, recipe {config.evaluation.recipe}; raydistill "
        f"{versions().get('raydistill', 'without a version')}, {code}. The whole configuration:\n\n```json\n"
        f"{json.dumps(without_path(manifest.config), indent=2)}\n```"
    )


def without_path(config: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's config without the path of the data on its owner's machine, which is no one else's business."""
    return {**config, "dataset": {name: value for name, value in config["dataset"].items() if name != "path"}}
