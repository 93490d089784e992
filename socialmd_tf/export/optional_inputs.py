"""The inputs that only some models take: boxes, bonds and observed velocities."""

import numpy as np

from pipelines.boxes import half_height, lattice_vectors, unwrap
from pipelines.errors import UserError, require
from pipelines.side_files import edge_matrix
from pipelines.velocities import unit_ratio
from socialmd_tf.config import ModelConfig, from_dict
from socialmd_tf.config.box_ranges import reach, sees_neighbors

_FLAGS = {"box": "periodic", "edges": "num_edge_types", "velocities": "observed_velocities"}
_ROUNDING = 1e-4


def check_optional_inputs(frames, card):
    """Refuse frames that lack what a model takes, or have a box, bonds or velocities that it does not take.

    What does not matter is left out: observed velocities of a file, an empty list of bonds, and the box where particles
    do not see each other (positions are unwrapped in any case).

    Args:
        frames: `Frames`.
        card: The model card.

    Raises:
        UserError: The frames and the model differ.
    """
    for name, flag in _FLAGS.items():
        takes, value = bool(card.get("model", {}).get(flag)), getattr(frames, name)
        if takes:
            require(value is not None, name, "given, since the model takes it", value)
        elif value is not None and _matters(name, frames, card):
            raise UserError(f"`{name}` must be left out: this model takes none")


def _matters(name, frames, card):
    """Whether an input that the model does not take would change what it should predict."""
    if name == "velocities":
        return not frames.is_file
    return len(frames.edges) > 0 if name == "edges" else "model" not in card or sees_neighbors(card["model"])


def optional_inputs(frames, card, observed):
    """Boxes, bonds and velocities as an exported model takes them.

    Args:
        frames: `Frames` that `check_optional_inputs` accepts.
        card: The model card.
        observed: Indices of the observed frames, `[T]`.

    Returns:
        Dictionary with those of `box` `[B, D, D]`, at the last observed frame, `edges` `[B, N, N]` and `velocities`
        `[B, T, N, D]`, in units of length per frame interval of the model, that the model takes.

    Raises:
        UserError: The box is too small for the model, a bond has a type that it does not know, or velocities are not
            finite, or in another unit than the positions and the frame interval imply.
    """
    settings, inputs = card.get("model", {}), {}
    *systems, _, num_particles, _ = frames.positions.shape
    batch_size = systems[0] if systems else 1
    if settings.get("periodic"):
        box = boxes_of(frames)[observed[-1]]
        _check_height(box, settings)
        inputs["box"] = np.broadcast_to(box.astype(np.float32), (batch_size, *box.shape))
    if settings.get("num_edge_types"):
        edges = edge_matrix(frames.edges, num_particles)
        largest = settings["num_edge_types"]
        require(edges.max() <= largest, "edges", f"of types from 1 to {largest}", int(edges.max()))
        inputs["edges"] = np.broadcast_to(edges, (batch_size, *edges.shape))
    if settings.get("observed_velocities"):
        velocities = np.asarray(frames.velocities[..., observed, :, :], np.float32)
        require(bool(np.isfinite(velocities).all()), "velocities", "finite", "NaN or infinity")
        moves = velocities * np.float32(card["time_between_frames"])
        inputs["velocities"] = moves if systems else moves[None]
        positions = unwrapped(frames, observed)
        _check_unit(inputs["velocities"], positions if systems else positions[None], frames)
    return inputs


def _check_unit(velocities, positions, frames):
    """Refuse velocities in another unit than the positions and the frame interval imply.

    Args:
        velocities: `[B, T, N, D]`, in units of length per frame interval.
        positions: `[B, T, N, D]`, unwrapped.
        frames: The `Frames`, for their units.
    """
    ratio = unit_ratio(np.diff(positions, axis=1).astype(float), (velocities[:, 1:] + velocities[:, :-1]) / 2.0)
    if ratio is not None:
        unit = f"{frames.length_unit or 'units of length'} per {frames.time_unit or 'unit of time'}"
        raise UserError(
            f"`velocities` must be in {unit}. Received: positions move {ratio:.3g} times as far between frames as they "
            "say (median)"
        )


def boxes_of(frames):
    """Lattice vectors `[T, D, D]` of every frame of `Frames` with a box."""
    size = frames.positions.shape[-1]
    box = frames.box if frames.box.ndim == 3 else lattice_vectors(frames.box, size)
    return np.broadcast_to(np.asarray(box, np.float64), (len(frames), size, size))


def unwrapped(frames, observed):
    """Positions at the observed frames, `[..., T, N, D]`; in a periodic box, followed from frame to frame."""
    if frames.box is None:
        return frames.positions[..., observed, :, :]
    end = observed[-1] + 1
    positions, boxes = frames.positions[..., :end, :, :], boxes_of(frames)[:end]
    systems = positions if positions.ndim == 4 else positions[None]
    paths = np.stack([unwrap(each, boxes) for each in systems])[:, observed].astype(np.float32)
    return paths if positions.ndim == 4 else paths[0]


def _check_height(box, settings):
    sight, height = reach(from_dict(ModelConfig, settings)), 2 * half_height(box)
    if height < 2 * sight * (1 - _ROUNDING):
        raise UserError(
            f"`box` must be at least {2 * sight:.4g} high, twice the distance at which particles of this model see "
            f"each other. Received: {height:.4g}"
        )
