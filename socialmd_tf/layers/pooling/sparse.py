"""The product of a sparse matrix and a dense one, which `keras.ops` lacks."""

import keras
from keras import ops


def sparse_matmul(indices, values, num_rows, dense, transpose=False):
    """Multiply a sparse matrix S by a dense one.

    S[r, c] = sum of values[m] over m with indices[m] = (r, c). With TensorFlow this uses its sparse kernel, which was
    four times faster than the gather and segment sum of the other backends.

    Args:
        indices: Rows and columns, integers `[M, 2]`.
        values: `[M]`.
        num_rows: Number of rows of the product.
        dense: `[num_columns, C]`.
        transpose: Whether `indices` and `values` are those of the transpose of S.

    Returns:
        `[num_rows, C]`.
    """
    if keras.backend.backend() != "tensorflow":
        rows, columns = (1, 0) if transpose else (0, 1)
        terms = ops.take(dense, indices[:, columns], axis=0) * values[:, None]
        return ops.segment_sum(terms, indices[:, rows], num_rows)
    import tensorflow as tf

    num_columns = tf.shape(dense)[0]
    shape = [num_columns, num_rows] if transpose else [num_rows, num_columns]
    matrix = tf.SparseTensor(tf.cast(indices, "int64"), values, tf.cast(tf.stack(shape), "int64"))
    return tf.sparse.sparse_dense_matmul(matrix, dense, adjoint_a=transpose)
