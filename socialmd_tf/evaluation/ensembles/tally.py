"""Scores of one predictor, collected state by state, and their summary."""

import math
from collections import defaultdict

import numpy as np

from socialmd_tf.evaluation.ensembles import scores

_INTERVALS = {"coverage_50": (0.25, 0.75), "coverage_90": (0.05, 0.95)}


class Tally:
    """The scores of one predictor.

    Args:
        seed: Seed of the random ranks among equal members.
    """

    def __init__(self, seed=0):
        self._generator = np.random.default_rng(seed)
        self._rows = defaultdict(list)

    def add(self, name, group, members, runs):
        """Score the members of one statistic at one state.

        Args:
            name: The statistic.
            group: The simulation.
            members: `[S, K, ...]`.
            runs: What was observed, `[1 + R, K, ...]`.
        """
        crps = scores.fair_crps(members, runs).mean()
        row = {"group": group, "crps": float(crps), "floor": math.nan}
        if len(runs) > 1:
            row["floor"] = float(scores.crps_between(runs).mean())
        if len(members) > 1:
            row["spread"], row["error"] = scores.squared_spread_and_error(members, runs)
            ranks = scores.ranks(members, runs, self._generator)
            row["histogram"] = np.histogram(ranks, np.linspace(0, 1, scores.NUM_RANKS + 1))[0]
            row |= {key: float(((ranks >= a) & (ranks < b)).mean()) for key, (a, b) in _INTERVALS.items()}
        self._rows[name].append(row)

    def add_energy(self, group, members, runs):
        """Score whole configurations at some steps.

        Args:
            group: The simulation.
            members: Positions `[S, K, n, D]`.
            runs: `[1 + R, K, n, D]`.
        """
        count = math.sqrt(members.shape[2])
        flat = [[each[:, k].reshape(len(each), -1) / count for k in range(each.shape[1])] for each in (members, runs)]
        crps = [scores.energy_score(ours, true).mean() for ours, true in zip(*flat, strict=True)]
        floor = [scores.energy_between(true) for true in flat[1]] if len(runs) > 1 else math.nan
        row = {"group": group, "crps": float(np.mean(crps)), "floor": float(np.mean(floor))}
        self._rows["configuration"].append(row)

    def join(self, other):
        """Add the scores of states that follow."""
        for name, rows in other._rows.items():
            self._rows[name] += rows

    def summary(self):
        """Statistic -> its numbers, averaged over states; see `EnsembleFindings`."""
        return {name: _summary(rows) for name, rows in self._rows.items()}


def geometric_mean(summary):
    """Geometric mean of the ratios of all statistics that have one, and their number."""
    ratios = [found["ratio"] for found in summary.values() if not math.isnan(found["rerun_crps"])]
    if not ratios or not all(ratio > 0 for ratio in ratios):
        return math.nan, len(ratios)
    return float(np.exp(np.log(ratios).mean())), len(ratios)


def _summary(rows):
    crps, groups = np.array([row["crps"] for row in rows]), [row["group"] for row in rows]
    floor = np.array([row["floor"] for row in rows])
    there = ~np.isnan(floor)
    ratio, error = _ratio(
        crps[there], floor[there], [group for group, is_there in zip(groups, there, strict=True) if is_there]
    )
    found = {
        "num_starts": len(rows),
        "crps": float(crps.mean()),
        "crps_standard_error": _ratio(crps, np.ones(len(crps)), groups)[1],
        "rerun_crps": float(floor[there].mean()) if there.any() else math.nan,
        "ratio": ratio,
        "ratio_standard_error": error,
    }
    if all("histogram" in row for row in rows):
        histogram = np.sum([row["histogram"] for row in rows], axis=0)
        error = sum(row["error"] for row in rows)
        found |= {
            "spread_over_skill": math.sqrt(sum(row["spread"] for row in rows) / error) if error > 0 else math.nan,
            **{key: float(np.mean([row[key] for row in rows])) for key in _INTERVALS},
            "rank_histogram": (histogram / max(histogram.sum(), 1)).tolist(),
        }
    return found


def _ratio(values, references, groups):
    """Sum of values over sum of references, and its standard error by the jackknife that leaves out whole groups."""
    if not len(values) or references.sum() == 0:
        return math.nan, math.nan
    ratio = float(values.sum() / references.sum())
    labels = list(dict.fromkeys(groups))
    inside = np.array([[group == label for group in groups] for label in labels])
    kept = ~inside
    rest = [(values[rows].sum(), references[rows].sum()) for rows in kept]
    if len(labels) < 2 or any(reference == 0 for _, reference in rest):
        return ratio, math.nan
    return ratio, jackknife([value / reference for value, reference in rest])


def jackknife(others):
    """Standard error of a number by the jackknife.

    Args:
        others: The number without each of the G groups in turn `[G]`; NaN without any.
    """
    others, count = np.array(others), len(others)
    return float(np.sqrt((count - 1) / count * np.square(others - others.mean()).sum())) if count else math.nan
