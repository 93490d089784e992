"""Every public layer with inputs to try it on; what all of them must hold is in test_layers.py."""

import dataclasses
import zlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from socialmd_tf import layers
from socialmd_tf.layers import forces

NUM_SYSTEMS, NUM_PARTICLES, NUM_FEATURES, UNITS = 2, 4, 2, 3


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
    """A layer in some number of dimensions.

    `make` takes the arguments every Keras layer takes, such as `dtype`. `inputs` are the named arguments of
    its call, in order: nested arrays `[B, N, ...]` (`[B, T, N, D]` for the positions of a rollout). Arrays of integers
    are bonds.
    """

    name: str
    make: Callable[..., keras.layers.Layer]
    inputs: dict[str, Any]

    def build(self, **options):
        """The layer with random weights, the same ones every time, and none of them zero."""
        layer = self.make(**options)
        layer(*self.inputs.values())
        generator = np.random.default_rng(zlib.crc32(self.name.encode()))
        for weight in layer.weights:
            if not weight.path.endswith("splines/range"):  # of any numbers, it is no range
                weight.assign(generator.normal(scale=0.5, size=weight.shape))
        return layer


def array(*shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def mask():
    """The last particle of the second system is padding."""
    result = np.ones((NUM_SYSTEMS, NUM_PARTICLES), "float32")
    result[1, -1] = 0
    return result


def positions(num_dimensions, *leading):
    """Multiples of 1 / 256, so that float32 holds them wherever the system is."""
    return np.round(array(NUM_SYSTEMS, *leading, NUM_PARTICLES, num_dimensions, seed=0) * 256) / np.float32(256)


def boxes(num_dimensions):
    """Tilted boxes, a little larger in the second system, of numbers that float32 holds."""
    box = np.diag([7.0, 6.5, 6.0][:num_dimensions])
    box[1, 0] = 1.5
    return np.stack([box, box + np.eye(num_dimensions) / 4]).astype("float32")


def edges():
    """Types of bonds `[B, N, N]`."""
    result = np.zeros((NUM_SYSTEMS, NUM_PARTICLES, NUM_PARTICLES), "int32")
    for system, i, j, kind in ((0, 0, 1, 1), (0, 1, 2, 2), (0, 0, 3, 2), (1, 0, 2, 1)):
        result[system, i, j] = result[system, j, i] = kind
    return result


def particles(num_dimensions):
    """What a cell knows of the particles of a frame."""
    return {
        "positions": positions(num_dimensions),
        "velocities": array(NUM_SYSTEMS, NUM_PARTICLES, num_dimensions, seed=1),
        "features": array(NUM_SYSTEMS, NUM_PARTICLES, NUM_FEATURES, seed=2),
        "mask": mask(),
    }


def states(seed=3):
    return array(NUM_SYSTEMS, NUM_PARTICLES, UNITS, seed=seed)


def pooling(num_dimensions):
    return Example(
        f"StackedStatePooling-{num_dimensions}d",
        lambda **options: layers.StackedStatePooling(5, (6.0, 3.0), **options),
        {"positions": positions(num_dimensions), "states": states(), "mask": mask()},
    )


def pooled_convolution(num_dimensions):
    return Example(
        f"PooledConvolution-{num_dimensions}d",
        lambda **options: layers.PooledConvolution(6, (6.0, 3.0), 3, 3, strides=1, pool_size=2, **options),
        {"positions": positions(num_dimensions), "states": states(), "mask": mask()},
    )


def multiscale_pooling(num_dimensions):
    return Example(
        f"MultiscalePooling-{num_dimensions}d",
        lambda **options: layers.MultiscalePooling(4, (6.0, 3.0), **options),
        {"positions": positions(num_dimensions), "states": states(), "mask": mask()},
    )


def make_interaction(**options):
    return layers.StackedPoolingInteraction(
        bins=4,
        side_lengths=(6.0, 3.0),
        filters=(3, 4),
        kernel_size=3,
        state_embedding=2,
        embedding=3,
        **options,
    )


def seen_by_an_interaction(num_dimensions):
    inputs = {**particles(num_dimensions), "hidden_state": states()}
    return {name: inputs[name] for name in ("positions", "velocities", "features", "hidden_state", "mask")}


def stacked_pooling(num_dimensions):
    inputs = seen_by_an_interaction(num_dimensions)
    return Example(f"StackedPoolingInteraction-{num_dimensions}d", make_interaction, inputs)


def multiscale_interaction(num_dimensions):
    return Example(
        f"MultiscalePoolingInteraction-{num_dimensions}d",
        lambda **options: layers.MultiscalePoolingInteraction(3, (6.0, 3.0), 2, 4, units=3, **options),
        seen_by_an_interaction(num_dimensions),
    )


def no_interaction(num_dimensions):
    inputs = seen_by_an_interaction(num_dimensions)
    return Example(f"NoInteraction-{num_dimensions}d", layers.NoInteraction, inputs)


def pairwise(num_dimensions):
    inputs = seen_by_an_interaction(num_dimensions)
    return Example(
        f"PairwiseInteraction-{num_dimensions}d",
        lambda **options: layers.PairwiseInteraction(2.5, 0.3, 4, 2, 0.5, **options),
        inputs,
    )


def combined(num_dimensions):
    def make(dtype=None, **options):
        parts = make_interaction(dtype=dtype), layers.PairwiseInteraction(2.5, 0.3, 4, 2, 0.5, dtype=dtype)
        return layers.CombinedInteraction(parts, dtype=dtype, **options)

    inputs = seen_by_an_interaction(num_dimensions)
    return Example(f"CombinedInteraction-{num_dimensions}d", make, inputs)


def make_cell(dtype=None):
    return layers.SocialLSTMCell(UNITS, 2, make_interaction(dtype=dtype), dtype=dtype)


def cell(num_dimensions):
    inputs = {"inputs": particles(num_dimensions), "states": [states(3), states(4)]}

    def make(dtype=None):
        layer = make_cell(dtype)
        layer.build({name: value.shape for name, value in inputs["inputs"].items()})
        return layer

    return Example(f"SocialLSTMCell-{num_dimensions}d", make, inputs)


def plain_cell(num_dimensions):
    inputs = {"inputs": particles(num_dimensions), "states": [states(3), states(4)]}

    def make(dtype=None):
        layer = layers.PlainLSTMCell((4,), (2, 1), (3,), 0.5, dtype=dtype)
        layer.build({name: value.shape for name, value in inputs["inputs"].items()})
        return layer

    return Example(f"PlainLSTMCell-{num_dimensions}d", make, inputs)


def head(num_dimensions, num_components, correlated):
    return Example(
        f"AbsoluteHead-{num_dimensions}d-{num_components}-{'correlated' if correlated else 'diagonal'}",
        lambda **options: layers.AbsoluteHead(num_dimensions, num_components, correlated, 1e-3, **options),
        {"outputs": states(), "inputs": particles(num_dimensions), "state": ()},
    )


def covariances(num_dimensions):
    """P_xx, P_xv and P_vv, as the kinematic head carries them."""
    roots = array(3, NUM_SYSTEMS, NUM_PARTICLES, num_dimensions, num_dimensions, seed=5)
    return tuple(root @ np.swapaxes(root, -1, -2) + np.eye(num_dimensions, dtype="float32") for root in roots)


def kinematic_head(num_dimensions, num_components=1):
    return Example(
        f"KinematicHead-{num_dimensions}d-{num_components}",
        lambda **options: layers.KinematicHead(num_dimensions, num_components, 0.1, 0.5, **options),
        {"outputs": states(), "inputs": particles(num_dimensions), "state": covariances(num_dimensions)},
    )


def displacement_head(num_dimensions, num_components=1):
    return Example(
        f"DisplacementHead-{num_dimensions}d-{num_components}",
        lambda **options: layers.DisplacementHead(num_dimensions, num_components, 0.1, 0.5, **options),
        {"outputs": states(), "inputs": particles(num_dimensions), "state": covariances(num_dimensions)[:1]},
    )


def pair_force(num_dimensions):
    frame = particles(num_dimensions)
    return Example(
        f"PairForce-{num_dimensions}d",
        lambda **options: layers.PairForce(3, 0.3, 2.5, 0.5, units=4, **options),
        {name: frame[name] for name in ("positions", "features", "mask")},
    )


def verlet_head(num_dimensions, **options):
    frame = particles(num_dimensions)
    moving = frame["positions"] + np.float32(0.25), array(NUM_SYSTEMS, NUM_PARTICLES, num_dimensions, seed=6)

    def make(dtype=None):
        force = layers.PairForce(3, 1.0, 2.5, 0.1, name="force", dtype=dtype)
        return layers.VerletHead(
            num_dimensions,
            2,
            0.1,
            0.1,
            force,
            substeps=2,
            step_fraction=0.5,
            is_corrected=True,
            walls=1e4,
            dtype=dtype,
            **options,
        )

    inputs = {"outputs": states(), "inputs": frame, "state": (*covariances(num_dimensions), *moving)}
    name = "".join(f"-{option}" for option in options)
    return Example(f"VerletHead-{num_dimensions}d{name}", make, inputs)


def memoryless_cell(num_dimensions):
    return Example(
        f"MemorylessCell-{num_dimensions}d", layers.MemorylessCell, {"inputs": particles(num_dimensions), "states": []}
    )


def langevin_head(num_dimensions):
    frame = {**particles(num_dimensions), "anchors": array(NUM_SYSTEMS, NUM_PARTICLES, num_dimensions, seed=7)}
    shape = NUM_SYSTEMS, NUM_PARTICLES
    state = (
        array(*shape, num_dimensions, seed=8),
        array(*shape, 2, num_dimensions, seed=9),
        np.full((*shape, 1), 2.5, "float32"),
    )
    return Example(
        f"LangevinHead-{num_dimensions}d",
        lambda **options: layers.LangevinHead(num_dimensions, 0.1, 0.5, 2.5, 3, 4, (2.0, 8.0), True, **options),
        {"outputs": states(), "inputs": frame, "state": state},
    )


def sharing_langevin_head(num_dimensions):
    """With noise that neighbours share."""
    example = langevin_head(num_dimensions)
    return Example(
        f"LangevinHead-shared-noise-{num_dimensions}d",
        lambda **options: layers.LangevinHead(
            num_dimensions, 0.1, 0.5, 2.5, 3, 4, (2.0, 8.0), True, shares_noise=True, **options
        ),
        example.inputs,
    )


def lawful_langevin_head(num_dimensions):
    """With pairs, bonds and friction, the force of a fitted law."""
    example = langevin_head(num_dimensions)

    def make(dtype=None):
        force = make_sum_of_terms(num_dimensions, dtype)
        return layers.LangevinHead(num_dimensions, 0.1, 0.5, 2.5, 3, 4, (2.0, 8.0), True, force=force, dtype=dtype)

    inputs = {**example.inputs["inputs"], "edges": edges()}
    return Example(f"LangevinHead-law-{num_dimensions}d", make, {**example.inputs, "inputs": inputs})


def periodic(make):
    """An example in a box."""

    def make_periodic(num_dimensions):
        example = make(num_dimensions)
        box = {"box": boxes(num_dimensions)}
        nested = {
            name: {**value, **box} if isinstance(value, dict) else value for name, value in example.inputs.items()
        }
        inputs = nested if any(isinstance(value, dict) for value in nested.values()) else {**example.inputs, **box}
        return Example(f"{example.name}-periodic", example.make, inputs)

    return make_periodic


SPLINES = {"num_knots": 5, "nearest": 0.5, "farthest": 3.0, "core": 0.4}
FIRST_FEATURE = {"indicates": (), "powers": ((0, 1),)}
CHANNELS = [{"own": {}, "other": {}}, {"own": FIRST_FEATURE, "other": FIRST_FEATURE}]


def basis_force(num_dimensions):
    frame = particles(num_dimensions)
    return Example(
        f"BasisForce-{num_dimensions}d",
        lambda **options: forces.BasisForce(CHANNELS, **SPLINES, cutoff=2.8, **options),
        {name: frame[name] for name in ("positions", "features", "mask")},
    )


def bond_force(num_dimensions):
    rows = np.array([[[0, 1, 1], [1, 2, 2], [0, 3, 2]], [[0, 2, 1], [0, 0, 0], [0, 0, 0]]], "int32")
    return Example(
        f"BondForce-{num_dimensions}d",
        lambda **options: forces.BondForce(2, **SPLINES, **options),
        {"positions": positions(num_dimensions), "edges": rows},
    )


def polynomial_field(num_dimensions):
    frame = particles(num_dimensions)
    return Example(
        f"PolynomialField-{num_dimensions}d",
        lambda **options: forces.PolynomialField([{}, FIRST_FEATURE], num_dimensions, 0.1, **options),
        {name: frame[name] for name in ("positions", "features", "mask")},
    )


def friction(num_dimensions):
    frame = particles(num_dimensions)
    return Example(
        f"Friction-{num_dimensions}d",
        lambda **options: forces.Friction([{}, FIRST_FEATURE], **options),
        {name: frame[name] for name in ("velocities", "features", "mask")},
    )


def make_sum_of_terms(num_dimensions, dtype, **others):
    terms = {"pairs": CHANNELS, "num_bond_types": 2, "fields": [], "frictions": [{}], **SPLINES, "cutoff": 2.8}
    return forces.SumOfTerms({**terms, "limit": 0.0, **others}, num_dimensions, 0.1, name="force", dtype=dtype)


def verlet_head_of_terms(num_dimensions, **terms):
    """A head that reads boxes and bonds."""
    frame = {**particles(num_dimensions), "box": boxes(num_dimensions), "edges": edges()}
    state = *covariances(num_dimensions), frame["positions"], array(NUM_SYSTEMS, NUM_PARTICLES, num_dimensions, seed=6)

    def make(dtype=None):
        force = make_sum_of_terms(num_dimensions, dtype, **terms)
        return layers.VerletHead(
            num_dimensions, 2, 0.1, 0.1, force, substeps=2, step_fraction=3.0, is_corrected=False, dtype=dtype
        )

    name = "".join(f"-{term}" for term in terms)
    return Example(
        f"VerletHead-{num_dimensions}d-terms{name}", make, {"outputs": states(), "inputs": frame, "state": state}
    )


def rollout_of_terms(num_dimensions):
    """A rollout that reads boxes, bonds and observed velocities."""

    def make(dtype=None):
        head = layers.VerletHead(
            num_dimensions,
            1,
            0.1,
            0.1,
            make_sum_of_terms(num_dimensions, dtype),
            substeps=2,
            step_fraction=3.0,
            is_corrected=False,
            dtype=dtype,
        )
        interaction = layers.PairwiseInteraction(2.5, 0.3, 4, 2, 0.5, dtype=dtype)
        cell = layers.SocialLSTMCell(UNITS, 2, interaction, velocity_scale=0.5, dtype=dtype)
        return layers.Rollout(cell, head, rollout_steps=2, dtype=dtype)

    inputs = {**particles(num_dimensions), "box": boxes(num_dimensions), "edges": edges()}
    inputs["positions"] = positions(num_dimensions, 2)
    inputs["velocities"] = array(NUM_SYSTEMS, 2, NUM_PARTICLES, num_dimensions, seed=1)
    return Example(f"Rollout-{num_dimensions}d-terms", make, {"inputs": inputs})


def rollout(num_dimensions):
    def make(dtype=None):
        density = layers.AbsoluteHead(num_dimensions, 1, True, 1e-3, dtype=dtype)
        return layers.Rollout(make_cell(dtype), density, rollout_steps=2, dtype=dtype)

    inputs = {**particles(num_dimensions), "positions": positions(num_dimensions, 2)}
    del inputs["velocities"]
    return Example(f"Rollout-{num_dimensions}d", make, {"inputs": inputs})


EXAMPLES = [
    *(
        make(num_dimensions)
        for make in (
            pooling,
            pooled_convolution,
            multiscale_pooling,
            stacked_pooling,
            pairwise,
            no_interaction,
            cell,
            plain_cell,
            displacement_head,
            kinematic_head,
            pair_force,
            verlet_head,
            memoryless_cell,
            langevin_head,
            rollout,
        )
        for num_dimensions in (2, 3)
    ),
    multiscale_interaction(2),
    combined(2),
    *(periodic(make)(2) for make in (pooling, pooled_convolution, multiscale_pooling)),
    *(periodic(make)(2) for make in (stacked_pooling, multiscale_interaction, pairwise, combined, cell)),
    *(periodic(make)(2) for make in (pair_force, basis_force, bond_force)),
    basis_force(3),
    bond_force(3),
    polynomial_field(2),
    friction(3),
    verlet_head(2, has_measurement_noise=True),
    verlet_head_of_terms(2, fields=[{}], limit=0.05),
    rollout_of_terms(2),
    lawful_langevin_head(2),
    sharing_langevin_head(2),
    head(2, 1, True),
    head(2, 3, False),
    head(3, 1, True),
    head(3, 2, False),
    kinematic_head(2, num_components=3),
]
"""One or more examples of every layer."""
