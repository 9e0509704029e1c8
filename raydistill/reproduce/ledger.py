"""The ledger: published accuracies next to this project's own, with the differences between their protocols.

Published numbers are in `ledger.csv`, in percent as printed, for the data sets and methods of this project. Own numbers come from
the comparisons, certificates and tables in a store. A cell without an own number is marked as not run.

All published numbers are accuracies, in which each image counts the same, on test images of sets made from all published training
images, with a ConvNet-3 of width 128. Their standard deviations are over networks, in most tables for one set. The settings of an
own set are compared with its method's defaults, which are the published settings for about CIFAR-10 at IPC 10; the published
settings of other cells are not listed here.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import numpy as np
from pydantic import Field

from raydistill.certify.certificate import Certificate
from raydistill.comparison.rows import Comparison
from raydistill.methods import METHODS
from raydistill.report.rendering import frame_of, render
from raydistill.spaces.sections import Config
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored

NOT_RUN = "not run"
MAKE_AGAIN = "make it again, or delete it"
WHITENED = frozenset({("cifar10", "datm"), ("cifar10", "pad"), ("cifar100", "datm"), ("cifar100", "pad")})
"""Pairs of data set and method that are published with ZCA."""
BATCH_NORM = frozenset({"datadam"})
"""Methods that are published with batch norm in the networks; all others with instance norm."""


class LedgerCell(Config):
    """A published number."""

    dataset: str
    method: str
    """Name of the method; `dsa` is this project's `dc` with augmentation."""
    ipc: int
    accuracy_percent: float
    std_points: float | None
    recipe: str
    """Recipe of the evaluation: a name in `RECIPES`, or other text if this project does not have the published recipe."""
    source: str


class OwnValue(Config):
    """A result of this project, with its settings."""

    dataset: str
    method: str
    ipc: int
    accuracy_fraction: float
    metric: str
    """What `accuracy_fraction` is: `accuracy` or `balanced_accuracy`."""
    std: float | None
    """Standard deviation over draws, or over networks if there is only one draw; a fraction."""
    runs: str
    network: dict[str, Any]
    recipe: str
    split: str
    preprocess: str
    train_part: str = Field(min_length=1)
    """Training images from which the set was made, as text."""
    settings: dict[str, Any]
    """Settings of the method."""
    place: str
    """Path of the result in the store."""


def render_ledger(store: Store, suffix: str) -> str:
    """The ledger of a store, as Markdown, CSV or LaTeX.

    Raises:
        StoreError: a result in the store is damaged.
    """
    return render(frame_of(ledger_rows(published_cells(), own_values(store))), suffix)


def ledger_rows(cells: list[LedgerCell], own: list[OwnValue]) -> list[dict[str, Any]]:
    """One row for each published number and own value of its cell; a cell without own values has one row."""
    rows = []
    for cell in cells:
        found = [value for value in own if (value.dataset, value.method, value.ipc) == (cell.dataset, cell.method, cell.ipc)]
        published = {
            "dataset": cell.dataset,
            "method": cell.method,
            "ipc": cell.ipc,
            "published_accuracy_fraction": cell.accuracy_percent / 100,
            "published_std": None if cell.std_points is None else cell.std_points / 100,
            "source": cell.source,
        }
        values: list[OwnValue | None] = [*found] or [None]
        for value in values:
            rows.append({**published, **_own_cells(cell, value)})
    return rows


def differences(cell: LedgerCell, own: OwnValue) -> str:
    """The differences between the protocols of a published and an own number, as text."""
    said = []
    norm = "batch" if cell.method in BATCH_NORM else "instance"
    depth, width = (7, 32) if cell.dataset == "mhist" else (3, 128)
    published = {"name": "convnet", "depth": depth, "width": width, "norm": norm}
    if own.network != published:
        said.append(f"network {_in_words(own.network)} (published {_in_words(published)})")
    if own.recipe != cell.recipe:
        said.append(f"recipe {own.recipe} (published {cell.recipe})")
    if own.metric != "accuracy":
        said.append(f"{own.metric.replace('_', ' ')} (published accuracy)")
    if own.split != "test":
        said.append(f"{own.split} images (published test)")
    whitening = "zca" if (cell.dataset, cell.method) in WHITENED else "standardise"
    if own.preprocess != whitening:
        said.append(f"{own.preprocess} (published {whitening})")
    if own.train_part != "all":
        said.append(f"made from {own.train_part} (published all)")
    if changed := _changed_settings(own.settings, cell.method):
        said.append(f"distilled with {', '.join(changed)}")
    return "; ".join(said) or "none known"


def published_cells() -> list[LedgerCell]:
    """All published numbers."""
    text = (resources.files("raydistill.reproduce") / "ledger.csv").read_text(encoding="utf-8")
    return [
        LedgerCell(
            dataset=row["dataset"],
            method=row["method"],
            ipc=int(row["ipc"]),
            accuracy_percent=float(row["accuracy_percent"]),
            std_points=float(row["std_points"]) if row["std_points"] else None,
            recipe=row["recipe"],
            source=row["source"],
        )
        for row in csv.DictReader(text.splitlines())
    ]


def own_values(store: Store) -> list[OwnValue]:
    """All results in a store that may belong to a cell.

    Raises:
        StoreError: a file is damaged.
    """
    return [*_compared(store), *_certified(store), *_reproduced(store)]


def _compared(store: Store) -> Iterator[OwnValue]:
    for folder in store.at("compare").folders("."):
        place = f"compare/{folder}/comparison.json"
        comparison = read_stored(store, place, Comparison, MAKE_AGAIN)
        if comparison is None:
            continue
        settings = comparison.settings
        for row in comparison.rows:
            yield OwnValue(
                dataset=settings["dataset"]["name"],
                method=_published_name(settings["methods"][row.method]),
                ipc=settings["ipc"],
                accuracy_fraction=row.accuracy_fraction,
                metric=settings.get("metric", "accuracy"),
                std=row.draws_std,
                runs=f"{row.draws} sets x {row.networks} networks",
                network=settings["network"],
                recipe=settings["evaluation"]["recipe"],
                split=settings["split"],
                preprocess=settings["dataset"]["preprocess"],
                train_part="the train split",
                settings=settings["methods"][row.method],
                place=place,
            )


def _certified(store: Store) -> Iterator[OwnValue]:
    for study in store.folders("."):
        place = f"{study}/certificate.json"
        certificate = read_stored(store, place, Certificate, MAKE_AGAIN)
        if certificate is None:
            continue
        config = certificate.evidence.config
        arm = next(arm for arm in certificate.findings.arms if arm.name == "set")
        yield OwnValue(
            dataset=config["dataset"]["name"],
            method=_published_name(config["method"]),
            ipc=config["ipc"],
            accuracy_fraction=arm.accuracy_fraction,
            metric=config["goal"].get("metric", "accuracy"),
            std=arm.networks_std,
            runs=f"1 set x {len(certificate.evidence.seeds)} networks",
            network=config["network"],
            recipe=config["evaluation"]["recipe"],
            split="test",
            preprocess=config["dataset"]["preprocess"],
            train_part="the train split",
            settings=config["method"],
            place=place,
        )


def _reproduced(store: Store) -> Iterator[OwnValue]:
    """Results of the report's tables; the draws of a cell are combined."""
    for code in store.at("reproduce").folders("."):
        folder = f"reproduce/{code}/networks"
        outcomes: dict[str, list[dict[str, Any]]] = {}
        for name in store.files(folder):
            outcomes.setdefault(name.rpartition("-")[0], []).append(store.read_json(f"{folder}/{name}"))
        for key, draws in outcomes.items():
            cell, means = draws[0]["cell"], [np.mean(d["accuracy_fractions"]) for d in draws if d["accuracy_fractions"]]
            if "method" not in cell["source"] or not means:
                continue
            networks = sum(len(d["accuracy_fractions"]) for d in draws)
            train_images = cell["source"]["images"]["train_images"]
            made_from = "all" if train_images is None else f"{train_images} images"
            if cell["source"]["method"].get("init") == "noise":
                made_from += ", starting from noise"
            yield OwnValue(
                dataset=cell["source"]["images"]["dataset"],
                method=_published_name(cell["source"]["method"]),
                ipc=cell["source"]["ipc"],
                accuracy_fraction=float(np.mean(means)),
                metric="accuracy",
                std=float(np.std(means, ddof=1)) if len(means) > 1 else None,
                runs=f"{len(means)} sets, {networks} networks in total",
                network=cell["network"],
                recipe=cell["recipe"]["name"],
                split="test",
                preprocess="standardise",
                train_part=made_from,
                settings=cell["source"]["method"],
                place=f"{folder}/{key}-*.json",
            )


def _own_cells(cell: LedgerCell, own: OwnValue | None) -> dict[str, Any]:
    if own is None:
        return {"own_accuracy_fraction": None, "own_std": None, "runs": NOT_RUN, "protocol_differences": "", "place": ""}
    return {
        "own_accuracy_fraction": own.accuracy_fraction,
        "own_std": own.std,
        "runs": own.runs,
        "protocol_differences": differences(cell, own),
        "place": own.place,
    }


def _published_name(method: Mapping[str, Any]) -> str:
    """The method's name in publications: gradient matching with augmentation is DSA."""
    name: str = method["name"]
    return "dsa" if name == "dc" and method["augmentation"] != "none" else name


def _changed_settings(settings: Mapping[str, Any], published_method: str) -> list[str]:
    """The settings that differ from their method's defaults, as text with both values.

    The default of `augmentation` is DSA's; published DC has none, and by that an own set is called `dc`.
    """
    defaults = METHODS[settings["name"]].config.model_fields
    left_out = {"name", "expert_seed", *(["augmentation"] if published_method == "dc" else [])}
    counted = {name: own for name, own in settings.items() if name in defaults and name not in left_out}
    pairs = {name: (own, defaults[name].default) for name, own in counted.items()}
    return [f"{name} {own} (default {default})" for name, (own, default) in pairs.items() if own != _as_read(default)]


def _as_read(default: Any) -> Any:
    """A default in the form that JSON stores."""
    return list(default) if isinstance(default, tuple) else default


def _in_words(network: Mapping[str, Any]) -> str:
    return ":".join([network["name"], *(f"{field}={value}" for field, value in network.items() if field != "name")])
