"""Paths between frames under a law, and the equations that hold along them.

Between two frames x0 and x1 a path is the solution of x'' = a with these ends, in units of frames

    x(u) = x0 (1 - u) + x1 u - integral of G(u, s) a(s) ds from 0 to 1,   G(u, s) = min(u, s) (1 - max(u, s)),

by collocation in Gauss-Legendre nodes: a is the polynomial through its values in the nodes, found by iteration. The
map contracts where h^2 |da/dx| < pi^2. A path errs less than the law that made it: an error da of accelerations moves
it by da / 8 at most. So basis functions integrated along paths give better equations than the law they came from:

    x(t+1) - 2 x(t) + x(t-1) = integral of s a(t-1 + s) ds + integral of (1 - s) a(t + s) ds,

and where velocities v are observed, two in each interval instead,

    x(t+1) - x(t) - v(t) = integral of (1 - s) a(t + s) ds,   v(t+1) - (x(t+1) - x(t)) = integral of s a(t + s) ds.
"""

import dataclasses

import numpy as np

from socialmd_tf.fitting.rows import chunks, masked, second_differences

NUM_NODES = 6
_ITERATIONS = 12
_TOLERANCE = 1e-6
_CONVERGED = 1e-7


def _quadrature(count):
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


@dataclasses.dataclass(frozen=True)
class Collocation:
    """Matrices for paths through accelerations in m nodes."""

    nodes: np.ndarray
    """u `[m]`."""
    weights: np.ndarray
    """Of the quadrature over the nodes `[m]`."""
    to_positions: np.ndarray
    """From accelerations `[m]` to the deviation from the straight line at the nodes, `[m, m]`."""
    to_velocities: np.ndarray
    """From accelerations `[m]` to deviations from the mean velocity at the nodes, then at both ends, `[m + 2, m]`."""

    @classmethod
    def of(cls, count):
        """With m = `count` nodes."""
        nodes, weights = _quadrature(count)
        inner, inner_weights = _quadrature(count + 2)
        monomials = np.linalg.inv(nodes[:, None] ** np.arange(count))

        def integral(start, stop, factor):
            """Integrals of factor(s) times each Lagrange polynomial `[m]`."""
            s = start + (stop - start) * inner
            lagrange = s[:, None] ** np.arange(count) @ monomials
            return (stop - start) * (inner_weights * factor(s)) @ lagrange

        positions = [-(1 - u) * integral(0, u, lambda s: s) - u * integral(u, 1, lambda s: 1 - s) for u in nodes]
        velocities = [integral(0, u, lambda s: s) - integral(u, 1, lambda s: 1 - s) for u in (*nodes, 0.0, 1.0)]
        return cls(nodes, weights, np.array(positions), np.array(velocities))


def solve_paths(accelerations, first, last, collocation):
    """Paths of B systems from one frame to the next.

    Args:
        accelerations: Called with positions and velocities `[B m, N, D]` and the numbers of their systems.
        first: `[B, N, D]`.
        last: `[B, N, D]`.
        collocation: `Collocation` with m nodes.

    Returns:
        Positions in the nodes `[B, m, N, D]`, velocities in the nodes and at both ends `[B, m + 2, N, D]`, and
        whether the path of each particle was found `[B, N]`.
    """
    nodes, count = collocation.nodes[:, None, None], len(collocation.nodes)
    straight = first[:, None] * (1 - nodes) + last[:, None] * nodes
    mean = (last - first)[:, None]
    size = np.abs(mean).mean()
    # Begin with accelerations that change linearly from one frame to the next.
    start, end = (accelerations(ends, mean[:, 0], np.arange(len(ends)))[:, None] for ends in (first, last))
    a = start * (1 - nodes) + end * nodes
    positions, velocities = straight.copy(), np.repeat(mean, count + 2, axis=1)
    positions += np.einsum("pq,bqnd->bpnd", collocation.to_positions, a)
    velocities += np.einsum("pq,bqnd->bpnd", collocation.to_velocities, a)
    changes = np.full(first.shape[:2], np.inf)
    for _ in range(_ITERATIONS):
        moving = np.nonzero(changes.max(axis=1) > _CONVERGED * size)[0]
        if not len(moving):
            break
        flat = (v[moving, :count].reshape(-1, *first.shape[1:]) for v in (positions, velocities))
        a = accelerations(*flat, np.repeat(moving, count)).reshape(-1, *positions.shape[1:])
        updated = straight[moving] + np.einsum("pq,bqnd->bpnd", collocation.to_positions, a)
        changes[moving] = np.abs(updated - positions[moving]).max(axis=(1, 3))
        positions[moving] = updated
        velocities[moving] = mean[moving] + np.einsum("pq,bqnd->bpnd", collocation.to_velocities, a)
    return positions, velocities, changes <= _TOLERANCE * size


def path_rows(law, trajectories):
    """Equations of each trajectory, integrated along paths under `law`.

    Args:
        law: The present `Law`.
        trajectories: `Trajectories` of at least 3 frames.

    Yields:
        X `[W, E, N, D, P]` and y `[W, E, N, D]` of a chunk; NaN for particles whose path was not found. There are
        E = T - 2 equations, one at each frame but the first and the last, or with velocities E = 2 (T - 1).
    """
    collocation = Collocation.of(NUM_NODES)
    for chunk in chunks(law.basis, trajectories, NUM_NODES):
        sums, found = _path_sums(law, chunk, collocation)
        after = np.einsum("q,wtqndr->wtndr", collocation.weights * collocation.nodes, sums)
        before = np.einsum("q,wtqndr->wtndr", collocation.weights * (1 - collocation.nodes), sums)
        found = found | ~chunk.mask[:, None]
        if chunk.velocities is None:
            integrals, found = after[:, :-1] + before[:, 1:], found[:, :-1] & found[:, 1:]
            targets = second_differences(chunk.positions)
        else:
            moves = np.diff(chunk.positions, axis=1)
            integrals, found = np.concatenate([before, after], axis=1), np.concatenate([found, found], axis=1)
            targets = np.concatenate([moves - chunk.velocities[:, :-1], chunk.velocities[:, 1:] - moves], axis=1)
        rows = law.basis.columns(integrals, chunk.features[:, None])
        yield masked(chunk, rows, np.where(found[..., None], targets, np.nan))


def _path_sums(law, chunk, collocation):
    """`Basis.sums` in the nodes of all intervals `[W, T - 1, m, N, D, R]`, and which paths were found."""
    num_trajectories, num_frames = chunk.positions.shape[:2]
    of_interval = chunk[np.repeat(np.arange(num_trajectories), num_frames - 1)]
    known = of_interval.features, of_interval.edges, of_interval.mask, of_interval.cell
    ends = (part.reshape(-1, *part.shape[2:]) for part in (chunk.positions[:, :-1], chunk.positions[:, 1:]))
    positions, velocities, found = solve_paths(law.on(*known), *ends, collocation)
    count = positions.shape[1]
    flat = (part.reshape(-1, *part.shape[2:]) for part in (positions, velocities[:, :count]))
    repeated = (None if values is None else np.repeat(values, count, axis=0) for values in known)
    sums = law.basis.sums(*flat, *repeated)
    shape = num_trajectories, num_frames - 1
    return sums.reshape(*shape, count, *sums.shape[1:]), found.reshape(*shape, -1)
