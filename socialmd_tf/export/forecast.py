"""Predictions of a trained model: the density of every frame, or drawn trajectories."""

import dataclasses
from pathlib import Path

import numpy as np

from pipelines.atomic_files import write_atomically
from pipelines.boxes import lattice_vectors
from pipelines.errors import require
from socialmd_tf.export.formats.atoms import atoms
from socialmd_tf.export.formats.dataset import dataset
from socialmd_tf.export.formats.trajectory import trajectory
from socialmd_tf.export.formats.universe import universe


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
    """The periodic box of the last observed frame, in units of length, if there is one. Positions are unwrapped."""
    types: tuple[str, ...] | None = dataclasses.field(default=None, kw_only=True)
    """Names of the particles' types `[N]`, if known: the molecules of a dataset made by `prepare`."""

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

    def to_mdanalysis(self):
        """The predicted paths as an `MDAnalysis.Universe`, one atom and one residue per particle.

        Returns:
            A universe: positions in angstrom, times in ps, the box, and the types as names (X if unknown). Numbers of
            unknown units are kept; z is 0 in two dimensions. Of several systems or samples, a list of universes.

        Raises:
            UserError: MDAnalysis is not installed, or cannot hold the box.
        """
        return self._each(universe)

    def to_ase(self):
        """The predicted paths as `ase.Atoms`, one per frame.

        Returns:
            A list: positions in angstrom, `info["time"]` in ps, cell and periodic axes, symbols X and the array `label`
            with the types. Numbers of unknown units are kept; z is 0 in two dimensions. Of several systems or samples,
            a list of such lists.

        Raises:
            UserError: ASE is not installed.
        """
        return self._each(atoms)

    def to_xarray(self):
        """All arrays as an `xarray.Dataset`, in the units of the data.

        Returns:
            A data set with the axes `time`, `particle` and `dimension` (x, y, z), before them `system` and `sample`
            where there are several; `covariance` has the axis `other_dimension`, too. Units are attributes.

        Raises:
            UserError: xarray is not installed.
        """
        arrays, units = self._named(), self._units()
        axes = list("xyz"[: self._paths().shape[-1]])
        coordinates = {"time": (("time",), self.times), "dimension": (("dimension",), axes)}
        if self.types is not None:
            coordinates["type"] = (("particle",), list(self.types))
        if self.box is not None:
            arrays["box"] = (("box_vector", "dimension"), lattice_vectors(self.box, len(axes)))
        attributes = {"model": self.model, "length_unit": self.length_unit, "time_unit": self.time_unit}
        return dataset(arrays, coordinates, units, attributes)

    def _each(self, convert):
        """The conversion of every path `[T', N, D]`, in lists nested like the axes before."""

        def nested(positions):
            if positions.ndim > 3:
                return [nested(each) for each in positions]
            facts = (self.times, self.length_unit, self.time_unit, self.types, self.box)
            return convert(trajectory(positions, *facts))

        return nested(self._paths())

    def _units(self):
        length = self.length_unit
        return {"mean": length, "positions": length, "box": length, "covariance": f"{length}^2", "time": self.time_unit}

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

    def _paths(self):
        return self.mean

    def _named(self):
        """Arrays with the names of their axes."""
        axes = (*["system"][: self.mean.ndim - 3], "time", "particle", "dimension")
        return {"mean": (axes, self.mean), "covariance": ((*axes, "other_dimension"), self.covariance)}

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

    def _paths(self):
        return self.positions

    def _named(self):
        """Arrays with the names of their axes."""
        axes = (*["system"][: self.positions.ndim - 4], "sample", "time", "particle", "dimension")
        return {"positions": (axes, self.positions)}

    def __str__(self):
        """One line: shapes, times and units."""
        *systems, number, num_steps, num_particles, num_dimensions = self.positions.shape
        shape = (*systems, num_steps, num_particles, num_dimensions)
        return self._describe(f"{number} samples", shape)
