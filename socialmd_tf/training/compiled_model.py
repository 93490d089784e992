"""Training steps compiled by XLA, on any number of devices."""

import contextlib
import itertools

import keras
import tensorflow as tf

from socialmd_tf.layers.full_precision import is_rounded
from socialmd_tf.layers.static_shapes import compiled_by_xla
from socialmd_tf.model import rollout_layer
from socialmd_tf.training.sample_weights import fill_up


class CompiledModel(keras.Model):
    """A model whose losses and gradients XLA computes, for `keras.Model.fit` under any strategy.

    On each device, forward and backward pass are one program. The sum over devices and the step of the optimizer are
    outside it, since XLA cannot compile the former. Shapes do not depend on values (`compiled_by_xla`), and a smaller
    batch is filled up with empty samples, so that it needs no program of its own. Losses, gradients and metrics are
    those of `keras.Model`.
    """

    samples_per_device = 1
    """Number of samples that a device's share of a batch is filled up to, and the largest share."""

    def train_step(self, data):
        """Make a step of training; `data` is a batch (inputs, targets, weights). Returns the metrics so far."""
        loss, predictions, gradients = self._run(data, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return self._updated_metrics(data, loss, predictions)

    def test_step(self, data):
        """Evaluate a batch; arguments and result as of `train_step`."""
        loss, predictions, _ = self._run(data, [])
        return self._updated_metrics(data, loss, predictions)

    def _run(self, data, trained):
        """Loss, predictions and gradients with respect to variables; without any, as in evaluation."""
        others = _without(rollout_layer(self).variables, trained)
        num_samples = tf.shape(data[1])[0]
        filled = tf.nest.map_structure(lambda x: _whole(x, self.samples_per_device), data)
        # The mean over the filled batch, times this, is that over the samples.
        share = self.samples_per_device / tf.cast(num_samples, tf.float32)
        changed = []

        # Variables come as tensors: a function of variables would be bound to the device that it was traced for.
        @tf.function(jit_compile=True, autograph=False)
        def compute(values, constants, batch, share):
            scope = keras.StatelessScope([*zip(trained, values, strict=True), *zip(others, constants, strict=True)])
            with compiled_by_xla(), scope, _lower_precision(rollout_layer(self), bool(trained)):
                with tf.GradientTape() as tape:
                    tape.watch(values)
                    inputs, targets, weights = batch
                    predictions = self(inputs, training=bool(trained))
                    loss = share * self.compute_loss(inputs, targets, predictions, weights, training=bool(trained))
                gradients = tape.gradient(loss, values)
            after = [scope.get_current_value(variable) for variable in others]
            changed[:] = [new is not old for new, old in zip(after, constants, strict=True)]
            return loss, predictions, gradients, [*itertools.compress(after, changed)]

        values, constants = ([tf.convert_to_tensor(v.value) for v in variables] for variables in (trained, others))
        loss, predictions, gradients, after = compute(values, constants, filled, share)
        for variable, value in zip(itertools.compress(others, changed), after, strict=True):
            variable.assign(value)  # the seed of dropout
        return loss, predictions[:num_samples], gradients

    def _updated_metrics(self, data, loss, predictions):
        """Update and return the metrics, as `keras.Model` does."""
        inputs, targets, weights = data
        num_replicas = tf.distribute.get_strategy().num_replicas_in_sync
        self._loss_tracker.update_state(loss * num_replicas, sample_weight=tf.shape(targets)[0])
        return self.compute_metrics(inputs, targets, predictions, weights)


@contextlib.contextmanager
def _lower_precision(rollout, is_training):
    """Within this context, a CNN that reads neighbours is in bfloat16 if a GPU trains it and rounds products anyway."""
    interaction = getattr(rollout.cell, "interaction", None)
    if not (is_training and is_rounded() and hasattr(interaction, "set_precision")):
        yield
        return
    before = interaction.dtype_policy
    interaction.set_precision("mixed_bfloat16")
    try:
        yield
    finally:
        interaction.set_precision(before)


def _without(variables, left_out):
    """Those of the variables that are not `left_out`."""
    known = {id(variable) for variable in left_out}
    return [variable for variable in variables if id(variable) not in known]


def _whole(tensor, num_samples):
    """A tensor `[B, ...]` filled up to `[num_samples, ...]`: XLA differentiates known shapes."""
    filled = fill_up(tensor, num_samples - tf.shape(tensor)[0])
    return tf.ensure_shape(filled, (num_samples, *tensor.shape[1:]))
