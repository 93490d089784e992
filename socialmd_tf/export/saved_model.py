"""Exported models: load one and predict with it. Writing them is in write.py."""

import functools

import numpy as np
import tensorflow as tf

from pipelines.errors import UserError, require
from socialmd_tf.compilation import SETTINGS, compile_errors, is_compiled
from socialmd_tf.config import ModelConfig, from_dict
from socialmd_tf.export.drawn_paths import NUM_PATHS, draw_paths, moments
from socialmd_tf.export.forecast import Forecast, Samples
from socialmd_tf.export.frames import read
from socialmd_tf.export.model_card import CARD, PREDICTION_FIELDS, read_card
from socialmd_tf.export.model_inputs import last_box, model_inputs
from socialmd_tf.export.signatures import Signatures
from socialmd_tf.export.versions import find_version
from socialmd_tf.export.write import WEIGHTS
from socialmd_tf.layers import DensityLayout
from socialmd_tf.model import build_model
from socialmd_tf.parts.heads import is_sampled
from socialmd_tf.weights import load_weights


def load(path, compile="auto"):
    """Load an exported model.

    Args:
        path: `saved_models/NAME`, which stands for its newest version, or `saved_models/NAME/VERSION`.
        compile: Whether XLA compiles the model: "on", "off", or "auto", where there is a GPU. Predictions are many
            times faster on a GPU then, and the first for each number of systems and of particles takes some seconds.

    Returns:
        An `ExportedModel`.

    Raises:
        UserError: There is no whole SavedModel of this package, or `compile` is "on" and its network is not known.
    """
    return ExportedModel(path, compile)


@functools.lru_cache(maxsize=16)
def _loaded(path, compile):
    """As `load`; a process loads a model once."""
    return ExportedModel(path, compile)


def load_keras_model(path):
    """Rebuild an exported model as a `keras.Model`, to train it further or to look inside.

    Args:
        path: As for `load`.

    Returns:
        A model of `build_model` with the exported weights; it gives the same densities as the SavedModel.

    Raises:
        UserError: There is no SavedModel of this package, or its weights or configuration cannot be read.
    """
    path = find_version(path)
    card = read_card(path)
    if "model" not in card:
        raise UserError(f"{path / CARD}: expected the field `model`, the settings of the network")
    try:
        model = build_model(from_dict(ModelConfig, card["model"]))
    except UserError as error:
        raise UserError(f"{path / CARD}: {error}") from None
    load_weights(model, path / WEIGHTS)
    return model


class ExportedModel:
    """A SavedModel that predicts trajectories.

    Args:
        path: `saved_models/NAME`, which stands for its newest version, or `saved_models/NAME/VERSION`.
        compile: As for `load`.

    Attributes:
        path: Directory of the version.
        name: NAME.
        card: The model card, a dictionary.
        layout: The `DensityLayout` of the predicted parameters.
        is_random: Whether it is a model of random motion, which is rolled out by draws.

    Raises:
        UserError: As for `load`.
    """

    def __init__(self, path, compile="auto"):
        require(compile in SETTINGS, "compile", f"one of {', '.join(SETTINGS)}", compile)
        self.path = path = find_version(path)
        self.name = path.absolute().parent.name  # "." has no name
        self.card = read_card(path)
        self.is_random = is_sampled(self.head_name or "")
        missing = [name for name in PREDICTION_FIELDS if name not in self.card]
        if missing:
            raise UserError(f"{path / CARD}: expected the field `{missing[0]}`; the card is not whole")
        try:
            self.layout = DensityLayout(**self.card["density_layout"])
        except TypeError:
            raise UserError(f"{path / CARD}: `density_layout` is not that of this version of socialmd_tf") from None
        try:
            self._loaded = tf.saved_model.load(str(path))
        except Exception as error:  # damaged files raise OSError, IndexError, DataLossError, DecodeError and others
            reason = _pointer(path) or f"{type(error).__name__}: {error}"
            raise UserError(f"`model` must be a whole SavedModel. {path} cannot be read: {reason}") from None
        self._compile_setting = compile
        self._compiled = self._compile() if is_compiled(compile) else None

    def __reduce__(self):
        """As its path, for other processes."""
        return _loaded, (self.path.resolve(), self._compile_setting)

    def __repr__(self):
        """Class and path."""
        return f"ExportedModel({str(self.path)!r})"

    def rollout(self, frames, num_steps=30):
        """Predict the frames that follow; the mean of every predicted frame is fed back.

        Means of random motion do not move as it does. A model with `is_random` therefore predicts mean and covariance
        of 16 drawn paths.

        Args:
            frames: `Frames`, or anything that `socialmd_tf.read` takes. Frames of a dataset are read at the model's
                frame interval, and the first T of them are observed, T as in training; other frames are all observed.
            num_steps: Number of frames T' to predict.

        Returns:
            A `Forecast`: mean `[T', N, D]` and covariance `[T', N, D, D]`, with B in front if the frames have it.

        Raises:
            UserError: The frames do not fit the model, or `num_steps` is out of its range.
        """
        frames = read(frames)
        positions, features, mask, *known = model_inputs(frames, self.card)
        if self.is_random:
            drawn = draw_paths(self, positions, features, self._horizon(num_steps), NUM_PATHS, 0, mask, *known)
            mean, covariance = moments(drawn)
        else:
            mean, covariance = self.moments(positions, features, self._horizon(num_steps), mask, *known)
        if frames.positions.ndim == 3:
            mean, covariance = mean[0], covariance[0]
        return Forecast(**self._facts(frames, positions, num_steps), mean=mean, covariance=covariance)

    def sample(self, frames, num_steps=30, num_samples=16, seed=0):
        """Draw trajectories that may follow; the drawn positions of every frame are fed back.

        Args:
            frames: As for `rollout`.
            num_steps: Number of frames T' to predict.
            num_samples: Number of trajectories S to draw.
            seed: An integer; the same seed gives the same trajectories.

        Returns:
            `Samples`: positions `[S, T', N, D]`, or `[B, S, T', N, D]` if the frames have B.

        Raises:
            UserError: As for `rollout`, or `num_samples` or `seed` is out of range.
        """
        require(_is_integer(num_samples) and num_samples >= 1, "num_samples", "an integer of at least 1", num_samples)
        require(_is_integer(seed) and 0 <= seed < 2**31, "seed", "an integer from 0 to 2^31 - 1", seed)
        frames = read(frames)
        positions, features, mask, *known = model_inputs(frames, self.card)
        horizon = self._horizon(num_steps)
        drawn = draw_paths(self, positions, features, horizon, num_samples, seed, mask, *known)
        drawn = drawn if frames.positions.ndim == 4 else drawn[0]
        return Samples(**self._facts(frames, positions, num_steps), positions=drawn)

    def moments(self, positions, features, horizon, mask=None, known=None):
        """Mean `[B, horizon, N, D]` and covariance `[B, horizon, N, D, D]` after frames `[B, T, N, D]`.

        Args:
            positions: `[B, T, N, D]`, in units of length, at the model's frame interval.
            features: `[B, N, F]`.
            horizon: Number of frames to predict.
            mask: `[B, N]`, 1 for real particles and 0 for padding, whose moments are zero; None if all are real.
            known: Dictionary of the optional inputs that the model takes: `box` `[B, D, D]`, `edges` `[B, N, N]` and
                `velocities` `[B, T, N, D]`, per frame interval.
        """
        known = self._known(known)
        if mask is None:
            predicted = self._call("rollout", positions, features, horizon, **known)
            return predicted["mean"].numpy(), predicted["covariance"].numpy()
        parameters = self._call("density", positions, features, horizon, mask=_floats(mask), **known)["parameters"]
        real = np.asarray(mask)[:, None, :, None]
        mean, covariance = self.layout.mean(parameters), self.layout.covariance(parameters)
        return np.asarray(mean) * real, np.asarray(covariance) * real[..., None]

    def paths(self, positions, features, horizon, seed, mask=None, known=None):
        """One drawn trajectory `[B, horizon, N, D]` after frames `[B, T, N, D]`.

        Args:
            positions: `[B, T, N, D]`, in units of length, at the model's frame interval.
            features: `[B, N, F]`.
            horizon: Number of frames to predict.
            seed: Two integers.
            mask: `[B, N]`, 1 for real particles and 0 for padding, which stays at zero; None if all are real.
            known: As for `moments`.
        """
        known = self._known(known)
        if mask is None:
            drawn = self._call("sample", positions, features, horizon, seed=_integers(seed), **known)
            return drawn["positions"].numpy()
        rows = np.arange(len(positions))
        seeds = np.stack([np.full_like(rows, seed[0]), seed[1] + rows], axis=1)
        horizons = np.full_like(rows, horizon)
        drawn = self._call(
            "rollout_rows", positions, features, horizons, mask=_floats(mask), seed=_integers(seeds), **known
        )
        return drawn["positions"].numpy()

    def draw(self, inputs, seed):
        """One drawn trajectory `[B, T', N, D]` after a batch's input dictionary; `seed` is two integers."""
        return self.paths(inputs["positions"], inputs["features"], self._trained_steps, seed, inputs["mask"], inputs)

    def density(self, inputs, horizon=None):
        """Parameters `[B, horizon, N, P]` of the densities after a batch's inputs; T' of the training by default."""
        called = self._call(
            "density",
            inputs["positions"],
            inputs["features"],
            horizon or self._trained_steps,
            mask=_floats(inputs["mask"]),
            **self._known(inputs),
        )
        return called["parameters"].numpy()

    @property
    def head_name(self):
        """Name of the head, or None if the card does not state the network."""
        return self.card.get("model", {}).get("head")

    def network(self):
        """The network as a `keras.Model` with these weights, see `load_keras_model`."""
        return load_keras_model(self.path)

    @property
    def _trained_steps(self):
        return self.card["windows"]["rollout_steps"]

    def _horizon(self, num_steps):
        largest = self.card["max_horizon"]
        allowed = _is_integer(num_steps) and 1 <= num_steps <= largest
        require(allowed, "num_steps", f"an integer from 1 to {largest}, the model's `max_horizon`", num_steps)
        return num_steps

    def _known(self, given):
        """Of a dictionary, or None, the optional inputs that the model takes, as tensors."""
        taken = self._loaded.signatures["rollout"].structured_input_signature[1]
        return {name: convert((given or {})[name]) for name, convert in _KNOWN.items() if name in taken}

    def _compile(self):
        """Functions of the rebuilt network with the names of the SavedModel's, whose steps XLA compiles."""
        return Signatures(load_keras_model(self.path), self.card["max_horizon"], is_compiled=True).functions()

    def _facts(self, frames, observed, num_steps):
        return {
            "times": (observed.shape[1] + np.arange(num_steps)) * self.card["time_between_frames"],
            "length_unit": self.card["length_unit"],
            "time_unit": self.card.get("time_unit"),
            "model": f"{self.name}/{self.path.name}",
            "box": last_box(frames, self.card),
            "types": frames.types,
        }

    def _call(self, signature, positions, features, horizon, **others):
        inputs = {"positions": _floats(positions), "features": _floats(features), "horizon": _integers(horizon)}
        inputs |= others
        if self._compiled is None:
            return self._loaded.signatures[signature](**inputs)
        known = {name: inputs.pop(name) for name in _KNOWN if name in inputs}
        with compile_errors(f"the steps of {self.path}"):
            return self._compiled[signature](**({"known": known} if known else {}), **inputs)


def _pointer(path):
    """The reason if a file is a Git LFS pointer, else None."""
    for file in path.rglob("*"):
        if file.is_file() and file.stat().st_size < 1024 and file.read_bytes().startswith(b"version https://git-lfs"):
            return f"{file.relative_to(path)} is a Git LFS pointer; `git lfs pull` fetches the file"
    return None


def _floats(values):
    return tf.constant(np.asarray(values, np.float32))


def _integers(values):
    return tf.constant(values, tf.int32)


def _is_integer(value):
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


_KNOWN = {"box": _floats, "edges": _integers, "velocities": _floats}
