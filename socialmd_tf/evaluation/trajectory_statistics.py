"""Summary statistics of paths: moves, pair distances, displacements, energy and momentum.

A path is the last observed frame and the T' positions after it; the path of a rollout consists of predicted means.
Velocities are finite differences between two frames, for the truth as for the rollout. Finite differences have an
error, so the value of the truth by the same estimator is given with every number.
"""

import dataclasses
import math

import numpy as np
from scipy.stats import wasserstein_distance

from pipelines.nbody.forces import couplings
from socialmd_tf.evaluation.log_histogram import LogHistogram

_BLOCK = 2_000_000


@dataclasses.dataclass(frozen=True)
class Start:
    """State of one window of n real particles before the first predicted frame."""

    frames: np.ndarray
    """The last two observed frames `[2, n, D]`, or only the last one `[1, n, D]`."""
    interval: float
    """Time between the two."""
    masses: np.ndarray | None
    """`[n]`, or None if the data have no masses."""
    charges: np.ndarray | None
    """`[n]`, or None if the data have no charges."""
    constants: dict | None
    """`coulomb_constant` and `gravitational_constant`, or None if the forces are not known."""


class TrajectoryStatistics:
    """Statistics of the paths of all windows of one predictor, or of the truth, collected window by window.

    Args:
        interval: Time between two frames of a path.
    """

    def __init__(self, interval):
        self.interval = interval
        self.moves = LogHistogram()
        """Euclidean moves of a particle from one frame to the next."""
        self.distances = LogHistogram()
        """Distances of all pairs in the predicted frames; empty if no system has two particles."""
        self.num_centers = 0
        """Number of particles in all frames counted in `distances`."""
        self.squared_displacement = [0.0, 0]
        self.energy_drift = []
        """|E_k - E_0| / K_0 `[T']` of every window."""
        self.momentum_drift = []
        """|P_k - P_0| / sum of m |v_0| `[T']` of every window."""

    def add(self, path, start):
        """Add a window.

        Args:
            path: `[T' + 1, n, D]`, real particles only, the last observed frame first.
            start: The `Start` of the window.
        """
        path = np.asarray(path, np.float64)
        self.num_dimensions = path.shape[-1]
        self.moves.add(np.linalg.norm(np.diff(path, axis=0), axis=-1))
        for frames in _blocks(path[1:]):
            self.distances.add(_pair_distances(frames))
        self.num_centers += path[1:, :, 0].size
        self._displace(path)
        if start.masses is not None and len(start.frames) == 2:
            self._drift(path, start)

    def _displace(self, path):
        """Add the squared displacements over every lag, from every frame of the path."""
        steps = len(path) - 1
        sums = [np.square(path[lag:] - path[:-lag]).sum() for lag in range(1, steps + 1)]
        counts = (steps + 1 - np.arange(1, steps + 1)) * path.shape[1]
        total, count = self.squared_displacement
        self.squared_displacement = [total + np.array(sums), count + counts]

    def _drift(self, path, start):
        """Add energy and momentum between two frames, relative to those between the last two observed frames."""
        masses = start.masses[:, None]
        first = np.diff(start.frames, axis=0) / start.interval
        velocities = np.concatenate([first, np.diff(path, axis=0) / self.interval])
        momenta = (masses * velocities).sum(axis=1)
        moving = (masses[:, 0] * np.linalg.norm(first[0], axis=-1)).sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            self.momentum_drift.append(np.linalg.norm(momenta[1:] - momenta[0], axis=-1) / moving)
            if start.constants is None:
                return
            kinetic = 0.5 * (masses * np.square(velocities)).sum(axis=(1, 2))
            middles = np.concatenate([start.frames.mean(axis=0)[None], (path[1:] + path[:-1]) / 2])
            pairs = np.triu_indices(len(masses), k=1)
            strengths = couplings(start.masses, start.charges, **start.constants)[pairs]
            potential = [(strengths / _pair_distances(frames)).sum(axis=-1) for frames in _blocks(middles)]
            energies = kinetic + np.concatenate(potential)
            self.energy_drift.append(np.abs(energies[1:] - energies[0]) / kinetic[0])

    def mean_squared_displacement(self):
        """Mean squared displacement over lags of 1, ..., T' frames `[T']`, over first frames, windows and particles."""
        total, count = self.squared_displacement
        return total / count


def _blocks(frames):
    """Split frames into blocks, so that arrays over all pairs stay small."""
    size = max(1, _BLOCK // frames.shape[1] ** 2)
    return (frames[start : start + size] for start in range(0, len(frames), size))


def _pair_distances(frames):
    """`[k, n, D]` -> `[k, n (n - 1) / 2]`."""
    first, second = np.triu_indices(frames.shape[1], k=1)
    return np.linalg.norm(frames[:, first] - frames[:, second], axis=-1)


def compare(rollout, truth):
    """Compare the statistics of a rollout with those of the truth on the same windows.

    Args:
        rollout: `TrajectoryStatistics` of a predictor.
        truth: `TrajectoryStatistics` of the truth.

    Returns:
        Dictionary of statistics, each with `rollout`, `truth` and `distance`; lengths in the unit of the data:

        - `speed`: mean Euclidean move of a particle per frame; `distance` is the 1-Wasserstein distance between the
          distributions of all moves;
        - `radial_distribution`: mean number of other particles per area (volume) at distance `r` from a particle, a
          list over the middles `r` of shells (an open domain has no mean density to divide by); `distance` is the
          1-Wasserstein distance between the distributions of all pair distances. Absent if no system has two
          particles at different places;
        - `mean_squared_displacement`: lists over lags of 1, ..., T' frames; `distance` is
          sum |rollout - truth| / sum truth.

        Two more need masses, and the energy also charges and constants. `rollout` and `truth` are medians over
        windows at the last step, `rollout_per_step` and `truth_per_step` are lists over the steps:

        - `energy_drift`: |E_k - E_0| / K_0. E between two frames uses the finite difference velocity and the
          positions midway; E_0 and K_0 are those between the last two observed frames;
        - `momentum_drift`: |P_k - P_0| / sum of m |v_0|.
    """
    found = {
        "speed": {
            "rollout": rollout.moves.mean(),
            "truth": truth.moves.mean(),
            "distance": _wasserstein(rollout.moves, truth.moves),
        },
        "mean_squared_displacement": _displacement(rollout, truth),
    }
    if truth.distances.mean() > 0:
        found["radial_distribution"] = _radial(rollout, truth)
    for name in ("energy_drift", "momentum_drift"):
        if getattr(truth, name):
            found[name] = _drifts(getattr(rollout, name), getattr(truth, name))
    return found


def _wasserstein(first, second):
    (values, weights), (other_values, other_weights) = first.weighted(), second.weighted()
    if not (len(values) and len(other_values)):
        return math.nan
    return float(wasserstein_distance(values, other_values, weights, other_weights))


def _radial(rollout, truth):
    edges, counts = truth.distances.shells()
    seen = 1 + np.flatnonzero(counts[1:])  # the first shell holds pairs at the same place
    seen = slice(seen[0], seen[-1] + 1)
    dimensions = truth.num_dimensions
    unit_ball = math.pi if dimensions == 2 else 4 / 3 * math.pi
    volumes = unit_ball * np.diff(edges**dimensions)
    densities = [2 * each.distances.shells()[1] / each.num_centers / volumes for each in (rollout, truth)]
    return {
        "r": np.sqrt(edges[1:] * edges[:-1])[seen].tolist(),
        "rollout": densities[0][seen].tolist(),
        "truth": densities[1][seen].tolist(),
        "distance": _wasserstein(rollout.distances, truth.distances),
    }


def _displacement(rollout, truth):
    ours, true = rollout.mean_squared_displacement(), truth.mean_squared_displacement()
    return {
        "rollout": ours.tolist(),
        "truth": true.tolist(),
        "distance": float(np.abs(ours - true).sum() / true.sum()) if true.sum() > 0 else math.nan,
    }


def _drifts(rollout, truth):
    ours, true = np.median(rollout, axis=0), np.median(truth, axis=0)
    return {
        "rollout": float(ours[-1]),
        "truth": float(true[-1]),
        "rollout_per_step": ours.tolist(),
        "truth_per_step": true.tolist(),
    }
