"""The tables of what a set is good for, one entry per protocol; `cost_tables` and `privacy_tables` have two of them.

In CSV and JSON a row per reading, at full precision; for people a row per source, `mean +- standard deviation` in percent.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from raydistill.report.cost_tables import cost_head, cost_people, cost_rows
from raydistill.report.privacy_tables import privacy_head, privacy_people, privacy_rows
from raydistill.report.rendering import FORMATS_OF_SCRIPTS, frame_of, render
from raydistill.report.use_words import in_percent, of_the_set, source_words, std
from raydistill.spaces.units import rough
from raydistill.uses.ranks import CONFIDENCE, RankCorrelation
from raydistill.uses.values import About, ContinualResult, CostResult, NasArm, NasResult, PrivacyResult, TransferResult, UseResult


def render_use(result: UseResult, suffix: str) -> str:
    """A result as a table: `md`, `tex`, `csv` or `json`."""
    rows_of, people_of, head_of = TABLES[type(result)]
    if suffix in FORMATS_OF_SCRIPTS:
        return render(frame_of([{**row, **about_cells(result.about)} for row in rows_of(result)]), suffix)
    body = render(frame_of(people_of(result)), suffix)
    head = head_of(result)
    return f"% {head}\n{body}" if suffix == "tex" else f"{head}\n\n{body}"


def about_cells(about: About) -> dict[str, Any]:
    """What every row of a script's table says of the set."""
    fields = ("dataset", "method", "ipc", "label_kind", "recipe", "split", "metric", "set_sha256", "code_sha256")
    return {f"of_{name}" if name in ("method", "ipc") else name: getattr(about, name) for name in fields}


def short_networks(networks: Sequence[str]) -> dict[str, str]:
    """A heading for each network: its name, or the whole text where a name stands for several."""
    names = [network.partition(":")[0] for network in networks]
    return {network: name if names.count(name) == 1 else network for network, name in zip(networks, names, strict=True)}


def _transfer_rows(result: TransferResult) -> list[dict[str, Any]]:
    return [
        {
            "source": cell.source,
            "network": cell.network,
            "accuracy_fraction_mean": statistics.mean(cell.accuracy_fractions),
            "accuracy_fraction_std": std(cell.accuracy_fractions),
            "networks": len(cell.accuracy_fractions),
            "seconds": cell.seconds,
        }
        for cell in result.cells
    ]


def transfer_people(result: TransferResult) -> list[dict[str, str]]:
    """A row per source, a column per network."""
    heads = short_networks(list(dict.fromkeys(cell.network for cell in result.cells)))
    rows: dict[str, dict[str, str]] = {}
    for cell in result.cells:
        row = rows.setdefault(cell.source, {"learned from": source_words(cell.source)})
        row[f"{heads[cell.network]} (%)"] = in_percent(cell.accuracy_fractions)
    return list(rows.values())


def _transfer_head(result: TransferResult) -> str:
    count = len(result.cells[0].accuracy_fractions)
    left = f" The images are too small for {', '.join(result.left_out)}." if result.left_out else ""
    return f"Transfer: mean +- standard deviation over {count} networks each, {of_the_set(result.about)}.{left}"


def _continual_rows(result: ContinualResult) -> list[dict[str, Any]]:
    return [
        {
            "source": arm.source,
            "order": number,
            "step": step + 1,
            "classes_seen": sum(len(names) for names in result.orders[number][: step + 1]),
            "accuracy_fraction": accuracy,
            "networks": result.networks,
            "stored_images": arm.stored_images,
            "seconds": arm.seconds,
        }
        for arm in result.arms
        for number, steps in enumerate(arm.accuracy_fractions)
        for step, accuracy in enumerate(steps)
    ]


def continual_people(result: ContinualResult) -> list[dict[str, str]]:
    """A row per memory, a column per step, and the mean over the steps of an order."""
    counts = classes_seen(result)
    return [
        {
            "memory": source_words(arm.source),
            "images": str(arm.stored_images),
            **{
                f"{count} classes (%)": in_percent([steps[step] for steps in arm.accuracy_fractions])
                for step, count in enumerate(counts)
            },
            "mean over steps (%)": in_percent([statistics.mean(steps) for steps in arm.accuracy_fractions]),
        }
        for arm in result.arms
    ]


def classes_seen(result: ContinualResult) -> list[int]:
    """Number of classes after each step; the same in every order."""
    return list(itertools.accumulate(len(names) for names in result.orders[0]))


def _continual_head(result: ContinualResult) -> str:
    each = "" if result.networks == 1 else f" of {result.networks} networks each"
    return (
        f"Continual learning: accuracy on the classes seen so far, mean +- standard deviation over {len(result.orders)} orders "
        f"of the classes{each}, {of_the_set(result.about)}."
    )


def _nas_rows(result: NasResult) -> list[dict[str, Any]]:
    return [
        {
            "source": arm.source,
            "spearman": arm.spearman.value,
            "spearman_low": arm.spearman.low,
            "spearman_high": arm.spearman.high,
            "kendall": arm.kendall.value,
            "kendall_low": arm.kendall.low,
            "kendall_high": arm.kendall.high,
            "chosen": arm.chosen,
            "chosen_accuracy_fraction": arm.chosen_accuracy_fraction,
            "tied": arm.tied,
            "steps": arm.steps,
            "stored_images": arm.stored_images,
            "seconds": arm.seconds,
            "networks": len(result.networks),
            "seeds": result.seeds,
        }
        for arm in result.arms
    ]


def nas_people(result: NasResult) -> list[dict[str, str]]:
    """A row per way to rank the networks."""
    return [
        {
            "ranked by": source_words(arm.source),
            "images": str(arm.stored_images),
            "steps": str(arm.steps),
            "time": rough(arm.seconds),
            "Spearman": correlation_words(arm.spearman),
            "Kendall": correlation_words(arm.kendall),
            "network ranked first": first_words(arm),
            "its accuracy on the full data (%)": f"{100 * arm.chosen_accuracy_fraction:.2f}",
        }
        for arm in result.arms
    ]


def first_words(arm: NasArm) -> str:
    """The network that is ranked first, and how many are tied with it; the accuracy beside it is then their mean."""
    return arm.chosen if arm.tied in (None, 1) else f"{arm.chosen} (tied with {arm.tied - 1} more: mean of the {arm.tied})"


def correlation_words(found: RankCorrelation) -> str:
    """A correlation and its interval."""
    if found.value is None:
        return "none, all tied"
    ends = "" if found.low is None or found.high is None else f" ({found.low:.2f} to {found.high:.2f})"
    return f"{found.value:.2f}{ends}"


def _nas_head(result: NasResult) -> str:
    each = "" if result.seeds == 1 else f", {result.seeds} seeds each"
    left = "" if result.left_out == 0 else f" ({result.left_out} more do not fit the images)"
    return (
        f"Choice of a network: rank correlation to the full data over {len(result.networks)} networks{each} of a space of "
        f"{result.space}{left}, with {100 * CONFIDENCE:g} % bootstrap intervals over networks; {of_the_set(result.about)}."
    )


TABLES: Mapping[
    type, tuple[Callable[[Any], list[dict[str, Any]]], Callable[[Any], list[dict[str, str]]], Callable[[Any], str]]
] = {
    TransferResult: (_transfer_rows, transfer_people, _transfer_head),
    ContinualResult: (_continual_rows, continual_people, _continual_head),
    NasResult: (_nas_rows, nas_people, _nas_head),
    CostResult: (cost_rows, cost_people, cost_head),
    PrivacyResult: (privacy_rows, privacy_people, privacy_head),
}
"""By the class of a result: rows for scripts, rows for people, and the sentence above them."""
