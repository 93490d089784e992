"""The beads of a nanoparticle: a gold core and strands that end in drug or background molecules."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from pipelines.molecules.nanoparticle.config import NanoparticleConfig
from pipelines.molecules.solvent_accessible_area import sphere_points

BEAD_DIAMETER = 0.47
"""Diameter of all beads, in nm: about four heavy atoms (Marrink et al. 2007)."""
BOND_LENGTH = 0.42
"""Bond length between two beads of a strand, in nm."""
GOLD, LIGAND = "AU", "LIG"
GROUPS = {"hydrophobic": ("OQL", "ONC", "OCQ", "OCN"), "hydrophilic": ("PAN", "ONC", "OCP", "OCN")}
"""For each kind of drug: drug, background, and the ends of the ligands that carry them."""
TETHER = "S"
"""Name of the bead of a strand that is held by the core, such as the sulfur of a thiol."""


@dataclasses.dataclass(frozen=True)
class Beads:
    """All beads of a nanoparticle, gold first."""

    names: tuple[str, ...]
    """Name of each bead, as in a PDB file."""
    molecules: tuple[str, ...]
    """Residue name of each bead."""
    numbers: npt.NDArray[np.intp]
    """Residue number of each bead, from 1."""
    positions: npt.NDArray[np.float64]
    """Initial positions `[num_beads, 3]`, in nm, relative to the centre of the core."""
    bonds: npt.NDArray[np.intp]
    """Pairs of bonded beads `[num_bonds, 2]`."""
    fixed: npt.NDArray[np.bool_]
    """Beads that never move: gold, and the tethered bead of each strand."""

    @property
    def is_gold(self) -> npt.NDArray[np.bool_]:
        """Which beads belong to the core."""
        return np.array(self.molecules) == GOLD

    @property
    def moving(self) -> npt.NDArray[np.intp]:
        """The beads that are not gold."""
        return np.flatnonzero(~self.is_gold)


def build(config: NanoparticleConfig, index: int) -> Beads:
    """Build a nanoparticle with straight strands.

    Args:
        config: Its size.
        index: Number of the simulation, from 0. It seeds the choice of the strands that carry a drug.

    Returns:
        The beads.
    """
    generator = np.random.default_rng([config.seed, index])
    gold = gold_lattice(config.core_radius - BEAD_DIAMETER / 2)
    length = 1 + config.chain_beads + 1 + config.head_beads
    distances = config.core_radius + BEAD_DIAMETER / 2 + BOND_LENGTH * np.arange(length)
    strands = sphere_points(config.num_strands)[:, None] * distances[:, None]
    is_drug = generator.permutation(config.num_strands) < config.num_drugs(index)

    drug_name, background_name, drug_end, background_end = GROUPS[config.drug_of(index)]
    names, molecules, numbers = [GOLD] * len(gold), [GOLD] * len(gold), [1] * len(gold)
    for drug in is_drug:
        head, end = (drug_name, drug_end) if drug else (background_name, background_end)
        parts = ((LIGAND, 1 + config.chain_beads), (end, 1), (head, config.head_beads))
        for molecule, size in parts:
            names += [TETHER if molecule == LIGAND and bead == 0 else f"C{bead + 1}" for bead in range(size)]
            molecules += [molecule] * size
            numbers += [numbers[-1] + 1] * size
    first = np.arange(config.num_strands)[:, None] * length + len(gold)
    along = np.arange(length - 1)
    bonds = np.stack([first + along, first + along + 1], axis=-1).reshape(-1, 2)
    fixed = np.zeros(len(names), dtype=bool)
    fixed[: len(gold)] = fixed[first[:, 0]] = True
    positions = np.concatenate([gold, strands.reshape(-1, 3)])
    return Beads(tuple(names), tuple(molecules), np.array(numbers), positions, bonds, fixed)


def gold_lattice(radius: float) -> npt.NDArray[np.float64]:
    """Points of a face-centred cubic lattice, one bead diameter apart, within a radius `[n, 3]`; the first is 0."""
    size = math.ceil(radius / BEAD_DIAMETER * math.sqrt(2)) + 1
    axis = np.arange(-size, size + 1)
    cubes = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    points = cubes[cubes.sum(axis=1) % 2 == 0] * (BEAD_DIAMETER / math.sqrt(2))
    distances = np.linalg.norm(points, axis=1)
    inside = points[distances <= max(radius, 0)]
    return inside[np.lexsort((*inside.T, np.linalg.norm(inside, axis=1).round(9)))]
