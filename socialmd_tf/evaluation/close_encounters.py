"""How closely particles meet in the true windows, so that errors can be told apart by it."""

import dataclasses
import itertools

import numpy as np

from socialmd_tf.evaluation import metrics

CLOSEST_APPROACH_EDGES = (0.0, 1.0, 2.0, 4.0, 8.0, np.inf)
"""Edges of the strata of closest approach, in mean moves."""
_BLOCK = 2_000_000


@dataclasses.dataclass(frozen=True)
class Encounters:
    """What happens to every particle of every true window, from the last observed frame to the last predicted one.

    Between two frames every pair is taken to move straight: r(s) = r_0 + s (r_1 - r_0), s in [0, 1].
    """

    closest_approach: np.ndarray
    """Smallest |r(s)| to any other particle `[W, N]`, in units of length; infinite for padding and lonely particles."""
    passing_distance: np.ndarray
    """Smallest |r(s)| at which another particle is passed between two frames `[W, N]`; infinite where none is.

    Passing means that |r(s)| is smallest strictly between the frames, and there is less than half of what it is at
    either of them: the frames themselves do not show how near the two came."""

    @classmethod
    def concatenate(cls, parts):
        """Encounters of batches, one after the other."""
        return cls(
            np.concatenate([part.closest_approach for part in parts]),
            np.concatenate([part.passing_distance for part in parts]),
        )

    def strata(self, scores, mean_move):
        """Errors by how closely a particle meets another.

        Args:
            scores: The `Scores` of a predictor on the same windows.
            mean_move: Mean Euclidean distance between two frames of the true windows.

        Returns:
            Dictionary of `closest_approach`, a list of what `metrics.stratum` gives with the edges `from` and `to` in
            mean moves (`to` is None for the last, without an end), and `crossing`, a list of two with `crossing`
            true and false: particles that pass another, see `passing_distance`, nearer than a mean move.
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


def encounters(paths, mask):
    """The `Encounters` of a batch.

    Args:
        paths: True positions `[B, T' + 1, N, D]`, the last observed frame and those after it.
        mask: `[B, N]`.
    """
    closest, passing = np.full((2, *mask.shape), np.inf)
    for window, real in enumerate(mask > 0):
        path = paths[window][:, real].astype(np.float64)
        block = max(1, _BLOCK // path.shape[1] ** 2)
        for start in range(0, len(path) - 1, block):
            frames = path[start : start + block + 1]
            nearest, passed = _nearest(frames)
            closest[window, real] = np.minimum(closest[window, real], nearest.min(axis=(0, 2)))
            passing[window, real] = np.minimum(passing[window, real], passed.min(axis=(0, 2)))
    return Encounters(closest, passing)


def _nearest(frames):
    """Smallest |r(s)| of every pair between frames `[k + 1, N, D]`: all of them, and where one passes the other."""
    displacement = frames[:, None] - frames[:, :, None]
    start, change = displacement[:-1], np.diff(displacement, axis=0)
    squared = np.square(change).sum(axis=-1)
    towards = -(start * change).sum(axis=-1)
    s = np.clip(np.divide(towards, squared, out=np.zeros_like(squared), where=squared > 0), 0.0, 1.0)
    nearest = np.linalg.norm(start + s[..., None] * change, axis=-1)
    at_frames = np.linalg.norm(displacement, axis=-1)
    passes = (s > 0) & (s < 1) & (nearest < 0.5 * np.minimum(at_frames[:-1], at_frames[1:]))
    itself = np.eye(frames.shape[1], dtype=bool)
    return np.where(itself, np.inf, nearest), np.where(passes & ~itself, nearest, np.inf)
