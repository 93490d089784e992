"""The JSON of TensorFlow Serving's REST interface to tensors and back.

As the model server does it: the signature decides the types, nested lists the shapes; `NaN` and `Infinity` are read;
in the columnar format keys that the signature does not know are passed over, in the row format they are refused.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToDict

from socialmd_tf.serving.server.models import INVALID_ARGUMENT, Array, Refusal, Servable

_MOST_AXES = 8  # of inputs of exported models, with some to spare; NumPy has a limit, too
_AS_JSON = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}


def parse(body: bytes) -> dict[str, Any]:
    """The request's object."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(INVALID_ARGUMENT, f"JSON Parse error: {error}") from None
    if not isinstance(document, dict):
        raise Refusal(INVALID_ARGUMENT, f"JSON Value: {json.dumps(document)[:200]} Is not object")
    if not isinstance(document.get("signature_name", ""), str):
        raise Refusal(INVALID_ARGUMENT, "'signature_name' key must be a string value.")
    return document


def tensors(document: Mapping[str, Any], infos: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The tensors of a request, and whether it is in the row format."""
    if ("instances" in document) == ("inputs" in document):
        raise Refusal(INVALID_ARGUMENT, "Missing 'inputs' or 'instances' key, or both are there")
    if "inputs" in document:
        return _columnar(document["inputs"], infos), False
    rows = document["instances"]
    if not isinstance(rows, list) or not rows:
        raise Refusal(INVALID_ARGUMENT, "No values in 'instances' array, or it is none")
    return _rows(rows, infos), True


def _columnar(inputs: Any, infos: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(inputs, dict):
        raise Refusal(INVALID_ARGUMENT, "inputs is a plain value/list, but expecting an object as multiple inputs")
    for name in infos:
        if name not in inputs:
            raise Refusal(INVALID_ARGUMENT, f"Missing named input: {name} in 'inputs' object.")
    return {name: tf.make_tensor_proto(_array(inputs[name], info.dtype)) for name, info in infos.items()}


def _rows(rows: list[Any], infos: Mapping[str, Any]) -> dict[str, Any]:
    columns: dict[str, list[Array]] = {name: [] for name in infos}
    for number, row in enumerate(rows):
        failed = f"Failed to process element: {number} of 'instances' list."
        if not isinstance(row, dict):
            raise Refusal(INVALID_ARGUMENT, f"{failed} Expecting object but got list or value")
        if set(row) != set(infos):
            raise Refusal(INVALID_ARGUMENT, f"{failed} Keys {sorted(row)} must be equal to: {','.join(sorted(infos))}")
        for name, info in infos.items():
            array = _array(row[name], info.dtype)
            if columns[name] and columns[name][0].shape != array.shape:
                shapes = f"Expecting shape {columns[name][0].shape} but got: {array.shape}"
                raise Refusal(INVALID_ARGUMENT, f"{failed} key: {name}. {shapes}")
            columns[name].append(array)
    return {name: tf.make_tensor_proto(np.stack(column)) for name, column in columns.items()}


def _array(value: Any, dtype: int) -> Array:
    """Nested lists as an array of the signature's type."""
    shape, inner = [], value
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0] if inner else None
    if len(shape) > _MOST_AXES:
        raise Refusal(INVALID_ARGUMENT, f"Encountered lists at {len(shape)} levels, expected at most {_MOST_AXES}")
    flat: list[Any] = []
    _flatten(value, shape, 0, dtype, flat)
    return np.array(flat, tf.dtypes.as_dtype(dtype).as_numpy_dtype).reshape(shape)


def _flatten(value: Any, shape: list[int], level: int, dtype: int, flat: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise Refusal(INVALID_ARGUMENT, f"JSON Value: {value} found at incorrect level: {level + 1}")
        flat.append(_number(value, dtype))
        return
    if level >= len(shape):
        raise Refusal(INVALID_ARGUMENT, f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        sizes = f"{len(value)} at level: {level} expected size: {shape[level]}"
        raise Refusal(INVALID_ARGUMENT, f"Encountered list at unexpected size: {sizes}")
    for item in value:
        _flatten(item, shape, level + 1, dtype, flat)


def _number(value: Any, dtype: int) -> Any:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    kind = tf.dtypes.as_dtype(dtype)
    if kind.is_integer:
        fits = is_integer and kind.min <= value <= kind.max
    elif kind.is_bool:
        fits = isinstance(value, bool)
    else:
        fits = is_integer or isinstance(value, float)
    if not fits:
        raise Refusal(INVALID_ARGUMENT, f"JSON Value: {json.dumps(value)} is not of expected type: {kind.name}")
    if kind.is_floating and abs(value) > kind.max and abs(value) != float("inf"):
        raise Refusal(INVALID_ARGUMENT, f"Cannot convert JSON value: {value} to float without loss of precision.")
    return value


def response(outputs: Mapping[str, Array], is_row: bool) -> dict[str, Any]:
    """The answer's object: a list of rows, or an object of outputs; a single output stands without its name."""
    lists = {name: _texts(value).tolist() for name, value in outputs.items()}
    if not is_row:
        return {"outputs": lists if len(lists) > 1 else next(iter(lists.values()))}
    sizes = {value.shape[0] if value.ndim else None for value in outputs.values()}
    if len(sizes) != 1 or None in sizes:
        raise Refusal(INVALID_ARGUMENT, f"Tensors have inconsistent batch sizes: {sizes}")
    rows = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    return {"predictions": rows if len(outputs) > 1 else [next(iter(row.values())) for row in rows]}


def _texts(values: Array) -> Array:
    return values.astype(np.bytes_).astype(np.str_) if values.dtype == object else values


def status(versions: Iterable[int]) -> dict[str, Any]:
    """The answer's object for the status of loaded versions, with 64-bit integers as strings."""
    fine = {"error_code": "OK", "error_message": ""}
    return {
        "model_version_status": [
            {"version": str(version), "state": "AVAILABLE", "status": fine} for version in versions
        ]
    }


def metadata(servable: Servable) -> dict[str, Any]:
    """The answer's object for the signatures of a version."""
    signatures = {name: MessageToDict(entry, **_AS_JSON) for name, entry in servable.signatures.items()}
    return {
        "model_spec": {"name": servable.name, "signature_name": "", "version": str(servable.version)},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }
