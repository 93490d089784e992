"""Straight, smooth, kicked and random motion are told apart; every number is its definition."""

import numpy as np
import pytest

from pipelines.motion import MAX_BEND, STRIDES, measure


def walk(generator, num_frames=300, num_particles=5):
    return generator.normal(size=(num_frames, num_particles, 2)).cumsum(axis=0)


def ballistic(generator, num_frames=300, num_particles=5):
    velocities = generator.normal(size=(1, num_particles, 2))
    return generator.normal(size=(1, num_particles, 2)) + 0.01 * velocities * np.arange(num_frames)[:, None, None]


def circles(angle, num_frames=400, num_particles=5):
    """Circles of random radius and phase, `angle` per frame."""
    generator = np.random.default_rng(0)
    phases = generator.uniform(0, 2 * np.pi, num_particles) + angle * np.arange(num_frames)[:, None]
    return generator.uniform(1, 2, (num_particles, 1)) * np.stack([np.cos(phases), np.sin(phases)], axis=-1)


def kicked(generator, num_frames=300, num_particles=5):
    """Velocities with random kicks and friction (Langevin), ten steps per frame."""
    velocities, positions, frames = np.zeros((num_particles, 2)), np.zeros((num_particles, 2)), []
    for step in range(10 * num_frames + 1000):
        velocities = 0.998 * velocities + 0.06 * generator.normal(size=velocities.shape)
        positions = positions + 0.1 * velocities
        if step >= 1000 and step % 10 == 0:
            frames.append(positions)
    return np.stack(frames)


@pytest.mark.parametrize("seed", range(5))
def test_kinds_of_motion_are_told_apart(seed):
    generator = np.random.default_rng(seed)
    assert measure([ballistic(generator)]).kind == "smooth"
    assert measure([ballistic(generator, num_frames=10), ballistic(generator, num_frames=8)]).kind == "smooth"
    assert measure([kicked(generator) for _ in range(3)]).kind == "kicked"
    assert measure([walk(generator)]).kind == "random"
    assert measure([walk(generator, num_frames=50), walk(generator, num_frames=60)]).kind == "random"
    assert measure([generator.normal(size=(300, 5, 2))]).kind == "random"
    assert measure([np.repeat(generator.normal(size=(1, 5, 2)), 20, axis=0)]).kind == "still"
    assert measure([walk(generator, num_frames=2)]).kind == "unknown"


def test_correlation_of_successive_moves():
    generator = np.random.default_rng(0)
    assert measure([ballistic(generator)]).moves[0].correlation == pytest.approx(1)
    assert abs(measure([walk(generator, num_frames=3000)]).moves[0].correlation) < 0.03
    assert measure([generator.normal(size=(3000, 5, 2))]).moves[0].correlation == pytest.approx(-0.5, abs=0.02)


def test_a_path_counted_by_hand():
    # Moves along x: 1, 2, 3; changes of the move: 1, 1.
    path = np.array([[0.0, 5.0], [1.0, 5.0], [3.0, 5.0], [6.0, 5.0]])[:, None]
    (moves,) = measure([path]).moves
    assert moves.stride == 1
    assert moves.mean == pytest.approx(1.5)  # of the moves that another one follows: 1 and 2
    assert moves.rms == pytest.approx(np.sqrt(2.5))
    assert moves.correlation == pytest.approx((1 * 2 + 2 * 3) / np.sqrt((1 + 4) * (4 + 9)))
    assert moves.bend == pytest.approx(1 / 1.5)
    assert measure([path]).drift == pytest.approx((6 / 3) / np.sqrt(2.5))


@pytest.mark.parametrize("stride", [1, 5])
def test_the_definitions_by_slow_loops(stride):
    generator = np.random.default_rng(1)
    paths = [walk(generator, 60, 3), walk(generator, 55, 2)]
    lengths, products, squares, bends = [], 0.0, np.zeros(2), []
    for path in paths:
        for particle in range(path.shape[1]):
            for frame in range(len(path) - 2 * stride):
                one, two, three = (path[frame + k * stride, particle] for k in range(3))
                lengths.append(np.linalg.norm(two - one))
                bends.append(np.linalg.norm(three - 2 * two + one))
                products += (two - one) @ (three - two)
                squares += [(two - one) @ (two - one), (three - two) @ (three - two)]
    found = measure(paths).at(stride)
    assert found.rms == pytest.approx(np.sqrt(np.mean(np.square(lengths))))
    assert found.mean == pytest.approx(np.mean(lengths))
    assert found.correlation == pytest.approx(products / np.sqrt(squares[0] * squares[1]))
    assert found.bend == pytest.approx(np.median(bends) / np.median(lengths))


@pytest.mark.parametrize("angle", [1e-3, 4e-3, 0.02, 0.2])
def test_subsampling_follows_the_curvature(angle):
    # On a circle, two successive moves of angle a each differ by 2 sin(a / 2) of their length.
    motion = measure([circles(angle)])
    for moves in motion.moves:
        assert moves.bend == pytest.approx(2 * np.sin(angle * moves.stride / 2), rel=1e-6)
    fitting = [stride for stride in STRIDES if stride <= 40 and 2 * np.sin(angle * stride / 2) <= MAX_BEND]
    assert motion.subsample == max(fitting, default=1)


def test_random_motion_is_read_frame_by_frame():
    assert measure([walk(np.random.default_rng(0))]).subsample == 1


def test_noise_over_smooth_paths_is_seen_through():
    generator = np.random.default_rng(0)
    path = circles(2e-3, num_frames=1000)
    motion = measure([path + 0.01 * generator.normal(size=path.shape)])
    assert motion.finest > 1 and motion.subsample >= motion.finest
    assert motion.moves[0].correlation < 0 < motion.at(motion.finest).correlation


def test_rare_collisions_do_not_hide_smooth_paths():
    path = circles(4e-3)
    path[200:, 0] += 3 * (path[200:, 0] - path[200, 0])  # one particle is suddenly four times as fast
    assert measure([path]).kind == "smooth"


def test_particles_at_rest_do_not_count_in_the_bend():
    moving = circles(0.01)
    with_rest = np.concatenate([moving, np.ones((len(moving), 20, 2))], axis=1)
    assert measure([with_rest]).moves[0].bend == pytest.approx(measure([moving]).moves[0].bend)


def test_drift_is_what_all_particles_share():
    generator = np.random.default_rng(0)
    path = walk(generator, num_frames=3000)
    assert measure([path]).drift < 0.05
    drifting = path + np.arange(len(path))[:, None, None] * np.array([3.0, 0.0])
    assert measure([drifting]).drift == pytest.approx(3 / np.sqrt(3**2 + 2), abs=0.03)


def test_rotation_translation_and_unit_change_nothing_but_lengths():
    generator = np.random.default_rng(0)
    path = kicked(generator)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    before, after = measure([path]), measure([1e-3 * path @ turn + 7.0])
    for one, other in zip(before.moves, after.moves, strict=True):
        assert (other.bend, other.correlation) == pytest.approx((one.bend, one.correlation), rel=1e-5)
        assert (other.rms, other.mean) == pytest.approx((1e-3 * one.rms, 1e-3 * one.mean), rel=1e-5)
    assert after.growth == pytest.approx(before.growth, rel=1e-4)
