"""ASE: predicted paths as `ase.Atoms`."""

import numpy as np

from socialmd_tf.export.formats.libraries import import_library

LABEL = "label"


def atoms(trajectory):
    """One `ase.Atoms` per frame.

    Args:
        trajectory: A `Trajectory`.

    Returns:
        A list. Every atom has the symbol X, because a particle need not be an element; the types are the array `label`.
        `info["time"]` is in ps.

    Raises:
        UserError: ASE is not installed.
    """
    ase = import_library("ase", "to_ase()")
    frames = []
    for positions, time in zip(trajectory.positions, trajectory.times, strict=True):
        frame = ase.Atoms(
            ["X"] * len(positions),
            positions=positions,
            cell=trajectory.box,
            pbc=trajectory.is_periodic,
            info={"time": float(time)},
        )
        frame.new_array(LABEL, np.array(trajectory.types))
        frames.append(frame)
    return frames
