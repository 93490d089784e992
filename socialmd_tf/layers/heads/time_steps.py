"""Steps of many systems until they have arrived: a loop whose gradient compilers for accelerators can compile."""

import keras
from keras import ops

from socialmd_tf.layers.static_shapes import has_static_shapes

_STRIDE = 8
"""Steps between two looks, within `static_shapes`, at whether systems have arrived: a GPU waits for each look."""


def take_steps(choose, move, goal, start, moving, constants, max_steps):
    """Take steps of all systems until at most `goal` of them have time left.

    Within `static_shapes` a few more may be taken.

    Args:
        choose: Function of the number of steps, the times left and the moving tensors. It returns the length of the
            next step of each system `[A]`, 0 for those that have arrived. No gradient passes through it.
        move: Function of these lengths, the list of moving tensors and the constants. It returns the moving tensors
            after the step, unchanged by a length of 0. Gradients pass to what it is called with, and to nothing else.
        goal: Number of systems.
        start: Number of steps taken before, an integer, and the times left `[A]`.
        moving: List of tensors `[A, ...]`.
        constants: Tensors of real numbers, in any nested structure.
        max_steps: Number of steps, with those before, after which `choose` leaves no time.

    Returns:
        Number of steps, times left and the list of moving tensors.
    """
    if has_static_shapes() and keras.backend.backend() == "tensorflow":
        return _StaticSteps(choose, move, goal, start, constants, max_steps)(moving)

    def step(number, left, *moving):
        h = choose(number, left, *moving)
        return number + 1, left - h, *move(h, moving, constants)

    number, left, *moving = ops.while_loop(lambda _, left, *__: _is_on(left, goal), step, (*start, *moving))
    return number, left, moving


def _is_on(left, goal):
    return ops.count_nonzero(left > 0) > goal


class _StaticSteps:
    """`take_steps` with TensorFlow, in loops that XLA can compile, with their gradient.

    XLA differentiates a loop only if it knows how often it runs, and keeps all intermediate values of the longest. The
    gradient here takes the steps once more, this time keeping where each began.
    """

    def __init__(self, choose, move, goal, start, constants, max_steps):
        self._choose, self._move, self._goal, self._start = choose, move, goal, start
        self._constants = constants
        self._capacity = -(-max_steps // _STRIDE) * _STRIDE

    def __call__(self, moving):
        """Number of steps, times left and the moving tensors."""
        num_moving = len(moving)

        @ops.custom_gradient
        def run(*values):
            moving = list(values[:num_moving])
            constants = keras.tree.pack_sequence_as(self._constants, list(values[num_moving:]))
            number, left, moved, _ = self._forward(moving, constants, [])
            return (number, left, *moved), lambda *upstream: self._backward(moving, constants, upstream[2:])

        number, left, *moved = run(*moving, *keras.tree.flatten(self._constants))
        return number, left, moved

    def _forward(self, moving, constants, stored):
        """Number of steps, times left, the moving tensors and the arrays of the lengths and starts of all steps."""
        import tensorflow as tf

        first, left = self._start

        def step(number, left, moving, stored):
            h = self._choose(number, left, *moving)
            places = zip(stored, (h, *moving), strict=False)  # no arrays, nothing is stored
            stored = [array.write(number - first, value) for array, value in places]
            return number + 1, left - h, self._move(h, moving, constants), stored

        return tf.while_loop(
            lambda _, left, *__: _is_on(left, self._goal),
            lambda *values: _repeat(step, values),
            (tf.convert_to_tensor(first), left, moving, stored),
        )

    def _backward(self, moving, constants, gradients):
        """Gradients of the moving tensors at the start and of the constants, from those of the moved tensors."""
        import tensorflow as tf

        # Something must be written, even if no step is taken: arrays learn their shapes from it.
        arrays = [
            tf.TensorArray(value.dtype, self._capacity, clear_after_read=False).write(0, value)
            for value in (self._start[1], *moving)
        ]
        number, _, _, arrays = self._forward(moving, constants, arrays)
        stored, flat = [array.stack() for array in arrays], keras.tree.flatten(constants)

        def step(later, gradients, sums):
            h, *moving = (values[later - 1] for values in stored)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch([*moving, *flat])
                moved = self._move(h, moving, constants)
            found = tape.gradient(moved, [*moving, *flat], gradients, unconnected_gradients="zero")
            found = [tf.convert_to_tensor(value) for value in found]  # not as slices
            sums = [total + value for total, value in zip(sums, found[len(moving) :], strict=True)]
            return later - 1, found[: len(moving)], sums

        start = number - self._start[0], list(gradients), [tf.zeros_like(value) for value in flat]
        _, gradients, sums = tf.while_loop(lambda later, *_: later > 0, lambda *values: _repeat(step, values), start)
        return [*gradients, *sums]


def _repeat(step, values):
    """A number of steps that compilers see, so that nothing waits between them."""
    import tensorflow as tf

    return tf.while_loop(lambda k, *_: k < _STRIDE, lambda k, *values: (k + 1, *step(*values)), (0, *values))[1:]
