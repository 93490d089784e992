import dataclasses

import numpy as np
import pytest

from socialmd_tf.fitting.basis import ONE, Channel
from socialmd_tf.fitting.candidates import candidate_basis
from socialmd_tf.fitting.law import Law
from socialmd_tf.fitting.least_squares import accumulate
from socialmd_tf.fitting.selection import (
    STRENGTHS,
    Rollouts,
    Smoothing,
    choose_smoothing,
    eliminate,
    is_worse,
    row_losses,
    without,
)
from tests.socialmd_tf.fitting.systems import trajectories


def small_basis():
    basis = candidate_basis(trajectories(2), 10)
    return dataclasses.replace(basis, channels=(Channel(),), fields=(), frictions=())


def rows(curve, noise, seed, num_trajectories=20):
    """Observations of single coefficients: X `[W, 1, 40, 1, 10]` and y = curve + noise."""
    rng = np.random.default_rng(seed)
    x = np.eye(10)[rng.integers(0, 10, (num_trajectories, 1, 40, 1))]
    return [(x, x @ curve + noise * rng.normal(size=x.shape[:-1]))]


@pytest.mark.parametrize(
    ("curve", "noise", "allowed"),
    [
        (np.arange(10.0), 0.3, STRENGTHS[-1:]),  # a straight line cannot be too smooth
        (np.cos(np.pi * np.arange(10)), 1e-3, STRENGTHS[STRENGTHS < 1e-3]),  # this can
    ],
)
def test_smoothing_is_the_largest_that_validation_does_not_mind(curve, noise, allowed):
    equations = accumulate(rows(curve, noise, 0), np.zeros(10), np.inf)
    equations = dataclasses.replace(equations, scale=1.0)
    chosen = choose_smoothing(small_basis(), equations, rows(curve, noise, 1))
    assert chosen.smoothing.strength in allowed
    assert chosen.losses.shape == (20,)


@pytest.mark.parametrize("power", [0, 2])
def test_what_is_smooth_is_what_validation_prefers(power):
    """A force proportional to r^-2, or a constant one, whose size the data say little about."""
    basis = small_basis()
    curve = (basis.knots.distances / basis.knots.farthest) ** power
    equations = dataclasses.replace(accumulate(rows(curve, 0.3, 0), np.zeros(10), np.inf), scale=1.0)
    chosen = choose_smoothing(basis, equations, rows(curve, 0.3, 1))
    assert chosen.smoothing == Smoothing(STRENGTHS[-1], power)


def test_losses_by_hand():
    x = np.ones((2, 1, 2, 1, 1))
    y = np.array([[[3.0, 3.0]], [[1.0, 4.0]]]).reshape(2, 1, 2, 1)
    losses = row_losses([(x, y)], np.array([[1.0]]), 2.0)
    np.testing.assert_allclose(losses[:, 0], [np.log(2.0), np.log(1 + 9 / 4) / 2])


def test_worse_is_by_more_than_a_standard_error_and_more_than_negligible():
    same, rng = np.zeros(100), np.random.default_rng(0)
    assert not is_worse(same, same)
    assert is_worse(same + 0.02, same, negligible=0.01)
    assert not is_worse(same + 0.005, same, negligible=0.01)
    assert not is_worse(rng.normal(size=100) - 0.05, same)
    assert is_worse(rng.normal(size=100) + 1.0, same)


def test_elimination_keeps_what_rollouts_need():
    """Straight motion with friction: the friction stays, a pair force and a field of no size go."""
    gamma, speed = 0.1, np.random.default_rng(0).normal(size=(6, 1, 5, 2))
    time = np.arange(20)[None, :, None, None]
    data = trajectories(2, num_frames=20)[np.arange(6) % 2]
    exact = speed * (1 - np.exp(-gamma * time)) / gamma + np.random.default_rng(1).normal(size=(6, 1, 5, 2))
    data = dataclasses.replace(data, positions=exact)
    basis = dataclasses.replace(candidate_basis(data, 8), channels=(Channel(),), fields=(ONE,), frictions=(ONE,))
    coefficients = np.zeros(basis.num_columns)
    coefficients[-1] = gamma
    x = np.random.default_rng(2).normal(size=(1, 1, 500, 2, basis.num_columns))
    equations = accumulate([(x, x @ coefficients)], coefficients, 1.0)
    law, fewer, trials = eliminate(Law(basis, coefficients), equations, Smoothing(1e-9, 0), Rollouts(data, 5, 10))
    assert list(law.basis.blocks) == ["friction: 1_i"]
    assert law.coefficients[-1] == pytest.approx(gamma, rel=1e-6)
    assert fewer.matrix.shape == (1, 1)
    assert {trial.name: trial.is_kept for trial in trials} == {"pairs: 1": False, "field: 1_i": False}


def test_without_a_term_the_others_are_solved_again():
    basis = dataclasses.replace(small_basis(), frictions=(ONE,))
    x = np.random.default_rng(0).normal(size=(1, 1, 200, 1, 11))
    y = x @ np.arange(11.0)
    equations = accumulate([(x, y)], np.zeros(11), np.inf)
    law, fewer = without(Law(basis, np.arange(11.0)), equations, Smoothing(0.0, 0), "friction: 1_i")
    expected = np.linalg.lstsq(x[..., :10].reshape(-1, 10), y.ravel(), rcond=None)[0]
    np.testing.assert_allclose(law.coefficients, expected, rtol=1e-6, atol=1e-6)
    assert len(fewer.right) == 10


def test_rollouts_ignore_padding():
    data = trajectories(2, num_frames=12)
    moved = data.positions.copy()
    moved[1, :, -1] += 1e6
    basis = candidate_basis(data, 8)
    law = Law(basis, np.zeros(basis.num_columns))
    expected = Rollouts(data, 3, 4).errors(law)
    np.testing.assert_allclose(Rollouts(dataclasses.replace(data, positions=moved), 3, 4).errors(law), expected)
    assert expected.shape == (4,) and (expected > 0).all()
