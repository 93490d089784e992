"""Configuration of the fit of a law of motion."""

import dataclasses
import math
from typing import Literal

from pipelines.errors import require

KINDS = ("pairs", "bonds", "field", "friction")


@dataclasses.dataclass(frozen=True)
class FitConfig:
    """How the forces of `--model.force basis` are fitted before the epochs."""

    terms: tuple[Literal["pairs", "bonds", "field", "friction"], ...] = ()
    """Terms of the law: any of pairs, bonds, field, friction. By default, those that rollouts of the validation split
    need."""
    knots: int | None = None
    """Number of splines of a pair force. By default, 48, 96 or 192, whichever the validation split needs."""
    force_cutoff: float | None = None
    """Largest distance of a pair force, in the dataset's length unit. By default, the largest distance in the data, or
    half the smallest height of the box; of more than 256 particles in a box, the shortest that predicts no worse."""
    force_core: float | None = None
    """Distance below which pair forces fall to zero, in the dataset's length unit. By default, chosen from the data."""

    def __post_init__(self) -> None:
        """Check every field."""
        right = len(set(self.terms)) == len(self.terms) and set(self.terms) <= set(KINDS)
        require(right, "terms", f"different ones of {', '.join(KINDS)}", self.terms)
        require(self.knots is None or self.knots >= 4, "knots", "at least 4", self.knots)
        for name in ("force_cutoff", "force_core"):
            value = getattr(self, name)
            require(value is None or (math.isfinite(value) and value > 0), name, "positive", value)
