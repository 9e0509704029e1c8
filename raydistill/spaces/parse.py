"""Reads a search space from YAML and reports every mistake in it at once.

The names that a space may use (methods, data sets, recipes) are passed in as `Known`, so this module imports none of them.
`ranges` reads the ranges; `checks` compares the space with its data set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from raydistill.errors import DataError, Mistake, SpaceError, line_of
from raydistill.spaces.checks import SmallestMargin, check_ipc, check_margin, check_method, check_network
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.document import apply, load
from raydistill.spaces.messages import explain, listed, nearest, shown, text_for_number, unknown
from raydistill.spaces.network import NETWORKS, NetworkConfig
from raydistill.spaces.ranges import ends, is_whole, ranges_in, read_range, takes_only_choices
from raydistill.spaces.sections import (
    BudgetConfig,
    Config,
    DatasetConfig,
    EvaluationConfig,
    GoalConfig,
    ResourcesConfig,
    dataset_model,
)
from raydistill.spaces.space import Choices, Range, SearchSpace

SECTIONS = ("study", "seed", "dataset", "network", "method", "ipc", "evaluation", "goal", "budget", "resources")
REQUIRED = ("study", "dataset", "network", "method", "ipc", "goal", "budget")
ConfigT = TypeVar("ConfigT", bound=Config)
TAKEN_NAMES = ("compare", "experts", "test_openings")
STUDY_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


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


def read_space(path: Path, known: Known, overrides: Sequence[str] = ()) -> SearchSpace:
    """Read and check the search space in a YAML file, after applying `path.to.field=value` overrides.

    Raises:
        SpaceError: the file has mistakes; the message lists all of them.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpaceError(str(path), [Mistake(key="file", message=f"cannot be read: {error}")], {}) from error
    return parse_space(text, known, source=str(path), overrides=overrides)


def parse_space(text: str, known: Known, *, source: str = "search space", overrides: Sequence[str] = ()) -> SearchSpace:
    """Like `read_space`, for YAML text; messages name it as `source`."""
    document, lines, mistakes = load(text)
    if document is None:
        raise SpaceError(source, mistakes, lines)
    mistakes += apply(overrides, document, lines)
    parser = _SpaceParser(document, known, mistakes)
    space = parser.parse()
    if space is None:
        raise SpaceError(source, sorted(mistakes, key=lambda m: line_of(m.key, lines) or 10**6), lines)
    return space


class _SpaceParser:
    """Reads one document and adds to a list of mistakes; `parse` returns the space if that list stays empty."""

    def __init__(self, document: dict[str, Any], known: Known, mistakes: list[Mistake]) -> None:
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
        method_config = self._method()
        ranges: dict[str, Range | Choices] = {}
        template = {
            "dataset": dataset.model_dump() if dataset else None,
            "network": network.model_dump() if network else None,
            "evaluation": evaluation.model_dump() if evaluation else None,
            "ipc": self._ipc(ranges),
            "method": self._method_values(method_config, ranges) if method_config else None,
        }
        if dataset:
            self._against_data(dataset, network, template, ranges, method_config, goal, evaluation)
        if evaluation:
            self._recipe(evaluation.recipe, ranges)
        if self.mistakes or goal is None or budget is None or resources is None or method_config is None:
            return None
        return SearchSpace(
            study=study,
            seed=seed,
            template=template,
            ranges=ranges,
            method_config=method_config,
            goal=goal,
            budget=budget,
            resources=resources,
        )

    def _add(self, key: str, message: str) -> None:
        self.mistakes.append(Mistake(key=key, message=message))

    def _sections(self) -> None:
        for key in self.document:
            if key not in SECTIONS:
                self._add(str(key), unknown(str(key), SECTIONS, "key"))
        misspelt = {nearest(str(key), SECTIONS) for key in self.document if key not in SECTIONS}
        for key in REQUIRED:
            if key not in self.document and key not in misspelt:
                self._add(key, "missing: add it")

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
        return self._fixed("dataset", dataset_model(name))

    def _network(self) -> NetworkConfig | None:
        if "network" not in self.document:
            return None
        why = "the baseline is trained with one network: write one value, and use one study per network"
        return cast("NetworkConfig | None", self._validate(NetworkConfig, self.document["network"], "network", no_ranges=why))

    def _method(self) -> type[Config] | None:
        if "method" not in self.document:
            return None
        raw = self.document["method"]
        if not isinstance(raw, dict) or "name" not in raw:
            given = "has no name" if isinstance(raw, dict) else f"given {shown(raw)}; expected a section with a name"
            self._add("method", f"{given}: add 'name: ...', one of {listed(self.known.methods)}")
            return None
        if not self._is_known("method.name", raw["name"], self.known.methods, "method"):
            return None
        return self.known.methods[raw["name"]]

    def _method_values(self, model: type[Config], ranges: dict[str, Range | Choices]) -> dict[str, Any] | None:
        """The method's fixed values, with every range at its lower end; both ends of every range are checked."""
        raw = self.document["method"]
        found: dict[str, Range | Choices] = {}
        base = dict(raw)
        for path, value in ranges_in(raw, "method"):
            field = path.removeprefix("method.")
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
            found[path] = parsed
            base[field] = ends(parsed)[0]
        before = len(self.mistakes)
        valid = self._validate(model, base, "method")
        for path, parsed in found.items():
            for end in ends(parsed)[1:]:
                self._validate(model, {**base, path.removeprefix("method."): end}, "method", only=path)
        wrong = {mistake.key for mistake in self.mistakes[before:]}
        ranges.update({path: parsed for path, parsed in found.items() if path not in wrong})
        if wrong:  # the correct fields are still checked against the data, so that one message lists all mistakes
            valid = _model_or_none(model, {field: value for field, value in base.items() if f"method.{field}" not in wrong})
        return None if valid is None else cast("dict[str, Any]", valid.model_dump())

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
        template: dict[str, Any],
        ranges: Mapping[str, Range | Choices],
        method_config: type[Config] | None,
        goal: GoalConfig | None,
        evaluation: EvaluationConfig | None,
    ) -> None:
        try:
            facts = self.known.data_facts(dataset)
        except DataError as error:
            self._add("dataset", str(error))
            return
        self.mistakes += check_ipc(template["ipc"], ranges, facts)
        if goal and evaluation:
            self.mistakes += check_margin(goal, evaluation, facts, self.known.smallest_margin)
        if network:
            self.mistakes += check_network(network, facts)
        if network and method_config and template["method"] is not None:
            self.mistakes += check_method(method_config, template["method"], ranges, facts, network)


def _model_or_none(model: type[Config], values: Mapping[str, Any]) -> Config | None:
    try:
        return model.model_validate(dict(values))
    except ValidationError:
        return None  # its mistakes are in the list already
