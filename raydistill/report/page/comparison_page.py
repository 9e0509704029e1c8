"""The page of a comparison: methods at one IPC, each draw a dot, and how far each is above random images of the same draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raydistill.comparison.rows import CONFIDENCE, REFERENCE, Comparison, Outcome, Row
from raydistill.errors import StoreError
from raydistill.report.looks import Look, looks_of
from raydistill.report.page.axes import linear_axis, plain
from raydistill.report.page.chart import Chart, Mark, Rule, across
from raydistill.report.page.html import Cell, Fact, Head, Links, Table, links_from, render_html, table_of
from raydistill.report.words import duration, percent, points
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored

ROW = 40
"""Pixels of a method's row."""
COMPARISON_FILE = "comparison.json"
REMEDY = "run the same comparison again, which writes it again"


def read_comparison(folder: Store, name: str = COMPARISON_FILE) -> Comparison:
    """The comparison in a folder.

    Raises:
        StoreError: there is none, it is damaged, or another version of raydistill wrote it.
    """
    comparison = read_stored(folder, name, Comparison, REMEDY)
    if comparison is None:
        raise StoreError(f"{folder.path(name)} is missing; give the folder <store>/compare/<key> of a comparison")
    return comparison


def comparison_page(folder: Store, comparison: Comparison, path: str) -> str:
    """The text of the page; `folder` is that of the comparison, `path` where the page will lie."""
    store = folder.absolute.parent.parent
    outcomes, notes = _outcomes(store, comparison)
    links, home = links_from(store, path), links_from(folder, path)
    looks = looks_of({row.method: row.above_random is None for row in comparison.rows})
    heading, rest = _sentence(comparison)
    settings = comparison.settings
    head = Head(
        title=f"Comparison on {settings['dataset']['name']}: {heading}",
        kicker=f"Comparison on {settings['dataset']['name']} at IPC {settings['ipc']}, {settings['split']} images",
        heading=heading,
        rest=rest,
        lead=(
            f"Each difference is taken draw by draw to the random real images that the draw starts from; its interval is "
            f"two-sided at {100 * CONFIDENCE:g} %, over draws.",
        ),
        notes=notes,
        looks=tuple(looks.values()),
    )
    charts = [_accuracy_chart(comparison, outcomes, looks, links), _above_chart(comparison, looks)]
    content = {
        "charts": tuple(chart for chart in charts if chart is not None),
        "tables": (_table(comparison, home),),
        "sections": (("Made with", tuple(_facts(comparison, home))),),
        "commands": (),
    }
    return render_html("charts.html.j2", head, content)


def _sentence(comparison: Comparison) -> tuple[str, str]:
    best = max(comparison.rows, key=lambda row: row.accuracy_fraction)
    count = f"the most accurate of {len(comparison.rows)} at IPC {comparison.settings['ipc']}"
    first = f"{best.method} is {count}: {percent(best.accuracy_fraction)} over {best.draws} draws"
    above = [row for row in comparison.rows if row.above_random_low is not None and row.above_random_low > 0]
    names = ", ".join(f"{row.method} by {points(row.above_random or 0.0)}" for row in above)
    if not above:
        return first, f"No method is shown to be above {REFERENCE} images."
    return first, f"Shown to be above {REFERENCE} images, with the whole interval: {names}."


def _outcomes(store: Store, comparison: Comparison) -> tuple[list[tuple[str, Outcome]], tuple[str, ...]]:
    """The outcome of each draw with its file, and a note for each that cannot be read."""
    found, notes = [], []
    for name in comparison.outcomes:
        try:
            outcome = read_stored(store, name, Outcome, REMEDY)
        except StoreError as error:
            notes.append(str(error))
        else:
            found += [] if outcome is None else [(name, outcome)]
            notes += [f"{store.path(name)} is missing, so the page does not show that draw"] if outcome is None else []
    return found, tuple(notes)


def _accuracy_chart(
    comparison: Comparison, outcomes: Sequence[tuple[str, Outcome]], looks: dict[str, Look], links: Links
) -> Chart:
    read = [(name, o, sum(o.accuracy_fractions) / len(o.accuracy_fractions)) for name, o in outcomes if o.accuracy_fractions]
    x = linear_axis([100 * a for _, _, a in read] + [100 * row.accuracy_fraction for row in comparison.rows])
    places = {row.method: ROW * (number + 0.5) for number, row in enumerate(comparison.rows)}
    marks = [
        Mark(
            x=across(x, 100 * accuracy),
            y=places[outcome.method] + 8,
            shape="circle",
            css=f"a{looks[outcome.method].number} hollow",
            label=f"{outcome.method}, draw {outcome.draw}: {percent(accuracy)}",
            href=links.to(name),
        )
        for name, outcome, accuracy in read
        if outcome.method in places
    ]
    marks += [
        Mark(
            x=across(x, 100 * row.accuracy_fraction),
            y=places[row.method] - 6,
            shape="diamond",
            css=f"a{looks[row.method].number} filled",
            label=f"{row.method}: mean {percent(row.accuracy_fraction)}, std {points(row.draws_std)} over {row.draws} draws",
            span=(
                across(x, max(x.low, 100 * (row.accuracy_fraction - row.draws_std))),
                across(x, min(x.high, 100 * (row.accuracy_fraction + row.draws_std))),
            ),
            lies=True,
        )
        for row in comparison.rows
    ]
    return Chart(
        name="accuracy",
        title="Accuracy of each method",
        says=f"{len(read)} draws of {len(places)} methods.",
        height=ROW * len(places),
        left=_left(places),
        x_title="accuracy (%)",
        y_title="",
        x_ticks=tuple((across(x, tick), plain(tick)) for tick in x.ticks),
        y_ticks=tuple((place, name) for name, place in places.items()),
        marks=tuple(marks),
        top=16,
        note="A diamond is the mean over draws; its line reaches one standard deviation over draws each way. Each ring is a "
        "draw: one set, from one start.",
    )


def _above_chart(comparison: Comparison, looks: dict[str, Look]) -> Chart | None:
    rows = [row for row in comparison.rows if row.above_random is not None]
    if not rows:
        return None
    ends = [100 * end for row in rows for end in (row.above_random_low, row.above_random_high) if end is not None]
    x = linear_axis([*ends, 0.0])
    places = {row.method: ROW * (number + 0.5) for number, row in enumerate(rows)}
    return Chart(
        name="above",
        title="Above random images of the same draws",
        says="; ".join(f"{row.method} {_interval(row)}" for row in rows) + ".",
        height=ROW * len(rows),
        left=_left(places),
        x_title="points of accuracy above random",
        y_title="",
        x_ticks=tuple((across(x, tick), plain(tick)) for tick in x.ticks),
        y_ticks=tuple((place, name) for name, place in places.items()),
        rules=(Rule(at=across(x, 0.0), label="", css="full", upright=True),),
        marks=tuple(
            Mark(
                x=across(x, 100 * (row.above_random or 0.0)),
                y=places[row.method],
                shape="diamond",
                css=f"a{looks[row.method].number} filled",
                label=f"{row.method}: {_interval(row)}",
                span=(across(x, 100 * (row.above_random_low or 0.0)), across(x, 100 * (row.above_random_high or 0.0))),
                lies=True,
            )
            for row in rows
        ),
        top=16,
    )


def _left(names: dict[str, float]) -> int:
    """Pixels for the longest name beside the chart."""
    return 24 + 7 * max(len(name) for name in names)


def _interval(row: Row) -> str:
    if row.above_random is None or row.above_random_low is None or row.above_random_high is None:
        return ""
    ends = f"{100 * row.above_random_low:+.2f} to {100 * row.above_random_high:+.2f}"
    return f"{100 * row.above_random:+.2f} points ({ends})"


def _table(comparison: Comparison, home: Links) -> Table:
    rows = (
        (
            row.method,
            Cell(text=percent(row.accuracy_fraction), href=home.to(COMPARISON_FILE)),
            points(row.draws_std),
            "" if row.networks_std is None else points(row.networks_std),
            _interval(row),
            f"{row.draws}" + (f", {row.diverged} diverged" if row.diverged else ""),
            str(row.networks),
            duration(row.distill_seconds),
        )
        for row in comparison.rows
    )
    head = ("method", "accuracy", "std over draws", "std over networks", "above random", "draws", "networks each", "time a draw")
    return table_of("Every method over all its draws", head, rows)


def _facts(comparison: Comparison, home: Links) -> Iterator[Fact]:
    settings = comparison.settings
    yield Fact(name="Record", value=COMPARISON_FILE, href=home.to(COMPARISON_FILE))
    yield Fact(name="Data", value=", ".join(f"{name} {value}" for name, value in settings["dataset"].items()))
    yield Fact(name="Recipe", value=str(settings["evaluation"]["recipe"]))
    yield Fact(name="Seed", value=str(settings.get("seed", "unknown")))
    yield Fact(name="Code", value=comparison.code_sha256)
    yield Fact(name="Commit", value=comparison.commit or "unknown, outside of a checkout")
    yield Fact(name="Versions", value=", ".join(f"{name} {version}" for name, version in comparison.versions.items()))
