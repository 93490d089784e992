"""Compare the accessible surface of one sphere per molecule with that of all its atoms.

    python benchmarks/accessible_area.py --trajectory data/nanoparticles/simulations/0000* --molecules OQL ONC

Two areas are computed for every n-th frame (`--every`) of every simulation: that of all atoms of the molecules, buried
by everything except water, and that of the centre atoms alone, one sphere each, as `evaluate` computes it. Prints their
means, their correlation over frames within a simulation and over the means of simulations, and the fraction of the
variance of the all-atom area that a linear fit on the centre atoms' area explains. Reading needs MDAnalysis; freesasa,
if installed, is compared in value and time.
"""

import argparse
import itertools
import time
from pathlib import Path

import numpy as np

from pipelines.molecules.alignment import Aligner
from pipelines.molecules.centers import select
from pipelines.molecules.config import WATER, MoleculesConfig
from pipelines.molecules.reading import read_topology
from pipelines.molecules.residues import find_molecules
from pipelines.molecules.series import find_simulations
from pipelines.molecules.simulation_frames import SimulationFrames
from pipelines.molecules.solvent_accessible_area import accessible_areas

PROBE = 0.14


def areas_of(config, simulation, atom_radius, radii, every):
    """Both areas of every frame `[frames, 1 + len(radii)]`, in nm^2."""
    topology = read_topology(simulation.topology)
    frames = iter(SimulationFrames(simulation.parts, topology, config.input_unit))
    first = next(frames)
    selection = select(topology, first, config)
    aligner = Aligner(selection, first)
    chosen = np.isin(topology.molecule_names, config.molecules)
    solid = ~np.isin(topology.molecule_names, list(WATER))
    if len(find_molecules(topology).starts) == topology.num_atoms:
        raise SystemExit("every molecule is one atom: there is nothing to compare")
    rows = []
    for number, frame in enumerate(itertools.chain([first], frames)):
        centers = aligner(frame) / 10
        if number % every:
            continue
        atoms = accessible_areas(frame.positions[solid] / 10, np.full(solid.sum(), atom_radius), PROBE)
        row = [atoms[chosen[solid]].sum()]
        row += [accessible_areas(centers, np.full(len(centers), radius), PROBE).sum() for radius in radii]
        rows.append(row)
    return np.array(rows)


def report(areas, radii):
    """Print means, correlations and explained variance."""
    means = np.array([each.mean(axis=0) for each in areas])
    everything = np.concatenate(areas)
    print(
        f"{len(areas)} simulations, {len(everything)} frames; all atoms: {means[:, 0].mean():.1f} nm^2, standard "
        f"deviation over frames within a simulation {np.mean([each[:, 0].std() for each in areas]):.2f}"
    )
    for column, radius in enumerate(radii, start=1):
        within = [np.corrcoef(each[:, 0], each[:, column])[0, 1] for each in areas]
        between = np.corrcoef(means[:, 0], means[:, column])[0, 1] if len(areas) > 2 else np.nan
        explained = np.corrcoef(everything[:, 0], everything[:, column])[0, 1] ** 2
        print(
            f"radius {radius:.2f} nm: {means[:, column].mean():.1f} nm^2; correlation over frames "
            f"{np.mean(within):.2f} ({min(within):.2f} to {max(within):.2f}), over simulations {between:.2f}; "
            f"explained {explained:.0%}"
        )


def compare_library(count=2000):
    """Compare value and time with freesasa for the same random spheres."""
    try:
        import freesasa
    except ImportError:
        print("freesasa is not installed")
        return
    generator = np.random.default_rng(0)
    positions, radii = generator.uniform(0, 5, (count, 3)), np.full(count, 0.235)
    start = time.perf_counter()
    ours = accessible_areas(positions, radii, PROBE)
    middle = time.perf_counter()
    options = freesasa.Parameters({"algorithm": freesasa.ShrakeRupley, "probe-radius": 1.4, "n-points": 96})
    theirs = freesasa.calcCoord((positions * 10).ravel(), radii * 10, options)
    end = time.perf_counter()
    print(
        f"{count} spheres: ours {ours.sum():.1f} nm^2 in {1e3 * (middle - start):.0f} ms, freesasa (Shrake-Rupley, 96 "
        f"points) {theirs.totalArea() / 100:.1f} nm^2 in {1e3 * (end - middle):.0f} ms"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trajectory", type=Path, nargs="+", required=True)
    parser.add_argument("--topology", type=Path, nargs="*", default=())
    parser.add_argument("--molecules", nargs="+", default=["OQL", "ONC"])
    parser.add_argument("--center", nargs="+", default=["AU"])
    parser.add_argument("--center-on", default="atom")
    parser.add_argument("--atom-radius", type=float, default=0.235, help="radius of every atom or bead, nm")
    parser.add_argument("--radii", type=float, nargs="+", default=[0.25, 0.35, 0.45], help="radii of a molecule, nm")
    parser.add_argument("--every", type=int, default=10, help="use every n-th frame")
    flags = parser.parse_args()
    config = MoleculesConfig(
        tuple(flags.trajectory),
        tuple(flags.topology),
        molecules=tuple(flags.molecules),
        center=tuple(flags.center),
        center_on=flags.center_on,
        split_by="file" if flags.trajectory[0].is_dir() else "time",
        time_between_frames=1.0,
    )
    areas = [
        areas_of(config, simulation, flags.atom_radius, flags.radii, flags.every)
        for simulation in find_simulations(config)
    ]
    report(areas, flags.radii)
    compare_library()


if __name__ == "__main__":
    main()
