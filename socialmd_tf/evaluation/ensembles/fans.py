"""Curves of an ensemble over those that were observed, for the report."""

import numpy as np

from socialmd_tf.evaluation.ensembles.curves import FAMILIES
from socialmd_tf.evaluation.ensembles.findings import Fan

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_MOST_POINTS = 60


def chosen(count, most=3):
    """Numbers of up to `most` starts, spread evenly."""
    return {int(number) for number in np.linspace(0, count - 1, min(count, most)).round()}


def fans(file, members, runs, statistics, setting, interval):
    """The fans of one start.

    Args:
        file: The file.
        members: Statistic -> `[S, K, ...]`.
        runs: Statistic -> `[1 + R, K, ...]`.
        statistics: Statistic -> (family, groups), see `curves.statistics`.
        setting: The `Setting`.
        interval: Time between two steps.

    Returns:
        List of `Fan`, one per statistic that is finite.
    """
    found = []
    for name, (family, _) in statistics.items():
        if name in members and np.isfinite(members[name]).all() and np.isfinite(runs[name]).all():
            axis, x, places = _axis(FAMILIES[family].axes, setting, interval, runs[name].shape[1])
            ours, true = members[name][:, places], runs[name][:, places]
            found.append(Fan(name, file, axis, x, np.quantile(ours, _QUANTILES, axis=0), true))
    return found


def _axis(axes, setting, interval, length):
    """What x is, its values, and their places in a curve."""
    if len(axes) == 2:
        edges = setting.pair_edges if axes[1] == "pair shell" else setting.center_edges
        return "distance", (edges[1:] + edges[:-1]) / 2, -1
    steps = setting.spread_steps if axes[0] == "spread" else np.arange(1, length + 1)
    places = np.unique(np.linspace(0, length - 1, min(length, _MOST_POINTS)).round().astype(int))
    return "lag" if axes[0] == "lag" else "time", steps[places] * interval, places
