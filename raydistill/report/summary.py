"""The lines that end a command: what was found, how sure it is, and where everything lies."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from raydistill.comparison.rows import CONFIDENCE, Comparison
from raydistill.data.own.record import read_report
from raydistill.data.own.words import twins_in_words
from raydistill.report.rendering import render
from raydistill.report.tables import comparison_frame
from raydistill.report.words import accuracy_line, duration, margin_words, points
from raydistill.search.resume import stored_document
from raydistill.spaces.units import looked_before, packed_in_words
from raydistill.storage.baseline import Baseline, read_baseline
from raydistill.storage.layout import OPTUNA_FILE, PICTURE_FILE, RESULT_FILE, SET_FILE, WINNER_FILE, WINNER_FOLDER
from raydistill.storage.result import Finding, SearchResult, Smallest
from raydistill.storage.store import Store

if TYPE_CHECKING:
    from raydistill.search.plan import Forecast


def end_of_search(study: Store, result: SearchResult) -> str:
    """Lines of a name and a value: what was found and where it lies."""
    baseline = read_baseline(study)
    rows = finding_rows(result.finding) if result.finding else []
    rows += [("Looked at before", looked_before(result.earlier_looks))] if result.earlier_looks else []
    rows += [
        ("Baseline", _baseline(baseline) if baseline else "none was built"),
        ("Recipe", baseline.recipe if baseline else ""),
        ("Margin", margin_words(result.margin_fraction, result.metric)),
        ("Verdict", f"{result.verdict.replace('_', ' ')}: {result.reason}"),
        ("Smallest lossless IPC", _smallest(result)),
        ("Largest IPC shown to be lossy", _lossy(result)),
        ("Compression", _compression(result)),
        ("Trials", f"{_counts(result)}; {duration(result.seconds)} of trial time"),
    ]
    rows += [("To be run again", _crashed(study, result))] if result.trials.get("crashed") else []
    images = read_report(study)
    if images is not None and images.twins is not None and images.twins.across:
        rows.append(("Twins across the parts", f"{twins_in_words(images.twins)}: accuracies come out too high"))
    if study.exists(WINNER_FILE):
        rows += [("Winner's set", study.path(WINNER_FOLDER, SET_FILE))]
    if study.exists(f"{WINNER_FOLDER}/{PICTURE_FILE}"):
        rows += [("Winner's picture", study.path(WINNER_FOLDER, PICTURE_FILE))]
    rows += [
        ("Tables", f"{study.path('tables', 'trials.md')}, {study.path('tables', 'ipc.md')} (and as .csv, .tex)"),
        ("Result", study.path(RESULT_FILE)),
        ("Optuna study", study.path(OPTUNA_FILE)),
    ]
    return aligned(rows)


def finding_rows(finding: Finding) -> list[tuple[str, str]]:
    """The finding of a race in lines of a name and a value: the sentence, what would decide it, both sides, and their ratio."""
    rows = [("Finding", finding.sentence)]
    rows += [("To decide it", finding.decides)] if finding.decides else []
    for side, smallest in (("distilled set", finding.distilled), ("control", finding.control)):
        rows += [(f"Smallest lossless {side}", _smallest_words(smallest))] if smallest else []
    if finding.ratio_images is not None and finding.ratio_float_bytes is not None and finding.ratio_byte_bytes is not None:
        in_bytes = f"{finding.ratio_float_bytes:.2f} in bytes as stored, {finding.ratio_byte_bytes:.2f} with one byte per pixel"
        rows.append(("Control over distilled set", f"{finding.ratio_images:.2f} in images, {in_bytes}"))
    return rows


def _smallest_words(smallest: Smallest) -> str:
    interval = smallest.gap_interval
    sure = f"at most {points(interval.upper)} with {100 * interval.confidence:g} % confidence"
    images = f"{smallest.images} images{packed_in_words(smallest.factor)}"
    size = f"{images}, {smallest.float_bytes} bytes as stored, {smallest.byte_bytes} with one byte per pixel"
    return f"{smallest.arm}, IPC {smallest.ipc}: gap {points(interval.gap)}, {sure}; {size}"


def distilled_summary(after: Sequence[float], before: Sequence[float], paths: Sequence[str]) -> str:
    """What one distillation gained over the set it started from, and where the set lies."""
    gained = points(statistics.mean(after) - statistics.mean(before))
    rows = [("Distilled set", f"{accuracy_line(after)}, select images"), ("Starting set", accuracy_line(before))]
    return aligned([*rows, ("Gain", gained), *(("Written", path) for path in paths)])


def forecast_lines(forecast: Forecast) -> str:
    """What a search will take, in lines of a name and a value."""
    rows = [(stage.name.capitalize(), f"{stage.jobs} jobs of about {duration(stage.seconds_each)}") for stage in forecast.stages]
    rows += [
        ("Largest trial", f"about {duration(forecast.largest_trial_seconds)}"),
        ("Wall-clock", f"about {duration(3600 * forecast.hours)}, {forecast.at_once} at once"),
        ("Disk", f"at most {forecast.disk_bytes / 2**20:.1f} MiB"),
        ("Memory", f"{forecast.trial_memory_bytes / 2**20:.0f} MiB a trial ({forecast.trial_memory_of})"),
    ]
    return aligned(rows)


def aligned(rows: Sequence[tuple[str, str]]) -> str:
    """Lines of a name and a value, the values below each other."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def end_of_comparison(comparison: Comparison, suffix: str, path: str) -> str:
    """What was compared, the table, and where the comparison lies; the intervals are two-sided."""
    settings = comparison.settings
    recipe = settings["evaluation"]["recipe"]
    accuracy = settings.get("metric", "accuracy").replace("_", " ")
    head = (
        f"{settings['dataset']['name']}, IPC {settings['ipc']}, {settings['split']} images, recipe {recipe}; "
        f"low and high are the ends of the {100 * CONFIDENCE:g} % interval, over draws, of the {accuracy} above random"
    )
    return f"{head}\n\n{render(comparison_frame(comparison), suffix)}\nWritten {path}\n"


def _baseline(baseline: Baseline) -> str:
    return f"{accuracy_line(baseline.accuracy_fractions)}, select images, {baseline.steps} steps"


def _smallest(result: SearchResult) -> str:
    if result.smallest_lossless_ipc is None:
        closest = "no trial finished" if result.closest_gap is None else f"closest gap {points(result.closest_gap)}"
        tried = "" if result.largest_ipc_tried is None else f" up to IPC {result.largest_ipc_tried}"
        none = "not reached" if result.verdict == "not_reached" else "none confirmed"
        return f"{none}{tried}, {closest}"
    sure = ""
    if result.gap_interval is not None:
        gap, bound = points(result.gap_interval.gap), points(result.gap_interval.upper)
        confidence = f"{100 * result.gap_interval.confidence:g} % confidence"
        sure = f"; gap {gap}, at most {bound} with {confidence} on {result.split} images"
    of = f"{result.method}, " if result.finding and result.finding.claim != "no_controls" else ""
    return f"{result.smallest_lossless_ipc} ({of}trial {result.winner_trial_id}{sure})"


def _lossy(result: SearchResult) -> str:
    if result.largest_lossy_ipc is None:
        return "none"
    count = result.largest_lossy_trials
    return f"{result.largest_lossy_ipc} (the best of {count} trial{'' if count == 1 else 's'} at it)"


def _compression(result: SearchResult) -> str:
    if result.compression_images is None or result.compression_bytes is None:
        return "none, because no set was shown to be lossless"
    images, size = result.compression_images, result.compression_bytes
    larger = "; a float32 pixel takes four times the bytes of a published one" if size < 1 else ""
    return f"train part over set: {images:.1f} in images, {size:.1f} in bytes{larger}"


def _crashed(study: Store, result: SearchResult) -> str:
    count = result.trials["crashed"]
    has_hours = sum(result.trials.values()) >= stored_document(study)["budget"].get("trials", 0)
    same = "the same command" if has_hours else "the same command with more hours"
    return f"{count} crashed; {same} runs {'it' if count == 1 else 'them'} again"


def _counts(result: SearchResult) -> str:
    return ", ".join(f"{number} {state.replace('_', ' ')}" for state, number in result.trials.items() if number) or "none"
