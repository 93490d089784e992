"""Boxes of three dimensions for tests: rectangular, triclinic, and open along an axis."""

import numpy as np
import pytest

CUBE = np.diag([4.0, 5.0, 6.0])
TRICLINIC = np.array([[6.0, 0, 0], [2.9, 5.0, 0], [-2.5, 2.4, 4.0]])
OCTAHEDRON = 7 * np.array([[1, 0, 0], [1 / 3, 2 * 2**0.5 / 3, 0], [-1 / 3, 2**0.5 / 3, 6**0.5 / 3]])
SLAB = np.diag([4.0, 0.0, 6.0])
TILTED_SLAB = np.array([[6.0, 0, 0], [2.9, 5.0, 0], [0, 0, 0]])
BOXES = pytest.mark.parametrize(
    "box", [CUBE, TRICLINIC, OCTAHEDRON, SLAB, TILTED_SLAB], ids=lambda box: str(box.round(1).tolist())
)
