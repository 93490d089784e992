"""Close encounters of particles in the true windows, to split errors by them."""

import dataclasses
import itertools

import numpy as np

from pipelines.boxes import minimum_image
from socialmd_tf.evaluation import metrics

CLOSEST_APPROACH_EDGES = (0.0, 1.0, 2.0, 4.0, 8.0, np.inf)
"""Edges of the strata of closest approach, in mean moves per frame."""
_BLOCK = 2_000_000


@dataclasses.dataclass(frozen=True)
class Encounters:
    """Closest encounters of every particle of every true window, from the last observed to the last predicted frame.

    Between two frames every pair is assumed to move on a straight line: r(s) = r_0 + s (r_1 - r_0), s in [0, 1]. In a
    periodic box, the images that are nearest at either frame are followed; an encounter is not missed if its distance
    and half the relative move |r_1 - r_0| add up to less than half the width of the box.
    """

    closest_approach: np.ndarray
    """Smallest |r(s)| to any other particle `[W, N]`, in units of length; infinite for padding and for particles that
    are alone in their system."""
    passing_distance: np.ndarray
    """Smallest |r(s)| at which the particle passes another between two frames `[W, N]`; infinite if it passes none.

    Two particles pass if |r(s)| is smallest strictly between the frames and less than half of its value at either
    frame. The frames alone do not show such an encounter."""

    @classmethod
    def concatenate(cls, parts):
        """Join the encounters of several batches."""
        return cls(
            np.concatenate([part.closest_approach for part in parts]),
            np.concatenate([part.passing_distance for part in parts]),
        )

    def strata(self, scores, mean_move):
        """Split errors by the distance of the closest encounter.

        Args:
            scores: The `Scores` of a predictor on the same windows.
            mean_move: Mean Euclidean distance between two frames of the true windows.

        Returns:
            Dictionary of two lists of `metrics.stratum` results: `closest_approach`, with the edges `from` and `to` in
            mean moves (`to` is None for the last stratum, which has no upper edge), and `crossing`, with `crossing`
            true for particles that pass another (see `passing_distance`) at less than a mean move, and false for the
            others.
        """
        in_moves = self.closest_approach / mean_move if mean_move > 0 else np.full_like(self.closest_approach, np.inf)
        by_approach = []
        for low, high in itertools.pairwise(CLOSEST_APPROACH_EDGES):
            chosen = (in_moves >= low) & ((in_moves < high) | np.isinf(high))
            end = None if np.isinf(high) else high
            by_approach.append({"from": low, "to": end, **metrics.stratum(scores, chosen)})
        crosses = self.passing_distance < mean_move
        return {
            "closest_approach": by_approach,
            "crossing": [
                {"crossing": True, **metrics.stratum(scores, crosses)},
                {"crossing": False, **metrics.stratum(scores, ~crosses)},
            ],
        }


def encounters(paths, mask, boxes=None):
    """Find the `Encounters` of a batch.

    Args:
        paths: True positions `[B, T' + 1, N, D]`, unwrapped: the last observed frame and the frames after it.
        mask: `[B, N]`.
        boxes: Lattice vectors in rows `[B, D, D]`, or None in open space.
    """
    closest, passing = np.full((2, *mask.shape), np.inf)
    for window, real in enumerate(mask > 0):
        path = paths[window][:, real].astype(np.float64)
        box = None if boxes is None else np.asarray(boxes[window], np.float64)
        block = max(1, _BLOCK // path.shape[1] ** 2)
        for start in range(0, len(path) - 1, block):
            frames = path[start : start + block + 1]
            nearest, passed = _nearest(frames, box)
            closest[window, real] = np.minimum(closest[window, real], nearest.min(axis=(0, 2)))
            passing[window, real] = np.minimum(passing[window, real], passed.min(axis=(0, 2)))
    return Encounters(closest, passing)


def _nearest(frames, box):
    """Smallest |r(s)| of every pair between frames `[k + 1, N, D]`: of all pairs, and of those that pass each other."""
    displacement = frames[:, None] - frames[:, :, None]
    change = np.diff(displacement, axis=0)
    if box is None:
        return _nearest_on_lines(displacement[:-1], change)
    images = minimum_image(displacement, box)
    of_first, of_second = _nearest_on_lines(images[:-1], change), _nearest_on_lines(images[1:] - change, change)
    return [np.minimum(*each) for each in zip(of_first, of_second, strict=True)]


def _nearest_on_lines(start, change):
    """As `_nearest`, for displacements that go from `start` to `start + change`, each `[k, N, N, D]`."""
    squared = np.square(change).sum(axis=-1)
    towards = -(start * change).sum(axis=-1)
    s = np.clip(np.divide(towards, squared, out=np.zeros_like(squared), where=squared > 0), 0.0, 1.0)
    nearest = np.linalg.norm(start + s[..., None] * change, axis=-1)
    at_frames = [np.linalg.norm(each, axis=-1) for each in (start, start + change)]
    passes = (s > 0) & (s < 1) & (nearest < 0.5 * np.minimum(*at_frames))
    itself = np.eye(start.shape[1], dtype=bool)
    return np.where(itself, np.inf, nearest), np.where(passes & ~itself, nearest, np.inf)
