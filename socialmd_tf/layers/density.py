"""How a predicted density is stored as a vector of numbers, its moments, and draws from it."""

import dataclasses

from keras import ops


@dataclasses.dataclass(frozen=True)
class DensityLayout:
    """A Gaussian mixture of K components in D dimensions as a vector of P numbers.

    In this order: K logits of the mixture weights (none when K = 1); K means of D numbers; K lower triangular
    factors L of the covariances L L^T, row by row: D (D + 1) / 2 numbers each, or the D standard deviations when
    components are not correlated. So P = 5 for one correlated Gaussian in 2D, and P = 25 for five components
    without correlation. Means and factors are in units of length.
    """

    num_dimensions: int
    num_components: int
    correlated: bool

    @property
    def num_scales(self):
        """Number of entries of one component's factor."""
        return self.num_dimensions * (self.num_dimensions + 1) // 2 if self.correlated else self.num_dimensions

    @property
    def num_logits(self):
        """Number of logits of the mixture weights."""
        return self.num_components if self.num_components > 1 else 0

    @property
    def size(self):
        """P, the length of the vector."""
        return self.num_logits + self.num_components * (self.num_dimensions + self.num_scales)

    def split(self, parameters):
        """`[..., P]` -> logits `[..., K]` (zeros when K = 1), loc `[..., K, D]`, scales `[..., K, num_scales]`."""
        leading = ops.shape(parameters)[:-1]
        num_locs = self.num_components * self.num_dimensions
        logits = parameters[..., : self.num_logits]
        if self.num_components == 1:
            logits = ops.zeros_like(parameters[..., :1])
        loc = parameters[..., self.num_logits : self.num_logits + num_locs]
        scales = parameters[..., self.num_logits + num_locs :]
        return (
            logits,
            ops.reshape(loc, (*leading, self.num_components, self.num_dimensions)),
            ops.reshape(scales, (*leading, self.num_components, self.num_scales)),
        )

    def join(self, logits, loc, scales):
        """The inverse of `split`; `logits` are ignored when K = 1."""
        leading = ops.shape(loc)[:-2]
        parts = [logits] if self.num_logits else []
        for part, width in ((loc, self.num_dimensions), (scales, self.num_scales)):
            parts.append(ops.reshape(part, (*leading, self.num_components * width)))
        return ops.concatenate(parts, axis=-1)

    def scale_tril(self, scales):
        """Factors as matrices: `[..., num_scales]` -> lower triangular L `[..., D, D]`."""
        zero = ops.zeros_like(scales[..., 0])
        rows, start = [], 0
        for row in range(self.num_dimensions):
            entries = [zero] * self.num_dimensions
            if self.correlated:
                entries[: row + 1] = [scales[..., start + column] for column in range(row + 1)]
                start += row + 1
            else:
                entries[row] = scales[..., row]
            rows.append(ops.stack(entries, axis=-1))
        return ops.stack(rows, axis=-2)

    def mean(self, parameters):
        """Mean of the mixture, sum_k w_k mu_k: `[..., P]` -> `[..., D]`."""
        logits, loc, _ = self.split(parameters)
        return self._average(logits, loc)

    def covariance(self, parameters):
        """Covariance of the mixture: `[..., P]` -> `[..., D, D]`.

        sum_k w_k (L_k L_k^T + (mu_k - mu) (mu_k - mu)^T), with mu the mean of the mixture.
        """
        logits, loc, scales = self.split(parameters)
        tril = self.scale_tril(scales)
        offset = loc - self._average(logits, loc)[..., None, :]
        second = covariance_of(tril) + offset[..., :, None] * offset[..., None, :]
        leading = ops.shape(parameters)[:-1]
        size = self.num_dimensions
        average = self._average(logits, ops.reshape(second, (*leading, self.num_components, size * size)))
        return ops.reshape(average, (*leading, size, size))

    def draw(self, parameters, uniform, normal):
        """Positions drawn from the mixture: mu_k + L_k z, with k the first component whose cumulative weight exceeds u.

        A path whose frames are all drawn with the same u stays in one component as long as the weights do not change.

        Args:
            parameters: `[..., P]`.
            uniform: u, uniform in [0, 1), `[...]`.
            normal: z, standard normal, `[..., D]`.

        Returns:
            Positions `[..., D]`, in units of length.
        """
        logits, loc, scales = self.split(parameters)
        if self.num_components == 1:
            return loc[..., 0, :] + self._stretch(scales[..., 0, :], normal)
        below = ops.cumsum(ops.softmax(logits), axis=-1)[..., :-1] <= uniform[..., None]
        component = ops.sum(ops.cast(below, "int32"), axis=-1)
        chosen = ops.one_hot(component, self.num_components, dtype=loc.dtype)[..., None]
        loc, scales = ops.sum(chosen * loc, axis=-2), ops.sum(chosen * scales, axis=-2)
        return loc + self._stretch(scales, normal)

    def _stretch(self, scales, normal):
        """L z: `[..., num_scales]` and `[..., D]` -> `[..., D]`."""
        return ops.sum(self.scale_tril(scales) * normal[..., None, :], axis=-1)

    def _average(self, logits, values):
        """Average over the components: `[..., K]` and `[..., K, M]` -> `[..., M]`."""
        if self.num_components == 1:
            return values[..., 0, :]
        return ops.sum(ops.softmax(logits)[..., None] * values, axis=-2)


def covariance_of(factor):
    """L L^T of matrices `[..., D, D]`, as a sum of products: a GPU would round the factors of a matrix product."""
    return ops.sum(factor[..., :, None, :] * factor[..., None, :, :], axis=-1)
