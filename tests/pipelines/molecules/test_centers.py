from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.centers import nearest_to_centers, one_hot, select
from pipelines.molecules.config import MoleculesConfig
from pipelines.molecules.formats.frame import Topology
from pipelines.molecules.simulation_frames import Frame
from tests.pipelines.molecules.systems import nanoparticle


def topology_of(columns):
    """Columns of (chain, number, molecule, atom), one row an atom."""
    chains, numbers, molecules, atoms = np.array(columns).T
    return Topology(Path("top.pdb"), atoms, molecules, numbers, chains)


@pytest.fixture
def system():
    molecules, positions = nanoparticle()
    topology = topology_of([(m.chain, str(m.number), m.name, atom) for m in molecules for atom in m.atom_names])
    return topology, Frame(Path("top.pdb"), 0, positions, None, 0.0)


def config_of(**changes):
    return MoleculesConfig(trajectory=(Path("a.pdb"),), **changes)


def test_the_atom_nearest_the_centre_by_slow_loops():
    generator = np.random.default_rng(1)
    lengths = generator.integers(1, 9, size=40)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    positions = generator.normal(size=(lengths.sum(), 3))
    expected = []
    for start, length in zip(starts, lengths, strict=True):
        molecule = positions[start : start + length]
        distances = [round(float(np.linalg.norm(atom - molecule.mean(axis=0))), 6) for atom in molecule]
        expected.append(start + distances.index(min(distances)))
    assert nearest_to_centers(positions, starts, None).tolist() == expected


def test_of_equally_near_atoms_the_first():
    positions = np.array([[0.0, 0.1, 0.3], [1.0, 0.1, 0.3], [0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
    assert nearest_to_centers(positions, np.array([0, 2]), None).tolist() == [0, 2]


def test_a_molecule_cut_by_the_box_is_put_together_first():
    whole = np.array([[8.0, 5, 5], [9.5, 5, 5], [11, 5, 5]])
    box = np.diag([10.0, 10, 10])
    wrapped = whole % 10
    assert nearest_to_centers(wrapped, np.array([0]), None).tolist() == [0]  # the wrong one, without the box
    assert nearest_to_centers(wrapped, np.array([0]), box).tolist() == [1]


def test_selects_the_middle_atoms_and_the_centremost_gold(system):
    topology, first = system
    selection = select(topology, first, config_of())
    assert topology.atom_names[selection.atoms].tolist() == ["M"] * 6
    assert selection.kinds.tolist() == [0, 1, 0, 1, 1, 0]
    assert selection.center_atoms.tolist() == [2]
    assert selection.counts == {"AU": 1, "OQL": 3, "ONC": 3, "HOH": 3}
    other_order = select(topology, first, config_of(molecules=("ONC", "OQL"), center_on="mean"))
    assert other_order.kinds.tolist() == [1, 0, 1, 0, 0, 1]
    assert other_order.center_atoms.tolist() == [0, 1, 2, 3, 4]


def test_a_gold_core_cut_by_the_box_has_the_same_centre(system):
    topology, first = system
    box = np.diag([30.0, 30, 30])
    moved = Frame(first.path, 0, (first.positions - 10) % 30, box, 0.0)
    assert select(topology, moved, config_of()).center_atoms.tolist() == [2]


def test_the_centre_may_be_named_by_atom(system):
    topology, first = system
    assert select(topology, first, config_of(center=("M",), center_on="mean")).center_atoms.tolist() == [
        6, 9, 12, 15, 18, 21,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"molecules": ("XYZ",)},
            r"top.pdb: no molecule is called XYZ \(`molecules`, --molecules\); the molecules are OQL \(3\), ",
        ),
        (
            {"center": ("CU",)},
            r"top.pdb: no molecule or atom is called CU \(`center`, --center\); .*HOH \(3, water\), AU \(1\)",
        ),
    ],
)
def test_names_that_do_not_exist(system, changes, message):
    with pytest.raises(UserError, match=message):
        select(*system, config_of(**changes))


@pytest.mark.parametrize("water", ["HOH", "WAT", "SOL", "TIP3", "wat"])
def test_water_is_never_selected(water):
    with pytest.raises(UserError, match=f"`molecules` must not name water, which is never modelled. Received: {water}"):
        config_of(molecules=("OQL", water))


def test_one_hot():
    assert one_hot(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
