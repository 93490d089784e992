import numpy as np
import pytest
import scipy.stats

from pipelines import augment
from pipelines.augment import rotate, rotation_draws, vector_starts

NUM_ROTATIONS = 20_000


@pytest.fixture(params=[2, 3], scope="module")
def rotations(request):
    return augment.rotations(rotation_draws(NUM_ROTATIONS, request.param, [3, 7])).numpy()


def test_rotations_are_proper(rotations):
    identity = np.broadcast_to(np.eye(rotations.shape[-1]), rotations.shape)
    np.testing.assert_allclose(rotations @ rotations.swapaxes(-1, -2), identity, atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0, atol=1e-5)


def test_rotations_have_the_moments_of_uniform_ones(rotations):
    """Over all rotations E[R_ij] = 0 and E[R_ij R_ik] = delta_jk / D."""
    num_dimensions = rotations.shape[-1]
    tolerance = 5 / np.sqrt(NUM_ROTATIONS)
    np.testing.assert_allclose(rotations.mean(axis=0), 0.0, atol=tolerance)
    products = np.einsum("rij,rik->ijk", rotations, rotations) / NUM_ROTATIONS
    expected = np.broadcast_to(np.eye(num_dimensions) / num_dimensions, products.shape)
    np.testing.assert_allclose(products, expected, atol=tolerance)


def test_rotation_angles_have_the_uniform_distribution(rotations):
    """The angle has density 1 / 2 pi in 2D and (1 - cos) / pi on [0, pi] in 3D."""
    if rotations.shape[-1] == 2:
        angles = np.arctan2(rotations[:, 1, 0], rotations[:, 0, 0]) % (2 * np.pi)
        fit = scipy.stats.kstest(angles, lambda angle: angle / (2 * np.pi))
    else:
        angles = np.arccos(np.clip((np.trace(rotations, axis1=1, axis2=2) - 1) / 2, -1, 1))
        fit = scipy.stats.kstest(angles, lambda angle: (angle - np.sin(angle)) / np.pi)
    assert fit.pvalue > 0.01


def test_seed_decides_the_rotations():
    first, again, other = (augment.rotations(rotation_draws(5, 2, seed)).numpy() for seed in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(first, again)
    assert np.all(np.abs(first - other).max(axis=(1, 2)) > 1e-4)


@pytest.mark.parametrize(
    ("features", "num_dimensions", "starts"),
    [
        ((), 2, []),
        (("mass", "charge"), 2, []),
        (("dipole_x", "dipole_y"), 2, [0]),
        (("mass", "dipole_x", "dipole_y", "charge", "spin_x", "spin_y"), 2, [1, 4]),
        (("mass", "dipole_x", "dipole_y", "dipole_z"), 3, [1]),
        (("dipole_x", "dipole_y"), 3, []),
        (("dipole_y", "dipole_x"), 2, []),
        (("dipole_x", "spin_y"), 2, []),
        (("dipole_x", "mass", "dipole_y"), 2, []),
        (("x", "y"), 2, []),
    ],
)
def test_vectors_are_found_by_their_names(features, num_dimensions, starts):
    assert vector_starts(features, num_dimensions) == starts


def test_quarter_turn_by_hand():
    quarter = np.array([[[0.0, -1.0], [1.0, 0.0]]], np.float32)
    inputs = {
        "positions": np.array([[[[1.0, 2.0], [0.0, 0.0]]]], np.float32),
        "features": np.array([[[9.0, 5.0, 6.0, 7.0], [0.0, 0.0, 0.0, 0.0]]], np.float32),
        "mask": np.array([[1.0, 0.0]], np.float32),
    }
    targets = np.array([[[[3.0, -4.0], [0.0, 0.0]]]], np.float32)
    turned, turned_targets = rotate((inputs, targets), quarter, vectors=[1])
    assert turned["positions"].numpy().tolist() == [[[[-2.0, 1.0], [0.0, 0.0]]]]
    assert turned["features"].numpy().tolist() == [[[9.0, -6.0, 5.0, 7.0], [0.0, 0.0, 0.0, 0.0]]]
    assert turned["mask"].tolist() == [[1.0, 0.0]]
    assert turned_targets.numpy().tolist() == [[[[4.0, 3.0], [0.0, 0.0]]]]


def test_every_sample_turns_by_its_own_rotation(rotations):
    num_dimensions = rotations.shape[-1]
    generator = np.random.default_rng(0)
    positions, targets = (generator.normal(size=(6, time, 4, num_dimensions)).astype(np.float32) for time in (2, 3))
    inputs = {"positions": positions, "features": np.zeros((6, 4, 0), np.float32), "mask": np.ones((6, 4))}
    turned, turned_targets = rotate((inputs, targets), rotations[:6])
    for before, after in ((positions, turned["positions"].numpy()), (targets, turned_targets.numpy())):
        for index in np.ndindex(before.shape[:3]):
            expected = rotations[index[0]].astype(np.float64) @ before[index]
            np.testing.assert_allclose(after[index], expected, atol=1e-5)
