"""The simulations of the training split, as the baselines use them."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from pipelines.common_windows import read_unwrapped
from pipelines.side_files import open_file
from socialmd_tf.evaluation.ensembles.curves import System, curves

_MOST_FILES = 64
_MOST_STRETCHES = 64


class TrainingRuns:
    """Up to 64 files of the training split, spread evenly.

    Args:
        cases: The `Cases`, whose frames and manifest count.
        directory: Directory of the dataset.
        setting: The `Setting`.
        names: Families of statistics.
    """

    def __init__(self, cases, directory, setting, names):
        self._arguments = cases, directory, setting, names
        self._manifest, self._directory = cases.manifest, Path(directory)
        self._frames, self._setting, self._names = cases.frames, setting, names
        files = self._manifest.splits["train"]
        spread = np.unique(np.linspace(0, len(files) - 1, min(len(files), _MOST_FILES)).round().astype(int))
        self._files = [files[place] for place in spread]
        self.statistics_from = lru_cache(maxsize=4)(self._statistics_from)
        self.stretches_of = lru_cache(maxsize=1)(self._stretches_of)

    def __reduce__(self):
        """Without what was computed, for other processes."""
        return TrainingRuns, self._arguments

    def move_variances(self):
        """Variance of a coordinate of a move over one step, per group `[G]`; NaN for groups that never occur."""
        count = len(self._setting.groups.names)
        total, number = np.zeros(count), np.zeros(count)
        for file in self._files:
            trajectory = open_file(self._manifest, self._directory, file)
            path, features, _ = self._split(trajectory, np.arange(0, len(trajectory), self._frames[1]))
            kinds, squares = self._setting.kinds(features), np.square(np.diff(path, axis=0))
            for kind in range(count):
                total[kind] += squares[:, kinds == kind].sum()
                number[kind] += squares[:, kinds == kind].size
        with np.errstate(invalid="ignore"):
            return total / number

    def _statistics_from(self, frame):
        """The curves of every file that is long enough, from a stored frame on.

        Returns:
            List of (number of particles of each group `[G]`, own features sorted `[n, F]`, and curves, see
            `curves.curves`).
        """
        found = []
        for file in self._files:
            trajectory = open_file(self._manifest, self._directory, file)
            if len(trajectory) <= frame + self._frames[-1]:
                continue
            system, statistics = self._curves(trajectory, frame)
            counts = np.bincount(system.kinds, minlength=len(self._setting.groups.names))
            own = composition(system.features[:, self._setting.own_features])
            found.append((counts, own, statistics))
        return found

    def _stretches_of(self, group):
        """The curves of up to 64 stretches of the training files of a simulation, evenly spread over each file.

        Args:
            group: As `Case.group`.

        Returns:
            List of curves; stretches overlap if there are many.
        """
        files = [file for file in self._manifest.splits["train"] if self._manifest.group_of(file) == group]
        found = []
        for file in files:
            trajectory = open_file(self._manifest, self._directory, file)
            last = len(trajectory) - 1 - self._frames[-1]
            most = max(_MOST_STRETCHES // len(files), 1)
            starts = np.linspace(0, last, min(last + 1, most)).round().astype(int) if last >= 0 else ()
            found += [self._curves(trajectory, start)[1] for start in starts]
        return found

    def _curves(self, trajectory, frame):
        """The `System` of a file and its curves from a stored frame on."""
        path, features, box = self._split(trajectory, frame + self._frames)
        system = System(self._setting.kinds(features), features, box)
        return system, curves(path, system, self._setting, self._names)

    def _split(self, trajectory, frames):
        """Unwrapped positions `[K, n, D]`, `particle_features` `[n, F]` and box `[D, D]` or None."""
        columns, size = read_unwrapped(trajectory, frames, self._setting.num_dimensions), self._setting.num_dimensions
        names = list(self._manifest.features)
        chosen = [size + names.index(name) for name in self._manifest.particle_features]
        boxes = trajectory.boxes
        box = None if boxes is None else boxes[min(frames[0], len(boxes) - 1)]
        return columns[..., :size].astype(np.float64), columns[0][:, chosen], box


def composition(own_features):
    """Features `[n, F]` with particles in an order that depends only on them, to compare two systems."""
    return own_features[np.lexsort(own_features.T[::-1])] if own_features.shape[1] else own_features
