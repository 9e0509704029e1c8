"""Reads a search space from YAML and reports every mistake in it at once.

The names that a space may use (methods, data sets, recipes) are passed in as `Known`, so this module imports none of them.
`arm_reader` reads methods and controls; `checks` compares the space with its data set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

from raydistill.errors import DataError, InputError, Mistake, NoDataError, SpaceError, line_of
from raydistill.spaces.arm_reader import ArmReader, ReadArm, factors_of
from raydistill.spaces.bounded import MOST_CHARACTERS
from raydistill.spaces.checks import check_factor, check_ipc, check_margin, check_method, check_network
from raydistill.spaces.document import apply, load
from raydistill.spaces.ipc_share import ipc_of_share
from raydistill.spaces.known import Known
from raydistill.spaces.messages import listed, missing, nearest, shown, text_for_number, unknown
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.paths import given_path
from raydistill.spaces.section_reader import SectionReader
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
TAKEN_NAMES = ("compare", "experts", "reproduce", "test_openings")
STUDY_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def read_space(
    path: Path, known: Known, overrides: Sequence[str] = (), *, for_search: bool = True, finds_beside: bool = True
) -> SearchSpace:
    """Read and check the search space in a YAML file, after applying `path.to.field=value` overrides.

    With `finds_beside`, a relative `dataset.path` that exists beside the file is taken from there.

    Raises:
        SpaceError: the file has mistakes; the message lists all of them.
    """
    text = text_of_space(path)
    return parse_space(
        text, known, source=str(path), overrides=overrides, for_search=for_search, folder=path.parent if finds_beside else None
    )


def text_of_space(path: Path) -> str:
    """The text of a search space, as far as one may be long.

    Raises:
        SpaceError: the file cannot be read, or is not UTF-8.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MOST_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise SpaceError(str(path), [Mistake(key="file", message=f"cannot be read: {error}")], {}) from error


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
        # Settings that are tried at both ends of every range make the same mistake each time.
        told = sorted(dict.fromkeys(mistakes), key=lambda m: line_of(m.key, lines) or 10**6)
        raise SpaceError(source, told, lines)
    return space


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
        self.reader = SectionReader(mistakes)

    def parse(self) -> SearchSpace | None:
        self._sections()
        study = self._study()
        seed = self.document.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            self.reader.add("seed", f"given {shown(seed)}; expected a whole number of at least 0: write 0")
        goal = self._fixed("goal", GoalConfig)
        budget = self._fixed("budget", BudgetConfig)
        resources = self._fixed("resources", ResourcesConfig, {})
        dataset = self._dataset()
        if budget and budget.gpu_hours is not None and resources and resources.gpus_per_trial == 0:
            self.reader.add(
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
        read = ArmReader(self.document, self.known, self.reader, for_search=self.for_search).arms()
        if dataset:
            self._against_data(dataset, network, ipc, ipc_ranges, read, goal, evaluation)
        if evaluation:
            self._recipe(evaluation.recipe, ipc_ranges)
        if self.for_search and budget and budget.trials < len(read):
            names = f"{', '.join(one.entry.label for one in read)}"
            self.reader.add(
                "budget.trials",
                f"given {budget.trials}; each of {names} is tried at least once, which takes {len(read)} trials: write at least "
                "that number, or name fewer controls (controls: [] for none)",
            )
        if self.reader.mistakes or goal is None or budget is None or resources is None or search is None:
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

    def _sections(self) -> None:
        for key in self.document:
            if key not in SECTIONS:
                self.reader.add(str(key), unknown(str(key), SECTIONS, "key"))
        misspelt = {nearest(str(key), SECTIONS) for key in self.document if key not in SECTIONS}
        for key in REQUIRED:
            if key not in self.document and key not in misspelt:
                self.reader.add(key, missing(key))
        if not {"method", "methods"} & {*self.document, *misspelt}:
            self.reader.add("method", f"{missing('method')}, or methods with a list of them")

    def _study(self) -> str:
        study = self.document.get("study", "")
        if "study" in self.document and not (isinstance(study, str) and STUDY_NAME.fullmatch(study)):
            allowed = "allowed are up to 64 lower-case letters, digits, '.', '_' and '-', starting with a letter or digit"
            self.reader.add("study", f"given {shown(study)}; {allowed}, because it becomes a folder name")
        if study in TAKEN_NAMES:
            kept = ", ".join(TAKEN_NAMES)
            self.reader.add("study", f"given {shown(study)}; the store uses the names {kept} itself: choose another name")
        return str(study)

    def _fixed(self, section: str, model: type[ConfigT], default: Any = None) -> ConfigT | None:
        """A section that takes no ranges."""
        if section not in self.document and default is None:
            return None
        why = "this must be a single value, because all trials share it: write one value"
        return cast("ConfigT | None", self.reader.validate(model, self.document.get(section, default), section, no_ranges=why))

    def _dataset(self) -> DatasetConfig | None:
        """The data set's section; its keys depend on the data set's name."""
        raw = self.document.get("dataset")
        name = raw.get("name") if isinstance(raw, dict) else None
        if isinstance(name, str) and not self.reader.is_known("dataset.name", name, self.known.datasets, "data set"):
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
        return cast(
            "NetworkConfig | None", self.reader.validate(NetworkConfig, self.document["network"], "network", no_ranges=why)
        )

    def _share(self, dataset: DatasetConfig | None) -> None:
        """Replace an IPC that is a share of the smallest class by the number that it is."""
        raw = self.document.get("ipc")
        if not isinstance(raw, dict) or "share" not in raw:
            return
        found = None
        with suppress(DataError):  # what is wrong with the data is told once, where the space is checked against it
            if dataset is not None:
                found, mistakes = ipc_of_share(raw, self.known.data_facts(dataset))
                self.reader.mistakes += mistakes
        self.document = {key: value for key, value in self.document.items() if key != "ipc"}
        if found is not None:
            self.document["ipc"] = found

    def _ipc(self, ranges: dict[str, Range | Choices]) -> int | None:
        if "ipc" not in self.document:
            return None
        raw = self.document["ipc"]
        if isinstance(raw, dict):
            parsed = self.reader.range("ipc", raw, whole=True)
            if isinstance(parsed, Choices):
                self.reader.add("ipc", "choices; IPC takes a range instead: write {low: .., high: .., log: true}")
                return None
            if parsed is None:
                return None
            ranges["ipc"] = parsed
            if parsed.low < 1:
                self.reader.add("ipc.low", f"given {parsed.low}; must be at least 1")
            return int(parsed.low)
        if isinstance(raw, str):
            self.reader.add("ipc", text_for_number(raw, whole=True))
            return None
        if not isinstance(raw, int) or isinstance(raw, bool) or raw < 1:
            self.reader.add(
                "ipc", f"given {shown(raw)}; expected a whole number of at least 1, or {{low: .., high: .., log: true}}"
            )
            return None
        return raw

    def _recipe(self, name: str, ranges: Mapping[str, Range | Choices]) -> None:
        is_known = self.reader.is_known("evaluation.recipe", name, self.known.recipes, "recipe")
        if is_known and name in self.known.epoch_recipes and "ipc" in ranges:
            in_steps = listed(set(self.known.recipes) - set(self.known.epoch_recipes))
            why = "counts epochs, so every IPC would be evaluated with a different number of steps than the baseline"
            self.reader.add("evaluation.recipe", f"{name!r} {why}: write one of {in_steps}, or a single IPC")

    def _against_data(
        self,
        dataset: DatasetConfig,
        network: NetworkConfig | None,
        ipc: int | None,
        ipc_ranges: Mapping[str, Range | Choices],
        read: Sequence[ReadArm],
        goal: GoalConfig | None,
        evaluation: EvaluationConfig | None,
    ) -> None:
        try:
            facts = self.known.data_facts(dataset)
        except NoDataError as error:
            also = f"; beside the YAML file, {self.not_beside} is not there either" if self.not_beside else ""
            self.reader.add("dataset.path", f"{error}{also}")
            return
        except DataError as error:
            self.reader.add("dataset", str(error))
            return
        self.reader.mistakes += check_ipc(ipc, ipc_ranges, facts)
        if goal and evaluation:
            has_controls = any(one.entry.is_control for one in read)
            self.reader.mistakes += check_margin(goal, evaluation, facts, self.known.smallest_margin, has_controls=has_controls)
        for one in read:
            if one.values is not None:
                self.reader.mistakes += check_factor(ipc, ipc_ranges, max(factors_of([one])), facts, section=one.entry.path)
            if network and one.values is not None and not one.has_conflict:
                self.reader.mistakes += check_method(one.model, one.values, one.ranges, facts, network, section=one.entry.path)
        if network:
            self.reader.mistakes += check_network(network, facts)
