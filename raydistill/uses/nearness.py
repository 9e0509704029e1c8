"""Distances to the nearest train image in short, as files hold them. No torch; `nearest` computes them."""

from __future__ import annotations

from pydantic import Field

from raydistill.spaces.sections import Config

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Nearness(Config):
    """Distances of synthetic images to the nearest train image, beside those of held-out real images."""

    synthetic: tuple[float, ...] = Field(strict=False)
    """Quantiles at 5, 25, 50, 75 and 95 %."""
    real: tuple[float, ...] = Field(strict=False)
    """The same of held-out images."""
    nearer_fraction: float
    """Part of the synthetic images that are nearer to a train image than 5 % of the held-out images are."""

    @property
    def ratios(self) -> tuple[float, ...] | None:
        """The synthetic quantiles over the median of the held-out images; None if that is 0."""
        median = self.real[len(QUANTILES) // 2]
        return tuple(value / median for value in self.synthetic) if median > 0 else None
