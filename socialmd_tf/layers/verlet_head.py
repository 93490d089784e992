"""The Verlet head: motion by learned pair forces, integrated in steps shorter than a frame."""

import keras
from keras import ops

from socialmd_tf.layers.kinematic_head import KinematicHead
from socialmd_tf.layers.pair_force import PairForce
from socialmd_tf.layers.pairs import on_pairs


@keras.saving.register_keras_serializable(package="socialmd_tf")
class VerletHead(KinematicHead):
    """Density of the next position around motion under learned pair forces.

    From the position x and the velocity v of a frame, n velocity Verlet steps of 1/n frame interval under a `PairForce`
    give those of the next; a learned acceleration as that of the `KinematicHead` is added to both, and its density is
    put around the position. Fed back on its mean, the head carries v on. Of an observed frame v is not known: it is
    what was predicted, corrected by what the position was wrong by,

        v <- v + (x - predicted x),

    which takes the whole error of a velocity away if forces do not change with position, and most of it if they
    do, so that every observed frame makes v better. It begins with v = 0 at the first frame.

    The number of steps is no part of the weights: more can be taken in use than in training.

    Args:
        num_dimensions: D, 2 or 3.
        num_components: K, components of the mixture.
        scale_floor: Smallest standard deviation of an acceleration, in units of length.
        acceleration_scale: Typical second difference of positions, in units of length.
        charges: Charges of the `PairForce`.
        softening: Length below which the force flattens, in units of length.
        cutoff: Largest distance of a force, in units of length. Which pairs are that near is seen once a frame.
        substeps: n.
        walls: Elastic walls at plus and minus this in every dimension, in units of length: a step that leads beyond is
            mirrored, and so is its velocity. 0 for none.
    """

    def __init__(
        self,
        num_dimensions,
        num_components,
        scale_floor,
        acceleration_scale,
        charges,
        softening,
        cutoff,
        substeps,
        walls=0.0,
        **kwargs,
    ):
        super().__init__(num_dimensions, num_components, scale_floor, acceleration_scale, **kwargs)
        self.force = PairForce(charges, softening, cutoff, acceleration_scale, name="force")
        self.substeps = substeps
        self.walls = walls

    def build(self, outputs_shape, inputs_shape, state_shape=None):
        """Create the weights."""
        super().build(outputs_shape)
        self.force.build(inputs_shape["positions"], inputs_shape["features"])

    @property
    def motion_layers(self):
        """Layers that predict means, and not how far the truth is from them."""
        return [*super().motion_layers, self.force]

    def get_initial_state(self, positions):
        """The state of the first frame: P_xx, P_xv and P_vv of zero, the predicted position, and a velocity of zero."""
        return (*super().get_initial_state(positions), positions, ops.zeros_like(positions))

    def observe(self, state, positions):
        """The state of a frame that was observed."""
        *_, predicted, velocities = state
        return (*super().get_initial_state(positions), positions, velocities + (positions - predicted))

    def call(self, outputs, inputs, state):
        """Predict the density of the next positions.

        Args:
            outputs: What the cell gives, `[B, N, C]`.
            inputs: What the cell read: `positions` `[B, N, D]`, in units of length, `features` `[B, N, F]` and `mask`
                `[B, N]` or None.
            state: P_xx, P_xv, P_vv, each `[B, N, D, D]`, in units of length squared; the predicted position and the
                velocity, each `[B, N, D]`, in units of length, and of length per frame interval.

        Returns:
            Parameters `[B, N, P]` in the order of `DensityLayout`, and the new state.
        """
        *covariances, _, velocities = state
        positions, velocities = self.integrate(inputs["positions"], velocities, inputs["features"], inputs["mask"])
        correction = self.correction(outputs)
        parameters, covariances = self.spread(positions + correction, outputs, covariances)
        return parameters, (*covariances, positions + correction, velocities + correction)

    def integrate(self, positions, velocities, features, mask):
        """Positions and velocities a frame later, each `[B, N, D]`."""
        charges, step = self.force.charges(features), 1 / self.substeps

        def move(pairs):
            x, v = positions, velocities
            acceleration = self.force.on(pairs, x, charges)
            for _ in range(self.substeps):
                x = x + v * step + acceleration * (step**2 / 2)
                if self.walls:
                    x, v, acceleration = self._reflect(x, v, acceleration)
                following = self.force.on(pairs, x, charges)
                v = v + (acceleration + following) * (step / 2)
                acceleration = following
            return x, v

        return on_pairs(move, positions, mask, self.force.cutoff)

    def _reflect(self, x, *vectors):
        """Mirror what is beyond a wall: positions, and the components of vectors that lead there."""
        beyond = ops.abs(x) > self.walls
        mirrored = 2 * ops.clip(x, -self.walls, self.walls) - x
        return mirrored, *(ops.where(beyond, -vector, vector) for vector in vectors)

    def get_config(self):
        """Arguments of the layer."""
        return {
            **super().get_config(),
            "charges": self.force.range.units,
            "softening": self.force.softening,
            "cutoff": self.force.cutoff,
            "substeps": self.substeps,
            "walls": self.walls,
        }
