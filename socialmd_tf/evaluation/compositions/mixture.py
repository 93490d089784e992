"""Mixtures of two types of particles."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Mixture:
    """A system of a drug and a background, in a given proportion."""

    drug: str
    """Type of the drug."""
    background: str
    """Type of all other particles."""
    fraction: float
    """Share of the drug, from 0 to 1."""

    def count(self, num_particles):
        """Number of particles of the drug among `num_particles`: the share, rounded to the nearest."""
        return math.floor(self.fraction * num_particles + 0.5)

    def is_that_of(self, counts):
        """Whether a system has this composition.

        Args:
            counts: Type -> number of its particles.
        """
        total = sum(counts.values())
        ours = counts.get(self.drug, 0), counts.get(self.background, 0)
        return ours == (self.count(total), total - self.count(total))

    def relabel(self, features, columns, generator):
        """Features of particles whose types are redrawn; nothing else changes.

        The particles that are of the drug are the first of a random order. With the same random numbers, a mixture of
        more drug keeps all of those of a mixture of less.

        Args:
            features: `[n, F]`, one-hot in the columns of the types.
            columns: Type -> its column.
            generator: A `numpy.random.Generator`.

        Returns:
            `[n, F]`.
        """
        order = generator.permutation(len(features))
        is_drug = order < self.count(len(features))
        redrawn = features.copy()
        redrawn[:, list(columns.values())] = 0
        redrawn[:, columns[self.drug]] = is_drug
        redrawn[:, columns[self.background]] = ~is_drug
        return redrawn
