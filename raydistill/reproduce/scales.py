"""The scales at which the report's tables are repeated.

`full` is the report's size; its 100 or 200 networks are divided among five sets, where the report had one. `small` is for two
cores: it tests the way from settings to tables, and its numbers cannot be compared with the report's.
"""

from __future__ import annotations

from dataclasses import dataclass

from raydistill.reproduce.official import ReportData


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """Sizes of everything that the tables need."""

    name: str
    caption: str
    widths: dict[ReportData, int]
    """Widths of the ConvNets; 128 and 32 in the report."""
    train_images: dict[ReportData, int | None]
    ipc: dict[ReportData, int]
    """IPC of DataDAM and PAD; 10 and 50 in the report."""
    batch_real: dict[ReportData, int]
    inits: dict[ReportData, int]
    """K as specified."""
    model_steps: int
    """zeta_theta as specified."""
    iterations: int
    """Iterations of PAD and DATM as specified."""
    student_steps: int
    expert_epochs: int
    window: tuple[int, int, int]
    """Width, growth and target epochs of trajectory matching."""
    draws: int
    """Sets per row."""
    networks: dict[ReportData, int]
    """Evaluation networks per set."""
    full_networks: int
    """Networks trained on the full data."""
    full_epochs: int


FULL = Scale(
    name="full",
    caption="the report's size, its networks divided among 5 sets",
    widths={"mnist": 128, "mhist": 32},
    train_images={"mnist": None, "mhist": None},
    ipc={"mnist": 10, "mhist": 50},
    batch_real={"mnist": 256, "mhist": 128},
    inits={"mnist": 100, "mhist": 200},
    model_steps=50,
    iterations=1000,
    student_steps=80,
    expert_epochs=50,
    window=(10, 10, 2),
    draws=5,
    networks={"mnist": 20, "mhist": 40},
    full_networks=5,
    full_epochs=50,
)
SMALL = Scale(
    name="small",
    caption=(
        "NOT the report's size: ConvNets of width 16 (MNIST) and 8 (MHIST), 10,000 and 400 training images, 3 epochs on them, 64 "
        "and 32 real images per class and step, K = 3 with 10 model steps, 10 student steps with experts of 4 epochs, 20 "
        "iterations of PAD and DATM as specified, IPC 10 on MHIST, 2 sets per row"
    ),
    widths={"mnist": 16, "mhist": 8},
    train_images={"mnist": 10_000, "mhist": 400},
    ipc={"mnist": 10, "mhist": 10},
    batch_real={"mnist": 64, "mhist": 32},
    inits={"mnist": 3, "mhist": 3},
    model_steps=10,
    iterations=20,
    student_steps=10,
    expert_epochs=4,
    window=(2, 1, 1),
    draws=2,
    networks={"mnist": 3, "mhist": 1},
    full_networks=2,
    full_epochs=3,
)
SCALES: dict[str, Scale] = {scale.name: scale for scale in (SMALL, FULL)}
