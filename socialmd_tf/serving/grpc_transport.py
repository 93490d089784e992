"""Requests to a model server over gRPC."""

from collections.abc import Callable, Mapping
from typing import Any

import grpc

from socialmd_tf.serving import wire
from socialmd_tf.serving.errors import DeadlineExceeded, InvalidRequest, ServingError, invalid_request, unavailable
from socialmd_tf.serving.transport import Array, Arrays, Metadata, Signature, TensorSpec

_OPTIONS = [
    ("grpc.max_send_message_length", -1),  # the default of 4 MB holds one rollout of a few hundred particles
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_retries", 0),  # `retry.call` decides
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
_ERRORS: dict[str, Callable[[str], Exception]] = {
    "UNAVAILABLE": unavailable,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "INVALID_ARGUMENT": InvalidRequest,
    "NOT_FOUND": invalid_request,
    "FAILED_PRECONDITION": InvalidRequest,
    "OUT_OF_RANGE": InvalidRequest,
    "UNIMPLEMENTED": InvalidRequest,
}
_AVAILABLE = 30  # ModelVersionStatus.State


class GrpcTransport:
    """Implements `Transport`.

    Args:
        address: "host:port", without encryption.
        model: Name of the model on the server.
        version: Version of the model; by default the newest that the server has.
    """

    def __init__(self, address: str, model: str, version: int | None = None):
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self._model, self._version = model, version
        self._predict = self._method("PredictionService/Predict", "PredictResponse")
        self._metadata = self._method("PredictionService/GetModelMetadata", "GetModelMetadataResponse")
        self._status = self._method("ModelService/GetModelStatus", "GetModelStatusResponse")

    def predict(self, signature: str, inputs: Arrays, version: int | None, timeout: float) -> dict[str, Array]:
        """Outputs of a signature by name."""
        request = wire.MESSAGES["PredictRequest"](model_spec=self._spec(signature, version))
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(wire.to_tensor(array))
        response = _answer(self._predict, request, timeout)
        return {name: wire.to_array(tensor) for name, tensor in response.outputs.items()}

    def metadata(self, timeout: float) -> Metadata:
        """Name, version and signatures of the model."""
        request = wire.MESSAGES["GetModelMetadataRequest"](model_spec=self._spec(), metadata_field=["signature_def"])
        response = _answer(self._metadata, request, timeout)
        packed = response.metadata["signature_def"].value
        signatures = wire.MESSAGES["SignatureDefMap"].FromString(packed).signature_def
        spec = response.model_spec
        return Metadata(
            spec.name,
            spec.version.value,
            {name: Signature(_specs(entry.inputs), _specs(entry.outputs)) for name, entry in signatures.items()},
        )

    def is_available(self, timeout: float) -> bool:
        """Whether the server has loaded the model."""
        request = wire.MESSAGES["GetModelStatusRequest"](model_spec=self._spec())
        response = _answer(self._status, request, timeout)
        return any(status.state == _AVAILABLE for status in response.model_version_status)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _method(self, path: str, response: str) -> Any:
        return self._channel.unary_unary(
            f"/tensorflow.serving.{path}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=wire.MESSAGES[response].FromString,
        )

    def _spec(self, signature: str = "", version: int | None = None) -> Any:
        spec = wire.MESSAGES["ModelSpec"](name=self._model, signature_name=signature)
        version = self._version if version is None else version
        if version is not None:
            spec.version.value = version
        return spec


def _answer(method: Any, request: Any, timeout: float) -> Any:
    try:
        return method(request, timeout=timeout)
    except grpc.RpcError as error:
        raise _ERRORS.get(error.code().name, ServingError)(error.details()) from None


def _specs(infos: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {name: TensorSpec(wire.dtype_name(info.dtype), _shape(info.tensor_shape)) for name, info in infos.items()}


def _shape(shape: Any) -> tuple[int | None, ...] | None:
    if shape.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
