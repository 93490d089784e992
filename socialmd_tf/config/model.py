"""Configuration of the network."""

import dataclasses
import math
from typing import Annotated

import tyro

from pipelines.config import DataConfig
from pipelines.errors import require
from socialmd_tf.config.terms import Terms
from socialmd_tf.parts import CELLS, FORCES, HEADS, INTERACTIONS

NO_INTERACTION = "none"
_FORCE = (
    "Forces of the head verlet, or with basis of the head langevin, which has radial functions of its own otherwise"
)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The network; the defaults are the thesis's (section 4.4): 140 768 trainable parameters."""

    num_dimensions: Annotated[int, tyro.conf.Suppress] = 2
    """Number of spatial dimensions, 2 or 3 (D). Training takes it from the dataset."""
    num_features: Annotated[int, tyro.conf.Suppress] = 2
    """Number of features per particle (F). Training takes it from the dataset."""
    anchor_start: Annotated[int | None, tyro.conf.Suppress] = None
    """Column of the features at which the anchors begin; None without anchors. Training takes it from the dataset."""
    rollout_steps: Annotated[int, tyro.conf.Suppress] = DataConfig.rollout_steps
    """Number of frames predicted in training (T'). Training takes it from the window settings."""
    warm_up_steps: Annotated[int, tyro.conf.Suppress] = DataConfig.warm_up_steps
    """Number of frames observed in training (T). Training takes it from the window settings."""
    periodic: Annotated[bool, tyro.conf.Suppress] = False
    """Whether the systems are in periodic boxes. Training takes it from the dataset."""
    num_edge_types: Annotated[int, tyro.conf.Suppress] = 0
    """Number of types of bonds, 0 without bonds. Training takes it from the dataset."""
    observed_velocities: Annotated[bool, tyro.conf.Suppress] = False
    """Whether velocities are observed too. Training takes it from the dataset."""
    cell: Annotated[str, tyro.conf.arg(help=CELLS.help("Recurrent cell"), metavar="NAME")] = "social"
    """Recurrent cell, one of `parts.CELLS`."""
    input_embedding: int = 32
    """Width of the embedding of a particle's position and features (cell social)."""
    units: int = 128
    """Number of LSTM units, H (cell social)."""
    input_layers: tuple[int, ...] = (64,)
    """Units of each hidden layer before the LSTMs (cell plain)."""
    lstm_layers: tuple[int, ...] = (128, 128)
    """Units of each LSTM (cell plain)."""
    output_layers: tuple[int, ...] = (64,)
    """Units of each hidden layer after the LSTMs (cell plain)."""
    dropout: float = 0.1
    """Dropout rate of the hidden layers (cell plain)."""
    head: Annotated[str, tyro.conf.arg(help=HEADS.help("Head, which predicts the next position"), metavar="NAME")] = (
        "absolute"
    )
    """Head, which predicts the next position: one of `parts.HEADS`."""
    interaction: Annotated[
        str, tyro.conf.arg(help=INTERACTIONS.help("How particles see their neighbours"), metavar="NAME")
    ] = "stacked_pooling"
    """How particles see their neighbours, one of `parts.INTERACTIONS`."""
    interaction_embedding: int = 32
    """Width of the interaction's output, E (pooling)."""
    state_embedding: int = 32
    """Width of the embedding of the neighbours' hidden states, C (pooling)."""
    bins: int = 32
    """Number of bins along each axis of a pooling grid (pooling)."""
    side_lengths: tuple[float, ...] = (11.0, 5.5, 2.75, 1.375)
    """Side length of each pooling grid, in the dataset's length unit (pooling)."""
    filters: tuple[int, ...] = (16, 16, 32)
    """Number of filters of each convolution over the grid (stacked_pooling)."""
    kernel_size: int = 4
    """Side length of the convolution kernels, in bins (stacked_pooling)."""
    cutoff: float = 20.0
    """Largest distance at which two particles interact, in the dataset's length unit (pairwise; force pair_mlp; head
    langevin). Unless chosen, it is lowered in small boxes, and to the cutoff of fitted pair forces."""
    softening: float = 0.05
    """Length below which pair functions flatten, in the dataset's length unit (pairwise; force pair_mlp)."""
    pair_units: int = 32
    """Units of each hidden layer of the pair function (pairwise), or of the drift (head langevin)."""
    pair_channels: int = 8
    """Number of vectors, and of scalars, that the pair function returns (pairwise), or of radial functions (head
    langevin)."""
    time_constants: tuple[float, ...] = (4.0, 16.0, 64.0)
    """Time constants of the average positions that particles remember, in frames (head langevin)."""
    centered: bool = True
    """Whether the system has a centre, at the origin (head langevin). Ignored in a periodic box."""
    shared_noise: bool = False
    """Draw the noise of neighbours together, as correlated as it is in the training data (head langevin)."""
    force: Annotated[str, tyro.conf.arg(help=FORCES.help(_FORCE), metavar="NAME")] = "pair_mlp"
    """Forces of the head verlet, one of `parts.FORCES`, or with basis of the head langevin."""
    terms: Annotated[Terms, tyro.conf.Suppress] = dataclasses.field(default_factory=Terms)
    """Structure of the fitted law (force basis). Training takes it from the fit."""
    charges: int = 4
    """Number of learned charges per particle (force pair_mlp)."""
    correction: bool = False
    """Add a learned acceleration to the pair forces, for friction or external fields (head verlet). Where the motion
    has neither, it lowers the accuracy."""
    substeps: int = 8
    """Smallest number of integration steps per frame (head verlet)."""
    step_fraction: float = 0.1
    """Largest integration step, as a fraction of the time in which two particles pass each other (head verlet).
    This and `substeps` are not weights: a resumed run may use smaller steps."""
    split_distance: float = 0.0
    """Distance up to which pairs take integration steps of their own, in systems of more than 256 particles, in the
    dataset's length unit; all others are then evaluated once in each of `substeps` steps. 0 if all take the steps of
    the closest pair (head verlet)."""
    growing_noise: bool = False
    """Let the noise of a particle grow with its acceleration, as two learned numbers say (head verlet)."""
    measurement_noise: bool = False
    """Learn how large the noise of observed positions is; positions and velocities are then estimated from all observed
    frames, and not from the last two (head verlet)."""
    walls: float = 0.0
    """Distance of elastic walls from the origin along each axis, in the dataset's length unit; 0 for no walls (head
    verlet)."""
    move_scale: Annotated[float, tyro.conf.Suppress] = 1.0
    """Typical move per frame, in the dataset's length unit. Training takes it from the dataset."""
    acceleration_scale: Annotated[float, tyro.conf.Suppress] = 1.0
    """Typical second difference of positions, in the dataset's length unit. Training takes it from the dataset."""
    num_components: int = 1
    """Number of components of the predicted Gaussian mixture (K)."""
    correlated: bool = True
    """Predict full covariances; diagonal ones otherwise (diagonal: head absolute)."""
    scale_floor: float = 1e-4
    """Smallest standard deviation that the network can predict, in any direction, in the dataset's length unit."""

    def __post_init__(self) -> None:
        """Check every field."""
        self._check_numbers()
        self._check_sizes()
        self._check_parts()

    def _check_numbers(self) -> None:
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            if type(field.default) is int:
                fewest = 0 if name in ("num_features", "num_edge_types") else 1
                require(type(value) is int and value >= fewest, name, f"an integer of at least {fewest}", value)
            elif type(field.default) is float and name not in ("split_distance", "walls", "dropout"):
                require(math.isfinite(value) and value > 0, name, "positive", value)
        require(
            self.scale_floor >= 1e-18, "scale_floor", "at least 1e-18, whose square float32 holds", self.scale_floor
        )
        require(self.num_dimensions in (2, 3), "num_dimensions", "2 or 3", self.num_dimensions)
        for name in ("split_distance", "walls"):
            value = getattr(self, name)
            require(math.isfinite(value) and value >= 0, name, "at least 0", value)
        require(0 <= self.dropout < 1, "dropout", "at least 0 and below 1", self.dropout)

    def _check_sizes(self) -> None:
        for name, fewest in (("input_layers", 0), ("lstm_layers", 1), ("output_layers", 0), ("filters", 1)):
            sizes = getattr(self, name)
            right = len(sizes) >= fewest and all(type(size) is int and size >= 1 for size in sizes)
            require(right, name, f"{fewest} or more integers of at least 1", sizes)
        right = len(self.side_lengths) >= 1 and all(0 < side < math.inf for side in self.side_lengths)
        require(right, "side_lengths", "one or more positive lengths", self.side_lengths)
        right = len(self.time_constants) >= 1 and all(1 <= time < math.inf for time in self.time_constants)
        require(right, "time_constants", "one or more numbers of frames, at least 1", self.time_constants)

    def _check_parts(self) -> None:
        """Check the requirements of the cell, the head and the interaction."""
        cell, head, interaction = CELLS[self.cell], HEADS[self.head], INTERACTIONS[self.interaction]
        unknown = {*cell.reads, *head.reads, *interaction.reads} - {field.name for field in dataclasses.fields(self)}
        require(not unknown, "reads", "fields of ModelConfig, where a part is registered", sorted(unknown))
        alone = cell.interacts or self.interaction == NO_INTERACTION
        require(alone, "interaction", f"{NO_INTERACTION!r} for the cell {self.cell!r}", self.interaction)
        moving = ", ".join(name for name in HEADS if not HEADS[name].kinematic)
        right = cell.interacts or not head.kinematic
        require(right, "head", f"one of {moving} for the cell {self.cell!r}", self.head)
        right = self.correlated or "correlated" in head.reads
        require(right, "correlated", f"true for the head {self.head!r}", self.correlated)
        is_fitted = FORCES[self.force].is_fitted
        require(self.walls == 0 or not is_fitted, "walls", f"0 for the force {self.force!r}", self.walls)
        require(self.walls == 0 or "walls" in head.reads, "walls", f"0 for the head {self.head!r}", self.walls)
        require(self.walls == 0 or not self.periodic, "walls", "0 in a periodic box", self.walls)
        for name in ("shared_noise", "growing_noise", "measurement_noise"):
            right = not getattr(self, name) or name in head.reads
            require(right, name, f"false for the head {self.head!r}", getattr(self, name))
        splits = self.split_distance > 0
        right = not splits or "split_distance" in head.reads
        require(right, "split_distance", f"0 for the head {self.head!r}", self.split_distance)
        right = not (splits and is_fitted and self.terms.limit)
        require(right, "split_distance", "0 for a law that limits accelerations", self.split_distance)
        smallest = 2 ** len(self.filters)
        require(
            "filters" not in interaction.reads or self.bins >= smallest,
            "bins",
            f"at least {smallest}, halved by each of the {len(self.filters)} poolings",
            self.bins,
        )
