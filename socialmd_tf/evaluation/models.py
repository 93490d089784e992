"""Exported and in-memory models behind one interface, and their names in the results."""

import dataclasses
from functools import partial

import keras

from pipelines.config import DataConfig
from pipelines.errors import UserError, require
from socialmd_tf.config import from_dict, to_dict
from socialmd_tf.evaluation import predictors
from socialmd_tf.evaluation.compatibility import check_data
from socialmd_tf.model import rollout_layer
from socialmd_tf.parts.heads import is_sampled


class InMemoryModel:
    """A `keras.Model` with the attributes of an exported model that an evaluation uses.

    Args:
        model: A model of `build_model`. Its dataset is taken to be the one it is evaluated on.
        manifest: The `Manifest` of the dataset.
        windows: The `DataConfig` it was trained with; `rollout_steps` are those of the model.

    Raises:
        UserError: The number of dimensions or features differs from that of the dataset.
    """

    path = None
    draw = None
    """Only exported models can draw paths."""

    def __init__(self, model, manifest, windows):
        rollout = rollout_layer(model)
        self._model = model
        self.name = model.name
        self.layout = rollout.head.layout
        windows = dataclasses.replace(windows, rollout_steps=rollout.rollout_steps)
        config = getattr(model, "config", None)  # that of `build_model`
        self.card = {"windows": to_dict(windows), "model": to_dict(config) if config else {}}
        self.card["num_parameters"] = model.count_params()
        self.head_name = config.head if config else ""
        num_features = model.input["features"].shape[-1]
        require(
            self.layout.num_dimensions == manifest.num_dimensions,
            "models",
            f"models for {manifest.num_dimensions} dimensions, as the data",
            self.layout.num_dimensions,
        )
        require(
            num_features == len(manifest.particle_features),
            "models",
            f"models for {len(manifest.particle_features)} features, as the data",
            num_features,
        )

    def density(self, inputs):
        """Density parameters `[B, T', N, P]` for a batch's input dictionary."""
        return self._model.predict_on_batch({name: inputs[name] for name in self._model.input})

    def network(self):
        """The model itself."""
        return self._model


def prepare(model, manifest, windows=None):
    """A model that is known to fit the data, with the interface of an exported one.

    Args:
        model: An exported model or a `keras.Model`.
        manifest: The `Manifest` of the dataset.
        windows: The `DataConfig` of models in memory; exported ones know theirs.

    Raises:
        UserError: This is no model of this package, or the data do not fit it.
    """
    if isinstance(model, keras.Model):
        require(windows is None or isinstance(windows, DataConfig), "windows", "a `DataConfig`", windows)
        is_ours = any(layer.name == "rollout" for layer in model.layers)
        require(is_ours, "models", "paths of SavedModels, loaded ones, or models of `build_model`", model)
        return InMemoryModel(model, manifest, DataConfig() if windows is None else windows)
    is_loaded = hasattr(model, "card")
    require(is_loaded, "models", "paths of SavedModels, loaded ones, or models of `build_model`", model)
    check_data(model.card, manifest)
    return model


def windows_of(model):
    """The windows that a model was trained on, without rotations; a `DataConfig`."""
    return dataclasses.replace(from_dict(DataConfig, model.card["windows"]), rotations=0)


def about(model):
    """What is known of a model that `prepare` returned, see `Findings.about_models`."""
    known = {name: model.card[name] for name in ("preset", "num_parameters", "data") if model.card.get(name)}
    losses = model.card.get("training", {}).get("losses", {})
    return known | ({"losses": losses} if any(losses.values()) else {})


def predictor_of(model):
    """The `Predictor` of a model that `prepare` returned."""
    first_frame = partial(model.density, horizon=1) if model.path else None
    return predictors.Predictor(
        model.density, model.layout, windows_of(model), model.draw, is_random(model), first_frame
    )


def is_random(model):
    """Whether a model that `prepare` returned is one of random motion, which is rolled out by draws."""
    return is_sampled(model.head_name or "")


def names_of(models):
    """A name for every model: that of its directory, NAME/VERSION where this is taken, or else its path.

    Models in memory are called by their Keras name, with a number where it is taken.

    Raises:
        UserError: Two models have the same path.
    """
    paths = [model.path.resolve() for model in models if model.path]
    for path in paths:
        if paths.count(path) > 1:
            raise UserError(f"`model` must name different models. Received twice: {path}")
    choices = (
        [model.name for model in models],
        [f"{model.name}/{model.path.name if model.path else number}" for number, model in enumerate(models, 1)],
        [str(model.path.resolve()) if model.path else f"memory/{number}" for number, model in enumerate(models, 1)],
    )
    taken = list(predictors.PREDICTORS)
    return [
        next(names[place] for names in choices if (names + taken).count(names[place]) == 1)
        for place in range(len(models))
    ]
