"""The share of every batch that one of several workers reads."""

import dataclasses
from typing import Any

import tensorflow as tf

from pipelines.errors import require


@dataclasses.dataclass(frozen=True)
class Share:
    """A worker's share of every batch: of b windows, those with the numbers ceil(b / count) * index and so on."""

    index: int = 0
    """Number of the worker, from 0."""
    count: int = 1
    """Number of workers."""

    def check(self, batch_size: int) -> None:
        """Refuse a batch that the workers cannot divide evenly.

        Raises:
            UserError: The size is no multiple of the number of workers.
        """
        right = batch_size % self.count == 0
        require(right, "batch_size", f"a multiple of the number of workers, {self.count}", batch_size)

    def rows(self, num_windows: Any, batch_size: int) -> Any:
        """The worker's windows among successive batches, of which only the last may be smaller.

        Args:
            num_windows: Number of windows of the batches together, an integer tensor.
            batch_size: B, a multiple of `count`.

        Returns:
            Their numbers, ascending: B / count of every batch, and of the last one as many or fewer.
        """
        places = tf.range(num_windows)
        sizes = tf.minimum(batch_size, num_windows - places // batch_size * batch_size)
        return tf.where(places % batch_size // self.largest(sizes) == self.index)[:, 0]

    def largest(self, size: Any) -> Any:
        """Windows of the largest share of a batch of `size` windows."""
        return -(-size // self.count)
