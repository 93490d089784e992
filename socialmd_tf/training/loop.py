"""Fit a model to a data set: strategy, loss, optimizer, and going on after a kill."""

import dataclasses
import itertools
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pipelines import dataset, validation
from pipelines.manifest import Manifest
from socialmd_tf import mixture
from socialmd_tf.evaluation import metrics
from socialmd_tf.model import build_model, for_data, rollout_layer
from socialmd_tf.training import optimizer
from socialmd_tf.training import run as runs
from socialmd_tf.training.callbacks import PlainProgress


def visible_devices():
    """All visible GPUs, or all logical CPUs where there is none."""
    return [device.name for kind in ("GPU", "CPU") for device in tf.config.list_logical_devices(kind)][
        : len(tf.config.list_logical_devices("GPU")) or None
    ]


def compile_for_training(model, learning_rate, clip_norm=0.0):
    """Set loss (negative log likelihood of the rollout), metric (mean absolute error) and optimizer (Nadam).

    The optimizer is `optimizer.SteadyNadam`, with the thesis's constants (section 4.5). Gradients longer than
    `clip_norm`, over all weights, are shortened to it, on each device by itself; 0 is no limit.
    """
    layout = rollout_layer(model).head.layout
    model.compile(
        optimizer=optimizer.SteadyNadam(
            learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7, global_clipnorm=clip_norm or None
        ),
        loss=mixture.NegativeLogLikelihood(layout),
        weighted_metrics=[metrics.MeanAbsoluteError(layout)],
        jit_compile=False,  # measured: no gain on a CPU, and more than one replica cannot
    )


def motion_scales(directory, config):
    """Typical move and second difference of positions in the training windows, in units of length.

    Means of the absolute values over (at most 1024) windows, particles and coordinates.
    """
    windows = dataclasses.replace(config.windows, rotations=0)
    batches = dataset.batches(directory, "train", windows, batch_size=1024, seed=config.seed, shuffle=True)
    inputs, targets = next(iter(batches))
    frames = np.concatenate([inputs["positions"], targets], axis=1)
    real = np.asarray(inputs["mask"]) > 0
    scales = []
    for order in (1, 2):
        difference = np.abs(np.diff(frames, n=order, axis=1)).swapaxes(1, 2)[real]
        scales.append(max(float(np.mean(difference)), config.model.scale_floor))
    return tuple(scales)


def with_sample_weights(batches, num_replicas=1, num_steps=None):
    """Add to batches (inputs, targets `[B, T', N, D]`) the weights `[B, T', N]` that leave out padded particles.

    They also leave out what comes after the first `num_steps` frames, if that is given; if it is 0 they leave out none,
    and the frames before the last target become inputs (teacher forcing). They average 1 over each whole batch, so that
    the loss is the mean over real particles, however a strategy shares the batch out. Samples of nothing but padding
    fill B up to a multiple of `num_replicas`: Keras cannot start with uneven shares, and would give the samples of a
    smaller share more weight.
    """

    def fill_up(*batch):
        missing = -tf.shape(batch[1])[0] % num_replicas
        return tf.nest.map_structure(lambda x: tf.pad(x, [[0, missing]] + [[0, 0]] * (x.shape.rank - 1)), batch)

    def weigh(inputs, targets):
        inputs, targets = fill_up(inputs, targets)
        counts = tf.repeat(inputs["mask"][:, None], tf.shape(targets)[1], axis=1)
        if num_steps == 0:
            inputs = {**inputs, "positions": tf.concat([inputs["positions"], targets[:, :-1]], axis=1)}
        elif num_steps is not None:
            counts *= tf.sequence_mask(num_steps, tf.shape(targets)[1], counts.dtype)[:, None]
        return inputs, targets, counts / tf.reduce_mean(counts)

    return batches.map(weigh, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def new_model(config, manifest, scales, strategy, initial=None):
    """A model with new weights, compiled, on the devices of a strategy.

    Args:
        config: The `TrainConfig`; its seed is that of the weights.
        manifest: The data set's `Manifest`.
        scales: What `motion_scales` gives.
        strategy: The `tf.distribute.Strategy`.
        initial: Directory of a run whose best weights the model begins with.
    """
    keras.utils.set_random_seed(config.seed)
    with strategy.scope():
        model = build_model(for_data(config.model, manifest, config.windows, scales))
        if initial is not None:
            runs.load_best_weights(model, initial)
        compile_for_training(model, config.learning_rate, config.clip_norm)
        model.optimizer.build(model.trainable_variables)
    return model


def run_epochs(model, config, directory, first_epoch, callbacks, verbose=0):
    """Train for the epochs `first_epoch`, ..., `config.epochs - 1` (from 0), on all visible devices.

    Args:
        model: What `new_model` gives.
        config: The `TrainConfig`.
        directory: The data set.
        first_epoch: The epoch to begin with.
        callbacks: Keras callbacks.
        verbose: As of `keras.Model.fit`.

    Returns:
        Keras's `History`.
    """
    history, rollout = None, rollout_layer(model)
    rollout.unroll = config.unroll
    for epochs, num_steps, calibrates in _stages(config, first_epoch):
        rollout.training_steps = num_steps
        frozen = _motion_layers(rollout) if calibrates else []
        for layer in frozen:
            layer.trainable = False
        model.make_train_function(force=True)
        stage = _run_stage(model, config, directory, epochs, num_steps, callbacks, verbose)
        for layer in frozen:
            layer.trainable = True
        history = stage if history is None else _joined(history, stage)
        if model.stop_training:
            break
    return history


def _motion_layers(rollout):
    """The layers on which means depend, all that calibration leaves as they are."""
    return [*([rollout.cell] if rollout.head.is_moved_by_cell else []), *rollout.head.motion_layers]


def _stages(config, first_epoch):
    """Ranges of epochs that are trained in the same way: the number of predicted frames, and whether they calibrate."""

    def way(epoch):
        if epoch >= config.epochs - config.calibration_epochs:
            return config.windows.rollout_steps, True
        return dict(enumerate(config.curriculum)).get(epoch, config.windows.rollout_steps), False

    for (num_steps, calibrates), group in itertools.groupby(range(first_epoch, config.epochs), key=way):
        epochs = list(group)
        yield range(epochs[0], epochs[-1] + 1), num_steps, calibrates


def _run_stage(model, config, directory, epochs, num_steps, callbacks, verbose):
    options = {"batch_size": config.batch_size, "seed": config.seed}
    training = dataset.batches(
        directory,
        "train",
        config.windows,
        shuffle=True,
        first_epoch=epochs.start,
        num_epochs=epochs.stop,
        **options,
    )
    validation = dataset.batches(directory, "validation", config.windows, shuffle=False, **options)
    num_replicas = len(visible_devices())
    return model.fit(
        with_sample_weights(training, num_replicas, num_steps),
        validation_data=with_sample_weights(validation, num_replicas),
        initial_epoch=epochs.start,
        epochs=epochs.stop,
        steps_per_epoch=len(training) // len(epochs),
        shuffle=False,  # the batches are shuffled already
        callbacks=[optimizer.LearningRate(config), optimizer.SeedDropout(config.seed), *callbacks],
        verbose=verbose,
    )


def _joined(history, following):
    """Keras's histories of two calls of `fit` as one."""
    for name, values in following.history.items():
        history.history[name] += values
    history.epoch += following.epoch
    return history


def fit(config, directory):
    """Train, or go on training, and return the model with its best weights.

    Args:
        config: The `TrainConfig`.
        directory: The data set.

    Returns:
        The model, and the `RunState`.

    Raises:
        UserError: The data set is faulty, or the run directory holds something else.
        TrainingDiverged: The loss is no longer a number; the last good weights are kept.
    """
    directory = Path(directory)
    manifest = Manifest.load(directory)
    # The test split too: a fault there would show only after the training.
    validation.check(directory, min_frames=config.windows.min_frames, splits=("train", "validation", "test"))
    initial = runs.open_initial(config)
    run = runs.open_run(config)
    state = runs.load_state(run, config.monitor)
    strategy = tf.distribute.MirroredStrategy(visible_devices())
    scales = runs.scales(run, initial, lambda: motion_scales(directory, config))
    model = new_model(config, manifest, scales, strategy, initial)
    if state.epochs:
        runs.load_weights(model, run, len(state.epochs) - 1)
        print(f"continuing {run} after epoch {len(state.epochs)}", flush=True)
    if not state.is_finished(config):
        _fit(model, config, directory, run, state)
    runs.load_weights(model, run, state.best_epoch)
    return model, state


def _fit(model, config, directory, run, state):
    on_terminal = sys.stdout.isatty()
    callbacks = [
        runs.Checkpoint(run, config, state),
        keras.callbacks.TensorBoard(run / "tensorboard"),
    ]
    run_epochs(
        model,
        config,
        directory,
        len(state.epochs),
        callbacks if on_terminal else [*callbacks, PlainProgress(config.epochs)],
        verbose=1 if on_terminal else 0,
    )
