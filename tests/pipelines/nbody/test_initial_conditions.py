import dataclasses
import itertools

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.nbody.config import SimulationConfig
from pipelines.nbody.forces import distances
from pipelines.nbody.initial_conditions import SPLITS, draw, generator


def draws(config, count):
    return [draw(generator(0, "train", index, 0), config) for index in range(count)]


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_shapes(num_dimensions):
    state = draw(np.random.default_rng(0), SimulationConfig(num_dimensions=num_dimensions))
    assert state.positions.shape == state.velocities.shape == (25, num_dimensions)
    assert state.masses.shape == state.charges.shape == (25,)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_particles_are_in_the_ball_and_apart(num_dimensions):
    config = SimulationConfig(num_dimensions=num_dimensions)
    for state in draws(config, 20):
        r = distances(state.positions)
        assert r.min() >= config.min_distance - 1e-12
        assert r[np.isfinite(r)].max() <= 2 * config.radius


def test_centre_of_mass_rests_at_the_origin():
    for state in draws(SimulationConfig(), 5):
        np.testing.assert_allclose(state.masses @ state.positions, 0, atol=1e-12)
        np.testing.assert_allclose(state.masses @ state.velocities, 0, atol=1e-10)


def test_masses_and_charges_are_in_range():
    states = draws(SimulationConfig(), 40)
    masses = np.concatenate([state.masses for state in states])
    charges = np.concatenate([state.charges for state in states])
    assert masses.min() >= 1 and masses.max() <= 4
    assert np.abs(charges).min() >= 0.5 and np.abs(charges).max() <= 1.5
    # Medians of 1000 numbers: log-uniform in [1, 4] has 2, U(0.5, 1.5) has 1; half of the charges are positive.
    assert np.median(masses) == pytest.approx(2.0, abs=0.2)
    assert np.median(np.abs(charges)) == pytest.approx(1.0, abs=0.06)
    assert np.mean(charges > 0) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_positions_fill_the_ball_uniformly(num_dimensions):
    # The centre of mass of a thousand particles is near the origin, so that centring hardly moves them.
    config = SimulationConfig(num_dimensions=num_dimensions, num_particles=1000, min_distance=1e-6, radius=2.0)
    radii = np.linalg.norm(draw(np.random.default_rng(0), config).positions, axis=1)
    # Uniformly filled, the share within radius r is (r / R)^D.
    for r in (0.8, 1.2, 1.6):
        assert np.mean(radii <= r) == pytest.approx((r / 2.0) ** num_dimensions, abs=0.07)


def test_speed_is_the_standard_deviation_of_a_component():
    velocities = np.concatenate([state.velocities for state in draws(SimulationConfig(speed=15.0), 40)])
    # Resting centres of mass take away about 1 / 25 of the variance.
    assert velocities.std() == pytest.approx(15.0 * np.sqrt(1 - 1 / 25), rel=0.06)


def test_equal_keys_give_equal_draws_and_no_two_keys_share_one():
    config = SimulationConfig()
    keys = list(itertools.product((0, 1), SPLITS, (0, 1), (0, 1)))
    first = [draw(generator(*key), config).positions for key in keys]
    again = [draw(generator(*key), config).positions for key in reversed(keys)][::-1]
    np.testing.assert_array_equal(first, again)
    assert len({positions.tobytes() for positions in first}) == len(keys)


def test_a_full_disc_is_refused():
    config = dataclasses.replace(SimulationConfig(), radius=0.5)
    with pytest.raises(UserError, match="`radius` must leave room for 25 particles"):
        draw(np.random.default_rng(0), config)
