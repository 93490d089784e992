import dataclasses

import numpy as np
import pytest

from socialmd_tf.fitting.candidates import candidate_basis
from socialmd_tf.fitting.least_squares import accumulate, penalty, reweighted, solve, standard_errors
from tests.socialmd_tf.fitting.systems import trajectories


def problem(num_rows=400, num_columns=5, noise=0.1, seed=0):
    """Rows X `[1, 1, M, 2, P]`, y and the true coefficients."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=num_columns)
    x = rng.normal(size=(1, 1, num_rows, 2, num_columns))
    return x, x @ true + noise * rng.normal(size=x.shape[:-1]), true


def plain(equations):
    return solve(equations, np.zeros_like(equations.matrix))


def test_without_weights_it_is_ordinary_least_squares_in_any_number_of_pieces():
    x, y, _ = problem()
    expected = np.linalg.lstsq(x.reshape(-1, 5), y.ravel(), rcond=None)[0]
    pieces = [(x[:, :, k : k + 150], y[:, :, k : k + 150]) for k in range(0, 400, 150)]
    for rows in ([(x, y)], pieces):
        np.testing.assert_allclose(plain(accumulate(rows, np.zeros(5), np.inf)), expected, rtol=1e-9)


def test_weights_are_cauchys():
    x, y, true = problem(num_rows=7)
    expected = np.zeros((5, 5))
    for row, target in zip(x[0, 0], y[0, 0], strict=True):
        length = np.hypot(*(target - row @ true))
        expected += row.T @ row / (1 + (length / 0.2) ** 2)
    np.testing.assert_allclose(accumulate([(x, y)], true, 0.2).matrix, expected, rtol=1e-12)


def test_outliers_lose_their_weight():
    x, y, true = problem(noise=1e-3)
    y[0, 0, ::10] += 5.0
    found, _ = reweighted([(x, y)], 5, plain)
    assert np.abs(found - true).max() < 1e-3
    assert np.abs(np.linalg.lstsq(x.reshape(-1, 5), y.ravel(), rcond=None)[0] - true).max() > 0.05


def test_rows_without_numbers_do_not_count():
    x, y, _ = problem()
    with_gap = y.copy()
    with_gap[0, 0, 5] = np.nan
    fewer = np.delete(x, 5, axis=2), np.delete(y, 5, axis=2)
    np.testing.assert_allclose(reweighted([(x, with_gap)], 5, plain)[0], reweighted([fewer], 5, plain)[0], rtol=1e-9)


def test_standard_errors_are_the_spread_of_the_estimates():
    found, errors = [], []
    for seed in range(200):
        x, _, true = problem(num_rows=50)
        y = x @ true + 0.1 * np.random.default_rng(seed + 1).normal(size=x.shape[:-1])
        equations = accumulate([(x, y)], np.zeros(5), np.inf)
        found.append(plain(equations))
        errors.append(standard_errors(equations, np.zeros((5, 5)), found[-1]))
    # The spread of 200 estimates has a relative standard error of 5 %.
    np.testing.assert_allclose(np.std(found, axis=0), np.mean(errors, axis=0), rtol=0.2)


@pytest.mark.parametrize("power", [0, 2])
def test_the_penalty_is_zero_for_straight_lines_only(power):
    basis = candidate_basis(trajectories(2), 8)
    size = basis.num_columns
    equations = accumulate([(np.ones((1, 1, 1, 2, size)), np.ones((1, 1, 1, 2)))], np.zeros(size), np.inf)
    matrix = penalty(basis, equations, power)
    line, bend = np.zeros(size), np.zeros(size)
    scale = (basis.knots.distances / basis.knots.nearest) ** power
    line[:8], bend[:8] = scale * (np.arange(8) - 3.0), scale * np.arange(8) ** 2
    assert line @ matrix @ line == pytest.approx(0.0, abs=1e-9)
    assert bend @ matrix @ bend > 1
    others = np.ones(size)
    for name, block in basis.blocks.items():
        if name.startswith("pairs"):
            others[block] = 0
    assert others @ matrix @ others == 0


def test_a_column_without_data_is_filled_in_by_the_penalty():
    basis = dataclasses.replace(candidate_basis(trajectories(2), 8), channels=(), fields=(), frictions=())
    basis = dataclasses.replace(basis, channels=candidate_basis(trajectories(2), 8).channels[:1])
    x = np.repeat(np.eye(8), 3, axis=0).reshape(1, 1, -1, 1, 8)
    x[..., 4] = 0.0
    y = x @ (2.0 + np.arange(8.0))
    equations = accumulate([(x, y)], np.zeros(8), np.inf)
    found = solve(equations, 1e-6 * penalty(basis, equations))
    np.testing.assert_allclose(found, 2.0 + np.arange(8.0), rtol=1e-3)
