"""Each molecule becomes one particle: the atom nearest to its geometric centre (thesis section 3.2, figure 17a)."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.boxes import Array
from pipelines.errors import UserError
from pipelines.molecules.anchors import find_anchors
from pipelines.molecules.bonds import particle_bonds
from pipelines.molecules.config import WATER, MoleculesConfig
from pipelines.molecules.formats.frame import Topology
from pipelines.molecules.periodic import gather_around_mean, make_whole
from pipelines.molecules.residues import Indices, Molecules, find_molecules, why_unclear
from pipelines.molecules.simulation_frames import Frame
from pipelines.molecules.topology_attributes import masses, particle_features, select_atoms

_LISTED_NAMES = 20


@dataclasses.dataclass(frozen=True)
class Weights:
    """Masses of the atoms of particles."""

    atoms: Indices
    """The atoms, particle by particle `[M]`."""
    starts: Indices
    """Where each particle begins `[N]`."""
    masses: Array
    """`[M]`."""

    def mean(self, values: Array) -> Array:
        """Mean of values of atoms `[M, 3]` over each particle `[N, 3]`, weighted by the masses."""
        sums = np.add.reduceat(values * self.masses[:, None], self.starts, axis=0)
        return np.asarray(sums / np.add.reduceat(self.masses, self.starts)[:, None])


@dataclasses.dataclass(frozen=True)
class Selection:
    """The atoms of a simulation that become particles."""

    atoms: Indices
    """The centre atom of every selected molecule `[N]`, in the order of the topology."""
    kinds: Indices
    """Index of its name among the selected names `[N]`."""
    center_atoms: Indices
    """The atoms whose mean position is the origin: the centremost one, all of them, or none."""
    counts: Mapping[str, int]
    """Number of molecules of each name in the topology, selected or not."""
    sizes: Mapping[str, tuple[int, int]]
    """Least and largest number of atoms in the molecules of each selected name."""
    notes: tuple[str, ...]
    """How unusual residue numbers were read, one sentence each, for the report."""
    anchors: Indices | None = None
    """The atom that holds each particle `[N]`; None if no anchors are asked for."""
    features: npt.NDArray[np.float32] = dataclasses.field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """Attributes of the topology `[N, F]`."""
    bonds: npt.NDArray[np.int32] | None = None
    """Rows of two particles and the type of their bond `[E, 3]`; None if no bonds are asked for."""
    weights: Weights | None = None
    """Of centres of mass; None if `atoms` are the particles."""

    def needed_atoms(self) -> Indices:
        """Numbers of all atoms that are followed, ascending."""
        parts = [self.atoms if self.weights is None else self.weights.atoms, self.center_atoms]
        return np.unique(np.concatenate([*parts, *([] if self.anchors is None else [self.anchors])]))

    def positions(self, frame: Frame) -> Array:
        """Positions of the particles in a frame `[N, 3]`, in angstrom.

        Raises:
            UserError: A coordinate is not finite.
        """
        if self.weights is None:
            return frame.finite_positions(self.atoms)
        whole = make_whole(frame.finite_positions(self.weights.atoms), self.weights.starts, frame.box)
        return self.weights.mean(whole)

    def velocities(self, frame: Frame) -> Array:
        """Velocities of the particles in a frame `[N, 3]`, in angstrom per picosecond.

        Raises:
            UserError: The frame has no velocities, or one is not finite.
        """
        if self.weights is None:
            return frame.finite_velocities(self.atoms)
        return self.weights.mean(frame.finite_velocities(self.weights.atoms))


def nearest_to_centers(positions: Array, starts: Indices, box: Array | None) -> Indices:
    """Find the atom of each molecule that is nearest to the mean position of its atoms.

    Args:
        positions: `[num_atoms, 3]` in angstrom, molecule by molecule.
        starts: First atom of each molecule `[num_molecules]`.
        box: Box vectors `[3, 3]` or None; molecules that the box cuts are made whole first.

    Returns:
        `[num_molecules]` atoms; the first one of several equally near ones.
    """
    whole = make_whole(positions, starts, box)
    lengths = np.diff(np.append(starts, len(positions)))
    centers = np.add.reduceat(whole, starts, axis=0) / lengths[:, None]
    distances = np.linalg.norm(whole - np.repeat(centers, lengths, axis=0), axis=1)
    # Rounded, so that the last bits do not break ties; lexsort keeps the order of equal atoms.
    order = np.lexsort((distances.round(6), np.repeat(np.arange(len(starts)), lengths)))
    return order[starts]


def select(topology: Topology, first: Frame, config: MoleculesConfig) -> Selection:
    """Choose the atoms to follow, from the first frame.

    Args:
        topology: Names and residue numbers.
        first: The first frame of the simulation.
        config: What particles are, and what is kept of them.

    Returns:
        The selection.

    Raises:
        UserError: No molecule, or no atom of the centre or anchor, has one of the names, selected molecules cannot be
            told apart or have coordinates that are not finite, a molecule has no bonds to an anchor, or the topology
            lacks an attribute that is asked for.
    """
    molecules = find_molecules(topology)
    counts = dict(Counter(molecules.names.tolist()))
    kinds = np.full(len(molecules.names), -1)
    for kind, name in enumerate(config.molecules):
        kinds[molecules.names == name] = kind
    owners, members, starts = _members(topology, molecules, kinds, config)
    if not len(members):
        raise UserError(unknown_name(topology.path, "molecules", config.molecules, counts))
    selected = [name for name in config.molecules if name in set(molecules.names[owners])]
    for name in selected if config.particles != "atoms" else ():
        reason = why_unclear(topology, molecules, name)
        if reason:
            raise UserError(
                f"{topology.path}: molecules of {name} cannot be told apart: {reason}; expected a `--topology` in "
                "which each molecule has its own residue number, or atom names that differ within a molecule"
            )
    nearest = nearest_to_centers(first.finite_positions(members), starts, first.box)
    atoms, notes = members[nearest], _notes(molecules, selected)
    weights = None
    if config.particles == "center-of-mass":
        weighed, more = masses(topology, members)
        weights, notes = Weights(members, starts, weighed), (*notes, *more)
    features, more = particle_features(topology, config.feature, atoms, members, starts)
    notes = tuple(dict.fromkeys((*notes, *more)))
    sizes = {name: molecules.sizes[molecules.names == name] for name in selected}
    anchors, anchor_notes = find_anchors(topology, molecules, owners, atoms, first, config)
    center_atoms = _center_atoms(topology, molecules, first, config, counts)
    return Selection(
        atoms,
        kinds[owners],
        center_atoms,
        counts,
        {name: (int(each.min()), int(each.max())) for name, each in sizes.items()},
        (*notes, *_center_notes(center_atoms, members), *anchor_notes),
        anchors,
        features,
        particle_bonds(topology, members, starts, kinds[owners], len(config.molecules)) if config.bonds else None,
        weights,
    )


def _members(
    topology: Topology, molecules: Molecules, kinds: Indices, config: MoleculesConfig
) -> tuple[Indices, Indices, Indices]:
    """The atoms of the particles.

    Returns:
        The molecule of each particle `[N]`, the atoms, particle by particle `[M]`, and where each begins `[N]`.
    """
    molecule_of_atom = np.repeat(np.arange(len(molecules.starts)), molecules.sizes)
    wanted = (kinds[molecule_of_atom] >= 0) & select_atoms(topology, config.select)[molecules.order]
    members, molecule_of_atom = molecules.order[wanted], molecule_of_atom[wanted]
    if config.particles == "atoms":
        return molecule_of_atom, members, np.arange(len(members))
    owners, starts = np.unique(molecule_of_atom, return_index=True)
    return owners, members, starts


def _center_notes(center_atoms: Indices, members: Indices) -> tuple[str, ...]:
    """A warning if the centre moves with what is to be predicted."""
    count = len(np.intersect1d(center_atoms, members))
    if not count:
        return ()
    which = "the centre is" if len(center_atoms) == 1 else f"{count} of {len(center_atoms)} atoms of the centre are"
    return (f"warning: {which} part of the particles, which therefore move with it; expected --center none",)


def _center_atoms(
    topology: Topology, molecules: Molecules, first: Frame, config: MoleculesConfig, counts: Mapping[str, int]
) -> Indices:
    if config.center_on == "nothing":
        return np.zeros(0, np.intp)
    atoms = np.sort(molecules.order)
    wanted = np.isin(topology.molecule_names[atoms], config.center) | np.isin(topology.atom_names[atoms], config.center)
    center = atoms[wanted]
    if not len(center):
        raise UserError(unknown_name(topology.path, "center", config.center, counts))
    positions = first.finite_positions(center)
    if config.center_on == "atom":
        cluster = gather_around_mean(positions, first.box)
        distances = np.linalg.norm(cluster - cluster.mean(axis=0), axis=1)
        center = center[[np.argmin(distances.round(6))]]
    return center


def _notes(molecules: Molecules, selected: Sequence[str]) -> tuple[str, ...]:
    notes = [
        f"{count} {name} share residue numbers: told apart by the sequence of their atom names"
        for name, count in molecules.cut.items()
        if name in selected
    ]
    notes += [
        f"{count} {name} have their atoms in several places of the topology: joined by chain and residue number"
        for name, count in molecules.joined.items()
        if name in selected
    ]
    if molecules.num_alternates:
        notes.append(
            f"{molecules.num_alternates} atoms in alternate locations left out: the first location of each residue is "
            "used"
        )
    return tuple(notes)


def one_hot(kinds: Indices, num_kinds: int) -> npt.NDArray[np.float32]:
    """1 in the column of each particle's kind and 0 elsewhere: `[N]` -> `[N, num_kinds]`."""
    return np.eye(num_kinds, dtype=np.float32)[kinds]


def unknown_name(path: Path, field: str, requested: Sequence[str], counts: Mapping[str, int]) -> str:
    """The message that names do not exist, with the names that do.

    Args:
        path: The topology.
        field: The field that requests them, "molecules" or "center".
        requested: The names.
        counts: Number of molecules of each name that exists.

    Returns:
        One line.
    """
    listed = [
        f"{name} ({count}{', water' if name.upper() in WATER else ''})"
        for name, count in sorted(counts.items(), key=lambda item: -item[1])
    ]
    more = f" and {len(listed) - _LISTED_NAMES} more" if len(listed) > _LISTED_NAMES else ""
    kind = "molecule" if field == "molecules" else "molecule or atom"
    return (
        f"{path}: no {kind} is called {' or '.join(requested)} (`{field}`, --{field}); "
        f"the molecules are {', '.join(listed[:_LISTED_NAMES])}{more}"
    )
