"""Scores of an ensemble of numbers against what was observed."""

import numpy as np
import scoringrules
from scipy.spatial.distance import cdist, pdist

NUM_RANKS = 10
"""Bins of a rank histogram."""


def fair_crps(members, observed):
    """Continuous ranked probability score of a finite ensemble, fair: its mean does not depend on S.

        mean_i |x_i - y| - sum_ij |x_i - x_j| / (2 S (S - 1))

    An ensemble of one member is a point prediction, whose score is |x - y|.

    Args:
        members: x, `[S, ...]`.
        observed: y, `[R, ...]`.

    Returns:
        `[R, ...]`, in the unit of the statistic; its mean is smallest for members drawn from the distribution of y.
        (Ferro 2014; computed by `scoringrules` in the equal form of probability weighted moments, S log S.)
    """
    if len(members) == 1:
        return np.abs(observed - members)
    ensemble = np.broadcast_to(np.moveaxis(members, 0, -1), (*observed.shape, len(members)))
    return np.asarray(scoringrules.crps_ensemble(observed, ensemble, estimator="pwm", backend="numpy"))


def crps_between(runs):
    """Fair CRPS of runs of one simulation from one state, each scored by the ensemble of the others, averaged.

    The average of fair scores that leave one out is half the mean distance of two runs,

        sum_(i != j) |y_i - y_j| / (2 R (R - 1)),

    which is what a perfect ensemble reaches: the floor.

    Args:
        runs: y, `[R, ...]` with R >= 2.

    Returns:
        `[...]`.
    """
    count = len(runs)
    total = sum(np.abs(runs[i] - runs[j]) for i in range(count) for j in range(i))
    return total / (count * (count - 1))


def crps_of_pairs(runs):
    """Half the mean distance of two runs of different starts, for every pair of starts.

    Its average over pairs is the fair CRPS of simulations, each scored by an ensemble of those of other starts: what
    an ensemble of simulations reaches that does not know the start.

    Args:
        runs: The runs of each of A starts, `[R, ...]`.

    Returns:
        `[A, A]`, zero on the diagonal, averaged over all axes but that of the runs.
    """
    found = np.zeros((len(runs), len(runs)))
    for a, ours in enumerate(runs):
        for b, others in enumerate(runs[:a]):
            found[a, b] = found[b, a] = np.abs(ours[:, None] - others[None]).mean() / 2
    return found


def energy_score(members, observed):
    """Fair energy score, the CRPS of vectors: mean_i |x_i - y| - sum_ij |x_i - x_j| / (2 S (S - 1)).

    Args:
        members: x, `[S, V]`.
        observed: y, `[R, V]`.

    Returns:
        `[R]`. (Gneiting and Raftery 2007.)
    """
    spread = pdist(members).mean() if len(members) > 1 else 0.0
    return cdist(observed, members).mean(axis=1) - spread / 2


def energy_between(runs):
    """As `crps_between`, for vectors `[R, V]`: half the mean distance of two runs."""
    return float(pdist(runs).mean()) / 2


def ranks(members, observed, generator):
    """Where observations lie among the members, from 0 to 1: uniform if both have the same distribution.

        (number of members below y + u (number of members equal to y + 1)) / (S + 1),  u uniform in [0, 1)

    Args:
        members: `[S, ...]`.
        observed: `[R, ...]`.
        generator: A `numpy.random.Generator`, for u.

    Returns:
        `[R, ...]`.
    """
    below = np.stack([(members < each).sum(axis=0) for each in observed])
    equal = np.stack([(members == each).sum(axis=0) for each in observed])
    return (below + generator.random(below.shape) * (equal + 1)) / (len(members) + 1)


def squared_spread_and_error(members, observed):
    """Variance of the ensemble and squared error of its mean, both averaged; equal on average for a perfect ensemble.

    The variance is (1 + 1 / S) times that of the members, because their mean has an error too (Fortin et al. 2014).

    Args:
        members: `[S, ...]`, S >= 2.
        observed: `[R, ...]`.

    Returns:
        Two numbers.
    """
    spread = (1 + 1 / len(members)) * members.var(axis=0, ddof=1).mean()
    return float(spread), float(np.square(observed - members.mean(axis=0)).mean())
