"""Train the joint LSTM baseline of Kipf et al. 2018 on the charges of `python -m socialmd_tf.simulate_charges`.

    python benchmarks/joint_lstm.py --data data/nri --run-directory runs/joint-lstm [--units 256] [--steps 200000]

One LSTM reads the concatenated states of all particles: positions and velocities, in units of the training split's
extremes, and no charges. The same command resumes a stopped run.
"""

import argparse
import json
import math
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from pipelines.atomic_files import write_json
from pipelines.manifest import Manifest
from pipelines.nbody.charged_box import load_trajectories, load_velocities

FREE_STEPS = 10
CHECKPOINT_EVERY = 100
CONFIG_FILE = "config.json"


class JointLSTM(keras.Model):
    """States s of all N particles -> states of the next frame, s + MLP(LSTM(LSTM([MLP(s_1), ..., MLP(s_N)]))).

    The MLPs have two layers; the LSTMs are as wide as their input, N times `units`.

    Args:
        num_particles: N.
        units: Width of a particle's embedding.
    """

    def __init__(self, num_particles, units):
        super().__init__()
        width = num_particles * units
        self.embedding = [keras.layers.Dense(units, "relu") for _ in range(2)]
        self.cells = [keras.layers.LSTMCell(width) for _ in range(2)]
        self.hidden = keras.layers.Dense(width, "relu")
        self.change = keras.layers.Dense(num_particles * 4)
        self.step(tf.zeros((1, num_particles, 4)), self.initial_state(1))  # makes the weights

    def initial_state(self, batch_size):
        """Hidden and cell states of both LSTMs."""
        return [cell.get_initial_state(batch_size) for cell in self.cells]

    def step(self, states, memory):
        """States `[B, N, 4]` and memory of one frame -> states and memory of the next."""
        hidden = states
        for layer in self.embedding:
            hidden = layer(hidden)
        hidden = ops.reshape(hidden, (-1, self.cells[0].units))
        following = []
        for cell, state in zip(self.cells, memory, strict=True):
            hidden, state = cell(hidden, state)
            following.append(state)
        change = self.change(self.hidden(hidden))
        return states + ops.reshape(change, (-1, *states.shape[1:])), following

    def predict_after(self, states, num_steps):
        """Frames after each of `[B, T, N, 4]`, the last `num_steps` - 1 in feedback: `[B, T + num_steps - 1, N, 4]`."""
        memory, predicted = self.initial_state(ops.shape(states)[0]), []
        for index in range(states.shape[1] + num_steps - 1):
            frame = states[:, index] if index < states.shape[1] else predicted[-1]
            following, memory = self.step(frame, memory)
            predicted.append(following)
        return ops.stack(predicted, axis=1)


def normalized(positions, velocities, extremes):
    """Positions and velocities `[..., N, 2]` -> states `[..., N, 4]`, in [-1, 1] on the training split."""
    parts = [
        2 * (values - low) / (high - low) - 1
        for values, (low, high) in zip((positions, velocities), _ranges(extremes), strict=True)
    ]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def denormalized(states, extremes):
    """The inverse of `normalized`."""
    parts = zip(np.split(states, 2, axis=-1), _ranges(extremes), strict=True)
    return tuple((values + 1) / 2 * (high - low) + low for values, (low, high) in parts)


def _ranges(extremes):
    return [(extremes[f"{name}_min"], extremes[f"{name}_max"]) for name in ("position", "velocity")]


def load_states(directory, split):
    """All states of a split, `[S, T, N, 4]`."""
    extremes = Manifest.load(directory).provenance["training_extremes"]
    return normalized(load_trajectories(directory, split)[..., :2], load_velocities(directory, split), extremes)


def load_model(run_directory):
    """Model of a run with its newest weights, and the run's settings."""
    config = json.loads((Path(run_directory) / CONFIG_FILE).read_text())
    model = JointLSTM(config["num_particles"], config["units"])
    newest = tf.train.latest_checkpoint(run_directory)
    tf.train.Checkpoint(weights=tensors(model)).restore(newest).expect_partial().assert_existing_objects_matched()
    return model, config


def tensors(owner):
    """TensorFlow variables of a model or an optimizer, in order; checkpoints do not track lists of layers."""
    return [variable.value for variable in (owner.weights if isinstance(owner, keras.Model) else owner.variables)]


def num_parameters(model):
    """Number of trainable parameters."""
    return sum(math.prod(weight.shape) for weight in model.trainable_variables)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run-directory", type=Path, required=True)
    parser.add_argument("--units", type=int, default=256, help="width of a particle's embedding; the paper has 256")
    parser.add_argument("--steps", type=int, default=200_000, help="batches; 200 000 are about the paper's 500 epochs")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=5e-4, help="initial rate of a cosine decay")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    states = load_states(arguments.data, "train")
    validation = load_states(arguments.data, "validation")[:1000]
    train(arguments, states, validation)


def train(arguments, states, validation):
    """Train, or resume training, with checkpoints."""
    keras.utils.set_random_seed(arguments.seed)
    model = JointLSTM(states.shape[2], arguments.units)
    schedule = keras.optimizers.schedules.CosineDecay(arguments.learning_rate, arguments.steps)
    optimizer = keras.optimizers.Adam(schedule, global_clipnorm=1.0)
    optimizer.build(model.trainable_variables)
    done = tf.Variable(0, dtype=tf.int64)
    checkpoint = tf.train.Checkpoint(weights=tensors(model), optimizer=tensors(optimizer), done=done)
    manager = tf.train.CheckpointManager(checkpoint, arguments.run_directory, max_to_keep=1)
    checkpoint.restore(manager.latest_checkpoint)
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(arguments).items()}
    write_json(arguments.run_directory / CONFIG_FILE, {**settings, "num_particles": states.shape[2]})

    @tf.function
    def update(batch):
        with tf.GradientTape() as tape:
            predicted = model.predict_after(batch[:, :-FREE_STEPS], FREE_STEPS)
            loss = tf.reduce_mean(tf.square(predicted - batch[:, 1:]))
            scaled = 1e3 * loss
        optimizer.apply(tape.gradient(scaled, model.trainable_variables), model.trainable_variables)
        return loss

    print(f"{num_parameters(model)} parameters, {int(done)} of {arguments.steps} steps done", flush=True)
    losses, start = [], time.monotonic()
    while int(done) < arguments.steps:
        losses.append(float(update(states[rows(int(done), len(states), arguments)])))
        done.assign_add(1)
        if int(done) % CHECKPOINT_EVERY == 0 or int(done) == arguments.steps:
            manager.save()
            errors = step_errors(model, validation)
            print(
                f"step {int(done)}, {time.monotonic() - start:.0f} s: loss {np.mean(losses):.3e}, validation MSE at "
                f"1, 10, 20: {errors[0]:.2e} {errors[9]:.2e} {errors[19]:.2e}",
                flush=True,
            )
            losses = []


def rows(step, count, arguments):
    """Indices of the simulations of a batch; the order depends only on seed and epoch."""
    per_epoch = max(1, count // arguments.batch_size)
    order = np.random.default_rng([arguments.seed, step // per_epoch]).permutation(count)
    first = step % per_epoch * arguments.batch_size
    return order[first : first + arguments.batch_size]


def step_errors(model, states, horizon=20):
    """Mean squared error at each of the last `horizon` frames, predicted from the frames before."""
    predicted = model.predict_after(states[:, :-horizon], horizon)[:, -horizon:]
    return np.mean(np.square(predicted - states[:, -horizon:]), axis=(0, 2, 3))


if __name__ == "__main__":
    main()
