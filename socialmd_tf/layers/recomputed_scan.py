"""A loop over steps whose backward pass computes every step again, instead of keeping what happened in it."""

import keras
from keras import ops


def recomputed_scan(body, carry, length, variables):
    """Carry a state through steps, and stack it.

        s_(k+1) = body(s_k, k),  k = 0, ..., length - 1

    The gradient with respect to s_0 and the variables is found by a second loop, from the last step to the first, which
    computes each step again from the carry before it. So only the carries are kept, not the intermediate results of
    the steps, and XLA can compile both loops. With other backends than TensorFlow this is `keras.ops.scan`.

    Args:
        body: Function of the carry and the index of the step, an integer tensor, that returns the next carry. Tensors
            from outside that it reads count as constants.
        carry: s_0, a nested structure of tensors.
        length: Number of steps, an integer or a scalar tensor.
        variables: All Keras variables that the body reads. Seeds of random numbers advance.

    Returns:
        The carries after each step, stacked along a new first axis.
    """
    if keras.backend.backend() != "tensorflow":
        return plain_scan(body, carry, length)
    weights = [variable for variable in variables if _is_float(variable)]
    seeds = [variable for variable in variables if not _is_float(variable)]

    def step(values, leaves, index):
        """Leaves of the carry after a step; those of the seeds come first."""
        mapping = [*zip(seeds, leaves, strict=False), *zip(weights, values, strict=True)]
        with keras.StatelessScope(mapping) as scope:
            after = body(keras.tree.pack_sequence_as(carry, leaves[len(seeds) :]), index)
            states = [scope.get_current_value(seed) for seed in seeds]
        return [*states, *keras.tree.flatten(after)]

    # Copies: the backward pass reads the first seeds after they have advanced.
    first = [*(ops.copy(seed.value) for seed in seeds), *keras.tree.flatten(carry)]
    stacked = _scan(step, [ops.copy(weight.value) for weight in weights], first, length)
    for seed, states in zip(seeds, stacked, strict=False):
        seed.assign(states[-1])
    return keras.tree.pack_sequence_as(carry, stacked[len(seeds) :])


def plain_scan(body, carry, length):
    """`recomputed_scan` by `keras.ops.scan`, which keeps what the backward pass needs instead."""
    # It needs outputs shaped like the carry, so everything carried is stacked.
    return ops.scan(lambda before, index: (body(before, index),) * 2, carry, ops.arange(length, dtype="int32"))[1]


def kept_scan(body, carry, length):
    """`recomputed_scan` that keeps what the backward pass needs, in a loop that XLA can compile.

    `length` must be an integer, and the body must not draw random numbers.
    """
    if keras.backend.backend() != "tensorflow":
        return plain_scan(body, carry, length)
    import tensorflow as tf

    leaves = [tf.convert_to_tensor(leaf) for leaf in keras.tree.flatten(carry)]

    def advance(index, before, arrays):
        after = keras.tree.flatten(body(keras.tree.pack_sequence_as(carry, before), index))
        after = [tf.ensure_shape(new, old.shape) for new, old in zip(after, before, strict=True)]
        return index + 1, after, [array.write(index, leaf) for array, leaf in zip(arrays, after, strict=True)]

    arrays = [tf.TensorArray(leaf.dtype, length, element_shape=leaf.shape) for leaf in leaves]
    _, _, arrays = tf.while_loop(
        lambda index, *_: index < length, advance, (0, leaves, arrays), maximum_iterations=length
    )
    return keras.tree.pack_sequence_as(carry, [array.stack() for array in arrays])


def _is_float(value):
    return keras.backend.is_float_dtype(keras.backend.standardize_dtype(value.dtype))


def _scan(step, weights, first, length):
    """`recomputed_scan` for lists of tensors; `step(weights, leaves, index)` returns the next leaves."""
    import tensorflow as tf

    moving = [number for number, leaf in enumerate(first) if leaf.dtype.is_floating]

    @tf.custom_gradient
    def apply(*arguments):
        weights, initial = arguments[: len(arguments) - len(moving)], list(first)
        for number, leaf in zip(moving, arguments[len(weights) :], strict=True):
            initial[number] = leaf
        stacked = _forward(tf, step, weights, initial, length)

        def gradient(*upstream):
            upstream = [upstream[number] for number in moving]
            return _backward(tf, step, weights, initial, stacked, moving, upstream, length)

        return stacked, gradient

    return apply(*weights, *(first[number] for number in moving))


def _forward(tf, step, weights, initial, length):
    """Leaves after each step, stacked."""

    def advance(index, leaves, arrays):
        leaves = step(weights, leaves, index)
        for leaf, before in zip(leaves, initial, strict=True):
            leaf.set_shape(before.shape)
        return index + 1, leaves, [array.write(index, leaf) for array, leaf in zip(arrays, leaves, strict=True)]

    arrays = [tf.TensorArray(leaf.dtype, length, element_shape=leaf.shape) for leaf in initial]
    _, _, arrays = tf.while_loop(lambda index, *_: index < length, advance, (0, initial, arrays))
    return [array.stack() for array in arrays]


def _backward(tf, step, weights, initial, stacked, moving, upstream, length):
    """Gradients with respect to the weights and the `moving` leaves, given those with respect to the stacked leaves."""

    def retreat(count, slopes, sums):
        index = length - 1 - count
        leaves = [
            tf.where(index > 0, after[tf.maximum(index - 1, 0)], before)
            for after, before in zip(stacked, initial, strict=True)
        ]
        local = [tf.identity(weight) for weight in weights]
        floats = [leaves[number] for number in moving]
        with tf.GradientTape() as tape:
            tape.watch([local, floats])
            after = step(local, leaves, index)
        slopes = [slope + steps[index] for slope, steps in zip(slopes, upstream, strict=True)]
        found = tape.gradient(
            [after[number] for number in moving],
            [*local, *floats],
            output_gradients=slopes,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        found = [tf.convert_to_tensor(gradient) for gradient in found]
        slopes = [
            tf.ensure_shape(gradient, slope.shape) for gradient, slope in zip(found[len(local) :], slopes, strict=True)
        ]
        return count + 1, slopes, [total + gradient for total, gradient in zip(sums, found, strict=False)]

    slopes = [tf.zeros_like(initial[number]) for number in moving]
    sums = [tf.zeros_like(weight) for weight in weights]
    _, slopes, sums = tf.while_loop(lambda count, *_: count < length, retreat, (0, slopes, sums))
    return [*sums, *slopes]
