"""Frames as the inputs of an exported model: checked against its card, at its frame interval."""

import math

import numpy as np

from pipelines.counts import counted
from pipelines.errors import UserError, require
from pipelines.jumps import frames_fault
from socialmd_tf.export.frames import floats
from socialmd_tf.export.optional_inputs import check_optional_inputs, optional_inputs, unwrapped
from socialmd_tf.parts.heads import is_kinematic

_TOLERANCE = 1e-6  # relative, of the ratio of two frame intervals


def model_inputs(frames, card):
    """Inputs of an exported model.

    Frames whose time between frames is known are read at the model's interval, every k-th frame, and the first T of
    them are observed, T as in training. Of other frames all are observed.

    Args:
        frames: `Frames`.
        card: The model card.

    Returns:
        Positions `[B, T, N, D]`, unwrapped in a periodic box, features `[B, N, F]`, and mask `[B, N]` or None, all
        float32. If the model takes more, also a dictionary of its `optional_inputs`.

    Raises:
        UserError: The frames are not of the kind that the model was trained on, too few, or not finite.
    """
    check_optional_inputs(frames, card)
    found = frames.positions.shape[-1]
    require(found == card["num_dimensions"], "positions", f"in the model's {card['num_dimensions']} dimensions", found)
    for name in ("length_unit", "time_unit"):
        ours, theirs = card.get(name), getattr(frames, name)
        require(None in (ours, theirs) or ours == theirs, name, f"that of the model, {ours!r}", theirs)
    indices = _observed(frames, card)
    check_num_observed(len(indices), card, frames.name)
    positions = _finite(frames, indices)
    batched = positions if positions.ndim == 4 else positions[None]
    known = optional_inputs(frames, card, indices)
    return batched, _features(frames, card, len(batched)), _mask(frames, len(batched)), *([known] if known else [])


def check_num_observed(number, card, name):
    """Refuse a single observed frame if the model has learned to take velocities, and their errors, from two or more.

    Args:
        number: Number of observed frames.
        card: The model card.
        name: What the frames are called.
    """
    settings = card.get("model", {})
    is_enough = number > 1 or card["warm_up_steps"] == 1
    has_prior = settings.get("observed_velocities") or settings.get("measurement_noise")
    if is_kinematic(settings.get("head", "")) and not is_enough and not has_prior:
        raise UserError(f"{name}: expected at least 2 frames to observe, which give the velocities, found {number}")


def last_box(frames, card):
    """The box of the last observed frame, edge lengths `[D]` or lattice vectors `[D, D]`; None if there is no box.

    Args:
        frames: `Frames` that `model_inputs` accepts.
        card: The model card.
    """
    if frames.box is None or frames.box.ndim < 3:
        return frames.box
    return frames.box[_observed(frames, card)[-1]]


def _observed(frames, card):
    """Indices of the observed frames, at the model's interval."""
    if frames.time_between_frames is None:
        return np.arange(len(frames))
    stride, number = _stride(frames, card), card["warm_up_steps"]
    available = len(range(0, len(frames), stride))
    if available < number:
        raise UserError(
            f"{frames.name}: expected at least {number} frames to observe, {counted(stride, 'stored frame')} apart, "
            f"found {available}"
        )
    return np.arange(0, number * stride, stride)


def _finite(frames, observed):
    """The positions of the observed frames; refused if they are not finite."""
    if frames.box is None:
        _check_jumps(frames, observed[-1] + 1)
    positions = np.asarray(unwrapped(frames, observed), np.float32)
    bad = np.argwhere(~np.isfinite(positions))
    if len(bad):
        *_, frame, particle, _ = bad[0]
        raise UserError(
            f"{frames.name}: expected finite positions, found {positions[tuple(bad[0])]} in frame "
            f"{frames.first_frame + observed[frame]}, particle {particle}"
        )
    return positions


def _check_jumps(frames, num_frames):
    """Refuse positions that jump as in a periodic box, of which nothing is known."""
    fault = frames_fault(frames.positions[..., :num_frames, :, :], frames.first_frame)
    if fault:
        raise UserError(f"{frames.name}: {fault}")


def _stride(frames, card):
    """Every how many frames the model steps."""
    ratio = card["time_between_frames"] / frames.time_between_frames
    stride = max(round(ratio), 1)
    if not math.isclose(ratio, stride, rel_tol=_TOLERANCE):
        raise UserError(
            f"{frames.name}: `time_between_frames` must divide the model's frame interval, "
            f"{card['time_between_frames']:.9g}. Received: {frames.time_between_frames:.9g}"
        )
    return stride


def _features(frames, card, batch_size):
    """Features `[B, N, F]` in the model's order."""
    names, num_particles = card["features"], frames.positions.shape[-2]
    values = frames.features
    if values is None:
        require(not names, "features", f"given, since the model has the features {', '.join(names)}", values)
        values = {}
    if isinstance(values, dict):
        require(set(values) == set(names), "features", f"those of the model, {names}", list(values))
        values = [_rows(name, values[name], (num_particles,), batch_size) for name in names]
        return np.stack(values, axis=-1) if values else np.zeros((batch_size, num_particles, 0), np.float32)
    return _rows("features", values, (num_particles, len(names)), batch_size)


def _rows(name, values, shape, batch_size):
    """Finite values `[*shape]` or `[B, *shape]` as `[B, *shape]`."""
    values = floats(name, values)
    allowed = values.shape in (shape, (batch_size, *shape))
    require(allowed, name, f"of shape {list(shape)} or {[batch_size, *shape]}", list(values.shape))
    require(bool(np.isfinite(values).all()), name, "finite", values[~np.isfinite(values)][:1].tolist())
    return np.broadcast_to(values, (batch_size, *shape))


def _mask(frames, batch_size):
    if frames.mask is None:
        return None
    mask = _rows("mask", frames.mask, frames.mask.shape[-1:], batch_size)
    require(bool(np.isin(mask, (0, 1)).all()), "mask", "of zeros and ones", mask.tolist())
    return mask
