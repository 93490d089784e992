import numpy as np
import pytest

from pipelines.laws.config import SpringsConfig
from pipelines.laws.simulate import simulate
from socialmd_tf.fitting import duration
from socialmd_tf.fitting import fit as fit_module
from socialmd_tf.fitting.trajectories import Trajectories

SPRINGS = SpringsConfig(num_particles=4, num_dimensions=2, num_frames=20)
SHAPE = (6, 20, 4, 2)


@pytest.fixture(autouse=True)
def one_second_each(monkeypatch):
    """Few knots, and every part that is timed takes a second."""
    monkeypatch.setattr(fit_module, "KNOTS", (16,))
    monkeypatch.setattr(duration, "_timed", lambda make: (1.0, make()))


@pytest.fixture(scope="module")
def data():
    simulations = simulate(SPRINGS, [np.random.default_rng(k) for k in range(6)])
    return Trajectories.of(simulations.positions, edges=simulations.edges)


def found(data, *shapes):
    return duration.fit_duration(data, data, shapes, warm_up_steps=4, rollout_steps=10)


def test_the_time_of_all_data_is_that_of_their_parts(data):
    fitted = found(data, SHAPE, SHAPE)
    # A search for terms of a second or two, 2 to 8 rounds of a second each, as many rollouts, and 4 to 24 more.
    assert (fitted.least, fitted.most) == pytest.approx((1 + 2 + 2 + 4, 2 + 8 + 8 + 24))
    assert fitted.fitted.terms == ("pairs: bonds of type 1",)


@pytest.mark.slow
def test_it_grows_with_frames_and_pairs_and_in_the_last_rounds_with_trajectories(data):
    reference = found(data, SHAPE, SHAPE)
    longer, larger = found(data, *[(6, 40, 4, 2)] * 2), found(data, *[(6, 20, 8, 2)] * 2)
    assert longer.most - reference.most == pytest.approx(2 + 8)
    assert larger.most == pytest.approx(4 * reference.most)
    many = found(data, (6000, 20, 4, 2), SHAPE)
    assert reference.least < many.least < 1000 * reference.least


def test_some_of_many_particles_are_timed(data, monkeypatch):
    whole = found(data, SHAPE, SHAPE)
    monkeypatch.setattr(duration, "_MOST_PARTICLES", 2)
    half = found(data, SHAPE, SHAPE)
    assert half.least == pytest.approx(4 * whole.least)
