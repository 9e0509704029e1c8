"""The first lines of a certificate: the claim in sentences, and everything that weakens it.

A certificate stores these sentences, and `raydistill verify` compares them letter by letter: a change of wording makes it refuse
certificates written before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from raydistill.certify.certificate import Evidence, Findings
from raydistill.certify.full_data import full_data_of
from raydistill.data.own.report import TwinCounts
from raydistill.report.words import margin_words, percent, points
from raydistill.spaces.units import packed_in_words


def write_headline(evidence: Evidence, findings: Findings) -> tuple[str, ...]:
    """The sentences, the claim first."""
    race = [] if evidence.race is None else [f"The search, on its confirm images: {evidence.race}."]
    twins = [] if evidence.twins is None else [_twins(evidence.twins)]
    return (_claim(evidence, findings), *twins, *race, *_what_weakens_it(evidence, findings), _lower_side(findings))


def _twins(twins: TwinCounts) -> str:
    """What images weaken that lie in two parts."""
    if twins.of_test:
        where = ", ".join(f"{count} in the {part} part" for part, count in twins.of_test.items())
        return (
            f"TWINS ACROSS THE SPLIT: of {twins.images['test']} test images some are in another part as well (the same picture, "
            f"if not the same file): {where}. A network that was trained on such a picture knows it, so accuracies and gaps are "
            "not those on new pictures."
        )
    return (
        f"TWINS ACROSS THE SPLIT: {twins.across} select and confirm images are in the train part as well (the same picture, if "
        "not the same file), so the search chose by accuracies that are too high; the test images are not among them."
    )


def _claim(evidence: Evidence, findings: Findings) -> str:
    gap, margin = findings.gap, margin_words(findings.margin_fraction, evidence.trial.goal.metric)
    sure = f"with confidence {100 * findings.confidence:g} %"
    method = evidence.config["method"]
    packed = packed_in_words(method.get("factor", 1))
    what = f"{findings.ipc} images per class{packed} ({evidence.config['dataset']['name']}, method {method['name']})"
    read = f"on {evidence.test_images} test images and {len(evidence.seeds)} pairs of networks"
    full_data = full_data_of(evidence)
    if not findings.is_admissible and full_data.chance is not None and not full_data.has_learned:
        return (
            f"INCONCLUSIVE: {what}; the full data reads {percent(full_data.accuracy)} on the select images, which is not above "
            f"the {percent(full_data.chance)} of one answer for every image by more than {margin}, so a set from which nothing "
            "is learned would be lossless."
        )
    if not findings.is_admissible:
        is_worse = findings.doubled_moves_by < 0 and evidence.rules >= 3
        state = "loses by longer training" if is_worse else "is not trained to its end"
        return (
            f"INCONCLUSIVE: {what}; twice the recipe's steps move the full data by {points(findings.doubled_moves_by)}, a "
            f"quarter of the margin ({points(findings.margin_fraction / 4)}) or more, so the full data {state}."
        )
    if findings.verdict == "lossless":
        return (
            f"LOSSLESS: {what} train this network as well as the full data within {margin}: the gap is {points(gap.gap)}, "
            f"at most {points(gap.upper)} {sure}, {read}."
        )
    if findings.verdict == "not_lossless":
        return (
            f"NOT LOSSLESS: {what} lose more than {margin} against the full data: the gap is {points(gap.gap)}, at least "
            f"{points(gap.lower)} {sure}, {read}."
        )
    return (
        f"INCONCLUSIVE: {what}; the gap to the full data is {points(gap.gap)}, between {points(gap.lower)} and "
        f"{points(gap.upper)} ({sure} on each side), and the margin is {margin}, {read}."
    )


def _what_weakens_it(evidence: Evidence, findings: Findings) -> Iterator[str]:
    controls = Counter(arm.name for arm in findings.arms[2:])
    lossless = Counter(arm.name for arm in findings.arms[2:] if arm.verdict == "lossless")
    too = " TOO" if findings.verdict == "lossless" else ""
    for name, count in lossless.items():
        yield (
            f"A CONTROL IS LOSSLESS{too}: {name}, {count} of {controls[name]} draws at the same size under the same recipe. "
            "Distilling was not needed for that."
        )
    if evidence.number > 1:
        earlier = ", ".join(f"number {e.number} said {e.verdict.replace('_', ' ')}" for e in evidence.earlier)
        yield (
            f"OPENING NUMBER {evidence.number} of the test split for this study ({earlier}): the confidence holds for the first "
            "one alone; a choice between several is worth less."
        )
    others = len(evidence.openings) - 1 - len(evidence.earlier)
    if others > 0:
        times = "once" if others == 1 else f"{others} times"
        yield f"The test split of this data set had been opened {times} besides in this store; the log below says why."
    if evidence.code_sha256 != evidence.search_code_sha256:
        yield "The set was made by other code than this certificate (both hashes are below), which was accepted by hand."


def _lower_side(findings: Findings) -> str:
    if not findings.smaller:
        return "Nothing smaller was tried, so nothing is said of smaller sets."
    if findings.largest_lossy_ipc is None:
        none = "Of the smaller sizes tried none is shown to lose"
        return f"{none}, so this is a size that suffices and not the smallest." if findings.verdict == "lossless" else f"{none}."
    row = next(row for row in findings.smaller if row.ipc == findings.largest_lossy_ipc)
    assert row.gap is not None
    return (
        f"At {row.ipc} images per class, the largest smaller size that is shown to lose, the best of {row.finished} finished "
        f"trial{'' if row.finished == 1 else 's'} loses at least {points(row.gap.lower)} (select images, confidence "
        f"{100 * findings.confidence:g} %); it is no proof that no other method or setting would do."
    )
