"""Image updates timed alone and beside published code, which a folder with a few made-up building blocks stands for."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from raydistill.bench import beside
from raydistill.bench.beside import time_steps
from raydistill.bench.own import own_turn
from raydistill.bench.published import published_turn, recognise
from raydistill.bench.work import CASES, StepCase, useful_macs
from raydistill.cli import app
from raydistill.core.cost import forward_macs
from raydistill.errors import InputError
from raydistill.spaces.network import ConvNetConfig

SMALLER = {
    "datadam": {"batch_real": 3, "random_inits": 2},
    "dm": {"batch_real": 3, "random_inits": 2},
    "dc": {"batch_real": 3, "model_steps": 4},
    "datm": {"student_steps": 5},
}
"""Fields that make a turn short."""
NETWORKS = """
from torch import nn

class ConvNet(nn.Module):
    def __init__(self, channel, num_classes, net_width, net_depth, net_act, net_norm, net_pooling, im_size):
        super().__init__()
        assert (net_act, net_norm, net_pooling, im_size) == ("relu", "instancenorm", "avgpooling", (28, 28))
        layers = []
        for block in range(net_depth):
            layers += [nn.Conv2d(net_width if block else channel, net_width, 3, padding=1 if block else 3)]
            layers += [nn.GroupNorm(net_width, net_width), nn.ReLU(), nn.AvgPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(net_width * (32 >> net_depth) ** 2, num_classes)

    def embed(self, x):
        return self.features(x).flatten(1)

    def forward(self, x):
        embedding = self.embed(x)
        logits = self.classifier(embedding)
        return (embedding, logits) if RETURNS_BOTH else logits
"""
UTILS = """
from torch.utils.data import TensorDataset

def noted(word):
    with open(__file__ + ".calls", "a") as calls:
        calls.write(word + "\\n")

class ParamDiffAug:
    pass

def DiffAugment(x, strategy, seed=-1, param=None):
    assert strategy == "color_crop_cutout_scale_rotate" and isinstance(param, ParamDiffAug)
    noted("augment" if seed == -1 else "siamese")
    return x * 1.0

def get_attention(features, param, exp, norm):
    assert (param, exp, norm) == (1, 1, "l2")
    noted("attention")
    return features.sum(dim=1).flatten(1)

def match_loss(ours, real, args):
    assert (args.dis_metric, args.device) == ("ours", "cpu")
    noted("match")
    return sum(((a - b) ** 2).sum() for a, b in zip(ours, real))

def epoch(mode, loader, network, optimiser, criterion, args, aug):
    assert mode == "train" and aug and args.dsa and args.dc_aug_param is None
    for images, labels in loader:
        noted("epoch")
        optimiser.zero_grad()
        criterion(network(images), labels).backward()
        optimiser.step()
"""
REPARAM = """
import torch
from torch import nn

class ReparamModule(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.inner = [module]
        self.shapes = {name: parameter.shape for name, parameter in module.named_parameters()}

    def forward(self, x, flat_param):
        parts = flat_param.split([shape.numel() for shape in self.shapes.values()])
        named = {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts)}
        return torch.func.functional_call(self.inner[0], named, (x,))
"""
FILES = {
    "DatasetCondensation": {"main.py": "", "main_DM.py": "", "networks.py": "RETURNS_BOTH = False" + NETWORKS, "utils.py": UTILS},
    "DataDAM": {"main_DataDAM.py": "", "networks.py": "RETURNS_BOTH = True" + NETWORKS, "utils.py": UTILS},
    "DATM": {
        "distill/DATM.py": "",
        "networks.py": "RETURNS_BOTH = False" + NETWORKS,
        "utils/utils_baseline.py": UTILS,
        "reparam_module.py": REPARAM,
    },
}
KIND_OF = {"dm": "DatasetCondensation", "dc": "DatasetCondensation", "datadam": "DataDAM", "datm": "DATM"}
Made = Callable[[str], Path]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Makes a folder that stands for a published implementation."""

    def make(kind: str) -> Path:
        for name, source in FILES[kind].items():
            path = tmp_path / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        return tmp_path / kind

    return make


class Threads:
    """Stands for a context of `multiprocessing` whose processes are threads, which start in no time."""

    def Pipe(self) -> tuple[Connection, SimpleNamespace]:
        here, self.there = multiprocessing.Pipe()
        return here, SimpleNamespace(close=lambda: None)

    def Process(self, target: Callable[..., None], args: tuple[Any, ...], daemon: bool) -> threading.Thread:
        def run(there: Connection) -> None:
            with there, suppress(SystemExit):
                target(there, *args[1:])

        return threading.Thread(target=run, args=(self.there,), daemon=daemon)


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside.multiprocessing, "get_context", lambda kind: Threads())


def small(method: str) -> StepCase:
    case = CASES[f"{method}-mnist-16"]
    fields = SMALLER[method]
    return replace(
        case,
        network=ConvNetConfig(name="convnet", depth=2, width=2),
        method=case.method.model_copy(update=fields),
        ipc=2,
        updates=fields.get("random_inits", case.updates),
    )


@pytest.mark.parametrize("method", SMALLER)
def test_a_turn_of_ours_takes_time(method: str) -> None:
    spent = own_turn(small(method), threads=1)()
    assert spent.cpu_seconds > 0
    assert spent.wall_seconds > 0


@pytest.mark.parametrize(
    ("method", "calls"),
    [
        ("dm", {"siamese": 2 * 10 * 2}),  # real and synthetic, of ten classes, in two updates
        ("datadam", {"siamese": 2 * 10 * 2, "attention": 2 * 2}),  # one block of two has maps, real and synthetic
        ("dc", {"siamese": 2 * 10 * 2, "match": 10 * 2, "epoch": 4}),  # four model steps between the two updates
        ("datm", {"augment": 5}),  # one for each student step
    ],
)
def test_a_turn_of_theirs_calls_each_building_block_as_often_as_their_script(
    method: str, calls: dict[str, int], made: Made
) -> None:
    folder = made(KIND_OF[method])
    published_turn(small(method), folder, threads=1)()
    (noted,) = folder.rglob("*.calls")
    words = noted.read_text().split()
    assert {word: words.count(word) for word in words} == calls


def test_importing_their_code_leaves_no_trace(made: Made) -> None:
    folder = made("DATM")
    path = list(sys.path)
    published_turn(small("datm"), folder, threads=1)
    assert sys.path == path
    assert not {"utils", "utils.utils_baseline", "networks", "reparam_module"} & sys.modules.keys()
    assert not list(folder.rglob("__pycache__"))


@pytest.mark.parametrize("kind", FILES)
def test_a_checkout_is_recognised_by_its_files(kind: str, made: Made) -> None:
    assert recognise(made(kind)).name == kind


def test_another_folder_is_refused_with_the_files_that_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"is no checkout of a published .*; DataDAM has main_DataDAM.py, utils.py, networks.py;"
    ):
        recognise(tmp_path)


def test_a_package_that_their_code_needs_is_named(made: Made) -> None:
    folder = made("DataDAM")
    (folder / "utils.py").write_text("import kornia_that_is_not_there")
    with pytest.raises(InputError, match=r"recognised as DataDAM, whose code imports kornia_that_is_not_there, .* install it"):
        published_turn(small("datadam"), folder, threads=1)


def test_a_building_block_that_is_not_there_is_named(made: Made) -> None:
    folder = made("DataDAM")
    (folder / "utils.py").write_text("")
    with pytest.raises(
        InputError, match=r"does not fit: module 'utils' has no attribute 'DiffAugment'. Give an unchanged checkout"
    ):
        published_turn(small("datadam"), folder, threads=1)


def test_the_useful_work_of_dm_is_worked_by_hand() -> None:
    """10 x 3 real images forward; 10 x 2 synthetic ones forward, and back to the images."""
    case = small("dm")
    assert useful_macs(case) == forward_macs(case.network, (1, 28, 28), 10) * (30 + 2 * 20)


def test_the_useful_work_of_dc_is_worked_by_hand() -> None:
    """30 real images: forward and gradients for weights, 3 each. 20 synthetic: those, and all passed back to images, 7 each.

    Between the two updates 4 model steps on 20 images, 3 each, of which an update has half.
    """
    case = small("dc")
    assert useful_macs(case) == forward_macs(case.network, (1, 28, 28), 10) * (3 * 30 + 7 * 20 + 3 * 4 * 20 / 2)


def test_the_useful_work_of_datm_is_worked_by_hand() -> None:
    """5 student steps on all 20 images: 3 for the step, 6 for passing it back."""
    case = small("datm")
    assert useful_macs(case) == forward_macs(case.network, (1, 28, 28), 10) * 5 * 20 * 9


def test_ours_and_theirs_take_turns_and_their_ratio_has_a_spread(
    made: Made, monkeypatch: pytest.MonkeyPatch, in_threads: None
) -> None:
    monkeypatch.setitem(CASES, "dm-mnist-16", small("dm"))
    (row,) = time_steps(["dm-mnist-16"], against=[made("DatasetCondensation")], threads=1, turns=3)
    assert (row.case, row.published, row.turns) == ("dm-mnist-16", "DatasetCondensation", 3)
    assert 0 < row.ratio_quarter <= row.ratio <= row.ratio_three_quarters
    assert row.gigamacs == useful_macs(small("dm")) / 1e9
    assert row.ceiling_fraction == pytest.approx(2e9 * row.gigamacs / row.cpu_seconds / (1e9 * row.ceiling_gigaflops))


def test_the_command_times_ours_alone_and_has_a_column_for_the_ceiling(monkeypatch: pytest.MonkeyPatch, in_threads: None) -> None:
    monkeypatch.setitem(CASES, "dm-digits-32", small("dm"))
    result = CliRunner().invoke(app, ["bench", "steps", "--cases", "dm-digits-32", "--turns", "1", "--format", "csv"])
    header, row = (line.split(",") for line in result.stdout.splitlines())
    assert float(row[header.index("ceiling_fraction")]) > 0
    assert row[header.index("ratio")] == ""


def test_the_command_says_what_it_recognised_and_which_cases_that_has(made: Made) -> None:
    result = CliRunner().invoke(app, ["bench", "steps", "--cases", "dm-mnist-16", "--against", str(made("DATM"))])
    assert result.exit_code == 2
    assert f"{made('DATM')}: DATM" in result.output
    assert "case 'dm-mnist-16' cannot be timed beside DATM; allowed: datm-mnist-16, datm-mnist-128" in result.output


def test_an_unknown_case_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown case 'dm'; allowed: datadam-digits-32, .*: correct --cases"):
        time_steps(["dm"], against=[], threads=1, turns=1)


def test_all_cases_of_one_side_are_timed_where_none_is_named(monkeypatch: pytest.MonkeyPatch, made: Made) -> None:
    monkeypatch.setattr(beside, "_time", lambda case, folder, threads, turns: (case.name, folder and folder.name))
    assert time_steps([], against=[], threads=1, turns=1) == [(name, None) for name in CASES]
    beside_them = time_steps([], against=[made("DatasetCondensation"), made("DATM")], threads=1, turns=1)
    assert set(beside_them) == {
        (f"{method}-mnist-{width}", KIND_OF[method]) for method in ("dm", "dc", "datm") for width in (16, 128)
    }


def test_a_process_that_ends_by_itself_is_told(in_threads: None) -> None:
    with beside._in_process(partial(sys.exit, 3)) as turn, pytest.raises(InputError, match="process that was timed has ended"):
        turn()


def test_an_error_of_the_other_process_arrives(tmp_path: Path, in_threads: None) -> None:
    with (
        beside._in_process(partial(beside._published, small("dm"), tmp_path, 1)) as turn,
        pytest.raises(InputError, match="is no checkout"),
    ):
        turn()


@pytest.mark.slow
def test_each_side_has_a_process_of_its_own(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CASES, "dm-mnist-16", small("dm"))
    (row,) = time_steps(["dm-mnist-16"], against=[made("DatasetCondensation")], threads=1, turns=1)
    assert row.ratio > 0
