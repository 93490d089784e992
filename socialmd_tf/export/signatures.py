"""The functions that become the signatures of the SavedModel."""

import contextlib
import functools

import tensorflow as tf

from socialmd_tf.config.box_ranges import reach
from socialmd_tf.export import input_checks
from socialmd_tf.layers.full_precision import on_any_device
from socialmd_tf.layers.rollout import choose_rows
from socialmd_tf.layers.static_shapes import compiled_by_xla
from socialmd_tf.model import rollout_layer

_NO_STEP = -1  # folded into the seed of what is drawn once per path
_DTYPES = {
    **{name: tf.int32 for name in ("horizon", "seed", "edges")},
    **{name: tf.bool for name in ("observed", "velocities_observed")},
}
_RECURRENT = ("state_hidden", "state_cell")
_STATIC = ("box", "edges")  # the same for all frames of a window


class Signatures(tf.Module):
    """The signatures around a model's rollout; `write.export` documents their inputs and outputs.

    Args:
        model: A model of `build_model`.
        max_horizon: Largest number of frames per request.
        is_compiled: Whether XLA compiles each step, for every shape of the inputs anew. Then the signatures cannot be
            exported: a server does not compile.
    """

    def __init__(self, model, max_horizon, is_compiled=False):
        super().__init__()
        self._is_compiled = is_compiled
        self._layer = rollout_layer(model)
        self._layout = self._layer.head.layout
        self._limits = {
            "horizon": max_horizon,
            "edges": model.config.num_edge_types,
            "box": reach(model.config),
        }
        self.weights = [weight.value for weight in model.weights]  # stored by the SavedModel
        num_dimensions, num_features = self._layout.num_dimensions, model.input["features"].shape[-1]
        self.state_shapes = _state_shapes(self._layer)
        observed, frame = {"positions": ("B", "T", "N", num_dimensions)}, {"positions": ("B", "N", num_dimensions)}
        particles = {"features": ("B", "N", num_features)}
        masked = {**particles, "mask": ("B", "N")}
        shapes = {
            "box": ("B", num_dimensions, num_dimensions),
            "edges": ("B", "N", "N"),
            "velocities": ("B", "T", "N", num_dimensions),
        }
        known = {name: shape for name, shape in shapes.items() if name in model.input}
        moving = {"velocities": frame["positions"], "velocities_observed": ("B",)} if "velocities" in known else {}
        known_of_frame = {**known, **moving}
        self._known = list(known_of_frame)
        self._shapes = {
            "rollout": {**observed, **particles, **known, "horizon": ()},
            "sample": {**observed, **particles, **known, "horizon": (), "seed": (2,)},
            "density": {**observed, **masked, **known, "horizon": ()},
            "rollout_rows": {**observed, **masked, **known, "horizon": ("B",), "seed": ("B", 2)},
            "initial_state": frame,
            "step": {**frame, **masked, **known_of_frame, "observed": ("B",), **self.state_shapes},
        }
        # As a bound method: a function of the module would be traced again, and stored again, on its own.
        self._advance = tf.function(self._read_and_predict, jit_compile=is_compiled, autograph=False).__call__
        self._add_functions()

    def functions(self):
        """The `tf.function`s by the name of their signature."""
        return {name: getattr(self, name) for name in self._shapes}

    def _add_functions(self):
        horizon_in_training = tf.constant(self._layer.rollout_steps)
        no_seed = tf.constant([0, 0])

        # A default that is a tensor becomes a default of the SavedModel's signature.
        # `known` are the optional inputs of the model, a dictionary; see `_function`.
        def rollout(known, positions, features, horizon=horizon_in_training):
            """Mean and covariance of every predicted frame; the mean is fed back."""
            inputs = self._accept("rollout", positions=positions, features=features, **known, horizon=horizon)
            return self._moments(self._unroll(inputs)[0])

        def sample(known, positions, features, horizon=horizon_in_training, seed=no_seed):
            """One drawn trajectory; the drawn positions are fed back."""
            inputs = self._accept("sample", positions=positions, features=features, **known, horizon=horizon, seed=seed)
            drawn = tf.ones_like(inputs["horizon"], tf.bool)
            return {"positions": self._unroll(inputs, drawn, lambda *step: self._draw(inputs, *step))[1]}

        def density(known, positions, features, mask, horizon=horizon_in_training):
            """Parameters of the density of every predicted frame; the mean is fed back."""
            inputs = self._accept(
                "density", positions=positions, features=features, mask=mask, **known, horizon=horizon
            )
            return {"parameters": self._unroll(inputs)[0]}

        def rollout_rows(known, positions, features, mask, horizon, seed):
            """Mean, covariance and a drawn trajectory of every row, each with its own horizon and seed."""
            inputs = {"positions": positions, "features": features, "mask": mask, "horizon": horizon, "seed": seed}
            return self._answer_rows("rollout_rows", {**inputs, **known}, self._roll_rows)

        def initial_state(known, positions):
            """The state for `step` with the first frame; zeros for an unfit row, whose frame `step` refuses."""
            state = self._answer_rows("initial_state", {"positions": positions}, self._start_rows)
            return {name: state[name] for name in self.state_shapes}

        def step(known, positions, features, mask, observed, state):
            """Read a frame, predict the next."""
            inputs = {"positions": positions, "features": features, "mask": mask, "observed": observed, **state}
            return self._answer_rows("step", {**inputs, **known}, self._step_rows)

        for function in (rollout, sample, density, rollout_rows, initial_state, step):
            setattr(self, function.__name__, self._function(function))

    def _function(self, function):
        """A `tf.function` of the inputs of a signature; `known` and the state are dictionaries of several.

        Models without optional inputs have no argument `known`.
        """
        specs = input_checks.specs(self._shapes[function.__name__], _DTYPES)
        known = {key: specs.pop(key) for key in self._known if key in specs}
        state = {key: specs.pop(key) for key in self.state_shapes if key in specs}
        signature = [*([known] if known else []), *specs.values(), *([state] if state else [])]
        function = function if known else functools.partial(function, {})
        # Without a signature, the shapes in the graph are those of the inputs.
        return tf.function(function, input_signature=None if self._is_compiled else signature, autograph=False)

    def _accept(self, signature, **inputs):
        """The checked inputs with a mask and one horizon per row; a fault refuses the request."""
        inputs = input_checks.fitted(inputs, self._shapes[signature])
        leading = tf.shape(inputs["positions"])[:1]
        rows = {**inputs, "horizon": tf.fill(leading, inputs["horizon"])}
        faults = input_checks.row_faults(rows, self._limits)
        with tf.control_dependencies([input_checks.refuse(tf.reduce_any(faults != ""), faults)]):
            rows = {name: tf.identity(tensor) for name, tensor in rows.items()}
        if "mask" not in rows:
            rows["mask"] = tf.ones_like(rows["positions"][:, 0, :, 0])
        return rows

    def _answer_rows(self, signature, inputs, answer):
        """Answer every row that fits, as if it were alone; refuse the request if none does.

        A server batches the rows of several callers, and one caller's mistake must not fail the others.
        """
        inputs = input_checks.fitted(inputs, self._shapes[signature])
        faults = input_checks.row_faults(inputs, self._limits)
        fits = faults == ""
        with tf.control_dependencies([input_checks.refuse(~tf.reduce_any(fits), faults)]):
            # An unfit row is computed as padding at rest; its results are then replaced by zeros.
            harmless = {name: _keep(fits, tensor) for name, tensor in inputs.items()}
        if "horizon" in harmless:
            harmless["horizon"] = tf.maximum(harmless["horizon"], 1)
        outputs = {name: _keep(fits, tensor) for name, tensor in answer(harmless).items()}
        return {**outputs, "refused": faults}

    def _roll_rows(self, inputs):
        horizon, mask = inputs["horizon"], inputs["mask"]
        real = tf.sequence_mask(horizon)[:, :, None] & (mask > 0)[:, None, :]  # [B, horizon, N]
        # Means and drawn paths are the two halves of one batch.
        count = tf.shape(horizon)[0]
        twice = {name: tf.concat([tensor, tensor], axis=0) for name, tensor in inputs.items()}

        def follow(frames, parameters, step):
            drawn = self._draw_rows(inputs, frames[count:], parameters[count:], step)
            return tf.concat([self._layer.head.mean(parameters[:count]), drawn], axis=0)

        parameters, positions = self._unroll(twice, tf.range(2 * count) >= count, follow)
        outputs = {**self._moments(parameters[:count]), "positions": positions[count:]}
        return {**{name: _keep(real, tensor) for name, tensor in outputs.items()}, "num_frames": horizon}

    def _start_rows(self, inputs):
        return _to_tensors(self._layer.get_initial_state(inputs["positions"]), self._layer.head)

    def _step_rows(self, inputs):
        state = {name: inputs[name] for name in self.state_shapes}
        known = {name: inputs[name] for name in _STATIC if name in inputs}
        if "velocities" in inputs:
            known |= {"observed_velocities": inputs["velocities"], "is_observed": inputs["velocities_observed"]}
        is_observed, is_drawn = inputs["observed"], tf.zeros_like(inputs["observed"])
        parameters, state = self._advance(
            inputs["positions"], inputs["features"], inputs["mask"], is_observed, is_drawn, state, known
        )
        moments = {name: _keep(inputs["mask"] > 0, tensor) for name, tensor in self._moments(parameters).items()}
        return {**moments, **state}

    def _moments(self, parameters):
        return {"mean": self._layout.mean(parameters), "covariance": self._layout.covariance(parameters)}

    def _draw(self, inputs, frame, parameters, step):
        """Positions `[B, N, D]` drawn from the densities after a frame, with one seed `[2]` for all."""
        numbers = self._random(inputs["seed"], tf.shape(parameters)[:-1], step)
        return self._layer.draw(parameters, *numbers, {**inputs, "positions": frame})

    def _draw_rows(self, inputs, frame, parameters, step):
        """The same with one seed per row, `[B, 2]`: what each row alone would draw with its seed."""
        size, num_dimensions = parameters.shape[1], self._layout.num_dimensions
        numbers = tf.map_fn(
            lambda seed: self._random(seed, tf.shape(parameters)[1:2], step),
            inputs["seed"],
            fn_output_signature=(tf.TensorSpec([size]), tf.TensorSpec([size, num_dimensions])),
        )
        return self._layer.draw(parameters, *numbers, {**inputs, "positions": frame})

    def _random(self, seed, shape, step):
        """The random numbers of `DensityLayout.draw`: uniform ones of a shape, and normal ones, D for each.

        A particle keeps its component in all frames of a path, since a head adds up covariances within a component.
        """
        fold_in = tf.random.experimental.stateless_fold_in
        uniform = tf.random.stateless_uniform(shape, fold_in(seed, _NO_STEP))
        shape = tf.concat([shape, [self._layout.num_dimensions]], axis=0)
        return uniform, tf.random.stateless_normal(shape, fold_in(seed, step))

    def _read_and_predict(self, positions, features, mask, is_observed, is_drawn, state, known):
        """Read a frame `[B, N, D]`, and predict the next one.

        `is_observed` and `is_drawn` are `[B]` as for `Rollout.observe`; `known` is what else `Rollout.step` takes.

        Returns:
            Parameters of the density `[B, N, P]`, and the new state.
        """
        # An exported graph may run on a machine that is not like this one.
        with compiled_by_xla(self._is_compiled), contextlib.nullcontext() if self._is_compiled else on_any_device():
            state = self._layer.observe(positions, is_observed, _to_state(state, self._layer), is_drawn)
            parameters, state = self._layer.step(positions, features, mask, state, **known)
        return parameters, _to_tensors(state, self._layer.head)

    def _unroll(self, inputs, drawn=None, follow=None):
        """Predict `max(horizon)` frames, as `Rollout.run` does, but keep in memory only what is returned.

        Args:
            inputs: `positions` `[B, T, N, D]`, `features`, `mask`, the optional inputs of the model and `horizon`
                `[B]`; a row past its own horizon stands still.
            drawn: Rows in which the positions that follow are drawn, and then count as observed `[B]`; by default none.
            follow: Function of a frame, the parameters after it and the number of the next one, that gives the
                positions of that; by default the mean.

        Returns:
            Parameters `[B, horizon, N, P]` and the positions that followed `[B, horizon, N, D]`.
        """
        observed = tf.transpose(inputs["positions"], [1, 0, 2, 3])
        last, horizon = tf.shape(observed)[0] - 1, tf.reduce_max(inputs["horizon"])
        every_row = tf.ones_like(inputs["horizon"], tf.bool)
        drawn = ~every_row if drawn is None else drawn
        features, mask = inputs["features"], inputs["mask"]
        static = {name: inputs[name] for name in _STATIC if name in inputs}

        def known_of(index):
            if "velocities" not in inputs:
                return static
            seen = inputs["velocities"][:, tf.minimum(index, last)]
            return {**static, "observed_velocities": seen, "is_observed": every_row & (index <= last)}

        def body(index, following, state, parameters, followed):
            number = index - last  # of the predicted frame; frames up to number 0 are observed
            frame = tf.where(number <= 0, observed[tf.minimum(index, last)], following)
            is_observed, is_drawn = drawn | (number <= 0), drawn & (number > 0)
            predicted, state = self._advance(frame, features, mask, is_observed, is_drawn, state, known_of(index))
            following = follow(frame, predicted, number) if follow else self._layer.head.mean(predicted)
            following = choose_rows(number < inputs["horizon"], following * mask[..., None], frame)
            slot = tf.maximum(number, 0)
            return index + 1, following, state, parameters.write(slot, predicted), followed.write(slot, following)

        state = self._start_rows({"positions": observed[0]})
        kept = [
            tf.TensorArray(tf.float32, horizon, element_shape=[None, None, size])
            for size in (self._layout.size, self._layout.num_dimensions)
        ]
        *_, parameters, followed = tf.while_loop(
            lambda index, *_: index < last + horizon, body, (0, observed[0], state, *kept)
        )
        return [tf.transpose(array.stack(), [1, 0, 2, 3]) for array in (parameters, followed)]


def _to_tensors(state, head):
    """The state of a rollout as tensors by name; a head without `state_names` has numbers instead."""
    tensors = dict(zip(_RECURRENT, state["recurrent"], strict=False))  # cells without memory have no states
    tensors |= {"state_positions": state["positions"]}
    tensors |= dict(zip(_head_names(head, len(state["head"])), state["head"], strict=True))
    return {name: tf.cast(tensor, tf.float32) for name, tensor in tensors.items()}


def _to_state(tensors, layer):
    """The inverse of `_to_tensors`."""
    dtype = layer.cell.compute_dtype
    recurrent = [tf.cast(tensors[name], dtype) for name in _RECURRENT if name in tensors]
    names = _head_names(layer.head, len(tensors) - len(recurrent) - 1)
    head = tuple(tensors[name] for name in names)
    return {"recurrent": recurrent, "head": head, "positions": tensors["state_positions"]}


def _head_names(head, count):
    names = getattr(head, "state_names", ())
    return [f"state_head_{name}" for name in (names if len(names) == count else range(count))]


def _state_shapes(layer):
    """Shapes of the state's tensors by name, in the form of `input_checks.specs`."""
    one = layer.get_initial_state(tf.zeros((1, 1, layer.head.layout.num_dimensions)))
    return {name: ("B", "N", *tensor.shape[2:]) for name, tensor in _to_tensors(one, layer.head).items()}


def _keep(condition, tensor):
    """The entries that meet the condition, by their leading axes; zeros elsewhere."""
    missing = [1] * (tensor.shape.rank - condition.shape.rank)
    return tf.where(tf.reshape(condition, tf.concat([tf.shape(condition), missing], 0)), tensor, tf.zeros_like(tensor))
