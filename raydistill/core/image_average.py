"""The moving average of the images over their updates, which is scored in place of the last ones.

Each update sees one network and a few real images, so at a constant learning rate the images never settle: they move around a
good place. Their average lies closer to it, as that of the iterates of any stochastic gradient descent (Polyak and Juditsky,
1992). FTD (Du et al., CVPR 2023) scores such an average of synthetic images.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from raydistill.core.contract import Checkpoint

SAVED_AS = "average"
"""Its name in a checkpoint."""


class ImageAverage:
    """The mean of the images after updates 1 to t, with weights d^(t - 1), ..., d, 1: those of u updates ago count d^u.

    Source: the exponential moving average of FTD's code, with the correction for its start of Adam (Kingma and Ba, ICLR 2015):
    the images that the distillation began with have no weight, however few updates there are.
    """

    def __init__(self, images: Tensor, decay: float, checkpoint: Checkpoint) -> None:
        """The average that the checkpoint has, or the images as they are now.

        Args:
            images: what is learned, changed in place by the updates.
            decay: d, 0 to below 1; with 0 the images of the last update are scored.
            checkpoint: of the distillation; one that was saved has an average where the decay is not 0.
        """
        self._learned = images.detach()
        self._decay = decay
        self.images = self._learned.clone() if decay else self._learned
        """What is scored: of the shape and on the device of the learned images, changed in place."""
        saved = checkpoint.load() if decay else None
        if saved is not None:
            self.images.copy_(saved[SAVED_AS])

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the images after update t, 1 for the first."""
        if self._decay:
            self.images.lerp_(self._learned, (1 - self._decay) / (1 - self._decay**step))

    def state(self) -> Mapping[str, Tensor]:
        """What a checkpoint keeps beside the learned images."""
        return {SAVED_AS: self.images} if self._decay else {}
