import dataclasses

import numpy as np
import pytest

from pipelines.manifest import Manifest
from pipelines.molecules.known_molecules import KnownMolecules, known_molecules, particle_names


def manifest(features=("OQL", "ONC"), unit="nm", command="python -m socialmd_tf.prepare --molecules OQL ONC", **config):
    provenance = {"command": command, "config": {"molecules": ["OQL", "ONC"], **config}}
    return Manifest("molecules", 3, features, unit, 1.0, {}, provenance)


def test_names_and_radii_are_those_of_prepare():
    assert known_molecules(manifest(radii=[0.3, 0.4])) == KnownMolecules(("OQL", "ONC"), (0.3, 0.4), 0.14)
    assert known_molecules(manifest(radii=[0.3])).radii == (0.3, 0.3)


def test_anchors_are_no_molecules():
    found = known_molecules(manifest(features=("OQL", "ONC", "anchor_x", "anchor_y", "anchor_z"), radii=[0.3, 0.4]))
    assert found == KnownMolecules(("OQL", "ONC"), (0.3, 0.4), 0.14)
    assert known_molecules(manifest(features=("anchor_x", "anchor_y", "anchor_z", "OQL", "ONC"))) is None


def test_a_liquid_that_fills_its_box_has_no_surface():
    free = manifest(center_on="nothing")
    liquid = dataclasses.replace(free, box=(5.0, 5.0, 5.0))
    assert [known_molecules(each).has_surface for each in (manifest(), free, liquid)] == [True, True, False]
    assert known_molecules(dataclasses.replace(manifest(), box=(5.0, 5.0, 5.0))).has_surface


def test_without_radii_they_are_those_of_ten_heavy_atoms_whatever_the_unit():
    for unit, length in (("nm", 1.0), ("angstrom", 10.0)):
        found = known_molecules(manifest(unit=unit))
        assert found.radii == pytest.approx((0.35 * length,) * 2)
        assert found.probe == pytest.approx(0.14 * length)


@pytest.mark.parametrize(
    "other",
    [
        manifest(command="python -m socialmd_tf.simulate"),
        manifest(features=("mass", "charge")),
        manifest(unit="1"),
        manifest(radii=[0.3, -0.4]),
        manifest(radii=[0.3, 0.4, 0.5]),
        Manifest("mine", 3, ("OQL", "ONC"), "nm", 1.0, {}, {}),
    ],
)
def test_of_other_data_nothing_is_known(other):
    assert known_molecules(other) is None


def test_every_particle_has_the_name_whose_column_is_1():
    features = np.array([[0, 1, 5, 5, 5], [1, 0, 5, 5, 5], [0, 1, 5, 5, 5]])
    anchored = manifest(features=("OQL", "ONC", "anchor_x", "anchor_y", "anchor_z"))
    assert particle_names(anchored, features) == ("ONC", "OQL", "ONC")
    assert particle_names(manifest(unit="1"), features) is None
