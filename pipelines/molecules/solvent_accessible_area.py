"""Solvent accessible surface area of spheres (Shrake and Rupley 1973)."""

import math

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from pipelines.boxes import images_near, wrap

NUM_POINTS = 96


def accessible_areas(
    positions: npt.NDArray[np.floating],
    radii: npt.NDArray[np.floating],
    probe: float,
    num_points: int = NUM_POINTS,
    box: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.float64]:
    """Area of each sphere that the centre of a spherical solvent molecule can reach.

    Points are spread evenly over sphere i, of radius R_i = radii[i] + probe. Its area is 4 pi R_i^2 times the share of
    its points that lie inside no other sphere.

    Args:
        positions: Centres `[N, 3]`.
        radii: `[N]`, in the unit of the positions.
        probe: Radius of the solvent molecule; water's is 0.14 nm.
        num_points: Points per sphere.
        box: Box vectors `[3, 3]`, one per row, whose images count as further spheres; None in open space.

    Returns:
        `[N]`, in the squared unit of the positions.
    """
    reach = np.asarray(radii, np.float64) + probe
    count, limit = len(positions), 2 * reach.max(initial=0.0)
    free = np.full(count, float(num_points))
    centers, particles = images_near(wrap(np.asarray(positions, np.float64), box), box, limit)
    pairs = cKDTree(centers).query_pairs(limit, output_type="ndarray")
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    pairs = pairs[pairs[:, 0] < count]
    first, second = pairs[np.argsort(pairs[:, 0], kind="stable")].T
    offsets = centers[first] - centers[second]
    second = particles[second]
    squares = np.square(offsets).sum(axis=1)
    near = squares < np.square(reach[first] + reach[second])
    first, second, offsets, squares = first[near], second[near], offsets[near], squares[near]
    if len(first):
        # |x_i + R_i u - x_j|^2 < R_j^2, solved for the component of u along x_i - x_j.
        limits = (reach[second] ** 2 - reach[first] ** 2 - squares) / (2 * reach[first])
        buried = offsets @ sphere_points(num_points).T < limits[:, None]
        starts = np.flatnonzero(np.diff(first, prepend=-1))
        free[first[starts]] -= np.logical_or.reduceat(buried, starts, axis=0).sum(axis=1)
    return 4 * math.pi * reach**2 * free / num_points


def sphere_points(count: int) -> npt.NDArray[np.float64]:
    """Unit vectors spread evenly over the sphere, by a spiral of golden angles.

    Args:
        count: Number of vectors.

    Returns:
        `[count, 3]`.
    """
    index = np.arange(count) + 0.5
    z, angle = 1 - 2 * index / count, index * math.pi * (3 - math.sqrt(5))
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
