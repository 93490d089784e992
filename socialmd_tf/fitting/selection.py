"""Decisions on the validation split: how smooth, how many knots, which terms."""

import copy
import dataclasses

import numpy as np

from socialmd_tf.fitting.integrator import continue_windows
from socialmd_tf.fitting.law import Law
from socialmd_tf.fitting.least_squares import penalty, residual_lengths, solve
from socialmd_tf.fitting.rows import frame_rows
from socialmd_tf.fitting.trajectories import MANY

STRENGTHS = 10.0 ** np.arange(-12, 3)
POWERS = (0, 2)
_TINY = 1e-300
_RECENT = 3
_FEWEST = 2


@dataclasses.dataclass(frozen=True)
class Smoothing:
    """Which curves are smooth, and how much that counts."""

    strength: float
    """Weight of the penalty."""
    power: int
    """As for `penalty`."""

    def penalties(self, basis, equations):
        """The penalty with its weight `[P, P]`."""
        return self.strength * penalty(basis, equations, self.power)

    def __str__(self):
        """As the log shows it."""
        return f"{self.strength:.0e} of {'forces' if self.power else 'forces x r^2'}" if self.strength else "none"


@dataclasses.dataclass(frozen=True)
class Chosen:
    """Coefficients, the smoothing that was chosen for them and their loss on the validation split."""

    coefficients: np.ndarray
    smoothing: Smoothing
    losses: np.ndarray
    """Mean of log(1 + |residual|^2 / scale^2) of each trajectory."""


def choose_smoothing(basis, equations, rows):
    """The smoothest solution whose loss is within one standard error of the best, see `Chosen`.

    What is smooth, the force or the force times r^2, is that of the best.

    Args:
        basis: The `Basis`.
        equations: `NormalEquations` of the training split.
        rows: X and y of the validation split.
    """
    tried = [Smoothing(float(strength), power) for power in POWERS for strength in STRENGTHS]
    if basis.knots.count == 1:
        tried = [Smoothing(0.0, 0)]
    solutions = np.stack([solve(equations, each.penalties(basis, equations)) for each in tried], axis=-1)
    losses = row_losses(rows, solutions, equations.scale)
    best = int(np.argmin(losses.mean(axis=0)))
    similar = [k for k, each in enumerate(tried) if each.power == tried[best].power]
    index = max(k for k in similar if not is_worse(losses[:, k], losses[:, best]))
    return Chosen(solutions[:, index], tried[index], losses[:, index])


def row_losses(rows, coefficients, scale):
    """Mean of log(1 + |residual|^2 / scale^2) of each trajectory `[W, S]`, for coefficients `[P, S]`."""
    losses = []
    for lengths in residual_lengths(rows, coefficients):
        values = np.log1p((lengths / scale) ** 2)
        count = np.maximum(np.sum(np.isfinite(values), axis=(1, 2)), 1)
        losses.append(np.nansum(values, axis=(1, 2)) / count)
    return np.concatenate(losses)


def is_worse(losses, than, negligible=0.0):
    """Whether losses are larger than others on the same trajectories, by more than a standard error."""
    difference = losses - than
    error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else 0.0
    return difference.mean() > max(error, negligible)


class Rollouts:
    """Free rollouts on windows of the validation split.

    Args:
        trajectories: `Trajectories`.
        warm_up_steps: T.
        rollout_steps: T'.
        max_windows: Windows that are rolled out at most, evenly chosen; of large systems fewer, but two.
        tolerance: As for `continue_windows`.
    """

    negligible = 0.01
    """Loss that a term is not worth."""

    def __init__(self, trajectories, warm_up_steps, rollout_steps, max_windows=24, tolerance=1e-7):
        windows = trajectories.windows(warm_up_steps + rollout_steps, warm_up_steps)
        if trajectories.are_large:
            max_windows = max(_FEWEST, max_windows * MANY // trajectories.positions.shape[2])
        count = min(len(windows), max_windows)
        self._tolerance = tolerance
        self._windows = windows[np.arange(count) * len(windows) // count]
        self._observed = self._windows.windows(warm_up_steps, warm_up_steps + rollout_steps)
        self._future = self._windows.positions[:, warm_up_steps:]
        self._recent = []

    def of(self, chosen):
        """The same on some of the windows, chosen by their numbers or by a mask."""
        some = copy.copy(self)
        some._windows, some._observed = self._windows[chosen], self._observed[chosen]
        some._future, some._recent = self._future[chosen], []
        return some

    def errors(self, law):
        """Mean absolute error of each window `[W]`, in units of length; those of recent laws are not computed again."""
        for known, errors in self._recent:
            if known is law:
                return errors
        errors = self._errors(law)
        self._recent = [*self._recent[1 - _RECENT :], (law, errors)]
        return errors

    def _errors(self, law):
        predicted = continue_windows(law, self._observed, self._future.shape[1], self._tolerance)
        real = np.broadcast_to(self._windows.mask[:, None, :, None], predicted.shape)
        return np.mean(np.abs(predicted - self._future), axis=(1, 2, 3), where=real)

    def losses(self, law):
        """Logarithms of the errors of each window `[W]`: a window in chaos counts as one window."""
        return np.log(self.errors(law) + _TINY)


class SingleFrames:
    """Predictions of one frame on the validation split, for random motion, where rollouts of means tell little.

    Args:
        trajectories: `Trajectories`.
    """

    negligible = 0.0
    """As of `Rollouts`: where noise is large, even a strong force lowers the error of a single frame little."""

    def __init__(self, trajectories):
        self._trajectories = trajectories

    def errors(self, law):
        """Mean absolute error of the frames of each trajectory `[W]`, in units of length."""
        rows = frame_rows(law.basis, self._trajectories)
        errors = [np.abs(targets - columns @ law.coefficients).mean(axis=(1, 3)) for columns, targets in rows]
        mask = self._trajectories.mask
        return np.sum(np.concatenate(errors) * mask, axis=1) / mask.sum(axis=1)

    def losses(self, law):
        """Logarithms of the errors of each trajectory `[W]`."""
        return np.log(self.errors(law) + _TINY)


@dataclasses.dataclass(frozen=True)
class Trial:
    """A term, and the median error of validation rollouts with it and without it."""

    name: str
    with_term: float
    without_term: float
    is_kept: bool


def eliminate(law, equations, smoothing, rollouts, required=()):
    """Leave out the terms that rollouts do not need, the one that explains least first.

    A term goes if predictions without it are not worse by more than a standard error, and than what is negligible.

    Args:
        law: The `Law` with all terms.
        equations: Its `NormalEquations`.
        smoothing: Its `Smoothing`.
        rollouts: `Rollouts` or `SingleFrames`.
        required: Kinds of terms, as in `FitConfig`, of which at least one stays.

    Returns:
        The `Law` that is left, its `NormalEquations`, and a `Trial` of each term.
    """
    losses, trials = rollouts.losses(law), []
    if len(law.basis.blocks) == 1:
        return law, equations, trials
    for name in sorted(law.basis.blocks, key=lambda name: _explained(law, equations, smoothing, name)):
        kinds = [kind_of(other) for other in law.basis.blocks]
        if len(kinds) == 1 or (kind_of(name) in required and kinds.count(kind_of(name)) == 1):
            continue
        smaller, fewer = without(law, equations, smoothing, name)
        changed = rollouts.losses(smaller)
        is_kept = is_worse(changed, losses, rollouts.negligible)
        trials.append(Trial(name, float(np.exp(np.median(losses))), float(np.exp(np.median(changed))), bool(is_kept)))
        if not is_kept:
            law, equations, losses = smaller, fewer, changed
    return law, equations, trials


def kind_of(name):
    """Kind of a term by its name: pairs, bonds, field or friction."""
    return "bonds" if "bonds of type" in name else name.split(":")[0]


def without(law, equations, smoothing, name):
    """The law and the equations without a term, solved again."""
    chosen = np.ones(law.basis.num_columns, bool)
    chosen[law.basis.blocks[name]] = False
    basis, fewer = law.basis.without(name), equations.of(np.nonzero(chosen)[0])
    return Law(basis, solve(fewer, smoothing.penalties(basis, fewer))), fewer


def _explained(law, equations, smoothing, name):
    """Weighted squares that only this term explains."""
    smaller, fewer = without(law, equations, smoothing, name)
    return _squares(smaller.coefficients, fewer) - _squares(law.coefficients, equations)


def _squares(coefficients, equations):
    return coefficients @ equations.matrix @ coefficients - 2 * coefficients @ equations.right
