"""A certificate on one page of Markdown, for a reader who does not know this project.

`raydistill verify` compares the page beside a certificate letter by letter: a change of wording makes it refuse older pages.
"""

from __future__ import annotations

from collections.abc import Iterator

from raydistill.certify.certificate import ArmFinding, Certificate, Evidence, Findings
from raydistill.certify.full_data import FullData, full_data_of
from raydistill.methods import METHODS
from raydistill.report.words import duration, percent, points
from raydistill.storage.result import GapBounds

TITLES = {"full": "full data", "set": "**the set**"}


def render_page(certificate: Certificate) -> str:
    """The page; it follows from the certificate alone."""
    findings, evidence = certificate.findings, certificate.evidence
    full_data = full_data_of(evidence)
    parts = [
        f"# Certificate: study {evidence.study}, trial {evidence.trial_id}",
        *findings.headline,
        "## What was tested",
        _test(findings, evidence),
        _arms(findings, evidence),
        _reading_the_table(findings, evidence),
        f"## {_question_of(full_data)}",
        _admissibility(full_data, evidence),
        "## Smaller sizes",
        _smaller(findings, evidence),
        "## What the set saves",
        _compression(findings, evidence),
        "## Provenance",
        "\n".join(_provenance(certificate)),
    ]
    return "\n\n".join(parts) + "\n"


def _test(findings: Findings, evidence: Evidence) -> str:
    config = evidence.config
    network = ", ".join([config["network"]["name"], *(f"{k} {v}" for k, v in config["network"].items() if k != "name")])
    of_each = f"{len(evidence.seeds)} each, with seeds that chose nothing, network by network from the same initialisation"
    return (
        f"Networks ({network}) were trained from scratch on the full train part ({evidence.sizes.train_images} images), on the "
        f"{_made(evidence)} set ({evidence.sizes.set_images} images) and on controls of the same size: {of_each}. Recipe "
        f"{evidence.recipe.words}; on the full data {evidence.recipe.full_steps} steps. All were trained before the "
        f"{evidence.test_images} test images were opened. "
        f"*Lossless* means: the gap in {_metric(evidence)} to the full data is at most the margin of "
        f"{points(findings.margin_fraction)}, with {100 * findings.confidence:g} % confidence over new networks and new images."
    )


def _metric(evidence: Evidence) -> str:
    """What gaps are of."""
    metric = evidence.trial.goal.metric
    return "accuracy" if metric == "accuracy" else "balanced accuracy (the mean over classes of the accuracy within each)"


def _metric_word(evidence: Evidence) -> str:
    """The metric beside a number; pages of older certificates call each accuracy."""
    return "accuracy" if evidence.rules < 4 else evidence.trial.goal.metric.replace("_", " ")


def _made(evidence: Evidence) -> str:
    """How the set was made, in a word."""
    return "control's" if METHODS[evidence.config["method"]["name"]].control is not None else "distilled"


def _arms(findings: Findings, evidence: Evidence) -> str:
    lines = [
        f"| trained on | {_metric_word(evidence)} | std over networks | gap to full data | lower | upper | verdict "
        "| the set is above it by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join(lines + [_arm(arm) for arm in findings.arms])


def _arm(arm: ArmFinding) -> str:
    title = TITLES.get(arm.name, f"{arm.name}, draw {arm.draw}")
    gap = ["", "", ""] if arm.gap is None else [_number(x) for x in (arm.gap.gap, arm.gap.lower, arm.gap.upper)]
    above = "" if arm.set_above is None else f"{_number(arm.set_above.gap)} ({_bounds(arm.set_above)})"
    verdict = (arm.verdict or "").replace("_", " ")
    return (
        f"| {title} | {percent(arm.accuracy_fraction)} | {_number(arm.networks_std)} | {' | '.join(gap)} | {verdict} | {above} |"
    )


def _reading_the_table(findings: Findings, evidence: Evidence) -> str:
    return (
        f"Gaps, bounds and deviations are in points (hundredths of {_metric_word(evidence)}). Each bound is one-sided at "
        f"{100 * findings.confidence:g} %: {findings.procedure}."
    )


def _question_of(full_data: FullData) -> str:
    return "Does the full data lose by longer training?" if full_data.is_worse else "Is the full data trained to its end?"


def _admissibility(full_data: FullData, evidence: Evidence) -> str:
    word = "Yes" if full_data.is_steady or full_data.is_worse else "No"
    return (
        f"{word}: twice the recipe's steps move the full data's {_metric_word(evidence)} by {points(full_data.moves_by)} "
        f"on the select images ({len(evidence.admissibility.at_recipe)} networks); less than a quarter of the margin, "
        f"{points(full_data.margin / 4)}, is wanted.{_above_chance(full_data)}"
    )


def _above_chance(full_data: FullData) -> str:
    if full_data.chance is None:
        return ""
    return (
        f" The full data reads {percent(full_data.accuracy)} there, and one answer for every image {percent(full_data.chance)}; "
        f"more than the margin, {points(full_data.margin)}, above it is wanted."
    )


def _smaller(findings: Findings, evidence: Evidence) -> str:
    if not findings.smaller:
        return "The search tried none."
    lines = [
        _what_is_lossy(evidence),
        "",
        "| images per class | trials finished | stopped or failed | best gap | lower | upper | shown lossy |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in findings.smaller:
        gap = ["", "", ""] if row.gap is None else [_number(x) for x in (row.gap.gap, row.gap.lower, row.gap.upper)]
        shown = "yes" if row.is_lossy else "no"
        lines.append(f"| {row.ipc} | {row.finished} | {row.stopped} | {' | '.join(gap)} | {shown} |")
    return "\n".join(lines)


def _what_is_lossy(evidence: Evidence) -> str:
    if evidence.rules < 4:
        return "What the search saw on its select images; *lossy* where even the best trial's lower bound is above the margin."
    return f"What the search saw on its select images. {order_of_tests(evidence)}"


def order_of_tests(evidence: Evidence) -> str:
    """How smaller sizes are tested, in two sentences."""
    least = evidence.trial.goal.lossy_trials
    return (
        "Shown lossy means: even the best trial's lower bound is above the margin. Sizes are tested from the smallest up, those "
        f"with at least {least} finished trial{'' if least == 1 else 's'} read by two networks or more; the first that is not "
        "shown lossy ends the tests."
    )


def _compression(findings: Findings, evidence: Evidence) -> str:
    saved, sizes = findings.compression, evidence.sizes
    lines = [
        "| | full data | the set | ratio |",
        "|---|---|---|---|",
        f"| images | {sizes.train_images} | {sizes.set_images} | {saved.images:.1f} |",
        f"| bytes (labels and learned rate counted) | {sizes.train_bytes} | {sizes.set_bytes} | {saved.bytes:.2f} |",
        f"| bits per class | {saved.full_bits_per_class:.0f} | {saved.set_bits_per_class:.0f} | {saved.bytes:.2f} |",
        f"| FLOPs to train a network by the recipe | {saved.full_train_flops:.3g} | {saved.set_train_flops:.3g} | "
        f"{saved.train_flops:.2f} |",
        f"| FLOPs of one pass over the images | | | {saved.epoch_flops:.1f} |",
    ]
    made = (
        f"Making the set took {duration(sizes.distill_seconds)}, the whole search {duration(sizes.search_seconds)} of trial time."
    )
    return "\n".join([*lines, "", f"The full data's bytes are those of its published pixels, the set's are float32. {made}"])


def _provenance(certificate: Certificate) -> Iterator[str]:
    evidence = certificate.evidence
    versions = ", ".join(f"{name} {version}" for name, version in evidence.versions.items())
    yield f"- Certificate {evidence.number} of this study, begun {evidence.started_at}, finished {evidence.finished_at}"
    if evidence.rules < 3:  # the pages of older certificates are compared letter by letter
        yield f"- The set was chosen by a search that confirmed {evidence.confirmed_candidates} of its candidates on other images"
    else:
        yield f"- The set's search read {evidence.confirmed_candidates} candidates, controls included, on its confirm images"
    yield f"- Networks trained on {evidence.trained_on}, read on {evidence.read_on}; {versions}"
    yield f"- Data (train, select, confirm) `{evidence.config['data_sha256']}`, test `{evidence.test_sha256}`"
    yield f"- Set `{evidence.arms[1].set_sha256}`"
    if evidence.experts_sha256 is not None:
        yield f"- Experts that it was made with `{evidence.experts_sha256}`"
    yield f"- Code of the search `{evidence.search_code_sha256}`, of this certificate `{evidence.code_sha256}`"
    if evidence.search_commit is not None or evidence.commit is not None:
        yield f"- Commit of the search {_commit(evidence.search_commit)}, of this certificate {_commit(evidence.commit)}"
    yield f"- Networks, sealed before the test split was opened: `{evidence.seal}`"
    for opening in evidence.openings:
        yield f"- Test split opened {opening.opened_at} by {opening.user} on {opening.host}: {opening.reason}"
    yield f"- Content `{certificate.content_sha256}`; check it with `raydistill verify certificate.json`"


def _commit(commit: str | None) -> str:
    return "unknown" if commit is None else f"`{commit}`"


def _number(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def _bounds(bounds: GapBounds) -> str:
    return f"{_number(bounds.lower)} to {_number(bounds.upper)}"
