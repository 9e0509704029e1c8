"""The report's tables next to own results, as data frames and as text.

Every row has the report's value, the own mean and standard deviations with the numbers of sets and networks, random real images
of the same draws, times per network, and a reason if the two values differ. The caption states the scale, so that a small run is
not mistaken for one of the report's size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from raydistill.report.rendering import FORMATS, frame_of, render
from raydistill.reproduce.flops import report_flops
from raydistill.reproduce.published import REPORT_TIMER, TABLE_2, TABLES, TITLES, Published
from raydistill.reproduce.run import Asked, Read, Result, Results
from raydistill.reproduce.scales import Scale
from raydistill.reproduce.settings import UPDATES_AS_RUN
from raydistill.storage.store import Store

IN_CAPTION = ("table", "reading", "scale")
"""Columns of the CSV that the other formats show in the caption."""
NOT_RUN = "not run: "
K, T, ZETA_S, ZETA_THETA = "K", "T", "zeta_S", "zeta_theta"


def render_results(results: Results, suffix: str) -> str:
    """All requested tables, as Markdown, CSV or LaTeX."""
    return "\n".join(_render(table, results, suffix) for table in results.asked.tables)


def write_results(results: Results, folder: Store) -> None:
    """Write every table as `tables/<number>-<reading>-<scale>.{md,csv,tex}`."""
    asked = results.asked
    for table in asked.tables:
        for suffix in FORMATS:
            folder.write(f"tables/{table}-{asked.reading}-{asked.scale.name}.{suffix}", _render(table, results, suffix))


def render_flops(suffix: str) -> str:
    """Table I's FLOPs, as Markdown, CSV or LaTeX."""
    return render(frame_of([row.model_dump() for row in report_flops()]), suffix)


def result_frame(table: int, results: Results) -> pd.DataFrame:
    """A table of the report with own results, row by row; fractions and seconds."""
    asked = results.asked
    if table == 2:
        return frame_of([{**_where(table, asked), **row} for row in _settings_rows(asked)])
    flops = {row.dataset: row for row in report_flops()} if table == 1 else {}
    rows = []
    for published in (p for p in TABLES if p.table == table):
        counted = flops.get(published.dataset)
        row = {**_where(table, asked), "dataset": published.dataset, "row": published.row}
        row |= {"report_accuracy_fraction": published.accuracy_fraction}
        result = results.rows.get((table, published.dataset, published.row))
        row |= _read_cells("own", result.own if result else None, counts=True)
        row |= _read_cells("random", result.random if result else None)
        row |= _read_cells("random_soft", result.random_soft if result else None)
        row |= _time_cells(published, result)
        if counted is not None:
            row |= {"report_flops": counted.report_flops, "report_rule_flops": counted.report_rule}
            row |= {"true_input_flops": counted.true_rule, "true_input_macs": counted.true_macs}
        row["why"] = _why(published, result, results)
        rows.append(row)
    return frame_of(rows)


def caption(table: int, results: Results) -> str:
    """The caption of a table: its subject, reading and scale, and the device on which times were measured."""
    asked = results.asked
    reading = "as run" if asked.reading == "as_run" else "as specified"
    head = f"Table {table} of the report ({TITLES[table]}), {reading}; scale {asked.scale.name}: {asked.scale.caption}."
    devices = {r.own.device for at, r in results.rows.items() if at[0] == table and r.own is not None}
    if table == 2 or not devices:
        return head
    on = " and ".join(sorted(devices))
    times = f"Seconds are those of training one network, on {on}; the report's seconds were measured on its author's device."
    return f"{head} Accuracies are on test images. {times}"


def _render(table: int, results: Results, suffix: str) -> str:
    frame = result_frame(table, results)
    if suffix == "csv":
        return render(frame, suffix)
    text = caption(table, results)
    body = render(frame.drop(columns=list(IN_CAPTION)), suffix)
    return f"% {text}\n{body}" if suffix == "tex" else f"{text}\n\n{body}"


def _where(table: int, asked: Asked) -> dict[str, Any]:
    return {"table": table, "reading": asked.reading, "scale": asked.scale.name}


def _read_cells(whose: str, read: Read | None, *, counts: bool = False) -> dict[str, Any]:
    cells = {f"{whose}_accuracy_fraction": read.accuracy_fraction if read else None}
    if counts:
        cells |= {"draws_std": read.draws_std if read else None, "networks_std": read.networks_std if read else None}
        cells |= {"sets": read.draws if read else None, "networks": read.networks if read else None}
    return cells


def _time_cells(published: Published, result: Result | None) -> dict[str, Any]:
    own = result.own if result else None
    return {
        "report_seconds_printed": published.seconds_printed,
        "report_seconds_per_network": published.seconds_per_network,
        "seconds_per_network": own.train_seconds if own else None,
        "distill_seconds": result.distill_seconds if result else None,
    }


def _why(published: Published, result: Result | None, results: Results) -> str:
    """Why the own and the report's value differ, or that the difference is within the spread of the runs."""
    if published.dataset in results.missing:
        return NOT_RUN + results.missing[published.dataset]
    if result is None or result.own is None:
        return NOT_RUN + "; ".join(result.errors if result else ())
    own, asked = result.own, results.asked
    scatter = ((own.draws_std or 0.0) ** 2 + (own.networks_std or 0.0) ** 2) ** 0.5
    difference = own.accuracy_fraction - published.accuracy_fraction
    reasons = [f"{len(result.errors)} of the sets diverged"] if result.errors else []
    if abs(difference) <= 2 * scatter:
        reasons.append("within two standard deviations of one run")
    else:
        remarks = published.remarks if asked.reading == "as_run" else published.remarks_as_specified
        reasons += [f"scale {asked.scale.name}"] if asked.scale.name != "full" else []
        reasons += remarks or (() if asked.scale.name != "full" else ("not known",))
    if published.seconds_printed is not None and published.seconds_per_network is None:
        reasons.append(f"the report's time is a {REPORT_TIMER}")
    return "; ".join(reasons)


def _settings_rows(asked: Asked) -> list[dict[str, Any]]:
    """Table II: the report's printed values, their meaning in its code, and the values of this run."""
    scale = asked.scale
    ours = {dataset: _ours(scale, dataset, is_as_run=asked.reading == "as_run") for dataset in ("mnist", "mhist")}
    return [
        {
            "symbol": symbol,
            "report_mnist": mnist,
            "report_mhist": mhist,
            "in_the_reports_code": IN_CODE.get(symbol, "as printed"),
            "ours_mnist": ours["mnist"].get(symbol, mnist),
            "ours_mhist": ours["mhist"].get(symbol, mhist),
        }
        for symbol, mnist, mhist in TABLE_2
    ]


IN_CODE: Mapping[str, str] = {
    K: "number of evaluation networks; no loop over initialisations",
    T: "total number of image updates, each with a new network",
    "eta_theta": "learning rate of the evaluation",
    ZETA_THETA: "epochs of the evaluation, run as 51; no model steps while distilling",
    "optimiser": "SGD with momentum 0.5 for the images, 0.9 for the evaluation",
    "minibatch": "real images per class and update, and batch size of the evaluation",
    "network (width)": "with batch norm in Tables III and IV, instance norm elsewhere",
}
"""The meaning of a symbol of Table II in the report's code, if it differs from its name."""


def _ours(scale: Scale, dataset: Any, *, is_as_run: bool) -> dict[str, str]:
    depth = 3 if dataset == "mnist" else 7
    cells = {
        "IPC": str(scale.ipc[dataset]),
        "minibatch": str(scale.batch_real[dataset]),
        "network (width)": f"ConvNet-{depth} ({scale.widths[dataset]})",
    }
    if is_as_run:
        networks = f"{scale.draws} sets x {scale.networks[dataset]} networks"
        return cells | {K: networks, T: str(UPDATES_AS_RUN), ZETA_THETA: "51 epochs of the evaluation"}
    return cells | {K: str(scale.inits[dataset]), ZETA_THETA: str(scale.model_steps)}
