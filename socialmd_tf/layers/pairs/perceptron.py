"""A perceptron of one number, in the form that a compiler for accelerators turns into one loop over all pairs."""

import keras
from keras import ops


def planes(values, kernel, bias, output_kernel, output_bias):
    """sum_h output_kernel_hk silu(kernel_h x + bias_h) + output_bias_k.

    Written as one sum after the other, all values of one pair are computed where its x is, and nothing but the results
    is stored. Gradients of weights are sums over all pairs, H K of them; they are computed from hidden units that are
    stored, `[H, ...]`.

    Args:
        values: x, `[...]`.
        kernel: `[H]`.
        bias: `[H]`.
        output_kernel: `[H, K]`.
        output_bias: `[K]`.

    Returns:
        A list of K tensors `[...]`.
    """
    arguments = [values, *(ops.copy(weight) for weight in (kernel, bias, output_kernel, output_bias))]
    return list(_with_gradient(*arguments) if keras.backend.backend() == "tensorflow" else _one_by_one(*arguments))


def _one_by_one(values, kernel, bias, output_kernel, output_bias):
    sums = [output_bias[k] for k in range(output_bias.shape[0])]
    for h in range(kernel.shape[0]):
        hidden = ops.silu(values * kernel[h] + bias[h])
        sums = [total + hidden * output_kernel[h, k] for k, total in enumerate(sums)]
    return sums


def _at_once(values, kernel, bias, output_kernel, output_bias):
    ones = [1] * len(values.shape)
    hidden = ops.silu(values * ops.reshape(kernel, (-1, *ones)) + ops.reshape(bias, (-1, *ones)))
    output_kernel = ops.reshape(output_kernel, (*output_kernel.shape, *ones))
    sums = ops.sum(hidden[:, None] * output_kernel, axis=0) + ops.reshape(output_bias, (-1, *ones))
    return ops.unstack(sums, output_bias.shape[0])


@ops.custom_gradient
def _with_gradient(*arguments):
    def gradient(*upstream):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(arguments)
            results = _at_once(*arguments)
        return tape.gradient(results, arguments, upstream)

    return tuple(_one_by_one(*arguments)), gradient
