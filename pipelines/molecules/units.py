"""Is the unit of the coordinates plausible?"""

import numpy as np

from pipelines.errors import UserError
from pipelines.molecules.simulation_frames import Frame

_PLAUSIBLE = (0.6, 9.0)  # angstrom: C-H is 1.0, bonds of heavy atoms 1.2 to 2.5, coarse-grained beads 3 to 6
_SAMPLE = 100


def check_units(frame: Frame) -> None:
    """Refuse positions whose unit is implausible.

    The median distance between nearest neighbours is 1 to 2 angstrom in all-atom systems and 3 to 6 in coarse-grained
    ones. A factor of ten leaves the accepted range.

    Args:
        frame: The first frame of a simulation.

    Raises:
        UserError: The distance is not between 0.6 and 9 angstrom.
    """
    positions = frame.positions[np.isfinite(frame.positions).all(axis=1)]
    if len(positions) < 2:
        return
    sample = positions[:: max(1, len(positions) // _SAMPLE)]
    nearest = [np.partition(np.square(positions - atom).sum(axis=1), 1)[1] for atom in sample]
    distance = float(np.sqrt(np.median(nearest)))
    low, high = _PLAUSIBLE
    if not low <= distance <= high:
        guess = " if the file is in nanometres" if low <= 10 * distance <= high else ""
        raise UserError(
            f"{frame.path}: the unit looks wrong: the median distance between nearest atoms is {distance:.3g} "
            f"angstrom, expected {low:g} to {high:g}; set `--input-unit nm`{guess} or `--input-unit angstrom`"
        )
