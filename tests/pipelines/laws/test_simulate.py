import dataclasses
import itertools

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from pipelines.errors import UserError
from pipelines.laws.config import CoulombConfig, LennardJonesConfig, SpringsConfig, TrapConfig
from pipelines.laws.integrate import advance
from pipelines.laws.simulate import law_of, simulate
from pipelines.laws.systems import Systems, kinetic_energy

CONFIGS = {
    f"{name}-{dimensions}d": config
    for dimensions in (2, 3)
    for name, config in {
        "springs": SpringsConfig(num_dimensions=dimensions, num_frames=6),
        "coulomb": CoulombConfig(num_dimensions=dimensions, num_frames=6, position_spread=2.0, coulomb_constant=0.05),
        "trap": TrapConfig(num_dimensions=dimensions, num_particles=6, num_frames=6, save_every=20, friction=0.0),
        "lennard-jones": LennardJonesConfig(
            num_dimensions=dimensions, num_particles=27, num_frames=6, density=0.45, cutoff=1.9, switch=1.4,
            equilibration_steps=50,
        ),
    }.items()
}  # fmt: skip


@pytest.fixture(params=CONFIGS)
def config(request):
    return CONFIGS[request.param]


def run(config, *seeds):
    return simulate(config, [np.random.default_rng(seed) for seed in seeds])


def systems_at(simulations, frame=-1):
    return Systems(
        simulations.positions[:, frame], simulations.velocities[:, frame], simulations.edges, simulations.charges
    )


def energies(config, simulations, frame):
    systems = systems_at(simulations, frame)
    return law_of(config).potential_energy(config, systems) + kinetic_energy(systems.velocities)


def slow_energy(config, positions, simulations):
    """U of one system by loops over pairs."""
    energy = 0.0
    for i, j in itertools.combinations(range(len(positions)), 2):
        if isinstance(config, LennardJonesConfig):
            images = itertools.product((-1, 0, 1), repeat=config.num_dimensions)
            r = min(np.linalg.norm(positions[j] - positions[i] + np.array(k) * config.box_side) for k in images)
            z = min(max((r - config.switch) / (config.cutoff - config.switch), 0.0), 1.0)
            energy += 4 * (r**-12 - r**-6) * (1 - 10 * z**3 + 15 * z**4 - 6 * z**5)
            continue
        r = np.linalg.norm(positions[j] - positions[i])
        if isinstance(config, SpringsConfig):
            energy += config.spring_constant * r**2 / 2 if simulations.edges[0, i, j] else 0.0
        elif isinstance(config, CoulombConfig):
            energy += config.coulomb_constant * simulations.charges[0, i] * simulations.charges[0, j] / r
        else:
            energy += config.stiffness * max(0.0, 1 - r / config.diameter) ** 2 / 2
    return energy + (config.trap_constant * np.sum(positions**2) / 2 if isinstance(config, TrapConfig) else 0.0)


def test_energy_is_the_sum_over_pairs(config):
    simulations = run(config, 3)
    positions = simulations.positions[:, -1]
    if isinstance(config, LennardJonesConfig):  # the loops look one box to each side
        positions = positions % config.box_side
    systems = systems_at(simulations)._replace(positions=positions)
    expected = slow_energy(config, positions[0], simulations)
    assert law_of(config).potential_energy(config, systems)[0] == pytest.approx(expected, rel=1e-9)


def test_accelerations_are_minus_the_gradient_of_the_energy(config):
    law, simulations = law_of(config), run(config, 0, 1)
    positions = simulations.positions[:, -1]
    accelerations = law.accelerations(config, systems_at(simulations))(positions)
    assert np.abs(accelerations).max() > 0.05
    for i, axis in itertools.product(range(3), range(config.num_dimensions)):
        move = np.zeros_like(positions)
        move[:, i, axis] = 1e-5
        up, down = (
            law.potential_energy(config, systems_at(simulations)._replace(positions=positions + sign * move))
            for sign in (1, -1)
        )
        np.testing.assert_allclose(accelerations[:, i, axis], -(up - down) / 2e-5, rtol=1e-5, atol=1e-6)


def test_frames_solve_newtons_equations(config):
    law, simulations = law_of(config), run(config, 1)
    function = law.accelerations(config, systems_at(simulations))
    shape = simulations.positions[:, 0].shape

    def derivative(_, state):
        positions, velocities = state.reshape(2, *shape)
        return np.concatenate([velocities.ravel(), function(positions).ravel()])

    start = np.stack([simulations.positions[:, 0], simulations.velocities[:, 0]]).ravel()
    time = config.time_step * config.save_every * 5
    solved = solve_ivp(derivative, (0, time), start, method="DOP853", rtol=1e-9, atol=1e-9).y[:, -1].reshape(2, *shape)
    np.testing.assert_allclose(simulations.positions[:, -1], solved[0], atol=1e-3)
    moved = np.abs(simulations.positions[:, -1] - simulations.positions[:, 0]).max()
    assert moved > 0.05


def test_energy_and_momentum_are_kept(config):
    simulations = run(config, 0, 1, 2)
    first, last = energies(config, simulations, 0), energies(config, simulations, -1)
    np.testing.assert_allclose(last, first, atol=1e-3 * kinetic_energy(simulations.velocities[:, 0]).max())
    if not isinstance(config, TrapConfig):  # a trap holds particles
        momenta = simulations.velocities.sum(axis=2)
        np.testing.assert_allclose(momenta[:, -1], momenta[:, 0], atol=1e-9)


def test_halving_the_step_divides_the_error_by_four(config):
    finer = [dataclasses.replace(config, equilibration_steps=0, time_step=config.time_step / n, save_every=n * 20)
             for n in (1, 2, 8)]  # fmt: skip
    ends = [run(f, 0).positions[:, -1] for f in finer]
    coarse, fine = (np.abs(end - ends[2]).max() for end in ends[:2])
    assert 3 < coarse / fine < 5.5


def test_a_system_does_not_depend_on_the_others(config):
    thermal = dataclasses.replace(config, friction=1.0, temperature=0.5)
    np.testing.assert_allclose(run(thermal, 4, 5, 6).positions[1], run(thermal, 5).positions[0], rtol=1e-12, atol=1e-12)


def test_friction_alone_lets_velocities_decay_exponentially():
    config = SpringsConfig(edge_probability=0.0, friction=0.7, num_frames=4)
    simulations = run(config, 0)
    expected = simulations.velocities[:, 0] * np.exp(-0.7 * 3 * config.time_step * config.save_every)
    np.testing.assert_allclose(simulations.velocities[:, -1], expected, rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_langevin_dynamics_reaches_equipartition(num_dimensions):
    """<v^2> = T per component, and <x^2> = T / k per component in a trap without pairs."""
    config = TrapConfig(
        num_dimensions=num_dimensions, num_particles=50, stiffness=1e-9, trap_constant=2.0, friction=1.0,
        temperature=0.6, time_step=0.05, equilibration_steps=200, num_frames=20, save_every=40,
    )  # fmt: skip
    simulations = run(config, *range(10))
    # 50 x 20 x 10 draws, nearly independent, of a square with relative spread 2^(1/2): standard error 1.4 % / D^(1/2).
    assert np.mean(simulations.velocities**2) == pytest.approx(0.6, rel=0.05)
    assert np.mean(simulations.positions**2) == pytest.approx(0.3, rel=0.05)


def test_equilibration_sets_the_temperature():
    config = LennardJonesConfig(initial_temperature=1.5, equilibration_steps=400, num_frames=2, temperature=0.0)
    velocities = run(config, *range(4)).velocities
    assert np.mean(velocities**2) == pytest.approx(1.5, rel=0.2)


def test_verlet_is_time_reversible(config):
    law, simulations = law_of(config), run(config, 2)
    function = law.accelerations(config, systems_at(simulations))
    start = simulations.positions[:, 0], simulations.velocities[:, 0]
    positions, velocities = advance(*start, function, time_step=config.time_step, num_steps=40)
    back, _ = advance(positions, -velocities, function, time_step=config.time_step, num_steps=40)
    np.testing.assert_allclose(back, start[0], atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (SpringsConfig, "edge_probability", 1.5),
        (TrapConfig, "friction", -0.1),
        (TrapConfig, "num_dimensions", 4),
        (LennardJonesConfig, "switch", 3.0),
        (LennardJonesConfig, "cutoff", 6.0),
    ],
)
def test_refusals_name_field_and_value(kind, field, value):
    with pytest.raises(UserError, match=f"`{field}`.*{value}"):
        kind(**{field: value})


def test_clipped_forces_by_hand():
    """Opposite charges 0.05 apart along (3, 4) / 5 pull with 400: components 240 and 320 are cut to 100."""
    config = CoulombConfig(num_particles=2, num_dimensions=2)
    positions = np.array([[[0.0, 0.0], [0.03, 0.04]]])
    systems = Systems(positions, positions, np.zeros((1, 2, 2), int), np.array([[1.0, -1.0]]))
    found = law_of(config).accelerations(config, systems)(positions)
    np.testing.assert_allclose(found, [[[100.0, 100.0], [-100.0, -100.0]]])
    found = law_of(config).accelerations(config, systems)(10 * positions)
    np.testing.assert_allclose(found, [[[2.4, 3.2], [-2.4, -3.2]]])


@pytest.mark.parametrize(
    ("config", "time_step"),
    [
        (SpringsConfig(num_frames=4, save_every=5), 1e3),
        (SpringsConfig(num_frames=4, save_every=5), 20.0),
        (TrapConfig(num_frames=4, save_every=5), 1.0),
        (TrapConfig(num_frames=4, save_every=5, temperature=1.0), 1e3),
        (LennardJonesConfig(num_frames=4, save_every=5, equilibration_steps=0), 0.1),
    ],
)
def test_a_time_step_that_is_too_long_is_refused(config, time_step):
    run(config, 0)
    with pytest.raises(UserError, match="`time_step` must be short enough"):
        run(dataclasses.replace(config, time_step=time_step), 0)


def test_steps_before_the_first_frame_belong_to_the_same_motion():
    config = SpringsConfig(num_frames=3, save_every=10)
    later = dataclasses.replace(config, equilibration_steps=10, num_frames=2)
    np.testing.assert_array_equal(run(later, 0).positions, run(config, 0).positions[:, 1:])


def test_a_temperature_without_friction_is_refused():
    with pytest.raises(UserError, match="`temperature`"):
        TrapConfig(temperature=1.0, friction=0.0)


def test_a_dataset_needs_a_simulation():
    with pytest.raises(UserError, match="`num_train`"):
        TrapConfig(num_train=0, num_validation=0, num_test=0)
