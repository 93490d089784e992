"""The mean motion of the Langevin head by least squares, before its noise is trained."""

import itertools

import keras
import numpy as np
import tensorflow as tf

from socialmd_tf.model import rollout_layer

_ROWS = 20_000
_SMALLEST = 1e-10
_SHRINKAGE = 1e-2


def fit_drift(model, batches):
    """Set the coefficients of a `LangevinHead` that is linear in them, and the size of its noise.

    With columns of unit mean square, the coefficients minimize the mean squared difference between true moves and mean
    moves, plus 0.01 times the sum of the squared coefficients that belong to features; those that belong to the 1 are
    free. So types of particles differ only as far as their motion shows it, since the slow forces on a rare type are
    hard to tell from its noise. Coefficients that nothing determines are the smallest ones.

    Args:
        model: A model with this head.
        batches: Batches of (inputs, true positions `[B, T', N, D]`), all of the training split.
    """
    rollout = rollout_layer(model)
    head = rollout.head
    columns, true_frames = tf.function(head.columns), tf.function(rollout.true_frames)
    num_kinds, num_columns = head.coefficients.kernel.shape
    products = np.zeros((num_kinds, num_columns, num_kinds, num_columns))
    with_moves, squares, count = np.zeros((num_kinds, num_columns)), 0.0, 0
    for inputs, targets in batches:
        for seen, state, moves in _frames(true_frames, inputs, targets):
            real = np.asarray(seen["mask"]) > 0
            kinds = np.asarray(head.kinds(seen["features"]), np.float64)[real]
            values = np.asarray(columns(seen, state), np.float64)[real]
            moves = np.asarray(moves, np.float64)[real] / head.move_scale
            _add_products(products, kinds, values)
            with_moves += np.einsum("pa,pm->am", kinds, np.einsum("pd,pdm->pm", moves, values))
            squares, count = squares + np.sum(moves**2), count + moves.size
    products = products.reshape(with_moves.size, with_moves.size)
    with_moves = with_moves.ravel()
    found = _solve(products, with_moves, head.coefficients.kernel.shape)
    head.coefficients.kernel.assign(found.reshape(head.coefficients.kernel.shape))
    left = max(squares - 2 * found @ with_moves + found @ products @ found, 0.0) / count
    head.deviations.bias.assign(np.full(head.deviations.bias.shape, np.log(np.expm1(max(left, _SMALLEST) ** 0.5))))


def _frames(true_frames, inputs, targets):
    """Inputs and states of the head, and true moves `[R, N, D]`, of some frames at a time."""
    _, seen, state, moves = read_true_frames(true_frames, inputs, targets)
    size = max(_ROWS // int(moves.shape[1]), 1)
    for start in range(0, int(moves.shape[0]), size):
        yield keras.tree.map_structure(lambda values, start=start: values[start : start + size], (seen, state, moves))


def read_true_frames(true_frames, inputs, targets):
    """What the head reads of all true frames of a batch but the last, and the moves after them.

    Args:
        true_frames: `Rollout.true_frames`, or a `tf.function` of it, which is traced once for all batches.
        inputs: Of the model.
        targets: True positions `[B, T', N, D]`.

    Returns:
        Outputs of the cell, inputs and states of the head, and true moves, each for T' B frames `[T' B, N, ...]`.
    """
    true = tf.convert_to_tensor(targets)
    frames = {**inputs, "positions": tf.concat([inputs["positions"], true[:, :-1]], axis=1)}
    outputs, seen, state = true_frames(frames)
    following = tf.reshape(tf.experimental.numpy.moveaxis(true, 0, 1), tf.shape(seen["positions"]))
    return outputs, seen, state, following - seen["positions"]


def _add_products(products, kinds, columns):
    """Add sums of z_a g_m z_b g_n over particles and directions, for kinds z `[R, F']` and columns g `[R, D, M]`."""
    for a, b in itertools.combinations_with_replacement(range(kinds.shape[-1]), 2):
        weights = kinds[:, a] * kinds[:, b]
        chosen = weights != 0  # of types, only one is not zero
        rows = columns[chosen]
        weighted = rows * weights[chosen, None, None]
        found = np.reshape(weighted, (-1, columns.shape[-1])).T @ np.reshape(rows, (-1, columns.shape[-1]))
        products[a, :, b] += found
        if a != b:
            products[b, :, a] += found


def _solve(products, right, shape):
    """Coefficients `[F' M]` of normal equations, of which only the last M belong to the 1."""
    sizes = np.sqrt(np.maximum(np.diag(products), _SMALLEST))
    free = np.repeat(np.arange(shape[0]) == shape[0] - 1, shape[1])
    scaled = products / np.outer(sizes, sizes) + np.diag(np.where(free, 0.0, _SHRINKAGE))
    return np.linalg.lstsq(scaled, right / sizes, rcond=_SMALLEST)[0] / sizes
