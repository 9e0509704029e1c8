"""Tests the public package `ddranking` with a set exported by `raydistill export`.

    pip install ddranking==0.2.0          # in a separate environment, together with raydistill's requirements
    python benchmarks/ddranking_package.py

CIFAR-10 is replaced by 4 random images per class, so nothing is downloaded and the scores have no meaning. The script shows which
of the package's classes can process the set completely, and where the others stop. Prints one line per class.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import raydistill
from raydistill.core.synthetic import Manifest, SyntheticSet, hard_labels
from raydistill.data.preprocess import Standardise
from raydistill.methods.configs.coreset import RandomConfig
from raydistill.sets.set_file import write_set
from raydistill.spaces.network import ConvNetConfig
from raydistill.spaces.sections import DatasetConfig, EvaluationConfig, GoalConfig
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.store import Store

CLASSES, IPC, SIDE = 10, 2, 32
COMMON = {"dataset": "CIFAR10", "ipc": IPC, "model_name": "ConvNet-3", "num_epochs": 20, "num_eval": 1, "num_workers": 0}
COMMON |= {"device": "cpu", "step_size": 10}


class StandIn(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Replaces CIFAR-10: the same shape, classes and constructor, but 4 random images per class."""

    classes = tuple(map(str, range(CLASSES)))

    def __init__(self, root: str, *, train: bool, download: bool, transform: Callable[..., Any]) -> None:
        """Draw the images."""
        del root, download
        self.targets = [index % CLASSES for index in range(4 * CLASSES)]
        self.data = np.random.default_rng(int(train)).integers(0, 256, (len(self.targets), SIDE, SIDE, 3), dtype=np.uint8)
        self.transform = transform

    def __len__(self) -> int:
        """Number of images."""
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """An image and its class."""
        return self.transform(Image.fromarray(self.data[index])), self.targets[index]


def exported_set(folder: Path) -> tuple[torch.Tensor, torch.Tensor, Path]:
    """An exported set: images and labels from the npz file, ordered by class, and the folder of PNG files."""
    space = Standardise(mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))
    pixels = torch.rand(CLASSES * IPC, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    synthetic = SyntheticSet(images=space.apply(pixels), labels=hard_labels(CLASSES, IPC), ipc=IPC)
    config = TrialConfig[RandomConfig](
        seed=0,
        dataset=DatasetConfig(name="cifar10"),
        data_sha256="",
        network=ConvNetConfig(name="convnet"),
        method=RandomConfig(name="random"),
        ipc=IPC,
        evaluation=EvaluationConfig(),
        goal=GoalConfig(margin_fraction=0.5),
    )
    about = json.loads(config.canonical_json())
    write_set(
        synthetic,
        Manifest(preprocess=space, class_names=StandIn.classes, config=about, code_sha256=""),
        Store(str(folder / "set")),
    )
    raydistill.export_set(folder / "set", folder / "set.npz", form="npz")
    raydistill.export_set(folder / "set", folder / "png", accuracy=False)
    with np.load(folder / "set.npz", allow_pickle=False) as read:
        return torch.from_numpy(read["images"]), torch.from_numpy(read["labels"]), folder / "png"


def teacher(folder: Path) -> str:
    """Write the file of a teacher network where the package looks for it; returns the folder."""
    from ddranking.utils import build_model

    path = folder / "teachers" / "CIFAR10" / "ConvNet-3"
    path.mkdir(parents=True)
    model = build_model("ConvNet-3", num_classes=CLASSES, im_size=(SIDE, SIDE), pretrained=False, device="cpu")
    torch.save(model.state_dict(), path / "ckpt_best.pt")
    return str(folder / "teachers")


def attempts(folder: Path) -> dict[str, Callable[[], Any]]:
    """The calls to test, by name."""
    from ddranking.metrics import AugmentationRobustScore, GeneralEvaluator, LabelRobustScoreHard, LabelRobustScoreSoft
    from torchvision import transforms

    images, labels, pngs = exported_set(folder)
    given = {**COMMON, "save_path": str(folder / "results" / "scores.csv")}
    hard = {**given, "data_aug_func": None, "random_data_format": "tensor", "random_data_path": str(folder / "random")}
    soft = {**given, "soft_label_mode": "S", "soft_label_criterion": "sce", "loss_fn_kwargs": {"temperature": 1.0}}
    soft |= {"data_aug_func": None, "teacher_dir": teacher(folder), "teacher_model_names": ["ConvNet-3"]}
    soft |= {"random_data_path": str(folder / "random")}
    logits = 5 * torch.nn.functional.one_hot(labels, CLASSES).float()
    to_tensor = transforms.ToTensor()
    full, image = {"eval_full_data": True}, {"image_tensor": images}
    aug = {**soft, "random_data_format": "tensor"}
    return {
        "LabelRobustScoreHard, npz": lambda: LabelRobustScoreHard(**hard, **full).compute_metrics(
            **image, hard_labels=labels, syn_lr=0.01
        ),
        "LabelRobustScoreHard, png": lambda: LabelRobustScoreHard(
            **{**hard, "random_data_format": "image", "custom_train_trans": to_tensor}, **full
        ).compute_metrics(image_path=str(pngs), syn_lr=0.01),
        "LabelRobustScoreSoft, npz": lambda: LabelRobustScoreSoft(**soft, **full, random_data_format="tensor").compute_metrics(
            **image, soft_labels=logits, syn_lr=0.01
        ),
        "AugmentationRobustScore, hard labels": lambda: AugmentationRobustScore(**{**aug, "label_type": "hard"}).compute_metrics(
            **image, syn_lr=0.01
        ),
        "AugmentationRobustScore, soft labels": lambda: AugmentationRobustScore(**aug).compute_metrics(
            **image, soft_labels=logits, syn_lr=0.01
        ),
        "GeneralEvaluator, hard labels": lambda: GeneralEvaluator(**{**given, "data_aug_func": None}).compute_metrics(
            **image, labels=labels, syn_lr=0.01
        ),
    }


def main() -> None:
    """Run all calls."""
    from torchvision import datasets

    datasets.CIFAR10 = StandIn  # type: ignore[assignment, misc]
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, attempt in attempts(Path(folder)).items():
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    said = f"ended with {attempt()}"
            except Exception as error:  # noqa: BLE001 - each attempt is reported, whatever it raised
                frames = traceback.extract_tb(error.__traceback__)
                inside = next((frame for frame in reversed(frames) if "/ddranking/" in frame.filename), frames[-1])
                place, first_line = f"{Path(inside.filename).name}:{inside.lineno}", str(error).split("\n")[0]
                said = f"stopped at {place}, {type(error).__name__}: {first_line}"
            print(f"{name}: {said}", flush=True)


if __name__ == "__main__":
    main()
