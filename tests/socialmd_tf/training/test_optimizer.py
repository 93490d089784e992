import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from socialmd_tf.training.optimizer import NonFiniteSkippingNadam


def variables():
    return [keras.Variable(np.ones(2)), keras.Variable(np.ones(3))]


@pytest.mark.parametrize("spoiled", [math.nan, math.inf, 1e30])
def test_a_gradient_whose_square_overflows_is_taken_as_zero_and_counted(spoiled):
    weights = variables()
    skipping = NonFiniteSkippingNadam(0.1, global_clipnorm=1.0)
    skipping.build(weights)
    skipping.apply([np.zeros(2, "float32"), np.float32([0, spoiled, 0])], weights)
    assert all(np.array_equal(weight, np.ones(weight.shape)) for weight in weights)
    assert skipping.skipped_gradients == 1
    skipping.apply([np.ones(2, "float32"), np.ones(3, "float32")], weights)
    assert skipping.skipped_gradients == 1
    plain = variables()
    reference = keras.optimizers.Nadam(0.1, global_clipnorm=1.0)
    reference.build(plain)
    for size in (0, 1):
        reference.apply([size * np.ones(2, "float32"), size * np.ones(3, "float32")], plain)
    for weight, wanted in zip(weights, plain, strict=True):
        np.testing.assert_array_equal(weight, wanted)


def test_finite_gradients_are_not_counted():
    weights = variables()
    skipping = NonFiniteSkippingNadam(0.1)
    skipping.apply([np.ones(2, "float32"), np.full(3, 1e18, "float32")], weights)
    assert skipping.skipped_gradients == 0


def test_the_count_is_over_all_replicas():
    devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    strategy = tf.distribute.MirroredStrategy(devices)
    with strategy.scope():
        weight = keras.Variable(np.ones(2))
        skipping = NonFiniteSkippingNadam(0.1)
        skipping.build([weight])

    @tf.function
    def step(gradient):
        strategy.run(lambda: skipping.apply([gradient], [weight]))

    for gradient in ([math.nan, 0], [1, 1], [math.inf, 0]):
        step(tf.constant(gradient, tf.float32))
    assert skipping.skipped_gradients == 2 * strategy.num_replicas_in_sync
