"""What a study keeps of a person's images: `data.json`, the report of the first search of the study."""

from __future__ import annotations

from raydistill.data.own.report import DataReport
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored

DATA_FILE = "data.json"


def read_report(study: Store) -> DataReport | None:
    """The report in a study's folder; None for studies of other data sets, and of older versions.

    Raises:
        StoreError: the file is damaged.
    """
    return read_stored(study, DATA_FILE, DataReport, "delete it, and search again, which makes it")


def write_report(study: Store, report: DataReport) -> None:
    """Keep a report in a study's folder."""
    study.write(DATA_FILE, report.model_dump_json(indent=2) + "\n")
