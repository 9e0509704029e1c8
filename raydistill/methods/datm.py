"""DATM: trajectory matching that takes experts' early epochs for small sets and late ones for large, with learned soft labels.

Reference: Guo, Wang, Cazenavette, Li, Zhang, You, "Towards Lossless Dataset Distillation via Difficulty-Aligned Trajectory
Matching", ICLR 2024. Symbols, numbered steps and code of the loop: `trajectory.py`; experts: `core/experts.py`; labels:
`core/soft_labels.py`.

Deviations: an iteration starts from a fresh pass over the set and over nothing else of the one before, so that a killed run can
continue; a pass leaves out an incomplete last batch, on which the published code trains; experts are drawn from all, not file
by file; nothing is selected on test images. `real` labels come from all experts, as `correct` ones do, where the published code
takes one expert's. Batch statistics are no part of a snapshot, so networks with batch norm are refused. Images are
standardised, not ZCA-whitened, unless the data set's section says so. The authors' configurations list an `ema_decay` that
their code does not use; there is none here.
"""

from __future__ import annotations

from raydistill.methods.trajectory import match_trajectories

distill = match_trajectories
"""DATM is the shared loop over all parameters: `keep` stays None."""
