import dataclasses

import numpy as np
import pytest

from pipelines.known_forces import known_forces
from pipelines.laws.config import CoulombConfig, LennardJonesConfig, SpringsConfig, TrapConfig
from pipelines.laws.dataset import write_dataset
from pipelines.laws.known_law import KnownLaw
from pipelines.laws.simulate import law_of, simulate
from pipelines.laws.systems import one_system
from pipelines.manifest import Manifest

FEW = {"num_train": 1, "num_validation": 0, "num_test": 0}
CONFIGS = {
    "springs": SpringsConfig(**FEW, num_frames=8),
    "trap": TrapConfig(**FEW, num_particles=6, num_frames=8, save_every=20),
    "lennard-jones": LennardJonesConfig(
        **FEW, num_particles=27, density=0.45, cutoff=1.9, switch=1.4, num_frames=8, equilibration_steps=100
    ),
    "coulomb": CoulombConfig(**FEW, num_frames=8, position_spread=2.0, coulomb_constant=0.05),
}


@pytest.fixture(params=CONFIGS)
def config(request):
    return CONFIGS[request.param]


def simulated(config, num_systems=2):
    simulations = simulate(config, [np.random.default_rng(seed) for seed in range(num_systems)])
    charges = (
        simulations.charges[..., None] if isinstance(config, CoulombConfig) else simulations.charges[..., :0, None]
    )
    features = charges.reshape(*simulations.charges.shape, -1)
    edges = simulations.edges if isinstance(config, SpringsConfig) else None
    return simulations.positions.astype(np.float32).astype(np.float64), features, edges


def continued(config, frames, features, edges, mask=None, subsample=1, num_frames=5, velocities=None):
    mask = np.ones(features.shape[:2], bool) if mask is None else mask
    interval = config.time_step * config.save_every * subsample
    known = {"interval": interval, "num_frames": num_frames, "velocities": velocities}
    return KnownLaw(config).continue_from(frames, features, mask, edges, **known)


@pytest.mark.parametrize(("subsample", "num_frames"), [(1, 6), (2, 2)])
def test_two_frames_give_the_motion_of_every_law(config, subsample, num_frames):
    """Up to the rounding of the frames to float32; constant velocity is far worse."""
    positions, features, edges = simulated(config)
    kept = positions[:, ::subsample]
    found = continued(config, kept[:, :2], features, edges, subsample=subsample, num_frames=num_frames)
    truth = kept[:, 2 : 2 + num_frames]
    straight = kept[:, 1:2] + np.arange(1, num_frames + 1)[:, None, None] * (kept[:, 1:2] - kept[:, :1])
    assert np.abs(found - truth).max() < 1e-4
    assert np.abs(found - truth).mean() < 1e-3 * np.abs(straight - truth).mean()


def test_particles_at_any_image_move_alike():
    config = CONFIGS["lennard-jones"]
    positions, features, edges = simulated(config)
    shifts = np.random.default_rng(0).integers(-2, 3, size=(2, 1, 27, 2)) * config.box_side
    found = continued(config, positions[:, :2] + shifts, features, edges)
    np.testing.assert_allclose(found - shifts, continued(config, positions[:, :2], features, edges), atol=1e-7)


def test_padded_particles_stay_and_do_not_interact(config):
    positions, features, edges = simulated(config)
    padding = [(0, 0), (0, 0), (0, 2), (0, 0)]
    frames = np.pad(positions[:, :2], padding)
    mask = np.arange(frames.shape[2]) < np.array([[frames.shape[2] - 2], [frames.shape[2] - 3]])
    bonds = None if edges is None else np.pad(edges, [(0, 0), (0, 2), (0, 2)])
    found = continued(config, frames, np.pad(features, padding[1:]), bonds, mask)
    count = positions.shape[2]
    np.testing.assert_allclose(found[0, :, :count], continued(config, positions[:, :2], features, edges)[0], atol=1e-9)
    np.testing.assert_array_equal(found[0, :, count:], 0.0)
    smaller = None if edges is None else edges[:, : count - 1, : count - 1]
    alone = continued(config, positions[:, :2, : count - 1], features[:, : count - 1], smaller)
    np.testing.assert_allclose(found[1, :, : count - 1], alone[1], atol=1e-9)


def test_energies_are_those_of_the_law(config):
    positions, features, edges = simulated(config, num_systems=1)
    found = KnownLaw(config).potential_energy(positions[0], features[0], None if edges is None else edges[0])
    for frame, energy in zip(positions[0], found, strict=True):
        known = {"charges": features[..., 0]} if features.shape[-1] else {}
        known |= {} if edges is None else {"edges": edges}
        system = one_system(frame[None], np.zeros_like(frame[None]), **known)
        assert energy == pytest.approx(law_of(config).potential_energy(config, system)[0])


def test_random_forces_are_left_out():
    """Free Langevin particles: the mean move shrinks by exp(-gamma t) per frame."""
    config = TrapConfig(
        num_particles=1, num_dimensions=2, friction=0.5, temperature=1.0, trap_constant=1e-12, save_every=100
    )
    frames = np.array([[[[0.0, 0.0]], [[1.0, 0.5]]]])
    moves = np.diff(continued(config, frames, np.zeros((1, 1, 0)), None, num_frames=4), axis=1)[0, :, 0]
    decay = np.exp(-config.friction * config.time_step * config.save_every)
    np.testing.assert_allclose(moves, [decay ** (2 + k) * np.array([1.0, 0.5]) for k in range(3)], rtol=1e-6)


def test_observed_velocities_replace_the_frame_before(config):
    simulations = simulate(config, [np.random.default_rng(seed) for seed in range(2)])
    positions, features, edges = simulated(config)
    nonsense = np.stack([np.zeros_like(positions[:, 1]), positions[:, 1]], axis=1)
    found = continued(config, nonsense, features, edges, velocities=simulations.velocities[:, 1])
    assert np.abs(found - positions[:, 2:7]).max() < 1e-4


@pytest.mark.parametrize("velocities", [False, True])
def test_datasets_tell_their_law(config, tmp_path, velocities):
    config = dataclasses.replace(config, velocities=velocities)
    write_dataset(config, tmp_path, command="simulate")
    assert known_forces(Manifest.load(tmp_path)) == KnownLaw(config)


@pytest.mark.parametrize(
    "changes",
    [
        {"provenance": {}},
        {"provenance": {"law": "lennard-jones"}},
        {"provenance": {"law": ["lennard-jones"], "config": {}}},
        {"provenance": {"law": "lennard-jones", "config": {"cutoff": 99.0}}},
        {"provenance": {"law": "lennard-jones", "config": {"unknown": 1}}},
        {"provenance": {"law": "lennard-jones", "config": {"cutoff": "wide"}}},
        {"features": ("charge",)},
        {"box": (5.0, 5.0)},
        {"box": None},
        {"num_dimensions": 3, "box": None},
    ],
)
def test_other_data_do_not(changes, tmp_path):
    write_dataset(CONFIGS["lennard-jones"], tmp_path, command="simulate")
    assert known_forces(dataclasses.replace(Manifest.load(tmp_path), **changes)) is None
