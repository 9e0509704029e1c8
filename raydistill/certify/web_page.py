"""A certificate as one HTML file: its sentences, the gap of each arm beside the margin, and where everything is from.

Everything is read from the certificate; nothing is worked out again, and nothing here is verified.
"""

from __future__ import annotations

from collections.abc import Iterator

from raydistill.certify.certificate import ArmFinding, Certificate, Evidence
from raydistill.certify.page import order_of_tests
from raydistill.report.looks import Look, looks_of
from raydistill.report.next_commands import command, training_command
from raydistill.report.page.axes import linear_axis, plain
from raydistill.report.page.chart import Band, Chart, Mark, Rule, across
from raydistill.report.page.html import Cell, Fact, Head, Links, Table, links_from, render_html, table_of
from raydistill.report.study_commands import to_be_added, where
from raydistill.report.words import duration, percent, points
from raydistill.storage.given import given_or_damage
from raydistill.storage.layout import CERTIFICATE_FILE
from raydistill.storage.result import GapBounds
from raydistill.storage.store import Store

ROW = 34
"""Pixels of an arm's row."""


def certificate_page(folder: Store, certificate: Certificate, path: str, name: str = CERTIFICATE_FILE) -> str:
    """The text of the page.

    Args:
        folder: of the certificate.
        certificate: what it shows.
        path: where the page will lie.
        name: the certificate's file.
    """
    findings, evidence = certificate.findings, certificate.evidence
    links = links_from(folder, path)
    looks = looks_of({arm.name: arm.name not in ("full", "set") for arm in findings.arms})
    claim, _, rest = findings.headline[0].partition(": ")
    of = f"study {evidence.study}, trial {evidence.trial_id}, {evidence.test_images} test images"
    head = Head(
        title=f"Certificate of {evidence.study}: {claim}",
        kicker=f"Certificate {evidence.number} of {of}",
        heading=claim.capitalize(),
        rest=rest,
        lead=findings.headline[1:],
        looks=tuple(looks.values()),
    )
    check = ("verify", folder.path(name))
    given, _ = given_or_damage(folder)
    retrain = training_command(*check, submitted=given.again if given else None, retrain=True, **where(given))
    missing = to_be_added(retrain, folder, evidence.trial.dataset.name, given)
    content = {
        "charts": (_gap_chart(certificate, looks),),
        "tables": (_arms_table(certificate, links, name), *_smaller_table(certificate, links, name)),
        "sections": (
            ("What the set saves", tuple(_saved(certificate))),
            ("Provenance", tuple(_provenance(certificate, links, name))),
        ),
        "commands": (
            {"what": "Check it without the test split", "command": command(*check)},
            {"what": f"Train its networks again, and open the test split for that{missing}", "command": retrain},
        ),
    }
    return render_html("charts.html.j2", head, content)


def _title(arm: ArmFinding) -> str:
    return {"full": "full data", "set": "the set"}.get(arm.name, f"{arm.name} {arm.draw}")


def _gap_chart(certificate: Certificate, looks: dict[str, Look]) -> Chart:
    findings = certificate.findings
    arms = [(_title(arm), arm, arm.gap) for arm in findings.arms if arm.gap is not None]
    margin = 100 * findings.margin_fraction
    x = linear_axis([100 * end for _, _, gap in arms for end in (gap.lower, gap.upper)] + [0.0, margin])
    places = {title: ROW * (number + 0.5) for number, (title, _, _) in enumerate(arms)}
    return Chart(
        name="gaps",
        title="Gap to the full data on the test images",
        says=f"The set and {len(arms) - 1} controls of its size, beside a margin of {points(findings.margin_fraction)}.",
        height=ROW * len(arms),
        left=24 + 7 * max(map(len, places)),
        x_title=f"points of {_metric(certificate)} below the full data",
        y_title="",
        x_ticks=tuple((across(x, tick), plain(tick)) for tick in x.ticks),
        y_ticks=tuple((place, title) for title, place in places.items()),
        bands=(Band(start=0.0, end=across(x, margin), label=f"within the margin of {points(margin / 100)}"),),
        rules=(Rule(at=across(x, margin), label="", css="margin", upright=True),),
        marks=tuple(
            Mark(
                x=across(x, 100 * gap.gap),
                y=places[title],
                shape="diamond" if arm.name == "set" else looks[arm.name].shape,
                css="confirmed" if arm.name == "set" else f"a{looks[arm.name].number} hollow",
                label=f"{title}: {_metric(certificate)} {percent(arm.accuracy_fraction)}, {_gap(gap)}, "
                f"{(arm.verdict or '').replace('_', ' ')}",
                span=(across(x, 100 * gap.lower), across(x, 100 * gap.upper)),
                lies=True,
            )
            for title, arm, gap in arms
        ),
        note=f"Lines reach to the one-sided bounds at {100 * findings.confidence:g} %: {findings.procedure}.",
    )


def _metric(certificate: Certificate) -> str:
    return certificate.evidence.trial.goal.metric.replace("_", " ")


def _gap(gap: GapBounds) -> str:
    return f"gap {100 * gap.gap:.2f} points ({_bounds(gap)})"


def _bounds(gap: GapBounds | None) -> str:
    return "" if gap is None else f"{100 * gap.lower:.2f} to {100 * gap.upper:.2f}"


def _arms_table(certificate: Certificate, links: Links, name: str) -> Table:
    rows = (
        (
            _title(arm),
            Cell(text=percent(arm.accuracy_fraction), href=links.to(name)),
            points(arm.networks_std),
            "" if arm.gap is None else points(arm.gap.gap),
            _bounds(arm.gap),
            (arm.verdict or "").replace("_", " "),
            "" if arm.set_above is None else f"{points(arm.set_above.gap)} ({_bounds(arm.set_above)})",
        )
        for arm in certificate.findings.arms
    )
    head = ("trained on", _metric(certificate), "std over networks", "gap", "bounds", "verdict", "the set is above it by")
    return table_of(f"{len(certificate.evidence.seeds)} networks each, on the test images", head, rows)


def _smaller_table(certificate: Certificate, links: Links, name: str) -> Iterator[Table]:
    if certificate.findings.smaller:
        rows = (
            (
                Cell(text=str(row.ipc), href=links.to(name)),
                f"{row.finished} finished, {row.stopped} stopped or failed",
                "" if row.gap is None else points(row.gap.gap),
                _bounds(row.gap),
                "yes" if row.is_lossy else "no",
            )
            for row in certificate.findings.smaller
        )
        yield table_of(
            "Smaller sizes that the search saw, on its select images",
            ("IPC", "trials", "best gap", "bounds", "shown lossy"),
            rows,
            order_of_tests(certificate.evidence) if certificate.evidence.rules >= 4 else "",
        )


def _saved(certificate: Certificate) -> Iterator[Fact]:
    saved, sizes = certificate.findings.compression, certificate.evidence.sizes
    yield Fact(name="Images", value=f"{sizes.train_images} over {sizes.set_images}: {saved.images:.1f}")
    yield Fact(name="Bytes", value=f"{sizes.train_bytes:,} as published over {sizes.set_bytes:,} in float32: {saved.bytes:.2f}")
    yield Fact(name="FLOPs of one pass", value=f"full data over set: {saved.epoch_flops:.1f}")
    yield Fact(name="FLOPs of a training by the recipe", value=f"full data over set: {saved.train_flops:.2f}")
    made = f"{duration(sizes.distill_seconds)} for the set, {duration(sizes.search_seconds)} for the whole search"
    yield Fact(name="Time it took", value=made)


def _provenance(certificate: Certificate, links: Links, name: str) -> Iterator[Fact]:
    evidence = certificate.evidence
    yield Fact(name="Certificate", value=f"{certificate.content_sha256}", href=links.to(name))
    yield Fact(name="Written", value=f"begun {evidence.started_at}, finished {evidence.finished_at}")
    yield Fact(name="Recipe", value=evidence.recipe.words)
    yield Fact(name="Seeds", value=", ".join(map(str, evidence.seeds)))
    yield Fact(name="Trained on", value=f"{evidence.trained_on}, read on {evidence.read_on}")
    yield Fact(name="Versions", value=", ".join(f"{package} {version}" for package, version in evidence.versions.items()))
    yield Fact(name="Code", value=f"search {evidence.search_code_sha256}, certificate {evidence.code_sha256}")
    yield Fact(name="Data", value=f"train, select, confirm {evidence.config['data_sha256']}; test {evidence.test_sha256}")
    yield Fact(name="Seal", value=f"{evidence.seal}, taken of all networks before the test split was opened")
    yield from _openings(evidence)


def _openings(evidence: Evidence) -> Iterator[Fact]:
    for opening in evidence.openings:
        said = f"{opening.opened_at} by {opening.user} on {opening.host}: {opening.reason}"
        yield Fact(name="Test split opened", value=said)
