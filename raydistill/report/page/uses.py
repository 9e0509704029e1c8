"""What a study's page says of the uses of its winner: a chart and a table for each protocol whose result lies in the study."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raydistill.errors import StoreError
from raydistill.report.cost_tables import cost_people
from raydistill.report.looks import side_step
from raydistill.report.next_commands import command
from raydistill.report.page.axes import linear_axis, plain
from raydistill.report.page.chart import Chart, Line, Mark, Rule, across, up
from raydistill.report.page.html import Cell, Links, Table, table_of
from raydistill.report.page.marks import css_of
from raydistill.report.page.privacy import privacy_chart
from raydistill.report.page.training_cost import training_cost_chart
from raydistill.report.page.use_parts import Looks, ends_of, keys_of, x_ticks_of
from raydistill.report.privacy_tables import privacy_people
from raydistill.report.study import Study
from raydistill.report.study_commands import data_root
from raydistill.report.use_tables import (
    classes_seen,
    continual_people,
    correlation_words,
    first_words,
    nas_people,
    short_networks,
    transfer_people,
)
from raydistill.report.use_words import metric_words, source_words
from raydistill.report.words import percent
from raydistill.storage.layout import WINNER_FOLDER
from raydistill.uses.names import USES
from raydistill.uses.values import (
    IN_STEPS,
    REAL,
    SET,
    ContinualResult,
    CostResult,
    NasResult,
    PrivacyResult,
    TransferResult,
    UseResult,
    read_result,
    result_file,
    uses_folder,
)

LINE, ROOM, TALL, ROW = 13, 16, 300, 44
"""Pixels: between sources of a network, between networks, of the chart of steps, and of a way to rank."""
BESIDE = 4
"""Pixels between the marks of one step."""
QUESTIONS = {
    "transfer": "Does it serve other networks",
    "continual": "Does it serve as a memory while classes come step by step",
    "nas": "Does it rank networks as the full data does",
    "cost": "What does training cost until it is good enough",
    "privacy": "What does it show of the train images",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One protocol on the page."""

    chart: Chart
    table: Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The results for a study's winner."""

    results: dict[str, UseResult]
    notes: tuple[str, ...]
    """A sentence for each that cannot be read."""
    set_sha256: str | None
    """Hash of the winner's set; None where there is no winner."""

    @property
    def arms(self) -> dict[str, bool]:
        """Every source as people read it, and whether it is a control."""
        named: dict[str, bool] = {}
        for result in self.results.values():
            rows: Sequence[Any] = result.cells if isinstance(result, TransferResult) else result.arms
            named |= {source_words(row.source): row.source not in (SET, IN_STEPS, *REAL) for row in rows}
        return named


def find_uses(study: Study) -> Found:
    """The results of every protocol for the set that won."""
    winner = None if study.verdict is None else study.verdict.winner_trial_id
    trial = None if winner is None else study.trial(winner)
    sha256 = None if trial is None or trial.record is None else trial.record.images_sha256
    results: dict[str, UseResult] = {}
    notes = []
    for protocol in USES if sha256 is not None else ():
        try:
            result = read_result(uses_folder(study.store, sha256 or ""), protocol)
        except StoreError as error:
            notes.append(str(error))
        else:
            results |= {} if result is None else {protocol: result}
    return Found(results=results, notes=tuple(notes), set_sha256=sha256)


def shown_uses(found: Found, looks: Looks, links: Links) -> tuple[Shown, ...]:
    """A chart and a table for each protocol that was run."""
    return tuple(_shown(protocol, result, found, looks, links) for protocol, result in found.results.items())


def commands_of_uses(found: Found, study: Study) -> tuple[dict[str, str], ...]:
    """The commands of the protocols that were not run on the winner."""
    if found.set_sha256 is None:
        return ()
    winner, root = study.store.path(WINNER_FOLDER), data_root(study.given)
    return tuple(
        {"what": f"{QUESTIONS[protocol]}?", "command": command("evaluate", winner, protocol=protocol, data_root=root)}
        for protocol in USES
        if protocol not in found.results
    )


def _shown(protocol: str, result: UseResult, found: Found, looks: Looks, links: Links) -> Shown:
    chart, people = CHARTS[type(result)]
    rows, href = people(result), links.to("uses", str(found.set_sha256)[:12], result_file(protocol))
    cells = [[Cell(text=text, href=href if place == 0 else None) for place, text in enumerate(row.values())] for row in rows]
    caption = f"{QUESTIONS[protocol]}, {result.about.split} images, recipe {result.about.recipe}"
    return Shown(chart=chart(result, looks), table=table_of(caption, rows[0], cells))


def transfer_chart(result: TransferResult, looks: Looks) -> Chart:
    """A row per network, in it a mark per source: the mean, with one standard deviation each way."""
    sources = list(dict.fromkeys(cell.source for cell in result.cells))
    heads = short_networks(list(dict.fromkeys(cell.network for cell in result.cells)))
    each = LINE * len(sources) + ROOM
    x = linear_axis([end for cell in result.cells for end in ends_of(cell.accuracy_fractions)])
    marks = []
    for cell in result.cells:
        look, mean = looks[source_words(cell.source)], statistics.mean(cell.accuracy_fractions)
        row = list(heads).index(cell.network)
        low, high = ends_of(cell.accuracy_fractions)
        marks.append(
            Mark(
                x=across(x, 100 * mean),
                y=each * row + ROOM / 2 + LINE * (sources.index(cell.source) + 0.5),
                shape=look.shape,
                css=css_of(look),
                label=f"{source_words(cell.source)}, {heads[cell.network]}: {percent(mean)} over "
                f"{len(cell.accuracy_fractions)} networks",
                span=(across(x, max(low, x.low)), across(x, min(high, x.high))),
                lies=True,
            )
        )
    return Chart(
        name="transfer",
        title="Other networks",
        says=f"{len(heads)} networks, each trained on {len(sources)} sources; the set was made with {result.about.network}.",
        height=each * len(heads),
        left=24 + 7 * max(len(name) for name in heads.values()),
        x_title=f"{metric_words(result.about)} (%), {result.about.split} images",
        y_title="",
        x_ticks=x_ticks_of(x),
        y_ticks=tuple((each * (row + 0.5), name) for row, name in enumerate(heads.values())),
        marks=tuple(marks),
        keys=keys_of(sources, looks),
        top=16,
        note="A line reaches one standard deviation over networks each way; random images are drawn again for each.",
    )


def continual_chart(result: ContinualResult, looks: Looks) -> Chart:
    """Accuracy against the number of classes seen, a line per memory."""
    counts = classes_seen(result)
    x = linear_axis(map(float, counts))
    columns = {arm.source: [list(column) for column in zip(*arm.accuracy_fractions, strict=True)] for arm in result.arms}
    y = linear_axis([end for own in columns.values() for column in own for end in ends_of(column)])
    marks, lines = [], []
    for number, (source, own) in enumerate(columns.items()):
        look = looks[source_words(source)]
        means = [statistics.mean(column) for column in own]
        points = tuple((across(x, count), up(y, 100 * mean, TALL)) for count, mean in zip(counts, means, strict=True))
        lines.append(Line(points=points, css=css_of(look), dash=look.dash))
        for (place, height), count, mean, column in zip(points, counts, means, own, strict=True):
            low, high = ends_of(column)
            marks.append(
                Mark(
                    x=place,
                    y=height,
                    shape=look.shape,
                    css=css_of(look),
                    label=f"{source_words(source)}, {count} classes seen: {percent(mean)} over {len(column)} orders",
                    span=(up(y, max(low, y.low), TALL), up(y, min(high, y.high), TALL)),
                    beside=round(BESIDE * side_step(number, len(columns) - 1)),
                )
            )
    return Chart(
        name="continual",
        title="A memory while classes come",
        says=f"{len(counts)} steps in {len(result.orders)} orders of the classes, with {len(result.arms)} memories.",
        height=TALL,
        x_title="classes seen",
        y_title=f"{metric_words(result.about)} (%) on the classes seen, {result.about.split} images",
        x_ticks=tuple((across(x, count), str(count)) for count in counts),
        y_ticks=tuple((up(y, tick, TALL), plain(tick)) for tick in y.ticks),
        lines=tuple(lines),
        marks=tuple(marks),
        keys=keys_of(list(columns), looks, has_line=True),
        note="A line reaches one standard deviation over orders each way. The set was made when all classes were known.",
    )


def nas_chart(result: NasResult, looks: Looks) -> Chart:
    """A row per way to rank: Spearman's correlation to the full data with its interval."""
    arms = [arm for arm in result.arms[1:] if arm.spearman.value is not None]
    ends = [v for arm in arms for v in (arm.spearman.low, arm.spearman.value, arm.spearman.high) if v is not None]
    x = linear_axis([*ends, 0.0, 1.0])
    marks = []
    for row, arm in enumerate(arms):
        look, low, high = looks[source_words(arm.source)], arm.spearman.low, arm.spearman.high
        marks.append(
            Mark(
                x=across(x, arm.spearman.value or 0.0),
                y=ROW * (row + 0.5),
                shape=look.shape,
                css=css_of(look),
                label=f"{source_words(arm.source)}: Spearman {correlation_words(arm.spearman)}; ranked first: "
                f"{first_words(arm)}, {percent(arm.chosen_accuracy_fraction)} on the full data",
                span=None if low is None or high is None else (across(x, low), across(x, high)),
                lies=True,
            )
        )
    names = [source_words(arm.source) for arm in arms]
    best = percent(result.arms[0].chosen_accuracy_fraction)
    return Chart(
        name="nas",
        title="The choice of a network",
        says=f"{len(result.networks)} networks, ranked in {len(arms)} ways; the best has {best} on the full data.",
        height=ROW * len(arms),
        left=24 + 7 * max((len(name) for name in names), default=0),
        x_title="Spearman's rank correlation to the full data",
        y_title="",
        x_ticks=x_ticks_of(x),
        y_ticks=tuple((ROW * (row + 0.5), name) for row, name in enumerate(names)),
        rules=(Rule(at=across(x, 0.0), label="", css="full", upright=True),),
        marks=tuple(marks),
        top=16,
        note="A line is the 95 % bootstrap interval over networks.",
    )


CHARTS: Mapping[type, tuple[Callable[[Any, Looks], Chart], Callable[[Any], list[dict[str, str]]]]] = {
    TransferResult: (transfer_chart, transfer_people),
    ContinualResult: (continual_chart, continual_people),
    NasResult: (nas_chart, nas_people),
    CostResult: (training_cost_chart, cost_people),
    PrivacyResult: (privacy_chart, privacy_people),
}
