"""The Grafana dashboard of a search's gauges, and its installation where Ray's set-up of Grafana reads dashboards.

`ray start --head` writes a configuration of Grafana to `<session>/metrics/grafana/`, whose provisioning reads every JSON file in
`dashboards/` beside it, or in the folder that RAY_METRICS_GRAFANA_DASHBOARD_OUTPUT_DIR named when Ray was started. Grafana reads
them again every few seconds.
"""

from __future__ import annotations

from pathlib import Path

from raydistill.errors import InputError
from raydistill.spaces.paths import given_path
from raydistill.storage.store import Store

DASHBOARD = Path(__file__).with_name("grafana_dashboard.json")


def install_dashboard(folder: Path) -> Path:
    """Copy the dashboard into a folder that Grafana reads, and return its path.

    Raises:
        InputError: there is no such folder.
        StoreError: it cannot be written.
    """
    folder = given_path(folder)
    if not folder.is_dir():
        raise InputError(
            f"there is no folder {folder}; Ray makes <session>/metrics/grafana/dashboards when its head starts: start Ray first, "
            "or give the folder that RAY_METRICS_GRAFANA_DASHBOARD_OUTPUT_DIR names"
        )
    name = "raydistill_grafana_dashboard.json"
    Store(str(folder)).write(name, DASHBOARD.read_bytes())  # replaces a link of this name, which may lie in a folder of all, /tmp
    return folder / name
