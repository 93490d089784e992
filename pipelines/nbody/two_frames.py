"""The motion of an N-body system under its true forces, from two frames: a lower bound for errors of models."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from pipelines.nbody.adaptive import flow
from pipelines.nbody.forces import Array, couplings
from pipelines.nbody.shooting import velocities_at_the_end

_FAR = 1e6


def continue_from(
    frames: Array,
    masses: Array,
    charges: Array,
    mask: npt.NDArray[np.bool_],
    constants: Mapping[str, float],
    *,
    interval: float,
    num_frames: int,
    velocities: Array | None = None,
) -> Array:
    """Integrate S systems from their last two frames under the true forces.

    Unless it is given, the velocity is unknown. At the earlier frame it is the velocity whose flow leads to the later
    frame: with phi(x, v) the positions one interval h after the state (x, v), and x_{T-1} and x_T the frames, it is a
    fixed point of

        v -> v + (x_T - phi(x_{T-1}, v)) / h

    It is found from the mean velocity (x_T - x_{T-1}) / h by eight iterations with the mixing of Anderson (1965). The
    systems continue from x_T with the velocity of the best iteration. If two particles have a very close encounter
    between the frames, the iteration may not converge, or converge to another solution; the velocity is then inexact.

    Args:
        frames: The two frames `[S, 2, N, D]`.
        masses: `[S, N]`.
        charges: `[S, N]`.
        mask: Whether a particle is real `[S, N]`; padded particles stay where they are and do not interact.
        constants: `coulomb_constant` and `gravitational_constant`.
        interval: Time between frames h, of the given and of the predicted ones.
        num_frames: Number of frames to predict.
        velocities: Those at the later frame `[S, N, D]`, or None.

    Returns:
        Positions `[S, num_frames, N, D]`; a system whose numbers overflow stays at its last frame.
    """
    masses = np.where(mask, masses, 1.0).T
    weights = np.stack([couplings(m, q, **constants) for m, q in zip(masses.T, charges, strict=True)])
    weights = np.where(mask[:, :, None] & mask[:, None, :], weights, 0.0).transpose(1, 2, 0)

    def step(positions: Array, velocities: Array) -> tuple[Array, Array]:
        return flow(positions, velocities, masses, weights, interval)

    first, positions = _apart(frames, mask).transpose(1, 3, 2, 0)
    if velocities is None:
        velocities = velocities_at_the_end(first, positions, step, interval)
    else:
        velocities = np.where(mask[..., None], velocities, 0.0).transpose(2, 1, 0).astype(np.float64)
    predicted = []
    for _ in range(num_frames):
        positions, velocities = step(positions, velocities)
        predicted.append(positions)
    result = np.stack(predicted).transpose(3, 0, 2, 1)
    usable = mask[:, None, :, None] & np.isfinite(result).all(axis=(1, 2, 3), keepdims=True)
    return np.where(usable, result, frames[:, 1:])


def _apart(frames: Array, mask: npt.NDArray[np.bool_]) -> Array:
    """`frames` with every padded particle at a place of its own, far away: at a shared one, distances would be zero."""
    places = _FAR * np.arange(1.0, mask.shape[1] + 1)[None, None, :, None]
    return np.where(mask[:, None, :, None], frames, places).astype(np.float64)
