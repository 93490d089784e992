"""Is one predictor better than another? Paired differences on the same windows, with their uncertainty."""

import itertools

import numpy as np

_RESAMPLES = 10_000
_SEED = 0


def totals(values, real, trajectories):
    """Sum and count of one predictor's numbers, trajectory by trajectory.

    Args:
        values: `[W, T', N]`.
        real: Which of them count `[W, T', N]`.
        trajectories: For every window the trajectory it comes from, `[W]`.

    Returns:
        Sums and counts `[C]`, of the C different trajectories in ascending order.
    """
    names, which = np.unique(trajectories, return_inverse=True)
    sums = np.bincount(which, np.sum(values, axis=(1, 2), where=real, dtype=np.float64), len(names))
    return sums, np.bincount(which, real.sum(axis=(1, 2)), len(names))


def totals_of(scores, trajectories):
    """The `totals` of a predictor's `mae` and `nll`, in a dictionary; `scores` are its `Scores`."""
    error = scores.error.mean(axis=-1, dtype=np.float64)
    return {
        "mae": totals(error, scores.real, trajectories),
        "nll": totals(scores.nll, scores.real, trajectories),
    }


def difference(first, second):
    """Difference of two predictors' means and its bootstrap interval.

    The windows of one trajectory are not independent, so what is drawn with replacement, 10 000 times with a fixed
    seed, are whole trajectories, the same for both predictors.

    Args:
        first: `totals` of one predictor.
        second: `totals` of the other; the same trajectories and counts.

    Returns:
        Mean of the first minus mean of the second, and the 2.5 % and 97.5 % quantiles of that difference over the
        draws, NaN for a single trajectory.
    """
    (first_sums, counts), (second_sums, _) = first, second
    differences = first_sums - second_sums
    mean = float(differences.sum() / counts.sum())
    if len(counts) < 2:
        return mean, [float("nan")] * 2
    drawn = np.random.default_rng(_SEED).integers(len(counts), size=(_RESAMPLES, len(counts)))
    means = differences[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return mean, [float(quantile) for quantile in np.quantile(means, [0.025, 0.975])]


def compare(scores_totals, models):
    """All pairs of models, and the first model against everything else.

    Args:
        scores_totals: For every predictor by name the `totals` of its `mae` and of its `nll`, in a dictionary.
        models: Names of the models; the first of them leads.

    Returns:
        List of dictionaries of `first`, `second`, `mae_difference`, `mae_interval`, `nll_difference`,
        `nll_interval` and `num_trajectories`; a difference below zero says that the first is better.
    """
    pairs = list(itertools.combinations(models, 2))
    pairs += [(models[0], name) for name in scores_totals if name not in models]
    rows = []
    for first, second in pairs:
        row = {"first": first, "second": second}
        for kind in ("mae", "nll"):
            pair = scores_totals[first][kind], scores_totals[second][kind]
            row[f"{kind}_difference"], row[f"{kind}_interval"] = difference(*pair)
        row["num_trajectories"] = len(scores_totals[first]["mae"][1])
        rows.append(row)
    return rows
