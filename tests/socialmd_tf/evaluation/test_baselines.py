from functools import partial

import numpy as np
import pytest

from socialmd_tf.evaluation.baselines import FittedGaussian, extrapolate, integrate
from socialmd_tf.layers import DensityLayout
from tests import references


def motion(order, num_frames=11, seed=0):
    """Polynomials in time of some order, `[B, num_frames, N, D]`."""
    coefficients = np.random.default_rng(seed).normal(size=(order + 1, 2, 1, 3, 2))
    time = 0.3 * np.arange(num_frames)[:, None, None]
    return sum(coefficient * time**power for power, coefficient in enumerate(coefficients))


def noisy_batches(seed=0, num_batches=3):
    """Random walks with padding."""
    generator = np.random.default_rng(seed)
    for _ in range(num_batches):
        frames = generator.normal(size=(4, 9, 5, 2)).cumsum(axis=1).astype("float32")
        mask = np.ones((4, 5), "float32")
        mask[1, 3:] = 0
        yield {"positions": frames[:, :5], "mask": mask}, frames[:, 5:]


def extrapolated(order, frames, rollout_steps):
    return extrapolate(order, {"positions": frames}, rollout_steps)


def extrapolation(order):
    return FittedGaussian(partial(extrapolate, order))


def negative_log_likelihood(baseline, batches):
    """Mean over real particles and steps, by formula."""
    total, count = 0.0, 0
    for inputs, targets in batches:
        parameters = baseline(inputs)
        for index in np.ndindex(targets.shape[:-1]):
            if inputs["mask"][index[0], index[2]]:
                density = references.unpack_density(parameters[index], 2, 1, False)
                total -= references.mixture_log_density(targets[index], *density)
                count += 1
    return total / count


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_exact_on_polynomials_of_its_order(order):
    frames = motion(order)
    np.testing.assert_allclose(extrapolated(order, frames[:, :5], 6), frames[:, 5:], rtol=1e-9)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_wrong_on_polynomials_of_higher_order(order):
    frames = motion(order + 1)
    assert np.abs(extrapolated(order, frames[:, :5], 6) - frames[:, 5:]).max() > 0.1


def test_constant_velocity_and_acceleration_by_hand():
    frames = np.array([0.0, 1.0, 4.0]).reshape(1, 3, 1, 1)
    assert extrapolated(0, frames, 3).ravel().tolist() == [4.0, 4.0, 4.0]
    assert extrapolated(1, frames, 3).ravel().tolist() == [7.0, 10.0, 13.0]
    assert extrapolated(2, frames, 3).ravel().tolist() == [9.0, 16.0, 25.0]


@pytest.mark.parametrize("with_velocities", [False, True])
def test_the_integrator_gets_velocities_per_unit_of_time(with_velocities):
    class Forces:
        def continue_from(self, frames, *_, interval, num_frames, velocities=None):
            velocities = (frames[:, 1] - frames[:, 0]) / interval if velocities is None else velocities
            return frames[:, 1:] + interval * np.arange(1, num_frames + 1)[:, None, None] * velocities[:, None]

    generator = np.random.default_rng(0)
    positions, velocities = generator.normal(size=(2, 3, 2, 4, 2))
    inputs = {"positions": positions, "features": np.zeros((3, 4, 0)), "mask": np.ones((3, 4))}
    inputs |= {"velocities": velocities} if with_velocities else {}
    found = integrate(Forces(), 0.1, 5, inputs, 2)
    move = velocities[:, 1] if with_velocities else positions[:, 1] - positions[:, 0]
    np.testing.assert_allclose(found, np.stack([positions[:, 1] + move, positions[:, 1] + 2 * move], axis=1))


def test_widths_are_root_mean_squares_of_the_real_particles():
    frames = np.zeros((1, 4, 2, 2), "float32")
    frames[0, 2, 0] = [3.0, 4.0]  # one step after the two observed frames
    frames[0, 3, 0] = [1.0, 1.0]
    frames[0, 2:, 1] = 99.0  # padding
    batch = {"positions": frames[:, :2], "mask": np.array([[1.0, 0.0]])}, frames[:, 2:]
    baseline = extrapolation(0).fit([batch])
    np.testing.assert_allclose(baseline.widths, [np.sqrt(12.5), 1.0])


@pytest.mark.parametrize("order", [0, 1, 2])
def test_widths_are_the_most_likely_ones(order):
    baseline = extrapolation(order).fit(noisy_batches())
    best = negative_log_likelihood(baseline, noisy_batches())
    widths = baseline.widths
    assert widths.shape == (4,)
    for step in range(4):
        for factor in (0.97, 1.03):
            baseline.widths = np.where(np.arange(4) == step, factor * widths, widths)
            assert negative_log_likelihood(baseline, noisy_batches()) > best


def test_predicts_means_and_widths():
    baseline = extrapolation(1).fit(noisy_batches())
    inputs, targets = next(noisy_batches(seed=1))
    parameters = baseline(inputs)
    layout = baseline.layout
    assert layout == DensityLayout(2, 1, False)
    assert parameters.dtype == np.float32
    assert parameters.shape == (*targets.shape[:-1], layout.size)
    np.testing.assert_allclose(parameters[..., :2], baseline.mean(inputs, 4), rtol=1e-6)
    for step in range(4):
        np.testing.assert_allclose(parameters[:, step, :, 2:], baseline.widths[step], rtol=1e-6)


def test_a_prediction_without_error_still_has_a_width():
    frames = np.full((2, 5, 3, 2), 4.0, "float32")
    batch = {"positions": frames[:, :2], "mask": np.ones((2, 3))}, frames[:, 2:]
    np.testing.assert_allclose(extrapolation(0).fit([batch]).widths, 4.0 * np.finfo(np.float32).eps)
