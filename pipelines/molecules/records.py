"""What was found in each simulation and written of it: `simulations/*.json`."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.errors import UserError
from pipelines.molecules.alignment import Aligner
from pipelines.molecules.plan import Plan
from pipelines.molecules.simulation_frames import SimulationFrames
from pipelines.molecules.slices import Thinness


@dataclasses.dataclass(frozen=True)
class Record:
    """How the files of one simulation came about."""

    topology: str
    """The topology file."""
    parts: tuple[str, ...]
    """The trajectory files, in the order of time."""
    inputs: Mapping[str, Any]
    """Fingerprint of these files."""
    num_frames: int
    """Number of frames."""
    time_between_frames: float
    """In ps."""
    molecules: Mapping[str, int]
    """Number of molecules of each name in the topology, selected or not."""
    sizes: Mapping[str, Sequence[int]]
    """Least and largest number of atoms in the molecules of each selected name."""
    notes: Sequence[str]
    """Notes on the topology for the user."""
    num_atoms: int
    """Atoms of the topology."""
    particles: tuple[int, ...]
    """Atom number in the topology of each particle, from 0."""
    center_atoms: tuple[int, ...]
    """The atoms whose mean is the origin."""
    periodic_axes: str
    """Axes along which the box is periodic, such as "xyz", "xy" or ""."""
    boxes_carried_on: int
    """Frames that state no box, for which the box of the frames before was used."""
    without_positions: int
    """Frames of velocities or forces only, which were skipped."""
    incomplete: int
    """Files that end early, whose complete frames were used."""
    num_jumps: int
    """Periodic jumps that were removed."""
    largest_move: float
    """Longest move of a particle between two frames, in half widths of the box."""
    files: Mapping[str, Sequence[str]]
    """Files of every split."""
    slices: Sequence[Mapping[str, Any]]
    """For each slice its axis, its members (particle numbers) and its `Thinness`."""
    keeps_box: bool
    """Whether the dataset has the box."""
    fills_box: bool
    """Whether the particles fill the box in the first frame."""
    box: Sequence[Sequence[float]] | None
    """Box vectors, one per row, in the length unit, if they are kept and the same in all frames."""
    anchors: Sequence[int] | None = None
    """Atom number in the topology of the anchor of each particle, from 0."""
    anchor_move: float | None = None
    """Root mean square distance of the anchors in the last frame from where they were in the first, in angstrom."""
    restarts: Mapping[str, Any] | None = None
    """Of a re-run: the file of the dataset that it restarts, "of", and the "frame"."""

    @classmethod
    def of(
        cls,
        plan: Plan,
        inputs: Mapping[str, Any],
        frames: SimulationFrames,
        num_frames: int,
        time_between_frames: float,
        aligner: Aligner,
        files: Mapping[str, Sequence[str]],
        measures: Sequence[Thinness],
        box: Sequence[Sequence[float]] | None,
    ) -> "Record":
        """Combine the plan and the findings."""
        return cls(
            topology=str(plan.simulation.topology),
            parts=tuple(str(path) for path in plan.simulation.parts),
            inputs=inputs,
            num_frames=num_frames,
            time_between_frames=time_between_frames,
            molecules=plan.selection.counts,
            sizes=plan.selection.sizes,
            notes=plan.notes,
            num_atoms=plan.topology.num_atoms,
            particles=tuple(plan.selection.atoms.tolist()),
            center_atoms=tuple(plan.selection.center_atoms.tolist()),
            periodic_axes=frames.periodic_axes,
            boxes_carried_on=frames.boxes_carried_on,
            without_positions=frames.without_positions,
            incomplete=frames.incomplete,
            num_jumps=aligner.particles.num_jumps,
            largest_move=aligner.particles.largest_move,
            files=files,
            slices=[
                {"axis": piece.axis.tolist(), "members": piece.members.tolist(), **dataclasses.asdict(measure)}
                for piece, measure in zip(plan.slices, measures, strict=True)
            ],
            keeps_box=plan.keeps_box,
            fills_box=plan.fills_box,
            box=box,
            anchors=None if plan.selection.anchors is None else tuple(plan.selection.anchors.tolist()),
            anchor_move=aligner.anchor_move,
        )

    @classmethod
    def load(cls, path: Path) -> "Record":
        """Read a record.

        Args:
            path: The JSON file.

        Raises:
            UserError: The file is damaged or of another version.
        """
        try:
            return cls(**json.loads(path.read_text()))
        except (TypeError, ValueError):
            raise UserError(
                f"{path}: not a record that this version wrote; expected a new directory as `--output`"
            ) from None
