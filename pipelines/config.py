"""Configuration of the data: the only place where its defaults live."""

import dataclasses

from pipelines.errors import require

_MOST_PHASES = 5


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """How trajectories become windows (thesis section 4.3).

    With the defaults, a simulation of 1000 frames gives 5 phases x 4 windows x 10 rotations = 200 samples: 20 000
    samples of 100 training simulations and 4 000 of 20 validation simulations.
    """

    subsample: int = 20
    """Keep every n-th stored frame."""
    subsample_phases: int | None = None
    """Number of times each trajectory is read, each time from a later first frame; must divide `subsample`. By default
    its largest divisor up to 5. Our reading of the thesis, whose sample counts need 5."""
    warm_up_steps: int = 5
    """Number of observed frames before the prediction (T)."""
    rollout_steps: int = 30
    """Number of predicted frames (T')."""
    window_shift: int = 5
    """Number of subsampled frames from the start of one window to the start of the next."""
    rotations: int = 10
    """Number of randomly rotated copies of each window per epoch; 0 for no rotation."""

    def __post_init__(self) -> None:
        """Check every field."""
        for name in ("subsample", "warm_up_steps", "rollout_steps", "window_shift"):
            value = getattr(self, name)
            require(type(value) is int and value >= 1, name, "an integer of at least 1", value)
        rotations, phases = self.rotations, self.subsample_phases
        require(type(rotations) is int and rotations >= 0, "rotations", "an integer of at least 0", rotations)
        divides = phases is None or (type(phases) is int and phases >= 1 and self.subsample % phases == 0)
        require(divides, "subsample_phases", f"a divisor of `subsample` = {self.subsample}", phases)

    @property
    def num_phases(self) -> int:
        """Number of subsampling phases: `subsample_phases`, or the largest divisor of `subsample` up to 5."""
        if self.subsample_phases is not None:
            return self.subsample_phases
        return max(count for count in range(1, _MOST_PHASES + 1) if self.subsample % count == 0)

    def resolved(self) -> "DataConfig":
        """The same configuration with `subsample_phases` as a number."""
        return dataclasses.replace(self, subsample_phases=self.num_phases)

    @property
    def window_steps(self) -> int:
        """Number of frames in a window: T + T'."""
        return self.warm_up_steps + self.rollout_steps

    @property
    def min_frames(self) -> int:
        """Number of stored frames for which every phase has at least one window."""
        last_phase = self.subsample - self.subsample // self.num_phases
        return last_phase + (self.window_steps - 1) * self.subsample + 1
