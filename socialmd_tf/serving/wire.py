"""The messages of TensorFlow Serving's gRPC interface that the client needs.

The package `tensorflow-serving-api` has all of them, but it imports TensorFlow, which costs 0.6 GB of memory and
several seconds. The bytes on the wire only depend on the numbers and types of the fields; the tests compare those here
with the package's.
"""

from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from socialmd_tf.serving.errors import ServingError
from socialmd_tf.serving.transport import Array

_PACKAGE = "socialmd_tf.serving.wire"

# Message -> field -> (number, type). `[X]` is repeated, `{X}` is a map from strings; enumerations are int32.
FIELDS: dict[str, dict[str, tuple[int, str]]] = {
    "Dim": {"size": (1, "int64")},
    "TensorShapeProto": {"dim": (2, "[Dim]"), "unknown_rank": (3, "bool")},
    "TensorProto": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "TensorShapeProto"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "[float]"),
        "double_val": (6, "[double]"),
        "int_val": (7, "[int32]"),
        "string_val": (8, "[bytes]"),
        "int64_val": (10, "[int64]"),
        "bool_val": (11, "[bool]"),
    },
    "Int64Value": {"value": (1, "int64")},
    "ModelSpec": {"name": (1, "string"), "version": (2, "Int64Value"), "signature_name": (3, "string")},
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "{TensorProto}")},
    "PredictResponse": {"outputs": (1, "{TensorProto}"), "model_spec": (2, "ModelSpec")},
    "GetModelMetadataRequest": {"model_spec": (1, "ModelSpec"), "metadata_field": (2, "[string]")},
    "Any": {"type_url": (1, "string"), "value": (2, "bytes")},
    "GetModelMetadataResponse": {"model_spec": (1, "ModelSpec"), "metadata": (2, "{Any}")},
    "TensorInfo": {"name": (1, "string"), "dtype": (2, "int32"), "tensor_shape": (3, "TensorShapeProto")},
    "SignatureDef": {"inputs": (1, "{TensorInfo}"), "outputs": (2, "{TensorInfo}")},
    "SignatureDefMap": {"signature_def": (1, "{SignatureDef}")},
    "GetModelStatusRequest": {"model_spec": (1, "ModelSpec")},
    "ModelVersionStatus": {"version": (1, "int64"), "state": (2, "int32")},
    "GetModelStatusResponse": {"model_version_status": (1, "[ModelVersionStatus]")},
}

_DTYPES = {1: "float32", 2: "float64", 3: "int32", 7: "str", 9: "int64", 10: "bool"}
_VALUES = {
    "float32": "float_val",
    "float64": "double_val",
    "int32": "int_val",
    "int64": "int64_val",
    "bool": "bool_val",
    "str": "string_val",
}


def _declare() -> dict[str, Any]:
    """The message classes by name."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field, (number, text) in fields.items():
            _add_field(message, field, number, text)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in FIELDS}


def _add_field(message: Any, name: str, number: int, text: str) -> None:
    kinds = descriptor_pb2.FieldDescriptorProto
    kind = text.strip("[]{}")
    if text.startswith("{"):
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", 1, "string")
        _add_field(entry, "value", 2, kind)
        kind = f"{message.name}.{entry.name}"
    label = kinds.LABEL_REPEATED if text[0] in "[{" else kinds.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    if kind.split(".")[0] in FIELDS:
        field.type, field.type_name = kinds.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    else:
        field.type = getattr(kinds, f"TYPE_{kind.upper()}")


MESSAGES = _declare()


def to_tensor(array: Array) -> Any:
    """An array as a `TensorProto`.

    Raises:
        ServingError: The type cannot be sent.
    """
    numbers = {name: number for number, name in _DTYPES.items() if name != "str"}
    if array.dtype.name not in numbers:
        raise ServingError(f"arrays of type {array.dtype} cannot be sent. Expected: {', '.join(numbers)}")
    tensor = MESSAGES["TensorProto"](dtype=numbers[array.dtype.name], tensor_content=array.tobytes())
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


def to_array(tensor: Any) -> Array:
    """The inverse of `to_tensor`, for every encoding of values; strings become an array of `str`.

    Raises:
        ServingError: The type is unknown, or values and shape do not fit.
    """
    dtype = dtype_name(tensor.dtype)
    if dtype not in _VALUES:
        raise ServingError(f"the server's answer holds a tensor of the unknown type number {tensor.dtype}")
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    size = int(np.prod(shape))
    if dtype == "str":
        values = np.array([text.decode(errors="replace") for text in tensor.string_val], object)
    elif tensor.tensor_content:
        values = np.frombuffer(tensor.tensor_content, dtype).copy()
    else:
        values = np.array(getattr(tensor, _VALUES[dtype]), dtype)
    if 0 < len(values) < size:  # the last value stands for the rest
        values = np.concatenate([values, np.repeat(values[-1:], size - len(values))])
    if len(values) != size:
        raise ServingError(f"the server's answer holds {len(values)} values for a tensor of shape {shape}")
    return values.reshape(shape)


def dtype_name(number: int) -> str:
    """Name of a type by its number on the wire."""
    return _DTYPES.get(number, "unknown")
