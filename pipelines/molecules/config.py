"""Configuration of datasets from molecular trajectories."""

import dataclasses
import math
from pathlib import Path
from typing import Literal

from pipelines.config import DataConfig
from pipelines.errors import UserError, require

DEFAULT_RADIUS = 0.35
"""Radius of the sphere that stands for a molecule where none is stated, in nm: that of about ten heavy atoms."""
SPLITS = ("train", "validation", "test")
WATER = frozenset(
    "HOH WAT SOL H2O DOD TIP TIP2 TIP3 TIP3P TIP4 TIP4P TIP5 TP3 TP4 T3P T4P SPC SPCE OPC W PW WN WF".split()
)
"""Names of molecules that are water in the usual force fields."""


@dataclasses.dataclass(frozen=True)
class MoleculesConfig:
    """Which molecules of which trajectories become a dataset, and how."""

    trajectory: tuple[Path, ...]
    """PDB (one frame or many a file), XTC, TRR, DCD, AMBER NetCDF or whatever else MDAnalysis reads.
    Files are the parts of one simulation, in the order of time.
    A directory is one simulation, and its files in numerical order are its parts.
    With `--split-by file` each argument, file or directory, is a simulation.
    The alphabetical order of a shell's *.pdb becomes numerical, 2 before 10."""
    topology: tuple[Path, ...] = ()
    """What names the molecules of the atoms: PDB, GRO, PSF, AMBER prmtop, TPR.
    One file for all simulations or one for each; without it each simulation's first file serves."""
    molecules: tuple[str, ...] = ("OQL", "ONC")
    """Names of the molecules (residues) to keep, in the order of the features; never water.
    The defaults are the thesis's drug and background."""
    center: tuple[str, ...] = ("AU",)
    """Atoms about whose centre all is aligned: names of molecules or of atoms; gold by default."""
    center_on: Literal["atom", "mean"] = "atom"
    """What of them is put at the origin: the atom centremost in the first frame, or the mean of all.
    Nothing is rotated."""
    num_dimensions: Literal[3, 2] = 3
    """3 keeps all molecules; 2 makes flat slices."""
    slice_half_thickness: float | None = None
    """A slice holds the molecules so near to a plane through the centre in the first frame, in all frames.
    In the length unit; needed when `--num-dimensions 2`."""
    num_slices: int = 8
    """Slices of every simulation, their axes spread evenly over the half sphere; the first axis is z."""
    split_by: Literal["time", "file"] = "time"
    """Cut every simulation in time, or put whole simulations into the splits, in the order given."""
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    """Shares of the training, validation and test splits: the first 70 % of the frames (or simulations), and so on.
    A frame is in one split alone, and no window reaches across a cut."""
    min_frames: int = DataConfig.warm_up_steps + DataConfig.rollout_steps
    """Frames that every split of a simulation must have at least: those of one window.
    That is T + T' of the training, times its subsampling if that isn't 1."""
    time_between_frames: float | None = None
    """Picoseconds from frame to frame; without it, what the trajectory says. PDB files don't say it."""
    input_unit: Literal["auto", "angstrom", "nm"] = "auto"
    """Unit of the coordinates in the files.
    auto: that of the format (PDB, DCD, NetCDF: angstrom; XTC, TRR, GRO: nm), refused if it cannot be."""
    length_unit: Literal["nm", "angstrom"] = "nm"
    """Unit of the dataset."""
    radii: tuple[float, ...] = ()
    """Radius of the sphere that stands for a molecule, of each of the names in turn or one for all.
    In the length unit; 0.35 nm without it. `evaluate` measures the solvent accessible surface with them."""

    def __post_init__(self) -> None:
        """Check every field."""
        require(len(self.trajectory) > 0, "trajectory", "at least one file", self.trajectory)
        require(
            len(set(self.trajectory)) == len(self.trajectory),
            "trajectory",
            "files that differ",
            [str(path) for path in self.trajectory],
        )
        for name in ("molecules", "center"):
            names = getattr(self, name)
            require(len(names) > 0 and len(set(names)) == len(names), name, "one or more different names", names)
        water = [name for name in self.molecules if name.upper() in WATER]
        if water:
            raise UserError(f"`molecules` must not name water, which is never modelled. Received: {' '.join(water)}")
        for name in ("num_slices", "min_frames"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        for name in ("slice_half_thickness", "time_between_frames"):
            value = getattr(self, name)
            require(value is None or (math.isfinite(value) and value > 0), name, "a positive number", value)
        require(
            self.num_dimensions == 3 or self.slice_half_thickness is not None,
            "slice_half_thickness",
            "given for 2D slices",
            self.slice_half_thickness,
        )
        require(
            all(fraction >= 0 for fraction in self.fractions)
            and self.fractions[0] > 0
            and abs(sum(self.fractions) - 1) < 1e-6,
            "fractions",
            "three shares of which the first is positive, none negative, and the sum 1",
            self.fractions,
        )

        sizes = {0, 1, len(self.molecules)}
        right = len(self.radii) in sizes and all(0 < radius < math.inf for radius in self.radii)
        require(right, "radii", "one positive length, or one for each of the molecules", self.radii)

    @property
    def units_in_angstrom(self) -> float:
        """The length unit of the dataset, in angstrom."""
        return 10.0 if self.length_unit == "nm" else 1.0
