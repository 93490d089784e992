"""TensorFlow Serving's gRPC interface; needs the extra `serving`."""

import contextlib
import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from socialmd_tf.serving.server.models import FAILED_PRECONDITION, INVALID_ARGUMENT, Models, Refusal

_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # with it, two servers would share a port
]


class GrpcServer:
    """Answers requests on 127.0.0.1 in threads, from `start` until the process ends.

    Args:
        models: What it serves.
        port: 0 for a free one.

    Raises:
        OSError: The port is in use.
    """

    def __init__(self, models: Models, port: int):
        self._server = grpc.server(ThreadPoolExecutor(16), options=_OPTIONS)
        service = Service(models)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, self._server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, self._server)
        try:
            self.port: int = self._server.add_insecure_port(f"127.0.0.1:{port}")
        except RuntimeError:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), f"port {port}") from None

    def start(self) -> None:
        """Begin, in other threads."""
        self._server.start()


class Service(
    prediction_service_pb2_grpc.PredictionServiceServicer,  # type: ignore[misc]
    model_service_pb2_grpc.ModelServiceServicer,  # type: ignore[misc]
):
    """Both gRPC services; other methods answer UNIMPLEMENTED."""

    def __init__(self, models: Models):
        self.models = models

    def Predict(self, request: Any, context: Any) -> Any:
        """Run a signature."""
        with _refusing(context):
            servable = self.models.find(*_named(request))
            name = request.model_spec.signature_name or "serving_default"
            if name not in servable.signatures:
                raise Refusal(FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
            outputs = servable.predict(name, request.inputs, request.output_filter)
            response = predict_pb2.PredictResponse()
            response.model_spec.name, response.model_spec.signature_name = servable.name, name
            response.model_spec.version.value = servable.version
            for key, value in outputs.items():
                response.outputs[key].CopyFrom(_as_fields(value))
            return response

    def GetModelMetadata(self, request: Any, context: Any) -> Any:
        """The signatures."""
        with _refusing(context):
            servable = self.models.find(*_named(request))
            if list(request.metadata_field) != ["signature_def"]:
                raise Refusal(INVALID_ARGUMENT, f"Metadata field {list(request.metadata_field)} is not supported")
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name, signature in servable.signatures.items():
                signatures.signature_def[name].CopyFrom(signature)
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.model_spec.name, response.model_spec.version.value = servable.name, servable.version
            response.metadata["signature_def"].Pack(signatures)
            return response

    def GetModelStatus(self, request: Any, context: Any) -> Any:
        """The loaded versions."""
        with _refusing(context):
            response = get_model_status_pb2.GetModelStatusResponse()
            for version in self.models.available(*_named(request)):
                response.model_version_status.add(version=version, state="AVAILABLE").status.error_code = 0
            return response


def _named(request: Any) -> tuple[str, int | None]:
    """Name and version of the model that a request asks for."""
    spec = request.model_spec
    if not spec.name:
        raise Refusal(INVALID_ARGUMENT, "Missing ModelSpec")
    return spec.name, spec.version.value if spec.HasField("version") else None


@contextlib.contextmanager
def _refusing(context: Any) -> Iterator[None]:
    """A refusal becomes the status of the call."""
    try:
        yield
    except Refusal as refusal:
        context.abort(next(code for code in grpc.StatusCode if code.value[0] == refusal.code), str(refusal))


def _as_fields(value: Any) -> Any:
    """A tensor with its numbers in the typed field instead of bytes, as the model server sends it."""
    tensor = tf.make_tensor_proto(value)
    if tensor.tensor_content:
        field = {tf.float32: "float_val", tf.int32: "int_val", tf.int64: "int64_val"}[tf.as_dtype(tensor.dtype)]
        tensor.ClearField("tensor_content")
        getattr(tensor, field).extend(value.ravel().tolist())
    return tensor
