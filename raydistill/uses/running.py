"""Runs the units of a protocol: the control sets first, then what is missing, in this process or as tasks of a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from raydistill.catalogue import did_you_mean
from raydistill.core.recipes import RECIPES, Recipe
from raydistill.data.splits import LabelledImages
from raydistill.errors import InputError
from raydistill.experts.files import missing as lacking
from raydistill.search.estimate import Part, estimate_line
from raydistill.search.experts import plan_experts, prepare_experts
from raydistill.search.pace import distilling_seconds, probed_pace, times, trial_pace
from raydistill.search.workplace import Workplace
from raydistill.sets.evaluating import part_to_read
from raydistill.sets.place import ImagesToRead
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.network_names import network_text
from raydistill.storage.checkout import commit
from raydistill.storage.record import code_sha256, versions
from raydistill.storage.versioned import write_stored
from raydistill.uses.classes import with_train_of
from raydistill.uses.options import Wanted
from raydistill.uses.sources import Source, set_jobs
from raydistill.uses.subject import Subject
from raydistill.uses.units import Unit, UnitJob, UnitRecord, read_unit
from raydistill.uses.values import REAL, About, UseResult, result_file

Paces = Mapping[str, float | None]
"""Seconds per image that passes through a network in training, by the network as text."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Run:
    """One call of a protocol."""

    subject: Subject
    on: ImagesToRead
    wanted: Wanted
    work: Workplace

    @property
    def recipe_name(self) -> str:
        """Name of the recipe of all networks.

        Raises:
            InputError: there is no such recipe.
        """
        given = self.wanted.recipe
        if given is not None and given not in RECIPES:
            raise InputError(f"unknown recipe {given!r}; {did_you_mean(given, RECIPES)}Allowed: {', '.join(RECIPES)}")
        return given or str(self.subject.config.evaluation.recipe)

    def recipe(self, classes: int | None = None) -> Recipe:
        """The recipe in the steps of a set of the subject's IPC with so many classes, all by default; for full data too."""
        return RECIPES[self.recipe_name].for_set(self.subject.config.ipc * (classes or self.subject.classes))

    def unit(self, source: Source, network: NetworkConfig, steps: int, seed: int, classes: tuple[int, ...] | None = None) -> Unit:
        """A unit with what all units of the run share."""
        config = self.subject.config
        return Unit(
            source=source,
            network=network,
            recipe=self.recipe_name,
            steps=steps,
            seed=seed,
            classes=classes,
            split=self.on.split,
            metric=config.goal.metric,
            data_sha256=self.subject.splits.sha256,
            device=self.subject.place.device,
            threads=config.cpus_per_trial,
            code_sha256=code_sha256(),
        )

    def about(self) -> About:
        """What a result says of the set and of the run."""
        config = self.subject.config
        return About(
            set_sha256=self.subject.set_sha256,
            method=config.method.name,
            dataset=config.dataset.name,
            ipc=config.ipc,
            label_kind=self.subject.synthetic.label_kind,
            network=network_text(config.network),
            recipe=self.recipe_name,
            split=self.on.split,
            metric=config.goal.metric,
            device=self.subject.place.device,
            code_sha256=code_sha256(),
            commit=commit(),
            versions=versions(),
        )


def images_seen(run: Run, unit: Unit) -> int:
    """Images that pass through the network of a unit in training."""
    return unit.steps * min(unit.recipe_in_steps(None).batch, images_of(run, unit))


def images_of(run: Run, unit: Unit) -> int:
    """Images that a unit's network learns from, as it sees them."""
    subject, kept = run.subject, unit.classes
    if unit.source.name in REAL:
        labels = subject.splits.train.labels
        return len(labels) if kept is None else sum(int((labels == c).sum()) for c in kept)
    return subject.synthetic.decoded().ipc * (subject.classes if kept is None else len(kept))


def probe(run: Run, network: NetworkConfig) -> float | None:
    """Seconds per image of a network, from a few steps; None for a GPU."""
    return probed_pace(network, run.recipe(), run.subject.splits, run.subject.place.device, run.subject.config.cpus_per_trial)


def run_units(run: Run, units: Sequence[Unit], paces: Paces | None = None, *, is_sized: bool = False) -> list[UnitRecord]:
    """The records of units, in order; what is missing is done first.

    Args:
        run: the call.
        units: what is needed; may hold a unit twice.
        paces: where the networks are timed already; None times each.
        is_sized: whether the units were made as many as the hours allow, which is not asked again then.

    Raises:
        InputError: it would take longer than the hours that were given, or the test split has no reason.
        StoreError: a record is damaged, or the folder cannot be written.
    """
    place, work = run.subject.place, run.work
    distinct = {unit.file: unit for unit in units}
    missing = [unit for file, unit in distinct.items() if not place.folder.exists(file)]
    if missing:
        place.folder.check_writable()
        parts = all_parts(run, missing, paces)
        if not is_sized:
            check_hours(run, parts)
        work.tell_estimate(parts)
        make_controls(run, [unit.source for unit in missing])
        test = opened(run)
        jobs = [UnitJob(unit_json=unit.model_dump_json(), place=place, test=test) for unit in missing]
        work.run_stage("networks", len(distinct), jobs)
    return [cast("UnitRecord", read_unit(unit, place)) for unit in units]


def all_parts(run: Run, missing: Sequence[Unit], paces: Paces | None) -> list[Part]:
    """What is left: experts, sets that are distilled step by step, and networks; choosing images takes little and is left out."""
    splits, sources = run.subject.splits, [unit.source for unit in missing]
    jobs = [job for job in set_jobs(run.subject, sources) if job.classes is not None]
    parts = [*expert_parts(run, sources), *parts_of(run, missing, paces if paces is not None else paces_of(run, missing))]
    if not jobs:
        return parts
    each = distilling_seconds(jobs[0].config, with_train_of(splits, jobs[0].classes or ()))
    return [Part(jobs=len(jobs), what="sets of the classes of a step", seconds_each=each), *parts]


def expert_parts(run: Run, sources: Sequence[Source]) -> list[Part]:
    """The experts that label controls among the sources and that the store does not have, with what scores images for them.

    Raises:
        StoreError: an expert is damaged, or the disk has too little space.
    """
    place = run.subject.place
    configs = [job.config for job in set_jobs(run.subject, sources)]
    parts = []
    for need in plan_experts(configs, place.experts, place.data_root):
        scores, experts = lacking(need, place.experts)
        count = len(scores) + len(experts)
        if count:
            passes = need.passes(len(experts), len(scores)) * need.train_images
            each = times(trial_pace(configs[0], run.subject.splits), passes / count)
            what = "experts and networks that score images for them" if scores else "experts"
            parts.append(Part(jobs=count, what=what, seconds_each=each))
    return parts


def paces_of(run: Run, units: Sequence[Unit]) -> dict[str, float | None]:
    """The pace of each network among units."""
    return {text: probe(run, network) for text, network in {network_text(u.network): u.network for u in units}.items()}


def parts_of(run: Run, units: Sequence[Unit], paces: Paces) -> list[Part]:
    """What units cost, by the name of their networks; a part has the mean of its units."""
    by_name: dict[str, list[float | None]] = {}
    for unit in units:
        by_name.setdefault(unit.network.name, []).append(times(paces[network_text(unit.network)], images_seen(run, unit)))
    return [
        Part(
            jobs=len(each),
            what=f"networks {name}",
            seconds_each=None if None in each else sum(cast("list[float]", each)) / len(each),
        )
        for name, each in by_name.items()
    ]


def seconds_of(run: Run, parts: Sequence[Part]) -> float | None:
    """How long parts take with the jobs that run side by side; None if it is not known."""
    if any(part.seconds_each is None for part in parts):
        return None
    return sum(part.jobs * (part.seconds_each or 0.0) for part in parts) / run.work.executor.at_once(run.work.watcher)


def check_hours(run: Run, parts: Sequence[Part]) -> None:
    """Refuse what takes longer than the hours that were given.

    Raises:
        InputError: it does, by the estimate.
    """
    hours, seconds = run.wanted.hours, seconds_of(run, parts)
    if hours is not None and seconds is None:
        raise InputError(f"given --hours {hours:g}, but on a GPU nothing is timed beforehand: leave --hours out")
    if hours is not None and seconds is not None and seconds > hours * 3600:
        at_once = run.work.executor.at_once(run.work.watcher)
        raise InputError(
            f"given --hours {hours:g}, and what is left takes {estimate_line(parts, at_once)}: give --hours "
            f"{1.2 * seconds / 3600:.2g}, or fewer networks"
        )


def make_controls(run: Run, sources: Sequence[Source]) -> None:
    """Make the sets of controls and of steps that are missing, and the experts that label them."""
    jobs = set_jobs(run.subject, sources)
    if not jobs:
        return
    configs = [job.config for job in jobs]
    place = run.subject.place
    needs = plan_experts(configs, place.experts, place.data_root)
    prepare_experts(needs, configs[0], place.experts, run.work)
    run.work.run_stage("sets" if any(job.classes for job in jobs) else "control sets", len(jobs), jobs)


def opened(run: Run) -> LabelledImages | None:
    """The test images, whose opening is logged; None if the networks are read on the select images."""
    if run.on.split == "select":
        return None
    return part_to_read(run.subject.place.path, run.subject.config, run.subject.splits, run.on)


def refuse_test(run: Run, protocol: str, why: str) -> None:
    """Refuse to read the test images.

    Raises:
        InputError: they are asked for.
    """
    if run.on.split != "select":
        raise InputError(f"given --split {run.on.split} for {protocol}; {why}, so it uses the select images alone: leave it out")


def keep(run: Run, protocol: str, result: UseResult) -> None:
    """Write a result beside the records that it is of."""
    write_stored(run.subject.place.folder, result_file(protocol), result)
