import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.layers.heads.kinematic import KinematicHead
from socialmd_tf.layers.heads.measurement_noise import MeasurementNoise
from tests.socialmd_tf.layers.heads.verlet_systems import FLOOR, WIDTH, free, observed_states, system

UNIT, MOVE = 0.5, 100.0


def layer(deviation, curvature, memory=10):
    noise = MeasurementNoise(UNIT, MOVE, memory)
    noise.build()
    noise.set_noise(deviation, curvature)
    return noise


def follow(noise, frames, drift=0.0):
    """The layer's estimates after each of the frames `[T, N, D]` of straight motion; `drift` is the variance q."""
    positions, velocities = frames[:1], np.zeros_like(frames[:1])
    covariances = noise.before_first_frame((np.zeros((*frames[:1].shape, frames.shape[-1]), "float32"),) * 3)
    head = KinematicHead(frames.shape[-1], 1, 1e-6, UNIT)
    found = []
    for frame in frames:
        covariances, positions, velocities = noise.observe(covariances, positions, velocities, frame[None])
        found.append([np.asarray(value)[0] for value in (positions, velocities, *covariances)])
        identity = drift * np.eye(frames.shape[-1], dtype="float32")
        covariances = head.propagate(covariances, identity, None)
        positions = positions + velocities
    return found


def noisy_lines(num_frames, deviation, num_dimensions=2, speed=1.0, num_particles=7):
    """Positions `[T, N, D]` on straight lines with noise."""
    generator = np.random.default_rng(3)
    start, velocity = generator.normal(size=(2, num_particles, num_dimensions)) * [[[1.0]], [[speed]]]
    lines = start + velocity * np.arange(num_frames)[:, None, None]
    return (lines + generator.normal(scale=deviation, size=lines.shape)).astype("float32")


@pytest.mark.parametrize("num_dimensions", [2, 3])
@pytest.mark.parametrize("deviation", [1e-4, 0.1])
def test_straight_lines_are_those_of_least_squares(num_dimensions, deviation):
    frames = noisy_lines(8, deviation, num_dimensions)
    estimates = follow(layer(deviation, 1e-9), frames)
    for count in range(2, 9):
        design = np.stack([np.ones(count), np.arange(count) - (count - 1)], axis=1)
        wanted = np.linalg.pinv(design) @ frames[:count].reshape(count, -1).astype("float64")
        covariance = deviation**2 * np.linalg.inv(design.T @ design)
        positions, velocities, xx, xv, vv = estimates[count - 1]
        np.testing.assert_allclose(positions.ravel(), wanted[0], atol=3e-3 * deviation + 1e-6)
        np.testing.assert_allclose(velocities.ravel(), wanted[1], atol=3e-3 * deviation + 1e-6)
        for found, expected in zip((xx, xv, vv), (covariance[0, 0], covariance[0, 1], covariance[1, 1]), strict=True):
            identity = np.broadcast_to(np.eye(num_dimensions), found.shape)
            np.testing.assert_allclose(found, expected * identity, rtol=1e-2, atol=1e-3 * deviation**2)


@pytest.mark.parametrize("curvature", [1e-9, 1.0])
@pytest.mark.parametrize("deviation", [1e-9, 1e-5])
def test_without_noise_worth_mentioning_the_last_two_frames_count(deviation, curvature):
    """Paths that bend, of which straight motion errs by far more than the noise."""
    frames = np.cumsum(np.cumsum(noisy_lines(6, 0.1), axis=0), axis=0)
    for (positions, velocities, xx, *_), frame, before in zip(
        follow(layer(deviation, curvature), frames, drift=1.0)[1:], frames[1:], frames, strict=False
    ):
        np.testing.assert_allclose(positions, frame, atol=1e-5)
        np.testing.assert_allclose(velocities, frame - before, atol=1e-4)
        assert np.abs(xx).max() < 1e-9


def test_a_curvature_of_one_gives_the_velocity_of_the_last_two_frames():
    frames = noisy_lines(6, 1e-4)
    for (_, velocities, *_), frame, before in zip(
        follow(layer(1e-4, 1.0), frames)[1:3], frames[1:3], frames[:2], strict=True
    ):
        np.testing.assert_allclose(velocities, frame - before, atol=3e-5)


@pytest.mark.slow
@pytest.mark.parametrize("memory", [2, 5])
def test_what_the_law_neglects_does_not_add_up_over_more_frames_than_memory(memory):
    """A small acceleration that the law does not know, which memory of all frames would follow ever less."""
    times = np.arange(90)[:, None, None]
    bent = noisy_lines(90, 0.01) + (1e-3 * times**2 / 2).astype("float32")
    everything, bounded = (follow(layer(0.01, 1e-9, count), bent) for count in (1000, memory))
    first, last = (np.abs(bounded[index][0] - bent[index]).mean() for index in (memory, -1))
    assert last < 2 * max(first, 0.01)
    assert np.abs(everything[-1][0] - bent[-1]).mean() > 5 * last
    for index in (memory, 30, -1):
        xx, vv = (bounded[index][which].max() for which in (2, 4))
        assert xx >= 0.999 * 0.01**2 / memory
        assert vv >= 0.999 * 12 * 0.01**2 / (memory * (memory**2 - 1))
    assert everything[-1][4].max() < 0.01 * bounded[-1][4].max()


@pytest.mark.parametrize("memory", [5, 9])
def test_until_memory_is_full_all_frames_count(memory):
    frames = noisy_lines(memory, 0.1)
    bounded, everything = (follow(layer(0.1, 1e-9, count), frames) for count in (memory, 1000))
    for found, wanted in zip(bounded, everything, strict=True):
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-3, atol=1e-6)


def test_after_one_frame_the_velocity_is_that_of_typical_moves():
    generator = np.random.default_rng(2)
    moves = MOVE * generator.normal(size=(1, 4000, 2)).astype("float32")
    noise = MeasurementNoise(UNIT, float(np.abs(moves).mean()), 5)
    noise.build()
    noise.set_noise(0.1, 0.1, 3.0)
    positions, velocities, xx, _, vv = follow(noise, np.zeros_like(moves))[0]
    np.testing.assert_allclose(positions, 0, atol=1e-6)
    assert not velocities.any()
    np.testing.assert_allclose(xx[0], np.broadcast_to(0.1**2 * np.eye(2), xx[0].shape), rtol=1e-3)
    np.testing.assert_allclose(vv[0], np.broadcast_to(9 * moves.var() * np.eye(2), vv[0].shape), rtol=0.05)


@pytest.mark.parametrize("drift", [1e-4, 1e-2, 1.0])
def test_equals_a_filter_in_matrices(drift):
    """The textbook's matrices in float64, from a prior of positions that is wide and not infinite."""
    frames, variance = noisy_lines(10, 0.1), 0.1**2
    transition, observed = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0]])
    state = np.stack([frames[0].ravel().astype("float64"), np.zeros(frames[0].size)])
    covariance = np.diag([1e8, np.pi / 2 * MOVE**2])
    estimates = follow(layer(0.1, 1e-9), frames, drift)
    for index, ((positions, velocities, xx, xv, vv), frame) in enumerate(zip(estimates, frames, strict=True)):
        gain = covariance @ observed.T / (covariance[0, 0] + variance)
        state = state + gain @ (frame.ravel()[None] - observed @ state)
        covariance = (np.eye(2) - gain @ observed) @ covariance
        np.testing.assert_allclose(positions.ravel(), state[0], atol=1e-3)
        np.testing.assert_allclose(velocities.ravel(), state[1], atol=1e-3)
        if index:
            found = [np.mean(np.diagonal(value, axis1=-2, axis2=-1)) for value in (xx, xv, vv)]
            np.testing.assert_allclose(found, covariance[[0, 0, 1], [0, 1, 1]], rtol=0.02)
        state, covariance = transition @ state, transition @ covariance @ transition.T + drift


def test_observed_velocities_are_exact_and_positions_are_not():
    covariances = tuple(np.full((1, 2, 2, 2), value, "float32") for value in (1.0, 2.0, 3.0))
    xx, xv, vv = layer(0.1, 0.1).observe_velocities(covariances)
    np.testing.assert_array_equal(xx, covariances[0])
    assert not np.any(xv) and not np.any(vv)


def test_a_head_predicts_what_least_squares_predict_and_how_far_that_is_off():
    """Free particles: the mean continues the line of least squares; the variance is that of the next observation."""
    deviation, num_frames = 0.05, 5
    head = free(has_measurement_noise=True, has_growing_noise=True, move_scale=MOVE, memory=num_frames)
    head.scale.set_weights([np.zeros(weight.shape) for weight in head.scale.get_weights()])
    head.scale.bias.assign([-40.0, -40.0, 0.0])  # no errors of accelerations
    head.measurement.set_noise(deviation, 1e-9)
    inputs, velocities = system()
    noise = np.random.default_rng(5).normal(scale=deviation, size=(num_frames + 1, *velocities.shape))
    frames = [
        (inputs["positions"] + k * velocities + each).astype("float32") for k, each in enumerate(noise[:num_frames])
    ]
    state = observed_states(head, frames, inputs)[-1]
    outputs = np.zeros((*inputs["mask"].shape, WIDTH), "float32")
    times = np.arange(num_frames) - num_frames
    design = np.stack([np.ones(num_frames), times], axis=1)
    wanted = np.tensordot(np.linalg.pinv(design)[0], np.stack(frames).astype("float64"), axes=1)
    variance = deviation**2 * (1 + np.linalg.inv(design.T @ design)[0, 0])
    parameters, _ = head(outputs, {**inputs, "positions": frames[-1], "velocities": frames[-1] - frames[-2]}, state)
    np.testing.assert_allclose(head.mean(parameters), wanted, atol=1e-3 * deviation)
    found = np.asarray(head.layout.covariance(parameters))
    np.testing.assert_allclose(found, np.broadcast_to(variance * np.eye(2), found.shape), rtol=0.01, atol=FLOOR**2)


def test_gradients_reach_the_noise_through_many_frames():
    noise, frames = layer(0.1, 0.1), noisy_lines(6, 0.1)
    with tf.GradientTape() as tape:
        covariances = noise.before_first_frame((tf.zeros((1, 7, 2, 2)),) * 3)
        positions, velocities = frames[:1], np.zeros_like(frames[:1])
        for frame in frames:
            covariances, positions, velocities = noise.observe(covariances, positions, velocities, frame[None])
            covariances = KinematicHead(2, 1, 1e-6, UNIT).propagate(covariances, 1e-3 * np.eye(2), None)
        total = tf.add_n([tf.reduce_sum(value) for value in covariances])
    for gradient in tape.gradient(total, noise.trainable_variables):
        assert np.isfinite(gradient) and gradient > 0


@pytest.mark.slow
@pytest.mark.parametrize("curvature", [1e-9, 0.5])
def test_drawn_paths_have_the_variances_of_the_predicted_densities(curvature):
    """Free particles with noise of positions and of accelerations: 4 000 paths, one system each, frame by frame."""
    num_paths, generator = 4000, np.random.default_rng(6)
    head = free(has_measurement_noise=True, substeps=1, move_scale=MOVE, memory=3)
    head.scale.set_weights([np.zeros(weight.shape) for weight in head.scale.get_weights()])
    head.measurement.set_noise(0.3, curvature)
    frames = np.repeat(noisy_lines(5, 0.3, num_particles=3)[:, None], num_paths, axis=1)
    inputs = {"features": np.zeros((num_paths, 3, 2), "float32"), "mask": np.ones((num_paths, 3), "float32")}
    outputs = np.zeros((num_paths, 3, WIDTH), "float32")
    drawing = following = observed_states(head, frames, inputs)[-1]
    path = mean = frames[-1]
    for step in range(8):
        predicted, following = head(outputs, {**inputs, "positions": mean}, following)
        mean = head.mean(predicted)
        density, drawing = head(outputs, {**inputs, "positions": path}, drawing)
        normal = generator.normal(size=path.shape).astype("float32")
        path = head.layout.draw(density, np.zeros((num_paths, 3), "float32"), normal)
        drawing = head.observe_drawn(drawing, path)
        variance = np.asarray(head.layout.covariance(predicted))[0, :, 0, 0]
        found = np.asarray(path).var(axis=0).mean(axis=-1)
        np.testing.assert_allclose(found, variance, rtol=0.08, err_msg=f"step {step}")
        away = np.abs(np.asarray(path).mean(axis=0) - np.asarray(mean)[0])
        assert (away < 5 * np.sqrt(variance / num_paths)[:, None]).all(), step
