"""What training costs until it is as good as on the full data, and after how many trainings a set has paid for itself.

The same small search is made for the full data, the set and a control: the recipe's schedule with 1/16, 1/8, 1/4, 1/2 and all of
its steps, several networks each, read on the select images. The target is the mean accuracy of the full data with all steps, less
the study's margin. Each side takes the shortest schedule that reaches it. The full data is thus not charged for steps that it
does not need, which would let every set look cheap.

The control is the smallest lossless one that the study's race found, where there is one; else controls of the set's size.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raydistill.core.cost import forward_macs
from raydistill.core.evaluate import network_seeds
from raydistill.errors import InputError
from raydistill.methods import METHODS, method_configs
from raydistill.search.pace import distilling_passes
from raydistill.sets.place import study_around
from raydistill.spaces.trial import TrialConfig, read_trial_config
from raydistill.storage.layout import SET_FILE, trial_file
from raydistill.storage.record import TrialRecord, read_record
from raydistill.storage.result import SearchResult, read_result
from raydistill.storage.store import Store
from raydistill.trial.confirm import read_set
from raydistill.uses.running import Paces, Run, refuse_test
from raydistill.uses.schedules import cheapest, ladder, training_macs, trainings_until_paid
from raydistill.uses.sources import Source, controls_beside, set_file, source_of
from raydistill.uses.units import Unit, UnitRecord
from raydistill.uses.values import FULL, SET, CostArm, CostResult, CostRung, Paid

NETWORKS_EACH, FEWEST_NETWORKS = 3, 2
"""Networks of each schedule on each source; of a single one the first lucky schedule would be taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundControl:
    """The smallest lossless control of the study, as its trial left it."""

    config: TrialConfig[Any]
    study: Store

    @property
    def source(self) -> Source:
        """Its set, under the name of its method."""
        return Source(name=self.config.method.name, draw=0, id=self.config.trial_id, is_given=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class CostPlan:
    """Networks of every schedule on every source."""

    sources: tuple[str, ...]
    steps: tuple[int, ...]
    """Rising."""
    networks: int
    units: tuple[Unit, ...]
    """Source by source, schedule by schedule, network by network."""
    found: FoundControl | None
    paces: Paces | None = None
    is_sized: bool = False

    def begin(self, run: Run) -> None:
        """Bring the control that the race found to the records, where sources look for their sets."""
        if self.found is None:
            return
        file = set_file(self.found.config.trial_id)
        if not run.subject.place.folder.exists(file):
            read_set(self.found.study, self.found.config.trial_id)  # checks its hash
            data = self.found.study.read(trial_file(self.found.config.trial_id, SET_FILE))
            run.subject.place.folder.write(file, data)

    def finish(self, run: Run, records: Sequence[UnitRecord]) -> CostResult:
        """Costs of each source, and what the set saves."""
        subject, own = run.subject, list(records)
        forward = forward_macs(subject.config.network, subject.splits.shape, subject.classes)
        arms, each = [], len(self.steps) * self.networks
        for number, name in enumerate(self.sources):
            arms.append(self._arm(run, name, own[number * each : (number + 1) * each], forward))
        full, margin = arms[0], subject.config.goal.margin_fraction
        target = full.rungs[-1].accuracy_fraction - margin
        devices = {record.device for record in own}
        other = trial_device(run)
        if other is not None and devices == {other}:
            other = None
        arms = [arm.model_copy(update={"chosen": cheapest([r.accuracy_fraction for r in arm.rungs], target)}) for arm in arms]
        return CostResult(
            about=run.about(),
            networks=self.networks,
            margin_fraction=margin,
            target_accuracy_fraction=target,
            forward_macs=forward,
            arms=tuple(arms),
            paid=paid(run, arms[0], arms[1], forward, with_seconds=other is None),
            other_device=other,
        )

    def _arm(self, run: Run, name: str, records: Sequence[UnitRecord], forward: int) -> CostArm:
        ipc = None if name == FULL else self._config_of(run, name).ipc
        seen = self._images(run, name)
        rungs = []
        for number, steps in enumerate(self.steps):
            own = records[number * self.networks : (number + 1) * self.networks]
            batch = own[0].unit.recipe_in_steps(None).batch
            rungs.append(
                CostRung(
                    steps=steps,
                    accuracy_fractions=tuple(record.accuracy_fraction for record in own),
                    macs=training_macs(forward, steps * min(batch, seen)),
                    seconds=statistics.mean(record.seconds for record in own),
                )
            )
        return CostArm(source=name, ipc=ipc, images=seen, rungs=tuple(rungs), chosen=None)

    def _config_of(self, run: Run, name: str) -> TrialConfig[Any]:
        """Of the set itself, of the control that was found, or of one of the set's size, whose sizes are the set's."""
        return self.found.config if self.found is not None and name not in (FULL, SET) else run.subject.config

    def _images(self, run: Run, name: str) -> int:
        """Images that a network learns from, as it sees them."""
        if name == FULL:
            return len(run.subject.splits.train.labels)
        return self._config_of(run, name).decoded_ipc * run.subject.classes


def plan_cost(run: Run) -> CostPlan:
    """Every schedule on the full data, the set and the control.

    Raises:
        InputError: the test split is asked for, too few networks, or an unknown control or recipe.
        StoreError: a record of the set's study is damaged.
    """
    subject, networks = run.subject, run.wanted.networks or NETWORKS_EACH
    refuse_test(run, "cost", "schedules are chosen by what the networks read")
    if networks < FEWEST_NETWORKS:
        raise InputError(
            f"given --networks {networks} for cost, which looks for the shortest schedule by mean accuracies: give at least "
            f"{FEWEST_NETWORKS}"
        )
    found = None if run.wanted.controls is not None else control_of_study(run)
    controls = controls_beside(subject, run.wanted.controls) if found is None else (found.source.name,)
    steps, sources = ladder(run.recipe().steps), (FULL, SET, *controls)
    seeds = network_seeds("cost", subject.splits.sha256, networks)
    units = tuple(
        run.unit(found.source if found and name in controls else source_of(subject, name, index), subject.config.network, s, seed)
        for name in sources
        for s in steps
        for index, seed in enumerate(seeds)
    )
    return CostPlan(sources=sources, steps=steps, networks=networks, units=units, found=found)


def control_of_study(run: Run) -> FoundControl | None:
    """The smallest lossless control that the race found in whose study the set lies; None where there is none beside the set."""
    study, result = result_around(run)
    if study is None or result is None or result.finding is None or result.finding.control is None:
        return None
    trial_id = result.finding.control.trial_id
    record = read_record(study, trial_id)
    if record is None or record.images_sha256 in (None, run.subject.set_sha256) or record.method not in METHODS:
        return None
    return FoundControl(config=read_trial_config(json.dumps(record.config), method_configs()), study=study)


def result_around(run: Run) -> tuple[Store | None, SearchResult | None]:
    """The study in which the set lies, and its result."""
    study = study_around(run.subject.place.path)
    return study, None if study is None else read_result(study)


def own_record(run: Run) -> TrialRecord | None:
    """The record of the trial that made the set; None outside a study."""
    study = study_around(run.subject.place.path)
    record = None if study is None else read_record(study, run.subject.config.trial_id)
    return record if record is not None and record.images_sha256 == run.subject.set_sha256 else None


def trial_device(run: Run) -> str | None:
    """Where the set was made, as records of networks name it: `cpu`, or a GPU's name; None if it is not recorded."""
    record = own_record(run)
    return None if record is None else "cpu" if record.device.split(" ")[0] == "cpu" else record.device


def paid(run: Run, full: CostArm, of_set: CostArm, forward: int, *, with_seconds: bool) -> tuple[Paid, ...]:
    """After how many trainings the set has paid for being made, and for the search that found it, by work and by time.

    What is not recorded is left out: seconds of a set outside a study, work of an imported set, and the work of a search. So are
    the seconds of a set that was made on another device than that of the networks.
    """
    _, result = result_around(run)
    config, record = run.subject.config, own_record(run) if with_seconds else None
    costs: list[tuple[str, str, float]] = []
    if config.method.name in METHODS:
        costs.append(("making", "macs", training_macs(forward, distilling_passes(config, run.subject.classes))))
    if record is not None and record.cost is not None:
        costs.append(("making", "seconds", record.cost.distill_seconds))
    if record is not None and result is not None:
        costs.append(("search", "seconds", result.seconds))
    return tuple(
        Paid(
            what=what,  # type: ignore[arg-type]
            measure=measure,  # type: ignore[arg-type]
            cost=cost,
            trainings=None
            if full.cheapest is None or of_set.cheapest is None
            else trainings_until_paid(cost, getattr(full.cheapest, measure), getattr(of_set.cheapest, measure)),
        )
        for what, measure, cost in costs
    )
