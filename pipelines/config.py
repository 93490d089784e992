"""Configuration of the data: the only place where its defaults live."""

import dataclasses

from pipelines.errors import require


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """How trajectories become windows (thesis section 4.3).

    With the defaults a simulation of 1000 frames gives 5 phases x 4 windows x 10 rotations = 200 samples, so
    that 100 training simulations give 20 000 samples and 20 validation simulations 4 000.
    """

    subsample: int = 20
    """Keep every so many-th stored frame."""
    subsample_phases: int = 5
    """Read every trajectory this often, the first frame shifted by subsample / phases each time.
    Must divide `subsample`; our reading of the thesis, whose sample counts need 5."""
    warm_up_steps: int = 5
    """Observed frames the model warms up on (T)."""
    rollout_steps: int = 30
    """Frames the model predicts after them (T')."""
    window_shift: int = 5
    """Subsampled frames between the starts of two windows."""
    rotations: int = 10
    """Randomly rotated copies of every window an epoch; 0 leaves the windows as they are."""

    def __post_init__(self) -> None:
        """Check every field."""
        for name in ("subsample", "subsample_phases", "warm_up_steps", "rollout_steps", "window_shift"):
            value = getattr(self, name)
            require(type(value) is int and value >= 1, name, "an integer of at least 1", value)
        require(
            type(self.rotations) is int and self.rotations >= 0, "rotations", "an integer of at least 0", self.rotations
        )
        require(
            self.subsample % self.subsample_phases == 0,
            "subsample_phases",
            f"a divisor of `subsample` = {self.subsample}",
            self.subsample_phases,
        )

    @property
    def window_steps(self) -> int:
        """Frames of a window: T + T'."""
        return self.warm_up_steps + self.rollout_steps

    @property
    def min_frames(self) -> int:
        """Stored frames a trajectory needs so that every phase holds at least one window."""
        last_phase = self.subsample - self.subsample // self.subsample_phases
        return last_phase + (self.window_steps - 1) * self.subsample + 1
