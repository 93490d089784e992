"""What a topology states of its atoms beyond names: selections, masses, charges, other numbers, through MDAnalysis."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError
from pipelines.molecules.config import WATER, MoleculesConfig
from pipelines.molecules.formats import mdanalysis
from pipelines.molecules.formats.frame import Array, Topology
from pipelines.molecules.reading import read_topology
from pipelines.molecules.residues import Indices
from pipelines.molecules.series import Simulation

GUESSED_MASSES = "masses were guessed from the names of the atoms, because the topology states none"
_SUMMED = ("mass", "charge")


def select_atoms(topology: Topology, selection: str | None) -> npt.NDArray[np.bool_]:
    """The atoms that MDAnalysis selects in the topology.

    Args:
        topology: The topology.
        selection: In the selection language of MDAnalysis; None for all atoms.

    Returns:
        Whether each atom is selected `[num_atoms]`.

    Raises:
        UserError: MDAnalysis is missing, cannot read the selection, or selects nothing.
    """
    chosen = np.ones(topology.num_atoms, dtype=bool)
    if selection is not None:
        atoms = mdanalysis.select_atoms(topology.path, selection)
        if not len(atoms):
            raise UserError(
                f"`select` must select atoms. Received: {selection!r}, which selects none in {topology.path}"
            )
        chosen[:] = False
        chosen[atoms] = True
    return chosen


def with_selected_names(config: MoleculesConfig, simulations: Sequence[Simulation]) -> MoleculesConfig:
    """Name the molecules that `select` selects, unless the configuration names some itself.

    Args:
        config: The configuration.
        simulations: Its simulations.

    Returns:
        The configuration with the names, in the order of the topologies; without those of water.

    Raises:
        UserError: As `select_atoms`, or only water is selected.
    """
    if config.select is None or config.molecules != MoleculesConfig.molecules:
        return config
    found: dict[str, None] = {}
    for path in dict.fromkeys(simulation.topology for simulation in simulations):
        topology = read_topology(path)
        found |= dict.fromkeys(topology.molecule_names[select_atoms(topology, config.select)].tolist())
    names = tuple(name for name in found if name.upper() not in WATER)
    if not names:
        raise UserError(f"`select` must select more than water, which is never modelled. Received: {config.select!r}")
    return dataclasses.replace(config, molecules=names)


def masses(topology: Topology, atoms: Indices) -> tuple[Array, tuple[str, ...]]:
    """Masses of some atoms `[M]`, in the unit of MDAnalysis (u), and a note if they were guessed.

    Raises:
        UserError: The topology states none, and that of one of the atoms cannot be guessed.
    """
    stated = mdanalysis.read_attribute(topology.path, "mass")
    if stated is not None:
        return stated[atoms], ()
    every = mdanalysis.read_attribute(topology.path, "mass", guess=True)
    guessed = np.zeros(len(atoms)) if every is None else every[atoms]
    unknown = np.flatnonzero(~(guessed > 0))
    if len(unknown):
        name = topology.atom_names[atoms[unknown[0]]]
        raise UserError(
            f"{topology.path}: states no masses, and that of {name} cannot be guessed; expected a `--topology` with "
            "masses, such as TPR, PSF or prmtop"
        )
    return guessed, (GUESSED_MASSES,)


def particle_features(
    topology: Topology, names: tuple[str, ...], atoms: Indices, members: Indices, starts: Indices
) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """Attributes of the atoms as features of particles.

    Args:
        topology: The topology.
        names: Names of attributes of MDAnalysis, such as charge; F of them.
        atoms: The atom that represents each particle `[N]`.
        members: The atoms of all particles, particle by particle `[M]`.
        starts: Where each particle begins in `members` `[N]`.

    Returns:
        `[N, F]`, and notes for the user. Mass and charge are sums over the atoms of a particle, other attributes those
        of the atom that represents it.

    Raises:
        UserError: The topology does not state an attribute, or it is not a number.
    """
    columns: list[Array] = []
    notes: tuple[str, ...] = ()
    for name in names:
        if name == "mass":
            found, notes = masses(topology, members)
        else:
            values = mdanalysis.read_attribute(topology.path, name)
            if values is None:
                raise UserError(
                    f"{topology.path}: states no {name} of its atoms (`--feature`); expected a `--topology` that does, "
                    "such as TPR, PSF or prmtop for charges"
                )
            found = values[members if name in _SUMMED else atoms]
        columns.append(np.add.reduceat(found, starts) if name in _SUMMED else found)
    return np.array(columns, np.float32).reshape(len(names), len(atoms)).T, notes
