import dataclasses

import numpy as np
import pytest

from socialmd_tf.fitting import trajectories as trajectories_module
from socialmd_tf.fitting.basis import Channel, Factor
from socialmd_tf.fitting.candidates import candidate_basis
from socialmd_tf.fitting.law import Law
from socialmd_tf.fitting.rows import frame_sums
from tests import laws_reference
from tests.socialmd_tf.fitting.systems import trajectories


def random_law(data, num_knots=9, seed=1):
    basis = candidate_basis(data, num_knots)
    return Law(basis, np.random.default_rng(seed).normal(size=basis.num_columns))


def slow(law, data, positions, velocities):
    """Accelerations of all systems `[W, N, D]` by the reference."""
    basis, result = law.basis, np.zeros_like(positions)
    blocks = basis.blocks
    knots = law.coefficients[: len(basis.channels) * basis.knots.count].reshape(len(basis.channels), -1)
    for w in range(len(data)):
        weights = [c.weights(data.features[w : w + 1], data.edges[w : w + 1])[0] for c in basis.channels]
        cell = None if data.cell is None else data.cell[w]
        settings = basis.knots.nearest, basis.knots.farthest, basis.core, basis.cutoff
        result[w] = laws_reference.pair_accelerations(positions[w], data.mask[w], weights, knots, *settings, cell)
        for i in np.nonzero(data.mask[w])[0]:
            mass = data.features[w, i, 0]
            for factor, divisor in ((f, 1.0 if f.name == "1" else mass) for f in basis.fields):
                field = law.coefficients[blocks[f"field: {factor.name}_i"]].reshape(positions.shape[-1], -1)
                result[w, i] += laws_reference.field(positions[w, i], field, basis.center, basis.length) / divisor
            for factor, divisor in ((f, 1.0 if f.name == "1" else mass) for f in basis.frictions):
                gamma = law.coefficients[blocks[f"friction: {factor.name}_i"]][0]
                result[w, i] -= gamma * velocities[w, i] / divisor
    return result


@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize("is_periodic", [False, True])
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_law_and_columns_equal_the_loops(num_dimensions, is_periodic, is_large, monkeypatch):
    data = trajectories(num_dimensions, is_periodic=is_periodic)
    law = random_law(data)
    if is_large:
        law = dataclasses.replace(law, basis=dataclasses.replace(law.basis, cutoff=min(law.basis.cutoff, 1.4)))
        monkeypatch.setattr(trajectories_module, "MANY", 0)
    velocities = np.random.default_rng(2).normal(size=data.positions.shape)
    expected = slow(law, data, data.positions[:, 3], velocities[:, 3])
    assert np.abs(expected).max() > 1
    found = law.on(data.features, data.edges, data.mask, data.cell)(data.positions[:, 3], velocities[:, 3])
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    columns = law.basis.columns(frame_sums(law.basis, data, velocities), data.features[:, None])[:, 3]
    real = data.mask[..., None]
    np.testing.assert_allclose((columns @ law.coefficients) * real, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("is_periodic", [False, True])
def test_some_of_the_systems_move_as_among_all(is_periodic):
    data = trajectories(2, is_periodic=is_periodic)
    function = random_law(data).on(data.features, data.edges, data.mask, data.cell)
    x, v = data.positions[:, 0], data.positions[:, 1]
    np.testing.assert_allclose(function(x[1:], v[1:], np.array([1])), function(x, v)[1:], rtol=1e-12, atol=1e-12)


def test_lists_follow_the_particles_and_serve_systems_in_any_order(monkeypatch):
    data = trajectories(2, is_periodic=True)
    law = random_law(data)
    law = dataclasses.replace(law, basis=dataclasses.replace(law.basis, cutoff=0.9))
    known = data.features, data.edges, data.mask, data.cell
    wanted = law.on(*known)
    monkeypatch.setattr(trajectories_module, "MANY", 0)
    listed, frames = law.on(*known), data.positions
    for t in range(frames.shape[1]):
        for chosen in (np.array([1]), np.array([0, 1, 0]), np.array([1, 0])):
            x = frames[chosen, t] + 1e-3 * np.arange(len(chosen))[:, None, None]
            np.testing.assert_allclose(listed(x, x, chosen), wanted(x, x, chosen), rtol=1e-10, atol=1e-10)


def test_features_of_padding_do_not_matter():
    data = trajectories(2)
    zeros = np.where(data.mask[..., None], data.features, 0.0)  # a mass of 0, by which pair forces are divided
    law, x = random_law(data), data.positions[:, 0]
    expected, found = (law.on(f, data.edges, data.mask, None)(x, x) for f in (data.features, zeros))
    np.testing.assert_array_equal(found, expected)


def test_wrapped_positions_give_the_same_accelerations():
    data = trajectories(3, is_periodic=True)
    law, x = random_law(data), data.positions[:, 0]
    function = law.on(data.features, data.edges, data.mask, data.cell)
    shifts = np.random.default_rng(3).integers(-2, 3, x.shape) @ data.cell
    np.testing.assert_allclose(function(x + shifts, x), function(x, x), atol=1e-9)


def test_force_is_finite_and_continuous_outside_the_knots():
    law = random_law(trajectories(2))
    block = law.basis.blocks["pairs: charge_j"]
    for edge in (law.basis.knots.nearest, law.basis.knots.farthest, law.basis.core):
        below, above = law.curve(block, edge * np.array([1 - 1e-9, 1 + 1e-9]))
        assert below == pytest.approx(above, rel=1e-6)
    near = law.curve(block, law.basis.core * np.array([0.5, 1e-6, 0.0]) + 1e-300)
    assert np.isfinite(near).all() and near[2] == pytest.approx(0.0, abs=1e-9)


def test_a_limit_cuts_components_of_pair_accelerations():
    data = trajectories(2)
    basis = dataclasses.replace(candidate_basis(data, 9), fields=(), frictions=())
    law = Law(basis, np.random.default_rng(1).normal(size=basis.num_columns))
    cut = Law(dataclasses.replace(basis, limit=0.5), law.coefficients)
    known, x = (data.features, data.edges, data.mask, None), data.positions[:, 0]
    whole, limited = (each.on(*known)(x, np.zeros_like(x)) for each in (law, cut))
    np.testing.assert_array_equal(limited, np.clip(whole, -0.5, 0.5))
    assert (np.abs(whole) > 0.5).any() and (np.abs(whole) < 0.5).any()


def test_two_particles_in_one_place_do_not_push_each_other():
    data = trajectories(2)
    x = data.positions[:, 0].copy()
    x[:, 1] = x[:, 0]
    found = random_law(data).on(data.features, data.edges, data.mask, None)(x, np.zeros_like(x))
    assert np.isfinite(found).all()


def test_pairs_only_keep_momentum_where_weights_are_symmetric():
    data = trajectories(3)
    basis = dataclasses.replace(
        candidate_basis(data, 9), channels=(Channel(), Channel(edge=1)), fields=(), frictions=()
    )
    law = Law(basis, np.random.default_rng(0).normal(size=basis.num_columns))
    found = law.on(data.features, data.edges, data.mask, None)(data.positions[:, 0], data.positions[:, 0])
    np.testing.assert_allclose(found.sum(axis=1), 0.0, atol=1e-9)
    assert np.abs(found).max() > 0.1


def test_without_removes_one_block_and_its_columns():
    basis = candidate_basis(trajectories(2), 9)
    for name in basis.blocks:
        fewer = basis.without(name)
        assert list(fewer.blocks) == [other for other in basis.blocks if other != name]
        lost = basis.blocks[name].stop - basis.blocks[name].start
        assert fewer.num_columns == basis.num_columns - lost


def test_candidates_with_a_mass_are_forces_over_it():
    names = list(candidate_basis(trajectories(2), 9).blocks)
    assert names[:3] == ["pairs: 1/mass_i", "pairs: 1/mass_i mass_j", "pairs: 1/mass_i charge_j"]
    assert "pairs: mass_j" in names and "pairs: charge/mass_i charge_j" in names
    assert "friction: 1/mass_i" in names and "field: 1/mass_i" in names


def test_candidates_leave_out_what_depends_on_others():
    data = trajectories(2)
    alike = np.where(data.features > 1e9, 0.0, 1.0)  # all masses and charges 1
    names = list(candidate_basis(dataclasses.replace(data, features=alike), 9).blocks)
    assert [name for name in names if name.startswith("pairs")] == [
        "pairs: 1", "pairs: bonds of type 1", "pairs: bonds of type 2",
    ]  # fmt: skip
    complete = np.ones_like(data.edges)
    names = list(candidate_basis(dataclasses.replace(data, features=alike, edges=complete), 9).blocks)
    assert "pairs: bonds of type 1" not in names


def test_types_have_a_channel_per_ordered_pair():
    data = trajectories(2)
    types = np.arange(10).reshape(2, 5, 1) % 3.0
    typed = dataclasses.replace(data, features=types, feature_names=("type",), edges=0 * data.edges)
    basis = candidate_basis(typed, 9)
    assert len(basis.channels) == 9  # the sum of all is the channel 1, which leaves one of ten out
    factor = Factor("[type = 2]", indicates=(0, 2.0))
    np.testing.assert_array_equal(factor.of(types), types[..., 0] == 2)


def test_a_box_has_no_field_and_a_cutoff_of_half_its_height():
    basis = candidate_basis(trajectories(2, is_periodic=True), 9)
    assert basis.fields == ()
    assert basis.cutoff == pytest.approx(min(2.5, 3.0 * 2.5 / np.hypot(0.9, 2.5)) / 2)
