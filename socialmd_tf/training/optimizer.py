"""The optimizer: Nadam that skips gradients which are not finite, and counts them."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="socialmd_tf")
class NonFiniteSkippingNadam(keras.optimizers.Nadam):
    """Nadam that replaces a gradient by zero when the sum of its squares is not finite.

    Chaotic motion has such gradients now and then. The step is made with the momentum alone. Under a distribution
    strategy every replica checks its own gradient.

    The variable `skipped_gradients` counts them, over all replicas, until someone sets it to zero.
    """

    def build(self, variables):
        """Create the variables."""
        if self.built:
            return
        super().build(variables)
        self.skipped_gradients = self.add_variable((), aggregation="sum", name="skipped_gradients")

    def apply(self, grads, trainable_variables=None):
        """Make a step."""
        is_finite = ops.isfinite(sum(ops.sum(ops.square(gradient)) for gradient in grads))
        super().apply([ops.where(is_finite, gradient, 0) for gradient in grads], trainable_variables)
        self.assign_add(self.skipped_gradients, ops.where(is_finite, 0.0, 1.0))
