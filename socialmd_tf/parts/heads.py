"""The heads, and how to add one: as in interactions.py, with `register_head`."""

from typing import Any

from pipelines.errors import UserError, require
from socialmd_tf.parts.forces import FORCES
from socialmd_tf.parts.registry import Head, Registry

HEADS = Registry("head", Head)

register_head = HEADS.register


def is_known(name: str) -> bool:
    """Whether a head is registered here."""
    try:
        HEADS[name]
    except UserError:
        return False
    return True


def is_sampled(name: str) -> bool:
    """Whether a head is rolled out by draws, see `Head`; False for one that is not known here."""
    return is_known(name) and HEADS[name].is_sampled


def is_kinematic(name: str) -> bool:
    """Whether a head corrects a motion, see `Head`; False for one that is not known here."""
    return is_known(name) and HEADS[name].kinematic


@register_head("absolute", reads=("correlated",))
def absolute(config: Any, name: str) -> Any:
    """The position in absolute coordinates, as in the thesis."""
    from socialmd_tf.layers import AbsoluteHead

    return AbsoluteHead(config.num_dimensions, config.num_components, config.correlated, config.scale_floor, name=name)


@register_head("displacement", reads=("move_scale",), calibrates=True)
def displacement(config: Any, name: str) -> Any:
    """A correction of standing still."""
    from socialmd_tf.layers import DisplacementHead

    return DisplacementHead(
        config.num_dimensions, config.num_components, config.scale_floor, config.move_scale, name=name
    )


@register_head("kinematic", reads=("acceleration_scale",), kinematic=True, calibrates=True)
def kinematic(config: Any, name: str) -> Any:
    """A correction of straight motion."""
    from socialmd_tf.layers import KinematicHead

    return KinematicHead(
        config.num_dimensions, config.num_components, config.scale_floor, config.acceleration_scale, name=name
    )


@register_head(
    "verlet",
    reads=(
        "force",
        "terms",
        "acceleration_scale",
        "charges",
        "softening",
        "cutoff",
        "substeps",
        "step_fraction",
        "correction",
        "walls",
        "split_distance",
        "growing_noise",
        "measurement_noise",
        "move_scale",
        "warm_up_steps",
    ),
    kinematic=True,
    calibrates=True,
)
def verlet(config: Any, name: str) -> Any:
    """Motion under learned forces."""
    from socialmd_tf.layers import VerletHead

    return VerletHead(
        config.num_dimensions,
        config.num_components,
        config.scale_floor,
        config.acceleration_scale,
        FORCES[config.force].build(config, "force"),
        substeps=config.substeps,
        step_fraction=config.step_fraction,
        is_corrected=config.correction,
        walls=config.walls,
        split_distance=config.split_distance,
        has_growing_noise=config.growing_noise,
        has_measurement_noise=config.measurement_noise,
        move_scale=config.move_scale,
        memory=max(2, config.warm_up_steps),
        name=name,
    )


@register_head(
    "langevin",
    reads=(
        "move_scale",
        "cutoff",
        "pair_units",
        "pair_channels",
        "time_constants",
        "centered",
        "shared_noise",
        "force",
        "terms",
        "acceleration_scale",
    ),
    is_sampled=True,
)
def langevin(config: Any, name: str) -> Any:
    """A learned drift and noise, rolled out by sampling."""
    from socialmd_tf.layers import LangevinHead

    require(config.num_components == 1, "num_components", "1 for the head 'langevin'", config.num_components)
    require(config.pair_channels >= 2, "pair_channels", "at least 2 for the head 'langevin'", config.pair_channels)
    is_fitted = FORCES[config.force].is_fitted
    right = is_fitted or config.force == "pair_mlp"  # the default, which this head has not
    require(right, "force", "basis, or absent, for the head 'langevin'", config.force)
    return LangevinHead(
        config.num_dimensions,
        config.scale_floor,
        config.move_scale,
        cutoff=config.cutoff,
        num_functions=config.pair_channels,
        units=config.pair_units,
        time_constants=config.time_constants,
        is_centered=config.centered and not config.periodic,
        shares_noise=config.shared_noise,
        force=FORCES[config.force].build(config, "force") if is_fitted else None,
        name=name,
    )
