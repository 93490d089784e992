"""Close encounters of particles in the true windows, to split errors by them."""

import dataclasses
import itertools

import numpy as np

from pipelines.boxes import minimum_image
from socialmd_tf.evaluation import metrics

CLOSEST_APPROACH_EDGES = (0.0, 1.0, 2.0, 4.0, 8.0, np.inf)
"""Edges of the strata of closest approach, in mean moves per frame, where they split the particles."""
_FULL = 0.8
_FIFTHS = (0.2, 0.4, 0.6, 0.8)
_BLOCK = 2_000_000
MOST_PARTICLES = 1000
"""Number of particles up to which all pairs of a system are computed."""
_FEWEST, _SAMPLED_PAIRS = 10, 200_000


@dataclasses.dataclass(frozen=True)
class Encounters:
    """Closest encounters of every particle of every true window, from the last observed to the last predicted frame.

    Between two frames every pair is assumed to move on a straight line: r(s) = r_0 + s (r_1 - r_0), s in [0, 1]. In a
    periodic box, the images that are nearest at either frame are followed; an encounter is not missed if its distance
    and half the relative move |r_1 - r_0| add up to less than half the width of the box.
    """

    closest_approach: np.ndarray
    """Smallest |r(s)| to any other particle `[W, N]`, in units of length; infinite for padding and for particles that
    are alone in their system; NaN for particles of large systems that are not in the sample."""
    passing_distance: np.ndarray
    """Smallest |r(s)| at which the particle passes another between two frames `[W, N]`; infinite if it passes none.

    Two particles pass if |r(s)| is smallest strictly between the frames and less than half of its value at either
    frame. The frames alone do not show such an encounter."""


class Strata:
    """Errors by the distance of the closest encounter, summed up batch by batch.

    Args:
        mean_move: Mean Euclidean distance between two frames of the true windows.
        first: The `Encounters` of the first batch, which choose the edges.
    """

    def __init__(self, mean_move, first):
        self._mean_move = mean_move
        self._edges = list(itertools.pairwise(_edges(self._in_moves(first))))
        self._by_approach = [metrics.StratumTally() for _ in self._edges]
        self._crossing = {True: metrics.StratumTally(), False: metrics.StratumTally()}

    def add(self, found, scores):
        """Add the `Encounters` of a batch and the `Scores` of a predictor on it."""
        mean_move, known, in_moves = self._mean_move, ~np.isnan(found.closest_approach), self._in_moves(found)
        for (low, high), tally in zip(self._edges, self._by_approach, strict=True):
            tally.add(scores, known & (in_moves >= low) & ((in_moves < high) | np.isinf(high)))
        crosses = found.passing_distance < mean_move
        self._crossing[True].add(scores, known & crosses)
        self._crossing[False].add(scores, known & ~crosses)

    def join(self, other):
        """Add the scores of another object with the same edges."""
        for ours, theirs in zip(self._by_approach, other._by_approach, strict=True):
            ours.join(theirs)
        for crossing, tally in self._crossing.items():
            tally.join(other._crossing[crossing])

    def _in_moves(self, found):
        """Closest approaches in mean moves."""
        nearest, mean_move = found.closest_approach, self._mean_move
        return nearest / mean_move if mean_move > 0 else np.where(np.isnan(nearest), np.nan, np.inf)

    def result(self):
        """Dictionary of two lists of `metrics.StratumTally` results.

        `closest_approach`, with the edges `from` and `to` in mean moves (`to` is None for the last stratum, which has
        no upper edge), which are the fixed ones, or the fifths of the particles of the first batch if one of the fixed
        strata would have more than 80 % of them; and `crossing`, with `crossing` true for particles that pass another
        (see `passing_distance`) at less than a mean move, and false for the others.
        """
        return {
            "closest_approach": [
                {"from": low, "to": None if np.isinf(high) else high, **tally.result()}
                for (low, high), tally in zip(self._edges, self._by_approach, strict=True)
            ],
            "crossing": [{"crossing": crossing, **tally.result()} for crossing, tally in self._crossing.items()],
        }


def _edges(in_moves):
    """The fixed edges, or fifths, rounded to two digits, where one fixed stratum would have nearly all particles."""
    values = in_moves[np.isfinite(in_moves)]
    counts = np.histogram(values, CLOSEST_APPROACH_EDGES)[0]
    if counts.max() <= _FULL * len(values):
        return CLOSEST_APPROACH_EDGES
    fifths = {float(f"{value:.2g}") for value in np.quantile(values, _FIFTHS)}
    return (0.0, *sorted(fifths - {0.0}), np.inf)


def encounters(paths, mask, boxes=None):
    """Find the `Encounters` of a batch; of systems of more than 1000 particles, those of a sample of them.

    Args:
        paths: True positions `[B, T' + 1, N, D]`, unwrapped: the last observed frame and the frames after it.
        mask: `[B, N]`.
        boxes: Lattice vectors in rows `[B, D, D]`, or None in open space.
    """
    closest, passing = np.full((2, *mask.shape), np.inf)
    for window, real in enumerate(mask > 0):
        path = paths[window][:, real].astype(np.float64)
        box = None if boxes is None else np.asarray(boxes[window], np.float64)
        chosen = sample_of_particles(path.shape[1])
        members = np.flatnonzero(real)[chosen]
        closest[window, np.setdiff1d(np.flatnonzero(real), members)] = np.nan
        block = max(1, _BLOCK // (path.shape[1] * len(chosen)))
        for start in range(0, len(path) - 1, block):
            nearest, passed = _nearest(path[start : start + block + 1], chosen, box)
            closest[window, members] = np.minimum(closest[window, members], nearest.min(axis=(0, 2)))
            passing[window, members] = np.minimum(passing[window, members], passed.min(axis=(0, 2)))
    return Encounters(closest, passing)


def sample_of_particles(count):
    """Numbers of the particles whose pairs with all others are computed, in ascending order.

    Args:
        count: Number of particles. Of more than 1000, a random sample of 200 000 / count, but at least 10, the same
            for every system of this size.
    """
    if count <= MOST_PARTICLES:
        return np.arange(count)
    size = max(_FEWEST, _SAMPLED_PAIRS // count)
    return np.sort(np.random.default_rng(0).choice(count, min(size, count), replace=False))


def _nearest(frames, chosen, box):
    """Smallest |r(s)| of the chosen particles between frames `[k + 1, N, D]`: of all pairs, of those that pass."""
    displacement = frames[:, None] - frames[:, chosen, None]
    itself = chosen[:, None] == np.arange(frames.shape[1])
    change = np.diff(displacement, axis=0)
    if box is None:
        return _nearest_on_lines(displacement[:-1], change, itself)
    images = minimum_image(displacement, box)
    of_first = _nearest_on_lines(images[:-1], change, itself)
    of_second = _nearest_on_lines(images[1:] - change, change, itself)
    return [np.minimum(*each) for each in zip(of_first, of_second, strict=True)]


def _nearest_on_lines(start, change, itself):
    """As `_nearest`, for displacements that go from `start` to `start + change`, each `[k, C, N, D]`."""
    squared = np.square(change).sum(axis=-1)
    towards = -(start * change).sum(axis=-1)
    s = np.clip(np.divide(towards, squared, out=np.zeros_like(squared), where=squared > 0), 0.0, 1.0)
    nearest, *at_frames = (
        np.sqrt(np.einsum("...d,...d->...", each, each))
        for each in (start + s[..., None] * change, start, start + change)
    )
    passes = (s > 0) & (s < 1) & (nearest < 0.5 * np.minimum(*at_frames))
    return np.where(itself, np.inf, nearest), np.where(passes & ~itself, nearest, np.inf)
