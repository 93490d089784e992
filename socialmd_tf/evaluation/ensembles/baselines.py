"""Ensembles without a network, beside which the models are scored."""

import numpy as np

from socialmd_tf.evaluation.ensembles.training_runs import composition

_COEFFICIENTS = 3


class ConstantPosition:
    """Nothing moves: an ensemble of one."""

    def __init__(self, num_steps):
        self._num_steps = num_steps

    def paths(self, case, number):
        """Paths `[S, T' + 1, n, D]` from a `Case` and its number."""
        return np.repeat(case.runs[None, 0, :1], self._num_steps + 1, axis=1)


class RandomWalk:
    """Independent Gaussian moves, with the variance of the group's moves on the training split."""

    def __init__(self, training, setting, num_samples):
        self._scales = np.sqrt(training.move_variances())
        self._setting, self._num_samples = setting, num_samples

    def paths(self, case, number):
        """Paths `[S, T' + 1, n, D]` from a `Case` and its number, which is the seed."""
        _, num_frames, num_particles, size = case.runs.shape
        scales = self._scales[self._setting.kinds(case.features)][:, None]
        shape = (self._num_samples, num_frames - 1, num_particles, size)
        moves = np.random.default_rng(number).standard_normal(shape) * scales
        start = np.broadcast_to(case.runs[0, 0], (self._num_samples, 1, num_particles, size))
        return np.concatenate([start, start + moves.cumsum(axis=1)], axis=1)


class SameComposition:
    """Other simulations of the same composition: training files with the same own features, from the same frame on."""

    reason = "the training split has no simulation of the same composition that goes as far"

    def __init__(self, training, setting):
        self._training, self._setting = training, setting

    def curves(self, case):
        """Statistic -> members `[S, K, ...]` for a `Case`; empty where there is no such file."""
        ours = composition(case.features[:, self._setting.own_features])
        same = [found for _, own, found in self._training.statistics_from(case.frame) if np.array_equal(own, ours)]
        return members_of(same)


class TrainingStretches:
    """Stretches of the training part of the same simulation, where simulations are split in time."""

    reason = "no file of the training split is a part of the same simulation and long enough"

    def __init__(self, training):
        self._training = training

    def curves(self, case):
        """Statistic -> members `[S, K, ...]` for a `Case`; empty where there is no such file."""
        return members_of(self._training.stretches_of(case.group))


class CompositionRegression:
    """Quadratic regression of the curves on the share of the first of two groups, over training files.

    For files of the same two groups, each number of each curve is fitted by b0 + b1 c + b2 c^2, c the share of the
    first group. The members are the fit at the share of the case plus the residual of every training file, times
    sqrt(n / (n - 3)), because a fit to n files makes residuals too small.
    """

    reason = (
        "it needs simulations of two groups of particles, and four training files of the same groups at three ratios"
    )

    def __init__(self, training, setting):
        self._training, self._setting = training, setting

    def curves(self, case):
        """Statistic -> members `[n, K, ...]` for a `Case`; empty where it does not apply."""
        groups = len(self._setting.groups.names)
        ours = np.bincount(self._setting.kinds(case.features), minlength=groups)
        files = self._training.statistics_from(case.frame)
        alike = [(counts, found) for counts, _, found in files if ((counts > 0) == (ours > 0)).all()]
        if (ours > 0).sum() != 2:
            return {}
        first = int(np.argmax(ours > 0))
        shares = [counts[first] / counts.sum() for counts, _ in alike]
        return regression(shares, [found for _, found in alike], ours[first] / ours.sum())


def regression(shares, found, share):
    """A quadratic regression of every number of every curve on a share.

    Args:
        shares: The share in each of n simulations.
        found: Statistic -> `[K, ...]` of each simulation.
        share: The share at which to evaluate the fit.

    Returns:
        Statistic -> members `[n, K, ...]`, see `quadratic_fit`; empty for fewer than four simulations or three shares.
    """
    if len(found) <= _COEFFICIENTS or len(np.unique(shares)) < _COEFFICIENTS:
        return {}
    whole = {name: values for name, values in members_of(found).items() if len(values) == len(found)}
    return {name: quadratic_fit(np.array(shares), values, share) for name, values in whole.items()}


def members_of(found):
    """Curves of several files by statistic `[S, K, ...]`; files that lack a statistic are left out of it."""
    members = {}
    for each in found:
        for name, curve in each.items():
            if not np.isnan(curve).any():
                members.setdefault(name, []).append(curve)
    return {name: np.stack(values) for name, values in members.items()}


def quadratic_fit(shares, values, share):
    """A quadratic regression at one share, with the residuals of the fit as its spread.

    Args:
        shares: Share of a kind of particle in each of n simulations `[n]`, at least three different ones.
        values: Numbers of each simulation `[n, ...]`.
        share: Where to evaluate the fit.

    Returns:
        `[n, ...]`: the fitted value plus the residual of each simulation times sqrt(n / (n - 3)).
    """
    count = len(shares)
    design = np.vander(shares, _COEFFICIENTS)
    flat = values.reshape(count, -1)
    coefficients, *_ = np.linalg.lstsq(design, flat, rcond=None)
    residuals = (flat - design @ coefficients) * np.sqrt(count / (count - _COEFFICIENTS))
    fitted = np.vander([share], _COEFFICIENTS) @ coefficients
    return (fitted + residuals).reshape(values.shape)
