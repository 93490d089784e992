"""The Verlet head: motion under learned forces, with integration steps adapted to the closest pair."""

import keras
from keras import ops

from socialmd_tf.layers.heads.kinematic import KinematicHead
from socialmd_tf.layers.heads.time_steps import take_steps
from socialmd_tf.layers.pairs.on_pairs import difference, displacements, on_pairs
from socialmd_tf.layers.static_shapes import has_static_shapes

_MAX_STEPS = 1000
_TINY = 1e-30
_CROWD, _SHARE = 64, 8
"""Within `static_shapes`, at least 64 systems are computed together only until an eighth of them has time left."""
_DATA = ("mask", "box", "cells", "bonds")
"""What forces prepare that is not learned. Within `static_shapes`, no gradient passes to it."""


@keras.saving.register_keras_serializable(package="socialmd_tf")
class VerletHead(KinematicHead):
    """Density of the next position around motion under learned forces.

    From the position x and the velocity v at one frame, velocity Verlet steps under the force lead to those at the next
    frame. Friction of rate gamma multiplies v by exp(-gamma h / 2) before and after each step h (Strang splitting).
    Optionally, a learned acceleration as in `KinematicHead` is added to both x and v, for effects that the force does
    not have. The density around the position is that of `KinematicHead`.

    In units of the frame interval, the next step of each system is

        h = min(1 / n, eta min over pairs of min(r / |v_ij|, (r / |a_ij|)^(1/2))),   r^2 = |x_j - x_i|^2 + softening^2

    with relative velocities v_ij and accelerations a_ij, over the pairs within the cutoff of the force: short in a
    close encounter, and long otherwise. Other systems of a batch do not wait: once half of them have reached the next
    frame, only the others are computed (within `static_shapes`, once seven eighths of many systems have). A frame takes
    at most 1000 steps; if these do not suffice, the last ones are longer.

    When the mean is fed back, the head carries v. The velocity at an observed frame is not known: it is the predicted
    one, corrected by the error of the position,

        v <- v + (x - predicted x).

    This removes the whole error of v if forces do not depend on positions, and most of it if they do, so that each
    observed frame improves v. At the first frame v = 0. Where velocities are observed too, v is the observed one.

    In a periodic box, forces act between nearest images, and `cutoff` is at most half the smallest height of the box.

    n and eta are not weights: the steps of a trained model may be made smaller.

    Args:
        num_dimensions: D, 2 or 3.
        num_components: K, number of components of the mixture.
        scale_floor: Smallest standard deviation of a component along any direction, in units of length.
        acceleration_scale: Typical second difference of positions, in units of length.
        force: Layer of the accelerations: a `PairForce` or a `SumOfTerms`. It has `prepare(inputs)`, `on(pairs,
            positions, prepared)`, `softening` and `cutoff`. The pairs within the cutoff are determined once per frame.
        substeps: n, the smallest number of steps per frame.
        step_fraction: eta.
        is_corrected: Whether the learned acceleration is added.
        walls: Distance of elastic walls from the origin along each axis, in units of length; 0 for none. Positions
            beyond a wall, and their velocities, are mirrored.
    """

    def __init__(
        self,
        num_dimensions,
        num_components,
        scale_floor,
        acceleration_scale,
        force,
        substeps,
        step_fraction,
        is_corrected,
        walls=0.0,
        **kwargs,
    ):
        super().__init__(num_dimensions, num_components, scale_floor, acceleration_scale, **kwargs)
        self.force = force
        self.substeps = substeps
        self.step_fraction = step_fraction
        self.is_corrected = is_corrected
        self.walls = walls

    def build(self, outputs_shape, inputs_shape, state_shape=None):
        """Create the weights."""
        self.build_spread(outputs_shape)
        if self.is_corrected:
            self.acceleration.build(outputs_shape)
        if not self.force.built:
            self.force.build(inputs_shape["positions"], inputs_shape["features"])

    @property
    def is_moved_by_cell(self):
        """Whether means depend on the output of the cell: only through the learned acceleration."""
        return self.is_corrected

    @property
    def motion_layers(self):
        """Layers that predict means, and no spread."""
        return [*super().motion_layers, self.force] if self.is_corrected else [self.force]

    state_names = (*KinematicHead.state_names, "predicted_positions", "velocities")

    def get_initial_state(self, positions):
        """The state before the first frame: P_xx, P_xv, P_vv of zero, the position, and a velocity of zero."""
        return (*super().get_initial_state(positions), positions, ops.zeros_like(positions))

    def observe(self, state, positions):
        """The state after an observed frame.

        No gradient passes through the velocity: along a window of observed frames, it would grow with the chaos of the
        motion.
        """
        *_, predicted, velocities = state
        corrected = ops.stop_gradient(velocities + (positions - predicted))
        return (*super().get_initial_state(positions), positions, corrected)

    def observe_velocities(self, state, velocities):
        """The state after a frame whose velocities `[B, N, D]` were observed, in units of length per frame interval."""
        return (*state[:-1], velocities)

    def call(self, outputs, inputs, state):
        """Predict the density of the next positions.

        Args:
            outputs: Output of the cell, `[B, N, C]`.
            inputs: Input of the cell: `positions` `[B, N, D]`, in units of length, `features` `[B, N, F]`, `mask`
                `[B, N]` or None, and as far as there are, `edges` `[B, N, N]` and `box` `[B, D, D]`.
            state: P_xx, P_xv, P_vv, each `[B, N, D, D]`, in units of length squared; the predicted position and the
                velocity, each `[B, N, D]`, in units of length, and of length per frame interval.

        Returns:
            Parameters `[B, N, P]` in the order of `DensityLayout`, and the new state.
        """
        *covariances, _, velocities = state
        moved = self.integrate(inputs, velocities)
        # Without gradients of the force, calibration takes a third of the time and memory.
        positions, velocities = moved if self.force.trainable else map(ops.stop_gradient, moved)
        if self.is_corrected:
            correction = self.correction(outputs)
            positions, velocities = positions + correction, velocities + correction
        parameters, covariances = self.spread(positions, outputs, covariances)
        return parameters, (*covariances, positions, velocities)

    def integrate(self, inputs, velocities):
        """Positions and velocities one frame later, each `[B, N, D]`; arguments as of `call`."""
        positions, mask = inputs["positions"], inputs["mask"]
        mask = ops.ones_like(positions[..., 0]) if mask is None else mask
        constant = {"positions": positions, "mask": mask, "known": self.force.prepare(inputs)}
        if "box" in inputs:
            constant["box"] = inputs["box"]

        def advance(rows, goal, number, *moving):
            """Steps of the systems of these rows, until at most `goal` of them have not reached the next frame."""
            left, x, v = (ops.take(value, rows, axis=0) for value in moving)
            own = keras.tree.map_structure(lambda value: ops.take(value, rows, axis=0), constant)
            number, *moved = on_pairs(
                lambda pairs: self._advance(pairs, own["known"], goal, number, left, x, v),
                own["positions"],
                own["mask"],
                self.force.cutoff,
                own.get("box"),
            )
            places = rows[:, None]
            return number, *(ops.scatter_update(old, places, new) for old, new in zip(moving, moved, strict=True))

        def advance_half(*moving):
            rows = ops.nonzero(moving[1] > 0)[0]
            return advance(rows, ops.shape(rows)[0] // 2, *moving)

        moving = (0, ops.ones_like(positions[:, 0, 0]), positions, velocities)
        if not has_static_shapes():
            return ops.while_loop(lambda number, left, *_: ops.any(left > 0), advance_half, moving)[2:]
        count = ops.shape(positions)[0]
        if isinstance(count, int) and count < _CROWD:
            return advance(ops.arange(count), 0, *moving)[2:]
        few = -(-count // _SHARE)
        moving = advance(ops.arange(count), few, *moving)
        return advance(ops.top_k(moving[1], few, sorted=False)[1], 0, *moving)[2:]

    def _advance(self, pairs, known, goal, number, left, x, v):
        """Steps of A systems until at most `goal` of them have not reached the next frame.

        Args:
            pairs: As `on_pairs` gives them.
            known: What the force has prepared for these systems.
            goal: Number of systems.
            number: Number of steps since the last frame.
            left: Time left to the next frame `[A]`.
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

        def move(h, moving, constants):
            known, values = constants
            with keras.StatelessScope([*zip(weights, values, strict=True), *fixed_weights]):
                return self._move(pairs, {**fixed, **known}, h[:, None, None], *moving)

        def choose(*moving):
            return self._step(pairs, known, *moving)

        moving = [x, v, self.force.on(pairs, x, known)]
        number, left, (x, v, _) = take_steps(choose, move, goal, (number, left), moving, constants, _MAX_STEPS)
        return number, left, x, v

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

    def get_config(self):
        """Arguments of the layer."""
        return {
            **super().get_config(),
            "force": keras.saving.serialize_keras_object(self.force),
            "substeps": self.substeps,
            "step_fraction": self.step_fraction,
            "is_corrected": self.is_corrected,
            "walls": self.walls,
        }

    @classmethod
    def from_config(cls, config):
        """The inverse of `get_config`."""
        force = keras.saving.deserialize_keras_object(config.pop("force"))
        return cls(force=force, **config)
