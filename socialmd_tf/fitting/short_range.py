"""Forces below the distances that the equations resolve: where they stop growing, and whether they are limited.

Close encounters are few, and equations between frames do not resolve them, but they dominate the mean error. The rule
is chosen by the mean error of validation rollouts, among a core of several sizes and a limit of the components of
accelerations. They are tried on the windows that dominate that mean, and the best is kept if it helps on all.
"""

import dataclasses

import numpy as np

from socialmd_tf.fitting.rows import second_differences
from socialmd_tf.fitting.selection import Rollouts, is_worse

_HEAVY_TAIL = 5.0
_DOMINATING = 0.9
_CORES = (1.0, 3.0, 10.0)
_LIMITS = 2.0 ** np.arange(-2, 5)
_REFINEMENTS = 2.0 ** np.array([1 / 2, 1 / 4, 1 / 8])
_TOLERANCE = 1e-5


def has_close_encounters(errors):
    """Whether some windows dominate the mean of the errors `[W]`; most of them may."""
    return errors.mean() > _HEAVY_TAIL * np.quantile(errors, 0.25)


def dominating(errors):
    """The fewest windows that make nine tenths of the sum of the errors `[W]`: their numbers, the worst first."""
    order = np.argsort(-errors)
    return order[: 1 + np.searchsorted(np.cumsum(errors[order]), _DOMINATING * errors.sum())]


def choose_short_range(law, train, validation, warm_up_steps, rollout_steps, log):
    """The law with the core and the limit that are best on validation rollouts; unchanged unless they help.

    Args:
        law: The `Law`.
        train: `Trajectories`; their largest second difference is the unit of the limits that are tried.
        validation: `Trajectories`.
        warm_up_steps: T.
        rollout_steps: T'.
        log: Called with a line of text.
    """
    max_windows = int(np.clip(20_000 // train.positions.shape[2] ** 2, 24, 200))
    rollouts = Rollouts(validation, warm_up_steps, rollout_steps, max_windows, _TOLERANCE)
    first = rollouts.errors(law)
    worst = dominating(first)
    spoiled = rollouts.of(worst)
    best, lowest = law, first[worst].mean()
    unit = float(np.abs(second_differences(train.positions)).max())

    def attempt(**changes):
        nonlocal best, lowest
        candidate = dataclasses.replace(law, basis=dataclasses.replace(law.basis, **changes))
        error = spoiled.errors(candidate).mean()
        if error < lowest:
            best, lowest = candidate, error

    for core in _CORES:
        attempt(core=core * law.basis.knots.nearest)
    for limit in _LIMITS:
        attempt(limit=limit * unit)
    if np.isfinite(best.basis.limit):
        for factor in _REFINEMENTS:
            around = best.basis.limit
            attempt(limit=factor * around)
            attempt(limit=around / factor)
    errors = first if best is law else rollouts.errors(best)
    if not is_worse(first, errors):
        return law
    log(
        f"short range: core {best.basis.core:.3g}, limit {best.basis.limit:.3g}, "
        f"validation MAE {first.mean():.3g} -> {errors.mean():.3g} ({len(errors)} windows)"
    )
    return best
