"""One clause about drawn paths: better than which baseline, as good as re-runs, and whether their spread is true."""

import math

from pipelines.counts import counted
from socialmd_tf.evaluation.verdict import word_for


def verdict(ensembles, models):
    """The clause about the ensembles of the first model.

    The baseline that has the lower CRPS in the largest share of the statistics counts. The spread is judged by the
    means of the coverages over statistics, as that of a density.

    Args:
        ensembles: `EnsembleFindings`.
        models: Names of the models.

    Returns:
        The clause; None if the model has no ensembles.
    """
    model, predictors = models[0], ensembles.predictors
    if model not in predictors:
        return None
    ours, clauses = predictors[model], []
    shares = {name: _share_won(ours, theirs) for name, theirs in predictors.items() if name not in models}
    shares = {name: share for name, share in shares.items() if share[1]}
    if shares:
        best = min(shares, key=lambda name: shares[name][0] / shares[name][1])
        won, count = shares[best]
        clauses.append(
            f"the CRPS of its drawn paths is lower than that of {best}, the best baseline, in {won} of "
            f"{counted(count, 'statistic')}"
        )
    ratio = ours["geometric_mean_ratio"]
    if math.isfinite(ratio):
        of = counted(ours["num_ratios"], "statistic")
        clauses.append(f"it is {ratio:.2f} times that of re-runs (geometric mean of {of})")
    means = ensembles.calibration(model)
    if means:
        clauses.append(
            f"their spread is {word_for(means)}: on average over statistics, {100 * means['coverage_50']:.1f} % of the "
            f"true values are in the middle 50 % of the paths, {100 * means['coverage_90']:.1f} % in the middle 90 %"
        )
    return ", ".join(clauses[:-1]) + ("; " if clauses[:-1] else "") + clauses[-1] if clauses else None


def _share_won(ours, theirs):
    """Number of common statistics in which we have the lower CRPS, and number of common statistics."""
    scores = [
        (found["crps"], theirs["statistics"][name]["crps"])
        for name, found in ours["statistics"].items()
        if name in theirs["statistics"]
    ]
    scores = [pair for pair in scores if all(map(math.isfinite, pair))]
    return sum(mine < other for mine, other in scores), len(scores)
