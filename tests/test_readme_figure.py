"""The picture of README.md shows what a study found."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hand_made import HandMade
from PIL import Image

from raydistill.core.picture import grid_png

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import readme_figure


def shades(classes: int, ipc: int) -> bytes:
    """A picture of a set whose images are of one shade each: class 0 has 0, 1, 2 ..., class 1 has 100, 101, ... of 255."""
    values = [100 * c + i for c in range(classes) for i in range(ipc)]
    return grid_png(torch.tensor(values).reshape(-1, 1, 1, 1).expand(-1, 1, 8, 8) / 255, columns=ipc)


@pytest.fixture
def study(tmp_path: Path) -> HandMade:
    """Two finished trials, one that was stopped, and one that runs; IPC 10 won."""
    made = HandMade(tmp_path / "by-hand")
    made.trial(20, (0.975,))
    winner = made.trial(10, (0.97,), images=20)
    made.trial(5, (0.9,), state="pruned")
    made.trial(8, None)
    made.study.write(f"trials/{winner}/images.png", shades(classes=2, ipc=10))
    made.result(winner_trial_id=winner)
    return made


def test_the_strip_has_images_of_every_class_in_turn() -> None:
    """Two classes, twenty columns: ten of each, 32 pixels wide, two of padding between."""
    strip = readme_figure.cut_strip(shades(classes=2, ipc=12), ipc=12, classes=2)
    assert strip.shape == (32, 20 * 34 - 2, 3)
    assert [int(strip[16, 16 + 34 * place, 0]) for place in (0, 1, 9, 10, 19)] == [0, 1, 9, 100, 109]


def test_a_class_has_no_more_images_in_the_strip_than_in_the_set() -> None:
    strip = readme_figure.cut_strip(shades(classes=2, ipc=3), ipc=3, classes=2)
    assert strip.shape == (32, 6 * 34 - 2, 3)


def test_the_finding_counts_finished_and_stopped_trials_and_names_the_winner(study: HandMade) -> None:
    finding = readme_figure.read_finding(study.study)
    assert ([r.ipc for r in finding.finished], [r.ipc for r in finding.stopped]) == ([20, 10], [5])
    assert (finding.winner.ipc, finding.classes) == (10, 2)


def test_the_sentence_for_who_cannot_see_the_picture_has_the_bound_and_the_margin(study: HandMade) -> None:
    said = readme_figure.say(readme_figure.read_finding(study.study))
    assert "2 finished and 1 stopped trials on digits: 10 images per class" in said
    assert "a gap of 1.00 points and at most 1.80 points at 95 % confidence, within the margin of 2 points" in said


def test_a_search_without_a_winner_is_refused(study: HandMade) -> None:
    study.result(winner_trial_id=None, verdict="not_reached", gap_interval=None, smallest_lossless_ipc=None)
    with pytest.raises(SystemExit, match="has no confirmed winner to draw; give the folder of a search that ended as lossless"):
        readme_figure.read_finding(study.study)


def test_the_picture_is_drawn_on_its_own_ground(study: HandMade, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Opaque white, so that it reads the same on a light and on a dark page."""
    pytest.importorskip("matplotlib", reason="drawing needs matplotlib: pip install '.[docs]'")
    readme_figure.main([study.study.root, str(tmp_path / "picture.png")])
    pixels = np.asarray(Image.open(BytesIO((tmp_path / "picture.png").read_bytes())).convert("RGBA"))
    assert pixels[..., 3].min() == 255
    assert pixels[0, 0].tolist() == [255, 255, 255, 255]
    assert (pixels[..., :3] == [0xD5, 0x5E, 0x00]).all(axis=-1).any()
    assert "10 images per class are confirmed as lossless" in capsys.readouterr().out
