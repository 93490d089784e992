"""Where systems go under a law: from two frames onwards, in steps that follow each system's own motion."""

import numpy as np

from pipelines.nbody.shooting import velocities_at_the_end
from socialmd_tf.fitting.paths import Collocation, solve_paths

_NUM_NODES = 8
_MAX_STEPS = 500
_TABLEAU = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_FOURTH = np.array([5179 / 57600, 0.0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40])
_ERROR = np.array([*_TABLEAU[-1], 0.0]) - _FOURTH
"""Coefficients of Dormand and Prince 1980."""


def continue_windows(law, observed, num_frames, tolerance=1e-7):
    """Roll out from the last observed frame, with its velocity or, if none is observed, that of the path to it.

    Args:
        law: A `Law`.
        observed: `Trajectories` `[W, T, N, D]`; T at least 2, or 1 with velocities.
        num_frames: T'.
        tolerance: Error of a step, in the length of the law's basis.

    Returns:
        Positions `[W, T', N, D]`; a system that cannot be followed stays where it was.
    """
    accelerations = law.on(observed.features, observed.edges, observed.mask, observed.cell)
    positions = observed.positions[:, -1]
    if observed.velocities is not None:
        velocities = observed.velocities[:, -1]
    else:
        before = observed.positions[:, -2]
        velocities = final_velocities(accelerations, before, positions, tolerance * law.basis.length)
    frames, _ = advance(accelerations, positions, velocities, num_frames, tolerance * law.basis.length)
    return np.moveaxis(frames, 0, 1)


def final_velocities(accelerations, first, last, tolerance):
    """Velocities `[B, N, D]` with which systems arrive at the later of two frames `[B, N, D]`.

    They are the velocities of the path between the frames. Where a close encounter prevents its solution, they are
    found by shooting.
    """
    _, velocities, found = solve_paths(accelerations, first, last, Collocation.of(_NUM_NODES))
    velocities = velocities[:, -1]
    lost = np.nonzero(~found.all(axis=1))[0]
    if len(lost):

        def flow(x, v):
            frames, v = advance(lambda x, v, chosen: accelerations(x, v, lost[chosen]), x.T, v.T, 1, tolerance)
            return frames[0].T, v.T

        velocities[lost] = velocities_at_the_end(first[lost].T, last[lost].T, flow, 1.0).T
    return velocities


def advance(accelerations, positions, velocities, num_frames, tolerance):
    """Integrate B systems over some frames by the method of Dormand and Prince, each with its own steps.

    No system waits for another one at the end of a frame, so that close encounters cost their own steps only.

    Args:
        accelerations: As `Law.on` gives them.
        positions: `[B, N, D]`.
        velocities: `[B, N, D]`, per frame.
        num_frames: T'.
        tolerance: Largest error of a step in any coordinate.

    Returns:
        Positions `[T', B, N, D]` and the velocities in the last frame. A system that needs more than 500 steps for a
        frame is where it is then.
    """
    state, known = np.stack([positions, velocities]), accelerations(positions, velocities, np.arange(len(positions)))
    frames, numbers = np.empty((num_frames, *positions.shape)), np.zeros(len(positions), int)
    left, steps, tried = np.ones(len(positions)), np.ones(len(positions)), np.zeros(len(positions), int)
    while (chosen := np.nonzero(numbers < num_frames)[0]).size:
        h = np.minimum(steps[chosen], left[chosen])
        moved, last, error = _step(accelerations, state[:, chosen], known[chosen], h, chosen)
        error = np.nan_to_num(error / tolerance, nan=np.inf, posinf=np.inf)
        good = error <= 1
        factor = np.clip(0.9 * np.maximum(error, 1e-12) ** -0.2, 0.2, 5.0)
        # A step that the end of the frame shortened is no reason to shorten the next one.
        planned = np.where(good & (h < steps[chosen]), steps[chosen], 0.0)
        steps[chosen] = np.maximum(h * factor, planned)
        accepted = chosen[good]
        state[:, accepted], known[accepted] = moved[:, good], last[good]
        left[accepted] -= h[good]
        tried[chosen] += 1
        ended = chosen[(np.abs(left[chosen]) < 1e-12) | (tried[chosen] == _MAX_STEPS)]
        frames[numbers[ended], ended] = state[0, ended]
        numbers[ended] += 1
        left[ended], tried[ended] = 1.0, 0
    return frames, state[1]


def _step(accelerations, state, first, h, chosen):
    """One step.

    Args:
        accelerations: As `Law.on` gives them.
        state: Positions and velocities `[2, B, N, D]`.
        first: Accelerations in this state `[B, N, D]`; the last ones of the step before.
        h: Length of the step `[B]`.
        chosen: Numbers of the B systems.

    Returns:
        The state afterwards, accelerations in it, and the largest error of any coordinate `[B]`.
    """
    h = h[:, None, None]
    slopes = np.empty((len(_TABLEAU), *state.shape))
    slopes[0] = state[1], first
    for number, row in enumerate(_TABLEAU[1:], start=1):
        moved = state + h * np.tensordot(row, slopes[:number], 1)
        slopes[number] = moved[1], accelerations(*moved, chosen)
    error = np.abs(h * np.tensordot(_ERROR, slopes, 1)).max(axis=(0, 2, 3))
    return moved, slopes[-1, 1], error
