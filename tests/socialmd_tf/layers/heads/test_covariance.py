import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers import AbsoluteHead, DensityLayout, DisplacementHead, KinematicHead, PairForce, VerletHead
from socialmd_tf.layers.heads.covariance import factor_entries, floored_factor

FLOOR = 1e-3
VERLET = {"substeps": 1, "step_fraction": 1.0, "is_corrected": False}
HEADS = {
    "absolute": lambda: AbsoluteHead(2, 1, True, FLOOR),
    "absolute-3d-mixture": lambda: AbsoluteHead(3, 3, True, FLOOR),
    "absolute-diagonal-mixture": lambda: AbsoluteHead(2, 5, False, FLOOR),
    "displacement": lambda: DisplacementHead(2, 2, FLOOR, 0.2),
    "kinematic": lambda: KinematicHead(2, 1, FLOOR, 0.2),
    "kinematic-3d-mixture": lambda: KinematicHead(3, 5, FLOOR, 1e-5),
    "verlet-mixture": lambda: VerletHead(2, 3, FLOOR, 1e-4, PairForce(2, 0.3, 20.0, 1e-4), **VERLET),
}


def matrices(factor, size):
    """Lower triangles, row by row, as matrices in float64."""
    layout = DensityLayout(size, 1, True)
    return np.asarray(layout.scale_tril(factor), np.float64)


def smallest_deviations(factors):
    """Smallest standard deviation, over all directions, of the covariances L L^T."""
    return np.linalg.svd(factors, compute_uv=False)[..., -1]


@pytest.mark.parametrize("size", [2, 3])
def test_a_factor_is_that_of_the_covariance_and_the_floor(size):
    roots = np.random.default_rng(0).normal(size=(50, size, size))
    covariances = roots @ np.swapaxes(roots, -1, -2)
    found = matrices(floored_factor(tf.constant(covariances, tf.float32), 0.5), size)
    np.testing.assert_array_equal(found, np.tril(found))
    expected = covariances + 0.25 * np.eye(size)
    np.testing.assert_allclose(found @ np.swapaxes(found, -1, -2), expected, rtol=1e-4, atol=1e-5)


def hard_matrices(size):
    """Singular, tiny, huge, very anisotropic covariances, and some that rounding made indefinite."""
    generator = np.random.default_rng(1)
    lines = generator.normal(size=(500, size, 1)) * 10.0 ** generator.uniform(-8, 6, (500, size, 1))
    singular = lines @ np.swapaxes(lines, -1, -2)
    rounded = np.swapaxes(singular, -1, -2) * (1 + 1e-6 * np.eye(size) * generator.choice([-1, 1], (500, 1, 1)))
    return np.concatenate([singular, rounded, np.zeros((1, size, size))]).astype(np.float32)


@pytest.mark.parametrize("size", [2, 3])
def test_no_direction_has_a_deviation_below_the_floor(size):
    factor = floored_factor(tf.constant(hard_matrices(size)), FLOOR)
    assert np.isfinite(factor).all()
    assert smallest_deviations(matrices(factor, size)).min() > FLOOR * (1 - 1e-4)


@pytest.mark.parametrize("size", [2, 3])
def test_gradients_of_hard_matrices_are_finite(size):
    covariances = tf.constant(hard_matrices(size))
    with tf.GradientTape() as tape:
        tape.watch(covariances)
        total = tf.reduce_sum(floored_factor(covariances, FLOOR))
    assert np.isfinite(tape.gradient(total, covariances)).all()


def test_free_numbers_of_any_size_give_a_finite_factor():
    raw = tf.constant(np.random.default_rng(0).choice([-1e4, 0.0, 1e4], (500, 6)), tf.float32)
    factor = matrices(factor_entries(raw, 3), 3)
    deviations = np.sqrt((factor**2).sum(axis=-1))
    np.testing.assert_allclose(deviations, np.logaddexp(0, np.asarray(raw[:, :3], np.float64)), rtol=1e-4, atol=1e-6)


def densities(head, size, num_frames):
    """Parameters of a chain of predicted frames of particles at rest, with random weights times `size`."""
    num_dimensions = head.layout.num_dimensions
    zero = np.zeros((1, 40, num_dimensions), np.float32)
    frame = {"positions": zero, "velocities": zero, "features": zero[..., :1], "mask": np.ones((1, 40), np.float32)}
    head.build((None, None, 4), {"positions": zero.shape, "features": (1, 40, 1)})
    generator = np.random.default_rng(2)
    head.set_weights([size * generator.normal(size=weight.shape) for weight in head.weights])
    state = head.get_initial_state(zero)
    for _ in range(num_frames):
        outputs = tf.constant(generator.normal(size=(1, 40, 4)), tf.float32)
        parameters, state = head(outputs, frame, state)
        yield parameters


@pytest.mark.slow_cases("*-1.0", "verlet*-1000.0")
@pytest.mark.parametrize("size", [0.0, 1.0, 1e3])
@pytest.mark.parametrize("name", HEADS)
def test_no_head_predicts_a_deviation_below_the_floor(name, size):
    head = HEADS[name]()
    for parameters in densities(head, size, num_frames=5):
        assert np.isfinite(parameters).all()
        factors = np.asarray(head.layout.scale_tril(head.layout.split(parameters)[2]), np.float64)
        assert smallest_deviations(factors).min() > FLOOR * (1 - 1e-4)
