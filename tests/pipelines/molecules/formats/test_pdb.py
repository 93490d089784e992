import gzip

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.formats.frame import IncompleteFileError
from pipelines.molecules.formats.pdb import read_bonds, read_frames, read_topology
from tests.pipelines.molecules.systems import Molecule, cryst1, nanoparticle, pdb_frame, walk, write_pdb

TWO = [Molecule("OQL", 1, ["A", "B"])]
FRAMES = np.arange(18.0).reshape(3, 2, 3)


def positions_of(path, num_atoms=2):
    return [frame.positions for frame in read_frames(path, num_atoms)]


def written(tmp_path, text):
    path = tmp_path / "a.pdb"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_bonds_are_those_of_all_conect_records(tmp_path):
    """Serial numbers that are no places; records of up to four bonds; two models, whose serials repeat."""
    atoms = "".join(
        f"ATOM  {serial:>5} C{place}  LIG A   1       0.000   0.000{place:8.3f}  1.00  0.00\n"
        for place, serial in enumerate(("7", "8", "A000", "9", "12"))
    )
    records = "CONECT    7    8 A000    9   12\nCONECT   12    7\nCONECT    9\n"
    path = written(tmp_path, f"MODEL        1\n{atoms}ENDMDL\nMODEL        2\n{atoms}ENDMDL\n{records}END\n")
    np.testing.assert_array_equal(read_bonds(path), [[0, 1], [0, 2], [0, 3], [0, 4], [4, 0]])
    assert read_bonds(written(tmp_path, f"{atoms}END\n")).shape == (0, 2)


@pytest.mark.parametrize(
    ("serials", "record", "message"),
    [
        (("1", "2"), "CONECT    1    3", "line 3: a bond of serial number '3', which no atom has"),
        (("1", "1"), "CONECT    1    2", "line 3: a bond of serial number '1', which several atoms have"),
        (("1", "2"), "CONECT", "line 3: a bond of serial number '', which no atom has"),
    ],
)
def test_refuses_bonds_of_atoms_that_cannot_be_told(tmp_path, serials, record, message):
    atoms = "".join(f"ATOM  {serial:>5} C   LIG A   1       0.000   0.000   0.000\n" for serial in serials)
    with pytest.raises(UserError, match=message):
        read_bonds(written(tmp_path, f"{atoms}{record}\nEND\n"))


def test_the_topology_has_the_columns_of_the_first_model(tmp_path):
    molecules, first = nanoparticle()
    molecules += [Molecule("LIGX", "B00F", ["C1", "C2"], "Z", insertion="C", alternates="A ", ends_chain=True)]
    first = np.concatenate([first, np.zeros((2, 3))])
    topology = read_topology(write_pdb(tmp_path / "a.pdb", molecules, walk(first, 3)))

    def per_atom(get):
        return [get(m) for m in molecules for _ in m.atom_names]

    assert topology.atom_names.tolist() == [name for m in molecules for name in m.atom_names]
    assert topology.molecule_names.tolist() == per_atom(lambda m: m.name)
    assert topology.molecule_numbers.tolist() == per_atom(lambda m: f"{m.number}{m.insertion}".strip())
    same = np.equal.outer(topology.chains, topology.chains)
    np.testing.assert_array_equal(same, np.equal.outer(*[per_atom(lambda m: m.chain)] * 2))
    assert topology.alternates[-2:].tolist() == ["A", ""]
    ends = np.cumsum([len(m.atom_names) for m in molecules]) - 1
    assert np.flatnonzero(topology.chain_ends).tolist() == [ends[i] for i, m in enumerate(molecules) if m.ends_chain]


def test_segments_tell_chains_apart(tmp_path):
    lines = pdb_frame([Molecule("OQL", 1, "A"), Molecule("OQL", 1, "A")], FRAMES[0]).splitlines()
    text = "".join(f"{line:<72}{segment:<4}\n" for line, segment in zip(lines, ("ONE", "TWO"), strict=True))
    assert len(set(read_topology(written(tmp_path, text)).chains)) == 2


@pytest.mark.parametrize(
    "separate",
    [
        lambda text, index: f"MODEL {index}\n{text}ENDMDL\n",
        lambda text, index: f"{text}END\n",  # VMD
        lambda text, index: f"MODEL {index}\n{text}TER\nENDMDL\nEND\n",
        lambda text, index: f"MODEL {index}\n{text}",
        lambda text, index: f"CRYST1   30.000   40.000   50.000  90.00  90.00  90.00\n{text}",
        lambda text, index: f"TITLE     frame t= {index}\nREMARK\n{text}END\n",
    ],
)
def test_models_however_they_are_separated(tmp_path, separate):
    text = "".join(separate(pdb_frame(TWO, frame), index) for index, frame in enumerate(FRAMES))
    for path in (written(tmp_path, text), written(tmp_path, text + "\n\n")):
        np.testing.assert_array_equal(positions_of(path), FRAMES)
        assert read_topology(path).num_atoms == 2


def test_packed_files(tmp_path):
    path = write_pdb(tmp_path / "a.pdb", TWO, FRAMES)
    packed = tmp_path / "a.pdb.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_array_equal(positions_of(packed), FRAMES)


def test_a_box_stated_once_and_a_box_for_every_model(tmp_path):
    once = write_pdb(tmp_path / "a.pdb", TWO, FRAMES, box=(30, 40, 50), angles=(90, 80, 90))
    boxes = [frame.box for frame in read_frames(once, 2)]
    assert boxes[1] is None and boxes[2] is None
    np.testing.assert_allclose(np.linalg.norm(boxes[0], axis=1), [30, 40, 50])
    models = [f"MODEL {i}\n{cryst1((40 + i, 41, 0))}{pdb_frame(TWO, x)}ENDMDL\n" for i, x in enumerate(FRAMES)]
    found = [frame.box for frame in read_frames(written(tmp_path, "".join(models)), 2)]
    np.testing.assert_array_equal(found, [np.diag([40.0 + i, 41, 0]) for i in range(3)])


@pytest.mark.parametrize(("record", "is_stated"), [("", False), ("CRYST1\n", False), (cryst1((1, 1, 1)), True)])
def test_no_box(tmp_path, record, is_stated):
    (frame,) = read_frames(written(tmp_path, record + pdb_frame(TWO, FRAMES[0])), 2)
    assert (frame.box is not None) == is_stated
    assert frame.box is None or not frame.box.any()


def test_other_bytes_in_remarks_do_not_matter(tmp_path):
    text = b"REMARK \xff\xfe\x00\n" + pdb_frame(TWO, FRAMES[0]).encode() + b"END\n"
    np.testing.assert_array_equal(positions_of(written(tmp_path, text)), FRAMES[:1])


def test_faults_have_line_or_frame(tmp_path):
    path = write_pdb(tmp_path / "a.pdb", TWO, FRAMES)
    lines = path.read_text().splitlines(keepends=True)

    def fault(changed, num_atoms=2):
        with pytest.raises(UserError) as error:
            positions_of(written(tmp_path, "".join(changed)), num_atoms)
        return str(error.value)

    assert "a.pdb: frame 0: expected 3 atoms as in the topology, found 2" in fault(lines, 3)
    overflow = fault([*lines[:5], lines[5][:38] + "********" + lines[5][46:], *lines[6:]])
    assert "a.pdb: line 6:" in overflow and "'   6.000********   8.000'" in overflow
    assert "a.pdb: frame 1: expected 2 atoms as in the topology, found 1" in fault([*lines[:5], *lines[6:]])
    assert "a.pdb: expected atoms, found none" in fault(["REMARK nothing\n"])
    assert "a.pdb: line 1: expected three lengths" in fault(["CRYST1 nothing\n", *lines])
    assert "a.pdb: frame 0: expected a box" in fault([cryst1((30, -1, 30)), *lines])
    with pytest.raises(UserError, match=r"a.pdb: expected atoms, found none"):
        read_topology(written(tmp_path, ""))


@pytest.mark.parametrize("size", range(1, 81))
def test_every_cut_in_the_last_atom_is_found(tmp_path, size):
    text = write_pdb(tmp_path / "a.pdb", TWO, FRAMES).read_text()
    last = text.rindex("ATOM")
    path = written(tmp_path, text[: last + size])
    if size >= 54:
        np.testing.assert_array_equal(positions_of(path), FRAMES)  # all coordinates are there
    else:
        with pytest.raises(IncompleteFileError, match=r"a.pdb: frame 2 is cut off after 1 of 2 atoms"):
            positions_of(path)


def test_a_cut_after_the_record_that_opens_a_model(tmp_path):
    text = write_pdb(tmp_path / "a.pdb", TWO, FRAMES).read_text()
    with pytest.raises(IncompleteFileError, match=r"a.pdb: frame 2 is cut off after 0 of 2 atoms"):
        positions_of(written(tmp_path, text[: text.index("MODEL        3") + 14]))


def test_models_that_nothing_separates_are_refused(tmp_path):
    molecules = [Molecule("AU", 1, ["AU"]), Molecule("OQL", 2, ["A"])]
    frame = pdb_frame(molecules, FRAMES[0])
    for between in ("", "TER\n", "REMARK\n"):
        path = written(tmp_path, between.join([frame] * 3))
        for read in (read_topology, positions_of):
            with pytest.raises(UserError, match=f"{path}: line {3 + bool(between)}: .* serial number 1 after 2"):
                read(path)


def test_copies_of_one_molecule_may_begin_again_with_the_first_serial_number(tmp_path):
    frame = pdb_frame(TWO, FRAMES[0])
    assert read_topology(written(tmp_path, frame * 3)).num_atoms == 6


def test_serial_numbers_begin_again_after_the_last_one_that_fits(tmp_path):
    molecules = [Molecule("AU", 1, ["AU"]), Molecule("OQL", 2, ["A"])]
    lines = pdb_frame(molecules, FRAMES[0]).splitlines(keepends=True)
    lines[1] = f"{lines[1][:6]}99999{lines[1][11:]}"
    assert read_topology(written(tmp_path, "".join([*lines, lines[0]]))).num_atoms == 3
