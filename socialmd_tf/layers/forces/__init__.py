"""Accelerations that are linear in their weights: by pairs, bonds, a field, friction.

Each term is a layer that can be on or off; their coefficients can be fitted in closed form (`socialmd_tf.fitting`) or
trained. sum_of_terms.py adds them up. factors.py holds the products of features that weight them, splines.py the radial
functions. Start with basis_force.py.
"""

from socialmd_tf.layers.forces.basis_force import BasisForce
from socialmd_tf.layers.forces.bond_force import BondForce
from socialmd_tf.layers.forces.friction import Friction
from socialmd_tf.layers.forces.polynomial_field import PolynomialField
from socialmd_tf.layers.forces.sum_of_terms import SumOfTerms

__all__ = ["BasisForce", "BondForce", "Friction", "PolynomialField", "SumOfTerms"]
