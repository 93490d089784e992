import json
import math
import subprocess
import sys

import keras
import numpy as np
import pytest

from socialmd_tf.training.optimizer import NonFiniteSkippingNadam


def variables():
    return [keras.Variable(np.ones(size, "float32")) for size in (2, 3)]


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


def test_a_compiled_step_is_that_of_keras():
    """Clipped, with a gradient that is not finite, and with a learning rate that changes."""
    generator, schedule = np.random.default_rng(0), keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    gradients = [[generator.normal(size=size).astype("float32") for size in (2, 3)] for _ in range(5)]
    gradients[2][1][0] = np.inf
    found, expected = variables(), variables()
    compiled = NonFiniteSkippingNadam(schedule, compiled=True, global_clipnorm=1.0)
    plain = NonFiniteSkippingNadam(schedule, global_clipnorm=1.0)
    for step in gradients:
        compiled.apply(step, found)
        plain.apply(step, expected)
    assert compiled.skipped_gradients == plain.skipped_gradients == 1
    assert compiled.get_config()["compiled"] and not plain.get_config()["compiled"]
    for one, other in zip([*found, *compiled.variables], [*expected, *plain.variables], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    assert np.abs(found[0] - np.ones(2)).max() > 0.01


TWO_REPLICAS = """
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
from socialmd_tf.training.callbacks import SkippedGradients
from socialmd_tf.training.optimizer import NonFiniteSkippingNadam
with tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices("CPU")]).scope():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(NonFiniteSkippingNadam(0.01, compiled=COMPILED), "mse", jit_compile=False)
    model.optimizer.build(model.trainable_variables)
inputs = np.ones((16, 2), "float32")
inputs[[0, 5, 6]] *= 1e12  # one share of the first batch of 4, both shares of the second
batches = tf.data.Dataset.from_tensor_slices((inputs, np.ones((16, 1), "float32"))).batch(4)
history = model.fit(batches, epochs=2, verbose=0, callbacks=[SkippedGradients()])
print(history.history["skipped_gradients"])
"""


@pytest.mark.slow
@pytest.mark.parametrize("compiled", ["False", "True"])
def test_the_count_is_over_all_replicas_and_per_epoch(compiled):
    script = TWO_REPLICAS.replace("COMPILED", compiled)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    assert json.loads(result.stdout.splitlines()[-1]) == [3, 3]
