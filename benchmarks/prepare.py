"""How long `prepare` takes beside a bare loop of MDAnalysis over the same frames.

Writes an XTC trajectory of a periodic liquid of 40 000 atoms in molecules of four, reads it with MDAnalysis and nothing
else, and prepares one particle for each molecule of a tenth of them. Both are new processes and run in turn, several
times; the least time of each counts, and the least CPU time.

    python benchmarks/prepare.py --num-frames 2000
"""

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

_LOOP = """
import sys, MDAnalysis
for step in MDAnalysis.Universe(*sys.argv[1:]).trajectory:
    step.positions
"""
_FLAGS = "--molecules MOL --center none --fractions 1 0 0 --min-frames 1 --time-between-frames 1".split()
_EDGE = 75.0  # angstrom
_ATOMS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-frames", type=int, default=2000)
    parser.add_argument("--num-atoms", type=int, default=40_000)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        topology, trajectory = write_system(Path(directory), args.num_frames, args.num_atoms)
        seconds: dict[str, list[tuple[float, float]]] = {"MDAnalysis loop": [], "prepare": []}
        for number in range(args.repeats):
            seconds["MDAnalysis loop"].append(times("-c", _LOOP, topology, trajectory))
            trajectory.with_name(f".{trajectory.name}_offsets.npz").unlink(missing_ok=True)
            files = ["--topology", topology, "--trajectory", trajectory, "--output", Path(directory) / f"data-{number}"]
            seconds["prepare"].append(times("-m", "socialmd_tf.prepare", *files, *_FLAGS))
    print(f"{args.num_frames} frames of {args.num_atoms} atoms")
    least = {name: [min(each) for each in zip(*values, strict=True)] for name, values in seconds.items()}
    for name, (wall, cpu) in least.items():
        print(f"{name:16s} {wall:8.2f} s, {cpu:8.2f} s of CPU")
    ratios = [ours / bare for ours, bare in zip(least["prepare"], least["MDAnalysis loop"], strict=True)]
    print(f"ratio            {ratios[0]:8.2f}    {ratios[1]:8.2f}")


def write_system(directory: Path, num_frames: int, num_atoms: int) -> tuple[Path, Path]:
    import MDAnalysis

    num_molecules = num_atoms // _ATOMS
    owners = np.repeat(np.arange(num_molecules), _ATOMS)
    universe = MDAnalysis.Universe.empty(num_atoms, num_molecules, atom_resindex=owners, trajectory=True)
    universe.add_TopologyAttr("names", ["A", "B", "C", "D"] * num_molecules)
    universe.add_TopologyAttr("resnames", ["MOL" if number % 10 == 0 else "SOL" for number in range(num_molecules)])
    universe.add_TopologyAttr("resids", np.arange(num_molecules) % 9999 + 1)
    generator = np.random.default_rng(0)
    positions = np.repeat(generator.uniform(0, _EDGE, size=(num_molecules, 3)), _ATOMS, axis=0)
    positions += generator.normal(size=positions.shape)
    universe.dimensions = [_EDGE, _EDGE, _EDGE, 90, 90, 90]
    topology, trajectory = directory / "md.gro", directory / "md.xtc"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with MDAnalysis.Writer(str(trajectory), num_atoms, dt=1.0) as writer:
            for frame in range(num_frames):
                universe.atoms.positions = positions % _EDGE
                writer.write(universe.atoms)
                if frame == 0:
                    universe.atoms.write(str(topology))
                positions += generator.normal(scale=0.2, size=positions.shape)
    return topology, trajectory


def times(*words: object) -> tuple[float, float]:
    """Time of a Python process, and CPU time with its children, in seconds."""
    before = os.times()
    subprocess.run([sys.executable, "-W", "ignore", *map(str, words)], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return after.elapsed - before.elapsed, cpu


if __name__ == "__main__":
    main()
