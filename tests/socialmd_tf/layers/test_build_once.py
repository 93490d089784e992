import keras
import numpy as np
import pytest

from socialmd_tf.layers.build_once import build_once


class Product(keras.layers.Layer):
    """A layer without weights and without `build`."""

    def call(self, first, second):
        return first * second


class Scaled(Product):
    """The same with a weight for every column of the second argument."""

    def build(self, first_shape, second_shape):
        self.scale = self.add_weight((second_shape[-1],), "ones")


def test_weights_are_created_once():
    layer = Scaled()
    build_once(layer, (2, 3), (2, 3))
    scale = layer.scale
    build_once(layer, (2, 3), (2, 3))
    assert layer.built and layer.scale is scale and scale.shape == (3,)


@pytest.mark.filterwarnings("error")
def test_layers_without_weights_need_no_build():
    layer = Product()
    build_once(layer, (2, 3), (2, 3))
    assert layer.built
    np.testing.assert_array_equal(layer(np.full((2, 3), 2.0), np.full((2, 3), 3.0)), np.full((2, 3), 6.0))
