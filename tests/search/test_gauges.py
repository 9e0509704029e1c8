"""The metrics of trials at the endpoint of a real Ray node, and the Grafana dashboard that shows them."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hand_made import trial_config

ray = pytest.importorskip("ray")

from raydistill.errors import InputError  # noqa: E402
from raydistill.report.grafana import DASHBOARD, install_dashboard  # noqa: E402
from raydistill.search.on_ray.access import be_patient  # noqa: E402
from raydistill.search.on_ray.gauges import GAUGES, TAGS, TrialGauges  # noqa: E402
from raydistill.spaces.trial import TrialConfig  # noqa: E402
from raydistill.storage.record import Reading  # noqa: E402

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The metrics endpoint of a node that exports every second, so that a series is forgotten after two."""
    be_patient()
    ray.init(
        address="local",
        num_cpus=1,
        include_dashboard=True,
        log_to_driver=False,
        _system_config={"metrics_report_interval_ms": 1000},
    )
    (node,) = ray.nodes()
    yield f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    ray.shutdown()


def read_gauges(endpoint: str) -> dict[str, tuple[dict[str, str], float]]:
    """Labels and value by gauge, without the prefix."""
    with urllib.request.urlopen(endpoint) as response:
        text = response.read().decode()
    lines = re.findall(r"^ray_raydistill_(\w+)\{(.*)\} (\S+)$", text, flags=re.MULTILINE)
    return {name: (dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)) for name, labels, value in lines}


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait for an event; one that never comes ends at pytest's limit."""
    while not condition():
        time.sleep(0.2)


def trial_process() -> Any:
    class Trial:
        """A trial half-way; made here, so that it travels by value."""

        def begin(self, config: TrialConfig[Any], reading: Reading) -> None:
            self.gauges = TrialGauges("by-hand", config)
            self.gauges.reading(reading)
            self.gauges.step(reading.step, 2.5)

    return ray.remote(num_cpus=1)(Trial).remote()


def test_a_trials_gauges_are_at_the_endpoint_while_its_process_lives(endpoint: str) -> None:
    reading = Reading(step=15, fraction=0.5, accuracy_fractions=(0.95, 0.97), gap=0.02, loss=0.1)
    trial = trial_process()
    ray.get(trial.begin.remote(trial_config(3, 12), reading))
    on_a_cpu = set(GAUGES) - {"gpu_memory_bytes"}
    wait_for(lambda: set(read_gauges(endpoint)) == on_a_cpu)
    time.sleep(5)  # longer than a series is kept that its process does not export again
    wait_for(lambda: set(read_gauges(endpoint)) == on_a_cpu)  # a busy machine may export late
    found = read_gauges(endpoint)
    assert {name: value for name, (_, value) in found.items()} == {
        "accuracy_fraction": 0.96,
        "gap": 0.02,
        "ipc": 12,
        "step": 15,
        "seconds": 2.5,
    }
    labels = {"study": "by-hand", "method": "datadam", "trial": "3"}
    assert all(labels.items() <= tags.items() for tags, _ in found.values())
    ray.kill(trial)
    wait_for(lambda: read_gauges(endpoint) == {})


def queries() -> list[str]:
    """Every query of the Grafana dashboard: of its panels, and of the variables that narrow them."""
    dashboard = json.loads(DASHBOARD.read_text())
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return panels + [v["query"]["query"] for v in dashboard["templating"]["list"] if v["type"] == "query"]


def test_the_grafana_dashboard_shows_every_gauge_and_asks_for_no_other() -> None:
    named = {name for query in queries() for name in re.findall(r"ray_raydistill_(\w+)", query)}
    assert named == set(GAUGES)
    assert len(queries()) == len(GAUGES) + 2


def test_the_grafana_dashboard_narrows_by_tags_that_the_gauges_have() -> None:
    labels = {label for query in queries() for label in re.findall(r"[{,](\w+)=~|, (\w+)\)", query)}
    assert {first or second for first, second in labels} <= set(TAGS)


@pytest.mark.usefixtures("endpoint")
def test_rays_own_set_up_of_grafana_reads_the_folder_that_the_dashboard_is_put_into() -> None:
    grafana = Path(ray._private.worker._global_node.get_session_dir_path()) / "metrics" / "grafana"
    wait_for(lambda: (grafana / "dashboards" / "default_grafana_dashboard.json").exists())
    installed = install_dashboard(grafana / "dashboards")
    (provider,) = yaml.safe_load((grafana / "provisioning" / "dashboards" / "default.yml").read_text())["providers"]
    assert Path(provider["options"]["path"]) == installed.parent
    assert json.loads(installed.read_text())["uid"] == "raydistill"


def test_without_the_folder_the_dashboard_goes_nowhere(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"there is no folder .*absent; Ray makes .* start Ray first, or give the folder that RAY_METRICS"
    ):
        install_dashboard(tmp_path / "absent")
