"""Structure of a law of motion: which terms there are. Their coefficients are weights of the model."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Factor:
    """A number of each particle by which a term is weighted; 1 without `powers` and `indicates`."""

    powers: tuple[tuple[float, ...], ...] = ()
    """Place of a feature and its whole power, for each feature of the product."""
    indicates: tuple[float, ...] = ()
    """Place of a feature and a value: the factor is 1 where the feature has the value, else 0."""


@dataclasses.dataclass(frozen=True)
class Channel:
    """A pair force, weighted by a factor of the accelerated particle and one of the other particle."""

    own: Factor = Factor()
    other: Factor = Factor()


@dataclasses.dataclass(frozen=True)
class Terms:
    """The terms of a law, as `layers.forces.SumOfTerms` takes them. The default has none."""

    pairs: tuple[Channel, ...] = ()
    num_bond_types: int = 0
    bond_factor: Factor = Factor()
    """Of the particle that bonds accelerate."""
    fields: tuple[Factor, ...] = ()
    frictions: tuple[Factor, ...] = ()
    num_knots: int = 4
    nearest: float = 1.0
    farthest: float = 2.0
    core: float = 1.0
    cutoff: float = 0.0
    """0 for none."""
    limit: float = 0.0
    """0 for none."""
