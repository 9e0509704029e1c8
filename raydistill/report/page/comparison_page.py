"""The page of a comparison: methods at one IPC, each draw a dot, and how far each is above random images of the same draws.

A method with soft labels has two controls: random images, and the same images with labels by the same experts (`random_soft`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from raydistill.comparison.rows import CONFIDENCE, REFERENCE, SOFT_REFERENCE, Comparison, Outcome, Row, method_of
from raydistill.errors import StoreError
from raydistill.methods import METHODS
from raydistill.report.looks import Look, looks_of
from raydistill.report.page.axes import linear_axis, plain
from raydistill.report.page.chart import Chart, Mark, Rule, across
from raydistill.report.page.html import Cell, Fact, Head, Links, Table, links_from, render_html, table_of
from raydistill.report.page.marks import css_of
from raydistill.report.words import duration, percent, points
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_stored

ROW = 40
"""Pixels of a method's row."""
COMPARISON_FILE = "comparison.json"
REMEDY = "run the same comparison again, which writes it again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Above:
    """How far a method is above a control of the same draws, as fractions."""

    method: str
    reference: str
    mean: float
    low: float
    high: float

    @property
    def title(self) -> str:
        """Its name in the chart; the plain control goes without saying."""
        return self.method if self.reference == REFERENCE else f"{self.method} over {self.reference}"

    @property
    def words(self) -> str:
        """Mean and interval in points."""
        return f"{100 * self.mean:+.2f} points ({100 * self.low:+.2f} to {100 * self.high:+.2f})"


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
    looks = looks_of({row.method: _is_control(row.method) for row in comparison.rows})
    heading, rest = _sentence(comparison)
    settings = comparison.settings
    head = Head(
        title=f"Comparison on {settings['dataset']['name']}: {heading}",
        kicker=f"Comparison on {settings['dataset']['name']} at IPC {settings['ipc']}, {settings['split']} images",
        heading=heading,
        rest=rest,
        lead=(
            f"Each difference of {_metric(comparison)} is taken draw by draw to the random real images that the draw starts "
            f"from; its interval is two-sided at {100 * CONFIDENCE:g} %, over draws.",
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
    return first, " ".join(_who_is_above(comparison))


def _who_is_above(comparison: Comparison) -> Iterator[str]:
    """The methods that are shown to be above their controls, and those with soft labels that are not; controls are left out."""
    methods = [one for row in comparison.rows if not _is_control(row.method) for one in _above(row)]
    of_random, of_soft = ([one for one in methods if one.reference == name] for name in (REFERENCE, SOFT_REFERENCE))
    yield _shown(of_random, f"{REFERENCE} images") or f"No method is shown to be above {REFERENCE} images."
    if of_soft:
        labelled = f"{SOFT_REFERENCE} images, which have labels by the same experts"
        shown = _shown(of_soft, labelled)
        if shown:
            yield shown
        others = ", ".join(f"{one.method} by {one.words}" for one in of_soft if one.low <= 0)
        if others:
            yield f"Not shown to be above {SOFT_REFERENCE if shown else labelled}: {others}."


def _shown(found: Sequence[Above], than: str) -> str:
    names = ", ".join(f"{one.method} by {points(one.mean)}" for one in found if one.low > 0)
    return f"Shown to be above {than}, with the whole interval: {names}." if names else ""


def _above(row: Row) -> Iterator[Above]:
    """The differences that a row holds."""
    for reference, mean, low, high in (
        (REFERENCE, row.above_random, row.above_random_low, row.above_random_high),
        (SOFT_REFERENCE, row.above_random_soft, row.above_random_soft_low, row.above_random_soft_high),
    ):
        if mean is not None and low is not None and high is not None:
            yield Above(method=row.method, reference=reference, mean=mean, low=low, high=high)


def _is_control(method: str) -> bool:
    known = METHODS.get(method_of(method))  # a comparison of an older version may hold one that is gone
    return known is not None and known.control is not None


def _metric(comparison: Comparison) -> str:
    """What accuracies are of."""
    return str(comparison.settings.get("metric", "accuracy")).replace("_", " ")


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
            css=css_of(looks[row.method]),
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
        x_title=f"{_metric(comparison)} (%)",
        y_title="",
        x_ticks=tuple((across(x, tick), plain(tick)) for tick in x.ticks),
        y_ticks=tuple((place, name) for name, place in places.items()),
        marks=tuple(marks),
        top=16,
        note="A diamond is the mean over draws; its line reaches one standard deviation over draws each way. Each ring is a "
        "draw: one set, from one start.",
    )


def _above_chart(comparison: Comparison, looks: dict[str, Look]) -> Chart | None:
    found = [one for row in comparison.rows for one in _above(row)]
    if not found:
        return None
    x = linear_axis([*(100 * end for one in found for end in (one.low, one.high)), 0.0])
    places = {one.title: ROW * (number + 0.5) for number, one in enumerate(found)}
    return Chart(
        name="above",
        title="Above random images of the same draws",
        says="; ".join(f"{one.title} {one.words}" for one in found) + ".",
        height=ROW * len(found),
        left=_left(places),
        x_title=f"points of {_metric(comparison)} above random",
        y_title="",
        x_ticks=tuple((across(x, tick), plain(tick)) for tick in x.ticks),
        y_ticks=tuple((place, name) for name, place in places.items()),
        rules=(Rule(at=across(x, 0.0), label="", css="full", upright=True),),
        marks=tuple(
            Mark(
                x=across(x, 100 * one.mean),
                y=places[one.title],
                shape="diamond",
                css=css_of(looks[one.method]),
                label=f"{one.title}: {one.words}",
                span=(across(x, 100 * one.low), across(x, 100 * one.high)),
                lies=True,
            )
            for one in found
        ),
        top=16,
    )


def _left(names: dict[str, float]) -> int:
    """Pixels for the longest name beside the chart."""
    return 24 + 7 * max(len(name) for name in names)


def _table(comparison: Comparison, home: Links) -> Table:
    references = [REFERENCE, *([SOFT_REFERENCE] if any(row.above_random_soft is not None for row in comparison.rows) else [])]
    head = ["method", _metric(comparison), "std over draws", "std over networks", *(f"above {name}" for name in references)]
    head += ["draws", "networks each", "time a draw"]
    rows = (_row_cells(row, references, home) for row in comparison.rows)
    return table_of("Every method over all its draws", head, rows)


def _row_cells(row: Row, references: Sequence[str], home: Links) -> list[Cell | str]:
    words = {one.reference: one.words for one in _above(row)}
    return [
        row.method,
        Cell(text=percent(row.accuracy_fraction), href=home.to(COMPARISON_FILE)),
        points(row.draws_std),
        "" if row.networks_std is None else points(row.networks_std),
        *(words.get(name, "") for name in references),
        f"{row.draws}" + (f", {row.diverged} diverged" if row.diverged else ""),
        str(row.networks),
        duration(row.distill_seconds),
    ]


def _facts(comparison: Comparison, home: Links) -> Iterator[Fact]:
    settings = comparison.settings
    yield Fact(name="Record", value=COMPARISON_FILE, href=home.to(COMPARISON_FILE))
    yield Fact(name="Data", value=", ".join(f"{name} {value}" for name, value in settings["dataset"].items()))
    yield Fact(name="Recipe", value=str(settings["evaluation"]["recipe"]))
    yield Fact(name="Seed", value=str(settings.get("seed", "unknown")))
    yield Fact(name="Code", value=comparison.code_sha256)
    yield Fact(name="Commit", value=comparison.commit or "unknown, outside of a checkout")
    yield Fact(name="Versions", value=", ".join(f"{name} {version}" for name, version in comparison.versions.items()))
