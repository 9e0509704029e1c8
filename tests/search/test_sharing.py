"""Jobs that read test images give them away and take them back, so that an executor can send them once for all jobs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from raydistill.comparison.run import CompareJob
from raydistill.data.splits import LabelledImages
from raydistill.reproduce.jobs import ReadingJob
from raydistill.uses.units import UnitJob

OTHERS: dict[Any, dict[str, Any]] = {
    UnitJob: {"unit_json": "{}", "place": None},
    CompareJob: {"config": None, "draw": 0, "folder": None, "store": None, "split": "test", "data_root": None},
    ReadingJob: {"cell": None, "draw": 0, "place": None},
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_job_is_the_same_but_for_its_test_images(kind: Any) -> None:
    images = LabelledImages(images=torch.zeros(1, 1, 2, 2), labels=torch.zeros(1))
    job = kind(**OTHERS[kind], test=images)
    sent = job.sharing(None)
    assert (job.shared, sent.shared, sent.test) == (images, None, None)
    arrived = sent.sharing(images)
    assert arrived.test is images
    assert {name: getattr(arrived, name) for name in OTHERS[kind]} == OTHERS[kind]
