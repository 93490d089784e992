"""Loss and gradients of every registered layer on one device and on two replicas, printed as JSON.

Run by test_layers.py in its own process, because logical devices must exist before TensorFlow starts.
"""

import json

import keras
import numpy as np
import tensorflow as tf

from tests.conformance.registry import EXAMPLES, NUM_SYSTEMS


def loss_and_gradients(layer, inputs):
    """Sum of squares of all outputs, a sum over systems, and its gradients by the weights."""
    with tf.GradientTape() as tape:
        loss = sum(tf.reduce_sum(value**2) for value in keras.tree.flatten(layer(*inputs.values())))
    weights = [weight.value for weight in layer.trainable_variables]
    return loss, tape.gradient(loss, weights, unconnected_gradients="zero") if weights else []


def as_lists(loss, gradients):
    return {"loss": float(loss), "gradients": [np.asarray(gradient).tolist() for gradient in gradients]}


def on_two_replicas(strategy, example):
    """Each replica takes one of the two systems; the sums over replicas."""
    with strategy.scope():
        layer = example.build()
    shares = keras.tree.map_structure(
        lambda array: strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(array[context.replica_id_in_sync_group :][:1])
        ),
        example.inputs,
    )
    loss, gradients = strategy.run(loss_and_gradients, (layer, shares))
    return as_lists(*tf.nest.map_structure(lambda x: strategy.reduce("SUM", x, axis=None), (loss, gradients)))


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * NUM_SYSTEMS)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(NUM_SYSTEMS)])
    results = {}
    for example in EXAMPLES:
        results[example.name] = {
            "num_replicas": strategy.num_replicas_in_sync,
            "one": as_lists(*loss_and_gradients(example.build(), example.inputs)),
            "two": on_two_replicas(strategy, example),
        }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
