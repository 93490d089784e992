import dataclasses

import numpy as np
import pytest

from pipelines.errors import UserError
from socialmd_tf.config import FitConfig
from socialmd_tf.fitting.candidates import candidate_basis, largest_cutoff
from socialmd_tf.fitting.selection import kind_of
from socialmd_tf.fitting.trajectories import Trajectories
from tests.socialmd_tf.fitting.systems import trajectories


@pytest.mark.parametrize("kinds", [("pairs",), ("bonds", "friction"), ("field",)])
def test_only_chosen_terms_are_candidates(kinds):
    basis = candidate_basis(trajectories(2), 8, FitConfig(terms=kinds))
    assert {kind_of(name) for name in basis.blocks} == set(kinds)


def test_forces_of_bonds_are_divided_by_the_mass_as_those_of_pairs_are():
    basis = candidate_basis(trajectories(2), 8, FitConfig(terms=("bonds",)))
    assert list(basis.blocks) == ["pairs: 1/mass_i bonds of type 1", "pairs: 1/mass_i bonds of type 2"]


def test_a_chosen_cutoff_and_core_are_those_of_the_basis():
    basis = candidate_basis(trajectories(2), 8, FitConfig(force_cutoff=1.5, force_core=0.01))
    assert (basis.cutoff, basis.core) == (1.5, 0.01)
    assert basis.knots.farthest <= 1.5


def test_single_particles_have_a_field_and_friction_and_no_pairs():
    alone = trajectories(2, num_particles=1)
    basis = candidate_basis(dataclasses.replace(alone, mask=np.ones_like(alone.mask)), 8)
    assert {kind_of(name) for name in basis.blocks} == {"field", "friction"}
    with pytest.raises(UserError, match="`terms` must be without pairs, as no two particles"):
        candidate_basis(alone, 8, FitConfig(terms=("pairs",)))


@pytest.mark.parametrize(
    ("choices", "field"),
    [
        (FitConfig(force_cutoff=1.5), "force_cutoff"),
        (FitConfig(terms=("field",)), "terms"),
        (FitConfig(terms=("bonds",)), "terms"),
    ],
)
def test_choices_that_the_data_cannot_have_are_refused(choices, field):
    """The box has edges of about 3, and there are no bonds."""
    data = trajectories(2, is_periodic=True)
    data = dataclasses.replace(data, edges=np.zeros_like(data.edges))
    with pytest.raises(UserError, match=f"^`{field}` must be"):
        candidate_basis(data, 8, choices)


def test_components_of_vectors_and_masses_that_are_not_positive_are_no_factors():
    data = trajectories(2)
    basis = candidate_basis(dataclasses.replace(data, feature_names=("mass", None)), 8)
    assert "charge" not in "".join(basis.blocks) and "field: 1/mass_i" in basis.blocks
    data.features[0, 0, 0] = 0.0
    assert "field: 1/mass_i" not in candidate_basis(data, 8).blocks


def test_the_widest_cutoff_in_a_box_of_many_particles_has_150_neighbours():
    lattice = np.stack(np.meshgrid(np.arange(20.0), np.arange(20.0)), -1).reshape(-1, 2)
    turns = 20.0 * np.random.default_rng(0).integers(-3, 4, lattice.shape)  # which image is given does not matter
    frames = np.stack([lattice + turns] * 2)[None]
    cutoff = largest_cutoff(Trajectories.of(frames, box=np.full(2, 20.0)))
    neighbors = np.sort(np.linalg.norm(np.stack(np.meshgrid(*[np.arange(-9, 10)] * 2), -1).reshape(-1, 2), axis=1))[1:]
    assert cutoff == neighbors[149]
    assert largest_cutoff(Trajectories.of(frames)) == np.inf
    assert largest_cutoff(Trajectories.of(frames[:, :, :256], box=np.full(2, 20.0))) == 10.0


def test_a_hollow_system_has_a_widest_cutoff():
    angle = 2 * np.pi * np.arange(300) / 300
    ring = 5 + 4 * np.stack([np.cos(angle), np.sin(angle)], -1)
    assert largest_cutoff(Trajectories.of(np.stack([ring] * 2)[None], box=np.full(2, 30.0))) == pytest.approx(
        2 * 4 * np.sin(75 * np.pi / 300)
    )
