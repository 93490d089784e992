"""Configuration of the network."""

import dataclasses
import math
from typing import Annotated, Literal, get_args

import tyro

from pipelines.config import DataConfig
from pipelines.errors import require

Interaction = Literal["none", "stacked_pooling", "multiscale_pooling", "pairwise", "both"]


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The network; the defaults are the thesis's (section 4.4): 140 768 trainable parameters."""

    num_dimensions: Annotated[int, tyro.conf.Suppress] = 2
    """Dimensions of space, 2 or 3 (D). Training takes it from the data."""
    num_features: Annotated[int, tyro.conf.Suppress] = 2
    """Features of a particle beside its position (F). Training takes it from the data."""
    rollout_steps: Annotated[int, tyro.conf.Suppress] = DataConfig.rollout_steps
    """Frames predicted in training (T'). Training takes it from the data configuration."""
    cell: Literal["social", "plain"] = "social"
    """What runs through time: an LSTM a particle that sees its neighbours by the interaction, or the first
    experiment's perceptron, LSTMs and perceptron, every particle by itself (thesis section 3.3)."""
    input_embedding: int = 32
    """Width of the embedding of a particle's own position and features."""
    units: int = 128
    """Units of the LSTM (H)."""
    input_layers: tuple[int, ...] = (64,)
    """Units of the hidden layers of the perceptron before the LSTMs (plain cell)."""
    lstm_layers: tuple[int, ...] = (128, 128)
    """Units of each LSTM (plain cell)."""
    output_layers: tuple[int, ...] = (64,)
    """Units of the hidden layers of the perceptron after the LSTMs (plain cell)."""
    dropout: float = 0.1
    """Share of the perceptrons' hidden units that are left out at a step of training (plain cell)."""
    head: Literal["absolute", "displacement", "kinematic", "verlet"] = "absolute"
    """What is predicted: positions in absolute coordinates, a correction of standing still, a correction of straight
    motion, or a correction of motion under learned pair forces. With the latter two nothing depends on where in space
    the system is."""
    interaction: Interaction = "stacked_pooling"
    """How a particle sees its neighbours: not at all; in the thesis's pooling grids, added up and read by convolutions;
    in grids that stay apart and are read bin by bin; pair by pair; or both in the latter way and pair by pair, weighed
    and added by what reads them."""
    interaction_embedding: int = 32
    """Width of what a particle learns from its neighbours (E)."""
    state_embedding: int = 32
    """Width of the neighbours' embedded hidden states (C)."""
    bins: int = 32
    """Bins along one axis of a pooling grid."""
    side_lengths: tuple[float, ...] = (11.0, 5.5, 2.75, 1.375)
    """Physical side of each pooling grid, in the data's length unit."""
    filters: tuple[int, ...] = (16, 16, 32)
    """Filters of each convolution over the pooled states."""
    kernel_size: int = 4
    """Side of the convolutions' kernels, in bins."""
    cutoff: float = 20.0
    """Largest distance of the pairwise interaction and of pair forces, in the data's length unit."""
    softening: float = 0.05
    """Length below which the pairwise interaction and pair forces flatten, in the data's length unit."""
    pair_units: int = 32
    """Units of the hidden layers of the pairwise interaction."""
    pair_channels: int = 8
    """Vectors, and scalars, that the pairwise interaction gives."""
    charges: int = 4
    """Learned charges of a particle, by which pair forces act (Verlet head)."""
    correction: bool = False
    """Whether a learned acceleration is added to that of pair forces (Verlet head): for friction, fields, and whatever
    else is no force between two particles. Where there is nothing else it makes the motion less precise."""
    substeps: int = 8
    """Smallest number of steps of integration between two frames (Verlet head)."""
    step_fraction: float = 0.1
    """Longest step of integration, as a share of the time in which two particles of the system would pass each other
    (Verlet head). Neither is a part of the weights: a run that is continued with shorter steps exports a model that
    integrates better."""
    walls: float = 0.0
    """Elastic walls at plus and minus this in every dimension, in the data's length unit (Verlet head); 0 for none."""
    move_scale: Annotated[float, tyro.conf.Suppress] = 1.0
    """Typical move between two frames, in the data's length unit. Training takes it from the data."""
    acceleration_scale: Annotated[float, tyro.conf.Suppress] = 1.0
    """Typical second difference of positions, in the data's length unit. Training takes it from the data."""
    num_components: int = 1
    """Components of the predicted Gaussian mixture (K)."""
    correlated: bool = True
    """Whether the components have full covariances (else diagonal ones)."""
    scale_floor: float = 1e-4
    """Smallest predicted standard deviation, in the data's length unit."""

    def __post_init__(self) -> None:
        """Check every field."""
        require(self.num_dimensions in (2, 3), "num_dimensions", "2 or 3", self.num_dimensions)
        require(self.num_features >= 0, "num_features", "at least 0", self.num_features)
        for name in (
            "rollout_steps",
            "input_embedding",
            "units",
            "interaction_embedding",
            "state_embedding",
            "bins",
            "kernel_size",
            "pair_units",
            "pair_channels",
            "charges",
            "substeps",
            "num_components",
        ):
            value = getattr(self, name)
            require(type(value) is int and value >= 1, name, "an integer of at least 1", value)
        self._check_cell()
        interactions = get_args(Interaction)
        require(self.interaction in interactions, "interaction", f"one of {', '.join(interactions)}", self.interaction)
        require(
            len(self.side_lengths) > 0 and all(0 < side < math.inf for side in self.side_lengths),
            "side_lengths",
            "one or more positive lengths",
            self.side_lengths,
        )
        require(
            len(self.filters) > 0 and all(type(number) is int and number >= 1 for number in self.filters),
            "filters",
            "one or more integers of at least 1",
            self.filters,
        )
        smallest = 2 ** len(self.filters)
        require(
            self.interaction in ("multiscale_pooling", "both") or self.bins >= smallest,
            "bins",
            f"at least {smallest}, halved by each of the {len(self.filters)} poolings",
            self.bins,
        )
        for name in ("cutoff", "softening", "step_fraction", "move_scale", "acceleration_scale", "scale_floor"):
            value = getattr(self, name)
            require(math.isfinite(value) and value > 0, name, "positive", value)
        allowed = math.isfinite(self.walls) and self.walls >= 0 and (self.walls == 0 or self.head == "verlet")
        require(allowed, "walls", "at least 0, and 0 for heads other than 'verlet'", self.walls)
        require(
            self.head == "absolute" or self.correlated,
            "head",
            "'absolute' for diagonal covariances",
            self.head,
        )

    def _check_cell(self) -> None:
        """Check the cell, and the heads that can stand on it."""
        require(self.cell in ("social", "plain"), "cell", "'social' or 'plain'", self.cell)
        heads = ("absolute", "displacement", "kinematic", "verlet")
        require(self.head in heads, "head", "'absolute', 'displacement', 'kinematic' or 'verlet'", self.head)
        for name, fewest in (("input_layers", 0), ("lstm_layers", 1), ("output_layers", 0)):
            sizes = getattr(self, name)
            right = len(sizes) >= fewest and all(type(size) is int and size >= 1 for size in sizes)
            require(right, name, f"{fewest} or more integers of at least 1", sizes)
        require(0 <= self.dropout < 1, "dropout", "at least 0 and below 1", self.dropout)
        if self.cell == "plain":
            require(self.interaction == "none", "interaction", "'none' for the plain cell", self.interaction)
            right = self.head in ("absolute", "displacement")
            require(right, "head", "'absolute' or 'displacement' for the plain cell", self.head)
