"""Scores of the ensemble of a mixture by simulations of that composition."""

import math

import numpy as np

from socialmd_tf.evaluation.ensembles.scores import crps_of_pairs, fair_crps
from socialmd_tf.evaluation.ensembles.tally import Tally, jackknife


def scores_of(members, simulations):
    """Scores of an ensemble that knows nothing of the simulations.

    Args:
        members: Statistic -> `[S, K, ...]`.
        simulations: List of `Simulation` of the composition, which the model was not trained on.

    Returns:
        Statistic -> its numbers as `Tally.summary` has them, and

        - `simulation_crps`: the score of the simulations of other starts, by which one would predict a simulation if
          the composition had been simulated already; NaN with fewer than two starts;
        - `ratio_to_simulations`: `crps` over that, and its standard error by the jackknife over starts.
    """
    found = {}
    for name, values in members.items():
        tested = [each for each in simulations if not np.isnan(each.runs[name]).any()]
        if not tested:
            continue
        tally = Tally()
        for each in tested:
            tally.add(name, each.group, values, each.runs[name])
        found[name] = tally.summary()[name] | _ratio(values, [each.runs[name] for each in tested])
    return found


def _ratio(members, runs):
    crps = np.array([fair_crps(members, each).mean() for each in runs])
    pairs, count = crps_of_pairs(runs), len(runs)

    def floor(kept):
        chosen = pairs[np.ix_(kept, kept)]
        number = len(kept) * (len(kept) - 1)
        return float(chosen.sum() / number) if number and chosen.sum() else math.nan

    every = np.arange(count)
    others = (
        [crps[kept].mean() / floor(kept) for kept in (np.delete(every, place) for place in every)] if count > 2 else []
    )
    return {
        "simulation_crps": floor(every),
        "ratio_to_simulations": float(crps.mean() / floor(every)),
        "ratio_to_simulations_standard_error": jackknife(others),
    }
