import itertools

import numpy as np
import pytest

from pipelines.molecules.nanoparticle.beads import BEAD_DIAMETER, BOND_LENGTH, build, gold_lattice
from pipelines.molecules.nanoparticle.config import NanoparticleConfig

SMALL = NanoparticleConfig(num_strands=6, chain_beads=2)


def test_strands_end_in_drug_or_background():
    beads = build(SMALL, 0)
    strands = ["LIG"] * 3 + ["OCQ"] + ["OQL"] * 3, ["LIG"] * 3 + ["OCN"] + ["ONC"] * 3
    first = beads.is_gold.sum()
    found = [list(beads.molecules[start : start + 7]) for start in range(first, len(beads.molecules), 7)]
    assert [each == strands[0] for each in found].count(True) == 3  # half of them, in the first simulation
    assert all(each in strands for each in found)
    assert set(beads.molecules[:first]) == {"AU"}
    assert len(set(beads.numbers[first:])) == 3 * 6


def test_a_hydrophilic_drug_has_other_names():
    beads = build(NanoparticleConfig(num_strands=6, chain_beads=2, drug="both", drug_fractions=(0.5,)), 1)
    assert set(beads.molecules) == {"AU", "LIG", "OCP", "PAN", "OCN", "ONC"}


def test_strands_are_tethered_to_the_core_and_bound():
    beads = build(SMALL, 0)
    bound = np.linalg.norm(np.diff(beads.positions[beads.bonds], axis=1)[:, 0], axis=-1)
    np.testing.assert_allclose(bound, BOND_LENGTH)
    assert len(beads.bonds) == 6 * 6
    distances = np.linalg.norm(beads.positions, axis=1)
    assert beads.fixed.sum() == beads.is_gold.sum() + 6
    np.testing.assert_allclose(
        distances[beads.fixed & ~beads.is_gold], SMALL.core_radius + BEAD_DIAMETER / 2, rtol=1e-12
    )


def test_gold_is_a_lattice_about_an_atom_in_the_middle():
    gold = gold_lattice(1.2)
    np.testing.assert_array_equal(gold[0], 0)
    between = [np.linalg.norm(a - b) for a, b in itertools.combinations(gold, 2)]
    assert min(between) == pytest.approx(BEAD_DIAMETER)
    assert (np.linalg.norm(gold, axis=1) <= 1.2).all()
    # Four points a cube of side sqrt(2) diameters: as many as there is room for, but for the rim.
    assert len(gold) == pytest.approx(4 / 3 * np.pi * 1.2**3 * np.sqrt(2) / BEAD_DIAMETER**3, rel=0.15)
