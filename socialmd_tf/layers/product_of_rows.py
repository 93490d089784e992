"""Products of many rows with a matrix, whose gradient a GPU computes in parallel."""

from keras import ops

from socialmd_tf.layers.static_shapes import is_compiled_by_xla

_GROUP = 256
_MAX_GROUPS = 64


def product_of_rows(rows, matrix, multiply=ops.matmul):
    """The product of `[R, K]` and `[K, M]`, both tensors.

    Within `compiled_by_xla` the gradient of the matrix, a sum over all rows, is a sum over groups of rows first. As one
    product it has few results, and a GPU whose processors each compute some of them is mostly idle.

    Args:
        rows: `[R, K]`.
        matrix: `[K, M]`.
        multiply: Function that multiplies two matrices. Gradients are found with `keras.ops.matmul`.
    """
    if not is_compiled_by_xla():
        return multiply(rows, matrix)
    import tensorflow as tf

    @tf.custom_gradient
    def apply(rows, matrix):
        def gradient(upstream):
            groups = [ops.reshape(x, (_num_groups(x.shape[0]), -1, x.shape[1])) for x in (rows, upstream)]
            sums = ops.sum(ops.matmul(ops.swapaxes(groups[0], 1, 2), groups[1]), axis=0)
            return ops.matmul(upstream, ops.transpose(matrix)), sums

        return multiply(rows, matrix), gradient

    return apply(rows, matrix)


def _num_groups(num_rows):
    """The largest number of equal groups of at least 256 rows."""
    largest = min(_MAX_GROUPS, max(num_rows // _GROUP, 1))
    return next(number for number in range(largest, 0, -1) if num_rows % number == 0)
