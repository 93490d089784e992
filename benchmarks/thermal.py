"""Random motion under forces: the head langevin with radial functions of its own, and with a fitted law.

    python benchmarks/thermal.py --laws trap lennard-jones --seed 0

For each law with friction and temperature, both models are trained on the same data and compared on the validation
split: the negative log likelihood (NLL) of single frames per particle, and the fair CRPS of drawn paths per coordinate.
The floor are paths under the true law with other random numbers, from the true positions and velocities; the models see
positions only. The fitted law is compared as it is, with normal noise, and after training. Results are kept in `output`
and not computed again; the last lines printed are the table of docs/forces.md.
"""

import argparse
import dataclasses
import json
from functools import partial
from pathlib import Path

import numpy as np

from pipelines.atomic_files import write_json
from pipelines.config import DataConfig
from pipelines.laws.config import LennardJonesConfig, TrapConfig
from pipelines.laws.dataset import write_dataset
from pipelines.laws.integrate import advance
from pipelines.laws.simulate import law_of, simulate
from pipelines.laws.systems import one_system
from pipelines.nbody.initial_conditions import generator
from socialmd_tf import mixture
from socialmd_tf.config import PRESETS, TrainConfig
from socialmd_tf.evaluation.ensembles.scores import fair_crps
from socialmd_tf.fitting.dataset import read_split
from socialmd_tf.fitting.fit import fit_random
from socialmd_tf.fitting.rows import frame_rows
from socialmd_tf.fitting.trajectories import Trajectories
from socialmd_tf.layers.pairs.radial_pulls import radial_sums
from socialmd_tf.model import rollout_layer
from socialmd_tf.training import loop

CONFIGS = {
    "trap": TrapConfig(num_train=20, num_validation=10, num_test=0, temperature=0.5),
    "lennard-jones": LennardJonesConfig(
        num_train=8, num_validation=6, num_test=0, num_particles=36, save_every=25, friction=1.0, temperature=1.0
    ),
}
WINDOWS = DataConfig(subsample=1, subsample_phases=1, warm_up_steps=5, rollout_steps=30, window_shift=5, rotations=0)
STEPS = (1, 10, 30)
NUM_SAMPLES = 16


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--laws", nargs="*", choices=list(CONFIGS), default=list(CONFIGS))
    parser.add_argument("--models", nargs="*", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--output", type=Path, default=Path("runs/thermal"), help="directory of data, runs and results")
    arguments = parser.parse_args()
    for name in arguments.laws:
        config = dataclasses.replace(CONFIGS[name], seed=arguments.seed)
        data = arguments.output / f"{name}-{config.seed}"
        write_dataset(config, data, command="benchmarks/thermal.py")
        for model in arguments.models:
            path = arguments.output / f"{name}-{config.seed}-{model.replace(' ', '-')}.json"
            if not path.exists():
                print(path, flush=True)
                write_json(path, {"law": name, "model": model, **MODELS[model](config, data, arguments)})
    results = [json.loads(path.read_text()) for path in sorted(arguments.output.glob("*.json"))]
    print(table(sorted(results, key=lambda result: (result["law"], list(MODELS).index(result["model"])))))


def table(results):
    """Markdown."""
    heads = [f"CRPS, step {step}" for step in STEPS]
    lines = [f"| law | model | NLL | {' | '.join(heads)} |", "|---|---|" + "--:|" * (len(STEPS) + 1)]
    for result in results:
        numbers = [result.get("nll"), *result.get("crps", [None] * len(STEPS))]
        cells = ["" if number is None else f"{number:.3g}" for number in numbers]
        lines.append(f"| {result['law']} | {result['model']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def trained(config, data, arguments, force):
    """Scores of a trained model."""
    directory = arguments.output / f"{data.name}-{force}"
    model, run = loop.fit(training(force, arguments.epochs, directory), data)
    rollout = rollout_layer(model)
    inputs, futures, _ = windows(config)
    return {
        "nll": one_frame_nll(rollout, inputs, futures),
        "crps": crps(drawn(rollout, inputs), futures),
        "best_epoch": run.state.best_epoch + 1,
    }


def fitted_law(config, data, _):
    """Scores of the law that a model is trained from, with normal noise of the width of the training residuals."""
    train, validation = (read_split(data, split, WINDOWS) for split in ("train", "validation"))
    fitted = fit_random(train, validation)
    train, validation = (
        np.concatenate([y - x @ fitted.law.coefficients for x, y in frame_rows(fitted.law.basis, split)])
        for split in (train, validation)
    )
    _, futures, _ = windows(config)
    return {
        "nll": normal_nll(validation, np.mean(train**2)),
        "crps": crps(lawfully_continued(fitted.law, config, np.std(train)), futures),
        "terms": fitted.terms,
    }


def lawfully_continued(law, config, deviation):
    """Paths `[S, B, T', N, D]` by the moves of a law with normal noise."""
    inputs, _, _ = windows(config)
    observed = Trajectories.of(inputs["positions"], box=law_of(config).box(config))
    accelerations = law.on(observed.features, observed.edges, observed.mask, observed.cell)
    noise, paths = np.random.default_rng(0), []
    for _ in range(NUM_SAMPLES):
        x, v, frames = observed.positions[:, -1], observed.positions[:, -1] - observed.positions[:, -2], []
        for _ in range(WINDOWS.rollout_steps):
            v = v + accelerations(x, v) + deviation * noise.normal(size=v.shape)
            x = x + v
            frames.append(x)
        paths.append(np.stack(frames, axis=1))
    return np.stack(paths)


def normal_nll(residuals, variance):
    """Mean per particle, for residuals `[..., D]`."""
    size = residuals.shape[-1]
    return float(np.mean(np.sum(residuals**2, axis=-1) / variance + size * np.log(2 * np.pi * variance)) / 2)


def true_law(config, *_):
    """Scores of paths under the true law, which begins with the true velocities."""
    _, futures, states = windows(config)
    return {"crps": crps(truly_continued(config, *states), futures)}


def least_squares(config, data, _):
    """NLL of the head's radial functions with coefficients that are constant and fitted in closed form.

    The second difference is linear in the last two moves, the sums over neighbours, and, without a box, the position
    and the direction from the origin. The noise is normal, of the width of the residuals of the training split.
    """
    cutoff, num_functions = PRESETS["langevin"].cutoff, PRESETS["langevin"].pair_channels
    splits = []
    for split in ("train", "validation"):
        frames = read_split(data, split, WINDOWS).positions
        moves, places = np.diff(frames, axis=1), frames[:, 2:-1].reshape(-1, *frames.shape[2:])
        box = law_of(config).box(config)
        cells = None if box is None else np.repeat(np.diag(box)[None], len(places), axis=0).astype("float32")
        sums = radial_sums(
            places.astype("float32"), np.ones((*places.shape[:2], 1), "float32"), None, cutoff, num_functions, cells
        )
        columns = [moves[:, 1:-1], moves[:, :-2], *np.moveaxis(np.asarray(sums)[..., 0], -1, 0)]
        if box is None:
            columns += [places, places / np.linalg.norm(places, axis=-1, keepdims=True)]
        columns = [values.reshape(moves[:, 2:].shape) for values in columns]
        splits.append((np.stack(columns, axis=-1), moves[:, 2:] - moves[:, 1:-1]))
    (x, y), (x_new, y_new) = splits
    coefficients = np.linalg.lstsq(x.reshape(-1, x.shape[-1]), y.ravel(), rcond=None)[0]
    return {"nll": normal_nll(y_new - x_new @ coefficients, np.mean((y - x @ coefficients) ** 2))}


MODELS = {
    "radial functions, trained": partial(trained, force="pair_mlp"),
    "radial functions, least squares": least_squares,
    "fitted law": fitted_law,
    "fitted law, trained": partial(trained, force="basis"),
    "true law": true_law,
}
"""Name -> function of the configuration, the directory of the data and the flags; it returns the scores."""


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
    repeated = {name: np.tile(values, (NUM_SAMPLES, *[1] * (values.ndim - 1))) for name, values in inputs.items()}
    shape = (WINDOWS.rollout_steps, NUM_SAMPLES * count, *inputs["positions"].shape[2:])
    normal = noise.normal(size=shape).astype("float32")

    def choose(parameters, step):
        return rollout.head.layout.draw(parameters, 0 * parameters[..., 0], normal[max(int(step), 0)])

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
