"""The page of a study: the finding in one sentence and one picture, and below it everything that it rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from raydistill.report.curve import FEWEST_TRIALS, Point, curve_rows, importance, placed, settings_searched
from raydistill.report.looks import Look, looks_of
from raydistill.report.next_commands import command
from raydistill.report.page.accuracy import accuracy_chart
from raydistill.report.page.chart import Chart
from raydistill.report.page.charts import cost_chart, progress_chart, settings_chart
from raydistill.report.page.entries import entries, settings_shared
from raydistill.report.page.html import Cell, Fact, Head, Links, Table, links_from, render_html, split_sentence, table_of
from raydistill.report.page.pictures import set_pictures
from raydistill.report.page.uses import commands_of_uses, find_uses, shown_uses
from raydistill.report.study import Study
from raydistill.report.study_commands import continue_search, on_study, search_anew, to_be_added
from raydistill.report.words import accuracy_line, duration, percent, points
from raydistill.search.verdict import not_admissible_in_short
from raydistill.spaces.units import looked_before, packed_in_words
from raydistill.storage.layout import CONFIRMATION_FILE, RECORD_FILE, RESULT_FILE, SPACE_FILE
from raydistill.storage.result import GapBounds, Smallest

REFRESH_SECONDS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """What is said of the settings of one arm."""

    name: str
    number: int
    trials: int
    shares: tuple[tuple[str, float], ...]
    words: str
    chart: Chart | None


def study_page(study: Study, path: str) -> str:
    """The text of a study's page.

    Args:
        study: as `report.study.read_whole` reads it.
        path: where the page will lie; its links lead from there.
    """
    links, looks, curve = links_from(study.store, path), looks_of(study.arms), curve_rows(study)
    uses = find_uses(study)
    # Behind the study's own arms, whose looks stay as they are.
    with_uses = looks_of({**study.arms, **{name: kind for name, kind in uses.arms.items() if name not in study.arms}})
    content: dict[str, Any] = {
        "first": accuracy_chart(study, curve, looks),
        "curve": _curve_table(study, curve, links),
        "tiles": tuple(_tiles(study, links)),
        "pictures": set_pictures(study, links),
        "uses": shown_uses(uses, with_uses, links),
        "uses_commands": commands_of_uses(uses, study),
        "cost": cost_chart(study, looks),
        "mattered": tuple(_mattered(study, looks)),
        "progress": progress_chart(study, looks),
        "baseline": tuple(_baseline(study, links)),
        "commands": tuple(_commands(study)),
        "environment": tuple(_environment(study, links)),
        "trials": tuple(entries(study, looks, links)),
        "fixed": tuple(settings_shared(study)),
    }
    return render_html("study.html.j2", _head(study, with_uses, uses.notes), content)


def _head(study: Study, looks: dict[str, Look], more_notes: Sequence[str]) -> Head:
    heading, rest = split_sentence(_sentence(study))
    return Head(
        title=f"{study.name}: {heading}",
        kicker=f"Study {study.name}, data {study.dataset}",
        heading=heading,
        rest=rest,
        lead=tuple(_lead(study)),
        notes=(*study.left_out, *more_notes),
        changed=tuple(damage.in_words(study.store) for damage in study.changed),
        refresh=REFRESH_SECONDS if study.holder is not None else None,
        looks=tuple(looks.values()),
    )


def _sentence(study: Study) -> str:
    """The finding; what was said instead by older versions; how far a search is that has not ended."""
    if study.is_over and study.is_result_changed:
        return "No finding is shown: result.json was changed after the search ended; restore it, or run the search again"
    if study.verdict is None:
        ended = sum(trial.record is not None for trial in study.asked)
        begun = "The search runs" if study.holder is not None else "The search has not ended"
        return f"{begun}: {_so_far(study)}; {ended} of {len(study.asked)} trials asked so far have ended"
    if study.finding is not None:
        return study.finding.sentence
    return f"{study.verdict.in_short}: {study.verdict.reason}"


def _so_far(study: Study) -> str:
    within = sorted((t.ipc, t.gap, t.arm) for t in study.finished if t.gap is not None and t.gap <= (study.margin_fraction or 0))
    if within:
        ipc, gap, arm = within[0]
        return f"{arm} at IPC {ipc} reads within the margin (gap {points(gap or 0.0)}), which no other image has confirmed yet"
    gaps = [(t.gap, t.ipc, t.arm) for t in study.finished if t.gap is not None]
    if not gaps:
        return "no trial has finished yet"
    gap, ipc, arm = min(gaps)
    return f"no set reads within the margin yet; the closest is {arm} at IPC {ipc} with a gap of {points(gap)}"


def _lead(study: Study) -> Iterator[str]:
    result, finding = study.verdict, study.finding
    if result is None:
        return
    if finding is not None:
        if finding.decides:
            yield f"What would decide it: {finding.decides}."
        yield (
            f"With at least {100 * finding.confidence:g} % confidence all of this is right at once. It is about the "
            "confirm images; the test split is opened by a certificate alone."
        )
    if result.earlier_looks:
        words = looked_before(result.earlier_looks)
        yield f"{words[:1].upper()}{words[1:]}."
    if result.verdict != "lossless":
        yield f"Verdict {result.verdict.replace('_', ' ')}: {result.reason}."


def _curve_table(study: Study, curve: Sequence[Point], links: Links) -> Table:
    rows = (
        (
            point.arm,
            str(point.ipc),
            Cell(text=percent(point.accuracy_fraction), href=links.to("trials", point.best.trial_id, RECORD_FILE)),
            points(point.gap),
            "" if point.low is None or point.high is None else f"{100 * point.low:.2f} to {100 * point.high:.2f}",
            f"{point.networks}",
            f"{point.finished} of {point.trials}",
        )
        for point in curve
    )
    head = ("arm", "IPC", f"{study.metric_words} of the best", "gap", "bounds (points)", "networks", "trials finished")
    return table_of("The best trial of each arm at each IPC, on the select images", head, rows)


def _tiles(study: Study, links: Links) -> Iterator[Fact]:
    finding, result = study.finding, study.verdict
    if finding is not None:
        for name, smallest in (
            ("Smallest lossless distilled set", finding.distilled),
            ("Smallest lossless control", finding.control),
        ):
            yield _smallest(name, smallest, links)
        if finding.ratio_images is not None:
            in_bytes = "" if finding.ratio_byte_bytes is None else f"{finding.ratio_byte_bytes:.2f} in bytes, one per pixel"
            file = links.to(RESULT_FILE)
            yield Fact(name="Control over distilled set", value=f"{finding.ratio_images:.2f} in images", more=in_bytes, href=file)
    elif result is not None:
        bounds = "" if result.gap_interval is None else _bounds(result.gap_interval)
        yield Fact(name="Verdict", value=result.in_short, more=bounds, href=links.to(RESULT_FILE))
    if result is not None and result.largest_lossy_ipc is not None:
        more = f"the best of {result.largest_lossy_trials} trials at it" if result.largest_lossy_trials != 1 else "by one trial"
        yield Fact(name="Largest IPC shown lossy", value=f"IPC {result.largest_lossy_ipc}", more=more, href=links.to(RESULT_FILE))
    if study.margin_fraction is not None:
        yield Fact(
            name="Margin",
            value=points(study.margin_fraction),
            more=f"largest loss of {study.metric_words} that counts as none",
        )
    states = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in study.states.items())
    seconds = sum(trial.seconds or 0.0 for trial in study.asked)
    yield Fact(name="Trials", value=f"{len(study.asked)}", more=f"{states}; {duration(seconds)} in all", href="#trials")


def _smallest(name: str, smallest: Smallest | None, links: Links) -> Fact:
    if smallest is None:
        return Fact(name=name, value="none shown")
    size = f"{smallest.images} images{packed_in_words(smallest.factor)}, {smallest.byte_bytes:,} bytes with one per pixel"
    return Fact(
        name=name,
        value=f"{smallest.arm}, IPC {smallest.ipc}",
        more=f"{_bounds(smallest.gap_interval)}; {size}",
        href=links.to("trials", smallest.trial_id, CONFIRMATION_FILE),
    )


def _bounds(interval: GapBounds) -> str:
    return f"gap {points(interval.gap)}, at most {points(interval.upper)} at {100 * interval.confidence:g} %"


def _mattered(study: Study, looks: dict[str, Look]) -> Iterator[Arm]:
    for arm, look in looks.items():
        settings = settings_searched(study, arm)
        is_tried = any(trial.arm == arm for trial in study.asked)
        if not is_tried or all(setting.name == "ipc" for setting in settings):
            continue
        trials = placed([trial for trial in study.finished if trial.arm == arm], settings)
        enough = len(trials) >= FEWEST_TRIALS
        yield Arm(
            name=arm,
            number=look.number,
            trials=len(trials),
            shares=tuple(importance(trials, settings).items()) if enough else (),
            words=f"{len(trials)} finished trials: too few to say which setting mattered; {FEWEST_TRIALS} are needed.",
            chart=settings_chart(study, arm, look, settings),
        )


def _baseline(study: Study, links: Links) -> Iterator[Fact]:
    baseline = study.baseline
    if baseline is None:
        return
    yield Fact(
        name=f"{study.metric_words.capitalize()} on the full data",
        value=f"{accuracy_line(baseline.accuracy_fractions)}, select images",
        href=links.to("baseline", "baseline.json"),
    )
    yield Fact(name="Each network", value=", ".join(percent(accuracy) for accuracy in baseline.accuracy_fractions))
    yield Fact(name="Recipe", value=baseline.recipe)
    yield Fact(name="Steps of the networks", value=str(baseline.steps))
    word = "trained to its end" if baseline.is_admissible else "no verdict is possible"
    if not baseline.is_admissible and study.margin_fraction is not None:
        why = not_admissible_in_short(baseline, study.margin_fraction)
        word = f"the full data {why}, so that {word}"
    moves = f"{100 * baseline.doubled_moves_by:+.2f} points"
    yield Fact(name="Twice the steps", value=f"move the {study.metric_words} by {moves}: {word}")
    images = f"{baseline.train_images} to train, {baseline.select_images} to select, {baseline.confirm_images} to confirm"
    yield Fact(name="Images", value=images)


def _commands(study: Study) -> Iterator[dict[str, str]]:
    store, given = study.store, study.given
    anew = search_anew(store, study.space, given, _another_store(store.parent.root))
    yield _command(f"Search again, from nothing, into another store{to_be_added(anew, store, study.dataset, given)}", anew)
    if not study.is_over:
        go_on = continue_search(store, study.space, given)
        yield _command(f"Go on with this search{to_be_added(go_on, store, study.dataset, given)}", go_on)
    yield _command("Write this page again", command("report", store.root))
    yield _command("Pictures and tables for a paper", command("plots", store.root))
    if study.verdict is not None and study.verdict.winner_trial_id is not None:
        yield _command("Prove the winner on the sealed test split", on_study(given, "certify", store.root))


def _another_store(root: str) -> str:
    """A store beside one; within it where nothing is beside: a bucket, whose neighbours are other people's, or `/`."""
    scheme, mark, rest = root.rstrip("/").rpartition("://")
    has_folder = "/" in rest if mark else rest not in ("", ".")
    return f"{scheme}{mark}{rest}{'-again' if has_folder else '/again'}"


def _command(what: str, line: str) -> dict[str, str]:
    return {"what": what, "command": line}


def _environment(study: Study, links: Links) -> Iterator[Fact]:
    records = [trial.record for trial in study.asked if trial.record is not None]
    yield Fact(name="Space", value=SPACE_FILE, href=links.to(SPACE_FILE))
    yield Fact(name="Seed of the study", value=str(study.space.get("seed", "unknown")))
    for name, found in (
        ("Devices", Counter(record.device for record in records)),
        ("Hosts", Counter(record.host for record in records)),
        ("Code", Counter(record.code_sha256 for record in records)),
        ("Commit", Counter(record.commit or "unknown, outside of a checkout" for record in records)),
        ("Versions", Counter(", ".join(f"{k} {v}" for k, v in record.versions.items()) or "unknown" for record in records)),
        ("Data", Counter(str(trial.config.get("data_sha256")) for trial in study.asked)),
    ):
        if found:
            yield Fact(name=name, value="; ".join(_counted(value, count, found) for value, count in found.most_common(5)))


def _counted(value: str, count: int, among: Counter[str]) -> str:
    return value if len(among) == 1 else f"{value} ({count} trials)"
