"""Warm-up requests, which a model server sends to itself before it reports a model as available.

The first request to a signature pays for the optimisation of its graph, which takes seconds. With these requests in
the SavedModel, that happens while the version loads.
"""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

FILE = Path("assets.extra") / "tf_serving_warmup_requests"

_WIDE = 1e9
"""Edge lengths of the box: wider than any model sees, while their third power is still a float32."""


def is_possible() -> bool:
    """Whether the extra `serving` is installed, which brings the protos of the file."""
    return importlib.util.find_spec("tensorflow_serving") is not None


def write(directory: Path) -> None:
    """Write one request per signature into a SavedModel, as a TFRecord file of `PredictionLog`.

    Args:
        directory: A SavedModel that is not served yet.
    """
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    saved = saved_model_pb2.SavedModel.FromString((directory / "saved_model.pb").read_bytes())
    (directory / FILE).parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(directory / FILE)) as writer:
        for name, signature in sorted(saved.meta_graphs[0].signature_def.items()):
            if signature.inputs:  # not the initialisation
                request = predict_pb2.PredictRequest()
                request.model_spec.signature_name = name
                for key, info in signature.inputs.items():
                    request.inputs[key].CopyFrom(tf.make_tensor_proto(_example(key, info)))
                log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
                writer.write(log.SerializeToString())


def _example(name: str, info: Any) -> npt.NDArray[Any]:
    """A valid value: one row, size 2 along every other axis, one frame to predict."""
    shape = [1 if axis == 0 else 2 for axis, _ in enumerate(info.tensor_shape.dim)]
    shape = [dim.size if dim.size >= 0 else size for dim, size in zip(info.tensor_shape.dim, shape, strict=True)]
    dtype = tf.as_dtype(info.dtype).as_numpy_dtype
    if name == "positions":
        return np.linspace(0.0, 1.0, int(np.prod(shape)), dtype=dtype).reshape(shape)
    if name == "box":
        return np.broadcast_to(_WIDE * np.eye(shape[-1], dtype=dtype), shape)
    if name == "edges":  # a bond between the two particles
        return np.broadcast_to(1 - np.eye(shape[-1], dtype=dtype), shape)
    return np.ones(shape, dtype)
