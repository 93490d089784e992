"""Velocities from two frames: those with which a flow leads from the one to the other."""

from collections.abc import Callable

import numpy as np

from pipelines.nbody.forces import Array

Flow = Callable[[Array, Array], tuple[Array, Array]]
"""Positions and velocities `[D, N, S]` -> those one interval later."""

_ITERATIONS = 8


def velocities_at_the_end(first: Array, last: Array, step: Flow, interval: float) -> Array:
    """Velocities `[D, N, S]` at the later of two frames `[D, N, S]` under any flow, see `continue_from`."""
    velocities = ends = (last - first) / interval
    nearest = np.full(first.shape[-1], np.inf)
    tried: list[Array] = []
    misses: list[Array] = []
    for _ in range(_ITERATIONS):
        positions, velocities_after = step(first, velocities)
        miss = (last - positions) / interval
        distance = np.abs(miss).max(axis=(0, 1))
        nearer = distance < nearest
        nearest = np.where(nearer, distance, nearest)
        ends = np.where(nearer, velocities_after, ends)
        # A step to numbers that are not finite is ignored.
        tried.append(np.nan_to_num(velocities).reshape(-1, velocities.shape[-1]).T)
        misses.append(np.nan_to_num(miss).reshape(-1, miss.shape[-1]).T)
        velocities = _mixed(tried, misses).T.reshape(first.shape)
    return ends


def _mixed(tried: list[Array], misses: list[Array]) -> Array:
    """The next velocities `[S, D N]`, mixed from the previous ones and their misses (Anderson 1965).

    They are v - dV c + miss - dM c, with the changes dV and dM between iterations and c the least squares solution of
    dM c = miss.
    """
    if len(tried) == 1:
        return tried[0] + misses[0]
    changes = np.diff(np.stack(tried, axis=-1), axis=-1)
    miss_changes = np.diff(np.stack(misses, axis=-1), axis=-1)
    combination = np.linalg.pinv(miss_changes, rcond=1e-8) @ misses[-1][..., None]
    mixed: Array = tried[-1] + misses[-1] - ((changes + miss_changes) @ combination)[..., 0]
    return mixed
