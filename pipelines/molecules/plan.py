"""The plan of each simulation's dataset files, made from its topology and first frame before anything is written."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from pipelines.boxes import Array, inverse
from pipelines.errors import UserError
from pipelines.molecules.alignment import Aligner
from pipelines.molecules.centers import Selection, select, unknown_name
from pipelines.molecules.config import MoleculesConfig
from pipelines.molecules.formats.frame import Topology
from pipelines.molecules.frame_times import FrameTimes
from pipelines.molecules.reading import get_ready, holds_positions, read_frames, read_topology
from pipelines.molecules.residues import Indices
from pipelines.molecules.series import Simulation
from pipelines.molecules.simulation_frames import Frame, SimulationFrames
from pipelines.molecules.slices import Slice, cut_slice, slice_axes
from pipelines.molecules.splits import cut_simulations, named_splits
from pipelines.molecules.units import check_units

_GAP = 0.25


@dataclasses.dataclass(frozen=True)
class Plan:
    """The plan of one simulation."""

    simulation: Simulation
    """Its files."""
    topology: Topology
    """Its atoms."""
    selection: Selection
    """The atoms to follow."""
    slices: tuple[Slice, ...]
    """Its slices; none for a 3D dataset."""
    split: str | None
    """The split of all its frames; None if it is split in time."""
    notes: tuple[str, ...]
    """Notes on the topology for the user, one sentence each."""
    is_periodic: bool
    """Whether an axis of the box is periodic in the first frame."""
    fills_box: bool
    """Whether the particles fill the box, see `fills_box`."""
    anchors: Array | None
    """Positions of the anchors in the first frame `[N, 3]`, in the length unit, relative to the centre; None if none
    are asked for."""
    keeps_box: bool = False
    """Whether the dataset has the box."""
    start: Array | None = None
    """For a re-run, the positions of the particles `[N, 3]`, in the length unit, at the frame that it restarts."""

    def frames(self, config: MoleculesConfig) -> SimulationFrames:
        """All frames of the simulation, with the atoms that are followed."""
        return _frames(config, self.simulation, self.topology, self.selection.needed_atoms())


def make_plans(config: MoleculesConfig, simulations: Sequence[Simulation]) -> list[Plan]:
    """Read the topology and the first frame of every simulation.

    Args:
        config: The configuration of the dataset.
        simulations: The simulations.

    Returns:
        One plan per simulation.

    Raises:
        UserError: A file cannot be read, a name does not exist, molecules cannot be told apart, a slice is empty, a
            unit is implausible, the time between frames is unknown, there are too few simulations, or one has no box
            to keep.
    """
    get_ready(part for simulation in simulations for part in simulation.parts)
    splits: Sequence[str | None] = [None] * len(simulations)
    if config.validation or config.test:
        splits = named_splits(config)
    elif config.split_by == "file":
        splits = cut_simulations(len(simulations), config.fractions)
    plans = [_plan(config, simulation, split) for simulation, split in zip(simulations, splits, strict=True)]
    for kind, name in enumerate(config.molecules):
        if not any((plan.selection.kinds == kind).any() for plan in plans):
            last = plans[-1]
            raise UserError(unknown_name(last.simulation.topology, "molecules", [name], last.selection.counts))
    keeps_box = _keeps_box(config, plans)
    return [dataclasses.replace(plan, keeps_box=keeps_box) for plan in plans]


def _keeps_box(config: MoleculesConfig, plans: Sequence[Plan]) -> bool:
    """Whether the dataset has the box, see `MoleculesConfig.box`; one without a box has none for all simulations."""
    if config.box == "keep":
        for plan in plans:
            if not plan.is_periodic:
                raise UserError(f"{plan.simulation.label}: found no periodic box; expected one, or another `--box`")
        return True
    if config.box == "drop" or config.num_dimensions == 2 or not all(plan.is_periodic for plan in plans):
        return False
    return config.center_on == "nothing" or any(plan.fills_box for plan in plans)


def fills_box(positions: Array, box: Array) -> bool:
    """Whether particles leave no gap of a quarter of the edge along some periodic axis.

    Args:
        positions: `[N, 3]`.
        box: Box vectors `[3, 3]`, zeros for open axes.
    """
    fractions = np.sort((positions @ inverse(box)) % 1.0, axis=0)
    gaps = np.diff(fractions, axis=0, append=fractions[:1] + 1.0).max(axis=0)
    return bool((gaps[box.any(axis=1)] < _GAP).any())


def _frames(
    config: MoleculesConfig, simulation: Simulation, topology: Topology, atoms: Indices | None = None
) -> SimulationFrames:
    return SimulationFrames(simulation.parts, topology, config.input_unit, config.incomplete_frames == "drop", atoms)


def _plan(config: MoleculesConfig, simulation: Simulation, split: str | None) -> Plan:
    topology = read_topology(simulation.topology)
    frames = iter(_frames(config, simulation, topology))
    first = next(frames)
    frames.close()
    FrameTimes(config.time_between_frames).note(first)
    if config.input_unit == "auto":
        check_units(first)
    selection = select(topology, first, config)
    aligner = Aligner(selection, first)
    positions = aligner(first)
    slices: tuple[Slice, ...] = ()
    if config.num_dimensions == 2 and config.slice_half_thickness is not None:
        slices = tuple(
            cut_slice(positions / config.units_in_angstrom, axis, config.slice_half_thickness, simulation.label)
            for axis in slice_axes(config.num_slices)
        )
    return Plan(
        simulation,
        topology,
        selection,
        slices,
        split,
        (*selection.notes, *_box_notes(simulation, topology, first)),
        first.box is not None,
        first.box is not None and fills_box(positions, first.box),
        None if aligner.anchors is None else aligner.anchors.positions / config.units_in_angstrom,
    )


def _box_notes(simulation: Simulation, topology: Topology, first: Frame) -> tuple[str, ...]:
    """A box that only the topology states is not used: nobody knows whether it holds for the trajectory."""
    if first.box is not None or simulation.topology in simulation.parts or not holds_positions(simulation.topology):
        return ()
    box = next(read_frames(simulation.topology, topology.num_atoms)).box
    if box is None or not box.any():
        return ()
    return ("the trajectory states no box; that of the topology was not used",)
