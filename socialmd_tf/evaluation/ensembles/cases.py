"""The states from which ensembles are drawn, and what the simulation did from there on."""

import dataclasses
import math
from pathlib import Path

import numpy as np

from pipelines.boxes import images
from pipelines.common_windows import Batch, CommonWindows, read_unwrapped
from pipelines.errors import UserError, require
from pipelines.manifest import Manifest
from pipelines.side_files import open_file

_OPTIONAL = ("box", "edges", "velocities")


@dataclasses.dataclass(frozen=True)
class Case:
    """One state of one file of n particles."""

    file: str
    """The file."""
    group: str | int
    """The simulation that it is a part of."""
    frame: int
    """The last observed stored frame."""
    runs: np.ndarray
    """What happened, `[1 + R, T' + 1, n, D]`: the file, then its R re-runs from this frame, which is the first one."""
    features: np.ndarray
    """The manifest's `particle_features`, `[n, F]`."""
    batch: Batch
    """The observed frames, a batch of one window."""

    @property
    def box(self):
        """Lattice vectors `[D, D]` at the last observed frame, or None."""
        return None if self.batch.box is None else np.asarray(self.batch.box[0], np.float64)

    def inputs(self, config):
        """Inputs of a model that was trained with this `DataConfig`, `[1, ...]`, without padding and mask."""
        inputs, real = self.batch.inputs(config), self.batch.mask[0] > 0
        found = {name: inputs[name] for name in _OPTIONAL if name in inputs}
        if "edges" in found:
            found["edges"] = found["edges"][:, real][:, :, real]
        if "velocities" in found:
            found["velocities"] = found["velocities"][:, :, real]
        return found | {"positions": inputs["positions"][:, :, real], "features": inputs["features"][:, real]}


class Cases:
    """The states of a split: where a file's re-runs begin, or else the first frame at which all models can begin.

    Args:
        configs: The `DataConfig` of every model.
        directory: Directory of the dataset.
        split: Name of the split.
        horizon: Number of stored frames to predict; None for as many as all files, re-runs and models allow.
        reach: Largest number of stored frames that every model can predict.

    Raises:
        UserError: The horizon is too long or too short, or re-runs begin before a model has observed its frames.
    """

    def __init__(self, configs, directory, split, horizon, reach=math.inf):
        self.manifest, self._directory, self._split = Manifest.load(directory), Path(directory), split
        files = self.manifest.splits[split]
        first = max(config.subsample * (config.warm_up_steps - 1) for config in configs)
        starts = [(number, start) for number, file in enumerate(files) for start in self._starts(file, first)]
        horizon = self._horizon(files, starts, horizon, reach, math.lcm(*(config.subsample for config in configs)))
        configs = [
            dataclasses.replace(config, subsample_phases=1, rollout_steps=horizon // config.subsample)
            for config in configs
        ]
        self.windows = CommonWindows(configs)
        """The `CommonWindows` of whole trajectories: `steps_of` and `num_steps` (T')."""
        self.index = np.array(starts, np.int64)
        """(file, last observed frame) `[C, 2]`."""

    def __len__(self):
        """Number of states."""
        return len(self.index)

    @property
    def num_reruns(self):
        """Number of re-runs of all states."""
        return sum(len(self._reruns(number, frame)) for number, frame in self.index)

    def training_features(self):
        """The `particle_features` `[n, F]` of every file of the training split."""
        size, names = self.manifest.num_dimensions, list(self.manifest.features)
        chosen = [size + names.index(name) for name in self.manifest.particle_features]
        files = (open_file(self.manifest, self._directory, file) for file in self.manifest.splits["train"])
        return [file[0][:, chosen] for file in files]

    @property
    def frames(self):
        """The stored frames of a path, counted from the last observed one, `[T' + 1]`."""
        return self.windows.spacing * np.arange(self.windows.num_steps + 1)

    def __iter__(self):
        """Read the states one after the other."""
        return self.read(self.index)

    def read(self, rows):
        """Read some states, rows of `index`, one after the other."""
        for batch in self.windows.batches(self._directory, self._split, rows):
            for place in range(len(batch.mask)):
                yield self._case(_only(batch, place))

    def _case(self, batch):
        """The `Case` of a batch of one window."""
        number, frame, real = batch.trajectories[0], int(batch.last_observed[0]), batch.mask[0] > 0
        last = batch.inputs(self.windows.reference)["positions"][:, -1:]
        truth = np.concatenate([last, batch.targets], axis=1)[0][:, real].astype(np.float64)
        runs = [truth, *(self._read(rerun, truth[0], batch.box) for rerun in self._reruns(number, frame))]
        file = self.manifest.splits[self._split][number]
        return Case(file, self.manifest.group_of(file), frame, np.stack(runs), batch.features[0][real], batch)

    def _read(self, rerun, start, box):
        """The path of a re-run `[T' + 1, n, D]`; in a periodic box, from the image that was observed."""
        trajectory = open_file(self.manifest, self._directory, rerun)
        path = read_unwrapped(trajectory, self.frames, self.manifest.num_dimensions)
        path = path[..., : self.manifest.num_dimensions].astype(np.float64)
        return path if box is None else path - images(path[0] - start, np.asarray(box[0], np.float64))

    def _reruns(self, number, frame):
        return self.manifest.reruns_of(self.manifest.splits[self._split][number]).get(int(frame), ())

    def _starts(self, file, first):
        starts = list(self.manifest.reruns_of(file)) or [first]
        if starts[0] < first:
            raise UserError(
                f"`model` must name models that begin by frame {starts[0]}, where the re-runs of {file} do. "
                f"Received: one that observes frames up to {first}"
            )
        return starts

    def _horizon(self, files, starts, horizon, reach, spacing):
        """The horizon in stored frames, checked against every file and re-run."""
        ends = {}
        for number, frame in starts:
            ends[files[number]] = len(open_file(self.manifest, self._directory, files[number])) - 1 - frame
            for rerun in self.manifest.reruns_of(files[number]).get(frame, ()):
                ends[rerun] = len(open_file(self.manifest, self._directory, rerun)) - 1
        shortest = min(ends, key=ends.get)
        if ends[shortest] < spacing:
            raise UserError(
                f"{self._directory / shortest}: expected at least {spacing} frames after the last observed one, "
                f"found {max(ends[shortest], 0)}"
            )
        if horizon is None:
            return min(ends[shortest], reach)
        right = horizon <= ends[shortest]
        require(right, "horizon", f"at most {ends[shortest]} stored frames, as far as {shortest} goes", horizon)
        require(horizon <= reach, "horizon", f"at most {reach} stored frames, the models' `max_horizon`", horizon)
        require(horizon >= spacing, "horizon", f"at least {spacing} stored frames, one step", horizon)
        return horizon


def _only(batch, place):
    """One window of a `Batch` as a batch."""

    def row(value):
        if isinstance(value, dict):
            return {view: row(values) for view, values in value.items()}
        return None if value is None else value[place : place + 1]

    return Batch(*(row(getattr(batch, field.name)) for field in dataclasses.fields(Batch)))
