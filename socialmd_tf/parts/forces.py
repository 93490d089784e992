"""The forces of the head verlet, and how to add one: as in interactions.py, with `register_force`."""

import dataclasses
from typing import Any

from socialmd_tf.parts.registry import Force, Registry

FORCES = Registry("force", Force)

register_force = FORCES.register


@register_force("pair_mlp", reads=("acceleration_scale", "charges", "softening", "cutoff"))
def pair_mlp(config: Any, name: str) -> Any:
    """Learned charges and a learned function of the distance, trained by gradients."""
    from socialmd_tf.layers import PairForce

    return PairForce(config.charges, config.softening, config.cutoff, config.acceleration_scale, name=name)


@register_force("basis", reads=("acceleration_scale", "terms"), is_fitted=True)
def basis(config: Any, name: str) -> Any:
    """Pairs, bonds, a field and friction, fitted to the data in closed form before the epochs."""
    from socialmd_tf.layers.forces import SumOfTerms

    return SumOfTerms(dataclasses.asdict(config.terms), config.num_dimensions, config.acceleration_scale, name=name)
