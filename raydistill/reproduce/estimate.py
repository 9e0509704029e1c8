"""What is left of the tables and how long it takes, at a pace measured here for each network and kind of images."""

from __future__ import annotations

from collections.abc import Sequence

from raydistill.core.contract import NoCheckpoint
from raydistill.errors import DivergedError
from raydistill.reproduce.jobs import Place, ReadingJob, SetJob, key
from raydistill.reproduce.official import OfficialImages, load_official
from raydistill.reproduce.settings import Cell, SetPlan
from raydistill.search.estimate import Part
from raydistill.search.pace import as_a_job, probe_distillation, probed_pace
from raydistill.spaces.network import NetworkConfig


def parts_left(sets: Sequence[SetJob], cells: Sequence[Cell], place: Place) -> list[Part]:
    """Sets that are left to distil, and networks that are left to train on sets and on the full data."""
    paces = _Paces(place)
    distil = [paces.of_set(job.plan) for job in sets if not job.is_done]
    on_sets: list[float | None] = []
    on_full: list[float | None] = []
    for cell in cells:
        left = sum(_networks_left(cell, draw, place) for draw in range(cell.draws))
        if left:
            (on_sets if isinstance(cell.source, SetPlan) else on_full).extend([paces.of_network(cell)] * left)
    return [
        _part(distil, "sets"),
        _part(on_sets, "networks on sets"),
        _part(on_full, "networks on the full data"),
    ]


def _part(seconds: Sequence[float | None], what: str) -> Part:
    known = [one for one in seconds if one is not None]
    return Part(jobs=len(seconds), what=what, seconds_each=sum(known) / len(known) if len(known) == len(seconds) > 0 else None)


def _networks_left(cell: Cell, draw: int, place: Place) -> int:
    done = ReadingJob(cell=cell, draw=draw, place=place, test=None).read()
    if done is None:
        return cell.networks
    return 0 if done.error is not None else cell.networks - len(done.accuracy_fractions)


class _Paces:
    """Seconds per image of each network and kind of images, measured once."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._found: dict[tuple[str, str], float | None] = {}

    def of_set(self, plan: SetPlan) -> float | None:
        """Seconds to distil a set, from its first steps here; None for a GPU, or if they diverge."""
        at = "set", key(plan)
        if at not in self._found:
            self._found[at] = None if self._place.device != "cpu" else self._steps(plan)
        return self._found[at]

    def _steps(self, plan: SetPlan) -> float | None:
        job = SetJob(plan=plan, draw=0, place=self._place)
        splits = load_official(plan.images, self._place.data_root)
        with as_a_job(self._place.threads) as device:
            try:
                return probe_distillation(lambda report: job.distil(splits, device, NoCheckpoint(), report)).seconds
            except DivergedError:  # the job itself will say so
                return None

    def of_network(self, cell: Cell) -> float | None:
        """Seconds to train a network of a cell."""
        splits = load_official(cell.images, self._place.data_root)
        images = cell.source.ipc * len(splits.class_names) if isinstance(cell.source, SetPlan) else len(splits.train.labels)
        pace = self._pace(cell.images, cell.network, cell)
        return None if pace is None else pace * cell.recipe.for_set(images).images_seen(images)

    def _pace(self, images: OfficialImages, network: NetworkConfig, cell: Cell) -> float | None:
        at = key(images), key(network)
        if at not in self._found:
            splits = load_official(images, self._place.data_root)
            recipe = cell.recipe.for_set(len(splits.train.labels))
            self._found[at] = probed_pace(network, recipe, splits, self._place.device, self._place.threads)
        return self._found[at]
