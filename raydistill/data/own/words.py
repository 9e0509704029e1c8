"""What is known about a person's images, as a person reads it: all of it, or three lines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

import yaml

from raydistill.data.own.conversions import CONVERSIONS
from raydistill.data.own.report import DataReport, Grouped, TwinCounts

WIDTH = 120
MOST_CLASSES = 12
"""More are counted, not listed."""


def report_lines(report: DataReport) -> str:
    """Everything, in sections."""
    return "\n".join(
        [
            *_facts(report),
            *_conversions(report),
            *_warnings(report),
            *_problems(report),
            *_decisions(report),
            *_section(report),
        ]
    )


def short_lines(report: DataReport) -> list[str]:
    """Three lines or so, for a command that goes on to something else."""
    made = ", ".join(f"{name} {count:,}" for name, count in report.conversions.items()) or "none"
    lines = [
        f"Images: {_counts(report)}; {len(report.classes)} classes; {_sizes(report)}",
        f"Conversions: {made}",
    ]
    lines += [f"Note: {warning}." for warning in report.warnings]
    return lines


def problem_lines(problems: Sequence[Grouped]) -> Iterator[str]:
    """Every kind of problem, with its number, examples and what to do."""
    for number, group in enumerate(problems, start=1):
        times = "once" if group.count == 1 else f"{group.count:,} times"
        yield f"  {number}. {group.kind.replace('_', ' ')}, {times}:"
        yield from _wrapped(group.examples, "       ")
        if group.count > len(group.examples):
            yield f"       and {group.count - len(group.examples):,} more"
        yield from _wrapped([f"What to do: {group.remedy}."], "     ")


def twins_in_words(twins: TwinCounts) -> str:
    """The twins in a line; `none` where there are none."""
    if not twins.total and not twins.dropped:
        return "none"
    parts = []
    for part, found in twins.with_twin.items():
        for other, count in found.items():
            where = "the same part" if other == part else other
            exact = twins.exact.get(part, {}).get(other, 0)
            parts.append(f"{count:,} of {twins.images[part]:,} {part} images have one in {where} ({exact:,} with equal pixels)")
    if twins.dropped:
        parts.append(f"{twins.dropped:,} train images with a twin in another part were dropped")
    return "; ".join(parts)


def _facts(report: DataReport) -> list[str]:
    rows = [
        ("Layout", report.layout),
        ("Classes", _listed(report.classes)),
        *((f"In {part}", _of_part(by_class)) for part, by_class in report.images.items()),
        ("Sizes", _sizes(report)),
        ("Read at", f"{report.size} x {report.size} pixels" + (" (proposed; none was given)" if report.is_size_proposed else "")),
        ("Modes", ", ".join(f"{mode} {count:,}" for mode, count in report.modes.items()) or "none could be read"),
    ]
    if report.mean:
        mean, deviation = (" ".join(f"{level:.3f}" for level in levels) for levels in (report.mean, report.deviation))
        rows.append(("Brightness", f"mean {mean}, deviation {deviation} of full brightness, without test images"))
    if report.imbalance is not None:
        rows.append(("Imbalance", f"the largest class has {report.imbalance:.1f} times the images of the smallest"))
    if report.groups is not None:
        rows.append(("Groups", f"{report.groups:,}, each of which stays in one part"))
    if report.litter:
        rows.append(("Ignored", ", ".join(f"{name} {count:,}" for name, count in report.litter.items())))
    if report.parts is not None:
        rows.append(("Divided", ", ".join(f"{part} {count:,}" for part, count in report.parts.items())))
    if report.twins is not None:
        rows.append(("Twins", twins_in_words(report.twins)))
    width = max(len(name) for name, _ in rows)
    lines = []
    for name, value in rows:
        lines += textwrap.wrap(
            value, WIDTH, initial_indent=f"  {name:<{width}}  ", subsequent_indent=" " * (width + 4), break_long_words=False
        ) or [f"  {name}"]
    return [report.path, *lines]


def _counts(report: DataReport) -> str:
    of_part = report.parts or {part: sum(by_class.values()) for part, by_class in report.images.items()}
    return ", ".join(f"{part} {count:,}" for part, count in of_part.items()) or "none"


def _of_part(by_class: Mapping[str, int]) -> str:
    total = f"{sum(by_class.values()):,} images"
    if len(by_class) > MOST_CLASSES:
        return f"{total}, {min(by_class.values()):,} to {max(by_class.values()):,} of a class"
    return f"{total}: " + ", ".join(f"{name} {count:,}" for name, count in by_class.items())


def _listed(names: tuple[str, ...]) -> str:
    more = f", and {len(names) - MOST_CLASSES} more" if len(names) > MOST_CLASSES else ""
    return f"{len(names)}, in this order: {', '.join(names[:MOST_CLASSES])}{more}" if names else "none"


def _sizes(report: DataReport) -> str:
    if report.smallest is None or report.largest is None:
        return "no image could be read"
    (width, height), (most_wide, most_high) = report.smallest, report.largest
    between = f"{width} x {height}"
    if report.smallest != report.largest:
        between += f" to {most_wide} x {most_high}"
    return f"{between} pixels; {report.not_square:,} not square" if report.not_square else f"{between} pixels"


def _conversions(report: DataReport) -> Iterator[str]:
    if report.conversions:
        yield ""
        yield "What is done to the images"
        for name in CONVERSIONS:
            if name in report.conversions:
                yield f"  {report.conversions[name]:>7,}  {name}: {CONVERSIONS[name]}"


def _warnings(report: DataReport) -> Iterator[str]:
    if report.warnings:
        yield ""
        yield "Worth knowing"
        for warning in report.warnings:
            yield from _wrapped([f"{warning}."], "  - ")


def _problems(report: DataReport) -> Iterator[str]:
    if report.problems:
        total, kinds = sum(group.count for group in report.problems), len(report.problems)
        yield ""
        of_kinds = "1 kind" if kinds == 1 else f"{kinds} kinds"
        yield f"Problems: {total:,} of {of_kinds}; a search refuses the images until they are solved"
        yield from problem_lines(report.problems)


def _decisions(report: DataReport) -> Iterator[str]:
    if report.decisions:
        yield ""
        yield from decision_lines(report)


def decision_lines(report: DataReport) -> Iterator[str]:
    """What only the owner of the images can decide, each with the lines that do."""
    if report.decisions:
        yield "For you to decide, each by one of these lines in the dataset section"
        for decision in report.decisions:
            yield from _wrapped([decision.question], "  ")
            yield from (f"      {line}" for line in decision.lines)


def _section(report: DataReport) -> Iterator[str]:
    section = {name: value for name, value in report.dataset.items() if name in SHOWN}
    text = yaml.safe_dump(section, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True).strip()
    yield ""
    yield "Read with this section of a search space, which lines from above complete"
    yield f"  dataset: {text}"


SHOWN = frozenset(
    {"name", "path", "size", "fit", "channels", "background", "value_range", "on_bad", "duplicates", "classes", "group_pattern"}
)
"""Fields of the section that decide how images are read; the others are about the split."""


def _wrapped(texts: Iterator[str] | tuple[str, ...] | list[str], indent: str) -> Iterator[str]:
    for text in texts:
        yield from textwrap.wrap(
            text,
            WIDTH,
            initial_indent=indent,
            subsequent_indent=" " * len(indent),
            break_long_words=False,
            break_on_hyphens=False,
        )
