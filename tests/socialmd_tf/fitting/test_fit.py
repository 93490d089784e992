import dataclasses

import numpy as np
import pytest

from pipelines.laws.config import LennardJonesConfig, SpringsConfig, TrapConfig
from pipelines.laws.simulate import law_of, simulate
from socialmd_tf.fitting import fit as fit_module
from socialmd_tf.fitting import trajectories
from socialmd_tf.fitting.fit import fit
from socialmd_tf.fitting.trajectories import Trajectories

SPRINGS = SpringsConfig(num_particles=4, num_dimensions=2, num_frames=20)


@pytest.fixture(autouse=True)
def few_knots(monkeypatch):
    monkeypatch.setattr(fit_module, "KNOTS", (16, 24))


def data(config, first_seed, count):
    simulations = simulate(config, [np.random.default_rng(first_seed + k) for k in range(count)])
    positions = simulations.positions.astype(np.float32)
    return Trajectories.of(positions, edges=simulations.edges, box=law_of(config).box(config))


def found(config, num_train=12, rollout_steps=10):
    lines = []
    train, validation = data(config, 0, num_train), data(config, 1000, 6)
    return fit(train, validation, warm_up_steps=4, rollout_steps=rollout_steps, log=lines.append), lines


@pytest.fixture(scope="module")
def springs():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module, "KNOTS", (16, 24))
        return found(SPRINGS)


def test_springs_on_a_graph_are_found_without_being_told(springs):
    fitted, lines = springs
    assert fitted.terms == ("pairs: bonds of type 1",)
    assert np.median(fitted.rollout_errors) < 2e-6  # in some windows bonds are longer than any in training
    distances = np.geomspace(0.3, 1.5, 5)
    curve, errors = fitted.curve(fitted.terms[0], distances)
    per_frame = SPRINGS.spring_constant * (SPRINGS.time_step * SPRINGS.save_every) ** 2
    np.testing.assert_allclose(curve, per_frame * distances, rtol=2e-3)
    assert (errors > 0).all() and (errors < 0.01 * curve).all()
    assert any("path round" in line for line in lines)


def test_friction_is_found_with_its_value_and_error():
    fitted, _ = found(dataclasses.replace(SPRINGS, friction=0.5))
    assert set(fitted.terms) == {"pairs: bonds of type 1", "friction: 1_i"}
    gamma, error = fitted.frictions["friction: 1_i"]
    assert gamma == pytest.approx(0.05, rel=1e-4)
    assert 0 < error < 1e-4


def test_every_term_that_was_tried_has_an_error_with_and_without_it(springs):
    fitted, _ = springs
    trials = {trial.name: trial for trial in fitted.trials}
    assert {"pairs: 1", "field: 1_i", "friction: 1_i"} <= set(trials)
    assert not trials["field: 1_i"].is_kept
    assert all(trial.with_term > 0 and trial.without_term > 0 for trial in fitted.trials)


@pytest.mark.slow
def test_soft_disks_in_a_trap():
    fitted, _ = found(TrapConfig(num_particles=5, save_every=25), num_train=40)
    assert set(fitted.terms) == {"pairs: 1", "field: 1_i", "friction: 1_i"}
    assert fitted.frictions["friction: 1_i"][0] == pytest.approx(0.3 * 0.025, rel=1e-3)


@pytest.mark.slow
def test_a_liquid_in_a_box():
    config = LennardJonesConfig(num_particles=36, num_frames=30)
    fitted, _ = found(config, num_train=6)
    assert fitted.terms == ("pairs: 1",)
    distances = np.array([1.0, 1.1225, 1.5])
    force = 24 * (distances**-7 - 2 * distances**-13) * (config.time_step * config.save_every) ** 2
    curve, _ = fitted.curve("pairs: 1", distances)
    np.testing.assert_allclose(curve, force, rtol=0.01, atol=1e-5)


@pytest.mark.slow
def test_a_large_liquid_is_fitted_in_pieces_with_a_cutoff_from_the_data(monkeypatch):
    """Small systems as if they were large: the force ends at 2.3, and half the box is 3.6."""
    monkeypatch.setattr(trajectories, "MANY", 30)
    config = LennardJonesConfig(num_particles=36, num_frames=21, equilibration_steps=500)
    fitted, lines = found(config, num_train=8, rollout_steps=6)
    assert lines[0] == "equations from pieces of 7 frames: 24 for training, 18 for validation"
    assert 2.2 < fitted.law.basis.cutoff < 3
    assert (
        f"cutoff of pair forces: {fitted.law.basis.cutoff:.3g}, the shortest that predicts no worse than 3.59" in lines
    )
    assert fitted.terms == ("pairs: 1",)
    assert len(fitted.rollout_errors) >= 2 and np.median(fitted.rollout_errors) < 2e-4
