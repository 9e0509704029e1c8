"""A small study, searched once and copied for each test: networks of width 4, trained for 5 steps."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_up import SPACE, space, workplace

from raydistill.certify import findings
from raydistill.certify.candidate import TrialChoice
from raydistill.certify.run import certify_study
from raydistill.core.recipes import RECIPES
from raydistill.search.driver import run_search
from raydistill.storage.store import Store
from raydistill.trial import baseline

SMALL = SPACE + "\nevaluation: {recipe: default, networks: 2, baseline_networks: 2, confirm_networks: 2}\n"
QUICK = ("method.random_inits=3", "method.batch_real=8", "ipc.high=6", "goal.margin_fraction=0.95", "budget.trials=2")


def shorten(patch: pytest.MonkeyPatch) -> None:
    """Have networks trained for five steps: far too short to be admissible, so that is not asked."""
    patch.setitem(RECIPES, "default", replace(RECIPES["plain"], name="default", steps=5))
    patch.setattr(baseline, "is_admissible", lambda *_: True)
    patch.setattr(findings, "is_admissible", lambda *_: True)


@pytest.fixture
def short_recipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    shorten(monkeypatch)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a finished search, not to be written."""
    folder = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        searched_space = space(*QUICK, text=SMALL)
        run_search(searched_space, Store(str(folder)), workplace())
    return folder


@pytest.fixture
def study(searched: Path, tmp_path: Path, short_recipe: None) -> Store:
    """A copy of the study, alone in its store."""
    shutil.copytree(searched, tmp_path / "store")
    return Store(str(tmp_path / "store" / "made-up"))


@pytest.fixture(scope="session")
def certified_once(searched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a certified study, not to be written; `certified` copies it."""
    return tmp_path_factory.mktemp("certified") / "store"


@pytest.fixture
def certified(certified_once: Path, study: Store) -> Store:
    """The study with its certificate, made by the first test that asks for it."""
    if not certified_once.exists():
        certify_study(study, TrialChoice(), workplace(), networks=2, again=False)
        shutil.copytree(study.parent.root, certified_once)
    else:
        shutil.rmtree(study.parent.root)
        shutil.copytree(certified_once, study.parent.root)
    return study
