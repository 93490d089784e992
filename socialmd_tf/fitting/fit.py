"""The fit: least squares, knots, elimination, path rounds; every decision is made on the validation split."""

import dataclasses
from functools import partial

import numpy as np

from socialmd_tf.config.fitting import FitConfig
from socialmd_tf.fitting.candidates import candidate_basis
from socialmd_tf.fitting.inverse_square import simplest, with_curves
from socialmd_tf.fitting.law import Law
from socialmd_tf.fitting.least_squares import NormalEquations, reweighted, solve, standard_errors
from socialmd_tf.fitting.paths import path_rows
from socialmd_tf.fitting.rows import Kept, frame_rows, numerov_rows
from socialmd_tf.fitting.selection import (
    Chosen,
    Rollouts,
    SingleFrames,
    Smoothing,
    Trial,
    choose_smoothing,
    eliminate,
    is_worse,
    row_losses,
)
from socialmd_tf.fitting.short_range import choose_short_range, has_close_encounters
from socialmd_tf.fitting.trajectories import is_large

KNOTS = (48, 96, 192)
MAX_PATH_ROUNDS = 8
_WORTHWHILE = 0.05
EQUATIONS_PER_COLUMN = 100
PLENTY = 10_000
_FEWEST, _FEWEST_PIECES = 8, 2
_MOST_EQUATIONS, _MOST_VALIDATION_EQUATIONS = 10_000_000, 250_000
"""Of large systems."""
_SHORTER = 0.8
_FIRST_SMOOTHING = Smoothing(1e-9, 0)


@dataclasses.dataclass(frozen=True)
class FittedLaw:
    """Result of a fit."""

    law: Law
    errors: np.ndarray
    """Standard errors of the coefficients `[P]`."""
    smoothing: Smoothing
    trials: tuple[Trial, ...]
    """Every term that was tried, with the errors of validation rollouts with it and without it."""
    rollout_errors: np.ndarray
    """Mean absolute errors of validation windows `[W]`."""

    @property
    def terms(self):
        """Names of the terms."""
        return tuple(self.law.basis.blocks)

    @property
    def frictions(self):
        """Name of each friction term -> gamma per frame and its standard error."""
        blocks = {name: block.start for name, block in self.law.basis.blocks.items() if name.startswith("friction")}
        return {name: (float(self.law.coefficients[k]), float(self.errors[k])) for name, k in blocks.items()}

    def curve(self, name, distances):
        """Force of a pair term at unit factors, positive where it attracts, and its standard error, at `[M]`."""
        block = self.law.basis.blocks[name]
        unit = np.eye(self.law.basis.knots.count)
        whole = dataclasses.replace(self.law, coefficients=unit)
        values = np.stack([dataclasses.replace(whole, coefficients=row).curve(slice(None), distances) for row in unit])
        return self.law.curve(block, distances), np.sqrt(np.sum((values.T * self.errors[block]) ** 2, axis=-1))


@dataclasses.dataclass(frozen=True)
class _Solved:
    """A law, the equations it solves and how it was chosen."""

    law: Law
    equations: NormalEquations
    chosen: Chosen


def fit(train, validation, *, warm_up_steps, rollout_steps, choices=None, log=print):
    """Find a law.

    Terms, knots and the first path rounds are found on as many trajectories as the number of coefficients needs; the
    last path round is on all, or on plenty: 10 000 equations a coefficient.

    Args:
        train: `Trajectories` of the training split.
        validation: Those of the validation split.
        warm_up_steps: Frames observed before a rollout, T.
        rollout_steps: Frames of a rollout, T'.
        choices: The `FitConfig`; None to choose everything from the data.
        log: Called with a line of text after each step.

    Returns:
        The `FittedLaw` that is best on validation rollouts.

    Raises:
        UserError: The data cannot have a chosen term or cutoff.
    """
    choices = choices or FitConfig()
    rollouts = Rollouts(validation, warm_up_steps, rollout_steps)
    quick = Rollouts(validation, warm_up_steps, rollout_steps, max_windows=12, tolerance=1e-5)
    pieces = _in_pieces(train, validation, log)
    best, trials = with_terms_and_knots(numerov_rows, _enough, *pieces, quick, choices, log)
    constants = _constants(best, *pieces) if choices.knots is None and best.law.basis.channels else None
    if constants is not None and _predicts_better(constants, best, quick):
        best = _with_constants(constants, best.law.basis.knots.count, *pieces, rollouts, log)
    else:
        best = _with_paths(best, *pieces, rollouts, log)
    law, equations, last = eliminate(best.law, best.equations, best.chosen.smoothing, rollouts, choices.terms)
    if choices.knots is None and law.basis.knots.count > 1:
        law, equations = simplest(law, equations, rollouts, log)
    if choices.force_core is None and has_close_encounters(rollouts.errors(law)):
        law = choose_short_range(law, train, validation, warm_up_steps, rollout_steps, log)
    return _result(best, law, equations, (*trials, *last), rollouts)


def fit_random(train, validation, *, choices=None, log=print):
    """Find the mean motion under random forces, from one frame to the next (`rows.frame_rows`).

    Arguments, result and errors as of `fit`; the errors of the result are those of single frames, by trajectory.
    """
    train, validation = _in_pieces(train, validation, log)
    choices, frames = choices or FitConfig(), SingleFrames(validation)
    best, trials = with_terms_and_knots(frame_rows, lambda data, _: data, train, validation, frames, choices, log)
    log(_line("least squares", best, frames.losses(best.law)))
    law, equations, last = eliminate(best.law, best.equations, best.chosen.smoothing, frames, choices.terms)
    return _result(best, law, equations, (*trials, *last), frames)


def with_terms_and_knots(make_rows, some, train, validation, measure, choices, log):
    """Least squares with the terms that predictions need and as many knots as help, and the trials of terms."""
    basis = candidate_basis(train, choices.knots or KNOTS[0], choices)
    everything = _solve(basis, partial(make_rows, basis), some(train, basis), validation)
    if train.are_large and choices.force_cutoff is None:
        everything = _with_shortest_cutoff(everything, make_rows, some, train, validation, log)
    smoothing = everything.chosen.smoothing
    law, _, trials = eliminate(everything.law, everything.equations, smoothing, measure, choices.terms)
    log(f"terms: {', '.join(law.basis.blocks)}")
    counts = KNOTS if choices.knots is None else (choices.knots,)
    return _with_enough_knots(make_rows, some, law.basis, counts, train, validation, log), trials


def _in_pieces(train, validation, log):
    """Large systems in pieces, and a line that counts them."""
    if not train.are_large:
        return train, validation
    some = train.pieces(_MOST_EQUATIONS), validation.pieces(_MOST_VALIDATION_EQUATIONS)
    length, counts = some[0].positions.shape[1], tuple(map(len, some))
    log(f"equations from pieces of {length} frames: {counts[0]} for training, {counts[1]} for validation")
    return some


def _with_shortest_cutoff(solved, make_rows, some, train, validation, log):
    """The same with the shortest cutoff, a power of 0.8 of the present one, that predicts no worse.

    Nearly all of the pairs within a wide cutoff are far apart.
    """
    if not solved.law.basis.channels or not np.isfinite(solved.law.basis.cutoff):
        return solved
    widest = solved.law.basis.cutoff
    while True:
        basis = solved.law.basis
        cutoff = _SHORTER * basis.cutoff
        if cutoff <= 2 * basis.knots.nearest:
            break
        knots = dataclasses.replace(basis.knots, farthest=min(cutoff, basis.knots.farthest))
        shorter = dataclasses.replace(basis, cutoff=cutoff, knots=knots)
        candidate = _solve(shorter, partial(make_rows, shorter), some(train, shorter), validation)
        if _is_better(make_rows, solved, candidate, validation):
            break
        solved = candidate
    log(f"cutoff of pair forces: {solved.law.basis.cutoff:.3g}, the shortest that predicts no worse than {widest:.3g}")
    return solved


def _result(best, law, equations, trials, measure):
    return FittedLaw(
        law,
        standard_errors(equations, best.chosen.smoothing.penalties(law.basis, equations), law.coefficients),
        best.chosen.smoothing,
        tuple({trial.name: trial for trial in trials}.values()),
        measure.errors(law),
    )


def _enough(trajectories, basis, per_column=EQUATIONS_PER_COLUMN):
    """Some of the trajectories, with many more equations than coefficients; all that there are, if they have fewer."""
    return trajectories[:: one_in(trajectories.positions.shape, basis, per_column)]


def one_in(shape, basis, per_column):
    """The step n with which every n-th of the trajectories `[W, T, N, D]` gives enough equations per coefficient."""
    num_trajectories, num_frames, num_particles, num_dimensions = shape
    fewest = _FEWEST_PIECES if is_large(num_particles) else _FEWEST
    count = max(per_column * basis.num_columns // (num_frames * num_particles * num_dimensions), fewest)
    return max(1, num_trajectories // count)


def _with_enough_knots(make_rows, some, basis, counts, train, validation, log):
    """As many knots as lower the validation loss."""
    best = None
    for count in counts:
        basis = dataclasses.replace(basis, knots=dataclasses.replace(basis.knots, count=count))
        solved = _solve(basis, partial(make_rows, basis), some(train, basis), validation)
        if best is not None and not _is_better(make_rows, solved, best, validation):
            log(f"{count} knots are not better")
            break
        log(f"{count} knots: smoothing {solved.chosen.smoothing}")
        best = solved
    return best


def _is_better(make_rows, solved, than, validation):
    """Whether the loss of the validation equations is lower by more than a standard error, at the same scale."""
    ours, theirs = (
        row_losses(make_rows(s.law.basis, validation), s.law.coefficients[:, None], than.equations.scale)[:, 0]
        for s in (solved, than)
    )
    return is_worse(theirs, ours)


def _solve(basis, make_rows, train, validation, start=None):
    rows, validation_rows = Kept(lambda: make_rows(train)), Kept(lambda: make_rows(validation))

    def first(equations):
        return solve(equations, _FIRST_SMOOTHING.penalties(basis, equations))

    _, equations = reweighted(rows, basis.num_columns, first, start)
    chosen = choose_smoothing(basis, equations, validation_rows)
    return _Solved(Law(basis, chosen.coefficients), equations, chosen)


def _with_paths(best, train, validation, rollouts, log):
    """Path rounds while they improve rollouts, first on some trajectories and at last on all, or plenty of them."""
    losses = rollouts.losses(best.law)
    log(_line("least squares", best, losses))
    few, plenty = (_enough(train, best.law.basis, size) for size in (EQUATIONS_PER_COLUMN, PLENTY))
    for number in range(MAX_PATH_ROUNDS):
        is_last = len(few) == len(plenty)
        solved = path_round(best, few, validation if is_last else _enough(validation, best.law.basis))
        new_losses = rollouts.losses(solved.law)
        log(_line(f"path round {number + 1} on {len(few)} trajectories", solved, new_losses))
        gain = losses.mean() - new_losses.mean()
        if gain > 0:
            best, losses = solved, new_losses
        if gain < _WORTHWHILE and is_last:
            break
        if gain < _WORTHWHILE or number == MAX_PATH_ROUNDS - 2:
            few = plenty
    return best


def _predicts_better(solved, than, rollouts):
    return is_worse(rollouts.losses(than.law), rollouts.losses(solved.law))


def _constants(curves, train, validation):
    """Least squares with a constant instead of each curve."""
    basis = dataclasses.replace(curves.law.basis, knots=dataclasses.replace(curves.law.basis.knots, count=1))
    return _solve(basis, partial(numerov_rows, basis), _enough(train, curves.law.basis), validation)


def _with_constants(constants, num_knots, train, validation, rollouts, log):
    """Path rounds with constants instead of curves; and with curves after all, if these are then worthwhile."""
    log("pair forces fall as r^-2: constants instead of curves")
    best = _with_paths(constants, train, validation, rollouts, log)
    again = dataclasses.replace(best, law=with_curves(best.law, num_knots))
    again = path_round(again, *(_enough(split, again.law.basis) for split in (train, validation)))
    if is_worse(rollouts.losses(best.law), rollouts.losses(again.law), _WORTHWHILE):
        log("curves are better than constants")
        return _with_paths(again, train, validation, rollouts, log)
    return best


def path_round(solved, train, validation):
    """Least squares once more, along the paths under a solved law."""
    law = solved.law
    return _solve(law.basis, partial(path_rows, law), train, validation, law.coefficients)


def _line(name, solved, losses):
    errors = np.exp(losses)
    return (
        f"{name}: smoothing {solved.chosen.smoothing}, "
        f"validation MAE {errors.mean():.3g}, median of windows {np.median(errors):.3g}"
    )
