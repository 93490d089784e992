import dataclasses
from functools import partial

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from socialmd_tf.fitting import rows as rows_module
from socialmd_tf.fitting import trajectories as trajectories_module
from socialmd_tf.fitting.basis import ONE, Channel
from socialmd_tf.fitting.candidates import candidate_basis
from socialmd_tf.fitting.integrator import advance, continue_windows, final_velocities
from socialmd_tf.fitting.law import Law
from socialmd_tf.fitting.paths import Collocation, path_rows, solve_paths
from socialmd_tf.fitting.rows import Kept, chunks, frame_rows, numerov_rows
from socialmd_tf.fitting.trajectories import Trajectories
from tests.socialmd_tf.fitting.systems import trajectories

FREQUENCY, GAMMA = 0.4, 0.05


def harmonic_law(num_dimensions=2):
    """a = -FREQUENCY^2 x - GAMMA v, no pairs, and a basis of a field and friction."""
    data = trajectories(num_dimensions)
    basis = dataclasses.replace(
        candidate_basis(data, 8),
        channels=(),
        fields=(ONE,),
        frictions=(ONE,),
        center=(0.0,) * num_dimensions,
        length=1.0,
    )
    coefficients = np.zeros(basis.num_columns)
    linear = [list(power) for power in basis.exponents.tolist()]
    for axis in range(num_dimensions):
        wanted = [int(k == axis) for k in range(num_dimensions)]
        coefficients[axis * len(linear) + linear.index(wanted)] = -(FREQUENCY**2)
    coefficients[-1] = GAMMA
    return Law(basis, coefficients)


def oscillations(num_frames=8, with_velocities=False):
    """Damped oscillations, exact: `Trajectories` of 2 systems of 3 particles in 2D."""
    rng = np.random.default_rng(0)
    amplitude, phase = rng.uniform(1, 2, (2, 1, 3, 2)), rng.uniform(0, 6, (2, 1, 3, 2))
    time = np.arange(num_frames)[None, :, None, None]
    omega = np.sqrt(FREQUENCY**2 - GAMMA**2 / 4)
    size, angle = amplitude * np.exp(-GAMMA * time / 2), omega * time + phase
    velocities = -size * (GAMMA / 2 * np.cos(angle) + omega * np.sin(angle)) if with_velocities else None
    return Trajectories.of(size * np.cos(angle), velocities=velocities)


def residuals(pairs, law):
    return np.concatenate([(y - x @ law.coefficients).ravel() for x, y in pairs])


@pytest.mark.parametrize("with_velocities", [False, True])
def test_numerov_rows_are_exact_to_sixth_order(with_velocities):
    """The truncation error of the second difference is x^(6) h^6 / 240, and that of friction of the same order."""
    data, law = oscillations(with_velocities=with_velocities), harmonic_law()
    error = np.abs(residuals(numerov_rows(law.basis, data), law)).max()
    assert 1e-7 < error < 2 * (FREQUENCY**6 / 240 + GAMMA * FREQUENCY**5 / 30) * 2


@pytest.mark.parametrize("with_velocities", [False, True])
def test_path_rows_are_exact(with_velocities):
    data, law = oscillations(with_velocities=with_velocities), harmonic_law()
    found = residuals(path_rows(law, data), law)
    assert np.abs(found).max() < 1e-10
    assert found.size == (14 if with_velocities else 6) * data.positions[:, 0].size


def test_observed_velocities_are_part_of_the_equations():
    data, law = oscillations(with_velocities=True), harmonic_law()
    wrong = dataclasses.replace(data, velocities=1.1 * data.velocities)
    for rows in (numerov_rows(law.basis, wrong), path_rows(law, wrong)):
        assert np.abs(residuals(rows, law)).max() > 1e-3


def test_rows_of_padding_are_zero():
    data = trajectories(2)
    basis = candidate_basis(data, 8)
    law = Law(basis, np.zeros(basis.num_columns))
    for pairs in (numerov_rows(basis, data), path_rows(law, data)):
        columns, targets = next(pairs)
        assert not columns[1, :, -1].any() and not targets[1, :, -1].any()
        assert columns[0, :, -1].any() and targets[0, :, -1].all()


@pytest.mark.parametrize("count", [3, 6])
def test_collocation_integrates_greens_function(count):
    """Polynomials up to degree m - 1 are integrated exactly; compared with quadrature of G and its slope."""
    collocation = Collocation.of(count)
    power = count - 1
    a = collocation.nodes**power
    for u, found in zip(collocation.nodes, collocation.to_positions @ a, strict=True):
        expected, _ = quad(lambda s, u=u: min(u, s) * (1 - max(u, s)) * s**power, 0, 1, points=[u])
        assert found == pytest.approx(-expected, abs=1e-12)
    ends = collocation.to_velocities @ a
    assert ends[-1] == pytest.approx(1 / (power + 2))  # integral of s s^power
    assert ends[-2] == pytest.approx(-1 / ((power + 1) * (power + 2)))  # minus that of (1 - s) s^power
    assert collocation.weights.sum() == pytest.approx(1.0)


def test_paths_and_their_end_velocities_are_those_of_the_motion():
    data, law = oscillations(), harmonic_law()
    accelerations = law.on(data.features, data.edges, data.mask, None)
    first, last = data.positions[:, 0], data.positions[:, 1]
    positions, velocities, found = solve_paths(accelerations, first, last, Collocation.of(8))
    assert found.all()

    def derivative(_, state):
        x, v = state.reshape(2, -1)
        return np.concatenate([v, -(FREQUENCY**2) * x - GAMMA * v])

    start = np.stack([first, velocities[:, -2]]).ravel()
    ends = solve_ivp(derivative, (0, 1), start, method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1].reshape(2, -1)
    np.testing.assert_allclose(ends[0], last.ravel(), atol=1e-9)
    np.testing.assert_allclose(ends[1], velocities[:, -1].ravel(), atol=1e-9)
    assert positions.shape == (2, 8, 3, 2)


def test_a_path_that_cannot_be_found_is_said():
    law = harmonic_law()
    stiff = Law(law.basis, 1e3 * law.coefficients)
    data = oscillations()
    accelerations = stiff.on(data.features, data.edges, data.mask, None)
    found = solve_paths(accelerations, data.positions[:, 0], data.positions[:, 1], Collocation.of(6))[2]
    assert not found.any()
    _, targets = next(path_rows(stiff, data))
    assert np.isnan(targets).all()


def test_rollouts_continue_the_motion():
    data, law = oscillations(30), harmonic_law()
    observed = dataclasses.replace(data, positions=data.positions[:, :5])
    predicted = continue_windows(law, observed, 25, tolerance=1e-9)
    np.testing.assert_allclose(predicted, data.positions[:, 5:], atol=1e-6)


def test_rollouts_begin_with_the_observed_velocity():
    """One frame is then enough, and frames before it do not matter."""
    data, law = oscillations(30, with_velocities=True), harmonic_law()
    observed = data.windows(1, 100)
    predicted = continue_windows(law, observed, 25, tolerance=1e-9)
    np.testing.assert_allclose(predicted, data.positions[:, 1:26], atol=1e-6)


def test_windows_keep_velocities_beside_their_positions():
    data = oscillations(with_velocities=True)
    windows = data.windows(4, 2)
    assert len(windows) == 6
    for values, cut in ((data.positions, windows.positions), (data.velocities, windows.velocities)):
        np.testing.assert_array_equal(cut[1], values[0, 2:6])
        np.testing.assert_array_equal(cut[5], values[1, 4:])
    np.testing.assert_array_equal(windows[5:].velocities[0], data.velocities[1, 4:])


def test_steps_of_a_system_do_not_depend_on_the_others():
    law, data = harmonic_law(), oscillations()
    x, v = data.positions[:, 0], np.array([1.0, 100.0])[:, None, None] * data.positions[:, 1]
    function, evaluated = law.on(data.features, data.edges, data.mask, None), []

    def accelerations(x, v, chosen):
        evaluated.extend(chosen)
        return function(x, v, chosen)

    frames, ends = advance(accelerations, x, v, 3, 1e-8)
    alone = law.on(data.features[:1], data.edges[:1], data.mask[:1], None)
    expected, velocities = advance(alone, x[:1], v[:1], 3, 1e-8)
    np.testing.assert_allclose(frames[:, :1], expected, rtol=1e-13)
    np.testing.assert_allclose(ends[:1], velocities, rtol=1e-13)
    assert evaluated.count(1) > evaluated.count(0) > 3
    (first,), later = advance(alone, x[:1], v[:1], 1, 1e-8)
    np.testing.assert_allclose(first, expected[0], rtol=1e-13)
    np.testing.assert_allclose(advance(alone, first, later, 2, 1e-8)[0], expected[1:], atol=1e-7)


def test_a_system_that_cannot_be_followed_keeps_the_others_going():
    """Its acceleration is not finite; its frames are where it was."""
    x, v = np.zeros((2, 1, 1)), np.ones((2, 1, 1))

    def accelerations(x, v, chosen):
        return np.where(chosen[:, None, None] == 1, np.nan, 0.0) * x

    frames, _ = advance(accelerations, x, v, 2, 1e-8)
    np.testing.assert_allclose(frames[:, :, 0, 0], [[1.0, 0.0], [2.0, 0.0]])


def test_chunks_are_bounded_and_make_up_the_data(monkeypatch):
    data = trajectories(2)[np.arange(10) % 2]
    basis = candidate_basis(data, 8)
    monkeypatch.setattr(rows_module, "_MAX_PAIRS", 3 * 6 * 25)
    parts = list(chunks(basis, data))
    assert [len(part) for part in parts] == [3, 3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([part.positions for part in parts]), data.positions)


@pytest.mark.parametrize(("num_equations", "expected"), [(7 * 5 * 2 * 6, 6), (1, 4), (1e9, 8)])
def test_pieces_of_large_systems_are_whole_different_and_evenly_spread(num_equations, expected, monkeypatch):
    positions = np.arange(2 * 30 * 5 * 2, dtype=float).reshape(2, 30, 5, 2)
    features = np.arange(2)[:, None, None] * np.ones((2, 5, 1))
    data = Trajectories.of(positions, features, ("charge",), velocities=-positions)
    assert data.pieces(num_equations) is data
    monkeypatch.setattr(trajectories_module, "MANY", 4)
    pieces = data.pieces(int(num_equations))
    assert pieces.positions.shape == (expected, 7, 5, 2)
    np.testing.assert_array_equal(pieces.velocities, -pieces.positions)
    firsts = [divmod(int(value), 300) for value in pieces.positions[:, 0, 0, 0]]
    assert len(set(firsts)) == expected and {system for system, _ in firsts} == {0, 1}
    assert all(place % 70 == 0 for _, place in firsts)
    np.testing.assert_array_equal(pieces.features[:, 0, 0], [system for system, _ in firsts])
    assert (np.diff(pieces.positions[:, :, 0, 0], axis=1) == 10).all()


def test_equations_are_kept_only_if_they_fit(monkeypatch):
    made = []

    def make():
        made.append(1)
        yield from [(np.zeros((2, 2, 3)), np.zeros((2, 2)))] * 3

    for size, times in ((1e9, 1), (100, 2)):
        made.clear()
        monkeypatch.setattr(rows_module, "_MAX_BYTES_KEPT", size)
        rows = Kept(make)
        assert len(list(rows)) == len(list(rows)) == 3
        assert len(made) == times


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_wrapped_and_unwrapped_trajectories_give_the_same_equations(num_dimensions):
    data = trajectories(num_dimensions, is_periodic=True)
    cell = data.cell[:, None]
    fractions = data.positions @ np.linalg.inv(cell)
    again = Trajectories.of((fractions - np.floor(fractions)) @ cell, box=data.cell)
    shift = np.round((again.positions - data.positions) @ np.linalg.inv(cell))[:, :1] @ cell
    np.testing.assert_allclose(again.positions - shift, data.positions, atol=1e-9)
    again = dataclasses.replace(data, positions=again.positions)
    basis = candidate_basis(data, 8)
    law = Law(basis, np.random.default_rng(0).normal(scale=1e-3, size=basis.num_columns))
    for make in (partial(numerov_rows, basis), partial(frame_rows, basis), partial(path_rows, law)):
        (here,), (there,) = make(data), make(again)
        for found, expected in zip(there, here, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_channel_names_are_readable():
    assert Channel().name == "pairs: 1"
    assert Channel(edge=2).name == "pairs: bonds of type 2"


def test_where_no_path_is_found_velocities_come_from_shooting():
    """Oscillations of more than half a period per frame: too stiff for the iteration of the path, not for shooting."""
    law = harmonic_law()
    stiff = Law(
        law.basis, np.where(np.arange(law.basis.num_columns) < law.basis.num_columns - 1, 80, 0) * law.coefficients
    )
    data = oscillations()
    omega = FREQUENCY * 80**0.5
    first, last = data.positions[:, 0], data.positions[:, 1]
    accelerations = stiff.on(data.features, data.edges, data.mask, None)
    assert not solve_paths(accelerations, first, last, Collocation.of(8))[2].any()
    expected = omega * (last * np.cos(omega) - first) / np.sin(omega)
    found = final_velocities(accelerations, first, last, 1e-7)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
