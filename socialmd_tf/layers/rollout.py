"""Warm up on observed frames, then run free on the predicted mean."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="socialmd_tf")
class Rollout(keras.layers.Layer):
    """Densities of the T' frames after T observed ones (thesis sections 2.5.2 and 4.4).

    The cell reads the T observed frames; from then on every next frame it reads is the mean of the density it
    has just predicted. Padded particles stay at the origin and are seen by nobody.

    Args:
        cell: A `SocialLSTMCell`.
        head: A layer as described in `socialmd_tf.layers.heads`.
        rollout_steps: T', the number of predicted frames.

    Attributes:
        training_steps: Frames predicted when training, where they are fewer than T'; None for T'. With 0 all frames
            given when training are observed, and what follows each of the last T' is predicted (teacher forcing).
        unroll: Whether the steps of training stand one after the other in the graph, in place of a loop.
    """

    def __init__(self, cell, head, rollout_steps, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.cell = cell
        self.head = head
        self.rollout_steps = rollout_steps
        self.training_steps = None
        self.unroll = False

    def build(self, inputs_shape):
        """Create the weights."""
        batch_size, _, num_particles, num_dimensions = inputs_shape["positions"]
        positions = (batch_size, num_particles, num_dimensions)
        shapes = {"positions": positions, "features": inputs_shape["features"]}
        if not self.cell.built:
            self.cell.build(shapes)
        if not self.head.built:
            self.head.build(self.cell.compute_output_shape(shapes)[0], shapes)

    def get_initial_state(self, positions):
        """The state before the first frame, whose positions `[B, N, D]` are given (the first move is zero)."""
        batch_size, num_particles = ops.shape(positions)[:2]
        return {
            "recurrent": self.cell.get_initial_state(batch_size, num_particles),
            "head": self.head.get_initial_state(positions),
            "positions": positions,
        }

    def observe(self, positions, is_observed, state):
        """The state to read a frame `[B, N, D]` with, which was observed or fed back, `[]` or `[B]`."""
        observed = self.head.observe(state["head"], positions)
        head = keras.tree.map_structure(lambda new, old: choose_rows(is_observed, new, old), observed, state["head"])
        return {**state, "head": head}

    def step(self, positions, features, mask, state):
        """Read a frame and predict the next.

        Args:
            positions: `[B, N, D]`, in units of length.
            features: `[B, N, F]`.
            mask: `[B, N]`.
            state: What this or `get_initial_state` returned last.

        Returns:
            Parameters of the density of the next positions `[B, N, P]`, and the new state.
        """
        velocities = positions - state["positions"]
        inputs = {"positions": positions, "velocities": velocities, "features": features, "mask": mask}
        outputs, recurrent = self.cell(inputs, state["recurrent"])
        parameters, head = self.head(outputs, inputs, state["head"])
        return parameters, {"recurrent": recurrent, "head": head, "positions": positions}

    def call(self, inputs, training=False):
        """Predict the densities of the next T' frames.

        Args:
            inputs: Dictionary of `positions` `[B, T, N, D]` in units of length, `features` `[B, N, F]` and
                `mask` `[B, N]`, 1 for real particles and 0 for padding.
            training: Whether to predict only `training_steps` frames; the last one is repeated for the others. With 0
                of them, `positions` are the T + T' - 1 frames before the last one to predict.

        Returns:
            Parameters `[B, T', N, P]` in the order of `self.head.layout`.
        """
        scan = _unrolled_scan if training and self.unroll else ops.scan
        if training and self.training_steps == 0:
            return self.run(inputs, 1, scan=scan, num_kept=self.rollout_steps)[0]
        horizon = (training and self.training_steps) or self.rollout_steps
        parameters = self.run(inputs, horizon, scan=scan)[0]
        missing = ops.repeat(parameters[:, -1:], self.rollout_steps - horizon, axis=1)
        return ops.concatenate([parameters, missing], axis=1)

    def run(self, inputs, horizon, choose=None, scan=ops.scan, num_kept=None):
        """Predict the next `horizon` frames.

        Args:
            inputs: As for `call`.
            horizon: Number of frames, at least 1; an integer or a scalar tensor.
            choose: Which positions follow a prediction: a function of the parameters `[B, N, P]` and of the number
                of the predicted frame (from 0). What it gives is taken for observed.
                By default the mean of the density follows, and the head's state goes on.
            scan: What runs the steps, with the arguments of `keras.ops.scan`.
            num_kept: How many of the predictions to give, the last ones, those of observed frames included; by default
                `horizon`.

        Returns:
            Parameters `[B, num_kept, N, P]`, and the positions that followed `[B, num_kept, N, D]`.
        """
        features, mask = inputs["features"], inputs["mask"]
        observed = ops.moveaxis(inputs["positions"], 1, 0)
        num_observed = ops.shape(observed)[0]
        last = num_observed - 1

        def body(carry, index):
            is_observed = index < num_observed
            frame = ops.where(is_observed, ops.take(observed, ops.minimum(index, last), axis=0), carry["next"])
            state = self.observe(frame, ops.logical_or(is_observed, choose is not None), carry["state"])
            parameters, state = self.step(frame, features, mask, state)
            following = choose(parameters, index - last) if choose else self.head.mean(parameters)
            carry = {"state": state, "next": following * mask[..., None], "parameters": parameters}
            return carry, carry

        carry = {
            "state": self.get_initial_state(observed[0]),
            "next": observed[0],
            "parameters": ops.zeros((*ops.shape(mask), self.head.layout.size)),
        }
        # `scan` wants what it stacks to look like what it carries, so everything carried is stacked.
        _, carries = scan(body, carry, ops.arange(num_observed + horizon - 1, dtype="int32"))
        first = last if num_kept is None else last + horizon - num_kept
        return tuple(ops.moveaxis(carries[name][first:], 0, 1) for name in ("parameters", "next"))

    def compute_output_shape(self, inputs_shape):
        """`[B, T', N, P]`."""
        batch_size, _, num_particles, _ = inputs_shape["positions"]
        return (batch_size, self.rollout_steps, num_particles, self.head.layout.size)

    def get_config(self):
        """Arguments of the layer."""
        return {
            **super().get_config(),
            "cell": keras.saving.serialize_keras_object(self.cell),
            "head": keras.saving.serialize_keras_object(self.head),
            "rollout_steps": self.rollout_steps,
        }

    @classmethod
    def from_config(cls, config):
        """The inverse of `get_config`."""
        cell = keras.saving.deserialize_keras_object(config.pop("cell"))
        head = keras.saving.deserialize_keras_object(config.pop("head"))
        return cls(cell=cell, head=head, **config)


def _unrolled_scan(body, carry, indices):
    """`keras.ops.scan` without a loop, for a number of steps that is known."""
    carries = []
    for index in range(indices.shape[0]):
        carry, _ = body(carry, index)
        carries.append(carry)
    return carry, keras.tree.map_structure(lambda *steps: ops.stack(steps), *carries)


def choose_rows(condition, new, old):
    """`new` where the condition, `[]` or `[B]`, holds, else `old`."""
    condition = ops.convert_to_tensor(condition)
    if len(condition.shape):
        condition = ops.reshape(condition, (-1, *[1] * (len(new.shape) - 1)))
    return ops.where(condition, new, old)
