"""The choice of a network by a set: does training on it rank networks as training on the full data does?

Each network of a sample of a space is trained on the full data with the recipe, and on the set, on controls, and on the full
data stopped early with fewer steps. Early stopping is the rival that costs no set: it sees as many images as a network on the set
does, and its schedule is as short. The full data is trained a second time with other seeds, which tells what a second run of the
same cost reaches. That is no ceiling: where the two runs agree by r, their reliability, a ranking without noise reaches about the
square root of r. The set, the controls and early stopping also start from the weights of the first time; the second run does not.
What counts is the rank correlation to the full data, the accuracy of the network that is ranked first, and the time.

Networks are read on the same images everywhere, which also choose: the accuracy of the network that the full data ranks first is
the best of many, and a little optimistic.

Source: Zhao et al., "Dataset Condensation with Gradient Matching", ICLR 2021 (the space, early stopping, Spearman's correlation).
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from raydistill.core.evaluate import network_seeds
from raydistill.errors import InputError
from raydistill.spaces.network import ConvNetConfig
from raydistill.spaces.network_names import network_text
from raydistill.spaces.sections import Config, derive_seed
from raydistill.spaces.units import rough
from raydistill.storage.record import code_sha256
from raydistill.storage.versioned import read_stored, write_stored
from raydistill.uses.ranks import FEWEST, kendall, spearman
from raydistill.uses.running import Paces, Run, expert_parts, images_seen, probe, refuse_test
from raydistill.uses.sources import controls_beside, source_of
from raydistill.uses.space import in_drawn_order, networks_in, parse_axes
from raydistill.uses.units import Unit, UnitRecord
from raydistill.uses.values import AGAIN, EARLY, FULL, REAL, SET, NasArm, NasResult

PROXY_SHARE, HOURS = 0.25, 1.0
FEWEST_IN_HOURS = 10
"""Networks that the hours must have room for."""


class SamplePlan(Config):
    """How large a sample was made, which a run that goes on keeps. Written to `plans/<hash>.json`."""

    record_version: Literal[1] = 1
    hours: float
    networks: int


@dataclass(frozen=True, kw_only=True, slots=True)
class NasPlan:
    """What is trained."""

    networks: tuple[ConvNetConfig, ...]
    space: int
    left_out: int
    sources: tuple[str, ...]
    seeds: int
    units: tuple[Unit, ...]
    """Network by network, source by source, seed by seed."""
    paces: Paces | None
    is_sized: bool
    """Whether the sample was made as large as the hours allow."""
    plan_file: str
    hours: float

    def begin(self, run: Run) -> None:
        """Keep the size of a sample that was measured."""
        if self.is_sized:
            write_stored(run.subject.place.folder, self.plan_file, SamplePlan(hours=self.hours, networks=len(self.networks)))

    def finish(self, run: Run, records: Sequence[UnitRecord]) -> NasResult:
        """Ranks and times of each source."""
        found = {record.unit.file: record for record in records}
        by_source: dict[str, list[list[Unit]]] = {name: [] for name in self.sources}
        each = iter(self.units)
        for _ in self.networks:
            for name in self.sources:
                by_source[name].append([next(each) for _ in range(self.seeds)])
        accuracies = {
            name: [statistics.mean(found[unit.file].accuracy_fraction for unit in units) for units in own]
            for name, own in by_source.items()
        }
        arms = tuple(
            self._arm(run, name, accuracies, [found[unit.file] for units in own for unit in units])
            for name, own in by_source.items()
        )
        return NasResult(
            about=run.about(),
            networks=tuple(map(network_text, self.networks)),
            seeds=self.seeds,
            space=self.space,
            left_out=self.left_out,
            arms=arms,
        )

    def _arm(self, run: Run, name: str, accuracies: dict[str, list[float]], records: Sequence[UnitRecord]) -> NasArm:
        own, full = accuracies[name], accuracies[FULL]
        best = max(own)
        first = [place for place, accuracy in enumerate(own) if accuracy == best]
        seed = derive_seed("nas", "resamples")
        is_real = name in REAL
        return NasArm(
            source=name,
            accuracy_fractions=tuple(own),
            spearman=spearman(own, full, seed=seed),
            kendall=kendall(own, full, seed=seed),
            chosen=network_text(self.networks[first[0]]),
            chosen_accuracy_fraction=statistics.mean(full[place] for place in first),
            tied=len(first),
            steps=records[0].unit.steps,
            stored_images=len(run.subject.splits.train.labels) if is_real else len(run.subject.synthetic.images),
            seconds=sum(record.seconds for record in records),
        )


def plan_nas(run: Run) -> NasPlan:
    """The sample of networks, each on every source.

    Raises:
        InputError: the test split is asked for, the space has mistakes, the sample is larger than it or too small, or too few
            networks fit into the hours.
    """
    subject, wanted = run.subject, run.wanted
    refuse_test(run, "nas", "networks are chosen by what they read")
    fitting, left_out = networks_in(parse_axes(wanted.space), subject.splits.shape)
    if len(fitting) < FEWEST:
        raise InputError(
            f"{len(fitting)} networks of the space fit images of {subject.splits.shape[1]} x {subject.splits.shape[2]} pixels; a "
            f"rank correlation needs at least {FEWEST}: give more values in --space"
        )
    drawn = in_drawn_order(fitting)
    sources = (FULL, AGAIN, EARLY, SET, *controls_beside(subject, wanted.controls))
    file, hours = plan_file(run, sources), wanted.hours or HOURS
    paces: dict[str, float | None] | None = None
    size, is_sized = wanted.sample, False
    if size is None:
        kept = read_stored(subject.place.folder, file, SamplePlan, "delete it, and the sample is sized again")
        is_sized = True
        if kept is not None:
            size = kept.networks
        else:
            size, paces = size_of_sample(run, drawn, sources, hours)
    elif not FEWEST <= size <= len(drawn):
        raise InputError(
            f"given --sample {size}; the space has {len(drawn)} networks that fit the images, and a rank correlation needs at "
            f"least {FEWEST}: give {FEWEST} to {len(drawn)}"
        )
    sample = drawn[:size]
    return NasPlan(
        networks=tuple(sample),
        space=len(drawn),
        left_out=left_out,
        sources=sources,
        seeds=wanted.networks or 1,
        units=tuple(unit for network in sample for unit in units_of(run, network, sources)),
        paces=paces,
        is_sized=is_sized,
        plan_file=file,
        hours=hours,
    )


def units_of(run: Run, network: ConvNetConfig, sources: Sequence[str]) -> list[Unit]:
    """The networks of one architecture, on every source."""
    subject, recipe = run.subject, run.recipe()
    share = run.wanted.proxy_share or PROXY_SHARE
    short = max(1, round(share * recipe.steps))
    seen = short * min(recipe.batch, len(subject.synthetic.decoded().images))
    early = max(1, round(seen / min(recipe.batch, len(subject.splits.train.labels))))
    steps = {FULL: recipe.steps, AGAIN: recipe.steps, EARLY: early}
    return [
        run.unit(source_of(subject, name, index), network, steps.get(name, short), seed)
        for name in sources
        for index, seed in enumerate(seeds_of(run, name))
    ]


def seeds_of(run: Run, source: str) -> list[int]:
    """Seeds of the networks of an architecture: the same for every source but the one that repeats the reference."""
    purpose = "nas again" if source == AGAIN else "nas"
    return network_seeds(purpose, run.subject.splits.sha256, run.wanted.networks or 1)


def size_of_sample(
    run: Run, drawn: Sequence[ConvNetConfig], sources: Sequence[str], hours: float
) -> tuple[int, dict[str, float | None]]:
    """How many of the drawn networks fit into the hours, and their paces: each is timed for a few steps.

    Raises:
        InputError: too few fit, or there is no time to be had because the networks train on a GPU.
    """
    experts = expert_parts(run, [unit.source for unit in units_of(run, drawn[0], sources)])
    # The parts of a GPU have no seconds; there the first network is refused.
    first = sum(part.jobs * (part.seconds_each or 0.0) for part in experts)
    allowed = hours * 3600 * run.work.executor.at_once(run.work.watcher) - first
    least = min(FEWEST_IN_HOURS, len(drawn))
    costs: list[float] = []
    paces: dict[str, float | None] = {}
    for network in drawn:
        pace = probe(run, network)
        if pace is None:
            raise InputError("on a GPU nothing is timed beforehand, so the sample cannot be sized to hours: give --sample N")
        costs.append(pace * sum(images_seen(run, unit) for unit in units_of(run, network, sources)))
        paces[network_text(network)] = pace
        if sum(costs) > allowed and len(costs) >= least:
            break
    fits = sum(sum(costs[: count + 1]) <= allowed for count in range(len(costs)))
    if fits < least:
        at_once = run.work.executor.at_once(run.work.watcher)
        ten = (first + sum(costs[:least])) / at_once
        whole = (first + sum(costs[:least]) / least * len(drawn)) / at_once
        after = f" after the experts that label controls, which take {rough(first / at_once)}" if experts else ""
        raise InputError(
            f"given {hours:g} hours, which have room for {fits} of {len(drawn)} networks{after}; a rank correlation needs at "
            f"least {least}, which take about {rough(ten)}, and the whole space takes about {rough(whole)}: give --hours "
            f"{1.2 * ten / 3600:.2g}, or a smaller space, such as --space width=8,16"
        )
    return fits, paces


def plan_file(run: Run, sources: Sequence[str]) -> str:
    """Where the size of a sample is kept, by everything that its networks cost depends on."""
    wanted, subject = run.wanted, run.subject
    asked = [subject.set_sha256, wanted.space, wanted.hours, wanted.networks, wanted.proxy_share, run.recipe_name, sources]
    text = json.dumps([*asked, subject.place.device, code_sha256()])
    return f"plans/{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
