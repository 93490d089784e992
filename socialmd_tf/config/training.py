"""Configuration of a training run."""

import dataclasses
import math
from typing import Annotated, Literal, Self

import tyro

from pipelines.config import DataConfig
from pipelines.errors import require
from socialmd_tf.config.fitting import FitConfig
from socialmd_tf.config.model import ModelConfig
from socialmd_tf.config.presets import preset
from socialmd_tf.parts import FORCES, HEADS


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Train a model on a dataset, export it, and compare it with the baselines."""

    config: str | None = None
    """JSON file of settings, such as the config.json of another run. Flags override it."""
    data: str | None = None
    """Directory of the dataset. By default, 24 small N-body simulations are made once in data/demo."""
    preset: str = "thesis"
    """Network: forces, verlet, pairwise, kinematic, langevin, or those of the thesis: thesis, thesis-mixture,
    thesis-monogrid, lstm, molecules-lstm. By default the one that suits the data, as `check` says. The --model flags
    change its settings."""
    run_directory: str = "runs/thesis"
    """Directory of the run: checkpoints, logs, table and picture. The same command, run again, resumes it."""
    export_directory: str = "saved_models/thesis"
    """Directory of the exported SavedModel; each export is a new version in it."""
    initial_weights: str | None = None
    """Directory of another run of the same network, whose best weights training starts from."""
    initial_model: str | None = None
    """Exported model that training starts from, such as saved_models/nbody, for fine-tuning on other data. Its network
    and windows become the defaults."""
    max_horizon: int = 10_000
    """Largest number of frames per request that the SavedModel accepts; at least --rollout-steps."""
    final: bool = False
    """Evaluate the exported model on the test split instead of the validation split. The run counts how often."""
    minutes: float | None = None
    """Time limit of the whole command, in minutes: there are fewer and shorter epochs, those of calibration at the end,
    and export and evaluation follow in time. The fit of forces is not shortened. By default, no limit."""
    epochs: int = 50
    """Largest number of epochs."""
    curriculum: tuple[int, ...] = ()
    """Number of predicted frames in the first, second, ... epoch, such as 0 0 5 15. Later epochs, and validation,
    predict all frames. 0 is teacher forcing: each frame is predicted from the observed ones before it. The head
    langevin has it in all epochs, and in validation."""
    calibration_epochs: int = 0
    """Number of final epochs that train only the predictive spread. Not for the head absolute."""
    monitor: Literal["loss", "mae"] = "loss"
    """Validation metric that selects the best epoch: negative log likelihood, or mean absolute error."""
    patience: int = 4
    """Stop after this number of epochs without improvement of `monitor`; curriculum epochs do not count. With
    calibration epochs, training never stops early."""
    batch_size: int = 32
    """Number of windows per batch, over all devices. Unless chosen, it is lowered so that a batch has at most 8192
    particles."""
    learning_rate: float = 1e-3
    """Learning rate of the Nadam optimizer."""
    decay: Literal["none", "cosine"] = "none"
    """Learning rate schedule: constant, or a half cosine to zero over all epochs, restarted for calibration."""
    clip_norm: float = 0.0
    """Largest norm of the gradient over all weights; longer gradients are scaled down to it. 0 for no limit."""
    unroll: bool = False
    """Unroll the recurrent steps in the training graph: up to a third faster, twice the memory, minutes slower to
    start."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Whether XLA compiles the training step; auto: where there is a GPU. Each step is many times faster there, and the
    first takes up to a minute. It computes all pairs of particles, whatever their distance."""
    seed: int = 0
    """Seed of the weights, of the order of the samples and of their rotations."""
    windows: Annotated[DataConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=DataConfig)
    fitting: Annotated[FitConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=FitConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)

    @classmethod
    def of_preset(cls, name: str) -> Self:
        """The defaults with a preset's network.

        A fitted law is the result of the first epoch. The second calibrates the spread around it, which begins close to
        right. The drift of random motion is small beside its noise: weights settle only as the learning rate falls to
        zero, without an early stop.
        """
        config = cls(
            preset=name, model=preset(name), run_directory=f"runs/{name}", export_directory=f"saved_models/{name}"
        )
        windows = dataclasses.replace(config.windows, rotations=0)  # for networks that turn with the particles
        if config.is_sampled:
            patience = config.epochs
            return dataclasses.replace(
                config, windows=windows, patience=patience, learning_rate=3e-3, decay="cosine", clip_norm=1.0
            )
        if not config.is_fitted:
            return config
        return dataclasses.replace(
            config,
            windows=windows,
            epochs=2,
            calibration_epochs=1,
            monitor="mae",
            batch_size=8,
            learning_rate=3e-3,
            decay="cosine",
        )

    @property
    def is_fitted(self) -> bool:
        """Whether a law is fitted before the epochs."""
        return "force" in HEADS[self.model.head].reads and FORCES[self.model.force].is_fitted

    @property
    def is_sampled(self) -> bool:
        """Whether single frames are predicted in training and validation, as for heads that are rolled out by draws."""
        return HEADS[self.model.head].is_sampled

    def __post_init__(self) -> None:
        """Check every field."""
        preset(self.preset)
        for name in ("epochs", "patience", "batch_size", "max_horizon"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        require(
            all(0 <= steps <= self.windows.rollout_steps for steps in self.curriculum),
            "curriculum",
            f"numbers of frames from 0 to `rollout_steps` = {self.windows.rollout_steps}",
            self.curriculum,
        )
        is_forced = not self.is_sampled or not any(self.curriculum)
        require(is_forced, "curriculum", f"0, or nothing, for the head {self.model.head!r}", self.curriculum)
        calibrated = self.calibration_epochs == 0 or HEADS[self.model.head].calibrates
        require(calibrated, "calibration_epochs", f"0 for the head {self.model.head!r}", self.calibration_epochs)
        require(
            0 <= self.calibration_epochs <= self.epochs,
            "calibration_epochs",
            f"from 0 to `epochs` = {self.epochs}",
            self.calibration_epochs,
        )
        self._check_start()
        require(
            self.max_horizon >= self.windows.rollout_steps,
            "max_horizon",
            f"at least `rollout_steps` = {self.windows.rollout_steps}",
            self.max_horizon,
        )
        self._check_fitting()
        limit = self.minutes
        require(limit is None or (math.isfinite(limit) and limit > 0), "minutes", "positive", limit)
        require(
            self.model.walls == 0 or self.windows.rotations == 0,
            "rotations",
            "0 with `walls`, which do not rotate with the particles",
            self.windows.rotations,
        )
        self._check_optimizer()
        require(0 <= self.seed < 2**31, "seed", "at least 0 and below 2^31", self.seed)

    def _check_start(self) -> None:
        """Check where the weights come from."""
        require(
            self.initial_weights != self.run_directory,
            "initial_weights",
            "another directory than `run_directory`",
            self.initial_weights,
        )
        require(
            self.initial_weights is None or self.initial_model is None,
            "initial_model",
            "absent with `initial_weights`",
            self.initial_model,
        )

    def _check_optimizer(self) -> None:
        """Check what is minimised, and how."""
        require(self.monitor in ("loss", "mae"), "monitor", "'loss' or 'mae'", self.monitor)
        require(self.compile in ("auto", "on", "off"), "compile", "'auto', 'on' or 'off'", self.compile)
        require(self.decay in ("none", "cosine"), "decay", "'none' or 'cosine'", self.decay)
        require(
            math.isfinite(self.learning_rate) and self.learning_rate > 0,
            "learning_rate",
            "positive",
            self.learning_rate,
        )
        require(math.isfinite(self.clip_norm) and self.clip_norm >= 0, "clip_norm", "at least 0", self.clip_norm)

    def _check_fitting(self) -> None:
        """Check the choices of the fit against the others."""
        is_chosen = self.fitting != FitConfig()
        require(self.is_fitted or not is_chosen, "model.force", "basis with --terms and --knots", self.model.force)
        for name in ("initial_weights", "initial_model"):
            started = getattr(self, name)
            require(
                not is_chosen or started is None, name, "absent with --terms and --knots: it brings its law", started
            )
        require(
            not self.is_fitted or self.calibration_epochs < self.epochs,
            "calibration_epochs",
            f"below `epochs` = {self.epochs}, the first of which is the fit",
            self.calibration_epochs,
        )
        require(
            "field" not in self.fitting.terms or self.windows.rotations == 0,
            "rotations",
            "0 with a field among `terms`, which does not rotate with the particles",
            self.windows.rotations,
        )
