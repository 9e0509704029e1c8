"""The moving average of the images over their updates, which is scored in place of the last ones.

Every update sees one network and a few real images, so at a constant learning rate the images keep moving about what they are
drawn to; their average lies closer to it (Polyak and Juditsky, 1992). FTD (Du et al., CVPR 2023) scores such an average of
synthetic images.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from raydistill.core.contract import Checkpoint

STATE = "average"
"""Its name in a checkpoint."""


class ImageAverage:
    """An exponential moving average a of images x: after update t, a = d a + (1 - d) x with d = min(decay, (1 + t) / (10 + t)).

    In the first updates d is small, so the images that they started from do not weigh on a short distillation.
    """

    def __init__(self, images: Tensor, decay: float, checkpoint: Checkpoint) -> None:
        """The average that the checkpoint has, or the images as they are now.

        Args:
            images: what is learned, changed in place by the updates.
            decay: 0 to below 1; with 0 there is no average, and `images` are the images of the last update.
            checkpoint: of the distillation; one that was saved has an average where decay is not 0.
        """
        self._learned = images.detach()
        self._decay = decay
        self.images = self._learned.clone() if decay else self._learned
        """What is scored: of the shape and on the device of the learned images, changed in place."""
        saved = checkpoint.load() if decay else None
        if saved is not None:
            self.images.copy_(saved[STATE])

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the images after a number of updates."""
        if self._decay:
            self.images.lerp_(self._learned, 1 - min(self._decay, (1 + step) / (10 + step)))

    def state(self) -> Mapping[str, Tensor]:
        """What a checkpoint keeps beside the learned images."""
        return {STATE: self.images} if self._decay else {}
