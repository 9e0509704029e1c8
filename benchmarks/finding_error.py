"""How often the finding of a race is wrong, by simulation.

    python benchmarks/finding_error.py                     # 10,000 studies of each scenario
    python benchmarks/finding_error.py --studies 500       # a quick run

A study is simulated at the level of which network classifies which confirm image correctly; everything after that is the
package's own code: `ladder`, `gap_interval`, the shares, `gather` and `find`. A study has one to three methods and two or three
controls, each with one trial at every IPC of the scenario, whose reading on the select images is its gap with noise.

Images are of two kinds. On *contested* images a network is right if

    level[r] + ease[i] + side[i] + rest[r, i] > 0

with normally distributed terms: `ease` belongs to the image and is the same for every network of the study, `side` belongs to the
image and one set (half of its variance to the control and half to the draw, where a control is drawn anew), `rest` has standard
deviation 1. `level[r]` makes the network's expected accuracy exact; it scatters over networks and over draws. On all other images
networks on full data are right, and those on a set are too, unless the image is one of those that the set loses for good.

A finding is wrong if a set that it calls lossless is lossy, or if it says *needed* and some control is lossless at that IPC. At
the margin itself a set is lossless. With `counts_both` a claim either way counts as wrong there, because the gap may as well lie
next to the margin on the wrong side.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from raydistill.catalogue import known
from raydistill.core.lossless import GapInterval, gap_interval
from raydistill.search.finding import confidence_of, control_at, controls_in_question, find, gather
from raydistill.search.ladder import Rung, ladder
from raydistill.search.verdict import Confirmed
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.parse import parse_space
from raydistill.spaces.space import SearchSpace
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.baseline import Baseline, BaselineReading
from raydistill.storage.record import Reading, TrialRecord, pack_bits
from raydistill.storage.result import ControlAt, Finding
from raydistill.trial.confirm import Confirmation

METHODS = ("datadam", "dm", "dc")
CONTROLS = ("random", "k_center", "herding")
ACCURACY = 0.8
"""Of full-data networks on contested images."""
FAR = 6.0
"""Gap of a control that is lossy beyond doubt, in margins; as many images as are contested may hold less of it."""
Gaps = Callable[[np.random.Generator], Callable[[str, int], float]]
"""From a generator, of each study: the true gap of an arm at an IPC, in margins."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """Sizes of a study, and what its images and networks are like."""

    name: str
    images: int
    full_networks: int
    networks: int
    """Confirm networks, and draws of a control."""
    margin: float
    contested: float
    side: float
    ease: float = 3.0
    lost: float
    """Part of a set's gap that lies on images lost for good."""
    network_noise: float
    """Standard deviation of one network's expected accuracy."""
    draw_noise: float
    """The same over draws of a control."""
    often_confirmed: float
    """A gap, in margins, that is confirmed in most studies but not in all."""


SMALL: dict[str, Any] = {"images": 300, "full_networks": 4, "networks": 6, "margin": 0.02}
LARGE: dict[str, Any] = {"images": 5000, "full_networks": 10, "networks": 10, "margin": 0.005}
SCATTERED: dict[str, Any] = {"contested": 0.1, "side": 1.0, "lost": 0.0, "network_noise": 0.002, "draw_noise": 0.003}
LOST: dict[str, Any] = {"contested": 0.01, "side": 0.0, "lost": 0.9, "network_noise": 0.0005, "draw_noise": 0.0005}
SETUPS = (
    Setup(name="300, difficulty spread", **SMALL, **SCATTERED, often_confirmed=0.2),
    Setup(name="300, few images lost", **SMALL, **LOST, often_confirmed=0.2),
    Setup(name="5,000, difficulty spread", **LARGE, **{**SCATTERED, "network_noise": 0.001}, often_confirmed=0.4),
    Setup(name="5,000, few images lost", **LARGE, **LOST, often_confirmed=0.5),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """True gaps of all arms."""

    name: str
    gaps: Callable[[Setup], Gaps]
    ipcs: tuple[int, ...] = (5, 10, 20, 40)
    select_noise: float = 0.4
    """Of a reading on the select images, in margins."""
    counts_both: bool = False
    kind: Callable[[str, int], str] | None = None
    """Sets of one kind lose the same images, the one with the smaller gap a part of the other's; None: every set its own."""


def _everywhere(gap: float) -> Callable[[Setup], Gaps]:
    return lambda setup: lambda generator: lambda arm, ipc: gap


def _one_control_at_the_margin(setup: Setup) -> Gaps:
    return lambda generator: lambda arm, ipc: {"random": 1.0}.get(arm, 0.0 if arm in METHODS else FAR)


def _mixed(setup: Setup) -> Gaps:
    """Each arm has a law gap = margin * sqrt(k / IPC), with its own k."""

    def of_a_study(generator: np.random.Generator) -> Callable[[str, int], float]:
        reach = {arm: math.exp(generator.uniform(math.log(3), math.log(40))) for arm in METHODS}
        reach |= {arm: math.exp(generator.uniform(math.log(5), math.log(80))) for arm in CONTROLS}
        return lambda arm, ipc: math.sqrt(reach[arm] / ipc)

    return of_a_study


def _against_the_choice_of_k(setup: Setup) -> Gaps:
    """All methods lossless at every IPC and often confirmed, one control at the margin at every IPC."""

    def gap(arm: str, ipc: int) -> float:
        if arm in METHODS:
            return 0.0 if ipc == 40 else setup.often_confirmed * (1 - ipc / 1000)
        return 1.0 if arm == "random" else FAR

    return lambda generator: gap


def _all_three_at_the_margin(setup: Setup) -> Gaps:
    """Each of the three claims is false by a hair, and none of them needs another to be made."""
    methods, control = {20: 1.0, 40: 0.0}, {20: FAR, 40: 1.0}
    return lambda generator: lambda arm, ipc: methods[ipc] if arm in METHODS else control[ipc] if arm == "random" else FAR


def _control_like_the_next_smaller_set(arm: str, ipc: int) -> str:
    """If a candidate fails because it loses many of the confirm images, the control at the IPC above loses many too."""
    return f"{2 * ipc if arm in METHODS else ipc}" if arm in (*METHODS, "random") else f"{arm} {ipc}"


SCENARIOS = (
    Scenario(name="all equal, at the margin", gaps=_everywhere(1.0), counts_both=True),
    Scenario(name="all equal, lossless", gaps=_everywhere(0.25)),
    Scenario(name="all equal, lossy", gaps=_everywhere(2.0), select_noise=1.0),
    Scenario(name="one control at the margin, methods lossless", gaps=_one_control_at_the_margin),
    Scenario(name="mixed", gaps=_mixed),
    Scenario(
        name="against the choice of k", gaps=_against_the_choice_of_k, select_noise=0.0, kind=_control_like_the_next_smaller_set
    ),
    Scenario(
        name="all three claims at the margin",
        gaps=_all_three_at_the_margin,
        ipcs=(20, 40),
        select_noise=0.0,
        counts_both=True,
    ),
)


class World:
    """The confirm images of one study, and the networks that classify them."""

    def __init__(
        self, setup: Setup, scenario: Scenario, gap: Callable[[str, int], float], generator: np.random.Generator
    ) -> None:
        self.setup, self.scenario, self.gap, self.generator = setup, scenario, gap, generator
        self.contested = int(generator.binomial(setup.images, setup.contested))
        self.ease = setup.ease * self._normal(1, self.contested)
        self.settled: dict[str, NDArray[np.float64]] = {}
        self.full = self._classified(setup.full_networks, 0.0, "full", setup.side * self._normal(1, self.contested))

    def set_networks(self, arm: str, ipc: int) -> NDArray[np.bool_]:
        """(R, n) what networks trained on the set of a trial classify correctly."""
        side = self.setup.side * self._normal(1, self.contested)
        return self._classified(self.setup.networks, self.gap(arm, ipc) * self.setup.margin, self._kind(arm, ipc), side)

    def draws(self, arm: str, ipc: int) -> NDArray[np.bool_]:
        """(R, n) the same for new draws of a control, each with one network."""
        count, half = self.setup.networks, self.setup.side / math.sqrt(2)
        side = half * self._normal(1, self.contested) + half * self._normal(count, self.contested)
        gap = self.gap(arm, ipc) * self.setup.margin
        return self._classified(count, gap, self._kind(arm, ipc), side, self.setup.draw_noise)

    def _kind(self, arm: str, ipc: int) -> str:
        return f"{arm} {ipc}" if self.scenario.kind is None else self.scenario.kind(arm, ipc)

    def _classified(
        self, networks: int, gap: float, kind: str, side: NDArray[np.float32], more_noise: float = 0.0
    ) -> NDArray[np.bool_]:
        setup = self.setup
        lost = setup.lost * gap
        correct = np.ones((networks, setup.images), dtype=np.bool_)
        if lost > 0:
            settled = setup.images - self.contested
            if kind not in self.settled:
                self.settled[kind] = self.generator.random(settled)
            correct[:, self.contested :] = self.settled[kind] >= lost / (1 - setup.contested)
        noise = math.hypot(setup.network_noise, more_noise) / setup.contested
        accuracy = ACCURACY - (gap - lost) / setup.contested + noise * self.generator.standard_normal(networks)
        scale = math.sqrt(1 + setup.ease**2 + setup.side**2)
        level = scale * stats.norm.ppf(np.clip(accuracy, 0.001, 0.999))
        score = level[:, None] + self.ease + side + self._normal(networks, self.contested)
        correct[:, : self.contested] = score > 0
        return correct

    def _normal(self, *shape: int) -> NDArray[np.float32]:
        return self.generator.standard_normal(shape, dtype=np.float32)


@functools.cache
def space_of(setup: Setup, methods: int, controls: int) -> SearchSpace:
    """A space with the first so many methods and controls."""
    facts = dataclasses.replace(
        known(None),
        data_facts=lambda _: DataFacts(smallest_class=1000, confirm_images=setup.images),
        smallest_margin=lambda *_: 0.0,
    )
    text = f"""
study: simulated
dataset: {{name: digits}}
network: {{name: convnet, depth: 2, width: 8}}
methods: [{", ".join(f"{{name: {name}}}" for name in METHODS[:methods])}]
controls: [{", ".join(CONTROLS[:controls])}]
ipc: {{low: 1, high: 60, log: true}}
evaluation: {{baseline_networks: {setup.full_networks}, confirm_networks: {setup.networks}}}
goal: {{margin_fraction: {setup.margin}}}
budget: {{trials: 20}}
"""
    return parse_space(text, facts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """One simulated study and its finding."""

    finding: Finding
    is_wrong: bool
    is_wrong_at_k_alone: bool
    """Whether it would be wrong if the controls were tested at the IPC of the distilled set and at no smaller one."""


def simulate(setup: Setup, scenario: Scenario, generator: np.random.Generator) -> Study:
    """One study."""
    space = space_of(setup, int(generator.integers(1, 4)), int(generator.integers(2, 4)))
    world = World(setup, scenario, scenario.gaps(setup)(generator), generator)
    margin = setup.margin
    records = []
    for arm in space.arms:
        for ipc in scenario.ipcs:
            read = margin * (world.gap(arm.label, ipc) + scenario.select_noise * generator.standard_normal())
            records.append(_record(arm.label, len(records), ipc, float(read), {**arm.template["method"]}))
    drawn: dict[tuple[str, int], ControlAt] = {}

    def confirm(record: TrialRecord, confidence: float) -> Confirmed:
        correct = world.set_networks(record.arm, record.ipc)
        interval = gap_interval(world.full, correct, confidence)
        accuracies = tuple(correct.mean(axis=1).tolist())
        return Confirmed(
            record, Confirmation(interval=interval, is_lossless=interval.upper <= margin, accuracy_fractions=accuracies)
        )

    def draw(config: TrialConfig[Any], confidence: float) -> ControlAt:
        place = config.arm, config.ipc
        if place not in drawn:
            interval: GapInterval = gap_interval(world.full, world.draws(*place), confidence)
            drawn[place] = control_at(config, interval, margin)
        return drawn[place]

    sides = [
        [records[r.number] for r in ladder([Rung(r.ipc, r.gap or 0.0, r.ask_number) for r in records if r.arm in side], margin)]
        for side in ({arm.label for arm in space.methods}, {arm.label for arm in space.controls})
    ]
    evidence = gather(space, records, sides[0], sides[1], data_sha256="", confirm=confirm, draw=draw)
    finding = find(space, _baseline(world), evidence)
    best, rival = finding.distilled, finding.control
    near = 1e-9
    lossy_from = 1 - near if scenario.counts_both else 1 + near
    calls_lossy_lossless = any(one is not None and world.gap(one.arm, one.ipc) > lossy_from for one in (best, rival))
    calls_lossless_lossy = best is not None and any(world.gap(arm.label, best.ipc) <= 1 + near for arm in space.controls)
    at_k = best is not None and (rival is None or rival.ipc > best.ipc)
    if at_k and best is not None:
        share = confidence_of(space, "lossy")
        at_k = all(draw(config, share).is_lossy for config in controls_in_question(space, records, best.ipc, ""))
    return Study(
        finding=finding,
        is_wrong=calls_lossy_lossless or (finding.claim == "needed" and calls_lossless_lossy),
        is_wrong_at_k_alone=calls_lossy_lossless or (at_k and calls_lossless_lossy),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """What the findings of one scenario said, and how many were wrong."""

    studies: int
    wrong: int = 0
    wrong_at_k_alone: int = 0
    claims: Counter[str] = field(default_factory=Counter)
    """needed, not_needed and not_shown; and how often a set of either side is called lossless."""

    @property
    def interval(self) -> tuple[float, float]:
        """Of the rate of wrong findings: Clopper and Pearson, two-sided, 95 %."""
        return clopper_pearson(self.wrong, self.studies)


def clopper_pearson(count: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact two-sided interval of a rate."""
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(stats.beta.ppf(tail, count, total - count + 1))
    high = 1.0 if count == total else float(stats.beta.ppf(1 - tail, count + 1, total - count))
    return low, high


def measure(setup: Setup, scenario: Scenario, studies: int, seed: int = 0) -> Rates:
    """Simulate studies of one scenario."""
    generator = np.random.default_rng(seed)
    found = [simulate(setup, scenario, generator) for _ in range(studies)]
    claims = Counter(study.finding.claim for study in found)
    claims["distilled"] = sum(study.finding.distilled is not None for study in found)
    claims["control"] = sum(study.finding.control is not None for study in found)
    return Rates(
        studies=studies,
        wrong=sum(study.is_wrong for study in found),
        wrong_at_k_alone=sum(study.is_wrong_at_k_alone for study in found),
        claims=Counter(claims),
    )


def rows(studies: int, seed: int) -> Iterator[list[str]]:
    """The table's rows."""
    for setup in SETUPS:
        for scenario in SCENARIOS:
            found = measure(setup, scenario, studies, seed)
            low, high = found.interval
            shares = [100 * found.claims[name] / studies for name in ("needed", "not_needed", "distilled", "control")]
            rates = [f"{100 * found.wrong / studies:.2f}", f"{100 * low:.2f} to {100 * high:.2f}"]
            rates.append(f"{100 * found.wrong_at_k_alone / studies:.2f}")
            yield [setup.name, scenario.name, f"{studies:,}", *rates, *(f"{share:.1f}" for share in shares)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    started = time.perf_counter()
    print("Nominal 95 %: at most 5 % of findings may be wrong. All rates in %.\n")
    names = ["images", "scenario", "studies", "wrong", "95 % interval", "wrong if tested at k alone"]
    names += ["needed", "not needed", "distilled lossless", "control lossless"]
    print(f"| {' | '.join(names)} |")
    print("|---" * len(names) + "|")
    for row in rows(given.studies, given.seed):
        print(f"| {' | '.join(row)} |", flush=True)
    print(f"\n{time.perf_counter() - started:.0f} s")


def _record(arm: str, number: int, ipc: int, gap: float, method: dict[str, Any]) -> TrialRecord:
    reading = Reading.model_construct(step=1, fraction=1.0, accuracy_fractions=(0.9,), gap=gap, loss=None)
    return TrialRecord.model_construct(
        trial_id=f"{arm}-{ipc}",
        state="finished",
        config={"ask_number": number, "ipc": ipc, "method": method},
        readings=(reading,),
        images=10 * ipc,
        set_bytes=2570 * ipc,
        label_kind="hard",
    )


def _baseline(world: World) -> Baseline:
    readings = tuple(BaselineReading.model_construct(confirm_correct=bits) for bits in pack_bits(world.full))
    return Baseline.model_construct(
        is_admissible=True, readings=readings, confirm_images=world.setup.images, train_images=1000, train_bytes=65_000
    )


if __name__ == "__main__":
    main()
