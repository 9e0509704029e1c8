"""The tables that `raydistill evaluate --protocol` prints."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from raydistill.catalogue import did_you_mean
from raydistill.errors import InputError
from raydistill.report.rendering import FORMATS_OF_SCRIPTS, frame_of, render
from raydistill.search.watcher import Watcher
from raydistill.sets.place import ImagesToRead
from raydistill.sets.protocols import BENCHMARKS, BenchReading, RankingReading, run_dc_bench, run_dd_ranking
from raydistill.uses.names import USES

PROTOCOLS = (*BENCHMARKS, *USES)


def render_protocol(
    protocol: str,
    path: str,
    on: ImagesToRead,
    suffix: str,
    *,
    architectures: Sequence[str],
    augmentations: Sequence[str],
    networks: int | None,
    recipe: str | None,
    watcher: Watcher | None = None,
) -> str:
    """A set under a benchmark's protocol, as Markdown, CSV, JSON or LaTeX; arguments as in `protocols`.

    Raises:
        InputError: an unknown protocol, an option that the protocol does not have, or what the protocol refuses.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"unknown protocol {protocol!r}; {did_you_mean(protocol, PROTOCOLS)}Allowed: {', '.join(PROTOCOLS)}")
    if protocol == "dc_bench":
        if recipe is not None:
            raise InputError(f"recipe {recipe!r} with protocol dc_bench, which has its own: leave --recipe out")
        readings = run_dc_bench(
            path, on, architectures=architectures, augmentations=augmentations, networks=networks, watcher=watcher
        )
        return render_dc_bench(readings, suffix)
    if augmentations:
        raise InputError(f"augmentations {', '.join(augmentations)} are dc_bench's; leave them out, or give --protocol dc_bench")
    reading = run_dd_ranking(path, on, architectures=architectures, networks=networks, recipe=recipe, watcher=watcher)
    return render_dd_ranking(reading, suffix)


def render_dc_bench(readings: Sequence[BenchReading], suffix: str) -> str:
    """Networks x augmentations: in CSV and JSON a row per cell, for people a row per network and a column per augmentation."""
    if suffix in FORMATS_OF_SCRIPTS:
        return render(
            frame_of(
                [
                    {
                        "network": reading.network,
                        "augmentation": reading.augmentation,
                        "accuracy_fraction_mean": statistics.mean(reading.accuracy_fractions),
                        "accuracy_fraction_std": _std(reading.accuracy_fractions),
                        "networks": len(reading.accuracy_fractions),
                        "recipe": reading.recipe,
                        "split": reading.split,
                    }
                    for reading in readings
                ]
            ),
            suffix,
        )
    rows: dict[str, dict[str, str]] = {}
    for reading in readings:
        cell = _in_percent(reading.accuracy_fractions)
        rows.setdefault(reading.network, {"network": reading.network})[f"{reading.augmentation} (%)"] = cell
    first = readings[0]
    head = f"DC-Bench: mean +- standard deviation over {len(first.accuracy_fractions)} networks, {first.split} images."
    return _with_head(head, render(frame_of(list(rows.values())), suffix), suffix)


def render_dd_ranking(reading: RankingReading, suffix: str) -> str:
    """Both scores with their deviation over networks, and the accuracies behind them."""
    scores = {"label-robust score (LRS)": reading.label_robust, "augmentation-robust score (ARS)": reading.augmentation_robust}
    rows = [
        {"what": name, "mean": statistics.mean(values), "std": _std(values), "networks": len(values)}
        for name, values in (scores | reading.accuracy_fractions).items()
    ]
    head = (
        f"DD-Ranking in fractions ({statistics.mean(reading.label_robust):.4f} LRS, "
        f"{statistics.mean(reading.augmentation_robust):.4f} ARS; 0.2689 is neither gain nor loss), {reading.label_kind} labels, "
        f"{reading.network}, {reading.split} images; {reading.recipe}."
    )
    body = render(frame_of(rows), suffix)
    return body if suffix in FORMATS_OF_SCRIPTS else _with_head(head, body, suffix)


def _with_head(head: str, body: str, suffix: str) -> str:
    return f"% {head}\n{body}" if suffix == "tex" else f"{head}\n\n{body}"


def _in_percent(fractions: Sequence[float]) -> str:
    mean = f"{100 * statistics.mean(fractions):.2f}"
    return mean if len(fractions) == 1 else f"{mean} +- {100 * statistics.stdev(fractions):.2f}"


def _std(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None
