from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.simulation_frames import Frame
from pipelines.molecules.units import check_units

LATTICE = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(-1, 3)


def frame(positions):
    return Frame(Path("a.pdb"), 0, positions, None, None)


@pytest.mark.parametrize("spacing", [1.0, 1.5, 4.7])
def test_atoms_and_coarse_beads_are_plausible(spacing):
    check_units(frame(spacing * LATTICE))


@pytest.mark.parametrize(("spacing", "is_nanometre"), [(0.12, True), (0.47, True), (15.0, False)])
def test_implausible_units_are_refused(spacing, is_nanometre):
    with pytest.raises(UserError, match=rf"a.pdb: .* {spacing:g} angstrom, .*`--input-unit nm`") as error:
        check_units(frame(spacing * LATTICE))
    assert ("nanometres" in str(error.value)) == is_nanometre


def test_atoms_in_one_place_or_without_coordinates_do_not_matter():
    check_units(frame(np.concatenate([LATTICE, LATTICE[:1], np.full((3, 3), np.nan)])))
    check_units(frame(LATTICE[:1]))
