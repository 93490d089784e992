"""Pair forces that fall as r^-2 at all distances: one number instead of a curve."""

import dataclasses

import numpy as np

from socialmd_tf.fitting.law import Law
from socialmd_tf.fitting.least_squares import solve
from socialmd_tf.fitting.selection import is_worse

_NEGLIGIBLE = 0.05
"""Share by which errors of rollouts may be larger."""


def simplest(law, equations, rollouts, log):
    """The law with a constant g in all pair terms, if predictions are not worse for it; else as it is.

    Not worse means by no more than a standard error or a twentieth. From as many equations, a constant is known better
    than a curve. It is right below and beyond the distances of the data too, and faster to evaluate.

    Args:
        law: The `Law`.
        equations: Its `NormalEquations`.
        rollouts: `Rollouts`.
        log: Called with a line of text.

    Returns:
        The `Law` and its `NormalEquations`.
    """
    if not law.basis.channels:
        return law, equations
    simple, fewer = with_constants(law, equations)
    losses = rollouts.losses(simple)
    if is_worse(losses, rollouts.losses(law), _NEGLIGIBLE):
        return law, equations
    errors = np.exp(losses)
    log(
        "pair forces fall as r^-2: with constants instead of curves, "
        f"validation MAE {errors.mean():.3g}, median of windows {np.median(errors):.3g}"
    )
    return simple, fewer


def with_curves(law, count):
    """A law of constants as one of curves with `count` knots."""
    basis = dataclasses.replace(law.basis, knots=dataclasses.replace(law.basis.knots, count=count))
    sizes = [count] * len(basis.channels) + [1] * (len(law.coefficients) - len(basis.channels))
    return Law(basis, np.repeat(law.coefficients, sizes))


def with_constants(law, equations):
    """The law whose splines are one constant each, and its equations: all splines of a term are equal in them."""
    basis = dataclasses.replace(law.basis, knots=dataclasses.replace(law.basis.knots, count=1))
    merged = np.zeros((law.basis.num_columns, basis.num_columns))
    for name, block in law.basis.blocks.items():
        merged[block, basis.blocks[name]] = 1.0 if name.startswith("pairs") else np.eye(block.stop - block.start)
    fewer = dataclasses.replace(
        equations, matrix=merged.T @ equations.matrix @ merged, right=merged.T @ equations.right
    )
    return Law(basis, solve(fewer, 0.0)), fewer
