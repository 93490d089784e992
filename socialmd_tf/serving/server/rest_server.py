"""TensorFlow Serving's REST interface: prediction, status and metadata."""

import json
import re
import socketserver
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

from socialmd_tf.serving.server import json_format
from socialmd_tf.serving.server.models import INVALID_ARGUMENT, Models, Refusal

PREDICT_PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?:predict")
DESCRIBE_PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(/metadata)?")
HTTP_STATUS = {1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501}
HTTP_STATUS |= {13: 500, 14: 503, 15: 500, 16: 401}
"""HTTP status by gRPC code, as in the model server."""


class RestServer(socketserver.ThreadingTCPServer):
    """Answers requests on 127.0.0.1, each connection in a thread, from `start` until the process ends.

    Args:
        models: What it serves.
        port: 0 for a free one.

    Raises:
        OSError: The port is in use.
    """

    allow_reuse_address = True  # a port whose last connections are being closed
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, models: Models, port: int):
        self.models = models
        super().__init__(("127.0.0.1", port), RestHandler)
        self.port: int = self.server_address[1]

    def start(self) -> None:
        """Begin, in other threads."""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about clients that leave before their answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class RestHandler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: RestServer

    def do_POST(self) -> None:
        """Predict."""
        self._reply(PREDICT_PATH, self._predict)

    def do_GET(self) -> None:
        """Status and metadata."""
        self._reply(DESCRIBE_PATH, self._describe)

    def _predict(self, body: bytes, name: str, version: int | None) -> dict[str, Any]:
        document = json_format.parse(body)
        signature_name = document.get("signature_name") or "serving_default"
        servable = self.server.models.find(name, version)
        if signature_name not in servable.signatures:
            raise Refusal(INVALID_ARGUMENT, f'Serving signature name: "{signature_name}" not found in signature def')
        tensors, is_row = json_format.tensors(document, servable.signatures[signature_name].inputs)
        return json_format.response(servable.predict(signature_name, tensors), is_row)

    def _describe(self, _: bytes, name: str, version: int | None, metadata: str | None) -> dict[str, Any]:
        if metadata:
            return json_format.metadata(self.server.models.find(name, version))
        return json_format.status(self.server.models.available(name, version))

    def _reply(self, path: re.Pattern[str], answer: Any) -> None:
        """Send the result of `answer` for the body and the parts of the path, or its refusal."""
        try:
            body = self._body()
            match = path.fullmatch(self.path)
            if match is None:
                raise Refusal(INVALID_ARGUMENT, f"Malformed request: {self.command} {self.path}")
            name, version, *more = match.groups()
            status, content = 200, answer(body, name, None if version is None else int(version), *more)
        except Refusal as refusal:
            status, content = HTTP_STATUS[refusal.code], {"error": str(refusal)}
        self._send(status, content)

    def _body(self) -> bytes:
        try:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                return b"".join(self._chunks())
            return self.rfile.read(max(0, int(self.headers.get("Content-Length", 0))))
        except ValueError:
            self.close_connection = True  # where the body ends is unknown
            raise Refusal(INVALID_ARGUMENT, "Malformed request: unknown length of the body") from None

    def _chunks(self) -> Iterator[bytes]:
        """The parts of a body in HTTP's chunked coding: size in hexadecimal, line end, part, line end; size 0 last."""
        while (size := int(self.rfile.readline().partition(b";")[0], 16)) > 0:
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass

    def _send(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
