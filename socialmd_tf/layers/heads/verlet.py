"""The Verlet head: motion under learned forces, with integration steps adapted to the closest pair."""

import keras
from keras import ops

from socialmd_tf.layers.heads.adaptive_steps import AdaptiveSteps
from socialmd_tf.layers.heads.kinematic import KinematicHead
from socialmd_tf.layers.heads.measurement_noise import MeasurementNoise
from socialmd_tf.layers.heads.noise_growth import NoiseGrowth
from socialmd_tf.layers.heads.split_steps import SplitSteps
from socialmd_tf.layers.pairs.few_or_many import few_or_many
from socialmd_tf.layers.pairs.on_pairs import on_pairs
from socialmd_tf.layers.static_shapes import has_static_shapes


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
    frame, only the others are computed (within `static_shapes` once all but one in 32 have, of at least 512 systems). A
    frame takes at most 1000 steps; if these do not suffice, the last ones are longer.

    When the mean is fed back, the head carries v. The velocity at an observed frame is not known: it is the predicted
    one, corrected by the error of the position,

        v <- v + (x - predicted x).

    This removes the whole error of v if forces do not depend on positions, and most of it if they do, so that each
    observed frame improves v. At the first frame v = 0. Where velocities are observed too, v is the observed one.

    In a periodic box, forces act between nearest images, and `cutoff` is at most half the smallest height of the box.

    Optionally, in systems of more than 256 particles only close pairs take such steps: `split_distance`, see
    `SplitSteps`. Far pairs then cost one evaluation for each of n steps, whatever the closest pair does.

    Optionally, the noise of a particle grows with the change of its velocity over the frame: L is multiplied by the
    factor of `NoiseGrowth`. And optionally, observed positions have noise: x and v, and the covariances P after an
    observed frame, are those of `MeasurementNoise`, and the density is that of the next position as it is observed.

    n, eta and the split distance are not weights: the steps of a trained model may be changed.

    Args:
        num_dimensions: D, 2 or 3.
        num_components: K, number of components of the mixture.
        scale_floor: Smallest standard deviation of a component along any direction, in units of length.
        acceleration_scale: Typical second difference of positions, in units of length.
        force: Layer of the accelerations: a `PairForce` or a `SumOfTerms`. It has `prepare(inputs)`, `on(pairs,
            positions, prepared)`, `by_pairs`, which is the same without terms that are not those of pairs, `softening`
            and `cutoff`. The pairs within the cutoff are determined once per frame.
        substeps: n, the smallest number of steps per frame.
        step_fraction: eta.
        is_corrected: Whether the learned acceleration is added.
        walls: Distance of elastic walls from the origin along each axis, in units of length; 0 for none. Positions
            beyond a wall, and their velocities, are mirrored.
        split_distance: Distance up to which pairs are close in systems of more than 256 particles, in units of length;
            0 if all pairs take the same steps. Without effect within `static_shapes`.
        has_growing_noise: Whether noise grows with the acceleration.
        has_measurement_noise: Whether observed positions have noise.
        move_scale: Typical move, in units of length; only for noise of observed positions.
        memory: T, the number of observed frames that count, see `MeasurementNoise`; likewise.
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
        split_distance=0.0,
        has_growing_noise=False,
        has_measurement_noise=False,
        move_scale=1.0,
        memory=2,
        **kwargs,
    ):
        super().__init__(num_dimensions, num_components, scale_floor, acceleration_scale, **kwargs)
        self.force = force
        self.substeps = substeps
        self.step_fraction = step_fraction
        self.is_corrected = is_corrected
        self.walls = walls
        self.split_distance = split_distance
        self.has_growing_noise = has_growing_noise
        if has_growing_noise:
            self.growth = NoiseGrowth(acceleration_scale, name="growth")
        self.has_measurement_noise = has_measurement_noise
        self.move_scale = move_scale
        self.memory = memory
        if has_measurement_noise:
            self.measurement = MeasurementNoise(acceleration_scale, move_scale, memory, name="measurement")

    def build(self, outputs_shape, inputs_shape, state_shape=None):
        """Create the weights."""
        self.build_spread(outputs_shape)
        if self.has_growing_noise:
            self.growth.build()
        if self.has_measurement_noise:
            self.measurement.build()
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
        """The state before the first frame: P_xx, P_xv, P_vv, the position, and a velocity of zero."""
        covariances = super().get_initial_state(positions)
        if self.has_measurement_noise:
            covariances = self.measurement.before_first_frame(covariances)
        return (*covariances, positions, ops.zeros_like(positions))

    def observe(self, state, positions):
        """The state after an observed frame.

        No gradient passes through the velocity: along a window of observed frames, it would grow with the chaos of the
        motion.
        """
        return self._observe(state, positions, is_drawn=False)

    def observe_drawn(self, state, positions):
        """The state after a frame that was drawn from the predicted density: what is drawn follows the law."""
        return self._observe(state, positions, is_drawn=True)

    def _observe(self, state, positions, is_drawn):
        *covariances, predicted, velocities = state
        if self.has_measurement_noise:
            covariances, *moving = self.measurement.observe(covariances, predicted, velocities, positions, is_drawn)
            return (*covariances, *moving)
        corrected = ops.stop_gradient(velocities + (positions - predicted))
        return (*super().get_initial_state(positions), positions, corrected)

    def observe_velocities(self, state, velocities):
        """The state after a frame whose velocities `[B, N, D]` were observed, in units of length per frame interval."""
        *covariances, positions, _ = state
        if self.has_measurement_noise:
            covariances = self.measurement.observe_velocities(covariances)
        return (*covariances, positions, velocities)

    @property
    def can_remember(self):
        """Whether true frames are predicted at once.

        They are where many small steps, one frame after the other, would take longer than moving twice: once without
        gradients for the velocities, and once from all frames at the same time. States do not depend on the cell then.
        """
        return has_static_shapes() and not self.is_corrected and not self.has_measurement_noise

    def remember(self, inputs, state):
        """The state after an observed frame, through which no gradient passes; arguments as of `call`."""
        *covariances, _, velocities = state
        return (*covariances, *map(ops.stop_gradient, self.integrate(inputs, velocities)))

    def call(self, outputs, inputs, state):
        """Predict the density of the next positions.

        Args:
            outputs: Output of the cell, `[B, N, C]`.
            inputs: Input of the cell: `positions` `[B, N, D]`, in units of length, `features` `[B, N, F]`, `mask`
                `[B, N]` or None, and as far as there are, `edges` `[B, N, N]` and `box` `[B, D, D]`. If positions have
                noise, those of the state count.
            state: P_xx, P_xv, P_vv, each `[B, N, D, D]`, in units of length squared; the position and the velocity,
                each `[B, N, D]`, in units of length, and of length per frame interval.

        Returns:
            Parameters `[B, N, P]` in the order of `DensityLayout`, and the new state.
        """
        *covariances, positions, before = state
        if self.has_measurement_noise:
            inputs = {**inputs, "positions": positions}
        moved = self.integrate(inputs, before)
        # Without gradients of the force, calibration takes a third of the time and memory.
        positions, velocities = moved if self.force.trainable else map(ops.stop_gradient, moved)
        if self.is_corrected:
            correction = self.correction(outputs)
            positions, velocities = positions + correction, velocities + correction
        growth = 1.0
        if self.has_growing_noise:
            growth = self.growth(velocities - before)
        noise = self.measurement.variance if self.has_measurement_noise else 0.0
        parameters, covariances = self.spread(positions, outputs, covariances, growth, noise)
        return parameters, (*covariances, positions, velocities)

    def integrate(self, inputs, velocities):
        """Positions and velocities one frame later, each `[B, N, D]`; arguments as of `call`."""
        positions, mask = inputs["positions"], inputs["mask"]
        held = {"mask": ops.ones_like(positions[..., 0]) if mask is None else mask, "known": self.force.prepare(inputs)}
        held |= {"box": inputs["box"]} if "box" in inputs else {}
        steps = AdaptiveSteps(self.force, self.substeps, self.step_fraction, self.walls)

        def on_all(function, places, mask, box):
            return on_pairs(function, places, mask, self.force.cutoff, box)

        def together():
            return steps.travel(held, positions, velocities, 1.0, on_all)

        def split():
            return SplitSteps(steps, self.split_distance).travel_one_frame(held, positions, velocities)

        if not self.split_distance or has_static_shapes():
            return together()
        return few_or_many(ops.shape(positions)[1], together, split)

    def get_config(self):
        """Arguments of the layer."""
        return {
            **super().get_config(),
            "force": keras.saving.serialize_keras_object(self.force),
            "substeps": self.substeps,
            "step_fraction": self.step_fraction,
            "is_corrected": self.is_corrected,
            "walls": self.walls,
            "split_distance": self.split_distance,
            "has_growing_noise": self.has_growing_noise,
            "has_measurement_noise": self.has_measurement_noise,
            "move_scale": self.move_scale,
            "memory": self.memory,
        }

    @classmethod
    def from_config(cls, config):
        """The inverse of `get_config`."""
        force = keras.saving.deserialize_keras_object(config.pop("force"))
        return cls(force=force, **config)
