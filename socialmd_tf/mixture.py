"""Predicted parameters as TensorFlow Probability distributions, and the loss; the only file that imports TFP."""

import dataclasses

import keras
import tensorflow_probability as tfp

from socialmd_tf.layers.density import DensityLayout

tfd = tfp.distributions


def distribution(parameters, layout):
    """The predicted density of the next position.

    Args:
        parameters: `[..., P]` in the order of `layout`, in units of length.
        layout: The `DensityLayout`.

    Returns:
        A TFP distribution with batch shape `[...]` and event shape `[D]`: one Gaussian, or a `MixtureSameFamily` of K
        Gaussians.
    """
    logits, loc, scales = layout.split(parameters)
    if layout.num_components == 1:
        return _gaussian(layout, loc[..., 0, :], scales[..., 0, :])
    return tfd.MixtureSameFamily(tfd.Categorical(logits=logits), _gaussian(layout, loc, scales))


def _gaussian(layout, loc, scales):
    if layout.correlated:
        return tfd.MultivariateNormalTriL(loc, layout.scale_tril(scales))
    return tfd.MultivariateNormalDiag(loc, scales)


@keras.saving.register_keras_serializable(package="socialmd_tf")
class NegativeLogLikelihood(keras.losses.Loss):
    """Negative log likelihood of the true positions, in nats per particle and frame (thesis section 2.5).

    -log p(y_true), of `y_true` `[B, T', N, D]` and `y_pred` `[B, T', N, P]`, computed in log space.

    Args:
        layout: The `DensityLayout` of the parameters, or its fields as a dictionary.
    """

    def __init__(self, layout, name="negative_log_likelihood", **kwargs):
        super().__init__(name=name, **kwargs)
        self.layout = DensityLayout(**layout) if isinstance(layout, dict) else layout

    def call(self, y_true, y_pred):
        """-log p(y_true), `[B, T', N]`."""
        return -distribution(y_pred, self.layout).log_prob(y_true)

    def get_config(self):
        """Arguments of the loss."""
        return {**super().get_config(), "layout": dataclasses.asdict(self.layout)}


def density_level(parameters, layout, positions, num_samples=59):
    """Probability of the region where the predicted density is higher than at the given positions.

    The level is 0 at the mode. If the density is right, levels of true positions are uniform in [0, 1]: the share of
    levels of at most p is the coverage of the predictive region of probability p. For one Gaussian, the level follows
    from the chi-squared distribution of the squared Mahalanobis distance. For mixtures it is a Monte Carlo estimate
    with equally many samples x_ks of all K components:

        level = sum_k w_k mean_s [p(x_ks) > p(position)]

    The default leaves 60 places between the samples of a component, so that shares of 5, 10, ... % are not biased by
    their number where one component outweighs the others.

    Args:
        parameters: `[..., P]` in the order of `layout`.
        layout: The `DensityLayout`.
        positions: `[..., D]`, in units of length.
        num_samples: Number of samples of each component.

    Returns:
        Levels `[...]`.
    """
    density = distribution(parameters, layout)
    if layout.num_components == 1:
        # log p(mode) - log p(x) is half of the squared Mahalanobis distance.
        distance = 2.0 * (density.log_prob(layout.mean(parameters)) - density.log_prob(positions))
        return tfd.Chi2(float(layout.num_dimensions)).cdf(keras.ops.maximum(distance, 0.0))
    samples = density.components_distribution.sample(num_samples, seed=(0, 0))
    samples = keras.ops.moveaxis(samples, -2, 0)  # components first
    denser = keras.ops.cast(density.log_prob(samples) > density.log_prob(positions), "float32")
    weights = keras.ops.moveaxis(density.mixture_distribution.probs_parameter(), -1, 0)
    # The quotient is exactly 1 where all samples are denser, however the sum of the weights is rounded.
    return keras.ops.sum(weights * keras.ops.mean(denser, axis=1), axis=0) / keras.ops.sum(weights, axis=0)
