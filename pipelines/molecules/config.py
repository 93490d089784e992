"""Configuration of datasets from molecular trajectories."""

import dataclasses
import glob
import math
import re
from pathlib import Path
from typing import Literal

from pipelines.config import DataConfig
from pipelines.errors import UserError, require
from pipelines.manifest import Manifest

NO_CENTER = ("none",)
DEFAULT_RADIUS = 0.35
"""Default radius of the sphere that represents a molecule, in nm: the size of about ten heavy atoms."""
SPLITS = ("train", "validation", "test")
WATER = frozenset(
    "HOH WAT SOL H2O DOD TIP TIP2 TIP3 TIP3P TIP4 TIP4P TIP5 TP3 TP4 T3P T4P SPC SPCE OPC W PW WN WF".split()
)
"""Residue names of water in common force fields."""


@dataclasses.dataclass(frozen=True)
class MoleculesConfig:
    """Which molecules of which trajectories make up a dataset, and how."""

    trajectory: tuple[Path, ...]
    """PDB or GRO files of one or many frames, XTC, TRR, DCD, XYZ, LAMMPS dumps, AMBER NetCDF.
    Other formats that MDAnalysis reads are accepted, too.
    Files are the parts of one simulation, in the order of time.
    A directory is one simulation, and its files in numerical order are its parts.
    With `--split-by file`, each argument (file or directory) is a simulation.
    A pattern in quotes, such as "run*/md.xtc", stands for the files and directories that it matches.
    The alphabetical order of a shell's *.pdb becomes numerical: 2 before 10."""
    topology: tuple[Path, ...] = ()
    """Files that name the molecules of the atoms: PDB, GRO, PSF, AMBER prmtop or TPR.
    One file for all simulations or one for each. By default, the first trajectory file of each simulation."""
    molecules: tuple[str, ...] = ("OQL", "ONC")
    """Names of the molecules (residues) to keep, in the order of the features. Water is never kept.
    The defaults are the drug and the background molecule of the thesis; with --select, all names that are selected."""
    select: str | None = None
    """Atoms to keep, of the molecules above, in the selection language of MDAnalysis, such as "name PO4" or
    "protein and name CA". The topology decides, for all frames."""
    particles: Literal["nearest-atom", "center-of-mass", "atoms"] = "nearest-atom"
    """Position of a particle. nearest-atom: the atom of a molecule nearest to its geometric centre in the first frame.
    center-of-mass: the centre of mass of a molecule (of its selected atoms). atoms: each atom is a particle."""
    feature: tuple[str, ...] = ()
    """Numbers that the topology states of its atoms, as further features: charge, mass, or any attribute that
    MDAnalysis reads. Charges and masses are summed over the atoms of a particle."""
    bonds: bool = False
    """Whether the bonds of the topology between particles become edges of the dataset, with a type for each pair of
    names of molecules."""
    velocities: bool = False
    """Whether the velocities of the trajectory become features (GRO, TRR and other formats that have them)."""
    stride: int = 1
    """Keep every n-th frame. The others are read, too, to follow particles through a periodic box."""
    center: tuple[str, ...] = ("AU",)
    """Names of the molecules or atoms that define the centre; gold by default. none: no centre, for liquids and
    membranes, as `--center-on nothing`."""
    center_on: Literal["atom", "mean", "nothing"] = "atom"
    """Origin of the positions: the centre atom that is innermost in the first frame, or the mean of all centre atoms.
    nothing: the origin of the files, for liquids and other systems without a centre.
    Nothing is rotated."""
    anchor: tuple[str, ...] = ()
    """Names of the atoms or molecules that hold the selected molecules, such as the sulfur of strands on gold.
    Each molecule gets the position of its anchor in the first frame as the feature anchor_x, anchor_y, anchor_z."""
    anchor_by: Literal["auto", "bonds", "nearest"] = "auto"
    """bonds: the anchor to which the fewest bonds of the topology lead; without `--anchor`, an atom of the centre.
    nearest: the anchor nearest to the molecule in the first frame. auto: bonds, if the topology states any."""
    box: Literal["auto", "keep", "drop"] = "auto"
    """Whether the dataset has the periodic box of the trajectory, so that particles at opposite faces are neighbours.
    auto: with `--center-on nothing`, and where the particles fill the box.
    They fill it if, along a periodic axis, they leave no gap of a quarter of the edge in the first frame."""
    num_dimensions: Literal[3, 2] = 3
    """3 keeps all molecules; 2 makes flat slices."""
    slice_half_thickness: float | None = None
    """A slice keeps the molecules within this distance of a plane through the centre in the first frame.
    In the length unit; required for `--num-dimensions 2`."""
    num_slices: int = 8
    """Slices per simulation. Their axes are spread evenly over the half sphere; the first axis is z."""
    split_by: Literal["time", "file"] = "time"
    """Split every simulation in time, or assign whole simulations to the splits, in the order given."""
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    """Shares of the training, validation and test splits: the first 70 % of the frames (or simulations), and so on.
    Each frame is in one split, and no window crosses the border between two."""
    validation: tuple[Path, ...] = ()
    """With `--split-by file`, those of `--trajectory` that are for validation, instead of shares (`--fractions`).
    All that neither `--validation` nor `--test` names are for training."""
    test: tuple[Path, ...] = ()
    """The same for testing, such as all simulations of some compositions."""
    min_frames: int = DataConfig.warm_up_steps + DataConfig.rollout_steps
    """Smallest number of frames in each split of a simulation: the length of one window.
    That is T + T' of the training, times its subsampling."""
    time_between_frames: float | None = None
    """Time between frames, in ps. By default, the time that the trajectory states.
    PDB, GRO and XYZ files and LAMMPS dumps state none."""
    incomplete_frames: Literal["refuse", "drop"] = "refuse"
    """What to do with files that end inside a frame, or before the last frame that their header announces.
    refuse: stop. drop: use their complete frames."""
    input_unit: Literal["auto", "angstrom", "nm"] = "auto"
    """Unit of the coordinates in the files.
    auto: the unit of the format (PDB, DCD, NetCDF: angstrom; XTC, TRR, GRO: nm), refused if implausible."""
    length_unit: Literal["nm", "angstrom"] = "nm"
    """Unit of the dataset."""
    file_format: Literal["npy", "h5md", "zarr"] = "npy"
    """Format of the files: .npy; HDF5 in the layout of H5MD; or Zarr, version 3, in the same layout.
    h5md needs h5py (pip install h5py) and zarr needs zarr (pip install 'zarr>=3,<4')."""
    dtype: Literal["float32", "float64"] = "float32"
    """Type of the positions in the files. float64 is for positions far from the origin, in units of a move: models
    compute in float32, but a window is unwrapped before it is rounded."""
    reruns: tuple[Path, ...] = ()
    """JSON files that list re-runs: simulations that restart one of `trajectory` with other random numbers.
    An object: trajectory of the re-run -> {"of": the trajectory, "frame": its frame, from 0, that is the first one of
    the re-run}, with paths relative to the JSON file. `nanoparticle --restart-from` writes one."""
    radii: tuple[float, ...] = ()
    """Radius of the sphere that represents a molecule: one per name, or one for all; 0.35 nm by default.
    In the length unit. `evaluate` uses it for the solvent accessible surface area."""

    def __post_init__(self) -> None:
        """Check every field."""
        for name in ("trajectory", "topology", "validation", "test"):
            object.__setattr__(self, name, expand_patterns(name, getattr(self, name)))
        if self.center == NO_CENTER:
            object.__setattr__(self, "center_on", "nothing")
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
        anchors = self.anchor
        require(len(set(anchors)) == len(anchors), "anchor", "different names", anchors)
        right = bool(anchors) or self.anchor_by != "nearest"
        require(right, "anchor", "given with `--anchor-by nearest`", anchors)
        require(self.num_dimensions == 3 or not self.reruns, "reruns", "left out for flat slices", self.reruns)
        water = [name for name in self.molecules if name.upper() in WATER]
        if water:
            raise UserError(f"`molecules` must not name water, which is never modelled. Received: {' '.join(water)}")
        for name in ("num_slices", "min_frames", "stride"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        for name in ("slice_half_thickness", "time_between_frames"):
            value = getattr(self, name)
            require(value is None or (math.isfinite(value) and value > 0), name, "a positive number", value)
        require(self.num_dimensions == 3 or self.box != "keep", "box", "auto or drop for flat slices", self.box)
        require(
            self.num_dimensions == 3 or self.center_on != "nothing",
            "center_on",
            "atom or mean for slices, which pass through the centre",
            self.center_on,
        )
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
            "three shares of sum 1, the first positive and none negative",
            self.fractions,
        )
        self._check_named()
        self._check_particles()
        sizes = {0, 1, len(self.molecules)}
        right = len(self.radii) in sizes and all(0 < radius < math.inf for radius in self.radii)
        require(right, "radii", "one positive length, or one per name in `molecules`", self.radii)

    def _check_particles(self) -> None:
        """Check what particles are, and what is kept of them."""
        names = (*self.molecules, *self.feature)
        require(len(set(names)) == len(names), "feature", "names that differ, also from `molecules`", self.feature)
        flat = self.num_dimensions == 2
        require(not (flat and self.bonds), "bonds", "left out for flat slices", self.bonds)
        require(not (flat and self.velocities), "velocities", "left out for flat slices", self.velocities)
        require(self.stride == 1 or not self.reruns, "stride", "1 with `--reruns`, which count all frames", self.stride)

    def _check_named(self) -> None:
        """Check the trajectories that are named for a split."""
        for name in ("validation", "test"):
            paths = getattr(self, name)
            require(self.split_by == "file" or not paths, name, "left out without `--split-by file`", _texts(paths))
            others = [path for path in paths if path not in self.trajectory]
            require(not others, name, "of the files or directories of `--trajectory`", _texts(others))
        both = [path for path in self.validation if path in self.test]
        require(not both, "test", "other trajectories than `--validation`", _texts(both))
        left = set(self.trajectory) - {*self.validation, *self.test}
        require(bool(left), "test", "not all of `--trajectory`: some must be for training", _texts(self.test))

    @property
    def has_anchors(self) -> bool:
        """Whether the dataset has anchors."""
        return bool(self.anchor) or self.anchor_by == "bonds"

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features: the molecules, attributes of the topology, and the axes of anchors and velocities."""
        axes, moving = ("xyz"[: self.num_dimensions] if there else "" for there in (self.has_anchors, self.velocities))
        vectors = [*(f"anchor_{axis}" for axis in axes), *(f"velocity_{axis}" for axis in moving)]
        return (*self.molecules, *self.feature, *vectors)

    def layout(self, time_between_frames: float = 1.0) -> Manifest:
        """A manifest without files, which describes the columns."""
        columns = self.num_dimensions, self.features, self.length_unit, time_between_frames
        return Manifest("molecules", *columns, {}, {}, time_unit="ps")

    @property
    def units_in_angstrom(self) -> float:
        """The length unit of the dataset, in angstrom."""
        return 10.0 if self.length_unit == "nm" else 1.0


def expand_patterns(field: str, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Put the files and directories that a pattern matches in its place, in numerical order.

    Args:
        field: The field, for the message.
        paths: Paths and patterns.

    Raises:
        UserError: A pattern matches nothing.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.exists() or not glob.has_magic(str(path)):
            found.append(path)
            continue
        matches = sorted(map(Path, glob.glob(str(path))), key=numerical_key)
        require(bool(matches), field, "files, or patterns that match files", str(path))
        found += matches
    return tuple(found)


def numerical_key(path: Path) -> list[tuple[int, str]]:
    """Sorts `frame_2.pdb` before `frame_10.pdb`."""
    pieces = re.split(r"(\d+)", str(path))
    return [(int(piece), "") if index % 2 else (-1, piece) for index, piece in enumerate(pieces)]


def _texts(paths: tuple[Path, ...] | list[Path]) -> list[str]:
    return [str(path) for path in paths]
