from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.frame_times import Clock
from pipelines.molecules.reading import Frame
from pipelines.molecules.units import check_units

LATTICE = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(-1, 3)


def run(times, given=None):
    clock = Clock(given)
    for index, time in enumerate(times):
        clock.note(Frame(Path("a.xtc"), index, LATTICE, None, time))
    return clock.time_between_frames


def test_the_time_between_frames():
    assert run([50.0, 150.0, 250.0]) == 100
    assert run(np.float32([0, 0.1, 0.2, 0.3]).astype(float)) == 0.1
    assert run([7.0]) is None


def test_what_the_user_says_outweighs_the_file():
    assert run([0, 1, 5, None], given=1000.0) == 1000


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (
            [0, 100, 200, 350],
            "frame 3 is at 350 ps, the frame before it at 200 ps; expected 100 ps from frame to frame",
        ),
        ([0, 100, 0, 100], "frame 2 is at 0 ps, the frame before it at 100 ps; .* `--split-by file`"),
        ([100, 100], "frame 1 is at 100 ps, the frame before it at 100 ps; expected a later time"),
        ([None], "a.xtc: says no times; expected `--time-between-frames`, in ps"),
    ],
)
def test_times_that_cannot_be(times, message):
    with pytest.raises(UserError, match=message):
        run(times)


@pytest.mark.parametrize("spacing", [1.0, 1.5, 4.7])
def test_atoms_and_coarse_beads_are_plausible(spacing):
    check_units(Frame(Path("a.pdb"), 0, spacing * LATTICE, None, None))


@pytest.mark.parametrize(
    ("spacing", "guess"), [(0.12, "nm` if it holds nanometres"), (0.47, "nm` if"), (15.0, "nm` or")]
)
def test_units_that_look_wrong(spacing, guess):
    with pytest.raises(UserError, match=f"a.pdb: the unit looks wrong: atoms are {spacing:g} angstrom .*{guess}"):
        check_units(Frame(Path("a.pdb"), 0, spacing * LATTICE, None, None))


def test_two_atoms_that_lie_on_each_other_or_are_missing_do_not_matter():
    positions = np.concatenate([LATTICE, LATTICE[:1], np.full((3, 3), np.nan)])
    check_units(Frame(Path("a.pdb"), 0, positions, None, None))
    check_units(Frame(Path("a.pdb"), 0, LATTICE[:1], None, None))
