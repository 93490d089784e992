"""The recurrent cell: one LSTM per particle, all with the same weights, that see each other."""

import keras
from keras import ops

from socialmd_tf.layers.build_once import build_once
from socialmd_tf.layers.cells.lstm import LSTMCell
from socialmd_tf.layers.full_precision import FullPrecisionDense


def compress(values):
    """sign(x) log(1 + |x|)."""
    return ops.sign(values) * ops.log1p(ops.abs(values))


@keras.saving.register_keras_serializable(package="socialmd_tf")
class SocialLSTMCell(keras.layers.Layer):
    """One step of the particles' LSTMs (thesis section 4.4).

    alpha_i = W_alpha [x_i, f_i];  gamma_i = interaction(...);  h_i, c_i = LSTM([alpha_i, gamma_i], h_i, c_i)

    The cell follows the Keras protocol (`state_size`, `get_initial_state`, `call(inputs, states)`), with a dictionary
    of inputs and one state per particle. Positions stay float32 under mixed precision.

    Args:
        units: H, number of LSTM units.
        input_embedding: Width of alpha.
        interaction: A layer as described in `socialmd_tf.layers.interactions`.
        velocity_scale: If given, in units of length, alpha reads the last move divided by it instead of the position,
            so that the output does not depend on where in space the system is.
        expose_interaction: Whether the output contains gamma, [h_i, alpha_i, gamma_i]. The LSTM then reads
            sign(gamma) log(1 + |gamma|), so that strong forces in close encounters do not saturate it.
    """

    def __init__(self, units, input_embedding, interaction, velocity_scale=None, expose_interaction=False, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.interaction = interaction
        self.velocity_scale = velocity_scale
        self.expose_interaction = expose_interaction
        self.input_embedding = FullPrecisionDense(input_embedding, use_bias=False, name="input_embedding")
        self.lstm = LSTMCell(units, dtype=self.dtype_policy, name="lstm")

    @property
    def state_size(self):
        """Sizes of the hidden state and the cell state of a particle."""
        return [self.lstm.units, self.lstm.units]

    def get_initial_state(self, batch_size, num_particles):
        """Hidden state and cell state of zeros, each `[B, N, H]`."""
        shape = (batch_size, num_particles, self.lstm.units)
        return [ops.zeros(shape, self.compute_dtype), ops.zeros(shape, self.compute_dtype)]

    def build(self, inputs_shape, states_shape=None):
        """Create the weights."""
        positions, features = inputs_shape["positions"], inputs_shape["features"]
        hidden_state = (*positions[:2], self.lstm.units)
        self.input_embedding.build((*positions[:2], positions[-1] + features[-1]))
        shapes = (positions, positions, features, hidden_state)
        build_once(self.interaction, *shapes, positions[:2])
        gamma = self.interaction.compute_output_shape(*shapes, positions[:2])
        self.lstm.build((None, self.input_embedding.units + gamma[-1]))

    def call(self, inputs, states):
        """Advance the states by one frame.

        Args:
            inputs: Dictionary of `positions` `[B, N, D]` and `velocities` `[B, N, D]` (displacement since the
                last frame), both in units of length, `features` `[B, N, F]`, `mask` `[B, N]` or None, and in a
                periodic box `box` `[B, D, D]`.
            states: Hidden state and cell state, each `[B, N, H]`.

        Returns:
            The output for the head, [h_i, alpha_i] `[B, N, H + embedding]` (with gamma, `[B, N, H + embedding + E]`),
            and the new states.
        """
        hidden_state, cell_state = states
        own = inputs["positions"] if self.velocity_scale is None else inputs["velocities"] / self.velocity_scale
        alpha = self.input_embedding(ops.concatenate([own, inputs["features"]], axis=-1))
        known = {name: inputs[name] for name in ("box",) if name in inputs}
        gamma = self.interaction(
            inputs["positions"], inputs["velocities"], inputs["features"], hidden_state, inputs["mask"], **known
        )
        seen = compress(gamma) if self.expose_interaction else gamma
        # In the cell's precision: that of the interaction may be lower.
        lstm_inputs = ops.concatenate([ops.cast(part, self.compute_dtype) for part in (alpha, seen)], axis=-1)
        shape = ops.shape(hidden_state)
        flat = (-1, self.lstm.units)
        hidden_state, new_states = self.lstm(
            ops.reshape(lstm_inputs, (-1, lstm_inputs.shape[-1])),
            [ops.reshape(hidden_state, flat), ops.reshape(cell_state, flat)],
        )
        new_states = [ops.reshape(state, shape) for state in new_states]
        outputs = [ops.cast(new_states[0], alpha.dtype), alpha]
        if self.expose_interaction:
            outputs.append(ops.cast(gamma, alpha.dtype))
        return ops.concatenate(outputs, axis=-1), new_states

    def compute_output_shape(self, inputs_shape, states_shape=None):
        """Shapes of the output and the states."""
        positions, features = inputs_shape["positions"], inputs_shape["features"]
        leading = tuple(positions[:2])
        state = (*leading, self.lstm.units)
        width = self.lstm.units + self.input_embedding.units
        if self.expose_interaction:
            width += self.interaction.compute_output_shape(positions, positions, features, state, leading)[-1]
        return (*leading, width), [state, state]

    def get_config(self):
        """Arguments of the layer."""
        return {
            **super().get_config(),
            "units": self.lstm.units,
            "input_embedding": self.input_embedding.units,
            "interaction": keras.saving.serialize_keras_object(self.interaction),
            "velocity_scale": self.velocity_scale,
            "expose_interaction": self.expose_interaction,
        }

    @classmethod
    def from_config(cls, config):
        """The inverse of `get_config`."""
        interaction = keras.saving.deserialize_keras_object(config.pop("interaction"))
        return cls(interaction=interaction, **config)
