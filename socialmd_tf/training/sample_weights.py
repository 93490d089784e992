"""Batches for `keras.Model.fit`: weights that leave out padded particles, and frames that are not predicted yet."""

import tensorflow as tf


def with_sample_weights(batches, num_replicas=1, num_steps=None):
    """Add sample weights, so that the loss is the mean over real particles.

    The weights average 1 over each batch, however a strategy divides it. Empty samples fill B up to a multiple of
    `num_replicas`: Keras cannot start with uneven shares, and would give the samples of a smaller share more weight.

    Args:
        batches: Dataset of (inputs, targets `[B, T', N, D]`), or of the shares of a worker, see
            `pipelines.dataset.batches`.
        num_replicas: Number of devices, or of workers, that share a batch.
        num_steps: Only the first `num_steps` targets have weight; None for all. With 0 all have weight, and the frames
            before the last target become inputs (teacher forcing).

    Returns:
        Dataset of (inputs, targets `[B, T', N, D]`, weights `[B, T', N]`).
    """

    def weigh(inputs, targets, whole=None):
        if whole is None:
            missing = -tf.shape(targets)[0] % num_replicas
        else:
            share = -(-tf.cast(whole[0], tf.int32) // num_replicas)
            missing = share - tf.shape(targets)[0]
        inputs, targets = tf.nest.map_structure(lambda x: fill_up(x, missing), (inputs, targets))
        counts = tf.repeat(inputs["mask"][:, None], tf.shape(targets)[1], axis=1)
        if num_steps == 0:
            inputs = {**inputs, "positions": tf.concat([inputs["positions"], targets[:, :-1]], axis=1)}
        elif num_steps is not None:
            counts *= tf.sequence_mask(num_steps, tf.shape(targets)[1], counts.dtype)[:, None]
        mean = tf.reduce_mean(counts)
        if whole is not None:
            # Of each particle as many frames count: the mean over the whole batch follows from its particles.
            frames = tf.shape(targets)[1] if not num_steps else num_steps
            mean = (
                whole[1] * tf.cast(frames, tf.float32) / tf.cast(share * num_replicas * tf.size(counts[0]), tf.float32)
            )
        return inputs, targets, counts / mean

    return batches.map(weigh, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def fill_up(tensor, missing):
    """A tensor `[B, ...]` with a number of empty samples after its own, `[B + missing, ...]`."""
    return tf.pad(tensor, [[0, missing]] + [[0, 0]] * (tensor.shape.rank - 1))
