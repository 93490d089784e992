"""Products in full precision: of positions, of functions of pairs, and of what moves particles.

By default a GPU rounds the factors of matrix products to 11 bits (TF32), an error of up to 5e-4. That is harmless for
states and images of neighbours, and too much where a small difference decides, as in a close encounter.
"""

import contextlib
import threading

import keras
from keras import ops

from socialmd_tf.layers.product_of_rows import product_of_rows
from socialmd_tf.layers.static_shapes import is_compiled_by_xla

_local = threading.local()
_ROUNDED = -(2**13)  # all bits of a float32 but the last 13, which TF32 does not have


@contextlib.contextmanager
def on_any_device():
    """Within this context, `product` decides each time where it runs: for graphs that leave this machine."""
    before = getattr(_local, "is_any", False)
    _local.is_any = True
    try:
        yield
    finally:
        _local.is_any = before


def product(a, b):
    """The matrix product of `a` `[..., n, k]` and `b` `[..., k, m]`, float32, to about 1e-6 on every device.

    XLA is told to use all bits (`compiled_by_xla`); gradients may be rounded there. Where else TensorFlow would round
    to TF32, each factor is cut into a part of 11 bits and the rest. The sum of the products of parts, without that of
    the rests, is one product with an inner dimension of 3 k.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.matmul(a, b)
    if is_compiled_by_xla():
        return _product_by_xla(a, b)
    if getattr(_local, "is_any", False):
        import tensorflow as tf

        device = tf.raw_ops.DeviceIndex(device_names=["CPU", "GPU"])
        return tf.switch_case(device, [lambda: ops.matmul(a, b), lambda: _product_of_parts(a, b)])
    return _product_of_parts(a, b) if is_rounded() else ops.matmul(a, b)


def is_rounded():
    """Whether TensorFlow rounds the factors of products to TF32 on a device of this machine."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU")) and tf.config.experimental.tensor_float_32_execution_enabled()


def _product_by_xla(a, b):
    """The product with all bits of both factors; `b` is a matrix, or a batch of matrices like `a`."""
    import tensorflow as tf

    a, b = (tf.convert_to_tensor(values) for values in (a, b))
    if len(b.shape) == 2:
        rows = product_of_rows(ops.reshape(a, (-1, a.shape[-1])), b, _xla_dot)
        return ops.reshape(rows, (*ops.shape(a)[:-1], b.shape[-1]))

    @tf.custom_gradient
    def apply(a, b):
        def gradient(upstream):
            return ops.matmul(upstream, ops.swapaxes(b, -1, -2)), ops.matmul(ops.swapaxes(a, -1, -2), upstream)

        return _xla_dot(a, b), gradient

    return apply(a, b)


def _xla_dot(a, b):
    from tensorflow.compiler.tf2xla.python import xla
    from tensorflow.compiler.xla import xla_data_pb2

    batch = range(len(a.shape) - 2)
    axes = xla_data_pb2.DotDimensionNumbers(
        lhs_batch_dimensions=batch,
        rhs_batch_dimensions=batch,
        lhs_contracting_dimensions=[len(a.shape) - 1],
        rhs_contracting_dimensions=[len(b.shape) - 2],
    )
    precision = xla_data_pb2.PrecisionConfig(operand_precision=2 * [xla_data_pb2.PrecisionConfig.HIGHEST])
    return xla.dot_general(a, b, axes, precision)


def _product_of_parts(a, b):
    (a, a_rest), (b, b_rest) = _parts(a), _parts(b)
    return ops.matmul(ops.concatenate([a, a, a_rest], axis=-1), ops.concatenate([b, b_rest, b], axis=-2))


def _parts(values):
    """A part that TF32 represents, and the rest; the gradient passes through the first."""
    import tensorflow as tf

    values = tf.convert_to_tensor(values)
    kept = tf.bitcast(tf.bitwise.bitwise_and(tf.bitcast(values, tf.int32), _ROUNDED), tf.float32)
    rest = tf.stop_gradient(values - kept)
    return values - rest, rest


@keras.saving.register_keras_serializable(package="socialmd_tf")
class FullPrecisionDense(keras.layers.Dense):
    """`keras.layers.Dense` in float32: neither its weights nor its product are rounded to a lower precision."""

    def __init__(self, units, activation=None, **kwargs):
        super().__init__(units, activation, **{**kwargs, "dtype": "float32"})

    def add_weight(self, *args, **kwargs):
        """Add a weight that is never cast."""
        return super().add_weight(*args, **{**kwargs, "autocast": False})

    def call(self, inputs, training=None):
        """activation(inputs W + b), `[..., units]`."""
        outputs = product(inputs, self.kernel)
        if self.use_bias:
            outputs = ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)


@keras.saving.register_keras_serializable(package="socialmd_tf")
class Dense(FullPrecisionDense):
    """A `FullPrecisionDense` for lists of layers whose weights are on file under the name of `keras.layers.Dense`.

    A file of weights calls the layers of a list by their class.
    """
