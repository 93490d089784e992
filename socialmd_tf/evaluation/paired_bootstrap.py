"""Paired differences between two predictors on the same windows, with bootstrap intervals."""

import itertools
import math

import numpy as np

_RESAMPLES = 10_000
_SEED = 0
_BLOCK = 1_000_000


def difference(first, second):
    """Difference between the means of two predictors, with its bootstrap interval.

    Windows of one simulation are not independent, so whole simulations are resampled: 10 000 times, with a fixed seed
    and the same choice for both predictors.

    Args:
        first: Sums and counts `[C]` of one predictor in the C simulations.
        second: Those of the other, over the same simulations and counts.

    Returns:
        Mean of the first minus mean of the second, and the list of the 2.5 % and 97.5 % quantiles of that difference
        over the resamples; NaN for a single simulation.
    """
    (first_sums, counts), (second_sums, _) = first, second
    differences = first_sums - second_sums
    mean = float(differences.sum() / counts.sum())
    if len(counts) < 2:
        return mean, [math.nan] * 2
    generator, means = np.random.default_rng(_SEED), []
    size = max(1, _BLOCK // len(counts))
    for start in range(0, _RESAMPLES, size):
        drawn = generator.integers(len(counts), size=(min(size, _RESAMPLES - start), len(counts)))
        means.append(differences[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    return mean, [float(quantile) for quantile in np.quantile(np.concatenate(means), [0.025, 0.975])]


def compare(totals_by_name, models):
    """Compare all pairs of models, and the first model with every other predictor.

    Args:
        totals_by_name: Name of a predictor -> what `metrics.Tally.totals` returns.
        models: Names of the models.

    Returns:
        List of dictionaries of `first`, `second`, `mae_difference`, `mae_interval`, `nll_difference`,
        `nll_interval` and `num_simulations`. A negative difference means that the first is better.
    """
    pairs = list(itertools.combinations(models, 2))
    pairs += [(models[0], name) for name in totals_by_name if name not in models]
    rows = []
    for first, second in pairs:
        row = {"first": first, "second": second}
        for kind in ("mae", "nll"):
            pair = totals_by_name[first][kind], totals_by_name[second][kind]
            row[f"{kind}_difference"], row[f"{kind}_interval"] = difference(*pair)
        row["num_simulations"] = len(totals_by_name[first]["mae"][1])
        rows.append(row)
    return rows
