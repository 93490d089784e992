"""Numbers of particles by which terms are weighed: products of powers of features."""

from keras import ops


def factor_values(factors, features, mask=None):
    """Values of factors.

    A factor is a dictionary: `powers`, pairs of the index of a feature and its whole power in the product, and
    `indicates`, empty or the index of a feature and the value where the factor counts. Without either it is 1.

    Args:
        factors: C factors.
        features: `[B, N, F]`.
        mask: `[B, N]`, 1 for real particles and 0 for padding, or None.

    Returns:
        `[B, N, C]`.
    """
    if mask is not None:  # the features of padding are 0, which has no negative power
        features = ops.where(mask[..., None] > 0, features, 1.0)
    ones = ops.ones(ops.shape(features)[:-1], features.dtype)
    values = []
    for factor in factors:
        value = ones
        for index, power in factor.get("powers", ()):
            value = value * _power(features[..., int(index)], power)
        if factor.get("indicates"):
            index, wanted = factor["indicates"]
            value = value * ops.cast(features[..., int(index)] == wanted, value.dtype)
        values.append(value)
    return ops.stack(values, axis=-1)


def _power(values, power):
    """Whole powers by products, so that they and their gradients are right for negative values too."""
    result = values
    for _ in range(abs(int(power)) - 1):
        result = result * values
    return result if power > 0 else 1 / result
