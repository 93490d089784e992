"""Constants instead of curves: where they are right, and only there."""

import numpy as np
import pytest

from pipelines.laws.config import CoulombConfig
from pipelines.laws.simulate import simulate
from socialmd_tf.fitting import fit as fit_module
from socialmd_tf.fitting.basis import ONE, Basis, Channel, Factor
from socialmd_tf.fitting.fit import fit
from socialmd_tf.fitting.inverse_square import with_constants, with_curves
from socialmd_tf.fitting.law import Law
from socialmd_tf.fitting.least_squares import NormalEquations
from socialmd_tf.fitting.rows import numerov_rows
from socialmd_tf.fitting.splines import Knots
from socialmd_tf.fitting.trajectories import Trajectories
from tests.socialmd_tf.fitting.test_fit import SPRINGS, found


@pytest.fixture(autouse=True)
def few_knots(monkeypatch):
    monkeypatch.setattr(fit_module, "KNOTS", (16, 24))


def a_basis(count):
    charge = Factor("charge", ((0, 1.0),))
    return Basis(Knots(0.5, 3.0, count), (Channel(), Channel(charge, charge)), (), (ONE,), (0.0, 0.0), 1.0, 0.01)


def test_constants_minimise_what_the_curves_minimise():
    """Of all curves that are constants, those found have the least squares: no change of one lowers them."""
    basis = a_basis(8)
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(100, basis.num_columns)), generator.normal(size=100)
    equations = NormalEquations(x.T @ x, x.T @ y, float(y @ y), 100.0, 1.0)
    law, fewer = with_constants(Law(basis, np.zeros(basis.num_columns)), equations)
    assert law.coefficients.shape == (3,)

    def squares(constants):
        first, second, friction = constants
        return np.sum((y - x @ np.concatenate([np.full(8, first), np.full(8, second), [friction]])) ** 2)

    least = squares(law.coefficients)
    for step in 1e-3 * np.concatenate([np.eye(3), -np.eye(3)]):
        assert squares(law.coefficients + step) > least
    assert least == pytest.approx(
        fewer.squares - 2 * law.coefficients @ fewer.right + law.coefficients @ fewer.matrix @ law.coefficients
    )


def test_a_constant_is_a_curve_with_equal_coefficients():
    constant = Law(a_basis(1), np.array([2.0, 3.0, 0.1]))
    curves = Law(a_basis(8), np.concatenate([np.full(8, 2.0), np.full(8, 3.0), [0.1]]))
    positions, velocities = np.random.default_rng(0).normal(size=(2, 1, 5, 2))
    features = np.arange(5.0).reshape(1, 5, 1)
    of_system = features, np.zeros((1, 5, 5), int), np.ones((1, 5), bool), None
    found, wanted = (law.on(*of_system)(positions, velocities) for law in (constant, curves))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    distances = np.array([0.1, 1.0, 9.0])
    np.testing.assert_allclose(constant.curve(slice(0, 1), distances), 2 / distances**2, rtol=1e-12)


def charged(config, first_seed, count):
    simulations = simulate(config, [np.random.default_rng(first_seed + k) for k in range(count)])
    return Trajectories.of(simulations.positions.astype(np.float32), simulations.charges[..., None], ("charge",))


def test_charges_are_found_to_act_by_the_inverse_square():
    config = CoulombConfig(num_particles=3, num_frames=15, position_spread=3.0)
    train, validation = charged(config, 0, 10), charged(config, 1000, 6)
    lines = []
    fitted = fit(train, validation, warm_up_steps=4, rollout_steps=10, log=lines.append)
    assert fitted.terms == ("pairs: charge_i charge_j",)
    assert any("r^-2" in line for line in lines)
    # Equal charges repel: negative where positive attracts.
    distances = np.array([1.0, 10.0, 1000.0])
    per_frame = -config.coulomb_constant * (config.time_step * config.save_every) ** 2
    curve, errors = fitted.curve(fitted.terms[0], distances)
    np.testing.assert_allclose(curve, per_frame / distances**2, rtol=1e-4)
    assert (0 < errors).all() and (errors < 1e-3 * np.abs(curve)).all()


@pytest.mark.slow
def test_springs_are_no_constants():
    fitted, lines = found(SPRINGS)
    assert fitted.law.basis.knots.count > 1
    assert not any("r^-2" in line for line in lines)


def test_columns_of_constants_are_sums_of_those_of_curves():
    constants, curves = Law(a_basis(1), np.array([2.0, 3.0, 0.1])), a_basis(8)
    positions = np.random.default_rng(0).normal(size=(2, 6, 5, 2))
    data = Trajectories.of(positions, np.arange(10.0).reshape(2, 5, 1), ("charge",))
    (few, targets), (many, same) = next(numerov_rows(constants.basis, data)), next(numerov_rows(curves, data))
    summed = [many[..., :8].sum(-1), many[..., 8:16].sum(-1), many[..., 16]]
    np.testing.assert_allclose(few, np.stack(summed, axis=-1), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(targets, same)
    np.testing.assert_array_equal(with_curves(constants, 8).coefficients, np.repeat([2.0, 3.0, 0.1], [8, 8, 1]))


@pytest.mark.slow
def test_curves_return_where_constants_were_tried_in_vain(monkeypatch):
    """Constants that seem better after the first least squares."""
    monkeypatch.setattr(fit_module, "_predicts_better", lambda *_: True)
    fitted, lines = found(SPRINGS)
    assert fitted.law.basis.knots.count > 1 and fitted.terms == ("pairs: bonds of type 1",)
    assert np.median(fitted.rollout_errors) < 1e-5
    assert any("better than constants" in line for line in lines)
