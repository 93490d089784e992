"""Velocity Verlet steps of many systems, each with the lengths that its closest pair needs."""

import keras
from keras import ops

from socialmd_tf.layers.heads.time_steps import take_steps
from socialmd_tf.layers.pairs.on_pairs import difference, displacements
from socialmd_tf.layers.static_shapes import has_static_shapes

_MAX_STEPS = 1000
_TINY = 1e-30
_CROWD, _SHARE = 512, 32
"""Within `static_shapes`, 512 systems or more are computed together only until one in 32 of them has time left."""
_DATA = ("mask", "box", "cells", "bonds")
"""What forces prepare that is not learned. Within `static_shapes`, no gradient passes to it."""


class AdaptiveSteps:
    """Motion under a force, as `VerletHead` describes it.

    Args:
        force: Layer of the accelerations, see `VerletHead`.
        substeps: n.
        step_fraction: eta.
        walls: Distance of elastic walls from the origin along each axis, in units of length; 0 for none.
    """

    def __init__(self, force, substeps, step_fraction, walls):
        self.force = force
        self.substeps = substeps
        self.step_fraction = step_fraction
        self.walls = walls

    def travel(self, held, positions, velocities, duration, on_pairs):
        """Positions and velocities after some time, each `[B, N, D]`.

        Args:
            held: What does not move: `mask` `[B, N]`, `known`, what the force has prepared, and in a periodic box `box`
                `[B, D, D]`.
            positions: `[B, N, D]`, in units of length.
            velocities: `[B, N, D]`, in units of length per frame interval.
            duration: In frame intervals.
            on_pairs: Function `on_pairs(function, positions, mask, box)` that calls a function with the pairs that act
                on each other. The positions are those at the start.
        """
        held = {**held, "positions": positions}

        def advance(rows, goal, number, *moving):
            """Steps of the systems of these rows, until at most `goal` of them have not arrived."""
            left, x, v = (ops.take(value, rows, axis=0) for value in moving)
            own = keras.tree.map_structure(lambda value: ops.take(value, rows, axis=0), held)
            number, *moved = on_pairs(
                lambda pairs: self._advance(pairs, own["known"], goal, number, left, x, v),
                own["positions"],
                own["mask"],
                own.get("box"),
            )
            places = rows[:, None]
            return number, *(ops.scatter_update(old, places, new) for old, new in zip(moving, moved, strict=True))

        def advance_half(*moving):
            rows = ops.nonzero(moving[1] > 0)[0]
            return advance(rows, ops.shape(rows)[0] // 2, *moving)

        moving = (0, duration * ops.ones_like(positions[:, 0, 0]), positions, velocities)
        if not has_static_shapes():
            return ops.while_loop(lambda number, left, *_: ops.any(left > 0), advance_half, moving)[2:]
        count = ops.shape(positions)[0]
        rows = ops.arange(count)
        while isinstance(count, int) and count >= _CROWD:
            count = -(-count // _SHARE)
            moving = advance(rows, count, *moving)
            rows = ops.top_k(moving[1], count, sorted=False)[1]
        return advance(rows, 0, *moving)[2:]

    def _advance(self, pairs, known, goal, number, left, x, v):
        """Steps of A systems until at most `goal` of them have not reached the next frame.

        Args:
            pairs: As `on_pairs` gives them.
            known: What the force has prepared for these systems.
            goal: Number of systems.
            number: Number of steps taken before.
            left: Time left `[A]`, in frame intervals.
            x: Positions `[A, N, D]`.
            v: Velocities `[A, N, D]`.

        Returns:
            The last four, later.
        """
        fixed = {name: known[name] for name in _DATA if name in known}
        constants = {name: value for name, value in known.items() if name not in fixed}
        # Read once, weights are tensors as the others are, of which a loop knows that they stay.
        weights, others = self.force.trainable_variables, self.force.non_trainable_variables
        constants = constants, [ops.copy(weight) for weight in weights]
        fixed_weights = [(weight, ops.copy(weight)) for weight in others]

        # Components first, as functions of pairs need them: a compiler then transposes once and not in every step.
        last, first = (-1, 0) if has_static_shapes() else (0, 0)

        def move(h, moving, constants):
            known, values = constants
            moving = [ops.moveaxis(value, first, last) for value in moving]
            with keras.StatelessScope([*zip(weights, values, strict=True), *fixed_weights]):
                moved = self._move(pairs, {**fixed, **known}, h[:, None, None], *moving)
            return [ops.moveaxis(value, last, first) for value in moved]

        def choose(number, left, *moving):
            return self._step(pairs, known, number, left, *(ops.moveaxis(value, first, last) for value in moving))

        moving = [ops.moveaxis(value, last, first) for value in (x, v, self.force.on(pairs, x, known))]
        number, left, (x, v, _) = take_steps(choose, move, goal, (number, left), moving, constants, _MAX_STEPS)
        return number, left, *(ops.moveaxis(value, first, last) for value in (x, v))

    def _move(self, pairs, known, h, x, v, acceleration):
        """Positions, velocities and accelerations after steps of length `h`, `[A, 1, 1]`."""
        rates = known.get("rates")

        def damped(v):
            return v if rates is None else v * ops.exp(rates * (-h / 2))

        v = damped(v)
        x = x + v * h + acceleration * (h**2 / 2)
        if self.walls:
            x, v, acceleration = self._reflect(x, v, acceleration)
        following = self.force.on(pairs, x, known)
        return [x, damped(v + (acceleration + following) * (h / 2)), following]

    def _step(self, pairs, known, number, left, positions, velocities, accelerations):
        """Length of the next step of each system, `[B]`, in frame intervals, when `left` of one remains, `[B]`."""
        cells = [known["cells"]] if "cells" in known else []
        shortest = pairs.minimum(self._times, positions, velocities, accelerations, *cells)
        allowed = self.step_fraction * ops.sqrt(shortest)
        # Equal steps to the next frame, if nothing changes; rounding must not add one.
        steps = ops.ceil(left * ops.maximum(1 / allowed, self.substeps) - 1e-3)
        remaining = ops.cast(ops.maximum(_MAX_STEPS - number, 1), left.dtype)
        return ops.stop_gradient(left / ops.clip(steps, 1, remaining))

    def _times(self, own, other):
        """Squares of the times in which pairs change, for `AllPairs.minimum`."""
        apart = displacements(own[0], other[0], *own[3:])
        relative = [difference(mine, theirs) for mine, theirs in zip(own[1:3], other[1:3], strict=True)]
        squared, speed, change = (ops.sum(ops.square(vector), axis=0) for vector in (apart, *relative))
        squared = squared + self.force.softening**2
        return ops.minimum(squared / (speed + _TINY), ops.sqrt(squared / (change + _TINY)))

    def _reflect(self, x, *vectors):
        """Mirror positions beyond a wall, and the components of vectors perpendicular to it."""
        beyond = ops.abs(x) > self.walls
        mirrored = 2 * ops.clip(x, -self.walls, self.walls) - x
        return mirrored, *(ops.where(beyond, -vector, vector) for vector in vectors)
