"""Shortens a disturbed search and moves its clock; every Python process of it reads this (`fault_rig` puts it on PYTHONPATH).

Networks of five steps, which are far too short to be admissible, so that is not asked; checkpoints every second, so that a killed
trial has one to go on from. Seconds since 1970, `time.time` and `datetime.now`, are moved by what `RAYDISTILL_FAULT_CLOCK` holds:
a file of 8 bytes, a whole number of seconds. Nothing is moved that counts from another point, as no clock of a machine does.
"""

import datetime
import importlib.abc
import importlib.machinery
import mmap
import os
import struct
import sys
import time

CHECKPOINT_SECONDS = 1.0


def _shorten_recipe(module):
    from dataclasses import replace

    module.RECIPES["default"] = replace(module.RECIPES["plain"], name="default", steps=5)


def _admit(module):
    module.is_admissible = lambda *_: True


def _write_often(module):
    module.CHECKPOINT_SECONDS = CHECKPOINT_SECONDS


PATCHES = {
    "raydistill.core.recipes": _shorten_recipe,
    "raydistill.trial.baseline": _admit,
    "raydistill.trial.distillation": _write_often,
}


class Patcher(importlib.abc.MetaPathFinder):
    """Changes a module right after it was read."""

    def find_spec(self, name, path, target=None):
        """The module's own spec, with a loader that changes what it read."""
        if name not in PATCHES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        read = spec.loader.exec_module

        def read_and_patch(module):
            read(module)
            PATCHES[name](module)

        spec.loader.exec_module = read_and_patch
        return spec


def _move_clock(path):
    with open(path, "rb") as file:
        held = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    seconds, nanoseconds, true = time.time, time.time_ns, datetime.datetime

    def moved_by():
        return struct.unpack("q", held[:8])[0]

    class Moved(true):
        """The time of day with the offset."""

        @classmethod
        def now(cls, tz=None):
            return true.now(tz) + datetime.timedelta(seconds=moved_by())

    time.time = lambda: seconds() + moved_by()
    time.time_ns = lambda: nanoseconds() + moved_by() * 10**9
    for name in ("raydistill.trial.run", "raydistill.trial.endings", "raydistill.storage.lease"):
        PATCHES[name] = lambda module: setattr(module, "datetime", Moved)


sys.meta_path.insert(0, Patcher())
if "RAYDISTILL_FAULT_CLOCK" in os.environ:
    _move_clock(os.environ["RAYDISTILL_FAULT_CLOCK"])
