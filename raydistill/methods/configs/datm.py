"""Settings of DATM; the method is in `methods/datm.py`."""

from __future__ import annotations

from typing import Literal

from raydistill.methods.configs.trajectory import TrajectoryConfig


class DATMConfig(TrajectoryConfig):
    """Settings of DATM."""

    name: Literal["datm"]
