"""The capacity of a cluster, from its running nodes and the node types of its autoscaler."""

from __future__ import annotations

import pytest
import yaml

pytest.importorskip("ray")

from raydistill.errors import ResourcesError
from raydistill.search.on_ray.capacity import NodeShape, node_types, trials_at_once
from raydistill.spaces.sections import ResourcesConfig

pytestmark = pytest.mark.ray


def node(cpus: float, gpus: float = 0, count: int = 1) -> NodeShape:
    return NodeShape(name="n", cpus=cpus, gpus=gpus, count=count)


@pytest.mark.parametrize(
    ("shape", "cpus", "gpus", "trials"),
    [
        (node(8), 1, 0, 8),
        (node(8), 3, 0, 2),
        (node(8, count=3), 3, 0, 6),
        (node(8, 2), 1, 0.5, 4),
        (node(8, 2), 1, 0.4, 4),
        (node(8, 2), 1, 0.1, 8),
        (node(8, 3), 1, 1, 3),
        (node(8, 0), 1, 0.5, 0),
        (node(0, 4), 1, 1, 0),
        (node(20, 1), 1, 1 / 3, 3),
    ],
    ids=str,
)
def test_trials_that_nodes_hold(shape: NodeShape, cpus: int, gpus: float, trials: int) -> None:
    """A share lies within one GPU: at 0.4 each of two GPUs holds two trials, not five between them."""
    assert shape.trials(ResourcesConfig(cpus_per_trial=cpus, gpus_per_trial=gpus)) == trials


def test_live_nodes_and_their_types_are_not_counted_twice() -> None:
    resources = ResourcesConfig()
    assert trials_at_once([node(2), node(2)], [node(2, count=10)], resources) == 20
    assert trials_at_once([node(2), node(2)], [], resources) == 4


def test_a_trial_that_only_a_node_to_be_started_holds_is_accepted() -> None:
    assert trials_at_once([node(2)], [node(4, 1, count=2)], ResourcesConfig(gpus_per_trial=0.5)) == 4


def test_a_trial_that_no_node_holds_is_refused() -> None:
    with pytest.raises(ResourcesError) as caught:
        trials_at_once([node(2)], [node(4, 1, count=2)], ResourcesConfig(cpus_per_trial=8, gpus_per_trial=1))
    assert str(caught.value) == (
        "a trial needs 8 CPUs and 1 GPUs, but no node has that many; nodes that run or may be started: n (2 CPUs, 0 GPUs), "
        "n (4 CPUs, 1 GPUs). Lower resources.cpus_per_trial or resources.gpus_per_trial, or give the --address of a cluster with "
        "such a node"
    )


BOOTSTRAP = yaml.safe_dump(
    {
        "max_workers": 4,
        "head_node_type": "head",
        "available_node_types": {
            "head": {"resources": {"CPU": 2}, "max_workers": 0},
            "gpu": {"resources": {"CPU": 4, "GPU": 1}, "max_workers": 8},
            "cpu": {"resources": {"CPU": 16}},
        },
    }
)


def test_node_types_come_from_the_configuration_that_ray_up_leaves_on_the_head() -> None:
    """Never more of one type than workers in all; the head's type starts no workers."""
    assert sorted(map(str, node_types(BOOTSTRAP))) == ["cpu (16 CPUs, 0 GPUs)", "gpu (4 CPUs, 1 GPUs)"]
    assert [shape.count for shape in node_types(BOOTSTRAP)] == [4, 4]


def test_without_that_configuration_nothing_can_be_started() -> None:
    assert node_types(None) == []
