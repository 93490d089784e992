"""Following a running experiment or simulation, frame by frame."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from socialmd_tf.serving import inputs, optional_inputs
from socialmd_tf.serving.errors import InvalidRequest
from socialmd_tf.serving.retry import Deadline
from socialmd_tf.serving.transport import Array, Arrays, Floats

Predict = Callable[[str, Arrays, Deadline], dict[str, Array]]


class Coupling:
    """A model that runs beside systems: it receives each observed frame and predicts the next one.

    Every request carries the state of the model. The server keeps none, so a request can be retried and any replica of
    the server can answer it.

    Args:
        predict: Function that requests the outputs of a signature.
        systems: What has been observed so far: `positions` `[B, T, N, D]`, unwrapped, `features` `[B, N, F]`, and the
            optional inputs of the model: `box`, `edges`, `velocities`.
        deadline: Time limit for reading these frames.
        seconds: Time limit of each later `step`.
    """

    mean: Floats
    """Mean of the positions in the next frame, `[B, N, D]`, in units of length."""
    covariance: Floats
    """Covariance of the positions in the next frame, `[B, N, D, D]`, in units of length squared."""

    def __init__(self, predict: Predict, systems: Arrays, deadline: Deadline, seconds: float):
        self._predict, self._seconds = predict, seconds
        self._constant = {name: systems[name] for name in ("features", "box", "edges") if name in systems}
        self._constant["mask"] = np.ones(systems["features"].shape[:2], np.float32)
        self._takes_velocities = "velocities" in systems
        positions = systems["positions"]
        self._state: dict[str, Array] = {**predict("initial_state", {"positions": positions[:, 0]}, deadline)}
        for index in range(positions.shape[1]):
            velocities = systems["velocities"][:, index] if self._takes_velocities else None
            self.advance(positions[:, index], velocities, deadline)

    def step(
        self, frame: npt.ArrayLike | None = None, velocities: npt.ArrayLike | None = None
    ) -> tuple[Floats, Floats]:
        """Advance by one frame.

        Args:
            frame: The observed frame, `[B, N, D]`, in units of length. None feeds the last predicted mean back, and
                the uncertainty keeps growing. In a periodic box, the images nearest to the last positions are taken.
            velocities: Velocities in the observed frame, `[B, N, D]`, in units of length per frame interval, if they
                were measured and the model takes them.

        Returns:
            Mean `[B, N, D]` and covariance `[B, N, D, D]` of the following frame.

        Raises:
            ServingError: As for `Client.rollout`; the state is unchanged, and the step can be repeated.
        """
        observed = None if frame is None else inputs.numbers("frame", frame, self.mean.shape)
        if velocities is not None:
            if observed is None or not self._takes_velocities:
                reason = "without a `frame`" if self._takes_velocities else "this model takes none"
                raise InvalidRequest(f"`velocities` must be left out: {reason}")
            velocities = inputs.numbers("velocities", velocities, self.mean.shape)
        if observed is not None:
            observed = optional_inputs.follow(observed, self._state["state_positions"], self._constant.get("box"))
        return self.advance(observed, velocities, Deadline(self._seconds))

    def advance(self, frame: Floats | None, velocities: Floats | None, deadline: Deadline) -> tuple[Floats, Floats]:
        """`step` on a checked, unwrapped frame, with a deadline."""
        positions = self.mean if frame is None else np.ascontiguousarray(frame)
        asked = {
            "positions": positions,
            "observed": np.full(len(positions), frame is not None),
            **self._constant,
            **self._state,
        }
        if self._takes_velocities:
            asked["velocities"] = np.zeros_like(positions) if velocities is None else np.ascontiguousarray(velocities)
            asked["velocities_observed"] = np.full(len(positions), velocities is not None)
        outputs = self._predict("step", asked, deadline)
        self.mean, self.covariance = outputs.pop("mean"), outputs.pop("covariance")
        self._state = outputs
        return self.mean, self.covariance
