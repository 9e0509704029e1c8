"""What a certificate knows of its full data: whether sets can be held against it, and why not."""

from __future__ import annotations

from dataclasses import dataclass

from raydistill.certify.certificate import Evidence
from raydistill.core.lossless import is_above_chance, is_steady
from raydistill.core.metrics import accuracy_of
from raydistill.storage.record import unpack_bits, unpack_labels


@dataclass(frozen=True, kw_only=True, slots=True)
class FullData:
    """The study's baseline networks on the select images; all values are fractions."""

    accuracy: float
    """Mean over the networks, at the better of the two step counts."""
    moves_by: float
    """Mean accuracy at twice the recipe's steps minus that at its steps."""
    chance: float | None
    """Accuracy of one answer for every image; None where the rules of the certificate do not ask for it."""
    margin: float
    rules: int
    """Those of the certificate."""

    @property
    def is_worse(self) -> bool:
        """Whether it is wrong because longer training loses; pages of older certificates do not tell that apart."""
        return self.rules >= 4 and not self.is_steady and self.moves_by < 0

    @property
    def is_steady(self) -> bool:
        """Whether twice the recipe's steps move it by less than a quarter of the margin."""
        return is_steady(self.moves_by, self.margin)

    @property
    def has_learned(self) -> bool:
        """Whether it is above chance by more than the margin."""
        return is_above_chance(self.accuracy, self.chance, self.margin)


def full_data_of(evidence: Evidence) -> FullData:
    """What the evidence says of the full data, by the certificate's own rules."""
    found, classes = evidence.admissibility, unpack_labels(evidence.select_labels)
    read = (unpack_bits(rows, found.select_images) for rows in (found.at_recipe, found.at_doubled))
    once, twice = (float(accuracy_of(correct, classes).mean()) for correct in read)
    return FullData(
        accuracy=max(once, twice),
        moves_by=twice - once,
        chance=found.chance_fraction if evidence.rules >= 4 else None,
        margin=evidence.trial.goal.margin_fraction,
        rules=evidence.rules,
    )
