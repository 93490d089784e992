"""Requests to a model server over REST: JSON over HTTP."""

import json
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import urllib3

from socialmd_tf.serving.errors import (
    DeadlineExceeded,
    InvalidRequest,
    ServingError,
    Unavailable,
    invalid_request,
    unavailable,
)
from socialmd_tf.serving.transport import Array, Arrays, Metadata, Signature, TensorSpec

_ERRORS: dict[int, Callable[[str], Exception]] = {
    400: InvalidRequest,
    404: invalid_request,
    405: InvalidRequest,
    413: InvalidRequest,
    501: InvalidRequest,
    502: Unavailable,
    503: Unavailable,
    504: DeadlineExceeded,
}
_DTYPES = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_INT32": "int32", "DT_STRING": "str"}
_DTYPES |= {"DT_INT64": "int64", "DT_BOOL": "bool"}


class RestTransport:
    """Implements `Transport`, in the columnar format.

    Args:
        address: "host:port", or a URL, which may have a path if the server is behind a proxy.
        model: Name of the model on the server.
        version: Version of the model; by default the newest that the server has.
    """

    def __init__(self, address: str, model: str, version: int | None = None):
        base = address if "://" in address else f"http://{address}"
        self._model_url = f"{base.rstrip('/')}/v1/models/{urllib.parse.quote(model, safe='')}"
        self._version = version
        self._pool = urllib3.PoolManager(maxsize=64, retries=False)

    def predict(self, signature: str, inputs: Arrays, version: int | None, timeout: float) -> dict[str, Array]:
        """Outputs of a signature by name; a single output has no name in this format and is called "" here.

        Raises:
            InvalidRequest: An input is NaN or infinite, which JSON cannot express.
        """
        for name, array in inputs.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise InvalidRequest(f"`{name}` must be finite to be sent as JSON. Received NaN or infinity")
        columns = {name: array.tolist() for name, array in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns}, allow_nan=False).encode()
        url = self._url(version) + ":predict"
        outputs = self._answer("outputs", "POST", url, timeout, body)["outputs"]
        named = outputs if isinstance(outputs, dict) else {"": outputs}
        return {name: _to_array(values) for name, values in named.items()}

    def metadata(self, timeout: float) -> Metadata:
        """Name, version and signatures of the model."""
        found = self._answer("metadata", "GET", self._url() + "/metadata", timeout)
        signatures = found["metadata"]["signature_def"]["signature_def"]
        return Metadata(
            found["model_spec"]["name"],
            int(found["model_spec"]["version"]),
            {name: Signature(_specs(entry["inputs"]), _specs(entry["outputs"])) for name, entry in signatures.items()},
        )

    def is_available(self, timeout: float) -> bool:
        """Whether the server has loaded the model."""
        statuses = self._answer("model_version_status", "GET", self._url(), timeout)["model_version_status"]
        return any(status["state"] == "AVAILABLE" for status in statuses)

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()

    def _url(self, version: int | None = None) -> str:
        version = self._version if version is None else version
        return self._model_url + ("" if version is None else f"/versions/{version}")

    def _answer(self, key: str, method: str, url: str, timeout: float, body: bytes | None = None) -> Any:
        """The JSON object in the answer to a request; it must have `key`."""
        try:
            status, content = self._request(method, url, timeout, body)
        except urllib3.exceptions.ConnectTimeoutError as error:  # also of refused connections
            raise unavailable(f"{url}: {error}") from None
        except urllib3.exceptions.TimeoutError as error:
            raise DeadlineExceeded(f"{url}: {error}") from None
        except urllib3.exceptions.LocationValueError as error:
            raise InvalidRequest(f"`address` must be host:port or a URL. {error}") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:  # reset, or closed within the answer
            raise unavailable(f"{url}: {error}") from None
        try:
            answer = json.loads(content)
        except ValueError:
            answer = {"error": f"{url}: HTTP status {status}, not JSON: {content[:200]!r}"}
        if status == 200 and isinstance(answer, dict) and key in answer:
            return answer
        reason = answer.get("error", answer) if isinstance(answer, dict) else answer
        raise _ERRORS.get(status, ServingError)(str(reason))

    def _request(self, method: str, url: str, timeout: float, body: bytes | None) -> tuple[int, bytes]:
        end = time.monotonic() + timeout
        response = self._pool.request(
            method,
            url,
            body=body,
            headers={"Content-Type": "application/json"},
            timeout=urllib3.Timeout(total=timeout),
            preload_content=False,
        )
        parts = []
        try:
            while part := response.read1(1 << 20):
                parts.append(part)
                if time.monotonic() > end:  # a server that trickles its answer
                    raise urllib3.exceptions.TimeoutError(f"no complete answer within {timeout:g} s")
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return response.status, b"".join(parts)


def _to_array(values: Any) -> Array:
    """Nested lists as an array of float32, int32, bool or str. The format names no types, but tells 1.0 from 1."""
    array = np.array(values)
    if array.dtype.kind == "U":
        return array.astype(object)
    return array if array.dtype.kind == "b" else array.astype("int32" if array.dtype.kind == "i" else "float32")


def _specs(infos: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {name: TensorSpec(_DTYPES.get(info["dtype"], "unknown"), _shape(info)) for name, info in infos.items()}


def _shape(info: Mapping[str, Any]) -> tuple[int | None, ...] | None:
    shape = info["tensor_shape"]
    if shape.get("unknown_rank", False):
        return None
    return tuple(None if int(dim.get("size", 0)) < 0 else int(dim.get("size", 0)) for dim in shape.get("dim", []))
