"""Following a running experiment or simulation, frame by frame."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from socialmd_tf.serving import inputs
from socialmd_tf.serving.retry import Deadline
from socialmd_tf.serving.transport import Array, Arrays, Floats

Predict = Callable[[str, Arrays, Deadline], dict[str, Array]]


class Coupling:
    """A model that runs beside systems: it receives each observed frame and predicts the next one.

    Every request carries the state of the model. The server keeps none, so a request can be retried and any replica of
    the server can answer it.

    Args:
        predict: Function that requests the outputs of a signature.
        positions: Frames observed so far, `[B, T, N, D]`, in units of length.
        features: `[B, N, F]`.
        deadline: Time limit for reading these frames.
        seconds: Time limit of each later `step`.
    """

    mean: Floats
    """Mean of the positions in the next frame, `[B, N, D]`, in units of length."""
    covariance: Floats
    """Covariance of the positions in the next frame, `[B, N, D, D]`, in units of length squared."""

    def __init__(self, predict: Predict, positions: Floats, features: Floats, deadline: Deadline, seconds: float):
        self._predict, self._seconds = predict, seconds
        self._features = features
        self._mask = np.ones(features.shape[:2], np.float32)
        self._state: dict[str, Array] = {**predict("initial_state", {"positions": positions[:, 0]}, deadline)}
        for frame in np.moveaxis(positions, 1, 0):
            self.advance(frame, deadline)

    def step(self, frame: npt.ArrayLike | None = None) -> tuple[Floats, Floats]:
        """Advance by one frame.

        Args:
            frame: The observed frame, `[B, N, D]`, in units of length. None feeds the last predicted mean back, and
                the uncertainty keeps growing.

        Returns:
            Mean `[B, N, D]` and covariance `[B, N, D, D]` of the following frame.

        Raises:
            ServingError: As for `Client.rollout`; the state is unchanged, and the step can be repeated.
        """
        observed = None if frame is None else inputs.numbers("frame", frame, self.mean.shape)
        return self.advance(observed, Deadline(self._seconds))

    def advance(self, frame: Floats | None, deadline: Deadline) -> tuple[Floats, Floats]:
        """`step` on a checked frame, with a deadline."""
        asked = {
            "positions": self.mean if frame is None else np.ascontiguousarray(frame),
            "features": self._features,
            "mask": self._mask,
            "observed": np.full(len(self._mask), frame is not None),
            **self._state,
        }
        outputs = self._predict("step", asked, deadline)
        self.mean, self.covariance = outputs.pop("mean"), outputs.pop("covariance")
        self._state = outputs
        return self.mean, self.covariance
