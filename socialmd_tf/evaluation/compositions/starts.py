"""Observed frames of a mixture that was never simulated: those of training files, with the types redrawn."""

import dataclasses
import math
from pathlib import Path

import numpy as np

from pipelines.common_windows import CommonWindows
from pipelines.errors import UserError
from pipelines.side_files import open_file


class RelabelledStarts:
    """Observed frames from the training split, in which the types of the particles are redrawn.

    Positions, boxes, bonds, anchors and observed velocities are those of a training file. What the frames hold of the
    composition of that file, such as drugs that have sunk in already, they keep: the model must relax it.

    Args:
        manifest: The `Manifest`, whose `own_features` are types, one-hot.
        directory: Directory of the dataset.
        config: The `DataConfig` of the model.
        first_frame: First observed stored frame.

    Raises:
        UserError: A training file has too few frames.
    """

    def __init__(self, manifest, directory, config, first_frame):
        self._directory, self._config = Path(directory), dataclasses.replace(config, rollout_steps=1)
        self._windows = CommonWindows([dataclasses.replace(self._config, subsample_phases=1)])
        self._num_files = len(manifest.splits["train"])
        self._columns = {name: manifest.particle_features.index(name) for name in manifest.own_features}
        self.last_frame = first_frame + config.subsample * (config.warm_up_steps - 1)
        """The last observed stored frame."""
        self.shortest = math.inf
        """Stored frames of the shortest training file."""
        needed = self.last_frame + config.subsample + 1
        for file in manifest.splits["train"]:
            found = len(open_file(manifest, self._directory, file))
            self.shortest = min(self.shortest, found)
            if found < needed:
                raise UserError(
                    f"{self._directory / file}: expected at least {needed} frames, to observe {config.warm_up_steps} "
                    f"from frame {first_frame} on; found {found}. Change --first-frame"
                )

    def systems(self):
        """Yield the last observed frame `[n, D]` of every training file, its features `[n, F]`, and box or None."""
        for inputs in self._inputs(np.arange(self._num_files)):
            for row, mask in enumerate(inputs["mask"] > 0):
                box = inputs["box"][row].astype(np.float64) if "box" in inputs else None
                yield inputs["positions"][row, -1][mask].astype(np.float64), inputs["features"][row][mask], box

    def batches(self, mixture, num_samples, seed):
        """Yield inputs of a model, `[B, ...]`, for `num_samples` systems of a `Mixture` in all.

        Files are taken in a random order, again and again. The same seed takes the same frames for every mixture.
        """
        files, labels = np.random.default_rng((seed, 0)), np.random.default_rng((seed, 1))
        order = np.resize(files.permutation(self._num_files), num_samples)
        for inputs in self._inputs(order):
            features = inputs["features"].copy()
            for row, mask in enumerate(inputs["mask"] > 0):
                features[row, mask] = mixture.relabel(features[row, mask], self._columns, labels)
            yield {**inputs, "features": features}

    def _inputs(self, files):
        index = np.stack([files, np.full(len(files), self.last_frame)], axis=1)
        for batch in self._windows.batches(self._directory, "train", index):
            yield batch.inputs(self._config)
