"""Advice for training on a dataset: windows, preset and flags, from what is known of its motion."""

import dataclasses
import math
import shlex
from collections.abc import Mapping
from pathlib import Path

from pipelines.config import DataConfig
from pipelines.description import Description
from pipelines.motion import STRIDES
from pipelines.side_files import smallest_half_height
from socialmd_tf.config.presets import PRESETS

_MANY_PARTICLES = 100
_MIN_STARTS = 4
_MIN_FLOORS_PER_MOVE = 100
_LONG, _OBSERVED = 100, 25
"""Frames from which held particles get windows of the whole length, and how many of them are observed."""
_SPACINGS = 3.5
"""Distance at which randomly moving particles see each other, in distances of nearest neighbours: several shells."""


@dataclasses.dataclass(frozen=True)
class Advice:
    """What to train with."""

    preset: str | None
    """One of `PRESETS`; None if training on these data is impossible."""
    reason: str
    """Why this preset, or why none."""
    flags: tuple[str, ...] = ()
    """Further flags of `train`, without those of the windows."""
    windows: DataConfig = dataclasses.field(default_factory=DataConfig)
    """Windows that fit the shortest file."""
    is_fault: bool = False
    """Whether nothing could be learned from any part of these data."""

    def words(self, directory: Path, program: str) -> list[str]:
        """The command that trains so, flag by flag, each with its value.

        Args:
            directory: The dataset.
            program: What runs `train`.
        """
        name = f"{directory.resolve().name}-{self.preset}"
        given = {"data": directory, "preset": self.preset}
        places = {"run-directory": f"runs/{name}", "export-directory": f"saved_models/{name}"}
        return [program, *_flags(given), *self.flags, *_flags(_window_flags(self.windows)), *_flags(places)]


def advise(description: Description) -> Advice:
    """Suggest windows, a preset and flags.

    Smooth motion is that of forces, which the preset `forces` fits. It also suits motion with random kicks, whose
    spread it learns. Of random motion, only drawn paths are like the true ones, and `langevin` draws them
    (docs/experiments/molecules.md).

    Args:
        description: The dataset.
    """
    missing = [split for split in ("train", "validation") if not description.num_frames.get(split)]
    if missing:
        return Advice(None, f"training needs files in the splits train and validation; there is no {missing[0]}")
    if description.motion.kind == "still":
        return Advice(None, "no particle moves, so nothing can be learned", is_fault=True)
    windows = fitting_windows(description.min_frames, description.motion.subsample)
    if windows is None:
        reason = f"training needs files of at least 3 frames; the shortest has {description.min_frames}"
        return Advice(None, reason, is_fault=True)
    advice = dataclasses.replace(_preset(description), windows=windows)
    if advice.preset == "langevin" and description.manifest.anchor_start is not None:
        advice = _held(advice, description)
    return dataclasses.replace(advice, flags=(*advice.flags, *_floor_flags(advice, description)))


def fitting_windows(num_frames: int, subsample: int) -> DataConfig | None:
    """The default windows, with shorter steps, rollouts and shifts where the frames are too few for them.

    Args:
        num_frames: Stored frames of the shortest file.
        subsample: Stored frames per step that suit the motion; fewer are chosen rather than shorter windows.

    Returns:
        Windows of which every file has one or more per phase; None for fewer than 3 frames.
    """
    if num_frames < 3:
        return None
    steps = [stride for stride in reversed(STRIDES) if stride < subsample]
    for stride in (subsample, *steps):
        config = DataConfig(subsample=stride)
        if config.min_frames <= num_frames:
            return dataclasses.replace(config, window_shift=_shift(num_frames, config))
    warm_up = min(DataConfig.warm_up_steps, max(2, num_frames // 4))
    rollout = max(1, num_frames - num_frames // 5 - warm_up)
    config = DataConfig(subsample=1, warm_up_steps=warm_up, rollout_steps=rollout)
    return dataclasses.replace(config, window_shift=_shift(num_frames, config))


def _shift(num_frames: int, config: DataConfig) -> int:
    """The default shift, or the longest with which a phase has four windows."""
    spare = len(range(0, num_frames, config.subsample)) - config.window_steps
    return max(1, min(DataConfig.window_shift, spare // (_MIN_STARTS - 1)))


def _preset(description: Description) -> Advice:
    kind = description.motion.kind
    if kind == "random":
        return Advice(
            "langevin", "moves are random: drift and noise are learned, and paths drawn", _ranges(description)
        )
    if kind == "unknown":
        return Advice("pairwise", "the frames do not tell smooth from random motion: straight motion, corrected")
    if not description.is_box_constant:
        return Advice("verlet", "learned pair forces; `forces` would need one box, the same in all files and frames")
    return Advice("forces", _law(description))


def _ranges(description: Description) -> tuple[str, ...]:
    """The flags of `langevin` that belong to the data: how far particles see, and whether there is a centre."""
    half_height = smallest_half_height(description.manifest, description.directory)
    seen = []
    if description.spacing is not None:
        cutoff = float(f"{_SPACINGS * description.spacing:.2g}")
        seen = [f"--model.cutoff {cutoff if cutoff <= half_height else _rounded_down(half_height):g}"]
    return (*seen, *([] if description.is_around_origin or description.boxes is not None else ["--model.no-centered"]))


def _rounded_down(value: float) -> float:
    """The largest number of three digits that is not larger."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return math.floor(value / unit) * unit


def _held(advice: Advice, description: Description) -> Advice:
    """Advice for particles that are held: what holds them is weak and slow, and shows in long windows and averages."""
    subsample = advice.windows.subsample
    frames = len(range(0, description.min_frames, subsample))
    if frames < _LONG:
        return advice
    windows = DataConfig(subsample=subsample, warm_up_steps=_OBSERVED, rollout_steps=frames - _OBSERVED)
    times = [str(time) for time in (4, 16, 64, 256, 1024) if time <= frames]
    flags = ("--batch-size 1", f"--model.time-constants {' '.join(times)}")
    reason = f"{advice.reason}; windows and averages are long, since anchors hold by weak and slow forces"
    return dataclasses.replace(advice, reason=reason, flags=(*advice.flags, *flags), windows=windows)


def _floor_flags(advice: Advice, description: Description) -> list[str]:
    """The flag for a smaller smallest deviation, where that of the preset is not far below a typical move."""
    motion = description.motion
    move, floor = motion.at(advice.windows.subsample).mean, PRESETS[advice.preset or ""].scale_floor
    return [] if move >= _MIN_FLOORS_PER_MOVE * floor else [f"--model.scale-floor {move / 1000:.0e}"]


def _law(description: Description) -> str:
    """Why a law is fitted, and of which terms."""
    weights = [name for name in ("mass", "charge") if name in description.manifest.features]
    pairs = f"pair forces by {' and '.join(weights)}" if weights else "pair forces"
    terms = [pairs] if description.num_particles[1] > 1 else []
    terms += ["bonds"] if description.manifest.edges is not None else []
    terms += ["friction"] if description.manifest.is_periodic else ["a field", "friction"]
    law = f"{', '.join(terms[:-1])}{' and ' * (len(terms) > 1)}{terms[-1]} are fitted, whichever the data need"
    if description.motion.kind == "smooth":
        reason = f"smooth motion follows from forces: {law}"
    else:
        reason = f"velocities last, with random kicks: {law}; the kicks become spread"
    if description.num_particles[1] > _MANY_PARTICLES:
        reason += "; with many particles, --force-cutoff LENGTH shortens the fit"
    return reason


def _window_flags(windows: DataConfig) -> dict[str, int]:
    """Flags of the windows: always the subsampling, which belongs to the data, the others if they are no defaults."""
    values = {name: getattr(windows, name) for name in ("warm_up_steps", "rollout_steps", "window_shift")}
    changed = {name: value for name, value in values.items() if value != getattr(DataConfig, name)}
    return {name.replace("_", "-"): value for name, value in {"subsample": windows.subsample, **changed}.items()}


def _flags(values: Mapping[str, object]) -> list[str]:
    return [f"--{name} {shlex.quote(str(value))}" for name, value in values.items()]
