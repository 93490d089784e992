"""The Langevin head: a learned drift and a learned noise, for random motion that is rolled out by sampling."""

import math

import keras
from keras import ops

from socialmd_tf.layers.boxes import nearest_displacements, of_particles
from socialmd_tf.layers.cells.social import compress
from socialmd_tf.layers.density import DensityLayout
from socialmd_tf.layers.full_precision import Dense, FullPrecisionDense
from socialmd_tf.layers.heads.covariance import floored_factor
from socialmd_tf.layers.pairs.radial_pulls import radial_pulls, radial_sums
from socialmd_tf.layers.pairs.shared_noise import shared_noise

_HIDDEN_LAYERS = 2
_NUM_POWERS = 4
_TINY = 1e-12


@keras.saving.register_keras_serializable(package="socialmd_tf")
class LangevinHead(keras.layers.Layer):
    """Density of the next position of particles that are pushed about at random.

    The move of particle i to the next frame is normally distributed. Its mean is

        dx_i / s0 = sum_m c_m u_m + sum_p b_p (r / c)^p r_hat + sum_(b, f) a_bf sum_j g_b(d_ij) f_j e_ij

    and its covariance s_r^2 r_hat r_hat^T + s_t^2 (I - r_hat r_hat^T). Here s0 is the typical move, r the distance from
    the origin, r_hat the direction from it, p goes from 0 to 3, c is the cutoff, and g_b and e_ij are the functions and
    directions of `radial_sums`; f_j are the features of neighbour j, and 1. The vectors u_m are

        v_t / s0,  v_(t-1) / s0,  (m_k - m_(k-1)) / (s0 sqrt(tau_k)),  (a - x) / c,  and the radial part of each,

    with the last two moves v, the anchor a of the particle, if there are anchors, and running averages m_k of its
    positions, a memory of where it has been, after m_0 = x:

        m_k <- m_k + max(1 / (age + 1), 1 / tau_k) (x - m_k)

    with the number of frames before this one as the age, so that m_k is the mean until that is tau_k.

    All c, b and a are linear functions of the particle's features: constants of its type, if types are features. Then
    they can be found by least squares, exactly, and are not trained (`socialmd_tf.training.drift`). That matters, since
    what holds particles where they are pulls them by a few hundredths of the noise of a frame: the errors of many
    parameters would be as large, and make particles stray. If the cell has an output, or with a force, they are outputs
    of the MLP below instead, and trained.

    s_r and s_t are outputs of an MLP, whose inputs do not change when the system turns about the origin: the particle's
    features, r, the lengths and radial components of all vectors u_m, the age, and the output of the cell. So the
    density turns with the system, as far as the output of the cell does not depend on how the system lies. New weights
    give a random walk.

    With a force, a law of motion takes the place of the sums over neighbours:

        dx_i = v_t + a(x) - rate_i v_t + s_n (sum_m c_m u_m + sum_p b_p (r / c)^p r_hat) s0

    with accelerations a(x) and rates of friction of the force, fitted to moves of one frame (`socialmd_tf.fitting`) and
    not trained, and s_n, the ratio of the noise around the law to s0 (`correction_scale`): near the truth, corrections
    are small. New weights give the mean motion under the law.

    Every frame that the head reads is a part of its memory, whether it was observed, drawn or predicted. The density is
    that of one frame after another: it does not widen when means are fed back. Draw paths to see how motion spreads.

    With shared noise, the densities stay those above, each of one particle, but neighbours are drawn together, by the
    normal numbers of `shared_noise`: x_i = mean_i + S_i n_i with the symmetric root S_i of the covariance. Its shares
    are those with which the noise of neighbours is as correlated as in the data (`socialmd_tf.training.noise_shares`).

    Args:
        num_dimensions: D, 2 or 3.
        scale_floor: Smallest standard deviation along any direction, in units of length.
        move_scale: s0, in units of length.
        cutoff: Largest distance at which particles see each other, in units of length.
        num_functions: Number of functions g_b, at least 2.
        units: Units of each of the two hidden layers of the MLP.
        time_constants: tau_k, in frames.
        is_centered: Whether the system has a centre, the origin. Without one, neither r_hat nor r nor radial parts are
            used, and the covariance is s_t^2 I.
        force: Layer of a law, a `SumOfTerms`, or None.
        shares_noise: Whether neighbours share noise.
    """

    state_names = ("last_move", "average_positions", "age")
    """What the tensors of the state are."""
    initial_deviation = 1.0
    """Raw standard deviation of new weights: softplus(1) = 1.31 typical moves, near that of a normal distribution."""

    def __init__(
        self,
        num_dimensions,
        scale_floor,
        move_scale,
        cutoff,
        num_functions,
        units,
        time_constants,
        is_centered,
        force=None,
        shares_noise=False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.layout = DensityLayout(num_dimensions, 1, True)
        self.scale_floor = scale_floor
        self.move_scale = move_scale
        self.cutoff = cutoff
        self.num_functions = num_functions
        self.time_constants = tuple(time_constants)
        self.is_centered = is_centered
        self.force = force
        self.shares_noise = shares_noise
        if force is not None:
            force.trainable = False
        self.hidden_layers = [Dense(units, "silu", name=f"hidden_{i}") for i in range(_HIDDEN_LAYERS)]
        self.deviations = FullPrecisionDense(
            1 + is_centered,
            kernel_initializer="zeros",
            bias_initializer=keras.initializers.Constant(self.initial_deviation),
            name="deviations",
        )

    def build(self, outputs_shape, inputs_shape, state_shape=None):
        """Create the weights."""
        num_features = inputs_shape["features"][-1]
        num_vectors = 2 + len(self.time_constants) + ("anchors" in inputs_shape)
        self.num_sums = self.num_functions * (num_features + 1) if self.force is None else 0
        if self.force is not None and not self.force.built:
            self.force.build(inputs_shape["positions"], inputs_shape["features"])
        if self.force is not None:
            self.correction_scale = self.add_weight(
                (), "ones", trainable=False, dtype="float32", autocast=False, name="correction_scale"
            )
        if self.shares_noise:
            self.noise_shares = self.add_weight(
                (2, self.num_functions), "zeros", trainable=False, dtype="float32", autocast=False, name="noise_shares"
            )
        width = outputs_shape[-1] + num_features + num_vectors + 1 + (1 + num_vectors) * self.is_centered
        for layer in self.hidden_layers:
            layer.build((None, width))
            width = layer.units
        self.deviations.build((None, width))
        num_vectors += (num_vectors + _NUM_POWERS) * self.is_centered
        self.is_linear = outputs_shape[-1] == 0 and self.force is None
        self.coefficients = FullPrecisionDense(
            num_vectors + self.num_sums,
            kernel_initializer="zeros",
            use_bias=not self.is_linear,
            trainable=not self.is_linear,
            name="coefficients",
        )
        self.coefficients.build((None, num_features + 1 if self.is_linear else width))

    def mean(self, parameters):
        """Mean of the density: `[B, N, P]` -> `[B, N, D]`, in units of length."""
        return self.layout.mean(parameters)

    def draw_together(self, parameters, normal, inputs):
        """Next positions of all particles, whose neighbours share noise, `[B, N, D]`, in units of length.

        Args:
            parameters: Of the densities `[B, N, P]`, after a frame.
            normal: Independent standard normal vectors `[B, N, D]`.
            inputs: `positions` of the frame, `mask` and, in a periodic box, `box`, as of `call`.
        """
        positions, box = inputs["positions"], inputs.get("box")
        normal = shared_noise(normal, positions, inputs["mask"], self.cutoff, self.noise_shares, box)
        return self.mean(parameters) + self.along_root(parameters, positions, normal, 1)

    def along_root(self, parameters, positions, vectors, power):
        """S^power v with the symmetric root S of the covariances, and a power of 1 or -1.

        Args:
            parameters: `[B, N, P]`.
            positions: Of the frame before, `[B, N, D]`, in units of length.
            vectors: v, `[B, N, D]`.
            power: 1 or -1.
        """
        covariance, size = self.layout.covariance(parameters), self.layout.num_dimensions
        total = ops.trace(covariance, axis1=-2, axis2=-1)[..., None]
        if not self.is_centered:
            return (total / size) ** (power / 2) * vectors
        _, direction = _length_and_direction(positions)
        radial = ops.sum(direction[..., :, None] * direction[..., None, :] * covariance, axis=(-2, -1))[..., None]
        along = ops.sum(vectors * direction, axis=-1, keepdims=True) * direction
        tangential = (total - radial) / (size - 1)
        return tangential ** (power / 2) * (vectors - along) + radial ** (power / 2) * along

    def get_initial_state(self, positions):
        """The state before the first frame: no move `[B, N, D]`, averages `[B, N, K, D]` and the age `[B, N, 1]`."""
        averages = ops.repeat(positions[..., None, :], len(self.time_constants), axis=-2)
        return ops.zeros_like(positions), averages, ops.zeros_like(positions[..., :1])

    def observe(self, state, positions):
        """The state, unchanged: `call` remembers every frame, whether it was observed or not."""
        return state

    can_remember = True

    def remember(self, inputs, state):
        """The state after a frame, all that `call` changes of it; arguments as of `call`."""
        return inputs["velocities"], self._averages(inputs["positions"], state), state[2] + 1

    def call(self, outputs, inputs, state):
        """Predict the density of the next positions.

        Args:
            outputs: Output of the cell, `[B, N, C]`; C may be 0.
            inputs: Input of the cell: `positions` and `velocities` `[B, N, D]`, in units of length, `features`
                `[B, N, F]`, `mask` `[B, N]` or None, and as far as there are, `anchors` `[B, N, D]`, in units of
                length, `box` `[B, D, D]` and, for a force with bonds, `edges` `[B, N, N]`.
            state: The last move `[B, N, D]`, the average positions `[B, N, K, D]`, in units of length, and the age
                `[B, N, 1]`, in frames.

        Returns:
            Parameters `[B, N, P]` in the order of `DensityLayout`, and the new state.
        """
        positions, features = inputs["positions"], inputs["features"]
        vectors = self._vectors(inputs, state[0], self._averages(positions, state))
        radius, direction = _length_and_direction(positions)
        numbers = [outputs, features, self._age_number(state[2]), *self._sizes(vectors, radius, direction)]
        hidden = ops.concatenate(numbers, axis=-1)
        for layer in self.hidden_layers:
            hidden = layer(hidden)
        vectors = self._with_radial(vectors, radius, direction)
        kinds = self.kinds(features)
        coefficients = self.coefficients(kinds if self.is_linear else hidden)
        of_vectors, of_sums = ops.split(coefficients, [vectors.shape[-2]], axis=-1)
        move = ops.sum(of_vectors[..., None] * vectors, axis=-2)
        if self.force is None:
            of_sums = ops.reshape(of_sums, (*ops.shape(kinds)[:2], self.num_functions, kinds.shape[-1]))
            move = move + radial_pulls(positions, kinds, inputs["mask"], self.cutoff, of_sums, inputs.get("box"))
        move = self.move_scale * move
        if self.force is not None:
            move = self.correction_scale * move + self._lawful_move(inputs)
        parameters = self._density(positions + move, self.deviations(hidden), direction)
        return parameters, self.remember(inputs, state)

    def columns(self, inputs, state):
        """What the coefficients of the mean move belong to, `[B, N, D, M]`, in units of s0; arguments as of `call`.

        The mean move is s0 times the sum of all, each times its coefficient. There must be no force.
        """
        positions = inputs["positions"]
        vectors = self._vectors(inputs, state[0], self._averages(positions, state))
        vectors = self._with_radial(vectors, *_length_and_direction(positions))
        sums = radial_sums(
            positions,
            self.kinds(inputs["features"]),
            inputs["mask"],
            self.cutoff,
            self.num_functions,
            inputs.get("box"),
        )
        sums = ops.reshape(sums, (*ops.shape(positions), self.num_sums))
        return ops.concatenate([ops.swapaxes(vectors, -1, -2), sums], axis=-1)

    @staticmethod
    def kinds(features):
        """Features, and 1: what neighbours are counted by, and coefficients are linear in, `[B, N, F + 1]`."""
        return ops.concatenate([features, ops.ones((*ops.shape(features)[:-1], 1))], axis=-1)

    def _with_radial(self, vectors, radius, direction):
        """With a centre, vectors `[B, N, M, D]`, their radial parts, and directions times powers of the radius."""
        if not self.is_centered:
            return vectors
        direction = direction[..., None, :]
        radial = ops.sum(vectors * direction, axis=-1, keepdims=True) * direction
        powers = [(radius / self.cutoff)[..., None] ** power * direction for power in range(_NUM_POWERS)]
        return ops.concatenate([vectors, radial, *powers], axis=-2)

    def _lawful_move(self, inputs):
        """The move under the law, v + a(x) - rate v, `[B, N, D]`."""
        velocities, friction = inputs["velocities"], self.force.friction
        move = velocities + self.force(inputs)
        return move if friction is None else move + friction(velocities, inputs["features"], inputs["mask"])

    def _averages(self, positions, state):
        """m_k with the positions of this frame, `[B, N, K, D]`."""
        _, averages, age = state
        return averages + self._rates(age)[..., None] * (positions[..., None, :] - averages)

    def _rates(self, age):
        """Share of the newest position in each average, `[B, N, K]`."""
        return ops.maximum(1 / (age + 1), 1 / ops.convert_to_tensor(self.time_constants, dtype="float32"))

    def _age_number(self, age):
        """The age on a logarithmic scale that ends at the longest time constant, from 0 to about 1, `[B, N, 1]`."""
        longest = max(self.time_constants)
        return ops.log(ops.minimum(age + 1, longest)) / math.log(longest + 1)

    def _vectors(self, inputs, last_move, averages):
        """v_t, v_(t-1), m_k - m_(k-1) and a - x, `[B, N, M, D]`, each divided by about its size."""
        positions = inputs["positions"]
        steps = averages - ops.concatenate([positions[..., None, :], averages[..., :-1, :]], axis=-2)
        sizes = ops.sqrt(ops.convert_to_tensor(self.time_constants, dtype="float32"))[:, None]
        moves = ops.stack([inputs["velocities"], last_move], axis=-2)
        vectors = [moves / self.move_scale, steps / (self.move_scale * sizes)]
        if "anchors" in inputs:
            to_anchor = inputs["anchors"] - positions
            if "box" in inputs:
                to_anchor = nearest_displacements(to_anchor, of_particles(inputs["box"], ops.shape(to_anchor)[1]))
            vectors.append(to_anchor[..., None, :] / self.cutoff)
        return ops.concatenate(vectors, axis=-2)

    def _sizes(self, vectors, radius, direction):
        """Lengths and radial components of vectors, and the radius: numbers of about 1, a list of `[B, N, ...]`."""
        lengths = compress(_length_and_direction(vectors)[0][..., 0])
        if not self.is_centered:
            return [lengths]
        radial = compress(ops.sum(vectors * direction[..., None, :], axis=-1))
        return [lengths, radial, radius / self.cutoff]

    def _density(self, mean, deviations, direction):
        """Parameters `[B, N, P]` of the normal distribution around a mean."""
        variances = ops.square(self.move_scale * ops.softplus(deviations))[..., None]
        covariance = variances[..., -1:, :] * ops.eye(self.layout.num_dimensions)
        if self.is_centered:
            excess = variances[..., :1, :] - variances[..., -1:, :]
            covariance = covariance + excess * direction[..., :, None] * direction[..., None, :]
        factor = floored_factor(covariance[..., None, :, :], self.scale_floor)
        return self.layout.join(None, mean[..., None, :], factor)

    def get_config(self):
        """Arguments of the layer."""
        return {
            **super().get_config(),
            "num_dimensions": self.layout.num_dimensions,
            "scale_floor": self.scale_floor,
            "move_scale": self.move_scale,
            "cutoff": self.cutoff,
            "num_functions": self.num_functions,
            "units": self.hidden_layers[0].units,
            "time_constants": self.time_constants,
            "is_centered": self.is_centered,
            "force": keras.saving.serialize_keras_object(self.force),
            "shares_noise": self.shares_noise,
        }

    @classmethod
    def from_config(cls, config):
        """The inverse of `get_config`."""
        force = keras.saving.deserialize_keras_object(config.pop("force", None))
        return cls(force=force, **config)


def _length_and_direction(vectors):
    """Lengths `[..., 1]` and unit vectors `[..., D]`, zero where the vector is."""
    lengths = ops.sqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True) + _TINY)
    return lengths, vectors / lengths
