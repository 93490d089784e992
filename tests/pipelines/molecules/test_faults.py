"""Files of other programs that were once read wrong without a word: each is now read right or refused in one line."""

import sys

import numpy as np
import pytest

from pipelines.manifest import Manifest
from socialmd_tf import prepare
from socialmd_tf.commands import run
from tests.pipelines.molecules.systems import (
    Molecule,
    cryst1,
    gro_frame,
    pdb_frame,
    walk,
    write_gro,
    write_pdb,
    write_trr,
    write_xtc,
)

FLAGS = ["--molecules", "OQL", "--min-frames", "1", "--fractions", "1", "0", "0"]
IN_NM, ANGSTROM = ["--input-unit", "nm"], ["--input-unit", "angstrom"]  # too few atoms to infer the unit
TIME = ["--time-between-frames", "1"]
BOX = np.diag([6.0, 6.0, 6.0])


def system(numbers, names=("B1", "B2", "B3"), **fields):
    """Gold and one molecule per number: molecules, and five frames `[5, num_atoms, 3]` in nm."""
    molecules = [Molecule("AU", 1, ["AU"]), *(Molecule("OQL", number, names, **fields) for number in numbers)]
    generator = np.random.default_rng(0)
    centers = generator.uniform(0.5, 5.5, (len(numbers), 1, 3))
    atoms = centers + np.array([[0, 0, 0], [0.15, 0, 0], [0, 0.15, 0]])[: len(names)]
    first = np.concatenate([np.full((1, 3), 3.0), atoms.reshape(-1, 3)])
    return molecules, walk(first, 5, step=0.02)


ONE_BEAD, BEADS = system(range(2, 22), ["B"])


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Prepares files in this process: exit status, the lines of stdout, stderr, and the positions if there are any."""

    def call(*flags):
        output = tmp_path / "data"
        monkeypatch.setattr(sys, "argv", ["prepare", *map(str, flags), *FLAGS, "--output", str(output)])
        with pytest.raises(SystemExit) as stop:
            run(prepare.main)
        stdout, stderr = capsys.readouterr()
        positions = np.load(output / "train" / "00000.npy")[..., :3] if not stop.value.code else None
        return stop.value.code, stdout.splitlines(), stderr, positions

    return call


def refused(result, *values):
    """Whether a command ended with status 2 and one line that holds the values."""
    status, stdout, stderr, _ = result
    assert (status, stdout) == (2, []) and stderr.count("\n") == 1 and stderr.startswith("error: ")
    assert all(str(value) in stderr for value in values), stderr
    return True


def hexadecimal(index):
    """Residue numbers as OpenMM writes them; hybrid-36 begins in the same way."""
    return index if index < 10_000 else f"{index - 10_000 + 0xA000:X}"


def test_residue_numbers_in_hexadecimal(command, tmp_path):
    molecules, frames = system([hexadecimal(index) for index in range(9980, 10_020)])
    status, stdout, _, positions = command("--trajectory", write_pdb(tmp_path / "a.pdb", molecules, 10 * frames), *TIME)
    assert status == 0 and "molecules: 40 OQL (3 atoms each)" in stdout
    assert positions.shape == (5, 40, 3)


def test_all_molecules_have_one_residue_number(command, tmp_path):
    molecules, frames = system([1] * 20)
    status, stdout, _, _ = command("--trajectory", write_pdb(tmp_path / "a.pdb", molecules, 10 * frames), *TIME)
    assert status == 0 and "molecules: 20 OQL (3 atoms each)" in stdout
    assert any("20 OQL share residue numbers" in line for line in stdout)


def test_atoms_of_one_name_with_one_residue_number(command, tmp_path):
    molecules, frames = system([1] * 20, ["B"])
    path = write_pdb(tmp_path / "a.pdb", molecules, 10 * frames)
    assert refused(command("--trajectory", path, *ANGSTROM, *TIME), path, "OQL", "20 successive atoms", "`--topology`")


@pytest.mark.parametrize("suffix", ["pdb", "gro"])
def test_residue_numbers_that_start_again(command, tmp_path, suffix):
    last = {"pdb": 9999, "gro": 99_999}[suffix]
    numbers = [*range(last - 3, last + 1), 0, 1, 2]
    molecules, frames = system(numbers)
    if suffix == "pdb":
        path = write_pdb(tmp_path / "a.pdb", molecules, 10 * frames)
    else:
        path = write_gro(tmp_path / "a.gro", molecules, frames)
    status, stdout, _, _ = command("--trajectory", path, *TIME)
    assert status == 0 and "molecules: 7 OQL (3 atoms each)" in stdout


def test_hydrogens_at_the_end_of_the_file(command, tmp_path):
    molecules, frames = system(range(2, 8))
    heavy = [Molecule(m.name, m.number, m.atom_names[:2]) for m in molecules]
    hydrogens = [Molecule(m.name, m.number, m.atom_names[2:]) for m in molecules[1:]]
    atoms = np.arange(1, 19).reshape(6, 3)
    order = [0, *atoms[:, :2].ravel(), *atoms[:, 2]]
    path = write_pdb(tmp_path / "a.pdb", [*heavy, *hydrogens], 10 * frames[:, order])
    status, stdout, _, positions = command("--trajectory", path, *TIME)
    assert status == 0 and "molecules: 6 OQL (3 atoms each)" in stdout
    assert any("6 OQL have their atoms in several places" in line for line in stdout)
    np.testing.assert_allclose(positions, (frames[:, 1::3] - frames[:, :1]), atol=1e-3)


@pytest.mark.parametrize("names", [["B1", "B2", "B3", "B2"], ["B1", "B2", "B3", "D2"]])
def test_alternate_locations(command, tmp_path, names):
    """The atom nearest to the centre is the first one, unless the second location of another counts."""
    molecules, frames = system(range(2, 8))
    molecules[1:] = [Molecule("OQL", m.number, names, alternates=" A B") for m in molecules[1:]]
    second = frames[:, 2::3] + [2.0, 0, 0]
    atoms = np.concatenate([frames[:, 1:].reshape(5, 6, 3, 3), second[:, :, None]], axis=2).reshape(5, 24, 3)
    path = write_pdb(tmp_path / "a.pdb", molecules, 10 * np.concatenate([frames[:, :1], atoms], axis=1))
    status, stdout, _, positions = command("--trajectory", path, *TIME)
    assert status == 0 and "molecules: 6 OQL (3 atoms each)" in stdout
    assert any("6 atoms in alternate locations left out" in line for line in stdout)
    np.testing.assert_allclose(positions, (frames[:, 1::3] - frames[:, :1]), atol=1e-3)


def test_models_that_list_atoms_in_another_order(command, tmp_path):
    molecules, frames = system(range(2, 8))
    path = write_pdb(tmp_path / "a.pdb", molecules, 10 * frames[:3])
    other = [molecules[0], *molecules[:0:-1]]
    path.write_text(path.read_text().removesuffix("END\n") + f"MODEL 4\n{pdb_frame(other, 10 * frames[3])}ENDMDL\n")
    assert refused(command("--trajectory", path, *TIME), path, "frame 3", "atom 1 ", "A 2", "A 7")


@pytest.mark.parametrize("suffix", ["pdb", "gro"])
def test_frame_files_that_list_atoms_in_another_order(command, tmp_path, suffix):
    molecules, frames = system(range(2, 8))
    folder = tmp_path / "frames"
    folder.mkdir()
    for index, frame in enumerate(frames):
        kinds = [molecules[0], *molecules[:0:-1]] if index == 3 else molecules
        text = pdb_frame(kinds, 10 * frame) if suffix == "pdb" else gro_frame(kinds, frame, (6, 6, 6))
        (folder / f"{index}.{suffix}").write_text(text)
    assert refused(command("--trajectory", folder, *TIME), folder / f"3.{suffix}", "frame 0", "atom 1 ")


def test_a_gro_file_of_many_frames(command, tmp_path):
    path = write_gro(tmp_path / "a.gro", ONE_BEAD, BEADS, (6, 6, 6))
    status, stdout, _, positions = command("--trajectory", path, *IN_NM, *TIME)
    assert status == 0 and any(line.startswith("frames: 5,") for line in stdout)
    np.testing.assert_allclose(positions, BEADS[:, 1:] - BEADS[:, :1], atol=2e-3)


def binary(tmp_path, suffix):
    """A trajectory of five frames, and its topology."""
    topology = write_gro(tmp_path / "top.gro", ONE_BEAD, BEADS[:1], (6, 6, 6))
    path = tmp_path / f"a.{suffix}"
    if suffix == "xtc":
        return write_xtc(path, BEADS, [BOX] * 5), topology
    if suffix == "trr":
        return write_trr(path, BEADS, BOX), topology
    mda = pytest.importorskip("MDAnalysis")
    with mda.Writer(str(path), len(BEADS[0]), dt=1.0) as writer:
        universe = mda.Universe.empty(len(BEADS[0]), trajectory=True)
        for frame in BEADS:
            universe.atoms.positions = 10 * frame
            universe.dimensions = [60, 60, 60, 90, 90, 90]
            writer.write(universe.atoms)
    return path, topology


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("suffix", ["xtc", "trr", "dcd"])
def test_a_trajectory_cut_off_in_a_frame(command, tmp_path, suffix):
    pytest.importorskip("MDAnalysis")
    path, topology = binary(tmp_path, suffix)
    content = path.read_bytes()
    path.write_bytes(content[: int(0.7 * len(content))])
    flags = ["--topology", topology, "--trajectory", path, *(ANGSTROM if suffix == "dcd" else IN_NM), *TIME]
    assert refused(command(*flags), path, "frame 3 is cut off", "`--incomplete-frames drop`")
    status, stdout, _, positions = command(*flags, "--incomplete-frames", "drop")
    assert status == 0 and len(positions) == 3
    assert any(line.startswith("files that end early") and line.endswith(": 1") for line in stdout)


@pytest.mark.parametrize("suffix", ["pdb", "gro"])
def test_a_text_file_cut_off_in_a_frame(command, tmp_path, suffix):
    if suffix == "pdb":
        path = write_pdb(tmp_path / "a.pdb", ONE_BEAD, 10 * BEADS)
    else:
        path = write_gro(tmp_path / "a.gro", ONE_BEAD, BEADS, (6, 6, 6))
    path.write_text(path.read_text()[: int(0.9 * path.stat().st_size)])
    assert refused(command("--trajectory", path, *IN_NM, *TIME), path, "frame 4 is cut off")


def test_pdb_frames_that_end_separates(command, tmp_path):
    path = tmp_path / "a.pdb"
    path.write_text("".join(pdb_frame(ONE_BEAD, 10 * frame) + "END\n" for frame in BEADS))
    status, stdout, _, positions = command("--trajectory", path, *IN_NM, *TIME)
    assert status == 0 and any(line.startswith("frames: 5,") for line in stdout) and len(positions) == 5


def wrapped(axes=3):
    """Particles that cross a box of 6 nm: the frames in the file, and the true motion relative to the gold atom."""
    velocity = np.zeros((21, 3))
    velocity[1:, :axes] = np.random.default_rng(1).uniform(-1, 1, (20, axes))
    truth = (BEADS[0] + np.arange(12)[:, None, None] * velocity).round(3)
    frames = truth.copy()
    frames[..., :axes] %= 6.0
    moves = truth - truth[:1]
    return frames, moves


def moves_of(positions):
    return positions - positions[:1]


def test_a_box_in_the_first_of_many_files(command, tmp_path):
    """The layout of the thesis, with CRYST1 in the first file only."""
    frames, moves = wrapped()
    folder = tmp_path / "frames"
    folder.mkdir()
    for index, frame in enumerate(frames):
        (folder / f"{index}.pdb").write_text((cryst1((60,) * 3) if not index else "") + pdb_frame(ONE_BEAD, 10 * frame))
    status, stdout, _, positions = command("--trajectory", folder, *TIME, *ANGSTROM)
    assert status == 0 and any(line.startswith("frames that state no box") and line.endswith(": 11") for line in stdout)
    np.testing.assert_allclose(moves_of(positions), moves[:, 1:], atol=2e-3)


def test_a_frame_with_a_zero_box(command, tmp_path):
    pytest.importorskip("MDAnalysis")
    frames, _ = wrapped()
    boxes = [BOX] * 12
    boxes[7] = np.zeros((3, 3))
    topology = write_gro(tmp_path / "top.gro", ONE_BEAD, frames[:1], (6, 6, 6))
    path = write_xtc(tmp_path / "a.xtc", frames, boxes)
    assert refused(command("--topology", topology, "--trajectory", path, *IN_NM), path, "frame 7", "no box")


def test_a_box_in_the_topology_only(command, tmp_path):
    topology = write_gro(tmp_path / "top.gro", ONE_BEAD, BEADS[:1], (6, 6, 6))
    path = write_pdb(tmp_path / "a.pdb", ONE_BEAD, 10 * BEADS)
    status, stdout, _, _ = command("--topology", topology, "--trajectory", path, *ANGSTROM, *TIME)
    assert status == 0 and any(line.startswith("no periodic box in the") for line in stdout)
    assert f"{topology}: the trajectory states no box; that of the topology was not used" in stdout


@pytest.mark.parametrize("suffix", ["xtc", "gro", "pdb"])
def test_a_slab_is_unwrapped_along_its_periodic_axes(command, tmp_path, suffix):
    frames, moves = wrapped(axes=2)
    frames[..., 2] *= 30  # far beyond any box
    moves[..., 2] *= 30
    if suffix == "xtc":
        pytest.importorskip("MDAnalysis")
        path = write_xtc(tmp_path / "a.xtc", frames, [np.diag([6.0, 6.0, 0.0])] * 12)
    elif suffix == "gro":
        path = write_gro(tmp_path / "a.gro", ONE_BEAD, frames, (6, 6, 0))
    else:
        path = write_pdb(tmp_path / "a.pdb", ONE_BEAD, 10 * frames, box=(60, 60, 0))
    topology = write_gro(tmp_path / "top.gro", ONE_BEAD, frames[:1], (6, 6, 0))
    unit = ANGSTROM if suffix == "pdb" else IN_NM
    status, stdout, _, positions = command("--topology", topology, "--trajectory", path, *unit, *TIME)
    assert status == 0 and any(line.startswith("box periodic along x, y: ") for line in stdout)
    np.testing.assert_allclose(moves_of(positions), moves[:, 1:], atol=5e-3)


@pytest.mark.parametrize(
    ("box", "line"),
    [(None, "no periodic box in the trajectory"), ((60, 60, 60), "box periodic along x, y, z: no jumps")],
)
def test_no_box_and_a_box_with_nothing_to_unwrap_differ_in_print(command, tmp_path, box, line):
    path = write_pdb(tmp_path / "a.pdb", ONE_BEAD, 10 * np.repeat(BEADS[:1], 5, axis=0), box=box)
    _, stdout, _, _ = command("--trajectory", path, *TIME, *ANGSTROM)
    assert any(each.startswith(line) for each in stdout)


def test_trr_frames_of_velocities_only(command, tmp_path):
    pytest.importorskip("MDAnalysis")
    topology = write_gro(tmp_path / "top.gro", ONE_BEAD, BEADS[:1], (6, 6, 6))
    mixed = [frame for pair in zip(BEADS, [None] * 5, strict=True) for frame in pair]
    path = write_trr(tmp_path / "a.trr", mixed, BOX, np.arange(10.0))
    status, stdout, _, positions = command("--topology", topology, "--trajectory", path, *IN_NM)
    assert status == 0 and len(positions) == 5
    assert any("frames: 5, 2 ps apart" in line for line in stdout)
    assert any(line.startswith("frames without positions") and line.endswith(": 5") for line in stdout)


@pytest.mark.parametrize(("start", "step"), [(100_000.0, 0.1), (2000.0, 0.02)])
def test_times_late_in_a_run(command, tmp_path, start, step):
    """float32 times are 0.008 ps apart at 100 ns."""
    pytest.importorskip("MDAnalysis")
    topology = write_gro(tmp_path / "top.gro", ONE_BEAD, BEADS[:1], (6, 6, 6))
    frames = np.repeat(BEADS, 8, axis=0)
    path = write_xtc(tmp_path / "a.xtc", frames, [BOX] * 40, start + step * np.arange(40))
    status, _, _, _ = command("--topology", topology, "--trajectory", path, *IN_NM)
    assert status == 0
    assert Manifest.load(tmp_path / "data").time_between_frames == step


def test_lammps_dumps_state_no_times(command, tmp_path):
    topology = write_gro(tmp_path / "top.gro", ONE_BEAD, BEADS[:1], (6, 6, 6))
    path, lines = tmp_path / "a.lammpsdump", []
    generator = np.random.default_rng(0)
    for index, frame in enumerate(BEADS):
        lines += ["ITEM: TIMESTEP", f"{1000 * index}", "ITEM: NUMBER OF ATOMS", "21", "ITEM: BOX BOUNDS pp pp ff"]
        lines += ["0 60"] * 3 + ["ITEM: ATOMS id type x y z"]
        lines += [f"{atom + 1} 1 " + " ".join(map(str, 10 * frame[atom])) for atom in generator.permutation(21)]
    path.write_text("\n".join(lines) + "\n")
    flags = ["--topology", topology, "--trajectory", path, *ANGSTROM]
    assert refused(command(*flags), path, "`--time-between-frames`")
    status, stdout, _, positions = command(*flags, *TIME)
    assert status == 0 and any(line.startswith("box periodic along x, y: ") for line in stdout)
    np.testing.assert_allclose(positions, BEADS[:, 1:] - BEADS[:, :1], atol=1e-3)
