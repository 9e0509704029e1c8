"""Reads the arms of a search space: the sections of its methods and of its controls, with their ranges and labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from pydantic import ValidationError

from raydistill.spaces.document import label_of
from raydistill.spaces.known import Known
from raydistill.spaces.messages import listed, shown, unknown
from raydistill.spaces.ranges import corners, ends, is_whole, ranges_in, takes_only_choices
from raydistill.spaces.section_reader import SectionReader
from raydistill.spaces.sections import Config
from raydistill.spaces.space import Choices, Range

LABEL = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""Of a method or a control in a race."""


class Entry(NamedTuple):
    """The section of a method or a control."""

    path: str
    """Its dotted path in messages: `method`, `methods.<label>` or `controls.<label>`."""
    label: str
    is_control: bool
    raw: dict[str, Any]
    """Its fields, without the label."""


class ReadArm(NamedTuple):
    """An entry whose method is known, with what was read of it."""

    entry: Entry
    model: type[Config]
    values: dict[str, Any] | None
    """Fixed values, with every range at its lower end; None if they have mistakes."""
    ranges: dict[str, Range | Choices]
    """By `method.<field>`."""
    has_conflict: bool
    """Whether some values of the ranges do not fit each other, so that nothing can be checked with them."""


class ArmReader:
    """Reads the sections `method`, `methods` and `controls` of one document."""

    def __init__(self, document: dict[str, Any], known: Known, reader: SectionReader, *, for_search: bool) -> None:
        self.document = document
        self.known = known
        self.reader = reader
        self.for_search = for_search

    def arms(self) -> list[ReadArm]:
        """What was read of each method and each control, without those whose method is not known."""
        read = self._read_methods()
        kinds = {one.entry.raw["name"] in self.known.soft_methods for one in read}
        if len(kinds) > 1:
            soft = [one.entry.label for one in read if one.entry.raw["name"] in self.known.soft_methods]
            hard = [one.entry.label for one in read if one.entry.label not in soft]
            message = (
                f"{listed(soft)} make soft labels and {listed(hard)} hard ones, and the two share no ranking: write one study "
                "for each kind"
            )
            self.reader.add("methods", message)
        controls = self._controls(read)
        read += [one for entry in controls if (one := self._read(entry)) is not None]
        self._labels(read)
        return read

    def _read_methods(self) -> list[ReadArm]:
        """What was read of each method; those with labels by experts take the experts of the first method that reads some."""
        entries = self._methods()
        found = [None if "labels" in entry.raw else self._read(entry) for entry in entries]
        settings = (one.model.model_validate(one.values) for one in found if one is not None and one.values is not None)
        expert = next((config for config in settings if "experts" in type(config).model_fields), None)
        for place, entry in enumerate(entries):
            if "labels" in entry.raw:
                raw = self._with_expert_labels(entry.path, entry.raw, expert)
                label = str(raw.get("name")) if entry.label == entry.raw.get("name") else entry.label
                found[place] = self._read(entry._replace(raw=raw, label=label))
        return [one for one in found if one is not None]

    def _methods(self) -> list[Entry]:
        """The sections of the methods: one in the short form `method`, or a list."""
        if "methods" not in self.document:
            raw = self.document.get("method")
            if "method" in self.document and not isinstance(raw, dict):
                self._no_name("method", raw)
            return [self._entry("method", raw, is_control=False)] if isinstance(raw, dict) else []
        if "method" in self.document:
            self.reader.add("methods", "given together with method, which is the short form for one of them: keep one of the two")
        raw = self.document["methods"]
        if not isinstance(raw, list) or not raw:
            self.reader.add("methods", f"given {shown(raw)}; expected a list of methods: write [{{name: datadam, ..}}, ..]")
            return []
        entries = []
        for item in raw:
            if not isinstance(item, dict):
                self._no_name("methods", item)
                continue
            entry = self._entry("methods", item, is_control=False)
            name = entry.raw.get("name")
            if isinstance(name, str) and name in self.known.controls:
                self.reader.add(entry.path, f"{name} is a control: write it under controls")
                continue
            entries.append(entry)
        return entries

    def _controls(self, methods: Sequence[ReadArm]) -> list[Entry]:
        """The sections of the controls: those given, or the default ones for such labels."""
        is_soft = any(one.entry.raw["name"] in self.known.soft_methods for one in methods)
        fit = [one for one in methods if (one.entry.raw["name"] in self.known.soft_methods) == is_soft and one.values is not None]
        settings = fit[0].model.model_validate(fit[0].values) if fit else None
        fitting = [name for name in self.known.controls if (name in self.known.soft_methods) == is_soft]
        if "controls" not in self.document:
            if not self.for_search or settings is None or any(one.entry.raw["name"] in self.known.controls for one in methods):
                return []  # a study of one control has no others
            filled = (self._filled(name, settings, factors_of(methods)) for name in fitting)
            return [self._entry("controls", section, is_control=True) for section in filled]
        raw = self.document["controls"]
        if not isinstance(raw, list):
            self.reader.add("controls", f"given {shown(raw)}; expected a list: write [{', '.join(fitting)}], or [] for none")
            return []
        entries = []
        for item in raw:
            section = {"name": item} if isinstance(item, str) else item
            if not isinstance(section, dict):
                self._no_name("controls", item)
                continue
            section = self._with_expert_labels(f"controls.{label_of(section)}", section, settings)
            name = section.get("name")
            if isinstance(item, str) and name in fitting and settings is not None:
                section = self._filled(item, settings, factors_of(methods))
            entry = self._entry("controls", section, is_control=True)
            if not isinstance(name, str):
                entries.append(entry)  # reading it names the mistake
            elif name in self.known.methods and name not in self.known.controls:
                self.reader.add(
                    entry.path, f"{name} is a method, not a control: write it under methods; controls are {listed(fitting)}"
                )
            elif name in self.known.controls and name not in fitting and methods:
                labels = "soft" if is_soft else "hard"
                self.reader.add(
                    entry.path, f"its labels are not {labels}, as those of the methods are: write some of {listed(fitting)}"
                )
            else:
                entries.append(entry)
        return entries

    def _with_expert_labels(self, path: str, section: dict[str, Any], method: Config | None) -> dict[str, Any]:
        """The section with `labels: experts` as that of the method or control with soft labels that it means.

        Its experts are those of the race's method where that reads experts, otherwise those that the section gives.
        """
        if "labels" not in section:
            return section
        rest = {key: value for key, value in section.items() if key != "labels"}
        name = str(section.get("name"))
        if section["labels"] != "experts":
            self.reader.add(
                f"{path}.labels", f"given {shown(section['labels'])}; allowed: experts; leave it out for the images' own labels"
            )
        elif name not in self.known.expert_labelled:
            self.reader.add(f"{path}.labels", f"{name} has no such form; these have one: {listed(self.known.expert_labelled)}")
        else:
            soft = self.known.expert_labelled[name]
            is_read = method is not None and "experts" in type(method).model_fields
            if not is_read and "experts" not in rest:
                why = "experts, but no method of the race reads experts and this section names none"
                self.reader.add(
                    f"{path}.labels",
                    f"{why}: add experts: 10, expert_epochs: 20 and what else they need, or race a method like datm",
                )
            filled = {"name": soft, **self.known.experts_of(method)} if method is not None and is_read else {}
            return {**filled, **rest, "name": soft}
        return rest

    def _filled(self, name: str, method: Config, factors: Sequence[int]) -> dict[str, Any]:
        """The section of a control beside a method; it may pack its images by any factor that a method may have, or not."""
        section = {"name": name, **self.known.controls[name](method)}
        return section if factors == [1] else {**section, "factor": {"choices": factors}}

    def _entry(self, path: str, raw: dict[str, Any], *, is_control: bool) -> Entry:
        label = str(label_of(raw))
        given = raw.get("label")
        if given is not None and not (isinstance(given, str) and LABEL.fullmatch(given)):
            allowed = "expected up to 64 lower-case letters, digits, '_' and '-', starting with a letter or digit"
            place = path if path == "method" else f"{path}.{label}"
            self.reader.add(f"{place}.label", f"given {shown(given)}; {allowed}")
        fields = {key: value for key, value in raw.items() if key != "label"}
        return Entry(path if path == "method" else f"{path}.{label}", label, is_control, fields)

    def _labels(self, read: Sequence[ReadArm]) -> None:
        """Every arm needs a name of its own."""
        labels = [one.entry.label for one in read]
        for label in dict.fromkeys(label for label in labels if labels.count(label) > 1):
            path = [one.entry.path for one in read if one.entry.label == label][-1]
            self.reader.add(
                path, f"{label} stands for {labels.count(label)} of methods and controls: add 'label: ...' that tells them apart"
            )

    def _no_name(self, path: str, raw: Any) -> None:
        given = "has no name" if isinstance(raw, dict) else f"given {shown(raw)}; expected a section with a name"
        allowed = self._allowed(path)
        self.reader.add(path, f"{given}: add 'name: ...', one of {listed(allowed)}")

    def _allowed(self, path: str) -> list[str]:
        """Names that a section at this path may have; the short form `method` takes a control too."""
        if path.startswith("controls"):
            return list(self.known.controls)
        return [name for name in self.known.methods if path == "method" or name not in self.known.controls]

    def _read(self, entry: Entry) -> ReadArm | None:
        """The entry's values and ranges; None if its method is not known."""
        if "name" not in entry.raw:
            self._no_name(entry.path.removesuffix(".None"), entry.raw)
            return None
        allowed = self._allowed(entry.path)
        if not self.reader.is_known(
            f"{entry.path}.name", entry.raw["name"], allowed, "control" if entry.is_control else "method"
        ):
            return None
        model = self.known.methods[entry.raw["name"]]
        ranges: dict[str, Range | Choices] = {}
        values, has_conflict = self._method_values(entry, model, ranges)
        return ReadArm(entry, model, values, ranges, has_conflict)

    def _method_values(
        self, entry: Entry, model: type[Config], ranges: dict[str, Range | Choices]
    ) -> tuple[dict[str, Any] | None, bool]:
        """The method's fixed values, with every range at its lower end; and whether values of its ranges do not fit each other.

        Both ends of every range are checked.
        """
        section = entry.path
        found: dict[str, Range | Choices] = {}
        base = dict(entry.raw)
        for path, value in ranges_in(entry.raw, section):
            field = path.removeprefix(f"{section}.")
            if field not in model.model_fields:
                base.pop(field, None)
                self.reader.add(path, unknown(field, model.model_fields, "key"))
                continue
            parsed = self.reader.range(path, value, whole=is_whole(model, field))
            if isinstance(parsed, Range) and takes_only_choices(model, field):
                self.reader.add(
                    path, "a range; every value needs its own experts, trained before the trials: write one value or choices"
                )
                parsed = None
            if parsed is None:
                base.pop(field, None)
                continue
            found[field] = parsed
            base[field] = ends(parsed)[0]
        before = len(self.reader.mistakes)
        valid = self.reader.validate(model, base, section)
        for field, parsed in found.items():
            for end in ends(parsed)[1:]:
                self.reader.validate(model, {**base, field: end}, section, only=f"{section}.{field}")
        wrong = {mistake.key for mistake in self.reader.mistakes[before:]}
        ranges.update({f"method.{field}": parsed for field, parsed in found.items() if f"{section}.{field}" not in wrong})
        conflicts = (self.reader.validate(model, {**base, **corner}, section) is None for corner in corners(found))
        has_conflict = section in wrong or (not wrong and any(conflicts))
        if wrong:  # the correct fields are still checked against the data, so that one message lists all mistakes
            valid = _model_or_none(model, {field: value for field, value in base.items() if f"{section}.{field}" not in wrong})
        return None if valid is None else cast("dict[str, Any]", valid.model_dump()), has_conflict


def factors_of(methods: Sequence[ReadArm]) -> list[int]:
    """1, and every factor that a method may have."""
    found = {1}
    for one in methods:
        allowed = one.ranges.get("method.factor")
        if allowed is not None:
            found |= set(allowed.values)
        elif one.values is not None:
            found.add(one.values.get("factor", 1))
    return sorted(found)


def _model_or_none(model: type[Config], values: Mapping[str, Any]) -> Config | None:
    try:
        return model.model_validate(dict(values))
    except ValidationError:
        return None  # its mistakes are in the list already
