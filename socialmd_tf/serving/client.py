"""A client of TensorFlow Serving for exported models: NumPy in, NumPy out, no TensorFlow."""

import functools
import math
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from socialmd_tf.serving import inputs, optional_inputs
from socialmd_tf.serving.coupling import Coupling
from socialmd_tf.serving.errors import InvalidRequest, ServingError
from socialmd_tf.serving.retry import Deadline, call
from socialmd_tf.serving.transport import Arrays, Floats, Metadata, TensorSpec, Transport

_LARGEST_ANSWER = 2**24  # bytes of float32; JSON takes several times more


class Client:
    """Requests rollouts from a model server.

    Threads may share a client. It retries connection failures and timeouts, with growing pauses, while retries and
    time are left. It does not retry a request that the server refuses.

    Args:
        address: "host:port"; over REST also a URL.
        model: Name of the model on the server.
        protocol: "grpc", whose messages are smaller, or "rest".
        deadline: Largest total time of one method call, in seconds.
        retries: Largest number of retries per request.
        version: Version of the model; by default the newest that the server has.
        longest_rollout: Longer rollouts are requested frame by frame, as are those with a very large answer. The
            result is the same, and may be longer than the graph's `max_horizon`.

    Raises:
        InvalidRequest: An argument is not allowed.
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        protocol: Literal["grpc", "rest"] = "grpc",
        deadline: float = 60.0,
        retries: int = 5,
        version: int | None = None,
        longest_rollout: int = 1000,
    ):
        if not 0 < deadline < math.inf:
            raise InvalidRequest(f"`deadline` must be positive and finite. Received: {deadline}")
        self._deadline = deadline
        self._retries = int(inputs.integers("retries", retries, least=0))
        self._longest_rollout = int(inputs.integers("longest_rollout", longest_rollout, least=1))
        self._transport: Transport | None = _connect(protocol, address, model, version)
        self._known: Metadata | None = None

    def rollout(
        self,
        positions: npt.ArrayLike,
        features: npt.ArrayLike | None = None,
        horizon: int = 30,
        *,
        box: npt.ArrayLike | None = None,
        edges: npt.ArrayLike | None = None,
        velocities: npt.ArrayLike | None = None,
    ) -> tuple[Floats, Floats]:
        """Predict the next frames; the mean of every frame is fed back.

        Args:
            positions: Observed frames `[B, T, N, D]`, in units of length; in a periodic box, wrapped or not.
            features: `[B, N, F]`; optional if the model has none.
            horizon: Number of frames.
            box: Periodic box, for models that take one: edge lengths `[D]` or lattice vectors in rows `[D, D]`, the
                same for all systems, or `[B, D, D]`, in units of length. Zeros are an open axis.
            edges: Bonds, for models that take them: rows of i, j and type `[E, 3]`, the same for all systems, or types
                `[B, N, N]`, symmetric, 0 for none.
            velocities: Observed velocities, for models that take them, `[B, T, N, D]`, in units of length per frame
                interval of the model.

        Returns:
            Mean `[B, horizon, N, D]` in units of length, and covariance `[B, horizon, N, D, D]`.

        Raises:
            InvalidRequest: The input does not fit the model.
            Unavailable: The server was not reached, after all retries.
            DeadlineExceeded: The server did not answer in time.
            ServingError: The server failed.
        """
        deadline = Deadline(self._deadline)
        systems = self._systems(positions, features, {"box": box, "edges": edges, "velocities": velocities}, deadline)
        num_frames = int(inputs.integers("horizon", horizon, least=1))
        if num_frames > self._frames_at_once(systems["positions"]):
            coupling = self._couple(systems, deadline)
            frames = [(coupling.mean, coupling.covariance)]
            frames.extend(coupling.advance(None, None, deadline) for _ in range(num_frames - 1))
            means, covariances = zip(*frames, strict=True)
            return np.stack(means, axis=1), np.stack(covariances, axis=1)
        outputs = self._predict("rollout", {**systems, "horizon": np.array(num_frames, np.int32)}, deadline)
        return outputs["mean"], outputs["covariance"]

    def sample(
        self,
        positions: npt.ArrayLike,
        features: npt.ArrayLike | None = None,
        horizon: int = 30,
        seed: tuple[int, int] = (0, 0),
        *,
        box: npt.ArrayLike | None = None,
        edges: npt.ArrayLike | None = None,
        velocities: npt.ArrayLike | None = None,
    ) -> Floats:
        """Draw one trajectory per system; the drawn positions of every frame are fed back.

        Args:
            positions: Observed frames `[B, T, N, D]`, in units of length.
            features: `[B, N, F]`; optional if the model has none.
            horizon: Number of frames, at most the graph's `max_horizon`.
            seed: Two integers; the same seed gives the same trajectory.
            box: As for `rollout`, like the next two.
            edges: Bonds.
            velocities: Observed velocities.

        Returns:
            Positions `[B, horizon, N, D]`, in units of length.

        Raises:
            ServingError: As for `rollout`.
        """
        deadline = Deadline(self._deadline)
        asked = {
            **self._systems(positions, features, {"box": box, "edges": edges, "velocities": velocities}, deadline),
            "horizon": inputs.integers("horizon", horizon, least=1),
            "seed": inputs.integers("seed", seed, (2,)),
        }
        (drawn,) = self._predict("sample", asked, deadline).values()  # REST does not name a single output
        return drawn

    def start(
        self,
        positions: npt.ArrayLike,
        features: npt.ArrayLike | None = None,
        *,
        box: npt.ArrayLike | None = None,
        edges: npt.ArrayLike | None = None,
        velocities: npt.ArrayLike | None = None,
    ) -> Coupling:
        """Start to follow running systems frame by frame.

        Args:
            positions: Frames observed so far, `[B, T, N, D]`, in units of length.
            features: `[B, N, F]`; optional if the model has none.
            box: As for `rollout`, like the next two; box and bonds stay the same in all later frames.
            edges: Bonds.
            velocities: Observed velocities.

        Returns:
            A `Coupling`, which holds the prediction of the next frame and takes the next observed one. It keeps to the
            version of the model that is the newest now.

        Raises:
            ServingError: As for `rollout`.
        """
        deadline = Deadline(self._deadline)
        known = {"box": box, "edges": edges, "velocities": velocities}
        return self._couple(self._systems(positions, features, known, deadline), deadline)

    def metadata(self) -> Metadata:
        """Name, version and signatures of the model.

        Raises:
            ServingError: As for `rollout`.
        """
        return self._describe(Deadline(self._deadline))

    def is_ready(self) -> bool:
        """Whether the server has loaded the model; one request, without retries."""
        try:
            return self._open().is_available(self._deadline)
        except ServingError:
            return False

    def close(self) -> None:
        """Close the connection; later calls fail."""
        if self._transport is not None:
            self._transport.close()
        self._transport = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> Transport:
        if self._transport is None:
            raise RuntimeError("the client is closed")
        return self._transport

    def _ask(self, question: Callable[[Transport, float], Any], deadline: Deadline) -> Any:
        transport = self._open()
        return call(lambda timeout: question(transport, timeout), deadline, self._retries)

    def _describe(self, deadline: Deadline) -> Metadata:
        found: Metadata = self._ask(lambda transport, timeout: transport.metadata(timeout), deadline)
        return found

    def _predict(
        self, signature: str, tensors: Arrays, deadline: Deadline, version: int | None = None
    ) -> dict[str, Floats]:
        """Outputs of a signature by name.

        Raises:
            InvalidRequest: The server refuses the request or one of its rows.
        """
        outputs = self._ask(
            lambda transport, timeout: transport.predict(signature, tensors, version, timeout), deadline
        )
        for row, reason in enumerate(outputs.pop("refused", ())):
            if reason:
                raise InvalidRequest(f"{reason} in row {row}")
        return outputs

    def _couple(self, systems: Arrays, deadline: Deadline) -> Coupling:
        # A state only fits the version that made it, and the server may load a newer version meanwhile.
        version = self._describe(deadline).version
        return Coupling(functools.partial(self._predict, version=version), systems, deadline, self._deadline)

    def _systems(
        self,
        positions: npt.ArrayLike,
        features: npt.ArrayLike | None,
        known: Mapping[str, npt.ArrayLike | None],
        deadline: Deadline,
    ) -> Arrays:
        """All inputs by name, checked against each other and against the model; positions unwrapped."""
        taken, num_dimensions, num_features = self._taken(deadline)
        observed = inputs.numbers("positions", positions, ("B", "T", "N", num_dimensions))
        if "box" not in taken:
            inputs.check_jumps(observed)
        batch_size, _, num_particles, _ = observed.shape
        if features is None and num_features == 0:
            features = np.zeros((batch_size, num_particles, 0), np.float32)
        if features is None:
            raise InvalidRequest(f"`features` must be given: the model takes {num_features} per particle")
        particles = inputs.numbers("features", features, (batch_size, num_particles, num_features))
        checked = optional_inputs.check(known, taken, observed)
        unwrapped = optional_inputs.unwrap(observed, checked.get("box"))
        return {"positions": unwrapped, "features": particles, **checked}

    def _taken(self, deadline: Deadline) -> tuple[Mapping[str, TensorSpec], int, int]:
        """The inputs of the model, requested once, and its D and F."""
        if self._known is None:
            self._known = self._describe(deadline)
        try:
            taken = self._known.signatures["rollout"].inputs
            sizes = [spec.shape[-1] for spec in (taken["positions"], taken["features"]) if spec.shape]
            num_dimensions, num_features = (int(size) for size in sizes if size is not None)
        except (KeyError, ValueError):
            raise InvalidRequest(
                f"{self._known.name} is not a model of socialmd_tf: it has no signature `rollout`"
            ) from None
        return taken, num_dimensions, num_features

    def _frames_at_once(self, positions: Floats) -> int:
        batch_size, _, num_particles, num_dimensions = positions.shape
        bytes_of_frame = 4 * batch_size * num_particles * num_dimensions * (1 + num_dimensions)
        return max(1, min(self._longest_rollout, _LARGEST_ANSWER // bytes_of_frame))


def _connect(protocol: str, address: str, model: str, version: int | None) -> Transport:
    """The transport; each imports its own library."""
    if not isinstance(address, str) or not isinstance(model, str) or not address or not model:
        raise InvalidRequest(f"`address` and `model` must be non-empty strings. Received: {address!r}, {model!r}")
    if protocol == "grpc":
        from socialmd_tf.serving.grpc_transport import GrpcTransport

        return GrpcTransport(address, model, version)
    if protocol == "rest":
        from socialmd_tf.serving.rest_transport import RestTransport

        return RestTransport(address, model, version)
    raise InvalidRequest(f"`protocol` must be 'grpc' or 'rest'. Received: {protocol!r}")
