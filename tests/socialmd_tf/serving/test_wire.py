"""The client's declaration of the protos against the real ones."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import any_pb2, wrappers_pb2
from google.protobuf.descriptor import FieldDescriptor
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from socialmd_tf.serving import wire
from socialmd_tf.serving.errors import ServingError

pytest.importorskip("tensorflow_serving", reason="needs the extra `serving`: pip install 'socialmd_tf[serving]'")
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2, predict_pb2

REAL = {
    name: getattr(module, name)
    for module in (
        tensor_pb2,
        tensor_shape_pb2,
        model_pb2,
        predict_pb2,
        get_model_metadata_pb2,
        get_model_status_pb2,
        meta_graph_pb2,
        any_pb2,
        wrappers_pb2,
    )
    for name in wire.FIELDS
    if hasattr(module, name)
}
REAL["Dim"] = tensor_shape_pb2.TensorShapeProto.Dim


def described(field):
    """The facts that decide how a field is encoded; enumerations are encoded as int32."""
    kind = FieldDescriptor.TYPE_INT32 if field.type == FieldDescriptor.TYPE_ENUM else field.type
    inner = field.message_type.fields_by_name if field.message_type else {}
    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
    return (
        field.number,
        kind,
        field.is_repeated,
        [described(inner[key]) for key in ("key", "value")] if is_map else None,
    )


@pytest.mark.parametrize("name", wire.FIELDS)
def test_fields_are_numbered_and_typed_as_the_real_ones(name):
    ours, real = wire.MESSAGES[name].DESCRIPTOR.fields_by_name, REAL[name].DESCRIPTOR.fields_by_name
    assert {key: described(field) for key, field in ours.items()} == {key: described(real[key]) for key in ours}


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "bool"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 0, 3), (2, 3)])
def test_tensors_go_there_and_back_through_tensorflow(dtype, shape):
    array = (np.random.default_rng(0).normal(size=shape) * 3).astype(dtype)
    sent = tensor_pb2.TensorProto.FromString(wire.to_tensor(array).SerializeToString())
    np.testing.assert_array_equal(tf.make_ndarray(sent), array, strict=True)
    returned = wire.MESSAGES["TensorProto"].FromString(tf.make_tensor_proto(array).SerializeToString())
    np.testing.assert_array_equal(wire.to_array(returned), array, strict=True)


def test_the_last_value_stands_for_the_rest():
    tensor = tensor_pb2.TensorProto(dtype=1, float_val=[1.0, 2.0])
    tensor.tensor_shape.dim.add(size=4)
    sent = wire.MESSAGES["TensorProto"].FromString(tensor.SerializeToString())
    assert wire.to_array(sent).tolist() == tf.make_ndarray(tensor).tolist() == [1.0, 2.0, 2.0, 2.0]


def test_texts():
    sent = wire.MESSAGES["TensorProto"].FromString(tf.make_tensor_proto([["a", "ö"]]).SerializeToString())
    assert wire.to_array(sent).tolist() == [["a", "ö"]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dtype": 1, "float_val": [1.0, 2.0]}, "holds 2 values for a tensor of shape"),
        ({"dtype": 1, "tensor_shape": {"dim": [{"size": 2}]}}, "holds 0 values for a tensor of shape"),
        ({"dtype": 14, "tensor_content": b"ab"}, "unknown type number 14"),
    ],
)
def test_refuses_tensors_it_cannot_read(fields, message):
    with pytest.raises(ServingError, match=message):
        wire.to_array(wire.MESSAGES["TensorProto"](**fields))


def test_refuses_arrays_it_cannot_write():
    with pytest.raises(ServingError, match="complex128 cannot be sent"):
        wire.to_tensor(np.ones(2, complex))
