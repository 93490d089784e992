"""Windows worth looking at: what a picture or a player needs of them."""

import dataclasses

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class ShownWindow:
    """One window of real particles only, without padding, and what every predictor says of it."""

    label: str
    """`best`, `median` or `worst` by the error of the first predictor, else its rank, `rank 3 of 80`; 1 is the best."""
    trajectory: int
    """Index of the trajectory within its split."""
    first_frame: int
    """Stored frame of the first predicted step; steps are `stride` stored frames apart."""
    stride: int
    """Stored frames from one step to the next."""
    mae: float
    """Mean absolute error of the first predictor in this window, per coordinate, in the data's unit of length."""
    warm_up: Array
    """Observed frames `[T, N, D]`, the last of them `stride` stored frames before the first predicted one."""
    truth: Array
    """True frames `[T', N, D]`."""
    predictions: dict[str, tuple[Array, Array]]
    """Of every predictor the mean `[T', N, D]` and the covariance `[T', N, D, D]`; the first model comes first."""
