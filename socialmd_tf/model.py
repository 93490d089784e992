"""The network as one `keras.Model`, built from a configuration or the name of a preset."""

import dataclasses

import keras

from socialmd_tf import config as configuration
from socialmd_tf.config import ModelConfig
from socialmd_tf.layers import (
    AbsoluteHead,
    CombinedInteraction,
    DisplacementHead,
    KinematicHead,
    MultiscalePoolingInteraction,
    NoInteraction,
    PairwiseInteraction,
    PlainLSTMCell,
    Rollout,
    SocialLSTMCell,
    StackedPoolingInteraction,
    VerletHead,
)


def build_model(config):
    """Build a model with new weights.

    Args:
        config: A `ModelConfig`, or the name of a preset, such as "thesis".

    Returns:
        A `keras.Model` that takes the batch's input dictionary (`positions` `[B, T, N, D]`, `features`
        `[B, N, F]`, `mask` `[B, N]`; any B, T and N) and gives distribution parameters `[B, T', N, P]` in the order
        of `rollout_layer(model).head.layout`.

    Raises:
        UserError: There is no such preset.
    """
    if not isinstance(config, ModelConfig):
        config = configuration.preset(config)
    inputs = {
        "positions": keras.Input((None, None, config.num_dimensions), name="positions"),
        "features": keras.Input((None, config.num_features), name="features"),
        "mask": keras.Input((None,), name="mask"),
    }
    rollout = Rollout(build_cell(config), build_head(config), config.rollout_steps, name="rollout")
    return keras.Model(inputs, rollout(inputs), name="socialmd")


def build_cell(config):
    """The recurrent cell, as `config.cell` names it."""
    if config.cell == "plain":
        return PlainLSTMCell(config.input_layers, config.lstm_layers, config.output_layers, config.dropout, name="cell")
    is_kinematic = config.head in ("kinematic", "verlet")
    return SocialLSTMCell(
        config.units,
        config.input_embedding,
        build_interaction(config),
        velocity_scale=config.move_scale if is_kinematic else None,
        expose_interaction=is_kinematic,
        name="cell",
    )


def build_head(config):
    """The layer that predicts the density, as `config.head` names it."""
    shape = config.num_dimensions, config.num_components
    if config.head == "absolute":
        return AbsoluteHead(*shape, config.correlated, config.scale_floor, name="head")
    if config.head == "displacement":
        return DisplacementHead(*shape, config.scale_floor, config.move_scale, name="head")
    if config.head == "kinematic":
        return KinematicHead(*shape, config.scale_floor, config.acceleration_scale, name="head")
    return VerletHead(
        *shape,
        config.scale_floor,
        config.acceleration_scale,
        charges=config.charges,
        softening=config.softening,
        cutoff=config.cutoff,
        substeps=config.substeps,
        step_fraction=config.step_fraction,
        is_corrected=config.correction,
        walls=config.walls,
        name="head",
    )


def build_interaction(config):
    """The layer through which particles see each other, as `config.interaction` names it."""
    if config.interaction == "none":
        return NoInteraction(name="interaction")
    if config.interaction == "pairwise":
        return build_pairwise(config, "interaction")
    if config.interaction == "stacked_pooling":
        return build_stacked_pooling(config, "interaction")
    if config.interaction == "multiscale_pooling":
        return build_multiscale_pooling(config, "interaction")
    parts = build_multiscale_pooling(config, "multiscale_pooling"), build_pairwise(config, "pairwise")
    return CombinedInteraction(parts, name="interaction")


def build_pairwise(config, name):
    """The pairwise interaction of a configuration."""
    return PairwiseInteraction(
        config.cutoff,
        config.softening,
        config.pair_units,
        config.pair_channels,
        config.move_scale,
        name=name,
    )


def build_stacked_pooling(config, name):
    """The stacked pooling of a configuration."""
    return StackedPoolingInteraction(
        bins=config.bins,
        side_lengths=config.side_lengths,
        filters=config.filters,
        kernel_size=config.kernel_size,
        state_embedding=config.state_embedding,
        embedding=config.interaction_embedding,
        name=name,
    )


def build_multiscale_pooling(config, name):
    """The multiscale pooling of a configuration."""
    return MultiscalePoolingInteraction(
        bins=config.bins,
        side_lengths=config.side_lengths,
        state_embedding=config.state_embedding,
        embedding=config.interaction_embedding,
        name=name,
    )


def rollout_layer(model):
    """The `Rollout` inside a model that `build_model` made."""
    return model.get_layer("rollout")


def for_data(config, manifest, data_config, scales):
    """`config` with the dimensions, features, rollout length and scales of a data set.

    Args:
        config: A `ModelConfig`.
        manifest: The data set's `Manifest`.
        data_config: The `DataConfig` that makes the windows.
        scales: Typical move and second difference of positions, in units of length.
    """
    move_scale, acceleration_scale = scales
    return dataclasses.replace(
        config,
        num_dimensions=manifest.num_dimensions,
        num_features=len(manifest.features),
        rollout_steps=data_config.rollout_steps,
        move_scale=move_scale,
        acceleration_scale=acceleration_scale,
    )
