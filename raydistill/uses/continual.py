"""A set as the memory of a learner to which classes come step by step, after GDumb.

After each step a new network learns from the memory alone, which holds k images of each class seen so far, and is read on the
images of these classes. GDumb keeps the first images that come, in balance; here the memory is the set, a control of the same
size, or everything (`full`, which no memory of this size can beat by much). The network has outputs for the classes seen so far
alone, which is GDumb's mask.

The set is used as it is, cut by class: it was made when all classes were known, and soft labels keep the logits of the classes
seen. So are the controls whose choice needs features of a trained network. What a learner could have done that did not know the
later classes is told by `random` and `k_means_medoids`, which look at one class at a time, and by `in_steps`: the set's method,
run after each step for the classes of that step alone.

Source: Prabhu et al., "GDumb: A Simple Approach that Questions Our Progress in Continual Learning", ECCV 2020; with distilled
sets Zhao and Bilen, "Dataset Condensation with Distribution Matching", WACV 2023 (5 orders, 5 and 10 steps).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raydistill.core.evaluate import network_seeds
from raydistill.core.expert_fields import ExpertFields
from raydistill.errors import InputError
from raydistill.methods import METHODS
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.network_names import parse_networks
from raydistill.uses.running import Paces, Run
from raydistill.uses.sources import Source, controls_beside, source_in_steps, source_of
from raydistill.uses.steps import class_orders, in_steps, seen_after
from raydistill.uses.subject import Subject
from raydistill.uses.units import Unit, UnitRecord
from raydistill.uses.values import FULL, IN_STEPS, SET, ContinualArm, ContinualResult

STEPS, ORDERS, NETWORKS_EACH = 5, 5, 1
"""Steps and orders of Zhao and Bilen; networks of each step of an order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ContinualPlan:
    """What is trained: for each source, each order and each step so many networks."""

    sources: tuple[str, ...]
    orders: tuple[tuple[tuple[int, ...], ...], ...]
    """(orders, steps): the classes that come."""
    networks: int
    units: tuple[Unit, ...]
    """Source by source, order by order, step by step, network by network."""
    paces: Paces | None = None
    is_sized: bool = False

    def begin(self, run: Run) -> None:
        """Keep nothing: the options say all."""

    def finish(self, run: Run, records: Sequence[UnitRecord]) -> ContinualResult:
        """The accuracy of each memory after each step."""
        steps, arms = len(self.orders[0]), []
        each = len(records) // len(self.sources)
        for number, name in enumerate(self.sources):
            own = records[number * each : (number + 1) * each]
            means = [
                statistics.mean(record.accuracy_fraction for record in own[first : first + self.networks])
                for first in range(0, len(own), self.networks)
            ]
            arms.append(
                ContinualArm(
                    source=name,
                    accuracy_fractions=tuple(tuple(means[first : first + steps]) for first in range(0, len(means), steps)),
                    stored_images=stored_images(run, name),
                    seconds=statistics.mean(record.seconds for record in own),
                )
            )
        names = run.subject.splits.class_names
        orders = tuple(tuple(tuple(names[c] for c in step) for step in order) for order in self.orders)
        return ContinualResult(about=run.about(), networks=self.networks, orders=orders, arms=tuple(arms))


def stored_images(run: Run, source: str) -> int:
    """Images that a learner keeps when it has seen all classes."""
    return len(run.subject.splits.train.labels) if source == FULL else len(run.subject.synthetic.images)


def plan_continual(run: Run) -> ContinualPlan:
    """The networks of every memory, order and step.

    Raises:
        InputError: more steps than classes, several networks, or an unknown network, control or recipe.
    """
    subject, wanted = run.subject, run.wanted
    network = network_for(run)
    steps = wanted.class_steps or min(STEPS, subject.classes)
    if steps > subject.classes:
        raise InputError(
            f"given --class-steps {steps} for {subject.classes} classes of {subject.config.dataset.name}; each step brings at "
            f"least one class: give at most {subject.classes}"
        )
    orders = tuple(tuple(in_steps(order, steps)) for order in class_orders(subject.classes, wanted.orders or ORDERS))
    in_steps_too = (IN_STEPS,) if wanted.distil_in_steps else ()
    if in_steps_too:
        check_distils_in_steps(subject.config.method)
    names = (SET, *in_steps_too, *controls_beside(subject, wanted.controls), FULL)
    networks = wanted.networks or NETWORKS_EACH
    units = tuple(
        run.unit(memory(subject, name, number, order[: step + 1]), network, run.recipe(len(seen)).steps, seed, seen)
        for name in names
        for number, order in enumerate(orders)
        for step, seen in enumerate(seen_after(order))
        for seed in network_seeds(f"continual {number}", subject.splits.sha256, networks)
    )
    return ContinualPlan(sources=names, orders=orders, networks=networks, units=units)


def memory(subject: Subject, name: str, order: int, steps: Sequence[Sequence[int]]) -> Source:
    """The source of a memory after some steps of an order."""
    return source_in_steps(subject, steps) if name == IN_STEPS else source_of(subject, name, order)


def check_distils_in_steps(method: Any) -> None:
    """Refuse methods that cannot make a set of some classes alone.

    Raises:
        InputError: the set was imported, was chosen, or is of a method that reads experts, which have learned all classes.
    """
    known = METHODS.get(method.name)
    if known is None or known.control is not None or isinstance(method, ExpertFields):
        distilling = [name for name, one in METHODS.items() if one.control is None and one.label_kind == "hard"]
        raise InputError(
            f"given --distil-in-steps for a set of {method.name}, which cannot be distilled from some classes alone; allowed: "
            f"sets of {', '.join(distilling)}: leave it out"
        )


def network_for(run: Run) -> NetworkConfig:
    """The one network: that given, or the set's own.

    Raises:
        InputError: several are given, or it is unknown or too large for the images.
    """
    given, config = run.wanted.architectures, run.subject.config
    if given is not None and len(given) > 1:
        raise InputError(f"given networks {', '.join(given)}; continual trains one network at each step: give one, or none")
    (network,) = parse_networks(given or (config.network.name,), config.network, run.subject.splits.shape)
    return network
