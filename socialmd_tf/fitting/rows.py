"""Linear equations for the coefficients: the second difference of three frames is a mean of accelerations.

In units of frames, and with the hat function w(s) = 1 - |s|,

    x(t+1) - 2 x(t) + x(t-1) = integral of w(s) a(t + s) ds from -1 to 1 = (a(t-1) + 10 a(t) + a(t+1)) / 12 + O(h^6),

exactly and after Numerov. The velocity under the integral is the observed one, or taken from five frames with the same
accuracy.
"""

import numpy as np

from socialmd_tf.fitting.trajectories import MANY

_MAX_PAIRS = 300_000
_MAX_NUMBERS = 12_000_000
_MAX_BYTES_KEPT = 1_000_000_000


def chunks(basis, trajectories, frames_per_frame=1):
    """Slices of trajectories whose equations fit into memory, however many there are.

    Args:
        basis: The `Basis`.
        trajectories: `Trajectories`.
        frames_per_frame: Configurations evaluated for each frame.
    """
    _, num_frames, num_particles, num_dimensions = trajectories.positions.shape
    width = max(basis.num_columns, frames_per_frame * len(basis.sources) * basis.knots.count)
    size = min(
        _MAX_PAIRS // (num_frames * frames_per_frame * num_particles * min(num_particles, MANY)),
        _MAX_NUMBERS // (num_frames * num_particles * num_dimensions * max(width, 1)),
    )
    size = max(size, 1)
    for start in range(0, len(trajectories), size):
        yield trajectories[start : start + size]


def numerov_rows(basis, trajectories):
    """Equations of each trajectory's frames but the outer two at both ends.

    Args:
        basis: The `Basis`.
        trajectories: `Trajectories` of at least 5 frames.

    Yields:
        X `[W, T - 4, N, D, P]` and y `[W, T - 4, N, D]` of a chunk, with X c = y where the model is right, and 0
        for padding.
    """
    for chunk in chunks(basis, trajectories):
        x = chunk.positions
        is_observed = chunk.velocities is not None
        sums = frame_sums(basis, chunk, chunk.velocities if is_observed else np.zeros_like(x))[:, 1:-1]
        rows = (sums[:, :-2] + 10 * sums[:, 1:-1] + sums[:, 2:]) / 12
        if not is_observed:
            near, far = (x[:, 3:-1] - x[:, 1:-3]) / 2, (x[:, 4:] - x[:, :-4]) / 2
            rows[..., -1] = -(14 * near - far) / 12
        yield masked(chunk, basis.columns(rows, chunk.features[:, None]), second_differences(x)[:, 1:-1])


def frame_rows(basis, trajectories):
    """Equations of random motion, one frame ahead of the last move: x(t+1) - 2 x(t) + x(t-1) = a(x(t)) - gamma v(t).

    The velocity is v(t) = x(t) - x(t-1), also where velocities are observed, since drawn frames have none. Noise that
    moves x(t+1) is in no column, so the least squares are not biased by it.

    Args:
        basis: The `Basis`.
        trajectories: `Trajectories` of at least 3 frames.

    Yields:
        X `[W, T - 2, N, D, P]` and y `[W, T - 2, N, D]` of a chunk.
    """
    for chunk in chunks(basis, trajectories):
        moves = np.diff(chunk.positions, axis=1, prepend=chunk.positions[:, :1])
        sums = frame_sums(basis, chunk, moves)[:, 1:-1]
        yield masked(chunk, basis.columns(sums, chunk.features[:, None]), second_differences(chunk.positions))


def second_differences(positions):
    """x(t+1) - 2 x(t) + x(t-1) `[W, T - 2, N, D]` of positions `[W, T, N, D]`."""
    return np.diff(positions, n=2, axis=1)


def frame_sums(basis, trajectories, velocities):
    """`Basis.sums` of all frames, `[W, T, N, D, R]`; velocities `[W, T, N, D]`."""
    shape = trajectories.positions.shape

    def repeated(values):
        return np.repeat(values, shape[1], axis=0)

    sums = basis.sums(
        trajectories.positions.reshape(-1, *shape[2:]),
        velocities.reshape(-1, *shape[2:]),
        repeated(trajectories.features),
        repeated(trajectories.edges),
        repeated(trajectories.mask),
        None if trajectories.cell is None else repeated(trajectories.cell),
    )
    return sums.reshape(*shape, -1)


def masked(trajectories, rows, targets):
    """Equations `[W, T, N, D, P]` and `[W, T, N, D]` that are 0 = 0 for padding."""
    real = trajectories.mask[:, None, :, None]
    return rows * real[..., None], targets * real


class Kept:
    """Equations that are made once if they fit into memory, and again at every reading if they do not.

    Args:
        make: Gives an iterator over X and y.
    """

    def __init__(self, make):
        self._make = make
        self._kept = None

    def __iter__(self):
        """Pairs X, y."""
        if self._kept is not None:
            yield from self._kept
            return
        kept, size = [], 0
        for pair in self._make():
            size += pair[0].nbytes
            kept = [*kept, pair] if size <= _MAX_BYTES_KEPT else []
            yield pair
        self._kept = kept if size <= _MAX_BYTES_KEPT else None
