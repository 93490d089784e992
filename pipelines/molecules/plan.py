"""What is to be made of every simulation, found from its topology and first frame before anything is written."""

import dataclasses

from pipelines.errors import UserError
from pipelines.molecules.alignment import Aligner
from pipelines.molecules.centers import Selection, select, unknown_name
from pipelines.molecules.config import MoleculesConfig
from pipelines.molecules.frame_times import Clock
from pipelines.molecules.reading import read_frames, read_topology
from pipelines.molecules.series import Simulation, find_simulations
from pipelines.molecules.slices import Slice, cut_slice, slice_axes
from pipelines.molecules.splits import cut_simulations
from pipelines.molecules.units import check_units


@dataclasses.dataclass(frozen=True)
class Plan:
    """What becomes of one simulation."""

    simulation: Simulation
    """Its files."""
    num_atoms: int
    """Atoms of every frame."""
    selection: Selection
    """Atoms to follow."""
    slices: tuple[Slice, ...]
    """Its slices; none for a 3D dataset."""
    split: str | None
    """The split of all its frames; None if it is cut in time."""


def make_plans(config: MoleculesConfig) -> list[Plan]:
    """Look at the topology and the first frame of every simulation.

    Args:
        config: The dataset.

    Returns:
        A plan for each simulation, in the order given.

    Raises:
        UserError: A file cannot be read, a name doesn't exist, a slice is empty, a unit looks wrong, no time
            between frames is known, or the simulations don't go round.
    """
    simulations = find_simulations(config)
    by_file = config.split_by == "file"
    splits = cut_simulations(len(simulations), config.fractions) if by_file else [None] * len(simulations)
    plans = [_plan(config, simulation, split) for simulation, split in zip(simulations, splits, strict=True)]
    for kind, name in enumerate(config.molecules):
        if not any((plan.selection.kinds == kind).any() for plan in plans):
            last = plans[-1]
            raise UserError(unknown_name(last.simulation.topology, "molecules", [name], last.selection.names))
    return plans


def _plan(config: MoleculesConfig, simulation: Simulation, split: str | None) -> Plan:
    topology = read_topology(simulation.topology)
    frames = read_frames(simulation.parts[0], topology.num_atoms, config.input_unit)
    first = next(frames)
    frames.close()
    Clock(config.time_between_frames).note(first)
    if config.input_unit == "auto":
        check_units(first)
    selection = select(topology, first, config)
    slices: tuple[Slice, ...] = ()
    if config.num_dimensions == 2 and config.slice_half_thickness is not None:
        positions = Aligner(selection, first)(first) / config.units_in_angstrom
        slices = tuple(
            cut_slice(positions, axis, config.slice_half_thickness, simulation.label)
            for axis in slice_axes(config.num_slices)
        )
    return Plan(simulation, topology.num_atoms, selection, slices, split)
