"""Configuration of models and training runs, and the presets: the only place where their defaults live."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import tyro

from pipelines.config import DataConfig
from pipelines.errors import UserError, require

_Config = TypeVar("_Config")
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


PRESETS: Mapping[str, ModelConfig] = {
    "thesis": ModelConfig(),
    "thesis-mixture": ModelConfig(num_components=5, correlated=False),
    "thesis-monogrid": ModelConfig(bins=64, side_lengths=(11.0,)),
    "lstm": ModelConfig(interaction="none"),
    "molecules-lstm": ModelConfig(cell="plain", interaction="none"),
    "pairwise": ModelConfig(head="kinematic", interaction="pairwise", units=64, scale_floor=1e-5),
    "kinematic": ModelConfig(
        head="kinematic",
        interaction="multiscale_pooling",
        units=64,
        state_embedding=8,
        bins=8,
        side_lengths=tuple(11 / 2**k for k in range(7)),
        num_components=3,
        scale_floor=1e-5,
    ),
    "verlet": ModelConfig(
        head="verlet", interaction="pairwise", units=64, num_components=3, softening=0.002, scale_floor=1e-5
    ),
}


def preset(name: str) -> ModelConfig:
    """The configuration of a preset.

    Args:
        name: One of `PRESETS`.

    Raises:
        UserError: There is no such preset.
    """
    require(name in PRESETS, "preset", f"one of {', '.join(PRESETS)}", name)
    return PRESETS[name]


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Train a model on a data set, export it, and compare it with the baselines."""

    config: str | None = None
    """JSON file of settings, such as the config.json of another run; further flags change single ones."""
    data: str | None = None
    """Directory of the data set. Without it, 40 N-body simulations are made once, under data/demo."""
    preset: str = "thesis"
    """Which model: thesis, thesis-mixture, thesis-monogrid, lstm (without neighbours), kinematic, pairwise or verlet;
    of the first experiment molecules-lstm. The --model flags change its settings."""
    run_directory: str = "runs/thesis"
    """Checkpoints, logs, table and picture go here; the same command run again continues."""
    export_directory: str = "saved_models/thesis"
    """The SavedModel goes into a new version directory in here."""
    initial_weights: str | None = None
    """Directory of a run of the same model, on whatever data and windows, with whose best weights training begins."""
    max_horizon: int = 10_000
    """Largest number of frames that one request to the SavedModel can ask for."""
    epochs: int = 50
    """Largest number of epochs."""
    curriculum: tuple[int, ...] = ()
    """Frames predicted in the first, the second, ... epoch of training: short rollouts first, such as 0 0 5 15. After
    these epochs, and in validation always, all of them. With 0, every frame of the window is predicted from the true
    ones before it."""
    calibration_epochs: int = 0
    """Of the epochs so many, the last ones, in which only the spread of the predicted densities is trained, over whole
    rollouts, and the motion stays as it is. Not for heads that predict absolute positions."""
    monitor: Literal["loss", "mae"] = "loss"
    """What the best epoch has the lowest of on the validation split, the negative log likelihood or the mean absolute
    error. Where training predicts one frame and validation many, the first says little of the motion."""
    patience: int = 4
    """Stop after so many epochs without a lower figure of `monitor`, those of the curriculum not counted. With
    calibration epochs, which come last, training never stops early."""
    batch_size: int = 32
    """Windows of a batch, shared out to all devices."""
    learning_rate: float = 1e-3
    """Learning rate of Nadam."""
    decay: Literal["none", "cosine"] = "none"
    """How the learning rate falls from batch to batch: not at all, or as half a cosine over all epochs, and over those
    of calibration anew."""
    clip_norm: float = 0.0
    """Largest norm of the gradient of all weights; longer ones are shortened to it. 0 for no limit."""
    unroll: bool = False
    """Whether training writes its recurrent steps one after the other into the graph: they take up to a third less time
    and twice the memory, and start minutes later. It pays when an epoch takes many minutes."""
    seed: int = 0
    """Seed of the weights, the order of the samples and their rotations."""
    windows: Annotated[DataConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)

    def __post_init__(self) -> None:
        """Check every field."""
        preset(self.preset)
        for name in ("epochs", "patience", "batch_size", "max_horizon"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        require(
            all(0 <= steps <= self.windows.rollout_steps for steps in self.curriculum),
            "curriculum",
            f"numbers of frames from 0 to the windows' {self.windows.rollout_steps}",
            self.curriculum,
        )
        require(
            0 <= self.calibration_epochs <= (0 if self.model.head == "absolute" else self.epochs),
            "calibration_epochs",
            "from 0 to `epochs`, and 0 for heads that predict absolute positions",
            self.calibration_epochs,
        )
        require(
            self.initial_weights != self.run_directory,
            "initial_weights",
            "another run than `run_directory`",
            self.initial_weights,
        )
        require(
            self.model.walls == 0 or self.windows.rotations == 0,
            "rotations",
            "0 with `walls`, which do not turn with the particles",
            self.windows.rotations,
        )
        require(self.monitor in ("loss", "mae"), "monitor", "'loss' or 'mae'", self.monitor)
        require(self.decay in ("none", "cosine"), "decay", "'none' or 'cosine'", self.decay)
        require(
            math.isfinite(self.learning_rate) and self.learning_rate > 0,
            "learning_rate",
            "positive",
            self.learning_rate,
        )
        require(math.isfinite(self.clip_norm) and self.clip_norm >= 0, "clip_norm", "at least 0", self.clip_norm)
        require(0 <= self.seed < 2**31, "seed", "at least 0 and below 2^31", self.seed)


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as JSON-ready nested dictionaries."""
    converted: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return converted


def from_dict(config_type: type[_Config], values: Any, default: _Config | None = None) -> _Config:
    """Nested dictionaries -> a configuration; the inverse of `to_dict`.

    Args:
        config_type: The dataclass.
        values: A dictionary with some or all of its fields.
        default: Where the fields not in `values` come from; by default, the class's own.

    Raises:
        UserError: A field that does not exist, or a value of the wrong kind.
    """
    default = config_type() if default is None else default
    require(isinstance(values, dict), config_type.__name__, "a JSON object", values)
    fields = {field.name: field for field in dataclasses.fields(config_type)}  # type: ignore[arg-type]
    for unknown in set(values) - set(fields):
        raise UserError(f"unknown field `{unknown}` in {config_type.__name__}. Expected: {', '.join(fields)}")
    changes = {}
    for name, value in values.items():
        may_be_null = fields[name].default is None
        changes[name] = _convert(name, value, None if may_be_null else getattr(default, name))
    return dataclasses.replace(default, **changes)  # type: ignore[type-var]


def _convert(name: str, value: Any, default: Any) -> Any:
    """A JSON value in the type of the default it replaces."""
    if dataclasses.is_dataclass(default):
        return from_dict(type(default), value, default)
    if default is None:
        require(value is None or isinstance(value, str), name, "a text or null", value)
        return value
    if isinstance(default, tuple):
        require(isinstance(value, list), name, "a list", value)
        return tuple(_convert(name, item, default[0] if default else 0) for item in value)
    kinds = (int, float) if isinstance(default, float) else type(default)
    right = isinstance(value, kinds) and isinstance(value, bool) == isinstance(default, bool)
    require(right, name, f"of type {type(default).__name__}", value)
    return type(default)(value)


def load_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        UserError: The file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not JSON: {error}") from None
