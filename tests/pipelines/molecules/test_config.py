from pathlib import Path

import pytest

from pipelines.errors import UserError
from tests.pipelines.molecules.systems import (
    config_of,
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_dimensions": 2}, "`slice_half_thickness` must be given for 2D slices"),
        ({"slice_half_thickness": -1.0}, "`slice_half_thickness` must be a positive number"),
        ({"fractions": (0.7, 0.2, 0.2)}, "`fractions` must be three shares"),
        ({"fractions": (0.0, 0.5, 0.5)}, "`fractions` must be three shares"),
        ({"molecules": ()}, "`molecules` must be one or more different names"),
        ({"molecules": ("OQL", "OQL")}, "`molecules` must be one or more different names"),
        ({"time_between_frames": float("inf")}, "`time_between_frames` must be a positive number"),
        ({"num_slices": 0}, "`num_slices` must be at least 1"),
        ({"radii": (0.3, 0.4, 0.5)}, "`radii` must be one positive length, or one per name"),
        ({"radii": (0.3, -0.4)}, "`radii` must be one positive length, or one per name"),
        ({"test": (Path("a.pdb"),)}, "`test` must be left out without `--split-by file`"),
        (
            {"test": (Path("b.pdb"),), "split_by": "file"},
            "`test` must be of the files or directories of `--trajectory`",
        ),
        ({"test": (Path("a.pdb"),), "split_by": "file"}, "`test` must be not all of `--trajectory`"),
        (
            {"test": (Path("a.pdb"),), "validation": (Path("a.pdb"),), "split_by": "file"},
            "`test` must be other trajectories than `--validation`",
        ),
    ],
)
def test_configurations_that_cannot_be(changes, message):
    with pytest.raises(UserError, match=message):
        config_of(Path("a.pdb"), **changes)
