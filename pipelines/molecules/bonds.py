"""Bonds between particles, from the bonds of the topology between their atoms."""

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError
from pipelines.molecules.formats.frame import Topology
from pipelines.molecules.reading import read_bonds
from pipelines.molecules.residues import Indices


def particle_bonds(
    topology: Topology, members: Indices, starts: Indices, kinds: Indices, num_kinds: int
) -> npt.NDArray[np.int32]:
    """Find the pairs of particles that a bond of the topology connects.

    Args:
        topology: The topology.
        members: The atoms of all particles, particle by particle `[M]`.
        starts: Where each particle begins in `members` `[N]`.
        kinds: The kind of each particle `[N]`, from 0.
        num_kinds: Number of kinds, K.

    Returns:
        Rows of i < j and the type, int32 `[E, 3]`, ascending, each pair once. The type tells the kinds a <= b of
        the two particles apart: 1 + a K + b.

    Raises:
        UserError: The topology states no bonds, or none between two particles.
    """
    bonds = read_bonds(topology)
    owners = np.full(topology.num_atoms, -1)
    owners[members] = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(members))))
    pairs = np.sort(owners[bonds], axis=1)
    pairs = np.unique(pairs[(pairs[:, 0] >= 0) & (pairs[:, 0] < pairs[:, 1])], axis=0)
    if not len(pairs):
        found = f"none of its {len(bonds)} bonds is" if len(bonds) else "states no bonds"
        rest = " between two particles" if len(bonds) else ""
        raise UserError(
            f"{topology.path}: {found}{rest} (`--bonds`); expected a `--topology` with bonds (PDB with CONECT records, "
            "PSF, prmtop, TPR) between particles, such as `--particles atoms`"
        )
    low, high = np.sort(kinds[pairs], axis=1).T
    return np.column_stack([pairs, 1 + low * num_kinds + high]).astype(np.int32)
