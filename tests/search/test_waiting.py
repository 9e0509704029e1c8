"""The messages while trials or networks wait for nodes."""

from __future__ import annotations

import pytest
from made_up import Told

pytest.importorskip("ray")

from raydistill.search.on_ray import waiting
from raydistill.search.on_ray.capacity import NodeShape
from raydistill.search.on_ray.waiting import Waiting
from raydistill.spaces.sections import ResourcesConfig

pytestmark = pytest.mark.ray

HEAD = NodeShape(name="10.0.0.1", cpus=0, gpus=0, count=1)
GPU = NodeShape(name="gpu_worker", cpus=4, gpus=1, count=2)
CPU = NodeShape(name="cpu_worker", cpus=8, gpus=0, count=4)
RESOURCES = ResourcesConfig(gpus_per_trial=0.5)


class Room:
    """A cluster whose live nodes and clock a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.live = [HEAD]
        self.now = 0.0
        self.told = Told()
        monkeypatch.setattr(waiting, "live_nodes", lambda: self.live)
        self.waiting = Waiting("trials", RESOURCES, [GPU, CPU], self.told, clock=lambda: self.now)

    def notes_at(self, *looks: tuple[float, int]) -> list[str]:
        """What is said when so many wait at these seconds."""
        for self.now, count in looks:
            self.waiting.look(count)
        return self.told.all("note")


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    return Room(monkeypatch)


def test_trials_that_wait_for_the_autoscaler_are_reported_with_what_they_wait_for(room: Room) -> None:
    assert room.notes_at((0, 3), (31, 3)) == [
        "trials that wait for a node: 3; each needs 1 CPUs and 0.5 GPUs, and no running node has that many: the trials start "
        "when the autoscaler has started a node (up to 2 of gpu_worker (4 CPUs, 1 GPUs))"
    ]


def test_trials_that_wait_for_others_to_end_are_reported(room: Room) -> None:
    room.live = [HEAD, GPU]
    assert room.notes_at((0, 1), (31, 1)) == [
        "trials that wait for a node: 1; each needs 1 CPUs and 0.5 GPUs, and all running nodes are busy: the trials start when "
        "a node is free"
    ]


def test_nothing_is_said_of_a_process_that_takes_its_time_to_start(room: Room) -> None:
    assert room.notes_at((0, 3), (29, 3), (29.5, 0), (31, 2), (60, 2)) == []


def test_it_is_said_again_every_five_minutes(room: Room) -> None:
    """Said at 31 seconds, and then from 331 on."""
    assert len(room.notes_at((0, 3), (31, 3), (330, 3))) == 1
    assert len(room.notes_at((332, 3))) == 2
