from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.alignment import Aligner
from pipelines.molecules.centers import Selection
from pipelines.molecules.simulation_frames import Frame
from tests.pipelines.molecules.systems import walk

CUBE = np.diag([20.0, 22.0, 24.0])
TRICLINIC = np.array([[20.0, 0, 0], [9.0, 21.0, 0], [-7.0, 8.0, 19.0]])
PARTICLES = Selection(np.arange(2, 12), np.zeros(10, int), np.array([0, 1]), {}, {}, ())


def aligned(positions, boxes, selection=PARTICLES):
    frames = [Frame(Path("x"), i, x, box, None) for i, (x, box) in enumerate(zip(positions, boxes, strict=True))]
    aligner = Aligner(selection, frames[0])
    return np.stack([aligner(frame) for frame in frames]), aligner.particles


def wrap(positions, boxes):
    return np.stack([x - np.floor(x @ np.linalg.pinv(box)) @ box for x, box in zip(positions, boxes, strict=True)])


@pytest.fixture
def truth():
    """300 frames of 12 atoms that leave the box many times over, after starting near each other."""
    first = np.random.default_rng(5).uniform(-3, 3, size=(12, 3))
    return walk(first, 300, step=1.5)


SLAB = np.diag([20.0, 22.0, 0.0])
TILTED_SLAB = np.array([[20.0, 0, 0], [9.0, 21.0, 0], [0, 0, 0]])


@pytest.mark.parametrize("box", [CUBE, TRICLINIC, SLAB, TILTED_SLAB], ids=["cube", "triclinic", "slab", "tilted slab"])
def test_wrapped_positions_become_those_of_open_space(truth, box):
    boxes = [box] * len(truth)
    found, particles = aligned(wrap(truth, boxes), boxes)
    expected = truth[:, 2:] - truth[:, :2].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert np.abs(expected).max() > 40  # otherwise nothing would have been unwrapped
    assert particles.num_jumps > 100
    assert 0.1 < particles.largest_move < 1


def test_jumps_are_counted_by_hand():
    x = np.full((4, 3, 3), 10.0)
    x[:, 2, 0] = [19.0, 1.0, 3.0, 18.0]  # out, on, and back
    selection = Selection(np.array([2]), np.zeros(1, int), np.arange(2), {}, {}, ())
    found, particles = aligned(x, [np.diag([20.0] * 3)] * 4, selection)
    np.testing.assert_allclose(found[:, 0, 0], [9.0, 11.0, 13.0, 8.0])
    assert particles.num_jumps == 2
    assert particles.largest_move == pytest.approx(0.5)  # 5 of 10


@pytest.mark.parametrize("edge", [1.0, 2.0, 4.0], ids=["placeholder", "box in nm", "frames too far apart"])
def test_moves_as_long_as_the_box_are_refused(truth, edge):
    box = np.diag([20.0, edge, 22.0])
    _, particles = aligned(truth, [box] * len(truth))
    with pytest.raises(UserError, match=r"simulation 7: .* move by 0\.2\d of the box along y .* at most 0\.2"):
        particles.check_moves("simulation 7")


@pytest.mark.parametrize("box", [CUBE, TRICLINIC, SLAB, TILTED_SLAB, None])
def test_moves_shorter_than_the_box_are_not(truth, box):
    aligned(truth, [box] * len(truth))[1].check_moves("simulation 7")


def test_in_a_box_that_changes_size_positions_stay_images_of_those_in_the_file(truth):
    scales = 1 + 0.02 * np.sin(np.arange(len(truth)))
    boxes = [scale * CUBE for scale in scales]
    wrapped = wrap(truth, boxes)
    found, _ = aligned(wrapped, boxes)
    centers = wrapped[:, :1]
    alone, _ = aligned(wrapped, boxes, Selection(np.arange(1, 12), np.zeros(11, int), np.array([0]), {}, {}, ()))
    for frame, box in enumerate(boxes):
        shifts = (alone[frame] - (wrapped[frame, 1:] - centers[frame])) @ np.linalg.inv(box)
        np.testing.assert_allclose(shifts, np.round(shifts), atol=1e-9)
    assert np.isfinite(found).all()


def test_a_drift_of_the_whole_system_is_removed(truth):
    boxes = [CUBE] * len(truth)
    drift = np.random.default_rng(7).normal(size=(len(truth), 1, 3)).cumsum(axis=0)
    still, _ = aligned(wrap(truth, boxes), boxes)
    drifting, _ = aligned(wrap(truth + drift, boxes), boxes)
    np.testing.assert_allclose(drifting, still, atol=1e-9)


def test_the_followed_gold_atom_is_the_origin_of_every_frame(truth):
    selection = Selection(np.array([0, 1, 2]), np.zeros(3, int), np.array([1]), {}, {}, ())
    found, _ = aligned(truth, [None] * len(truth), selection)
    assert not found[:, 1].any()
    np.testing.assert_allclose(found[:, 2], truth[:, 2] - truth[:, 1])


def test_particles_of_the_first_frame_are_the_images_nearest_to_the_centre():
    x = np.array([[[1.0, 1, 1], [1.0, 1, 1], [19.0, 21.0, 23.0]]])
    selection = Selection(np.array([2]), np.zeros(1, int), np.array([0, 1]), {}, {}, ())
    found, particles = aligned(x, [CUBE], selection)
    np.testing.assert_allclose(found[0, 0], [-2, -2, -2])
    assert particles.num_jumps == 0 and particles.largest_move == 0


@pytest.mark.parametrize("atom", [0, 5])
def test_coordinates_that_are_not_finite_are_refused(truth, atom):
    truth[4, atom, 1] = np.nan
    with pytest.raises(UserError, match=rf"x: frame 4: atom {atom} \(from 0\): expected finite coordinates, found"):
        aligned(truth, [None] * len(truth))
