"""Paths drawn from an exported model."""

import numpy as np

_PAIRS_PER_BATCH = 1 << 18


class DrawnPaths:
    """Independent paths drawn from an exported model, batch by batch so that memory is bounded.

    Args:
        model: The exported model.
        config: The `DataConfig` of its windows.
        windows: The `CommonWindows` of the `Cases`.
        num_samples: S.
    """

    def __init__(self, model, config, windows, num_samples):
        self._model, self._config, self._num_samples = model, config, num_samples
        self._steps = windows.steps_of(config)

    def paths(self, case, number):
        """Paths `[S, T' + 1, n, D]` from a `Case` and its number, which is part of the seed."""
        inputs = case.inputs(self._config)
        size = max(1, min(self._num_samples, _PAIRS_PER_BATCH // inputs["positions"].shape[2] ** 2))
        drawn = []
        for start in range(0, self._num_samples, size):
            count = min(size, self._num_samples - start)
            rows = {name: np.repeat(value, count, axis=0) for name, value in inputs.items()}
            seed = (number, start)
            drawn.append(self._model.paths(rows["positions"], rows["features"], self._steps.stop, seed, None, rows))
        future = np.concatenate(drawn)[:, self._steps].astype(np.float64)
        start = np.broadcast_to(case.runs[0, :1], (len(future), 1, *future.shape[2:]))
        return np.concatenate([start, future], axis=1)
