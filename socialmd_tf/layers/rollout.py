"""The rollout: warm up on observed frames, then feed back the predicted means."""

import keras
from keras import ops

from socialmd_tf.layers.build_once import build_once
from socialmd_tf.layers.pairs.few_or_many import few_or_many
from socialmd_tf.layers.recomputed_scan import kept_scan, plain_scan, recomputed_scan
from socialmd_tf.layers.static_shapes import has_static_shapes

_KNOWN = ("box", "edges")


@keras.saving.register_keras_serializable(package="socialmd_tf")
class Rollout(keras.layers.Layer):
    """Densities of the T' frames after T observed ones (thesis sections 2.5.2 and 4.4).

    The cell reads the T observed frames. Then each next frame that it reads is the mean of the density that was just
    predicted. Padded particles stay at the origin, and no particle sees them.

    Args:
        cell: A layer as described in `socialmd_tf.layers.cells`.
        head: A layer as described in `socialmd_tf.layers.heads`.
        rollout_steps: T', the number of predicted frames.
        anchor_start: Column of the features at which the anchors begin, D columns: where the particles are held. They
            are vectors, no numbers that describe a particle. Cell and head therefore get them apart from the other
            features, as `anchors` `[B, N, D]`. None without anchors.

    Attributes:
        training_steps: Number of frames predicted in training; None for T'. With 0, all frames are observed, and the
            successor of each of the last T' is predicted (teacher forcing).
        validation_steps: The same outside training; T' or 0.
        unroll: Whether the steps are unrolled in the training graph, instead of a loop.
    """

    def __init__(self, cell, head, rollout_steps, anchor_start=None, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.cell = cell
        self.head = head
        self.rollout_steps = rollout_steps
        self.anchor_start = anchor_start
        self.training_steps = None
        self.validation_steps = None
        self.unroll = False

    def build(self, inputs_shape):
        """Create the weights."""
        batch_size, _, num_particles, num_dimensions = inputs_shape["positions"]
        positions = (batch_size, num_particles, num_dimensions)
        *leading, num_features = inputs_shape["features"]
        num_features -= 0 if self.anchor_start is None else num_dimensions
        shapes = {"positions": positions, "features": (*leading, num_features)}
        if self.anchor_start is not None:
            shapes["anchors"] = positions
        build_once(self.cell, shapes)
        outputs_shape = self.cell.compute_output_shape(shapes)[0]
        self._output_width = outputs_shape[-1]
        build_once(self.head, outputs_shape, shapes)

    def get_initial_state(self, positions):
        """The state before the first frame, given its positions `[B, N, D]`: the first move is zero."""
        batch_size, num_particles = ops.shape(positions)[:2]
        return {
            "recurrent": self.cell.get_initial_state(batch_size, num_particles),
            "head": self.head.get_initial_state(positions),
            "positions": positions,
        }

    def observe(self, positions, is_observed, state, is_drawn=None):
        """The state before a frame `[B, N, D]`.

        Args:
            positions: The frame.
            is_observed: Whether it was observed or drawn, and is no mean that is fed back, `[]` or `[B]`.
            state: The state after the frame before.
            is_drawn: Whether it was drawn, likewise; None where nothing is drawn.
        """
        before = state["head"]
        state = self._with_head(state, is_observed, self.head.observe(before, positions))
        if is_drawn is None or not hasattr(self.head, "observe_drawn"):
            return state
        return self._with_head(state, is_drawn, self.head.observe_drawn(before, positions))

    def _with_head(self, state, condition, head):
        """`state` with the rows of `head` where the condition, `[]` or `[B]`, holds."""
        head = keras.tree.map_structure(lambda new, old: choose_rows(condition, new, old), head, state["head"])
        return {**state, "head": head}

    def step(self, positions, features, mask, state, **known):
        """Read a frame and predict the next one.

        Args:
            positions: `[B, N, D]`, in units of length.
            features: `[B, N, F]`.
            mask: `[B, N]`.
            state: The state that this method, or `get_initial_state`, returned last.
            **known: What else cell and head read of the frame: `box` `[B, D, D]` and `edges` `[B, N, N]`, see `call`;
                `observed_velocities` `[B, N, D]`, in units of length per frame interval, and `is_observed`, `[]` or
                `[B]`: whether they were observed in this frame. They replace the last move, and the head's velocity.

        Returns:
            Parameters of the density of the next positions `[B, N, P]`, and the new state.
        """
        inputs, state = self._read(positions, features, mask, state, known)
        outputs, recurrent = self.cell(inputs, state["recurrent"])
        parameters, head = self.head(outputs, inputs, state["head"])
        return parameters, {"recurrent": recurrent, "head": head, "positions": positions}

    def draw(self, parameters, uniform, normal, inputs):
        """Next positions `[B, N, D]` from densities: of each particle by itself, unless neighbours share noise.

        Args:
            parameters: Of the densities after a frame, `[B, N, P]`.
            uniform: As for `DensityLayout.draw`, `[B, N]`.
            normal: Independent standard normal vectors `[B, N, D]`.
            inputs: `positions` of the frame, `mask` and, in a periodic box, `box`, as of `call`.
        """
        if getattr(self.head, "shares_noise", False):
            return self.head.draw_together(parameters, normal, inputs)
        return self.head.layout.draw(parameters, uniform, normal)

    def _read(self, positions, features, mask, state, known):
        """Inputs of cell and head, and the state before the frame; arguments as of `step`."""
        velocities = positions - state["positions"]
        if "observed_velocities" in known:
            observed, is_observed = known["observed_velocities"], ops.convert_to_tensor(known["is_observed"])
            known = {**known, "is_observed": is_observed}
            velocities = choose_rows(is_observed, observed, velocities)
            if hasattr(self.head, "observe_velocities"):
                state = self._with_head(state, is_observed, self.head.observe_velocities(state["head"], observed))
        known = {**self._without_anchors(features, positions.shape[-1]), **known}
        return {"positions": positions, "velocities": velocities, "mask": mask, **known}, state

    def _without_anchors(self, features, num_dimensions):
        """Dictionary of the other `features`, and of `anchors` if there are any."""
        start = self.anchor_start
        if start is None:
            return {"features": features}
        end = start + num_dimensions
        others = ops.concatenate([features[..., :start], features[..., end:]], axis=-1)
        return {"features": others, "anchors": features[..., start:end]}

    def call(self, inputs, training=False):
        """Predict the densities of the next T' frames.

        Args:
            inputs: Dictionary of `positions` `[B, T, N, D]` in units of length, `features` `[B, N, F]` and
                `mask` `[B, N]`, 1 for real particles and 0 for padding. Optional are `box` `[B, D, D]`, lattice vectors
                in rows of a periodic box, in which the positions are unwrapped; `edges` `[B, N, N]`, types of bonds;
                and `velocities` `[B, T, N, D]`, observed ones, in units of length per frame interval.
            training: Whether to predict only `training_steps` frames, and not `validation_steps`; the last one is
                repeated for the others. With 0, `positions` are the T + T' - 1 frames before the last predicted one.

        Returns:
            Parameters `[B, T', N, P]` in the order of `self.head.layout`.
        """
        scan = _unrolled_scan if training and self.unroll else None
        num_steps = self.training_steps if training else self.validation_steps
        if num_steps == 0:
            return self._run_forced(inputs, scan)
        horizon = num_steps or self.rollout_steps
        parameters = self.run(inputs, horizon, scan=scan)[0]
        missing = ops.repeat(parameters[:, -1:], self.rollout_steps - horizon, axis=1)
        return ops.concatenate([parameters, missing], axis=1)

    def run(self, inputs, horizon, choose=None, scan=None, num_kept=None):
        """Predict the next `horizon` frames.

        Args:
            inputs: As for `call`.
            horizon: Number of frames, at least 1; an integer or a scalar tensor.
            choose: Function of the parameters `[B, N, P]` and the number of the predicted frame (from 0) that returns
                the positions to feed back; these count as observed. By default the mean is fed back, and the head's
                state carries on.
            scan: Function that runs the steps and stacks the carries: of the body, the first carry and the number of
                steps. By default a loop.
            num_kept: Number of predictions to return, the last ones, possibly with those during the warm-up; by
                default `horizon`. No gradient passes through the frames then.

        Returns:
            Parameters `[B, num_kept, N, P]`, and the positions fed back `[B, num_kept, N, D]`.
        """
        features, mask = inputs["features"], inputs["mask"]
        known = {name: inputs[name] for name in _KNOWN if name in inputs}
        observed = ops.moveaxis(inputs["positions"], 1, 0)
        num_observed = ops.shape(observed)[0]
        last = num_observed - 1
        # No weight changes observed frames. Without gradients with respect to them, training is faster.
        is_forced = num_kept is not None

        def body(carry, index):
            is_observed = index < num_observed
            frame = ops.where(is_observed, ops.take(observed, ops.minimum(index, last), axis=0), carry["next"])
            if is_forced:
                frame = ops.stop_gradient(frame)
            is_drawn = ops.logical_not(is_observed) if choose else None
            state = self.observe(frame, ops.logical_or(is_observed, choose is not None), carry["state"], is_drawn)
            moving = _observed_velocities(inputs, index)
            parameters, state = self.step(frame, features, mask, state, **known, **moving)
            following = choose(parameters, index - last) if choose else self.head.mean(parameters)
            return {"state": state, "next": following * mask[..., None], "parameters": parameters}

        carry = {
            "state": self.get_initial_state(observed[0]),
            "next": observed[0],
            "parameters": ops.zeros((*ops.shape(mask), self.head.layout.size)),
        }
        carries = (scan or self._scan)(body, carry, num_observed + horizon - 1)
        first = last if num_kept is None else last + horizon - num_kept
        return tuple(ops.moveaxis(carries[name][first:], 0, 1) for name in ("parameters", "next"))

    def _run_forced(self, inputs, scan):
        """The last T' predictions after true frames `[B, T', N, P]`, at once if head and memory allow it."""

        def one_by_one():
            return self.run(inputs, 1, scan=scan, num_kept=self.rollout_steps)[0]

        if not getattr(self.head, "can_remember", False):
            return one_by_one()
        num_particles = ops.shape(inputs["positions"])[2]
        return few_or_many(num_particles, lambda: self._run_at_once(inputs, scan), one_by_one)

    def _run_at_once(self, inputs, scan):
        """The last T' predictions of `run` after true frames, together `[B, T', N, P]`; arguments as `true_frames`."""
        parameters, _ = self.head(*self.true_frames(inputs, scan))
        shape = ops.shape(inputs["positions"])
        parameters = ops.reshape(parameters, (self.rollout_steps, shape[0], *ops.shape(parameters)[1:]))
        return ops.moveaxis(parameters, 0, 1)

    def true_frames(self, inputs, scan=None):
        """What the head reads of the last T' true frames, as one batch of T' B; all systems of a frame are adjacent.

        The memory of the head and the states of the cell go from frame to frame. The rest of the head, which is most of
        the work, can then see all frames at once. The head must be one that `can_remember`.

        Args:
            inputs: As for `call`, with the T + T' - 1 frames before the last predicted one.
            scan: As for `run`.

        Returns:
            The outputs of the cell, and the inputs and the states of the head.
        """
        features, mask = inputs["features"], inputs["mask"]
        known = {name: inputs[name] for name in _KNOWN if name in inputs}
        frames = ops.stop_gradient(ops.moveaxis(inputs["positions"], 1, 0))
        num_frames = ops.shape(frames)[0]

        def body(carry, index):
            moving = known | _observed_velocities(inputs, index)
            frame = ops.take(frames, index, axis=0)
            state = self.observe(frame, True, carry["state"])
            seen, state = self._read(frame, features, mask, state, moving)
            outputs, recurrent = self.cell(seen, state["recurrent"])
            after = {"recurrent": recurrent, "head": self.head.remember(seen, state["head"])}
            return {
                "state": {**after, "positions": seen["positions"]},
                "before": state["head"],
                "velocities": seen["velocities"],
                "outputs": outputs,
            }

        state = self.get_initial_state(frames[0])
        outputs = ops.zeros((*ops.shape(mask), self._output_width))
        carry = {"state": state, "before": state["head"], "velocities": frames[0], "outputs": outputs}
        carries = (scan or self._scan)(body, carry, num_frames)

        def flat(values):
            """The last T' of `[T + T' - 1, B, ...]` as one batch."""
            return ops.reshape(values[-self.rollout_steps :], (-1, *ops.shape(values)[2:]))

        constant = {"mask": mask, **known, **self._without_anchors(features, frames.shape[-1])}
        seen = {name: flat(ops.repeat(value[None], num_frames, axis=0)) for name, value in constant.items()}
        seen |= {"positions": flat(frames), "velocities": flat(carries["velocities"])}
        before = keras.tree.map_structure(flat, carries["before"])
        return flat(carries["outputs"]), seen, before

    def _scan(self, body, carry, length):
        if has_static_shapes():
            if getattr(getattr(self.cell, "interaction", None), "keeps_steps", False):
                return kept_scan(body, carry, length)
            # Faster on a GPU than keeping the intermediate results of all steps, and a tenth of the memory.
            return recomputed_scan(body, carry, length, self.variables)
        return plain_scan(body, carry, length)

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
            "anchor_start": self.anchor_start,
        }

    @classmethod
    def from_config(cls, config):
        """The inverse of `get_config`."""
        cell = keras.saving.deserialize_keras_object(config.pop("cell"))
        head = keras.saving.deserialize_keras_object(config.pop("head"))
        return cls(cell=cell, head=head, **config)


def _observed_velocities(inputs, index):
    """What `step` reads of the velocities that were observed in a frame, if any were."""
    if "velocities" not in inputs:
        return {}
    velocities = inputs["velocities"]  # With teacher forcing there are more frames than velocities.
    count = ops.shape(velocities)[1]
    of_frame = ops.take(velocities, ops.minimum(index, count - 1), axis=1)
    return {"observed_velocities": of_frame, "is_observed": index < count}


def _unrolled_scan(body, carry, length):
    """The stacked carries without a loop, for a known number of steps."""
    carries = []
    for index in range(length):
        carry = body(carry, index)
        carries.append(carry)
    return keras.tree.map_structure(lambda *steps: ops.stack(steps), *carries)


def choose_rows(condition, new, old):
    """`new` where the condition, `[]` or `[B]`, holds, else `old`."""
    condition = ops.convert_to_tensor(condition)
    if len(condition.shape):
        condition = ops.reshape(condition, (-1, *[1] * (len(new.shape) - 1)))
    return ops.where(condition, new, old)
