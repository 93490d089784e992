"""The training loop: stages of epochs on all devices, from new or given weights or from the last checkpoint."""

import contextlib
import dataclasses
import sys
from pathlib import Path

import keras
import tensorflow as tf

from pipelines import dataset, validation
from pipelines.conversions import conversion_notes
from pipelines.counts import count, counted, unit_suffix
from pipelines.description_page import entry
from pipelines.manifest import Manifest
from pipelines.resolution import resolution_warnings
from pipelines.side_files import smallest_half_height
from socialmd_tf import mixture
from socialmd_tf.compilation import compile_errors, is_compiled
from socialmd_tf.config import preset
from socialmd_tf.config.box_ranges import box_notes, check_law, with_law
from socialmd_tf.config.terms import Terms
from socialmd_tf.evaluation import metrics
from socialmd_tf.model import build_model, for_data, rollout_layer
from socialmd_tf.training import callbacks
from socialmd_tf.training.compiled_model import CompiledModel
from socialmd_tf.training.drift import fit_drift
from socialmd_tf.training.initial import initial_weights
from socialmd_tf.training.initial_spread import num_few_windows, num_spread_windows, set_noise, set_spread
from socialmd_tf.training.law import check_fit, law_of_run
from socialmd_tf.training.motion_scales import motion_scales
from socialmd_tf.training.noise_shares import fit_noise_shares
from socialmd_tf.training.optimizer import NonFiniteSkippingNadam
from socialmd_tf.training.phases import phases
from socialmd_tf.training.progress import PhaseNames, TimeEstimate, header, num_batches, progress
from socialmd_tf.training.run import Run
from socialmd_tf.training.sample_weights import with_sample_weights
from socialmd_tf.training.team import losses
from socialmd_tf.training.time_limit import EndEpochsInTime, TimeLimit, ValidationClock

_SPLITS = ("train", "validation")


def fit(config, directory, team=None):
    """Train a model, or resume its training, and return it with its best weights.

    Args:
        config: The `TrainConfig`.
        directory: The dataset.
        team: The `Team` that trains it together; None to train on the devices of this process.

    Returns:
        The `keras.Model` and the `Run`.

    Raises:
        UserError: The dataset is faulty, does not fit the initial weights or has changed since the run began, or the
            run directory holds something else.
        TrainingDiverged: The loss is no longer a number, or no gradient is; the last good weights are kept.
    """
    limit = None if config.minutes is None else TimeLimit(config.minutes)
    directory = Path(directory)
    manifest = Manifest.load(directory)
    with team.chief_first() if team else contextlib.nullcontext():
        run, initial, scales, law = _begin(config, directory, manifest, writes=team is None or team.task.is_chief)
    strategy = team.strategy if team else tf.distribute.MirroredStrategy(visible_devices())
    with losses() if team else contextlib.nullcontext():
        model = new_model(config, manifest, scales, strategy, initial, directory, law)
    print(entry("parameters", count(model.count_params())), flush=True)
    if run.epochs:
        run.load_weights(model, len(run.epochs) - 1)
        print(f"continuing {run.directory} after epoch {len(run.epochs)}", flush=True)
    elif config.is_fitted:
        if initial is None:
            print("first spread, from the errors of rollouts on the training split; then validation", flush=True)
            _set_first_spread(model, config, directory, manifest.length_unit)
        run.save_epoch(model, _validate(model, config, directory, team))
    elif initial is None and getattr(rollout_layer(model).head, "is_linear", False):
        print("fitting the drift by least squares", flush=True)
        fit_drift(model, _all_windows(config, directory))
    if team:
        team.wait()  # the first checkpoint is there, and all have read the last one
    if not run.is_finished:
        _train(model, run, directory, [] if limit is None else _limited(run, model, directory, limit), team)
    run.load_weights(model)
    if config.model.shared_noise:
        print("fitting the noise that neighbours share", flush=True)
        along, across = fit_noise_shares(model, _some_windows(config, directory), config.seed)
        print(
            f"strongest correlations: {along:.2f} along the line between two particles, {across:.2f} across it",
            flush=True,
        )
    return model, run


def _begin(config, directory, manifest, writes):
    """Check the data, and begin or resume the run.

    Returns:
        The `Run`, the `InitialWeights` or None, the scales of the motion, and the fitted law or None.
    """
    run = Run(config, writes)
    initial = None if run.epochs else initial_weights(config, manifest)
    # The test split too: a fault there would show only after the training.
    validation.check(directory, min_frames=config.windows.min_frames, splits=("train", "validation", "test"))
    settings = dataclasses.replace(config.model, num_dimensions=manifest.num_dimensions)
    for note in box_notes(settings, preset(config.preset), smallest_half_height(manifest, directory)):
        print(note, flush=True)
    needs_law = config.is_fitted and config.model.terms == Terms()
    if needs_law and config.initial_weights is None:
        check_fit(config, manifest, directory)
    scales = run.begin(directory, manifest, lambda: initial.scales if initial else motion_scales(directory, config))
    for line in conversion_notes(directory):
        print(line, flush=True)
    for line in resolution_warnings(directory, ["train"], config.windows):
        print(f"warning: {line}", file=sys.stderr, flush=True)
    if not run.is_finished:
        print(f"{directory}: no faults in {counted(len(manifest.files), 'file')}")
        print("\n".join(header(config, directory)), flush=True)
    law = law_of_run(run, directory) if needs_law else None
    return run, initial, scales, law


def _set_first_spread(model, config, directory, unit):
    batches = _some_windows(config, directory)
    if config.is_sampled:
        set_noise(model, batches)
    elif noise := set_spread(model, batches):
        print(entry("noise", f"{noise:.2g}{unit_suffix(unit)} of observed positions"), flush=True)


def _some_windows(config, directory):
    """Batches of the training split, of `num_spread_windows` together or a few more."""
    num_particles = dataset.most_particles(directory, "train", config.windows)
    count = num_spread_windows(num_particles)
    size = min(config.batch_size, num_few_windows(num_particles))
    batches = dataset.batches(directory, "train", config.windows, batch_size=size, seed=config.seed, shuffle=True)
    return batches.take(-(-count // size))


def _all_windows(config, directory):
    """Batches of the training split, once and in order."""
    windows = dataclasses.replace(config.windows, rotations=0)
    return dataset.batches(
        directory, "train", windows, batch_size=config.batch_size, seed=config.seed, shuffle=False, num_epochs=1
    )


def _validate(model, config, directory, team=None, watching=()):
    """Logs of an epoch that trained nothing: losses and metrics on the validation split."""
    num_steps = 0 if config.is_sampled else None
    rollout_layer(model).validation_steps = num_steps
    batches = _validation_batches(model, config, directory, team)
    if team:
        values = team.evaluate(model, batches)
    else:
        values = model.evaluate(batches, return_dict=True, verbose=0, callbacks=list(watching))
    rollout_layer(model).validation_steps = None
    return {"calibration": False, **{f"val_{name}": value for name, value in values.items()}}


def _validation_batches(model, config, directory, team):
    batches = dataset.batches(
        directory,
        "validation",
        config.windows,
        batch_size=config.batch_size,
        seed=config.seed,
        shuffle=False,
        share=team and team.share,
    )
    num_replicas = model.distribute_strategy.num_replicas_in_sync
    return with_sample_weights(batches, num_replicas, 0 if config.is_sampled else None)


def visible_devices():
    """Names of all visible GPUs, or of all logical CPUs if there is none."""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in devices]


def compile_for_training(model, learning_rate, clip_norm=0.0):
    """Set loss (negative log likelihood of the rollout), metric (mean absolute error) and optimizer (Nadam).

    Args:
        model: A model of `build_model`.
        learning_rate: Learning rate; the other constants of Nadam are those of the thesis (section 4.5).
        clip_norm: Largest norm of the gradient of all weights, on each device; longer ones are scaled down. 0 for no
            limit.
    """
    layout = rollout_layer(model).head.layout
    model.compile(
        optimizer=NonFiniteSkippingNadam(
            learning_rate,
            compiled=isinstance(model, CompiledModel),
            beta_1=0.9,
            beta_2=0.999,
            epsilon=1e-7,
            global_clipnorm=clip_norm or None,
        ),
        loss=mixture.NegativeLogLikelihood(layout),
        weighted_metrics=[metrics.MeanAbsoluteError(layout)],
        jit_compile=False,  # Keras would compile the sum over replicas too, which XLA cannot; see `CompiledModel`
    )


def new_model(config, manifest, scales, strategy, initial=None, directory=None, law=None):
    """Build and compile a model on the devices of a strategy.

    Args:
        config: The `TrainConfig`; its seed is that of the weights.
        manifest: `Manifest` of the dataset.
        scales: Typical move and second difference of positions, as `motion_scales` returns them.
        strategy: The `tf.distribute.Strategy`.
        initial: The `InitialWeights` that the model begins with; None for new weights.
        directory: The directory of the dataset; by default that of the configuration.
        law: The `ModelLaw` that it begins with, or None.
    """
    directory = config.data if directory is None else directory
    keras.utils.set_random_seed(config.seed)
    settings = for_data(config.model, manifest, config.windows, scales, directory)
    if law is not None:
        settings = with_law(settings, law.terms, is_chosen=config.model.cutoff != preset(config.preset).cutoff)
    check_law(settings, smallest_half_height(manifest, directory))
    with strategy.scope():
        model = build_model(settings, CompiledModel if is_compiled(config.compile) else keras.Model)
        model.samples_per_device = -(-config.batch_size // strategy.num_replicas_in_sync)  # read by `CompiledModel`
        if law is not None:
            law.set_weights(rollout_layer(model).head.force)
        if initial is not None:
            initial.load(model)
        compile_for_training(model, config.learning_rate, config.clip_norm)
        model.optimizer.build(model.trainable_variables)
    return model


def _limited(run, model, directory, limit):
    """Plan the epochs for which there is time. Returns the callbacks that keep the plan."""
    clock, wanted = ValidationClock(), run.config
    _validate(model, wanted, directory, watching=[clock])
    run.config = limit.planned(wanted, run.epochs, clock.seconds)
    if run.config.epochs < wanted.epochs:
        is_lost = wanted.calibration_epochs and not run.config.calibration_epochs
        spread = ": the spread stays as it is, without calibration" if is_lost else ""
        enough = f"{run.config.epochs} of {counted(wanted.epochs, 'epoch')}"
        print(f"{wanted.minutes:g} minutes are enough for {enough}{spread}", flush=True)
    return [EndEpochsInTime(limit, range(len(run.epochs), run.config.epochs), clock.seconds)]


def _train(model, run, directory, limits, team):
    config = run.config
    if model.config.terms.fields and config.windows.rotations:
        print("the law has a field, which does not rotate with the particles: windows are not rotated", flush=True)
        config = dataclasses.replace(config, windows=dataclasses.replace(config.windows, rotations=0))
    first = len(run.epochs)
    sizes = [num_batches(config, dataset.num_windows(directory, split, config.windows)) for split in _SPLITS]
    shown = [PhaseNames(config, first), progress(config.epochs)]
    shown += [] if limits else [TimeEstimate(config, sizes[1] / sizes[0])]
    writing = [keras.callbacks.TensorBoard(run.directory / "tensorboard"), *shown] if run.writes else []
    run_epochs(model, config, directory, first, [*limits, callbacks.Checkpoint(run), *writing], team)


def run_epochs(model, config, directory, first_epoch, further_callbacks, team=None):
    """Train for the epochs `first_epoch`, ..., `config.epochs - 1` (from 0) on all visible devices.

    Args:
        model: The result of `new_model`.
        config: The `TrainConfig`.
        directory: The dataset.
        first_epoch: Number of the first epoch.
        further_callbacks: Keras callbacks.
        team: The `Team` that trains together, or None.

    Returns:
        Keras's `History`.
    """
    history, rollout = None, rollout_layer(model)
    rollout.unroll = config.unroll
    rollout.validation_steps = 0 if config.is_sampled else None
    for phase in phases(config, first_epoch):
        with prepared(model, phase), compile_errors("the training step"):
            part = _run_phase(model, config, directory, phase, further_callbacks, team)
        history = part if history is None else _joined(history, part)
        if model.stop_training:
            break
    rollout.validation_steps = None
    return history


@contextlib.contextmanager
def prepared(model, phase):
    """Let the training step of a model be that of a `Phase`."""
    rollout = rollout_layer(model)
    rollout.training_steps = phase.num_steps
    frozen = _motion_layers(rollout) if phase.calibrates else []
    for layer in frozen:
        layer.trainable = False
    model.make_train_function(force=True)
    yield
    for layer in frozen:
        layer.trainable = True


def _motion_layers(rollout):
    """The layers that the means depend on; calibration does not train them."""
    return [*([rollout.cell] if rollout.head.is_moved_by_cell else []), *rollout.head.motion_layers]


def training_batches(model, config, directory, phase, team=None):
    """The batches of the training split, with weights, for all epochs of a `Phase`."""
    batches = dataset.batches(
        directory,
        "train",
        config.windows,
        batch_size=config.batch_size,
        seed=config.seed,
        shuffle=True,
        first_epoch=phase.epochs.start,
        num_epochs=phase.epochs.stop,
        share=team and team.share,
    )
    return with_sample_weights(batches, model.distribute_strategy.num_replicas_in_sync, phase.num_steps)


def _run_phase(model, config, directory, phase, further_callbacks, team):
    epochs = phase.epochs
    weighted = training_batches(model, config, directory, phase, team)
    validation = _validation_batches(model, config, directory, team)
    steps = num_batches(config, dataset.num_windows(directory, "train", config.windows))
    called = [
        callbacks.LearningRate(config),
        callbacks.SkippedGradients(),
        callbacks.SeedDropout(config.seed),
        *further_callbacks,
    ]
    if team:
        return team.run_epochs(model, weighted, validation, epochs, steps, called)
    return model.fit(
        weighted,
        validation_data=validation,
        initial_epoch=epochs.start,
        epochs=epochs.stop,
        steps_per_epoch=steps,
        shuffle=False,  # the batches are shuffled already
        callbacks=called,
        verbose=0,
    )


def _joined(history, following):
    """Keras's histories of two calls of `fit` as one."""
    for name, values in following.history.items():
        history.history[name] += values
    history.epoch += following.epoch
    return history
