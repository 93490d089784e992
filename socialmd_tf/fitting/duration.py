"""How long a fit will take: its parts, timed on a few trajectories of a few particles."""

import dataclasses
import time

import numpy as np

from socialmd_tf.config.fitting import FitConfig
from socialmd_tf.fitting.fit import (
    EQUATIONS_PER_COLUMN,
    MAX_PATH_ROUNDS,
    PLENTY,
    FittedLaw,
    one_in,
    path_round,
    with_terms_and_knots,
)
from socialmd_tf.fitting.rows import numerov_rows
from socialmd_tf.fitting.selection import Rollouts
from socialmd_tf.fitting.trajectories import MANY

_MOST_PARTICLES = 40
_QUICK_WINDOWS, _WINDOWS = 12, 24
_FEWEST_ROUNDS = 2
_SEARCHES = (1, 2)
"""Least and most time of the search for terms and knots, in that on a few trajectories, which may need fewer knots."""
_ROLLOUTS = (4, 24)
"""Least and most rollouts beside those of the rounds: trials of terms, of constants and of short ranges."""


@dataclasses.dataclass(frozen=True)
class FitDuration:
    """The time of a fit in seconds. How often its parts are repeated is known only after it."""

    least: float
    most: float
    fitted: FittedLaw
    """A law of the kind that will be fitted, from the few trajectories; not yet exact."""


def fit_duration(train, validation, shapes, *, warm_up_steps, rollout_steps):
    """Time the parts of a fit, and scale them with the numbers of trajectories, of frames and of pairs of particles.

    Terms and knots are chosen and a path round is made as in the fit, on 40 particles at most. The fit makes 2 to 8
    rounds on some of the trajectories, and one or two of them on all.

    Args:
        train: A few `Trajectories` of the training split.
        validation: A few of the validation split.
        shapes: Shapes `[W, T, N, D]` of all trajectories of both splits.
        warm_up_steps: T.
        rollout_steps: T'.

    Returns:
        The `FitDuration`.
    """
    some, some_validation = (split.of_particles(_MOST_PARTICLES) for split in (train, validation))
    quick = Rollouts(some_validation, warm_up_steps, rollout_steps, _QUICK_WINDOWS, tolerance=1e-5)
    rollouts = Rollouts(some_validation, warm_up_steps, rollout_steps, _WINDOWS)
    choice = FitConfig(), lambda line: None
    first, (begun, trials) = _timed(
        lambda: with_terms_and_knots(numerov_rows, lambda data, _: data, some, some_validation, quick, *choice)
    )
    one_round, solved = _timed(lambda: path_round(begun, some, some_validation))
    law, smoothing = solved.law, solved.chosen.smoothing
    one_rollout, errors = _timed(lambda: rollouts.errors(law))
    one_rollout *= _pairs_of_frame(shapes[1][2]) / _pairs_of_frame(some_validation.positions.shape[2])
    timed = _pairs(some.positions.shape) + _pairs(some_validation.positions.shape)
    few = sum(_pairs(shape, one_in(shape, law.basis, EQUATIONS_PER_COLUMN)) for shape in shapes) / timed
    every = one_in(shapes[0], law.basis, PLENTY)
    plenty = (_pairs(shapes[0], every) + _pairs(shapes[1])) / timed

    def seconds(searches, num_rounds, num_on_plenty, num_rollouts):
        in_few = (searches * first + one_round * (num_rounds - num_on_plenty)) * few
        return in_few + one_round * num_on_plenty * plenty + one_rollout * (num_rounds + num_rollouts)

    least, most = map(seconds, _SEARCHES, (_FEWEST_ROUNDS, MAX_PATH_ROUNDS), (1, 2), _ROLLOUTS)
    return FitDuration(least, most, FittedLaw(law, np.zeros_like(law.coefficients), smoothing, tuple(trials), errors))


def _pairs(shape, every=1):
    """Pairs of particles in all frames of every first, second, ... of trajectories `[W, T, N, D]`."""
    num_trajectories, num_frames, num_particles, _ = shape
    return -(-num_trajectories // every) * num_frames * _pairs_of_frame(num_particles)


def _pairs_of_frame(num_particles):
    """Pairs whose forces are computed: of large systems those within a cutoff."""
    return num_particles * min(num_particles, MANY)


def _timed(make):
    start = time.monotonic()
    result = make()
    return time.monotonic() - start, result
