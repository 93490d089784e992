"""Steps of two lengths: short ones for close pairs, long ones for all others."""

from keras import ops

from socialmd_tf.layers.forces.splines import fall
from socialmd_tf.layers.pairs.on_pairs import ListedPairs, on_pairs
from socialmd_tf.layers.pairs.weighed import WeighedPairs


class SplitSteps:
    """Motion under a force whose slow part is evaluated once per step, however short the steps of the rest are.

    The acceleration is the sum of a slow and a fast part. Forces of pairs at distance r belong to the fast part with
    the weight w(r), a quintic in r^2 that falls from 1 at half of the split distance to 0 at the split distance, and to
    the slow part with 1 - w. All other forces are fast. A step of length H = 1 / n is

        F(H/2),  v <- v + H s(x),  F(H/2)

    in which s is the slow acceleration and F(t) the motion under the fast part during t, by `AdaptiveSteps` (reversible
    multiple time steps, Tuckerman, Berne and Martyna 1992). It is symplectic, reversible for fixed steps, and its error
    is of second order in H.

    Close pairs are listed before each F(t): those within the split distance plus the way that the two fastest particles
    of the batch make in time 2 t, at most the cutoff of the force.

    Args:
        steps: The `AdaptiveSteps`; its force has no `limit`, and n is its `substeps`.
        split_distance: In units of length.

    Source: M. Tuckerman, B. J. Berne and G. J. Martyna, Journal of Chemical Physics 97 (1992) 1990.
    """

    def __init__(self, steps, split_distance):
        self._steps, self._force = steps, steps.force
        self._split_distance = split_distance
        self._length = 1 / steps.substeps

    def travel_one_frame(self, held, positions, velocities):
        """Positions and velocities one frame later, each `[B, N, D]`; arguments as of `AdaptiveSteps.travel`."""

        def step(k, x, v):
            x, v = self._fast(held, x, v)
            return k + 1, *self._fast(held, x, v + self._length * self._slow(held, x))

        count = self._steps.substeps
        return ops.while_loop(lambda k, *_: k < count, step, (0, positions, velocities), maximum_iterations=count)[1:]

    def _slow(self, held, x):
        """The slow acceleration `[B, N, D]`."""
        mask, box = held["mask"], held.get("box")

        def sums(pairs):
            return self._force.by_pairs(WeighedPairs(pairs, self._farness, box, ops.shape(mask)[1]), x, held["known"])

        return on_pairs(sums, x, mask, self._force.cutoff, box)

    def _fast(self, held, x, v):
        """Motion under the fast part for half a step."""
        duration = self._length / 2
        fastest = ops.sqrt(ops.max(ops.sum(ops.square(v), axis=-1)))
        reach = ops.minimum(self._split_distance + 4 * duration * fastest, self._force.cutoff)
        reach = ops.stop_gradient(reach)

        def on_close(function, positions, mask, box):
            pairs = ListedPairs(positions, mask, reach, box)
            return function(WeighedPairs(pairs, self._closeness, box, ops.shape(mask)[1]))

        return self._steps.travel(held, x, v, duration, on_close)

    def _closeness(self, squared):
        """The weight w of squared distances."""
        start = (self._split_distance / 2) ** 2
        return fall((squared - start) / (self._split_distance**2 - start))

    def _farness(self, squared):
        return 1 - self._closeness(squared)
