"""The optimizer: Nadam that skips gradients which are not finite, and counts them."""

import keras
from keras import ops

_DECAY = 0.96
"""Of Nadam's warm-up of the momentum; Keras has no argument for it."""


@keras.saving.register_keras_serializable(package="socialmd_tf")
class NonFiniteSkippingNadam(keras.optimizers.Nadam):
    """Nadam that replaces a gradient by zero when the sum of its squares is not finite.

    Chaotic motion has such gradients now and then. The step is made with the momentum alone. Under a distribution
    strategy every replica checks its own gradient.

    The variable `skipped_gradients` counts them, over all replicas, until someone sets it to zero.

    Args:
        learning_rate: Learning rate.
        compiled: Whether XLA compiles the arithmetic of a step. Otherwise it is some forty operations per variable,
            each of which a GPU takes longer to start than to finish. The sum over replicas remains outside.
        **kwargs: As for `keras.optimizers.Nadam`.
    """

    def __init__(self, learning_rate=0.001, compiled=False, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.compiled = compiled

    def build(self, variables):
        """Create the variables."""
        if self.built:
            return
        super().build(variables)
        self.skipped_gradients = self.add_variable((), aggregation="sum", name="skipped_gradients")

    def apply(self, grads, trainable_variables=None):
        """Make a step."""
        checked, is_finite = self._compute(self._checked)(list(grads))
        super().apply(checked, trainable_variables)
        self.assign_add(self.skipped_gradients, ops.where(is_finite, 0.0, 1.0))

    def _compute(self, function):
        """The function, which XLA compiles if it should."""
        if not self.compiled:
            return function
        import tensorflow as tf

        return tf.function(function, jit_compile=True, autograph=False)

    def _checked(self, grads):
        """The clipped gradients, or zeros, and whether they were finite."""
        is_finite = ops.isfinite(sum(ops.sum(ops.square(gradient)) for gradient in grads))
        return super()._clip_gradients([ops.where(is_finite, gradient, 0) for gradient in grads]), is_finite

    def _clip_gradients(self, grads):
        """The gradients, which `apply` has clipped."""
        return grads

    def _distributed_tf_update_step(self, distribution, grads_and_vars, learning_rate):
        """Move all variables at once, on each device."""
        if not self.compiled:
            super()._distributed_tf_update_step(distribution, grads_and_vars, learning_rate)
            return
        import tensorflow as tf

        gradients, variables = zip(*grads_and_vars, strict=True)
        numbers = [self._get_variable_index(variable) for variable in variables]
        moving = [variables, *([slots[i].value for i in numbers] for slots in (self._momentums, self._velocities))]

        def update(_, moving, *constants):
            values, constants = tf.nest.map_structure(tf.convert_to_tensor, ([*map(list, moving)], constants))
            for group, moved in zip(moving, self._compute(self._moved)(values, *constants), strict=True):
                for variable, value in zip(group, moved, strict=True):
                    variable.assign(value)

        constants = gradients, learning_rate, self.iterations.value, self._u_product.value
        distribution.extended.update(variables[0], update, args=(moving, *constants), group=False)

    def _moved(self, values, gradients, learning_rate, iteration, product):
        """Variables, momentums and velocities after a step of `keras.optimizers.Nadam`.

        Args:
            values: The same before it.
            gradients: Those of the variables.
            learning_rate: Learning rate.
            iteration: Number of steps before.
            product: Product of the factors of the momentum in all steps, this one included.
        """
        step = ops.cast(iteration + 1, "float32")
        factor, next_factor = (self.beta_1 * (1 - 0.5 * ops.power(_DECAY, number)) for number in (step, step + 1))
        found = []
        for variable, momentum, velocity, gradient in zip(*values, gradients, strict=True):
            momentum = momentum + (gradient - momentum) * (1 - self.beta_1)
            velocity = velocity + (ops.square(gradient) - velocity) * (1 - self.beta_2)
            ahead = next_factor * momentum / (1 - product * next_factor) + (1 - factor) * gradient / (1 - product)
            size = ops.sqrt(velocity / (1 - ops.power(self.beta_2, step))) + self.epsilon
            found.append((variable - learning_rate * ahead / size, momentum, velocity))
        return [list(group) for group in zip(*found, strict=True)]

    def get_config(self):
        """Arguments of the optimizer."""
        return {**super().get_config(), "compiled": self.compiled}
