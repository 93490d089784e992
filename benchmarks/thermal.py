"""Random motion under forces: the head langevin with radial functions of its own, and with a fitted law.

    python benchmarks/thermal.py --laws trap lennard-jones --seed 0

For each law with friction and temperature, both models are trained on the same data and compared on the validation
split: the negative log likelihood (NLL) of single frames, and the fair CRPS of drawn paths, per coordinate. The floor
are paths under the true law with other random numbers, from the true positions and velocities; the models see positions
only. Runs are kept in `output` and not repeated; the last lines printed are the table of docs/forces.md.
"""

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np

from pipelines.config import DataConfig
from pipelines.laws.config import LennardJonesConfig, TrapConfig
from pipelines.laws.dataset import write_dataset
from pipelines.laws.integrate import advance
from pipelines.laws.simulate import law_of, simulate
from pipelines.laws.systems import one_system
from pipelines.nbody.initial_conditions import generator
from socialmd_tf import mixture
from socialmd_tf.config import TrainConfig
from socialmd_tf.evaluation.ensembles.scores import fair_crps
from socialmd_tf.model import rollout_layer
from socialmd_tf.training import loop

CONFIGS = {
    "trap": TrapConfig(num_train=20, num_validation=10, num_test=0, temperature=0.5),
    "lennard-jones": LennardJonesConfig(
        num_train=8, num_validation=6, num_test=0, num_particles=36, save_every=25, friction=1.0, temperature=1.0
    ),
}
WINDOWS = DataConfig(subsample=1, subsample_phases=1, warm_up_steps=5, rollout_steps=30, window_shift=5, rotations=0)
MODELS = {"radial functions": "pair_mlp", "fitted law": "basis"}
STEPS = (1, 10, 30)
NUM_SAMPLES = 16


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--laws", nargs="*", choices=list(CONFIGS), default=list(CONFIGS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--output", type=Path, default=Path("runs/thermal"), help="directory of data and runs")
    arguments = parser.parse_args()
    heads = [f"CRPS, step {step}" for step in STEPS]
    lines = [f"| law | model | NLL | {' | '.join(heads)} | CPU s |", "|---|---|" + "--:|" * (len(STEPS) + 2)]
    for name in arguments.laws:
        config = dataclasses.replace(CONFIGS[name], seed=arguments.seed)
        data = arguments.output / f"{name}-{config.seed}"
        write_dataset(config, data, command="benchmarks/thermal.py")
        for model, force in MODELS.items():
            start = time.process_time()
            run = arguments.output / f"{name}-{config.seed}-{force}"
            rollout = rollout_layer(loop.fit(training(force, arguments.epochs, run), data)[0])
            seconds = time.process_time() - start
            inputs, futures, _ = windows(config)
            scores = [one_frame_nll(rollout, inputs, futures), *crps(drawn(rollout, inputs), futures)]
            lines.append(f"| {name} | {model} | {' | '.join(f'{score:.4g}' for score in scores)} | {seconds:.0f} |")
            print(lines[-1], flush=True)
        _, futures, states = windows(config)
        scores = crps(truly_continued(config, *states), futures)
        lines.append(f"| {name} | true law, knows velocities | | {' | '.join(f'{s:.4g}' for s in scores)} | |")
    print("\n".join(lines))


def training(force, epochs, directory):
    """The configuration of a run."""
    config = TrainConfig.of_preset("langevin")
    return dataclasses.replace(
        config,
        windows=WINDOWS,
        model=dataclasses.replace(config.model, force=force),
        epochs=epochs,
        batch_size=16,
        run_directory=str(directory),
    )


def windows(config):
    """All windows of the validation split: inputs, futures `[B, T', N, D]`, and the true last states."""
    generators = [generator(config.seed, "validation", index, 0) for index in range(config.num_validation)]
    simulations, warm_up = simulate(config, generators), WINDOWS.warm_up_steps
    starts = range(0, config.num_frames - WINDOWS.window_steps + 1, WINDOWS.window_shift)
    positions, velocities = (
        np.concatenate([values[:, start : start + WINDOWS.window_steps] for start in starts])
        for values in (simulations.positions, simulations.velocities)
    )
    frames, count = positions.astype("float32"), len(positions)
    inputs = {
        "positions": frames[:, :warm_up],
        "features": np.zeros((count, config.num_particles, 0), "float32"),
        "mask": np.ones((count, config.num_particles), "float32"),
    }
    box = law_of(config).box(config)
    if box is not None:
        inputs["box"] = np.repeat(np.diag(box)[None], count, axis=0).astype("float32")
    return inputs, frames[:, warm_up:], (positions[:, warm_up - 1], velocities[:, warm_up - 1])


def one_frame_nll(rollout, inputs, futures):
    """Mean negative log likelihood per particle of the frames of `futures`, each after true ones."""
    frames = np.concatenate([inputs["positions"], futures[:, :-1]], axis=1)
    parameters = rollout.run({**inputs, "positions": frames}, 1, num_kept=futures.shape[1])[0]
    return float(np.mean(mixture.NegativeLogLikelihood(rollout.head.layout).call(futures, parameters)))


def drawn(rollout, inputs):
    """Paths `[S, B, T', N, D]`."""
    noise, count = np.random.default_rng(0), len(inputs["mask"])
    repeated = {name: np.repeat(values[None], NUM_SAMPLES, axis=0) for name, values in inputs.items()}
    repeated = {name: values.reshape(-1, *values.shape[2:]) for name, values in repeated.items()}
    shape = (WINDOWS.rollout_steps, NUM_SAMPLES * count, *inputs["positions"].shape[2:])
    normal = noise.normal(size=shape).astype("float32")

    def choose(parameters, step):
        place = rollout.head.layout
        return place.draw(parameters, 0 * parameters[..., 0], np.asarray(normal)[max(int(step), 0)])

    paths = np.asarray(rollout.run(repeated, WINDOWS.rollout_steps, choose)[1])
    return paths.reshape(NUM_SAMPLES, count, *paths.shape[1:])


def truly_continued(config, positions, velocities):
    """Paths `[S, B, T', N, D]` under the true law with other random numbers."""
    shape = (NUM_SAMPLES * len(positions), *positions.shape[1:])
    x, v = (np.broadcast_to(values, (NUM_SAMPLES, *values.shape)).reshape(shape) for values in (positions, velocities))
    accelerations = law_of(config).accelerations(config, one_system(x, v))
    generators = [np.random.default_rng([1, number]) for number in range(len(x))]
    frames = []
    for _ in range(WINDOWS.rollout_steps):
        x, v = advance(
            x,
            v,
            accelerations,
            time_step=config.time_step,
            num_steps=config.save_every,
            friction=config.friction,
            temperature=config.temperature,
            generators=generators,
        )
        frames.append(x)
    return np.stack(frames, axis=1).reshape(NUM_SAMPLES, -1, WINDOWS.rollout_steps, *positions.shape[1:])


def crps(members, observed):
    """Mean fair CRPS per coordinate at the steps of `STEPS`."""
    return [float(np.mean(fair_crps(members[:, :, k - 1], observed[:, k - 1]))) for k in STEPS]


if __name__ == "__main__":
    main()
