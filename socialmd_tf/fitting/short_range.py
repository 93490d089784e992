"""Forces below the distances that the equations resolve: where they stop growing, and whether they are limited.

Close encounters are few, and equations between frames do not resolve them, but they dominate the mean error. The rule
is chosen by the mean error of validation rollouts, among a core of several sizes and a limit of the components of
accelerations.
"""

import dataclasses

import numpy as np

from socialmd_tf.fitting.rows import second_differences
from socialmd_tf.fitting.selection import Rollouts, is_worse

_HEAVY_TAIL = 5.0
_CORES = (1.0, 3.0, 10.0)
_LIMITS = np.geomspace(0.25, 4.0, 9)
_REFINEMENTS = ((0.87, 1.15), (0.95, 1.05))
_TOLERANCE = 1e-5


def has_close_encounters(errors):
    """Whether a few windows dominate the mean of the errors `[W]`."""
    return errors.mean() > _HEAVY_TAIL * np.median(errors)


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
    best, errors = law, rollouts.errors(law)
    unit = float(np.abs(second_differences(train.positions)).max())

    def attempt(**changes):
        nonlocal best, errors
        candidate = dataclasses.replace(law, basis=dataclasses.replace(law.basis, **changes))
        found = rollouts.errors(candidate)
        if found.mean() < errors.mean():
            best, errors = candidate, found

    first = errors
    for core in _CORES:
        attempt(core=core * law.basis.knots.nearest)
    for limit in _LIMITS:
        attempt(limit=limit * unit)
    if np.isfinite(best.basis.limit):
        for factors in _REFINEMENTS:
            around = best.basis.limit
            for factor in factors:
                attempt(limit=factor * around)
    if not is_worse(first, errors):
        return law
    log(
        f"short range: core {best.basis.core:.3g}, limit {best.basis.limit:.3g}, "
        f"validation MAE {first.mean():.3g} -> {errors.mean():.3g} ({len(errors)} windows)"
    )
    return best
