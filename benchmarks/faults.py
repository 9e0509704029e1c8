"""What a search loses by faults: each at a random moment of a small search on digits, which is then started again.

    python benchmarks/faults.py --folder /tmp/faults                                   # all faults on Ray, 3 seeds: under an hour
    python benchmarks/faults.py --folder /tmp/faults --faults SIGTERM,raylet --seeds 1
    python benchmarks/faults.py --folder /tmp/faults --local --seeds 20                # those that need no Ray, without it

For every fault and seed it asks: are all records those of an undisturbed search (all but times, cost and host: the same bits)?
Was no trial run twice, is none lost, is every file whole, is a temporary folder or a process left? Does the search say how to go
on, and end with the right exit code? By how many seconds did the disturbed search and the one that continued it take longer
together, the second start of Python and Ray included? Each outcome is a line of `<folder>/faults.csv` as soon as it is known.

Searches run on a Ray cluster of their own, one trial at a time, on this machine (`fault_rig`, `fault_hook`). Only processes of
the search are killed. `disk full` needs root, the store's rows the extra `test`.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from fault_kinds import FAULTS, Blow, Fault
from fault_rig import NOT_BEGUN, PATIENCE_SECONDS, TRIALS, Found, Place, complaint, counted, damages, look


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One disturbed search and the one that continued it."""

    fault: str
    where: str
    seed: int
    after_seconds: float
    exit_code: int
    has_struck: bool
    """False where the search had ended by then; the row does not count."""
    is_same: bool
    wrong: str
    """What does not hold beside the records; empty where all does."""
    seconds_to_end: float
    seconds_lost: float

    @property
    def holds(self) -> bool:
        """Whether all is as it must be."""
        return self.is_same and not self.wrong


def ended(search: subprocess.Popen[bytes], place: Place) -> str | None:
    """Wait until a search has ended; says so if it does not, and kills it."""
    try:
        search.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        search.kill()
        search.wait()
        return f"had not ended after {PATIENCE_SECONDS:.0f} s"
    return None


def undisturbed(folder: Path, *, is_local: bool) -> tuple[float, Found]:
    """Seconds and records of a search that nothing disturbs."""
    place = Place(folder, is_local)
    began = time.monotonic()
    search = place.start("said")
    if search.wait() != 0:
        raise SystemExit(f"the undisturbed search failed; see {place.said_by('said')}")
    seconds = time.monotonic() - began
    if wrong := [*place.processes_left(), *damages(place)]:
        raise SystemExit(f"the undisturbed search left {wrong}")
    return seconds, look(place.study)


def disturbed(name: str, seed: int, folder: Path, whole: float, expected: Found, *, is_local: bool) -> Outcome:
    """Start a search, disturb it at a random moment, start it again unless it has ended well, and compare."""
    fault, chance = FAULTS[name], random.Random(f"{name} {seed}")
    place = Place(folder / f"{name.replace(' ', '-')}-{seed}", is_local)
    after = chance.uniform(0.1, fault.latest) * whole
    with fault.around(place):
        began = time.monotonic()
        search = place.start("said")
        time.sleep(after)
        blow = Blow(place, search, chance)
        hit = time.monotonic()
        fault.strike(blow)
        wrong = [hanging] if (hanging := ended(search, place)) else []
        to_end = time.monotonic() - hit
        lost = time.monotonic() - began - whole
        wrong += [f"left {', '.join(left)}"] if (left := place.processes_left(fault.leave_seconds)) else []
        wrong += check_end(fault, place, search.returncode) if blow.has_struck else []
        fault.heal(place)
        before = look(place.study)
        if search.returncode != 0:
            began = time.monotonic()
            again = place.start("again")
            wrong += [f"continued, it {hanging}"] if (hanging := ended(again, place)) else []
            wrong += [f"continued, it ended with {again.returncode}"] if again.returncode else []
            lost += time.monotonic() - began
            wrong += [f"continued, it left {', '.join(left)}"] if (left := place.processes_left()) else []
        found = look(place.study)
        wrong += check_study(place, before, found)
    return Outcome(
        fault=name,
        where="local" if is_local else "Ray",
        seed=seed,
        after_seconds=round(after, 1),
        exit_code=search.returncode,
        has_struck=blow.has_struck,
        is_same=found.records == expected.records,
        wrong="; ".join(wrong),
        seconds_to_end=round(to_end, 1),
        seconds_lost=round(lost, 1),
    )


def check_end(fault: Fault, place: Place, exit_code: int) -> list[str]:
    """What is wrong with the end of a disturbed search; one that could not begin may say so and end with 2."""
    said = place.said_by("said").read_text(errors="replace")
    allowed = (*fault.exit_codes, 2) if NOT_BEGUN in said else fault.exit_codes
    wrong = [] if exit_code in allowed else [f"exit code {exit_code}"]
    words = complaint(said, exit_code)
    return [*wrong, words] if words else wrong


def check_study(place: Place, before: Found, after: Found) -> list[str]:
    """What is wrong with the study once the search is complete."""
    wrong = [f"{after.repeated} trials twice"] if after.repeated else []
    again = [name for name, data in before.verbatim.items() if after.verbatim.get(name) != data]
    wrong += [f"trials run again: {', '.join(again)}"] if again else []
    lost = set(range(TRIALS)) - set(after.records)
    wrong += [f"trials lost: {lost}"] if lost else []
    return wrong + damages(place)


def row(outcomes: Sequence[Outcome]) -> str:
    """A row of the table; of those that struck."""
    codes = counted(Counter(str(one.exit_code) for one in outcomes))
    ended_by_it = [one.seconds_to_end for one in outcomes if one.exit_code != 0]
    longest = f"{max(ended_by_it):.1f} s" if ended_by_it else "-"
    lost = [one.seconds_lost for one in outcomes]
    same, holds = sum(one.is_same for one in outcomes), sum(one.holds for one in outcomes)
    of = len(outcomes)
    where = outcomes[0].where
    shown = f"{statistics.median(lost):.0f} | {max(lost):.0f}"
    return f"| {outcomes[0].fault} | {where} | {of} | {same} of {of} | {holds} of {of} | {codes} | {longest} | {shown} |"


HEAD = """
| fault | where | seeds | same records | all holds | exit codes | seconds to end, largest | seconds lost, median | largest |
|---|---|---|---|---|---|---|---|---|"""


def run(folder: Path, names: Sequence[str], seeds: range, *, is_local: bool) -> list[Outcome]:
    """Run the faults, seed by seed, and write each outcome as it comes."""
    folder.mkdir(parents=True, exist_ok=True)
    whole, expected = undisturbed(folder / "undisturbed", is_local=is_local)
    print(f"undisturbed: {whole:.1f} s, {len(expected.records)} trials", flush=True)
    outcomes = []
    table = folder / "faults.csv"
    with table.open("a", newline="") as file:
        writer = csv.DictWriter(file, [one.name for one in fields(Outcome)])
        if table.stat().st_size == 0:
            writer.writeheader()
        for seed in seeds:
            for name in names:
                one = disturbed(name, seed, folder, whole, expected, is_local=is_local)
                outcomes.append(one)
                writer.writerow(asdict(one))
                file.flush()
                said = (
                    "too late to strike"
                    if not one.has_struck
                    else "holds"
                    if one.holds
                    else f"DOES NOT HOLD: {'' if one.is_same else 'other records; '}{one.wrong}"
                )
                print(
                    f"{name} {seed}: exit {one.exit_code} in {one.seconds_to_end} s, {one.seconds_lost} s lost; {said}",
                    flush=True,
                )
    return outcomes


def main() -> int:
    """Run the faults that are asked for; 1 if one does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="Is emptied first.")
    parser.add_argument("--faults", help="Names, separated by commas; by default all.")
    parser.add_argument("--seeds", type=int, default=3, help="Moments for each fault.")
    parser.add_argument("--first", type=int, default=0, help="Number of the first seed.")
    parser.add_argument("--local", action="store_true", help="Searches in one process, without Ray.")
    given = parser.parse_args()
    possible = [name for name, fault in FAULTS.items() if not (given.local and fault.needs_ray)]
    if os.geteuid() != 0:
        possible.remove("disk full")
        print("left out: disk full, which needs root to make a small disk", file=sys.stderr)
    names = given.faults.split(",") if given.faults else possible
    if unknown := set(names) - set(possible):
        parser.error(f"unknown faults {', '.join(sorted(unknown))}; allowed: {', '.join(possible)}")
    shutil.rmtree(given.folder, ignore_errors=True)
    outcomes = run(given.folder, names, range(given.first, given.first + given.seeds), is_local=given.local)
    struck = {name: [one for one in outcomes if one.fault == name and one.has_struck] for name in names}
    print(HEAD, *(row(of_it) for of_it in struck.values() if of_it), sep="\n")
    return int(not all(struck.values()) or not all(one.holds for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
