"""A dense layer whose weights stay float32 under mixed precision, also where another layer reads them."""

import keras


@keras.saving.register_keras_serializable(package="socialmd_tf")
class FullPrecisionDense(keras.layers.Dense):
    """`keras.layers.Dense` in float32: its weights are not rounded to the precision of an enclosing layer."""

    def __init__(self, units, activation=None, **kwargs):
        super().__init__(units, activation, **{**kwargs, "dtype": "float32"})

    def add_weight(self, *args, **kwargs):
        """Add a weight that is never cast."""
        return super().add_weight(*args, **{**kwargs, "autocast": False})
