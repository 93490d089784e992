"""Coulomb forces and gravity of N point particles: the readable definition (thesis section 4.2).

    U = sum over pairs i < j of g_ij / r_ij,    g_ij = k q_i q_j - G m_i m_j

in an open domain and without softening. Everything is float64 and in the arbitrary units of the thesis.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def couplings(masses: Array, charges: Array, coulomb_constant: float, gravitational_constant: float) -> Array:
    """Compute the couplings g_ij = k q_i q_j - G m_i m_j; pairs with positive g repel.

    Args:
        masses: `[N]`.
        charges: `[N]`.
        coulomb_constant: k.
        gravitational_constant: G.

    Returns:
        `[N, N]` in units of energy times length; symmetric, 0 on the diagonal.
    """
    g = coulomb_constant * np.outer(charges, charges) - gravitational_constant * np.outer(masses, masses)
    np.fill_diagonal(g, 0.0)
    return g


def distances(positions: Array) -> Array:
    """Compute the distances r_ij = |r_j - r_i|.

    Args:
        positions: `[N, D]`.

    Returns:
        `[N, N]`; infinite on the diagonal, so that no particle acts on itself.
    """
    displacement = positions[None, :] - positions[:, None]
    r = np.sqrt(np.sum(displacement**2, axis=-1))
    np.fill_diagonal(r, np.inf)
    return r


def forces(
    positions: Array, masses: Array, charges: Array, coulomb_constant: float, gravitational_constant: float
) -> Array:
    """Compute the forces F_i = -dU/dr_i = -sum over j of g_ij (r_j - r_i) / r_ij^3.

    Args:
        positions: `[N, D]`.
        masses: `[N]`.
        charges: `[N]`.
        coulomb_constant: k.
        gravitational_constant: G.

    Returns:
        `[N, D]`.
    """
    displacement = positions[None, :] - positions[:, None]
    weights = couplings(masses, charges, coulomb_constant, gravitational_constant) / distances(positions) ** 3
    return -np.einsum("ij,ijd->id", weights, displacement)


def potential_energy(
    positions: Array, masses: Array, charges: Array, coulomb_constant: float, gravitational_constant: float
) -> float:
    """Compute the potential energy U = sum over pairs i < j of g_ij / r_ij.

    Args:
        positions: `[N, D]`.
        masses: `[N]`.
        charges: `[N]`.
        coulomb_constant: k.
        gravitational_constant: G.

    Returns:
        U.
    """
    g = couplings(masses, charges, coulomb_constant, gravitational_constant)
    return float(np.sum(g / distances(positions)) / 2)


def kinetic_energy(velocities: Array, masses: Array) -> float:
    """Compute the kinetic energy K = sum over particles of m_i |v_i|^2 / 2.

    Args:
        velocities: `[N, D]`.
        masses: `[N]`.

    Returns:
        K.
    """
    return float(np.sum(masses[:, None] * velocities**2) / 2)
