"""A race written by hand, of as many trials as wanted: two methods and two controls, accuracy rising with IPC by a rule.

Full data: two networks that get 196 of 200 select images right, 98 %. Margin 3 points. A trial of arm a at IPC k gets
98 % minus b_a / sqrt(k) right, with b 10 points for dm, 20 for datadam, 30 for k_means, 40 for random. Trial n begins n minutes
after midnight and takes 30 seconds.
"""

from __future__ import annotations

import io
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from raydistill.spaces.trial import trial_id_of
from raydistill.storage.record import pack_bits
from raydistill.storage.result import Finding

IMAGES = 200
LOSS = {"datadam": 0.20, "dm": 0.10, "random": 0.40, "k_means": 0.30}
"""Gap at IPC 1."""
IPCS = (1, 2, 3, 5, 8, 10, 13, 20, 29, 40, 60, 100, 160, 250, 400)
SPACE: dict[str, Any] = {
    "study": "by-hand-race",
    "seed": 7,
    "dataset": {"name": "digits"},
    "network": {"name": "convnet"},
    "evaluation": {"recipe": "plain", "networks": 2},
    "ipc": {"low": 1, "high": 400, "log": True},
    "goal": {"margin_fraction": 0.03, "confidence": 0.95},
    "budget": {"trials": 16},
    "resources": {},
    "methods": [
        {"name": "datadam", "lr_images": {"low": 0.1, "high": 10.0, "log": True}, "init": {"choices": ["real", "noise"]}},
        {"name": "dm", "lr_images": {"low": 0.1, "high": 10.0, "log": True}},
    ],
    "controls": [{"name": "random"}, {"name": "k_means"}],
}


def bits(right: int) -> str:
    """A network that gets the first so many of 200 images right."""
    return pack_bits(np.arange(IMAGES)[None] < right)[0]


def arm_and_ipc(number: int) -> tuple[str, int]:
    """The arms in turn, the IPCs in turn."""
    return list(LOSS)[number % len(LOSS)], IPCS[(number // len(LOSS)) % len(IPCS)]


def config(number: int) -> dict[str, Any]:
    """The config of trial `number`, as JSON."""
    arm, ipc = arm_and_ipc(number)
    rate = 0.1 * 100 ** ((number * 0.37) % 1.0)
    method = {"name": arm}
    method |= {"lr_images": rate} if arm in ("dm", "datadam") else {}
    method |= {"init": ("real", "noise")[number // 4 % 2]} if arm == "datadam" else {}
    return {
        "seed": number,
        "ask_number": number,
        "dataset": {"name": "digits", "split_seed": 0, "preprocess": "standardise"},
        "data_sha256": "d" * 64,
        "network": {"name": "convnet", "depth": 2, "width": 32, "norm": "instance"},
        "method": method,
        "ipc": ipc,
        "evaluation": {"recipe": "plain", "networks": 2},
        "goal": {"margin_fraction": 0.03, "confidence": 0.95, "lossy_trials": 1},
        "cpus_per_trial": 1,
        "device": "cpu",
    }


def use_balanced_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the races of this test ones of balanced accuracy."""
    of_accuracy, here = config, sys.modules[__name__]
    monkeypatch.setitem(SPACE, "goal", {**SPACE["goal"], "metric": "balanced_accuracy"})
    balanced = {"metric": "balanced_accuracy"}
    monkeypatch.setattr(here, "config", lambda number: (own := of_accuracy(number)) | {"goal": own["goal"] | balanced})


def trial_id(number: int) -> str:
    return trial_id_of(config(number))


def record(number: int, **changes: Any) -> dict[str, Any]:
    """The record of trial `number`, as JSON."""
    arm, ipc = arm_and_ipc(number)
    right = max(20, round(IMAGES * (0.98 - LOSS[arm] / math.sqrt(ipc))))
    accuracy = right / IMAGES
    reading = {"step": 9, "fraction": 1.0, "accuracy_fractions": [accuracy, accuracy], "gap": 0.98 - accuracy, "loss": None}
    hours, minutes = divmod(number, 60)
    return {
        "trial_id": trial_id(number),
        "state": "finished",
        "config": config(number),
        "readings": [reading],
        "select_correct": [bits(right)] * 2,
        "images": 10 * ipc,
        "set_bytes": 2570 * ipc,
        "images_sha256": "5" * 64,
        "cost": {
            "distill_seconds": 20.0 + number % 7,
            "evaluate_seconds": 4.0,
            "peak_memory_bytes": 2**20,
            "train_macs": 1,
            "epoch_macs": 1,
        },
        "code_sha256": "c" * 64,
        "versions": {"torch": "2", "raydistill": "0.1.0"},
        "device": "cpu",
        "host": "here",
        "started_at": f"2026-11-{23 + hours // 24}T{hours % 24:02d}:{minutes:02d}:00+00:00",
        **changes,
    }


def write_trial(study: Path, made: dict[str, Any]) -> None:
    """Write the config and, if it has a state, the record of a trial."""
    folder = study / "trials" / made["trial_id"]
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(made["config"]))
    if made["state"] is not None:
        (folder / "record.json").write_text(json.dumps(made))


def pack(study: Path, number: int) -> str:
    """Make a trial one of factor 2, wherever the study names it; returns its new id."""
    packed = config(number)
    packed["method"]["factor"] = 2
    old, new = trial_id(number), trial_id_of(packed)
    folder = (study / "trials" / old).rename(study / "trials" / new)
    (folder / "config.json").write_text(json.dumps(packed))
    (folder / "record.json").write_text(json.dumps(record(number, trial_id=new, config=packed)))
    result_file = study / "result.json"
    result_file.write_text(result_file.read_text().replace(old, new))
    return new


def finding() -> dict[str, Any]:
    gap = {"gap": 0.01, "lower": -0.002, "upper": 0.022, "confidence": 0.975, "networks": 6, "images": 300}
    side = {"arm": "dm", "trial_id": trial_id(25), "ipc": 13, "gap_interval": gap, "images": 130}
    side |= {"float_bytes": 33410, "byte_bytes": 8450}
    drawn = [
        {"arm": arm, "ipc": 13, "gap_interval": {**gap, "gap": 0.08, "lower": 0.06, "upper": 0.1}, "is_lossy": True}
        for arm in ("k_means", "random")
    ]
    drawn.append({**drawn[0], "factor": 2})
    sentence = (
        "distilling is needed: dm at IPC 13 (gap at most 2.20 points) is lossless, k_means and random are all lossy at IPC 13"
    )
    fields = {"claim": "needed", "sentence": sentence, "decides": None, "distilled": side, "control": None, "controls_at": drawn}
    fields |= {"ratio_images": None, "ratio_float_bytes": None, "ratio_byte_bytes": None, "confidence": 0.95}
    return Finding.model_validate_json(json.dumps(fields)).model_dump(mode="json")


def result(trials: int, **changes: Any) -> dict[str, Any]:
    """The result of a race that found dm at IPC 13."""
    return {
        "study": "by-hand-race",
        "dataset": "digits",
        "method": "dm",
        "label_kind": "hard",
        "verdict": "lossless",
        "reason": "the winner's gap on the confirm images is at most 2.20 points",
        "finding": finding(),
        "smallest_lossless_ipc": 13,
        "winner_trial_id": trial_id(25),
        "largest_lossy_ipc": 8,
        "largest_lossy_trials": 3,
        "largest_ipc_tried": 400,
        "closest_gap": 0.005,
        "margin_fraction": 0.03,
        "confidence": 0.95,
        "gap_interval": finding()["distilled"]["gap_interval"],
        "confirmed_candidates": 1,
        "baseline_accuracy_fraction": [0.98, 0.98],
        "baseline_admissible": True,
        "trials": {"finished": trials},
        "compression_images": 6.1,
        "compression_bytes": 1.5,
        "seconds": 30.0 * trials,
        **changes,
    }


def write_race(study: Path, trials: int, *, is_over: bool = True) -> Path:
    """Write a race; every tenth trial was stopped half-way. Returns its folder."""
    (study / "baseline").mkdir(parents=True)
    (study / "search_space.yaml").write_text(yaml.safe_dump(SPACE, sort_keys=False))
    readings = [
        {"seed": n, "steps": 1000, "select_correct": bits(196), "confirm_correct": bits(196), "seconds": 1.0} for n in range(2)
    ]
    baseline = {"recipe": "plain: SGD", "steps": 1000, "doubled_moves_by": 0.001, "is_admissible": True, "readings": readings}
    baseline |= {"accuracy_fractions": [0.98, 0.98], "select_images": IMAGES, "confirm_images": IMAGES, "train_images": 797}
    baseline |= {"train_bytes": 51805, "train_macs": 100, "epoch_macs": 10, "code_sha256": "c" * 64}
    (study / "baseline" / "baseline.json").write_text(json.dumps(baseline))
    for number in range(trials):
        stopped = {"state": "pruned", "error": "stopped early: its gap is hopeless", "select_correct": [], "images_sha256": None}
        write_trial(study, record(number, **(stopped if number % 10 == 9 else {})))
    if is_over:
        (study / "result.json").write_text(json.dumps(result(trials)))
    return study


def picture(ipc: int, classes: int = 10, side: int = 8) -> bytes:
    """A grey `images.png` of a row per class."""
    size = 2 + ipc * (side + 2), 2 + classes * (side + 2)
    buffer = io.BytesIO()
    Image.new("L", size, 128).save(buffer, format="PNG")
    return buffer.getvalue()
