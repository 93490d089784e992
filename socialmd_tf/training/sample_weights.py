"""Batches for `keras.Model.fit`: weights that leave out padded particles, and frames that are not predicted yet."""

import tensorflow as tf


def with_sample_weights(batches, num_replicas=1, num_steps=None):
    """Add sample weights, so that the loss is the mean over real particles.

    The weights average 1 over each batch, however a strategy divides it. Empty samples fill B up to a multiple of
    `num_replicas`: Keras cannot start with uneven shares, and would give the samples of a smaller share more weight.

    Args:
        batches: Dataset of (inputs, targets `[B, T', N, D]`).
        num_replicas: Number of devices that share a batch.
        num_steps: Only the first `num_steps` targets have weight; None for all. With 0 all have weight, and the frames
            before the last target become inputs (teacher forcing).

    Returns:
        Dataset of (inputs, targets `[B, T', N, D]`, weights `[B, T', N]`).
    """

    def weigh(*batch):
        missing = -tf.shape(batch[1])[0] % num_replicas
        inputs, targets = tf.nest.map_structure(lambda x: fill_up(x, missing), batch)
        counts = tf.repeat(inputs["mask"][:, None], tf.shape(targets)[1], axis=1)
        if num_steps == 0:
            inputs = {**inputs, "positions": tf.concat([inputs["positions"], targets[:, :-1]], axis=1)}
        elif num_steps is not None:
            counts *= tf.sequence_mask(num_steps, tf.shape(targets)[1], counts.dtype)[:, None]
        return inputs, targets, counts / tf.reduce_mean(counts)

    return batches.map(weigh, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def fill_up(tensor, missing):
    """A tensor `[B, ...]` with a number of empty samples after its own, `[B + missing, ...]`."""
    return tf.pad(tensor, [[0, missing]] + [[0, 0]] * (tensor.shape.rank - 1))
