"""Predictions of a trained model: the density of every frame, or drawn trajectories."""

import dataclasses
from pathlib import Path

import numpy as np

from pipelines.atomic_files import write_atomically
from pipelines.errors import require


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """Common part of forecasts and samples. With several systems, every array but `times` has B in front."""

    times: np.ndarray
    """`[T']`, counted from the first observed frame."""
    length_unit: str
    """Unit of the positions."""
    time_unit: str | None
    """Unit of the times, if known."""
    model: str
    """The model, NAME/VERSION."""
    box: np.ndarray | None = dataclasses.field(default=None, kw_only=True)
    """The periodic box of the observed frames, in units of length, if there is one. Positions are unwrapped."""

    def __repr__(self):
        """One line, without the numbers."""
        return f"<{self}>"

    def arrays(self):
        """Arrays by name, as `save` writes them."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: np.asarray(value) for name, value in values.items() if value is not None}

    def save(self, path):
        """Write the arrays, units and the model's name as a compressed `.npz` file, whole or not at all.

        Args:
            path: The file, with the ending `.npz`.

        Raises:
            UserError: The ending is another one.
        """
        path = Path(path)
        require(path.suffix == ".npz", "path", "a file with the ending .npz", str(path))
        write_atomically(path, lambda file: np.savez_compressed(file, **self.arrays()))

    def _describe(self, what, shape):
        """One line: what was predicted, for which particles, times and units."""
        names = ("system", "frame", "particle", "dimension")[-len(shape) :]
        counts = [f"{size} {name}{'' if size == 1 else 's'}" for size, name in zip(shape, names, strict=True)]
        unit = f" {self.time_unit}" if self.time_unit else ""
        times = f"times {self.times[0]:.6g} to {self.times[-1]:.6g}{unit}"
        return f"{what} of {self.model}: {', '.join(counts)}; {times}; length unit {self.length_unit}"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Forecast(Prediction):
    """The predicted density of every frame, by its first two moments; the mean is fed back."""

    mean: np.ndarray
    """`[T', N, D]`, in units of length."""
    covariance: np.ndarray
    """`[T', N, D, D]`, in units of length squared."""

    def __str__(self):
        """One line: shapes, times, units, and how the uncertainty grows."""
        variances = np.trace(self.covariance, axis1=-2, axis2=-1) / self.mean.shape[-1]
        first, last = (np.sqrt(np.mean(variances[..., step, :])) for step in (0, -1))
        text = self._describe("Forecast", self.mean.shape)
        return f"{text}; standard deviation {first:.3g} in the first frame, {last:.3g} in the last"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Samples(Prediction):
    """Trajectories drawn from the predicted densities; the drawn positions are fed back."""

    positions: np.ndarray
    """`[S, T', N, D]`, in units of length; with several systems `[B, S, T', N, D]`."""

    def __str__(self):
        """One line: shapes, times and units."""
        *systems, number, num_steps, num_particles, num_dimensions = self.positions.shape
        shape = (*systems, num_steps, num_particles, num_dimensions)
        return self._describe(f"{number} samples", shape)
