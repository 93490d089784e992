"""Input checks inside an exported graph: unfit inputs give INVALID_ARGUMENT with the input's name to every caller.

Model servers pass tensors on without checking them. These checks are ordinary TensorFlow operations, which stay in the
SavedModel, and the results depend on them, so that they run first.
"""

import tensorflow as tf

from socialmd_tf.layers.boxes import lattice

_ROUNDING = 1e-4


def specs(shapes, dtypes):
    """Tensor specifications by name.

    Args:
        shapes: Shape by name; a size is a number, or a letter if it is free, as in `("B", "N", 2)`.
        dtypes: Type by name; float32 for names that are not in it.
    """
    return {
        name: tf.TensorSpec(_static(shape), dtypes.get(name, tf.float32), name=name) for name, shape in shapes.items()
    }


def fitted(tensors, shapes):
    """The tensors, with a check that their shapes fit each other.

    Args:
        tensors: Tensors by name.
        shapes: As for `specs`. The first input with a letter sets its size, which must be at least 1.

    Returns:
        The tensors by name; computing with them raises InvalidArgumentError if a shape does not fit.
    """
    ensured = {name: tf.ensure_shape(tensors[name], _static(shape)) for name, shape in shapes.items()}
    sizes, refusals = {}, []
    for name, shape in shapes.items():
        found = tf.shape(ensured[name])
        for axis, size in enumerate(shape):
            if isinstance(size, str) and size not in sizes:
                sizes[size] = found[axis]
                message = f"`{name}` must be of shape {_text(shape)} with {size} at least 1. Received:"
                refusals.append(tf.debugging.Assert(found[axis] >= 1, [message, found]))
        expected = tf.stack([sizes.get(size, size) for size in shape]) if shape else found
        message = [f"`{name}` must be of shape {_text(shape)}, here", expected, "Received:", found]
        refusals.append(tf.debugging.Assert(tf.reduce_all(found == expected), message, summarize=8))
    with tf.control_dependencies(refusals):
        return {name: tf.identity(tensor) for name, tensor in ensured.items()}


def row_faults(tensors, limits):
    """The first fault in the values of each row.

    Args:
        tensors: Tensors by name, with first axis B. `mask` must consist of zeros and ones, and floating-point values
            must be finite.
        limits: Largest `horizon`; largest type of `edges`; largest distance at which particles see each other, at most
            half the smallest height of the `box`.

    Returns:
        Strings `[B]`, empty for rows without a fault.
    """
    faults = []
    for name, tensor in tensors.items():
        if name == "horizon":
            largest = limits["horizon"]
            rule = tf.strings.join([f" must be from 1 to {largest}. Received: ", tf.strings.as_string(tensor)])
            faults.append((name, (tensor >= 1) & (tensor <= largest), rule))
        elif name == "edges":
            allowed = _in_every_entry((tensor >= 0) & (tensor <= limits["edges"]))
            faults.append((name, allowed, f" must be from 0 to {limits['edges']}, the types of bonds of the model"))
        elif name == "mask":
            faults.append((name, _in_every_entry((tensor == 0) | (tensor == 1)), " must consist of zeros and ones"))
        elif tensor.dtype.is_floating:
            faults.append((name, _in_every_entry(tf.math.is_finite(tensor)), " must be finite"))
        if name == "box" and limits["box"]:
            rule = (
                f" must be at least {2 * limits['box']:.4g} high, twice the distance at which particles see each other"
            )
            faults.append((name, _half_height(tensor) >= limits["box"] * (1 - _ROUNDING), rule))
    text = tf.fill(tf.shape(tensors["positions"])[:1], "")
    for name, right, rule in reversed(faults):
        text = tf.where(right, text, tf.strings.join([f"`{name}`", rule]))
    return text


def refuse(condition, faults):
    """An operation that raises InvalidArgumentError with the first of the faults `[B]` if `condition` holds."""
    row = tf.argmax(faults != "", output_type=tf.int32)
    return tf.debugging.Assert(~condition, [tf.strings.join([faults[row], " (row ", tf.strings.as_string(row), ")"])])


def _in_every_entry(right):
    return tf.reduce_all(tf.reshape(right, [tf.shape(right)[0], -1]), axis=1)


def _half_height(box):
    """Half the smallest height of boxes `[B, D, D]`: `[B]`, infinite if all axes are open."""
    size = box.shape[-1]
    inverse = tf.reshape(lattice(box)[:, size**2 :], [-1, size, size])
    return 0.5 / tf.reduce_max(tf.norm(inverse, axis=1), axis=-1)


def _static(shape):
    return [size if isinstance(size, int) else None for size in shape]


def _text(shape):
    return f"[{', '.join(str(size) for size in shape)}]"
