"""Reads a search space from YAML and reports every mistake in it at once.

The names that a space may use (methods, data sets, recipes) are passed in as `Known`, so this module imports none of them.
`ranges` reads the ranges; `checks` compares the space with its data set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from raydistill.errors import DataError, InputError, Mistake, NoDataError, SpaceError, line_of
from raydistill.spaces.bounded import MOST_CHARACTERS
from raydistill.spaces.checks import SmallestMargin, check_factor, check_ipc, check_margin, check_method, check_network
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.document import apply, label_of, load
from raydistill.spaces.ipc_share import ipc_of_share
from raydistill.spaces.messages import explain, listed, missing, nearest, shown, text_for_number, unknown
from raydistill.spaces.network import NETWORKS, NetworkConfig
from raydistill.spaces.paths import given_path
from raydistill.spaces.ranges import ends, is_whole, ranges_in, read_range, takes_only_choices
from raydistill.spaces.sections import (
    BudgetConfig,
    Config,
    DatasetConfig,
    EvaluationConfig,
    GoalConfig,
    ResourcesConfig,
    SearchConfig,
    dataset_model,
)
from raydistill.spaces.space import Arm, Choices, Range, SearchSpace

SECTIONS = (
    "study",
    "seed",
    "dataset",
    "network",
    "method",
    "methods",
    "controls",
    "ipc",
    "evaluation",
    "goal",
    "search",
    "budget",
    "resources",
)
REQUIRED = ("study", "dataset", "network", "ipc", "goal", "budget")
"""Beside these, one of `method` and `methods`."""
ConfigT = TypeVar("ConfigT", bound=Config)
TAKEN_NAMES = ("compare", "experts", "test_openings")
STUDY_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
LABEL = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""Of a method or a control in a race."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """The names that a space may use and the checks that need other modules, so that this module does not import them."""

    methods: Mapping[str, type[Config]]
    datasets: Collection[str]
    recipes: Collection[str]
    data_facts: Callable[[DatasetConfig], DataFacts]
    """Loads the data set and returns its sizes; raises DataError."""
    smallest_margin: SmallestMargin
    epoch_recipes: Collection[str] = ()
    """Recipes whose number of steps depends on the size of the set; they allow only one IPC."""
    soft_methods: Collection[str] = ()
    """Methods whose sets have soft labels; all others have hard ones."""
    expert_labelled: Mapping[str, str] = field(default_factory=dict)
    """By a method or control with hard labels: the one whose same images have soft labels by experts (`labels: experts`)."""
    experts_of: Callable[[Any], Mapping[str, Any]] = lambda method: {}
    """From the config of a method that reads experts: the fields of the same experts."""
    controls: Mapping[str, Callable[[Any], Mapping[str, Any]]] = field(default_factory=dict)
    """Methods that are controls, in the order in which they are listed: from the config of a method of the same label kind, the
    fields that the control has in a race with it."""


def read_space(
    path: Path, known: Known, overrides: Sequence[str] = (), *, for_search: bool = True, finds_beside: bool = True
) -> SearchSpace:
    """Read and check the search space in a YAML file, after applying `path.to.field=value` overrides.

    With `finds_beside`, a relative `dataset.path` that exists beside the file is taken from there.

    Raises:
        SpaceError: the file has mistakes; the message lists all of them.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MOST_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise SpaceError(str(path), [Mistake(key="file", message=f"cannot be read: {error}")], {}) from error
    return parse_space(
        text, known, source=str(path), overrides=overrides, for_search=for_search, folder=path.parent if finds_beside else None
    )


def parse_space(
    text: str,
    known: Known,
    *,
    source: str = "search space",
    overrides: Sequence[str] = (),
    for_search: bool = True,
    folder: Path | None = None,
) -> SearchSpace:
    """Like `read_space`, for YAML text; messages name it as `source`, and a relative path of images is looked for in `folder`.

    With `for_search` the space gets the default controls if it names none, and its budget must hold a trial of every arm; a
    command that makes single sets of a space's methods needs neither.
    """
    document, lines, mistakes = load(text)
    if document is None:
        raise SpaceError(source, mistakes, lines)
    mistakes += apply(overrides, document, lines)
    parser = _SpaceParser(document, known, mistakes, for_search=for_search, folder=folder)
    space = parser.parse()
    if space is None:
        raise SpaceError(source, sorted(mistakes, key=lambda m: line_of(m.key, lines) or 10**6), lines)
    return space


class _Entry(NamedTuple):
    """The section of a method or a control."""

    path: str
    """Its dotted path in messages: `method`, `methods.<label>` or `controls.<label>`."""
    label: str
    is_control: bool
    raw: dict[str, Any]
    """Its fields, without the label."""


class _Read(NamedTuple):
    """An entry whose method is known, with what was read of it."""

    entry: _Entry
    model: type[Config]
    values: dict[str, Any] | None
    """Fixed values, with every range at its lower end; None if they have mistakes."""
    ranges: dict[str, Range | Choices]
    """By `method.<field>`."""


class _SpaceParser:
    """Reads one document and adds to a list of mistakes; `parse` returns the space if that list stays empty."""

    def __init__(
        self, document: dict[str, Any], known: Known, mistakes: list[Mistake], *, for_search: bool, folder: Path | None
    ) -> None:
        self.for_search = for_search
        self.folder = folder
        self.not_beside: Path | None = None
        """Where the images were looked for beside the file, and are not."""
        self.document = document
        self.known = known
        self.mistakes = mistakes

    def parse(self) -> SearchSpace | None:
        self._sections()
        study = self._study()
        seed = self.document.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            self._add("seed", f"given {shown(seed)}; expected a whole number of at least 0: write 0")
        goal = self._fixed("goal", GoalConfig)
        budget = self._fixed("budget", BudgetConfig)
        resources = self._fixed("resources", ResourcesConfig, {})
        dataset = self._dataset()
        if budget and budget.gpu_hours is not None and resources and resources.gpus_per_trial == 0:
            self._add(
                "budget.gpu_hours",
                f"given {budget.gpu_hours}, but resources.gpus_per_trial is 0, so no GPU hours are used: write budget.hours",
            )
        evaluation = self._fixed("evaluation", EvaluationConfig, {})
        network = self._network()
        search = self._fixed("search", SearchConfig, {})
        self._share(dataset)
        ipc_ranges: dict[str, Range | Choices] = {}
        shared = {
            "dataset": dataset.model_dump() if dataset else None,
            "network": network.model_dump() if network else None,
            "evaluation": evaluation.model_dump() if evaluation else None,
            "ipc": (ipc := self._ipc(ipc_ranges)),
        }
        read = self._arms()
        if dataset:
            self._against_data(dataset, network, ipc, ipc_ranges, read, goal, evaluation)
        if evaluation:
            self._recipe(evaluation.recipe, ipc_ranges)
        if self.for_search and budget and budget.trials < len(read):
            names = f"{', '.join(one.entry.label for one in read)}"
            self._add(
                "budget.trials",
                f"given {budget.trials}; each of {names} is tried at least once, which takes {len(read)} trials: write at least "
                "that number, or name fewer controls (controls: [] for none)",
            )
        if self.mistakes or goal is None or budget is None or resources is None or search is None:
            return None
        arms = [
            Arm(
                label=one.entry.label,
                is_control=one.entry.is_control,
                study=study,
                seed=seed,
                template={**shared, "method": one.values},
                ranges={**ipc_ranges, **one.ranges},
                method_config=one.model,
                goal=goal,
                budget=budget,
                resources=resources,
            )
            for one in read
        ]
        return SearchSpace(arms=tuple(arms), search=search, are_controls_given="controls" in self.document)

    def _add(self, key: str, message: str) -> None:
        self.mistakes.append(Mistake(key=key, message=message))

    def _sections(self) -> None:
        for key in self.document:
            if key not in SECTIONS:
                self._add(str(key), unknown(str(key), SECTIONS, "key"))
        misspelt = {nearest(str(key), SECTIONS) for key in self.document if key not in SECTIONS}
        for key in REQUIRED:
            if key not in self.document and key not in misspelt:
                self._add(key, missing(key))
        if not {"method", "methods"} & {*self.document, *misspelt}:
            self._add("method", f"{missing('method')}, or methods with a list of them")

    def _study(self) -> str:
        study = self.document.get("study", "")
        if "study" in self.document and not (isinstance(study, str) and STUDY_NAME.fullmatch(study)):
            allowed = "allowed are up to 64 lower-case letters, digits, '.', '_' and '-', starting with a letter or digit"
            self._add("study", f"given {shown(study)}; {allowed}, because it becomes a folder name")
        if study in TAKEN_NAMES:
            kept = ", ".join(TAKEN_NAMES)
            self._add("study", f"given {shown(study)}; the store uses the names {kept} itself: choose another name")
        return str(study)

    def _fixed(self, section: str, model: type[ConfigT], default: Any = None) -> ConfigT | None:
        """A section that takes no ranges."""
        if section not in self.document and default is None:
            return None
        why = "this must be a single value, because all trials share it: write one value"
        return cast("ConfigT | None", self._validate(model, self.document.get(section, default), section, no_ranges=why))

    def _dataset(self) -> DatasetConfig | None:
        """The data set's section; its keys depend on the data set's name."""
        raw = self.document.get("dataset")
        name = raw.get("name") if isinstance(raw, dict) else None
        if isinstance(name, str) and not self._is_known("dataset.name", name, self.known.datasets, "data set"):
            return None
        if name == "image_folder" and isinstance(raw, dict) and isinstance(raw.get("path"), str):
            self.document = {**self.document, "dataset": {**raw, "path": self._beside(raw["path"])}}
        return self._fixed("dataset", dataset_model(name))

    def _beside(self, path: str) -> str:
        """The full path of images that lie beside the file; any other path unchanged."""
        try:
            if self.folder is None or not path or given_path(path).is_absolute():
                return path
            place = given_path(self.folder / path).resolve()
        except InputError:
            return path  # the section says what is wrong with it
        if place.exists():
            return str(place)
        self.not_beside = place
        return path

    def _network(self) -> NetworkConfig | None:
        if "network" not in self.document:
            return None
        why = "the baseline is trained with one network: write one value, and use one study per network"
        return cast("NetworkConfig | None", self._validate(NetworkConfig, self.document["network"], "network", no_ranges=why))

    def _arms(self) -> list[_Read]:
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
            self._add("methods", message)
        controls = self._controls(read)
        read += [one for entry in controls if (one := self._read(entry)) is not None]
        self._labels(read)
        return read

    def _read_methods(self) -> list[_Read]:
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

    def _methods(self) -> list[_Entry]:
        """The sections of the methods: one in the short form `method`, or a list."""
        if "methods" not in self.document:
            raw = self.document.get("method")
            if "method" in self.document and not isinstance(raw, dict):
                self._no_name("method", raw)
            return [self._entry("method", raw, is_control=False)] if isinstance(raw, dict) else []
        if "method" in self.document:
            self._add("methods", "given together with method, which is the short form for one of them: keep one of the two")
        raw = self.document["methods"]
        if not isinstance(raw, list) or not raw:
            self._add("methods", f"given {shown(raw)}; expected a list of methods: write [{{name: datadam, ..}}, ..]")
            return []
        entries = []
        for item in raw:
            if not isinstance(item, dict):
                self._no_name("methods", item)
                continue
            entry = self._entry("methods", item, is_control=False)
            name = entry.raw.get("name")
            if isinstance(name, str) and name in self.known.controls:
                self._add(entry.path, f"{name} is a control: write it under controls")
                continue
            entries.append(entry)
        return entries

    def _controls(self, methods: Sequence[_Read]) -> list[_Entry]:
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
            self._add("controls", f"given {shown(raw)}; expected a list: write [{', '.join(fitting)}], or [] for none")
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
                self._add(
                    entry.path, f"{name} is a method, not a control: write it under methods; controls are {listed(fitting)}"
                )
            elif name in self.known.controls and name not in fitting and methods:
                labels = "soft" if is_soft else "hard"
                self._add(
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
            self._add(
                f"{path}.labels", f"given {shown(section['labels'])}; allowed: experts; leave it out for the images' own labels"
            )
        elif name not in self.known.expert_labelled:
            self._add(f"{path}.labels", f"{name} has no such form; these have one: {listed(self.known.expert_labelled)}")
        else:
            soft = self.known.expert_labelled[name]
            is_read = method is not None and "experts" in type(method).model_fields
            if not is_read and "experts" not in rest:
                why = "experts, but no method of the race reads experts and this section names none"
                self._add(
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

    def _entry(self, path: str, raw: dict[str, Any], *, is_control: bool) -> _Entry:
        label = str(label_of(raw))
        given = raw.get("label")
        if given is not None and not (isinstance(given, str) and LABEL.fullmatch(given)):
            allowed = "expected up to 64 lower-case letters, digits, '_' and '-', starting with a letter or digit"
            place = path if path == "method" else f"{path}.{label}"
            self._add(f"{place}.label", f"given {shown(given)}; {allowed}")
        fields = {key: value for key, value in raw.items() if key != "label"}
        return _Entry(path if path == "method" else f"{path}.{label}", label, is_control, fields)

    def _labels(self, read: Sequence[_Read]) -> None:
        """Every arm needs a name of its own."""
        labels = [one.entry.label for one in read]
        for label in dict.fromkeys(label for label in labels if labels.count(label) > 1):
            path = [one.entry.path for one in read if one.entry.label == label][-1]
            self._add(
                path, f"{label} stands for {labels.count(label)} of methods and controls: add 'label: ...' that tells them apart"
            )

    def _no_name(self, path: str, raw: Any) -> None:
        given = "has no name" if isinstance(raw, dict) else f"given {shown(raw)}; expected a section with a name"
        allowed = self._allowed(path)
        self._add(path, f"{given}: add 'name: ...', one of {listed(allowed)}")

    def _allowed(self, path: str) -> list[str]:
        """Names that a section at this path may have; the short form `method` takes a control too."""
        if path.startswith("controls"):
            return list(self.known.controls)
        return [name for name in self.known.methods if path == "method" or name not in self.known.controls]

    def _read(self, entry: _Entry) -> _Read | None:
        """The entry's values and ranges; None if its method is not known."""
        if "name" not in entry.raw:
            self._no_name(entry.path.removesuffix(".None"), entry.raw)
            return None
        allowed = self._allowed(entry.path)
        if not self._is_known(f"{entry.path}.name", entry.raw["name"], allowed, "control" if entry.is_control else "method"):
            return None
        model = self.known.methods[entry.raw["name"]]
        ranges: dict[str, Range | Choices] = {}
        return _Read(entry, model, self._method_values(entry, model, ranges), ranges)

    def _method_values(self, entry: _Entry, model: type[Config], ranges: dict[str, Range | Choices]) -> dict[str, Any] | None:
        """The method's fixed values, with every range at its lower end; both ends of every range are checked."""
        section = entry.path
        found: dict[str, Range | Choices] = {}
        base = dict(entry.raw)
        for path, value in ranges_in(entry.raw, section):
            field = path.removeprefix(f"{section}.")
            if field not in model.model_fields:
                base.pop(field, None)
                self._add(path, unknown(field, model.model_fields, "key"))
                continue
            parsed = self._range(path, value, whole=is_whole(model, field))
            if isinstance(parsed, Range) and takes_only_choices(model, field):
                self._add(
                    path, "a range; every value needs its own experts, trained before the trials: write one value or choices"
                )
                parsed = None
            if parsed is None:
                base.pop(field, None)
                continue
            found[field] = parsed
            base[field] = ends(parsed)[0]
        before = len(self.mistakes)
        valid = self._validate(model, base, section)
        for field, parsed in found.items():
            for end in ends(parsed)[1:]:
                self._validate(model, {**base, field: end}, section, only=f"{section}.{field}")
        wrong = {mistake.key for mistake in self.mistakes[before:]}
        ranges.update({f"method.{field}": parsed for field, parsed in found.items() if f"{section}.{field}" not in wrong})
        if wrong:  # the correct fields are still checked against the data, so that one message lists all mistakes
            valid = _model_or_none(model, {field: value for field, value in base.items() if f"{section}.{field}" not in wrong})
        return None if valid is None else cast("dict[str, Any]", valid.model_dump())

    def _share(self, dataset: DatasetConfig | None) -> None:
        """Replace an IPC that is a share of the smallest class by the number that it is."""
        raw = self.document.get("ipc")
        if not isinstance(raw, dict) or "share" not in raw:
            return
        found = None
        with suppress(DataError):  # what is wrong with the data is told once, where the space is checked against it
            if dataset is not None:
                found, mistakes = ipc_of_share(raw, self.known.data_facts(dataset))
                self.mistakes += mistakes
        self.document = {key: value for key, value in self.document.items() if key != "ipc"}
        if found is not None:
            self.document["ipc"] = found

    def _ipc(self, ranges: dict[str, Range | Choices]) -> int | None:
        if "ipc" not in self.document:
            return None
        raw = self.document["ipc"]
        if isinstance(raw, dict):
            parsed = self._range("ipc", raw, whole=True)
            if isinstance(parsed, Choices):
                self._add("ipc", "choices; IPC takes a range instead: write {low: .., high: .., log: true}")
                return None
            if parsed is None:
                return None
            ranges["ipc"] = parsed
            if parsed.low < 1:
                self._add("ipc.low", f"given {parsed.low}; must be at least 1")
            return int(parsed.low)
        if isinstance(raw, str):
            self._add("ipc", text_for_number(raw, whole=True))
            return None
        if not isinstance(raw, int) or isinstance(raw, bool) or raw < 1:
            self._add("ipc", f"given {shown(raw)}; expected a whole number of at least 1, or {{low: .., high: .., log: true}}")
            return None
        return raw

    def _range(self, path: str, raw: dict[str, Any], *, whole: bool) -> Range | Choices | None:
        parsed, mistakes = read_range(path, raw, whole=whole)
        self.mistakes += mistakes
        return parsed

    def _validate(self, model: Any, raw: Any, section: str, *, only: str | None = None, no_ranges: str | None = None) -> Any:
        """Return the section as a model, or None after adding its mistakes.

        Args:
            model: config class, or a union of them.
            raw: the section as read from YAML.
            section: its key.
            only: add only mistakes of this dotted key; None adds all.
            no_ranges: why the section takes no ranges; None allows them.
        """
        if not isinstance(raw, dict):
            example = "{name: " + f"{raw}, ..}}" if isinstance(raw, str) else "key: value"
            self._add(section, f"given {shown(raw)}; expected a section with keys: write {example}")
            return None
        ranges = [path for path, _ in ranges_in(raw, section)] if no_ranges else []
        for path in ranges:
            self._add(path, f"a range; {no_ranges}")
        try:
            return TypeAdapter(model).validate_python(raw)
        except ValidationError as error:
            rows = error.errors()
            absent = [str(row["loc"][-1]) for row in rows if row["type"] == "missing"]
            misspelt = {nearest(str(row["loc"][-1]), absent) for row in rows if row["type"] == "extra_forbidden"}
            for row in rows:
                if row["type"] == "missing" and row["loc"][-1] in misspelt:
                    continue
                names = [str(part) for part in row["loc"] if part not in NETWORKS]
                if row["type"] in ("union_tag_invalid", "union_tag_not_found"):
                    names.append("name")
                path = ".".join([section, *names])
                is_wanted = only is None or path == only or not names
                if is_wanted and not any(f"{path}.".startswith(f"{place}.") for place in ranges):
                    self._add(path, explain(cast("dict[str, Any]", row), model, names))
            return None

    def _is_known(self, key: str, name: Any, allowed: Collection[str], what: str) -> bool:
        if isinstance(name, str) and name in allowed:
            return True
        self._add(key, unknown(name if isinstance(name, str) else shown(name), allowed, what))
        return False

    def _recipe(self, name: str, ranges: Mapping[str, Range | Choices]) -> None:
        is_known = self._is_known("evaluation.recipe", name, self.known.recipes, "recipe")
        if is_known and name in self.known.epoch_recipes and "ipc" in ranges:
            in_steps = listed(set(self.known.recipes) - set(self.known.epoch_recipes))
            why = "counts epochs, so every IPC would be evaluated with a different number of steps than the baseline"
            self._add("evaluation.recipe", f"{name!r} {why}: write one of {in_steps}, or a single IPC")

    def _against_data(
        self,
        dataset: DatasetConfig,
        network: NetworkConfig | None,
        ipc: int | None,
        ipc_ranges: Mapping[str, Range | Choices],
        read: Sequence[_Read],
        goal: GoalConfig | None,
        evaluation: EvaluationConfig | None,
    ) -> None:
        try:
            facts = self.known.data_facts(dataset)
        except NoDataError as error:
            also = f"; beside the YAML file, {self.not_beside} is not there either" if self.not_beside else ""
            self._add("dataset.path", f"{error}{also}")
            return
        except DataError as error:
            self._add("dataset", str(error))
            return
        self.mistakes += check_ipc(ipc, ipc_ranges, facts)
        if goal and evaluation:
            has_controls = any(one.entry.is_control for one in read)
            self.mistakes += check_margin(goal, evaluation, facts, self.known.smallest_margin, has_controls=has_controls)
        for one in read:
            if one.values is not None:
                self.mistakes += check_factor(ipc, ipc_ranges, max(factors_of([one])), facts, section=one.entry.path)
            if network and one.values is not None:
                self.mistakes += check_method(one.model, one.values, one.ranges, facts, network, section=one.entry.path)
        if network:
            self.mistakes += check_network(network, facts)


def factors_of(methods: Sequence[_Read]) -> list[int]:
    """1, and every factor that a method may have."""
    found = {1}
    for one in methods:
        allowed = one.ranges.get("method.factor")
        if isinstance(allowed, Choices):
            found |= set(allowed.values)
        elif isinstance(allowed, Range):
            found |= set(range(int(allowed.low), int(allowed.high) + 1))
        elif one.values is not None:
            found.add(one.values.get("factor", 1))
    return sorted(found)


def _model_or_none(model: type[Config], values: Mapping[str, Any]) -> Config | None:
    try:
        return model.model_validate(dict(values))
    except ValidationError:
        return None  # its mistakes are in the list already
