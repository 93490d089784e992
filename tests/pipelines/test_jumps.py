"""Wrapped coordinates are found; close encounters, noise, hops and still particles are spared."""

import numpy as np
import pytest

from pipelines import jumps, stored_trajectory
from pipelines.jumps import Moves
from pipelines.nbody.config import SimulationConfig
from pipelines.nbody.simulate import simulate

BOX = 10.0


def jump_fault(trajectory, axes):
    moves = Moves(2)
    moves.add(trajectory[..., :2])
    return jumps.jump_fault(trajectory, axes, moves)


def walk(generator, num_frames=300, num_particles=5, step=0.2):
    start = generator.uniform(0, BOX, (1, num_particles, 2))
    return start + step * generator.normal(size=(num_frames, num_particles, 2)).cumsum(axis=0)


def ballistic(generator, num_frames=300, num_particles=5):
    times = np.arange(num_frames)[:, None, None]
    return generator.uniform(0, BOX, (1, num_particles, 2)) + 0.3 * generator.normal(size=(1, num_particles, 2)) * times


def droplet(generator):
    """A cluster that drifts across a face of the box; most of the box is empty."""
    return 9.0 + 0.5 * generator.normal(size=(1, 20, 2)) + 0.03 * np.arange(100)[:, None, None]


@pytest.mark.parametrize("move", [walk, ballistic, droplet])
@pytest.mark.parametrize("seed", range(5))
def test_wrapped_motion_is_found_and_unwrapped_motion_is_not(move, seed):
    positions = move(np.random.default_rng(seed))
    assert jump_fault((positions % BOX).astype(np.float32), range(2)) is not None
    assert jump_fault((positions % BOX - BOX / 2).astype(np.float32), range(2)) is not None
    assert jump_fault(positions.astype(np.float32), range(2)) is None


@pytest.mark.parametrize("chunk_numbers", [1, 50, 1 << 22])
def test_the_first_jump_is_named_whatever_the_chunks(monkeypatch, chunk_numbers):
    monkeypatch.setattr(stored_trajectory, "_CHUNK_NUMBERS", chunk_numbers)
    positions = np.zeros((100, 3, 2), np.float32)
    # Particle 1 moves by 0.5 along y in a box from 0 to 8: it enters anew at frames 16, 32, ..., 96.
    positions[:, 1, 1] = 0.5 * np.arange(100) % 8
    fault = jump_fault(positions, range(2))
    assert fault.startswith("frame 16, particle 1, column 1 (y): ")
    for part in ("a jump of -7.5", "range of 7.5", "at most 0.5", "(6 such jumps"):
        assert part in fault


def test_three_jumps_are_needed():
    positions = np.zeros((100, 1, 2), np.float32)
    positions[:, 0, 0] = np.arange(100) % 40
    assert jump_fault(positions, range(2)) is None  # two jumps
    positions[:, 0, 0] = np.arange(100) % 30
    assert jump_fault(positions, range(2)) is not None


def test_features_are_no_positions():
    trajectory = np.concatenate([walk(np.random.default_rng(0)), walk(np.random.default_rng(1)) % BOX], axis=-1)
    assert jump_fault(trajectory, range(2)) is None


def hops(generator, noise):
    """Particles that hop between two places."""
    places = (generator.uniform(size=(300, 5, 2)) < 0.02).cumsum(axis=0) % 2
    return places + noise * generator.normal(size=places.shape)


def ejected(generator):
    """One particle leaves fast in the last frames, as after a close encounter."""
    positions = walk(generator, step=0.01)
    positions[-4:, 0] += 50.0 * np.arange(1, 5)[:, None]
    return positions


UNWRAPPED = {
    "still": lambda generator: np.repeat(generator.normal(size=(1, 5, 2)), 300, axis=0),
    "normal noise": lambda generator: generator.normal(size=(300, 5, 2)),
    "uniform noise": lambda generator: generator.uniform(size=(300, 5, 2)),
    "few frames of noise": lambda generator: generator.normal(size=(12, 2, 2)),
    "heavy tails": lambda generator: generator.standard_cauchy(size=(300, 5, 2)).cumsum(axis=0),
    "oscillators": lambda generator: np.sin(np.arange(300)[:, None, None] * generator.uniform(0, 3, (1, 5, 2))),
    "exact hops": lambda generator: hops(generator, 0.0),
    "noisy hops": lambda generator: hops(generator, 0.05),
    "ejected": ejected,
}


@pytest.mark.parametrize("name", UNWRAPPED)
def test_other_fast_motion_is_spared(name):
    for seed in range(20):
        trajectory = UNWRAPPED[name](np.random.default_rng(seed)).astype(np.float32)
        assert jump_fault(trajectory, range(2)) is None, seed


@pytest.mark.slow
def test_close_encounters_of_charges_are_spared(tmp_path):
    config = SimulationConfig(
        num_train=4,
        num_validation=0,
        num_test=0,
        num_particles=8,
        num_steps=6000,
        save_every=20,
        time_step=1e-5,
        radius=1.0,
        min_distance=0.1,
        speed=2.0,
        max_energy_error=10.0,
    )
    simulate(config, tmp_path, command="")
    ratios = []
    for path in (tmp_path / "train").glob("*.npy"):
        trajectory = np.load(path)
        assert jump_fault(trajectory, range(2)) is None
        moves = np.abs(np.diff(trajectory[..., :2], axis=0))
        ratios.append(moves.max() / np.median(moves))
    assert max(ratios) > 10  # there are close encounters


def test_frames_in_memory_are_looked_at_system_by_system():
    wrapped = (np.arange(40.0) * 0.4 % 4)[:, None, None] * np.ones((1, 2, 2))
    still, broken = np.zeros_like(wrapped), np.where(wrapped == 0, np.nan, wrapped)
    assert jumps.frames_fault(wrapped, 5).startswith("frame 15, particle 0, column 0 (x): ")
    assert jumps.frames_fault(np.stack([still, wrapped])).startswith("row 1: frame 10, particle 0")
    assert jumps.frames_fault(np.stack([still, broken])) is None
