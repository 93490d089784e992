"""Accelerations as a sum of terms, as the Verlet head integrates them."""

import keras
from keras import ops

from socialmd_tf.layers.boxes import of_particles
from socialmd_tf.layers.forces.basis_force import BasisForce
from socialmd_tf.layers.forces.bond_force import BondForce, bond_rows
from socialmd_tf.layers.forces.factors import factor_values
from socialmd_tf.layers.forces.friction import Friction
from socialmd_tf.layers.forces.polynomial_field import PolynomialField
from socialmd_tf.layers.pairs.on_pairs import FAR, on_pairs

_NOTHING_IS_NEAR = 1e-12


@keras.saving.register_keras_serializable(package="socialmd_tf")
class SumOfTerms(keras.layers.Layer):
    """Accelerations by pairs, bonds and fields, and rates of friction, of which any may be absent.

        a_i = clip(pairs_i + w_i bonds_i, -limit, limit) + field_i - rate_i v_i

    Pairs are a `BasisForce`, bonds a `BondForce`, the field a `PolynomialField`, friction a `Friction`. New weights
    give no acceleration.

    Args:
        terms: Dictionary of `pairs`, the channels of the `BasisForce`; `num_bond_types`, and `bond_factor` where w is
            not 1; `fields` and `frictions`, factors; `num_knots`, `nearest`, `farthest`, `core`, the splines; `cutoff`,
            0 for none; and `limit`, the largest component of the acceleration of a particle by pairs and bonds, 0 for
            none. Where the limit cuts, accelerations do not rotate with the system.
        num_dimensions: D.
        acceleration_scale: Multiplies pairs, bonds and field, in units of length per squared frame interval.
    """

    def __init__(self, terms, num_dimensions, acceleration_scale, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.terms = terms
        self.num_dimensions = num_dimensions
        self.acceleration_scale = acceleration_scale
        splines = {name: terms[name] for name in ("num_knots", "nearest", "farthest", "core")}
        splines |= {"cutoff": terms["cutoff"] or None, "acceleration_scale": acceleration_scale}
        self.pairs = BasisForce(terms["pairs"], **splines, name="pairs") if terms["pairs"] else None
        types = terms["num_bond_types"]
        self.bonds = BondForce(types, **splines, name="bonds") if types else None
        factors = terms["fields"]
        self.field = PolynomialField(factors, num_dimensions, acceleration_scale, name="field") if factors else None
        self.friction = Friction(terms["frictions"], name="friction") if terms["frictions"] else None

    def build(self, positions_shape=None, features_shape=None):
        """Create the weights."""
        for layer in (self.pairs, self.bonds, self.field, self.friction):
            if layer is not None:
                layer.build()

    @property
    def is_equivariant(self):
        """Whether accelerations move and rotate with the system."""
        return self.field is None and not self.terms["limit"]

    @property
    def softening(self):
        """Length below which forces between pairs flatten."""
        return self.terms["core"]

    @property
    def cutoff(self):
        """Largest distance of a force between pairs, in units of length."""
        if self.pairs is None:
            return _NOTHING_IS_NEAR
        return self.terms["cutoff"] or FAR

    def prepare(self, inputs):
        """What `on` needs and positions do not change: a dictionary of tensors `[B, ...]`.

        Args:
            inputs: Dictionary of `features` `[B, N, F]`, `mask` `[B, N]` or None, where there are bonds `edges`
                `[B, N, N]`, and in a periodic box `box` `[B, D, D]`.
        """
        features, mask = inputs["features"], inputs["mask"]
        mask = ops.ones_like(inputs["positions"][..., 0]) if mask is None else mask
        known = {"features": features, "mask": mask}
        if "box" in inputs:
            known |= {"box": inputs["box"], "cells": of_particles(inputs["box"], ops.shape(mask)[1])}
        if self.pairs is not None:
            known["own"], known["other"] = self.pairs.factors(features, mask)
        if self.bonds is not None:
            known["bonds"] = bond_rows(inputs["edges"])
            known["bond_weights"] = self.bond_weights(features, mask)
        if self.friction is not None:
            known["rates"] = self.friction.rates(features, mask)
        return known

    def bond_weights(self, features, mask=None):
        """The factor w `[B, N, 1]` of particles with features `[B, N, F]` and a mask `[B, N]` or None."""
        return factor_values([self.terms.get("bond_factor", {})], features, mask)

    def by_pairs(self, pairs, positions, known):
        """Accelerations by pairs `[B, N, D]` without the limit; arguments as of `on`."""
        if self.pairs is None:
            return ops.zeros_like(positions)
        return self.pairs.on(pairs, positions, (known["own"], known["other"]), known.get("cells"))

    def on(self, pairs, positions, known):
        """Accelerations but for friction `[B, N, D]` on the pairs of `on_pairs`, with the result of `prepare`."""
        total = self.by_pairs(pairs, positions, known)
        if self.bonds is not None:
            total += known["bond_weights"] * self.bonds(positions, known["bonds"], known.get("box"))
        if self.terms["limit"]:
            total = ops.clip(total, -self.terms["limit"], self.terms["limit"])
        if self.field is not None:
            total += self.field(positions, known["features"], known["mask"])
        return total

    def call(self, inputs):
        """Accelerations but for friction `[B, N, D]`, in units of length per squared frame interval.

        Args:
            inputs: As for `prepare`, with `positions` `[B, N, D]`, in units of length.
        """
        known, positions = self.prepare(inputs), inputs["positions"]
        return on_pairs(
            lambda pairs: self.on(pairs, positions, known), positions, known["mask"], self.cutoff, inputs.get("box")
        )

    def compute_output_shape(self, inputs_shape):
        """`[B, N, D]`."""
        return inputs_shape["positions"]

    def get_config(self):
        """Arguments of the layer."""
        names = ("terms", "num_dimensions", "acceleration_scale")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
