"""Small molecular systems, and the files of programs that write them."""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from pipelines.molecules.config import MoleculesConfig

BOX = (24.0, 25.0, 26.0)


@dataclasses.dataclass(frozen=True)
class Molecule:
    name: str
    number: int | str
    atom_names: Sequence[str]
    chain: str = "A"
    ends_chain: bool = False
    insertion: str = " "
    alternates: str = ""
    """Letter of the alternate location of each atom."""


def cryst1(box, angles=(90, 90, 90)):
    return "CRYST1" + "".join(f"{length:9.3f}" for length in box) + "".join(f"{a:7.2f}" for a in angles) + " P 1\n"


def pdb_frame(molecules, positions):
    """The lines of one frame: atoms of all molecules, TER where a chain ends."""
    lines, atom = [], 0
    for molecule in molecules:
        letters = molecule.alternates or " " * len(molecule.atom_names)
        for name, letter in zip(molecule.atom_names, letters, strict=True):
            x, y, z = positions[atom]
            lines.append(
                f"ATOM  {(atom + 1) % 100000:5d} {name:<4}{letter}{molecule.name:<4}{molecule.chain}"
                f"{molecule.number:>4}{molecule.insertion}   {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00\n"
            )
            atom += 1
        if molecule.ends_chain:
            lines.append("TER\n")
    return "".join(lines)


def write_pdb(path, molecules, frames, box=None, angles=(90, 90, 90)):
    """One model per frame `[num_frames, num_atoms, 3]`, the box stated once before them."""
    header = cryst1(box, angles) if box is not None else ""
    models = [f"MODEL {i + 1:8d}\n{pdb_frame(molecules, frame)}ENDMDL\n" for i, frame in enumerate(frames)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + "".join(models) + "END\n")
    return path


def write_series(directory, molecules, frames, box=None):
    """One file per frame, `frame_1.pdb` and so on: the layout of the thesis."""
    directory.mkdir(parents=True, exist_ok=True)
    header = cryst1(box) if box is not None else ""
    paths = []
    for index, frame in enumerate(frames):
        paths.append(directory / f"frame_{index + 1}.pdb")
        paths[-1].write_text(header + pdb_frame(molecules, frame) + "END\n")
    return paths


def convert(mda, pdb, path, time_between_frames, box):
    """Write the frames of a PDB file in the format of the suffix of `path`, in a box of six numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        universe = mda.Universe(str(pdb), to_guess=())
        with mda.Writer(str(path), universe.atoms.n_atoms, dt=time_between_frames) as writer:
            for index, step in enumerate(universe.trajectory):
                step.dimensions = box
                step.data["time"] = time_between_frames * index
                writer.write(universe.atoms)
    return path


def gro_frame(molecules, positions, box, digits=3):
    """The lines of a GRO frame; positions and box in nm."""
    width, atom = digits + 5, 0
    lines = ["a frame\n", f"{len(positions)}\n"]
    for molecule in molecules:
        for name in molecule.atom_names:
            numbers = "".join(f"{value:{width}.{digits}f}" for value in positions[atom])
            lines.append(f"{molecule.number:>5}{molecule.name:<5}{name:>5}{(atom + 1) % 100000:5d}{numbers}\n")
            atom += 1
    lines.append(" ".join(f"{value:.5f}" for value in box) + "\n")
    return "".join(lines)


def write_gro(path, molecules, frames, box=(0.0, 0.0, 0.0), digits=3):
    """A GRO file of all frames `[num_frames, num_atoms, 3]`, in nm."""
    path.write_text("".join(gro_frame(molecules, frame, box, digits) for frame in frames))
    return path


def write_xtc(path, frames, boxes, times=None):
    """An XTC file of frames `[num_frames, num_atoms, 3]` and boxes `[num_frames, 3, 3]`, in nm."""
    from MDAnalysis.lib.formats.libmdaxdr import XTCFile

    times = np.arange(len(frames)) if times is None else times
    with XTCFile(str(path), "w") as file:
        for index, (frame, box, time) in enumerate(zip(frames, boxes, times, strict=True)):
            file.write(np.float32(frame), np.float32(box), index, np.float32(time), 1000.0)
    return path


def write_trr(path, frames, box, times=None):
    """A TRR file; a frame that is None holds velocities only."""
    from MDAnalysis.lib.formats.libmdaxdr import TRRFile

    num_atoms = len(next(frame for frame in frames if frame is not None))
    velocities = np.zeros((num_atoms, 3), np.float32)
    with TRRFile(str(path), "w") as file:
        for index, frame in enumerate(frames):
            time = index if times is None else times[index]
            positions = None if frame is None else np.float32(frame)
            file.write(positions, velocities, None, np.float32(box), index, time, 0.0, num_atoms)
    return path


def nanoparticle():
    """A gold core, drugs and background molecules around it, and water; PDB numbers that wrap, two chains.

    Returns:
        Molecules and the first frame `[num_atoms, 3]` in angstrom. In each OQL and ONC the second of three atoms,
        M, is in the middle. The gold atom nearest to the core's middle, (10, 10, 10), is atom 2.
    """
    molecules = [Molecule("AU", 1, ["AU"] * 5)]
    gold = np.array([[2, 0, 0], [-2, 0, 0], [0, 0, 0.1], [0, 2.5, 0], [0, -2.5, 0]], float) + 10
    groups = [gold]
    generator = np.random.default_rng(3)
    names = ["OQL", "ONC", "OQL", "ONC", "ONC", "OQL"]
    for index, name in enumerate(names):
        # 9998, 9999, 0, 1 in chain A; chain B begins with the number and name that chain A ends with.
        number = (9998 + index) % 10000 if index < 4 else 1
        molecules.append(
            Molecule(name, number, ["A", "M", "B"], chain="A" if index < 4 else "B", ends_chain=index == 3)
        )
        direction = generator.normal(size=3)
        middle = 10 + 6 * direction / np.linalg.norm(direction)
        groups.append(middle + np.array([[-1.5, 0.2, 0], [0, 0, 0], [1.5, 0.1, 0]]))
    for index in range(3):
        molecules.append(Molecule("HOH", index, ["O", "H1", "H2"], chain="W"))
        groups.append(np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]]) + 3.0 * index)
    return molecules, np.concatenate(groups)


def walk(first, num_frames, step=0.3, seed=0):
    """A random walk of all atoms that starts at `first`, rounded as PDB files round: `[num_frames, num_atoms, 3]`."""
    moves = np.random.default_rng(seed).normal(scale=step, size=(num_frames, *first.shape))
    moves[0] = 0
    return np.round(first + moves.cumsum(axis=0), 3)


def config_of(*trajectory, **changes):
    values = {"min_frames": 3, "time_between_frames": 1000.0, **changes}
    return MoleculesConfig(trajectory=tuple(trajectory), **values)


def contents(directory):
    """The bytes of every file but `.validated.json`, which is there if the others are old enough."""
    files = [path for path in directory.rglob("*") if path.is_file() and path.name != ".validated.json"]
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}
