"""A stand-in for TensorFlow Serving: answers over gRPC and REST for one SavedModel, on 127.0.0.1.

It is not the model server. It speaks the real `PredictionService` and `ModelService` protos and the REST format, runs
the SavedModel as the server does (see `stand_in_model.py`) and gives the statuses that the server gives. It ends when
its standard input does, so that it cannot outlive its tests.

    python -m tests.socialmd_tf.serving.stand_in_server saved_models/NAME [--grpc-port P] [--rest-port P]
        [--delay SECONDS]

The first line it prints is JSON: its ports.
"""

import argparse
import json
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.socialmd_tf.serving import stand_in_json
from tests.socialmd_tf.serving.stand_in_model import FAILED_PRECONDITION, INVALID_ARGUMENT, Models, Refusal

HTTP_STATUS = {1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501}
HTTP_STATUS |= {13: 500, 14: 503, 15: 500, 16: 401}
"""HTTP status by gRPC code, as in the model server."""

PREDICT_PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?:predict")
STATUS_PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(/metadata)?")
AS_JSON = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}


class Service(prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer):
    """Both gRPC services; other methods answer UNIMPLEMENTED."""

    def __init__(self, models: Models, delay: float):
        self.models, self.delay = models, delay

    def Predict(self, request: Any, context: Any = None) -> Any:
        """Run a signature."""
        time.sleep(self.delay)
        with answering(context):
            servable = self.find(request)
            name = request.model_spec.signature_name or "serving_default"
            if name not in servable.signatures:
                raise Refusal(FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
            outputs = servable.predict(name, request.inputs, request.output_filter)
            response = predict_pb2.PredictResponse()
            response.model_spec.name, response.model_spec.signature_name = servable.name, name
            response.model_spec.version.value = servable.version
            for key, value in outputs.items():
                response.outputs[key].CopyFrom(as_fields(value))
            return response

    def GetModelMetadata(self, request: Any, context: Any = None) -> Any:
        """The signatures."""
        with answering(context):
            servable = self.find(request)
            if list(request.metadata_field) != ["signature_def"]:
                raise Refusal(INVALID_ARGUMENT, f"Metadata field {list(request.metadata_field)} is not supported")
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name, signature in servable.signatures.items():
                signatures.signature_def[name].CopyFrom(signature)
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.model_spec.name, response.model_spec.version.value = servable.name, servable.version
            response.metadata["signature_def"].Pack(signatures)
            return response

    def GetModelStatus(self, request: Any, context: Any = None) -> Any:
        """The loaded versions: all of them."""
        with answering(context):
            asked = self.find(request)
            is_one = request.model_spec.HasField("version")
            response = get_model_status_pb2.GetModelStatusResponse()
            for version in [asked.version] if is_one else self.models.servables:
                response.model_version_status.add(version=version, state="AVAILABLE").status.error_code = 0
            return response

    def find(self, request: Any) -> Any:
        """The version that a request names."""
        spec = request.model_spec
        if not spec.name:
            raise Refusal(INVALID_ARGUMENT, "Missing ModelSpec")
        return self.models.find(spec.name, spec.version.value if spec.HasField("version") else None)


class answering:
    """Turns a refusal into the status of a gRPC call; without a call, it propagates."""

    def __init__(self, context: Any):
        self.context = context

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Abort the call if it was refused."""
        if isinstance(error, Refusal) and self.context is not None:
            self.context.abort(next(code for code in grpc.StatusCode if code.value[0] == error.code), str(error))


def as_fields(value: Any) -> Any:
    """A tensor with its numbers in the typed field instead of bytes, as the model server sends it."""
    tensor = tf.make_tensor_proto(value)
    if tensor.tensor_content:
        field = {tf.float32: "float_val", tf.int32: "int_val", tf.int64: "int64_val"}[tf.as_dtype(tensor.dtype)]
        tensor.ClearField("tensor_content")
        getattr(tensor, field).extend(value.ravel().tolist())
    return tensor


class RestHandler(BaseHTTPRequestHandler):
    """The REST side, which calls the service."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    service: Service

    def do_POST(self) -> None:
        """Predict."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.reply(PREDICT_PATH, lambda *asked: self.predict(*asked, body))

    def do_GET(self) -> None:
        """Status and metadata."""
        self.reply(STATUS_PATH, self.describe)

    def predict(self, name: str, version: str | None, body: bytes) -> dict[str, Any]:
        """Run a signature."""
        document = stand_in_json.parse(body)
        request = predict_pb2.PredictRequest()
        self.specify(request.model_spec, name, version)
        signature_name = document.get("signature_name") or "serving_default"
        servable = self.service.find(request)
        if signature_name not in servable.signatures:
            raise Refusal(INVALID_ARGUMENT, f'Serving signature name: "{signature_name}" not found in signature def')
        tensors, is_row = stand_in_json.tensors(document, servable.signatures[signature_name].inputs)
        time.sleep(self.service.delay)
        return stand_in_json.response(servable.predict(signature_name, tensors), is_row)

    def describe(self, name: str, version: str | None, metadata: str | None) -> dict[str, Any]:
        """The proto of the answer as JSON, with 64-bit integers as strings."""
        if not metadata:
            request = get_model_status_pb2.GetModelStatusRequest()
            self.specify(request.model_spec, name, version)
            return MessageToDict(self.service.GetModelStatus(request), **AS_JSON)
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self.specify(request.model_spec, name, version)
        found = MessageToDict(self.service.GetModelMetadata(request), **AS_JSON)
        return {"model_spec": {"signature_name": "", **found["model_spec"]}, "metadata": found["metadata"]}

    def specify(self, spec: Any, name: str, version: str | None) -> None:
        """Fill in name and version."""
        spec.name = name
        if version is not None:
            spec.version.value = int(version)

    def reply(self, path: re.Pattern[str], answer: Any) -> None:
        """Send the result of `answer` for the parts of the path, or its refusal."""
        match = path.fullmatch(self.path)
        try:
            if match is None:
                raise Refusal(INVALID_ARGUMENT, f"Malformed request: {self.command} {self.path}")
            status, content = 200, answer(*match.groups())
        except Refusal as refusal:
            status, content = HTTP_STATUS[refusal.code], {"error": str(refusal)}
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--grpc-port", type=int, default=0)
    parser.add_argument("--rest-port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0)
    arguments = parser.parse_args()
    tf.get_logger().setLevel("ERROR")
    service = Service(Models(arguments.directory), arguments.delay)
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(16), options=[*unlimited, ("grpc.so_reuseport", 0)])
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    grpc_port = server.add_insecure_port(f"127.0.0.1:{arguments.grpc_port}")
    rest = ThreadingHTTPServer(
        ("127.0.0.1", arguments.rest_port), type("Handler", (RestHandler,), {"service": service})
    )
    rest.daemon_threads = True
    server.start()
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    print(json.dumps({"grpc": grpc_port, "rest": rest.server_address[1]}), flush=True)
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main()
