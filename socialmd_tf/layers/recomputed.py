"""A function whose backward pass computes it again, instead of keeping what happened in it."""

import keras
from keras import ops


def recomputed(function, variables, *values):
    """`function(*values)`, of which only the values are kept for the gradient, and no intermediate result.

    Unlike `keras.remat`, this works within loops in graphs of TensorFlow, also with variables. With other backends it
    is `keras.remat`.

    Args:
        function: Function of the values that returns one tensor. Other tensors that it reads count as constants.
        variables: All Keras variables that it reads.
        values: Tensors of real numbers.
    """
    if keras.backend.backend() != "tensorflow":
        return keras.remat(function)(*values)
    import tensorflow as tf

    weights = [ops.copy(variable) for variable in variables]

    def evaluate(*arguments):
        with keras.StatelessScope([*zip(variables, arguments, strict=False)]):
            return function(*arguments[len(variables) :])

    @tf.custom_gradient
    def apply(*arguments):
        def gradient(upstream):
            again = list(map(tf.identity, arguments))  # in the graph of the gradient of a loop, where it is called
            with tf.GradientTape() as tape:
                tape.watch(again)
                result = evaluate(*again)
            return tape.gradient(result, again, upstream, unconnected_gradients="zero")

        return evaluate(*arguments), gradient

    return apply(*weights, *values)
