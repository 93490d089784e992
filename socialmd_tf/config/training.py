"""Configuration of a training run."""

import dataclasses
import math
from typing import Annotated, Literal

import tyro

from pipelines.config import DataConfig
from pipelines.errors import require
from socialmd_tf.config.model import ModelConfig
from socialmd_tf.config.presets import preset


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
