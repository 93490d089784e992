"""How much of their noise neighbours share: as much as makes drawn moves as correlated as true ones."""

import keras
import numpy as np
import tensorflow as tf

from socialmd_tf.layers.boxes import nearest_displacements, of_particles
from socialmd_tf.layers.pairs.radial_pulls import radial_functions
from socialmd_tf.layers.pairs.shared_noise import shared_noise
from socialmd_tf.model import rollout_layer
from socialmd_tf.training.drift import read_true_frames

_MOST_PAIRS = 8_000_000
_ROUNDS = 12
_STEP = 0.5
_PRIOR_DEVIATION = 0.2
_ENOUGH = 100


def fit_noise_shares(model, batches, seed=0):
    """Set the shares of a `LangevinHead` whose neighbours share noise.

    The noise of a true move is n_i = S_i^-1 (x_i' - mean_i), with the mean and the symmetric root S_i of the covariance
    that the model predicts. In bins of the distance, one around each radial function, the mean product of two
    particles' parts along the line between them, and the mean of those across it, are their correlations. In twelve
    steps, the shares become those with which drawn noise at the same positions is as correlated. Beforehand, they are
    normally distributed around 0 with a deviation of 0.2, so that bins with few pairs have little weight.

    Args:
        model: A trained model with this head.
        batches: Batches of (inputs, true positions `[B, T', N, D]`) of the training split; of each, some frames are
            taken at random, together no more than have 8 million pairs.
        seed: An integer.

    Returns:
        The largest correlations along and across, of the bins with at least 100 pairs; 0 without any.
    """
    head, generator, batches = rollout_layer(model).head, np.random.default_rng(seed), list(batches)
    true_frames = tf.function(rollout_layer(model).true_frames)
    groups = [_Frames(head, true_frames, *batch, _MOST_PAIRS // len(batches), generator) for batch in batches]
    counts = sum(group.counts for group in groups)
    filled = np.maximum(counts, 1)[:, None]
    truth = sum(group.products(group.noise) for group in groups) / filled
    # Of two particles, both have a share of the other's numbers.
    gains = 2 * sum(group.gains for group in groups) / filled
    shares = np.zeros((2, head.num_functions))
    for _ in range(_ROUNDS):
        drawn = sum(group.products(group.draw(head, shares, generator)) for group in groups) / filled
        for kind, size in enumerate((1, head.layout.num_dimensions - 1)):
            weighted = gains.T * counts * size
            prior = np.eye(len(gains)) / _PRIOR_DEVIATION**2
            slope = weighted @ (truth - drawn)[:, kind] - prior @ shares[kind]
            shares[kind] += _STEP * np.linalg.solve(weighted @ gains + prior, slope)
    head.noise_shares.assign(shares)
    certain = truth[counts >= _ENOUGH]
    return certain[np.abs(certain).argmax(axis=0), (0, 1)] if len(certain) else np.zeros(2)


class _Frames:
    """Some frames of a batch, the noise of the moves after them, and their pairs of particles within the cutoff."""

    def __init__(self, head, true_frames, inputs, targets, most_pairs, generator):
        read = read_true_frames(true_frames, inputs, targets)
        num_frames, num_particles, self._size = read[-1].shape
        size = min(max(most_pairs // num_particles**2, 1), num_frames)
        chosen = np.sort(generator.choice(num_frames, size, replace=False))
        outputs, seen, state, moves = keras.tree.map_structure(lambda values: tf.gather(values, chosen), read)
        parameters, _ = head(outputs, seen, state)
        self._seen = seen
        apart = seen["positions"] + moves - head.mean(parameters)
        self.noise = head.along_root(parameters, seen["positions"], apart, -1).numpy()
        self._find_pairs(head)

    def _find_pairs(self, head):
        positions, mask = self._seen["positions"], self._seen["mask"]
        apart = positions[:, None] - positions[:, :, None]  # [R, i, j, D]: from i to j
        if "box" in self._seen:
            cells = of_particles(self._seen["box"], positions.shape[1])
            apart = nearest_displacements(apart, cells[:, :, None])
        apart = apart.numpy()
        distance = np.linalg.norm(apart, axis=-1)
        real = np.asarray(mask) > 0
        near = (distance < head.cutoff) & (distance > 0) & real[:, :, None] & real[:, None]
        self._pairs = np.nonzero(np.triu(near, 1))
        distance = distance[self._pairs]
        self._directions = apart[self._pairs] / distance[:, None]
        functions = radial_functions(distance / head.cutoff, head.num_functions).numpy()  # [P, F]
        self._bins = np.argmax(functions, axis=-1)
        self.counts = np.bincount(self._bins, minlength=head.num_functions)
        self.gains = self._sums(functions)

    def draw(self, head, shares, generator):
        """Noise `[R, N, D]` with these shares."""
        positions = self._seen["positions"]
        normal = generator.normal(size=positions.shape).astype("float32")
        shares = tf.constant(shares, "float32")
        drawn = shared_noise(normal, positions, self._seen["mask"], head.cutoff, shares, self._seen.get("box"))
        return drawn.numpy()

    def products(self, noise):
        """Sums over the pairs of each bin of the products along and, per direction, across `[F, 2]`."""
        frame, first, second = self._pairs
        one, other = noise[frame, first], noise[frame, second]
        along = np.sum(one * self._directions, axis=-1) * np.sum(other * self._directions, axis=-1)
        across = (np.sum(one * other, axis=-1) - along) / (self._size - 1)
        return self._sums(np.stack([along, across], axis=-1))

    def _sums(self, values):
        """Sums over the pairs of each bin, `[P, C]` -> `[F, C]`."""
        columns = [np.bincount(self._bins, column, minlength=len(self.counts)) for column in values.T]
        return np.stack(columns, axis=-1)
