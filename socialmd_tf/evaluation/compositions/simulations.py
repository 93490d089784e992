"""The simulations of a dataset, of all its splits, as curves of summary statistics."""

import dataclasses
from pathlib import Path

import numpy as np

from pipelines.boxes import images
from pipelines.common_windows import read_unwrapped
from pipelines.side_files import open_file
from socialmd_tf.evaluation.ensembles.curves import System, curves


@dataclasses.dataclass(frozen=True)
class Simulation:
    """One file of the dataset and its re-runs."""

    group: str | int
    """The simulation that the file is a part of."""
    in_training: bool
    """Whether it is a file of the training split."""
    counts: dict[str, int]
    """Type -> number of its particles."""
    runs: dict[str, np.ndarray]
    """Statistic -> its curve in the file and in each of the R re-runs, `[1 + R, K, ...]`."""

    @property
    def num_reruns(self):
        """R."""
        return max(map(len, self.runs.values()), default=1) - 1

    def share(self, drug):
        """Share of a type among the particles."""
        return self.counts[drug] / sum(self.counts.values())

    def is_of(self, names):
        """Whether all particles are of these types."""
        return all(name in names or not count for name, count in self.counts.items())


class Simulations:
    """The files of a dataset that are long enough, and their re-runs.

    A re-run shares the frames of its file up to the one that it restarts, which come before its own.

    Args:
        manifest: The `Manifest`.
        directory: Directory of the dataset.
        setting: The `Setting`.
        names: Families of statistics.
        frames: Stored frames of a path, the first one the last observed, `[T' + 1]`.

    Attributes:
        found: List of `Simulation`.
        num_short: Number of files and re-runs that end too early.
    """

    def __init__(self, manifest, directory, setting, names, frames):
        self._manifest, self._directory, self._setting = manifest, Path(directory), setting
        self._names, self._frames = names, frames
        self.found, self.num_short = [], 0
        for split, files in manifest.splits.items():
            for file in files:
                self._add(file, split == "train")

    def _add(self, file, in_training):
        trajectory = open_file(self._manifest, self._directory, file)
        if len(trajectory) <= self._frames[-1]:
            self.num_short += 1 + sum(map(len, self._manifest.reruns_of(file).values()))
            return
        columns = read_unwrapped(trajectory, self._frames, self._manifest.num_dimensions)
        names = list(self._manifest.features)
        chosen = [self._manifest.num_dimensions + names.index(name) for name in self._manifest.particle_features]
        features = columns[0][:, chosen]
        boxes, groups = trajectory.boxes, self._setting.groups.names
        box = None if boxes is None else boxes[min(self._frames[0], len(boxes) - 1)]
        system = System(self._setting.kinds(features), features, box)
        paths = [self._positions(columns), *self._reruns(file, trajectory, box)]
        rows = [curves(path, system, self._setting, self._names) for path in paths]
        counts = dict(zip(groups, np.bincount(system.kinds, minlength=len(groups)).tolist(), strict=True))
        runs = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        self.found.append(Simulation(self._manifest.group_of(file), in_training, counts, runs))

    def _reruns(self, file, trajectory, box):
        """Yield the path `[T' + 1, n, D]` of every re-run of a file that begins before the end of the path."""
        for frame, reruns in self._manifest.reruns_of(file).items():
            before, after = self._frames[self._frames <= frame], self._frames[self._frames > frame] - frame
            shared = self._read(trajectory, np.append(before, frame))
            for rerun in reruns if len(after) else ():
                own = open_file(self._manifest, self._directory, rerun)
                if len(own) <= after[-1]:
                    self.num_short += 1
                    continue
                path = self._read(own, np.append(0, after))
                if box is not None:
                    path = path - images(path[0] - shared[-1], box)
                yield np.concatenate([shared[:-1], path[1:]])

    def _read(self, trajectory, frames):
        return self._positions(read_unwrapped(trajectory, frames, self._manifest.num_dimensions))

    def _positions(self, columns):
        return columns[..., : self._manifest.num_dimensions].astype(np.float64)
