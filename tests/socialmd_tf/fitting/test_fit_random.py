"""Laws of random motion: the mean move of one frame."""

import numpy as np
import pytest

from socialmd_tf.fitting import fit as fit_module
from socialmd_tf.fitting.candidates import candidate_basis
from socialmd_tf.fitting.fit import fit_random
from socialmd_tf.fitting.law import Law
from socialmd_tf.fitting.least_squares import accumulate, penalty, solve
from socialmd_tf.fitting.rows import frame_rows, numerov_rows
from socialmd_tf.fitting.selection import SingleFrames
from socialmd_tf.fitting.trajectories import Trajectories
from tests.socialmd_tf.fitting.systems import trajectories

GAMMA, SPRING, NOISE = 0.4, 0.02, 0.05


def walks(count, seed, noise=NOISE, num_frames=40):
    """Four particles in a ring of springs; each frame x <- x + (1 - gamma) v + a(x) + noise."""
    rng = np.random.default_rng(seed)
    edges = np.zeros((4, 4), int)
    for i in range(4):
        edges[i, (i + 1) % 4] = edges[(i + 1) % 4, i] = 1
    x = rng.normal(size=(count, 4, 2))
    frames = [x, x + 0.05 * rng.normal(size=x.shape)]
    for _ in range(num_frames - 2):
        before, x = frames[-2:]
        a = SPRING * np.einsum("ij,wijd->wid", edges, x[:, None] - x[:, :, None])
        frames.append(x + (1 - GAMMA) * (x - before) + a + noise * rng.normal(size=x.shape))
    return Trajectories.of(np.stack(frames, axis=1), edges=np.stack([edges] * count))


@pytest.fixture(scope="module")
def fitted():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module, "KNOTS", (12, 16))
        return fit_random(walks(40, 0), walks(20, 1), log=lambda line: None)


def test_the_terms_and_gamma_are_found(fitted):
    assert {"pairs: bonds of type 1", "friction: 1_i"} <= set(fitted.terms)
    gamma, error = fitted.frictions["friction: 1_i"]
    assert gamma == pytest.approx(GAMMA, abs=4 * error) and 0 < error < 0.02


def test_the_force_is_found(fitted):
    distances = np.array([0.6, 1.0, 1.5])
    curve, errors = fitted.curve("pairs: bonds of type 1", distances)
    np.testing.assert_allclose(curve, SPRING * distances, atol=4 * errors.max())
    assert errors.max() < 0.3 * SPRING


def test_errors_are_those_of_the_noise(fitted):
    assert fitted.rollout_errors.shape == (20,)
    assert fitted.rollout_errors.mean() == pytest.approx(NOISE * np.sqrt(2 / np.pi), rel=0.02)


def gamma_of(make_rows, data):
    basis = candidate_basis(data, 12)
    rows = list(make_rows(basis, data))
    equations = accumulate(rows, np.zeros(basis.num_columns), np.inf)
    return solve(equations, 1e-3 * penalty(basis, equations))[-1]


def test_noise_biases_the_velocity_between_frames_but_not_the_last_move():
    data = walks(40, 2)
    assert gamma_of(frame_rows, data) == pytest.approx(GAMMA, abs=0.05)
    assert abs(gamma_of(numerov_rows, data) - GAMMA) > 0.15


def test_without_noise_the_equations_hold_exactly():
    data = walks(2, 0, noise=0.0, num_frames=8)
    moves = np.diff(data.positions, axis=1)
    expected = moves[:, 1:] - (1 - GAMMA) * moves[:, :-1]
    x = data.positions[:, 1:-1]
    springs = SPRING * np.einsum("ij,wtijd->wtid", data.edges[0], x[:, :, None] - x[:, :, :, None])
    np.testing.assert_allclose(expected, springs, atol=1e-12)  # the walk is what it says
    basis = candidate_basis(data, 12)
    ((columns, targets),) = frame_rows(basis, data)
    np.testing.assert_allclose(targets - columns[..., -1] * GAMMA, springs, atol=1e-12)
    assert columns.shape == (2, 6, 4, 2, basis.num_columns)


def test_single_frames_are_scored_by_trajectory_over_real_particles():
    data = trajectories(2)
    basis = candidate_basis(data, 8)
    found = SingleFrames(data).errors(Law(basis, np.zeros(basis.num_columns)))
    size = np.abs(np.diff(data.positions, n=2, axis=1))
    np.testing.assert_allclose(found, [size[0].mean(), size[1, :, :-1].mean()])
