"""Windows worth looking at, with all that a picture or an animation needs."""

import dataclasses

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_EVENLY_SPACED = 7


@dataclasses.dataclass(frozen=True)
class ExampleWindow:
    """One window and its predictions; real particles only, without padding. Lengths in the unit of the data."""

    label: str
    """`best`, `median` or `worst` by the error of the first predictor, or its rank: `rank 3 of 80`; 1 is the best."""
    trajectory: int
    """Index of the trajectory within its split."""
    first_frame: int
    """Stored frame of the first predicted step."""
    stride: int
    """Stored frames from one step to the next."""
    mae: float
    """Mean absolute error of the first predictor in this window, per coordinate."""
    warm_up: Array
    """Observed frames `[T, N, D]`; the last one is `stride` stored frames before the first predicted one."""
    truth: Array
    """True frames `[T', N, D]`."""
    predictions: dict[str, tuple[Array, Array]]
    """Name of a predictor -> mean `[T', N, D]` and covariance `[T', N, D, D]`; the first model comes first."""
    samples: dict[str, Array] = dataclasses.field(default_factory=dict)
    """Name of a model -> drawn paths `[S, T', N, D]`, for models that draw."""
    kinds: tuple[str, ...] | None = None
    """Of each particle its name if the features are one-hot, else its features as text; None without features."""
    box: Array | None = None
    """Lattice vectors of the periodic box in rows `[D, D]`, at the last observed frame; None in open space. Frames are
    unwrapped."""


def describe(names, features):
    """What is known of each particle.

    Args:
        names: The manifest's `own_features`.
        features: Their values `[N, F]`.

    Returns:
        `[N]` texts, see `ExampleWindow.kinds`; None without features.
    """
    if not names:
        return None
    if np.isin(features, (0, 1)).all() and (features.sum(axis=1) == 1).all():
        return tuple(names[kind] for kind in features.argmax(axis=1))
    return tuple(", ".join(f"{name} {value:.3g}" for name, value in zip(names, row, strict=True)) for row in features)


def choose(errors):
    """Choose example windows by rank.

    Args:
        errors: Error of every window `[W]`.

    Returns:
        List of (label, index of a window): the best, the median (the lower of two), the worst, then others evenly
        spaced in rank; at most eight, each window once.
    """
    order = np.argsort(errors, kind="stable")
    last = len(order) - 1
    labels = {0: "best", last // 2: "median", last: "worst"} | {0: "best"}
    for rank in np.linspace(0, last, _EVENLY_SPACED)[1:-1].round().astype(int).tolist():
        labels.setdefault(rank, f"rank {rank + 1} of {last + 1}")
    return [(label, int(order[rank])) for rank, label in labels.items()]
