"""The network as one `keras.Model`, built from a configuration or the name of a preset."""

import dataclasses

import keras

from pipelines.side_files import num_edge_types, smallest_half_height
from socialmd_tf import config as configuration
from socialmd_tf.config import ModelConfig
from socialmd_tf.config.box_ranges import within_box
from socialmd_tf.layers import Rollout
from socialmd_tf.parts import CELLS, HEADS


def build_model(config, model_class=keras.Model):
    """Build a model with new weights.

    Args:
        config: A `ModelConfig`, or the name of a preset, such as "thesis".
        model_class: Class of the model.

    Returns:
        A `keras.Model` that takes the input dictionary of a batch (`positions` `[B, T, N, D]` in units of length,
        `features` `[B, N, F]`, `mask` `[B, N]`; any B, T and N) and returns distribution parameters `[B, T', N, P]`
        in the order of `rollout_layer(model).head.layout`. Models for data with boxes, bonds or observed velocities
        also take `box` `[B, D, D]`, `edges` `[B, N, N]` or `velocities` `[B, T, N, D]`, see `Rollout.call`.

    Raises:
        UserError: No preset has this name.
    """
    if not isinstance(config, ModelConfig):
        config = configuration.preset(config)
    inputs = {
        "positions": keras.Input((None, None, config.num_dimensions), name="positions"),
        "features": keras.Input((None, config.num_features), name="features"),
        "mask": keras.Input((None,), name="mask"),
    }
    size = config.num_dimensions
    if config.periodic:
        inputs["box"] = keras.Input((size, size), name="box")
    if config.num_edge_types:
        inputs["edges"] = keras.Input((None, None), dtype="int32", name="edges")
    if config.observed_velocities:
        inputs["velocities"] = keras.Input((None, None, size), name="velocities")
    cell, head = CELLS[config.cell].build(config, "cell"), HEADS[config.head].build(config, "head")
    rollout = Rollout(cell, head, config.rollout_steps, config.anchor_start, name="rollout")
    model = model_class(inputs, rollout(inputs), name="socialmd")
    model.config = config  # an export carries it, to rebuild the model
    return model


def rollout_layer(model):
    """The `Rollout` layer of a model of `build_model`."""
    return model.get_layer("rollout")


def for_data(config, manifest, data_config, scales, directory=None):
    """`config` with the dimensions, features, window lengths and scales of a dataset; no longer ranges than its boxes.

    Args:
        config: A `ModelConfig`.
        manifest: The dataset's `Manifest`.
        data_config: The `DataConfig` of the windows.
        scales: Typical move and typical second difference of positions, in units of length.
        directory: The directory of the dataset; not needed if boxes and bonds have no files.
    """
    move_scale, acceleration_scale = scales
    config = dataclasses.replace(
        config,
        periodic=manifest.is_periodic,
        num_edge_types=num_edge_types(manifest, directory),
        observed_velocities=manifest.velocity_start is not None,
        num_dimensions=manifest.num_dimensions,
        num_features=len(manifest.particle_features),
        anchor_start=manifest.anchor_start,
        warm_up_steps=data_config.warm_up_steps,
        rollout_steps=data_config.rollout_steps,
        move_scale=move_scale,
        acceleration_scale=acceleration_scale,
    )
    return within_box(config, smallest_half_height(manifest, directory))
