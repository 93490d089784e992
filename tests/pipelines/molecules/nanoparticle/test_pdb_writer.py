import dataclasses

from pipelines.molecules.nanoparticle.beads import build
from pipelines.molecules.nanoparticle.config import NanoparticleConfig
from pipelines.molecules.nanoparticle.pdb_writer import pdb_text

SMALL = NanoparticleConfig(num_strands=6, chain_beads=2)


def test_numbers_that_do_not_fit_into_a_pdb_file_begin_again():
    beads = build(SMALL, 0)
    many = dataclasses.replace(beads, numbers=beads.numbers + 9998)
    line = pdb_text(many, beads.positions, 3, 0.3).splitlines()[1]
    assert line[22:26] == "9999"
    assert pdb_text(many, beads.positions, 3, 0.3).splitlines()[1 + int(beads.is_gold.sum())][22:26] == "   0"
    assert len(line) == 78 and line[76:78] == "AU" and line[12:16] == "AU  "


def test_the_first_frame_has_the_bonds():
    beads = build(SMALL, 0)
    lines = pdb_text(beads, beads.positions, 0, 0.0).splitlines()
    bonds = [(int(line[6:11]) - 1, int(line[11:16]) - 1) for line in lines if line.startswith("CONECT")]
    assert bonds == [tuple(bond) for bond in beads.bonds.tolist()]
    assert "CONECT" not in pdb_text(beads, beads.positions, 1, 0.1)
