"""Summary statistics of paths: moves, pair distances, displacements, energy and momentum.

A path is the last observed frame and the T' positions after it; the path of a rollout consists of predicted means.
Velocities are finite differences between two frames, for the truth as for the rollout. Finite differences have an
error, so the value of the truth by the same estimator is given with every number.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from scipy.stats import wasserstein_distance

from pipelines.boxes import half_height, minimum_image, volume
from socialmd_tf.evaluation.close_encounters import sample_of_particles
from socialmd_tf.evaluation.log_histogram import LogHistogram

_BLOCK = 2_000_000
_SHELLS_PER_DECADE = {False: 20, True: 50}  # whether normalized: the peaks of a liquid need narrow shells
_PAIRS_PER_SHELL = 400  # a standard error of 5 % if pairs were independent


@dataclasses.dataclass(frozen=True)
class Start:
    """State of one window of n real particles before the first predicted frame."""

    frames: np.ndarray
    """The last two observed frames `[2, n, D]`, or only the last one `[1, n, D]`."""
    interval: float
    """Time between the two."""
    masses: np.ndarray | None = None
    """`[n]`, or None if the data have no masses."""
    potential_energy: Callable | None = None
    """Function from positions `[k, n, D]` to energies `[k]`, or None if the forces are not known."""
    box: np.ndarray | None = None
    """Lattice vectors of the periodic box in rows `[D, D]`, or None in open space."""


class TrajectoryStatistics:
    """Statistics of the paths of all windows of one predictor, or of the truth, collected batch by batch.

    Of systems of more than 1000 particles, pair distances are those of a sample of particles to all others
    (`close_encounters.sample_of_particles`), and the energy is not computed.

    Args:
        interval: Time between two frames of a path.
    """

    def __init__(self, interval):
        self.interval = interval
        self.moves = LogHistogram()
        """Euclidean moves of a particle from one frame to the next."""
        self.distances = LogHistogram()
        """Distances of all pairs in the predicted frames, to the nearest image in a periodic box; empty if no system
        has two particles."""
        self.num_centers = 0
        """Number of particles in all frames around which `distances` counts half of the others."""
        self.others_per_volume = 0.0
        """Sum over these of (n - 1) / V, with the volume (area) V of the periodic box; 0 in open space."""
        self.reach = math.inf
        """Half the width of the smallest box: beyond it, the corners of the box cut the shells around a particle."""
        self.squared_displacement = [0.0, 0]
        self.energy_drift = []
        """|E_k - E_0| / K_0 `[T']` of every window."""
        self.momentum_drift = []
        """|P_k - P_0| / sum of m |v_0| `[T']` of every window."""

    def add(self, paths, starts):
        """Add windows of systems of the same number of particles in the same box.

        Args:
            paths: `[B, T' + 1, n, D]`, real particles only, the last observed frame first.
            starts: The `Start` of each window.
        """
        paths, box = np.asarray(paths, np.float64), starts[0].box
        self.num_dimensions = paths.shape[-1]
        self.moves.add(np.linalg.norm(np.diff(paths, axis=1), axis=-1).ravel())
        chosen, count = sample_of_particles(paths.shape[2]), paths.shape[2]
        frames = paths[:, 1:].reshape(-1, *paths.shape[2:])
        for block in _blocks(frames, count * len(chosen)):
            self.distances.add(_pair_distances(block, chosen, box))
        # Pairs of a sample with all particles are counted from one end only, half as often as all pairs.
        self.num_centers += len(frames) * (count if len(chosen) == count else 2 * len(chosen))
        self.others_per_volume += len(frames) * len(chosen) * (1 + (len(chosen) < count)) * (count - 1) / volume(box)
        self.reach = min(self.reach, math.inf if box is None else half_height(box))
        self._displace(paths)
        for path, start in zip(paths, starts, strict=True):
            if start.masses is not None and len(start.frames) == 2:
                self._drift(path, start)

    def join(self, other):
        """Add the windows of another object, which follow those of this one."""
        self.num_dimensions = other.num_dimensions
        self.moves.join(other.moves)
        self.distances.join(other.distances)
        self.num_centers += other.num_centers
        self.others_per_volume += other.others_per_volume
        self.reach = min(self.reach, other.reach)
        pairs = zip(self.squared_displacement, other.squared_displacement, strict=True)
        self.squared_displacement = [ours + theirs for ours, theirs in pairs]
        self.energy_drift += other.energy_drift
        self.momentum_drift += other.momentum_drift

    def _displace(self, paths):
        """Add the squared displacements over every lag, from every frame of the paths."""
        steps = paths.shape[1] - 1
        sums = [np.square(paths[:, lag:] - paths[:, :-lag]).sum() for lag in range(1, steps + 1)]
        counts = (steps + 1 - np.arange(1, steps + 1)) * len(paths) * paths.shape[2]
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
            if start.potential_energy is None:
                return
            kinetic = 0.5 * (masses * np.square(velocities)).sum(axis=(1, 2))
            middles = np.concatenate([start.frames.mean(axis=0)[None], (path[1:] + path[:-1]) / 2])
            potential = [start.potential_energy(frames) for frames in _blocks(middles, middles.shape[1] ** 2)]
            energies = kinetic + np.concatenate(potential)
            self.energy_drift.append(np.abs(energies[1:] - energies[0]) / kinetic[0])

    def mean_squared_displacement(self):
        """Mean squared displacement over lags of 1, ..., T' frames `[T']`, over first frames, windows and particles."""
        total, count = self.squared_displacement
        return total / count


def _blocks(frames, num_pairs):
    """Split frames, of so many pairs each, into blocks, so that arrays over all pairs stay small."""
    size = max(1, _BLOCK // num_pairs)
    return (frames[start : start + size] for start in range(0, len(frames), size))


def _pair_distances(frames, chosen, box):
    """Flat distances to nearest images: of all pairs in `[k, n, D]`, or of the chosen particles with all others."""
    count = frames.shape[1]
    if len(chosen) == count:
        first, second = np.triu_indices(count, k=1)
    else:
        first, second = (each.ravel() for each in np.meshgrid(chosen, np.arange(count), indexing="ij"))
        first, second = first[first != second], second[first != second]
    return np.linalg.norm(minimum_image(frames[:, first] - frames[:, second], box), axis=-1).ravel()


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
          list over the middles `r` of shells of 12 %, or as wide as 400 true pairs need. In a periodic box it is
          divided by that of an ideal gas, the mean of (n - 1) / V over particles and windows, shells have 5 %, and it
          ends at half the width of the box: the g(r) of a liquid, with `normalized` true. An open domain has no mean
          density. `distance` is the 1-Wasserstein distance between the distributions of all pair distances. Absent if
          no system has two particles at different places;
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
    normalized = truth.others_per_volume > 0
    per_decade = _SHELLS_PER_DECADE[normalized]
    edges, counts = truth.distances.shells(per_decade)
    seen = 1 + np.flatnonzero(counts[1:])  # the first shell holds pairs at the same place
    seen = np.arange(seen[0], seen[-1] + 1)
    seen = seen[edges[seen + 1] <= max(truth.reach, edges[seen[0] + 1])]
    starts = seen if normalized else seen[0] + _starts(counts[seen])
    edges = edges[[*starts, seen[-1] + 1]]
    dimensions = truth.num_dimensions
    unit_ball = math.pi if dimensions == 2 else 4 / 3 * math.pi
    volumes = unit_ball * np.diff(edges**dimensions)
    ideal = truth.others_per_volume / truth.num_centers if normalized else 1.0
    densities = []
    for each in (rollout, truth):
        pairs = np.add.reduceat(each.distances.shells(per_decade)[1][: seen[-1] + 1], starts)
        densities.append((2 * pairs / each.num_centers / volumes / ideal).tolist())
    return {
        "r": np.sqrt(edges[1:] * edges[:-1]).tolist(),
        "rollout": densities[0],
        "truth": densities[1],
        "normalized": normalized,
        "distance": _wasserstein(rollout.distances, truth.distances),
    }


def _starts(counts):
    """First of the shells that are joined, from near to far, until they hold enough pairs; the last takes the rest."""
    starts, pairs = [0], 0
    for place, count in enumerate(counts[:-1]):
        pairs += count
        if pairs >= _PAIRS_PER_SHELL:
            starts.append(place + 1)
            pairs = 0
    if len(starts) > 1 and counts[starts[-1] :].sum() < _PAIRS_PER_SHELL:
        starts.pop()
    return np.array(starts)


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
