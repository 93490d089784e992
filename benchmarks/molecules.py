"""Run `prepare` on real trajectories and on a large one: molecules, seconds, peak memory; compare libraries.

Downloads `lnb-mdt` and `MDAnalysisTests` with pip into a temporary folder (90 MB) and extracts their data without
installing them. Run by hand: `python benchmarks/molecules.py`, about four minutes; `--synthetic-frames 0` skips the
large file. mdtraj is compared if it is installed, in this environment or in that of `--mdtraj-python`.
"""

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

PREPARE = [sys.executable, "-m", "socialmd_tf.prepare"]
NO_SPLIT = ["--min-frames", "1", "--fractions", "1", "0", "0"]
NUM_ATOMS = 50_000
BUBBLE = ["--topology", "lnb.gro", "--trajectory", "lnb.xtc", "--center", "DPPC", "DAPC", "CHOL"]
LIPIDS = [*BUBBLE, "--center-on", "mean", "--min-frames", "10", "--molecules", "DAPC", "DPPC", "CHOL"]
RUNS = {
    "bubble's lipids, XTC": LIPIDS,
    "its slices, +-1 nm": [*LIPIDS, "--num-dimensions", "2", "--slice-half-thickness", "1"],
    "its gas": [*BUBBLE, "--min-frames", "10", "--molecules", "O2"],
    "protein in water, TRR": (
        "--topology adk_oplsaa.gro --trajectory adk_oplsaa.trr --molecules ALA GLY --center LEU"
    ).split(),
    # A run that ended before the 500 frames that the header announces.
    "protein, DCD": (
        "--topology adk.psf --trajectory adk_dims.dcd --molecules ALA GLY --center CA --incomplete-frames drop"
    ).split(),
    "truncated octahedron, NetCDF": (
        "--topology tz2.truncoct.parm7.bz2 --trajectory tz2.truncoct.nc --molecules TRP LYS --center CA "
        "--time-between-frames 1"
    ).split(),
    "24 models, PDB": (
        "--trajectory nmr_neopetrosiamide.pdb --molecules CYS GLY --center CA --time-between-frames 1"
    ).split(),
    "membrane, GRO.GZ and XTC": (
        "--topology YiiP_lipids.gro.gz --trajectory YiiP_lipids.xtc --molecules POPE --center POPE --center-on mean"
    ).split(),
}
"""Flags of every run. Runs without `--min-frames` also get `NO_SPLIT`."""

READ_WITH_MDANALYSIS = """
import resource, sys, time, warnings
warnings.simplefilter("ignore")
import MDAnalysis
files = sys.argv[1:]
universe = MDAnalysis.Universe(*files, to_guess=())
start, count = time.perf_counter(), 0
for step in universe.trajectory:
    count += step.positions[::10].shape[0] > 0
"""
READ_WITH_MDTRAJ = """
import resource, sys, time, warnings
warnings.simplefilter("ignore")
import mdtraj
files = sys.argv[1:]
topology = {"top": mdtraj.load_topology(files[0])} if len(files) > 1 else {}
start, count = time.perf_counter(), 0
for chunk in mdtraj.iterload(files[-1], chunk=1, **topology):
    count += chunk.xyz[:, ::10].shape[0]
"""
SAY = """
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"{1e3 * (time.perf_counter() - start) / count:.1f} ms per frame, {memory:.0f} MiB")
"""


def fetch(folder: Path) -> None:
    """Extract the data files named in `RUNS` from downloaded packages into a folder."""
    with tempfile.TemporaryDirectory() as packages:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", packages]
        subprocess.run([*command, "lnb-mdt", "MDAnalysisTests"], check=True)
        wanted = {word for flags in RUNS.values() for word in flags if "." in word}
        for package in Path(packages).iterdir():
            if package.suffix == ".whl":
                with zipfile.ZipFile(package) as archive:
                    for name in archive.namelist():
                        if Path(name).name in wanted:
                            (folder / Path(name).name).write_bytes(archive.read(name))
            else:
                with tarfile.open(package) as archive:
                    for member in archive:
                        file = archive.extractfile(member) if Path(member.name).name in wanted else None
                        if file is not None:
                            (folder / Path(member.name).name).write_bytes(file.read())


def write_large(path: Path, num_frames: int) -> None:
    """Write a PDB file of many models: 50 000 atoms in molecules of ten on a random walk, 4 MB per frame."""
    generator = np.random.default_rng(0)
    positions = generator.uniform(0, 80, (NUM_ATOMS // 10, 1, 3)) + generator.uniform(-2, 2, (NUM_ATOMS // 10, 10, 3))
    names = ["OQL", "ONC", "WAT", "AU "]
    heads = [
        f"ATOM  {(i + 1) % 100000:5d}  C{i % 10:<2d} {names[i // 10 % 4]} A{(i // 10 + 1) % 10000:4d}    "
        for i in range(NUM_ATOMS)
    ]
    with path.open("w") as file:
        file.write("CRYST1   80.000   80.000   80.000  90.00  90.00  90.00 P 1           1\n")
        for frame in range(num_frames):
            positions += generator.normal(0, 0.3, positions.shape)
            rows = zip(heads, (positions.reshape(-1, 3) % 80).tolist(), strict=True)
            file.write(f"MODEL     {frame + 1:4d}\n")
            file.write("".join(f"{head}{x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00\n" for head, (x, y, z) in rows))
            file.write("ENDMDL\n")


def prepare(name: str, flags: list[str], folder: Path) -> None:
    """Run the command in a separate process; print its output, its seconds and its peak memory."""
    start = time.perf_counter()
    output = Path(tempfile.mkdtemp(dir=folder)) / "data"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    split = [] if "--min-frames" in flags else NO_SPLIT
    process = subprocess.Popen([*PREPARE, *flags, *split, "--output", str(output)], cwd=folder, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    print(
        f"^ {name}: {seconds:.1f} s, {usage.ru_maxrss / 1024:.0f} MiB, exit status {process.returncode}\n", flush=True
    )


def read(python: str, script: str, files: list[str], folder: Path) -> str:
    result = subprocess.run(
        [python, "-c", script + SAY, *files], cwd=folder, capture_output=True, text=True, check=False
    )
    return result.stdout.strip() or "not installed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--synthetic-frames", type=int, default=300)
    parser.add_argument("--mdtraj-python", default=sys.executable)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fetch(folder)
        for run, arguments in RUNS.items():
            prepare(run, arguments, folder)
        write_large(folder / "20.pdb", 20)
        for files in (["lnb.gro", "lnb.xtc"], ["20.pdb"]):
            print(
                f"reading {files[-1]}: MDAnalysis {read(sys.executable, READ_WITH_MDANALYSIS, files, folder)}; ", end=""
            )
            print(f"mdtraj {read(flags.mdtraj_python, READ_WITH_MDTRAJ, files, folder)}", flush=True)
        if flags.synthetic_frames:
            large = folder / "large.pdb"
            write_large(large, flags.synthetic_frames)
            print(f"\n{flags.synthetic_frames} models of {NUM_ATOMS} atoms, {large.stat().st_size / 2**20:.0f} MiB:")
            prepare("large PDB", ["--trajectory", "large.pdb", "--time-between-frames", "1000"], folder)


if __name__ == "__main__":
    main()
