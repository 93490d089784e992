"""Which mixtures to predict, and how."""

import dataclasses

from pipelines.errors import require

USUAL = ("radius", "accessible_area", "contacts")
"""Families of statistics by default, as far as the dataset can have them."""


@dataclasses.dataclass(frozen=True)
class CompositionSettings:
    """Which mixtures to predict, and how.

    Raises:
        UserError: A number is out of its range, or the drug is the background.
    """

    drugs: tuple[str, ...]
    """Types of particles that are mixed with the background, one at a time."""
    background: str
    """Type of the other particles."""
    fractions: tuple[float, ...]
    """Shares of the drug."""
    num_samples: int = 64
    """Members of an ensemble (S)."""
    horizon: int | None = None
    """Stored frames to predict; None for as many as all training files and the model allow."""
    statistics: tuple[str, ...] = ()
    """Families of statistics; `USUAL` if empty."""
    first_frame: int = 0
    """First observed stored frame of the training files."""
    seed: int = 0
    """Seed of the frames, the types and the motion."""

    def __post_init__(self):
        """Check the numbers and names."""
        drugs, fractions = self.drugs, self.fractions
        require(len(drugs) > 0 and len(set(drugs)) == len(drugs), "drug", "one or more different types", drugs)
        require(self.background not in drugs, "background", "another type than the drug", self.background)
        right = len(fractions) > 0 and all(0 <= fraction <= 1 for fraction in fractions)
        require(right, "fractions", "one or more shares from 0 to 1", fractions)
        require(self.num_samples >= 2, "num_samples", "at least 2", self.num_samples)
        require(self.horizon is None or self.horizon >= 1, "horizon", "at least 1", self.horizon)
        require(self.first_frame >= 0, "first_frame", "at least 0", self.first_frame)
        require(0 <= self.seed < 2**31, "seed", "at least 0 and below 2^31", self.seed)


def check_types(manifest, settings):
    """Refuse names that are no types of particles of a dataset.

    Args:
        manifest: The `Manifest`.
        settings: The `CompositionSettings`.

    Raises:
        UserError: A name is no feature.
    """
    for field, names in (("drug", settings.drugs), ("background", (settings.background,))):
        for name in names:
            known = ", ".join(manifest.own_features) or "none"
            require(name in manifest.own_features, field, f"a type of particles of the data, one of {known}", name)
