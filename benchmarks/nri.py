"""Evaluate models on the charged particles of Kipf et al. 2018 ("Neural Relational Inference for Interacting Systems").

    python -m socialmd_tf.simulate_charges --output data/nri
    python benchmarks/nri.py hide data/nri-4k data/nri-4k-hidden
    python benchmarks/nri.py evaluate --data data/nri --runs runs/nri-given runs/nri-hidden --joint-lstm runs/joint-lstm

`hide` replaces the charges of a dataset by charges inferred from its frames. `evaluate` prints the mean squared error
of positions and velocities, in units of the training split's extremes, at steps 1, 10 and 20 after 49 observed frames,
with the standard error over simulations. A trained model predicts twice: from positions alone, and with the velocity of
every observed frame given, as in the published models. The velocities it predicts are those of its integrator. With
several --substeps the mean of their rollouts is evaluated too: pairs that orbit closely are chaotic, and the mean of
several rollouts is closer to the truth than a single one.
"""

import argparse
import dataclasses
import functools
import itertools
import sys
import time
from pathlib import Path

import numpy as np

from pipelines.manifest import Manifest
from pipelines.nbody.charged_box import Extremes, load_trajectories, load_velocities
from pipelines.nbody.hidden_charges import infer_charges
from pipelines.npy_files import save_trajectory

HORIZON = 20
OBSERVED = 49
SHOWN = (1, 10, 20)
SOFTENING = 0.1
"""Softening length of the forces when charges are inferred; a tenth of the initial spread."""
INFERRED = "inferred_charge"
BATCH_SIZE = 500


@dataclasses.dataclass(frozen=True)
class Windows:
    """Observed and future parts of S simulations."""

    positions: np.ndarray
    """`[S, T, N, 2]`."""
    velocities: np.ndarray
    """`[S, T, N, 2]`."""
    charges: np.ndarray
    """`[S, N]`."""
    future_positions: np.ndarray
    """`[S, 20, N, 2]`."""
    future_velocities: np.ndarray
    """`[S, 20, N, 2]`."""
    interval: float
    """Time between two frames."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("hide", help="write a dataset whose charges are inferred from its frames")
    command.add_argument("source", type=Path)
    command.add_argument("target", type=Path)
    command.set_defaults(run=lambda arguments: hide(arguments.source, arguments.target))
    command = commands.add_parser("evaluate", help="print the table")
    command.add_argument("--data", type=Path, required=True, help="dataset from simulate_charges")
    command.add_argument("--split", choices=["validation", "test"], default="test")
    command.add_argument("--limit", type=int, default=None, help="maximum number of simulations")
    command.add_argument("--runs", type=Path, nargs="*", default=[], help="run directories of socialmd_tf.train")
    command.add_argument("--substeps", type=int, nargs="*", default=[100], help="integration steps per frame")
    command.add_argument("--warm-up", type=int, nargs="*", default=[5], help="observed frames that models read")
    command.add_argument(
        "--inferred", action="store_true", help="use inferred charges also for models trained with true ones"
    )
    command.add_argument("--joint-lstm", type=Path, help="run directory of benchmarks/joint_lstm.py")
    command.set_defaults(run=evaluate)
    arguments = parser.parse_args()
    arguments.run(arguments)


def hide(source, target):
    """Write a dataset whose feature is the charge inferred from all frames of each simulation."""
    manifest = Manifest.load(source)
    for split, files in manifest.splits.items():
        if files:
            positions = load_trajectories(source, split)[..., : manifest.num_dimensions]
            charges = infer_charges(positions, SOFTENING)
            for file, frames, charge in zip(files, positions, charges, strict=True):
                column = np.broadcast_to(charge[:, None], (*frames.shape[:-1], 1))
                save_trajectory(target / file, np.concatenate([frames, column], axis=-1))
    made = {"from": dict(manifest.provenance), "command": "python benchmarks/nri.py hide", "softening": SOFTENING}
    dataclasses.replace(manifest, name=f"{manifest.name}-hidden", features=(INFERRED,), provenance=made).save(target)


def evaluate(arguments):
    """Print the table."""
    manifest = Manifest.load(arguments.data)
    windows = cut(arguments.data, arguments.split, manifest, arguments.limit)
    extremes = Extremes.of(manifest)
    num_systems, num_observed = windows.positions.shape[:2]
    print(f"{arguments.split}: {num_systems} simulations, {num_observed} frames observed, {extremes}")
    inferred = infer_charges(windows.positions, SOFTENING)
    print(f"pairs whose inferred charges have the right product: {agreement(inferred, windows.charges):.2%}")
    print(f"{'':58s}" + "".join(f"{f'step {step}':>22s}" for step in SHOWN))
    for name, predict in predictors(arguments, windows, inferred):
        start = time.monotonic()
        errors = squared_errors(*predict(), windows, extremes)
        columns = [f"{np.mean(error):.3e} ± {np.std(error) / np.sqrt(len(error)):.1e}" for error in errors.T]
        print(f"{name:58s}" + "".join(f"{column:>22s}" for column in columns), end="")
        print(f"   ({time.monotonic() - start:.0f} s)", flush=True)


def cut(directory, split, manifest, limit):
    """First window of every simulation of a split; simulations of 49 frames are observed up to their last 20."""
    trajectories, velocities = load_trajectories(directory, split)[:limit], load_velocities(directory, split)[:limit]
    last = min(OBSERVED, trajectories.shape[1] - HORIZON)
    future = slice(last, last + HORIZON)
    return Windows(
        trajectories[:, :last, :, :2],
        velocities[:, :last],
        trajectories[:, 0, :, 2],
        trajectories[:, future, :, :2],
        velocities[:, future],
        manifest.time_between_frames,
    )


def agreement(inferred, charges):
    """Fraction of pairs i < j with the same product of charges."""
    first, second = np.triu_indices(charges.shape[1], 1)
    return np.mean(inferred[:, first] * inferred[:, second] == charges[:, first] * charges[:, second])


def squared_errors(positions, velocities, windows, extremes):
    """Mean squared errors over particles, dimensions, positions and velocities at the steps of `SHOWN`: `[S, 3]`."""
    scales = (
        2 / (extremes.position_max - extremes.position_min),
        2 / (extremes.velocity_max - extremes.velocity_min),
    )
    misses = (positions - windows.future_positions, velocities - windows.future_velocities)
    parts = [np.mean(np.square(scale * miss), axis=(2, 3)) for scale, miss in zip(scales, misses, strict=True)]
    return np.mean(parts, axis=0)[:, np.array(SHOWN) - 1]


def predictors(arguments, windows, inferred):
    """Yield names, and functions that return positions and velocities `[S, 20, N, 2]`."""
    yield "static (last state)", lambda: straight_on(windows, 0.0)
    yield "constant velocity", lambda: straight_on(windows, 1.0)
    yield "the simulator itself, from the stored last state", lambda: integrate(windows, windows.velocities[:, -1])
    moves = np.diff(windows.positions[:, -2:], axis=1)[:, 0] / windows.interval
    yield "the simulator itself, from the last position and move", lambda: integrate(windows, moves)
    if arguments.joint_lstm:
        yield f"joint LSTM, {arguments.joint_lstm.name}", lambda: run_joint_lstm(arguments, windows)
    for run in arguments.runs:
        models = [TrainedModel(run, substeps) for substeps in arguments.substeps]
        hidden = arguments.inferred or models[0].infers_charges
        charges = inferred if hidden else windows.charges
        for warm_up, knows in itertools.product(arguments.warm_up, (False, True)):
            charges_seen, seen = "inferred" if hidden else "given", "x, v" if knows else "x"
            seen = f"{run.name}, {charges_seen} charges, {seen} of {warm_up} frames"
            rollouts = []
            for model, substeps in zip(models, arguments.substeps, strict=True):
                rollouts.append(functools.cache(functools.partial(model.predict, windows, charges, knows, warm_up)))
                yield f"{seen}, {substeps} steps", rollouts[-1]
            if len(rollouts) > 1:
                yield f"{seen}, mean of these {len(rollouts)}", functools.partial(mean_of, rollouts)


def mean_of(rollouts):
    """Mean of the predictions of several functions."""
    return np.mean([rollout() for rollout in rollouts], axis=0)


def straight_on(windows, speed):
    """The last state, moved with `speed` times its velocity (0: it stays)."""
    steps = np.arange(1, HORIZON + 1)[:, None, None]
    last, velocities = windows.positions[:, -1:], windows.velocities[:, -1:]
    return last + speed * windows.interval * steps * velocities, np.repeat(velocities, HORIZON, axis=1)


def integrate(windows, velocities):
    """Continue the last positions with the simulator, from velocities `[S, N, 2]`."""
    from pipelines.nbody.box_integrator import advance
    from pipelines.nbody.config import ChargedBoxConfig

    config = ChargedBoxConfig()
    weights = windows.charges[:, :, None] * windows.charges[:, None] * (1 - np.eye(windows.charges.shape[1]))
    frames = advance(
        windows.positions[:, -1].transpose(2, 1, 0),
        velocities.transpose(2, 1, 0),
        config.coulomb_constant * weights.transpose(1, 2, 0),
        max_force=config.max_force,
        half_width=config.half_width,
        time_step=config.time_step,
        num_steps=config.save_every,
        num_frames=HORIZON,
    )
    return tuple(values.transpose(3, 0, 2, 1) for values in frames)


def run_joint_lstm(arguments, windows):
    """Predictions of a trained joint LSTM from all observed frames."""
    sys.path.insert(0, str(Path(__file__).parent))
    import joint_lstm

    extremes = Manifest.load(arguments.data).provenance["training_extremes"]
    model, _ = joint_lstm.load_model(arguments.joint_lstm)
    states = joint_lstm.normalized(windows.positions, windows.velocities, extremes)
    parts = [
        np.asarray(model.predict_after(states[first : first + BATCH_SIZE], HORIZON))[:, -HORIZON:]
        for first in range(0, len(states), BATCH_SIZE)
    ]
    return joint_lstm.denormalized(np.concatenate(parts), extremes)


class TrainedModel:
    """The best weights of a run of `socialmd_tf.train` with the Verlet head.

    Args:
        run: The run's directory.
        substeps: Minimum number of integration steps between two frames.
    """

    def __init__(self, run, substeps):
        import tensorflow as tf

        from socialmd_tf.model import rollout_layer
        from socialmd_tf.training.loop import new_model
        from socialmd_tf.training.run import Run

        run = Run.load(run)
        manifest = Manifest.load(Path(run.config.data))
        self.infers_charges = manifest.features == (INFERRED,)
        model = dataclasses.replace(run.config.model, substeps=substeps)
        config = dataclasses.replace(run.config, model=model)
        self._model = new_model(config, manifest, run.scales(), tf.distribute.get_strategy())
        run.load_weights(self._model)
        self._layer = rollout_layer(self._model)

        @tf.function(reduce_retracing=True)
        def read(frame, features, state):
            return self._layer.step(frame, features, tf.ones_like(features[..., 0]), state)

        self._read = read

    def predict(self, windows, charges, knows_velocities, warm_up):
        """Positions and velocities `[S, 20, N, 2]` after the last `warm_up` observed frames, feeding back means."""
        parts = []
        for first in range(0, len(charges), BATCH_SIZE):
            rows = slice(first, first + BATCH_SIZE)
            moves = windows.velocities[rows, -warm_up:] * windows.interval if knows_velocities else None
            features = charges[rows, :, None].astype(np.float32)
            parts.append(self._roll(features, *self._observe(windows.positions[rows, -warm_up:], moves, features)))
        positions, moves = np.concatenate(parts, axis=1)
        return positions, moves / windows.interval

    def _observe(self, frames, moves, features):
        """Parameters of the first prediction and the state after frames `[B, T, N, 2]`."""
        state = self._layer.get_initial_state(frames[:, 0])
        for index in range(frames.shape[1]):
            state = self._layer.observe(frames[:, index], True, state)
            if moves is not None:
                # The last part of the head's state is the velocity at the frame read next.
                state = {**state, "head": (*state["head"][:-1], moves[:, index])}
            parameters, state = self._read(frames[:, index], features, state)
        return parameters, state

    def _roll(self, features, parameters, state):
        """Positions and moves `[2, B, 20, N, 2]`, feeding back means."""
        predicted = []
        while True:
            mean = self._layer.head.mean(parameters)
            predicted.append((mean, state["head"][-1]))
            if len(predicted) == HORIZON:
                return np.swapaxes(predicted, 0, 1).swapaxes(1, 2)
            state = self._layer.observe(mean, False, state)
            parameters, state = self._read(mean, features, state)


if __name__ == "__main__":
    main()
