"""The spread around a fitted law before calibration: as wide as the rollouts of the law err."""

import numpy as np

from socialmd_tf.model import rollout_layer

_MEDIAN = 0.6745
_SMALLEST = 1e-6


def set_spread(model, inputs, targets):
    """Set the bias of the head's spread from the errors of rollouts.

    With independent errors of the acceleration of variance q^2, the error of frame n has the variance
    q^2 (1 + 4 + ... + n^2). The median error of each frame gives a q; that of the density's middle component becomes
    the median of these.

    Args:
        model: A model whose head is a `KinematicHead`.
        inputs: Inputs of a batch.
        targets: True positions `[B, T', N, D]`.
    """
    head = rollout_layer(model).head
    means = np.asarray(head.mean(model.predict_on_batch(inputs)))
    real = np.asarray(inputs["mask"]) > 0
    errors = np.abs(means - np.asarray(targets)).swapaxes(1, 2)[real]  # [particles, T', D]
    steps = np.arange(1, means.shape[1] + 1)
    deviations = np.median(errors, axis=(0, 2)) / _MEDIAN / np.sqrt(np.cumsum(steps**2))
    middle = 4.0 ** (head.layout.num_components // 2)
    relative = max(float(np.median(deviations)) * middle / head.acceleration_scale, _SMALLEST)
    bias = np.array(head.scale.bias)
    bias[: head.layout.num_dimensions] = np.log(np.expm1(relative))
    head.scale.bias.assign(bias)
