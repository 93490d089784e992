"""The atom that holds each molecule, such as the sulfur of the strand that it is at the end of (thesis section 5.1)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipelines.boxes import Array, minimum_image
from pipelines.errors import UserError
from pipelines.molecules.config import MoleculesConfig
from pipelines.molecules.formats.frame import Topology
from pipelines.molecules.reading import read_bonds
from pipelines.molecules.residues import Indices, Molecules
from pipelines.molecules.simulation_frames import Frame

_CHUNK_PAIRS = 1 << 20

BY_BONDS = "anchors were found by the bonds of the topology"
NEAREST = "anchors are the nearest atoms, because the topology states no bonds"


def find_anchors(
    topology: Topology, molecules: Molecules, chosen: Indices, atoms: Indices, first: Frame, config: MoleculesConfig
) -> tuple[Indices | None, tuple[str, ...]]:
    """Find the anchor of every selected molecule.

    Args:
        topology: Names, and the file with the bonds.
        molecules: All molecules.
        chosen: The selected ones `[N]`.
        atoms: Their centre atoms `[N]`.
        first: The first frame of the simulation.
        config: `anchor`, `anchor_by` and `center`.

    Returns:
        Atoms `[N]`, None if no anchors are asked for, and notes: how they were found, if `anchor_by` leaves
        that open. With bonds, the anchor is the one to which the fewest bonds lead from any atom of the molecule;
        otherwise, it is the one nearest to the centre atom.

    Raises:
        UserError: No atom outside the selected molecules has one of the names, the topology has no bonds, or a
            molecule no bonds to an anchor.
    """
    if not config.has_anchors:
        return None, ()
    names = config.anchor or config.center
    anchors = _named(topology, molecules, chosen, names)
    bonds = np.zeros((0, 2), np.intp) if config.anchor_by == "nearest" else read_bonds(topology)
    if config.anchor_by == "bonds" and not len(bonds):
        raise UserError(
            f"{topology.path}: states no bonds; expected a `--topology` with bonds (PDB with CONECT records, PSF, "
            "prmtop, TPR), or, for `prepare`, `--anchor-by nearest`"
        )
    notes = ((BY_BONDS if len(bonds) else NEAREST),) if config.anchor_by == "auto" else ()
    if len(bonds):
        return _by_bonds(topology, molecules, chosen, anchors, bonds, names), notes
    return anchors[_nearest(first.finite_positions(atoms), first.finite_positions(anchors), first.box)], notes


def _named(topology: Topology, molecules: Molecules, chosen: Indices, names: Sequence[str]) -> Indices:
    """Atoms that can be anchors: those with one of the names, outside the selected molecules."""
    molecule_of_atom = np.repeat(np.arange(len(molecules.starts)), molecules.sizes)
    order = molecules.order
    is_named = np.isin(topology.molecule_names[order], names) | np.isin(topology.atom_names[order], names)
    anchors = np.sort(order[is_named & ~np.isin(molecule_of_atom, chosen)])
    if not len(anchors):
        among = " outside the molecules of `molecules`" if is_named.any() else ""
        raise UserError(unknown_anchor(topology, names, among))
    return anchors


def unknown_anchor(topology: Topology, names: Sequence[str], among: str) -> str:
    """The message that anchors do not exist, with the names of molecules and atoms that do."""
    found = {}
    for kind, column in (("molecules", topology.molecule_names), ("atoms", topology.atom_names)):
        values, counts = np.unique(column, return_counts=True)
        found[kind] = values[np.argsort(-counts, kind="stable")][:10].tolist()
    listed = "; ".join(f"the {kind} are {', '.join(each)}" for kind, each in found.items())
    return f"{topology.path}: no molecule or atom{among} is called {' or '.join(names)} (`anchor`); {listed}"


def _by_bonds(
    topology: Topology,
    molecules: Molecules,
    chosen: Indices,
    anchors: Indices,
    bonds: Indices,
    names: Sequence[str],
) -> Indices:
    """The anchor to which the fewest bonds lead from each molecule; the first of several in the topology."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import dijkstra

    ones = np.ones(len(bonds))
    graph = coo_array((ones, (bonds[:, 0], bonds[:, 1])), shape=(topology.num_atoms, topology.num_atoms)).tocsr()
    distances, _, sources = dijkstra(
        graph, directed=False, indices=anchors, unweighted=True, min_only=True, return_predecessors=True
    )
    order = molecules.order
    by_molecule = np.lexsort((distances[order], np.repeat(np.arange(len(molecules.starts)), molecules.sizes)))
    nearest = order[by_molecule[molecules.starts]][chosen]
    missing = np.flatnonzero(~np.isfinite(distances[nearest]))
    if len(missing):
        first = missing[0]
        name = molecules.names[chosen[first]]
        raise UserError(
            f"{topology.path}: {len(missing)} of {len(chosen)} molecules have no bonds to {' or '.join(names)}, the "
            f"first of them {name} with atom {nearest[first]} (from 0); expected bonds from every molecule, or "
            "`--anchor-by nearest`"
        )
    return sources[nearest]


def _nearest(positions: Array, anchors: Array, box: Array | None) -> npt.NDArray[np.intp]:
    """For each position `[N, 3]`, the place of the nearest anchor `[M, 3]`."""
    if box is None:
        from scipy.spatial import cKDTree

        return np.asarray(cKDTree(anchors).query(positions)[1])
    step = max(1, _CHUNK_PAIRS // len(anchors))
    places = []
    for start in range(0, len(positions), step):
        apart = (anchors[None] - positions[start : start + step, None]).reshape(-1, 3)
        distances = np.linalg.norm(minimum_image(apart, box), axis=1).reshape(-1, len(anchors))
        places.append(distances.argmin(axis=1))
    return np.concatenate(places)
