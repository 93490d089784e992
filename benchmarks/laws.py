"""Fit laws of motion in closed form and compare free rollouts with baselines and with the true law.

    python benchmarks/laws.py --laws springs trap lennard-jones coulomb --seeds 0 1 2
    python -m socialmd_tf.simulate --output data/nbody
    python benchmarks/laws.py --laws nbody --data data/nbody

Every fit is written to `<output>/<law>-<D>d-<seed>.json` and is not made again. The last lines printed are the table of
docs/forces.md, of all fits in `output`. The test split is looked at once per fit, at the end. The floor is the true
law from the last two observed frames, or with `--velocities` from the last one. The systems are those of
`python -m socialmd_tf.simulate --law ...` with the same seed; numbers are rounded to float32, as datasets store them.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from pipelines.atomic_files import write_json
from pipelines.laws import lennard_jones
from pipelines.laws.config import CoulombConfig, LennardJonesConfig, SpringsConfig, TrapConfig
from pipelines.laws.simulate import law_of, name_of, simulate
from pipelines.laws.systems import one_system
from pipelines.manifest import Manifest
from pipelines.nbody.initial_conditions import generator
from pipelines.nbody.known_forces import known_nbody_forces
from pipelines.nbody.two_frames import continue_from
from pipelines.npy_files import open_trajectory
from socialmd_tf.fitting.basis import find_pairs
from socialmd_tf.fitting.fit import fit
from socialmd_tf.fitting.integrator import continue_windows
from socialmd_tf.fitting.trajectories import Trajectories

WINDOWS = {"springs": (10, 20), "trap": (5, 30), "lennard-jones": (5, 30), "coulomb": (10, 20), "nbody": (5, 30)}
"""Observed and predicted frames of each law."""
CONFIGS = {
    ("springs", 2): SpringsConfig(num_train=100, num_dimensions=2),
    ("springs", 3): SpringsConfig(num_train=100),
    ("trap", 2): TrapConfig(num_train=20),
    ("trap", 3): TrapConfig(num_train=20, num_dimensions=3),
    ("lennard-jones", 2): LennardJonesConfig(num_train=4, num_validation=4, num_test=4),
    ("lennard-jones", 3): LennardJonesConfig(
        num_train=4, num_validation=4, num_test=4, num_dimensions=3, num_particles=100, cutoff=2.0, switch=1.6
    ),
    ("coulomb", 2): CoulombConfig(num_train=100, num_validation=100, num_test=100, num_dimensions=2),
    ("coulomb", 3): CoulombConfig(num_train=100, num_validation=100, num_test=100),
}
DIMENSIONS = {"springs": 3, "trap": 2, "lennard-jones": 2, "coulomb": 3}
"""Dimensions of each law unless they are chosen."""
SUBSAMPLE = 20
NUM_DISTANCES = 300


@dataclasses.dataclass(frozen=True)
class Data:
    """Three splits and the true law."""

    train: Trajectories
    validation: Trajectories
    test: Trajectories
    interval: float
    """Time between frames."""
    continue_truly: object
    """Observed windows and the number of frames -> positions under the true law."""
    true_curves: object
    """Name of a term -> function of distances: the true force at unit factors, positive where it attracts."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--laws", nargs="*", choices=list(WINDOWS), default=list(DIMENSIONS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--dimensions", type=int, choices=[2, 3], help="of the law; its usual ones without")
    parser.add_argument("--num-train", type=int, help="training simulations, instead of those in CONFIGS")
    parser.add_argument("--temperature", type=float, help="of Langevin dynamics, for a law with friction")
    parser.add_argument("--velocities", action="store_true", help="observe velocities too; not for the law `nbody`")
    parser.add_argument("--data", type=Path, help="an N-body dataset, for the law `nbody`")
    parser.add_argument("--output", type=Path, default=Path("runs/laws"), help="directory of the fits")
    arguments = parser.parse_args()
    for name in arguments.laws:
        for case, make in cases(name, arguments):
            path = arguments.output / f"{case}.json"
            if not path.exists():
                print(case, flush=True)
                write_json(path, {"law": name, **compare(make(), *WINDOWS[name])})
    fits = [json.loads(path.read_text()) for path in sorted(arguments.output.glob("*.json"))]
    print(table(sorted(fits, key=lambda fit: list(WINDOWS).index(fit["law"]))))


def cases(name, arguments):
    """Name of each fit, and the function that makes its data."""
    if name == "nbody":
        manifest = Manifest.load(arguments.data)
        seed = manifest.provenance["config"]["seed"]
        yield f"nbody-{manifest.num_dimensions}d-{seed}", lambda: nbody(arguments.data, manifest)
        return
    dimensions = arguments.dimensions or DIMENSIONS[name]
    for seed in arguments.seeds:
        config = CONFIGS[name, dimensions]
        config = dataclasses.replace(
            config,
            seed=seed,
            num_train=arguments.num_train or config.num_train,
            temperature=arguments.temperature or config.temperature,
        )
        yield f"{name}-{dimensions}d-{seed}", lambda config=config: simulated(config, arguments.velocities)


def simulated(config, with_velocities=False):
    """Data under a law of `pipelines.laws`."""
    law, interval = law_of(config), config.time_step * config.save_every

    def split(name):
        generators = [generator(config.seed, name, index, 0) for index in range(getattr(config, f"num_{name}"))]
        simulations = simulate(config, generators)
        charges = simulations.charges[..., None] if simulations.charges.any() else None
        return Trajectories.of(
            simulations.positions.astype(np.float32),
            charges,
            ("charge",) if charges is not None else (),
            simulations.edges,
            box=law.box(config),
            velocities=interval * simulations.velocities.astype(np.float32) if with_velocities else None,
        )

    true = true_law(config)
    splits = [split(name) for name in ("train", "validation", "test")]
    curves = {
        "springs": ("pairs: bonds of type 1", lambda r: config.spring_constant * r),
        "trap": ("pairs: 1", lambda r: -config.stiffness / config.diameter * np.maximum(0, 1 - r / config.diameter)),
        "lennard-jones": ("pairs: 1", lambda r: lennard_jones.pair_potential(config, np.minimum(r, config.cutoff))[1]),
        "coulomb": ("pairs: charge_i charge_j", lambda r: -config.coulomb_constant / r**2),
    }
    term, curve = curves[name_of(config)]
    return Data(*splits, interval, lambda observed, count: continue_windows(true, observed, count), {term: curve})


def true_law(config):
    """A law of `pipelines.laws` as `continue_windows` takes it."""
    law, interval = law_of(config), config.time_step * config.save_every

    def on(features, edges, mask, cell):
        def accelerations(positions, velocities, chosen=slice(None)):
            charges = features[chosen, :, 0] if features.shape[-1] else np.zeros(positions.shape[:2])
            systems = one_system(positions, velocities, edges=edges[chosen], charges=charges)
            return law.accelerations(config, systems)(positions) * interval**2 - config.friction * interval * velocities

        return accelerations

    return SimpleNamespace(on=on, basis=SimpleNamespace(length=1.0))


def nbody(directory, manifest):
    """An N-body dataset, every 20th frame."""
    forces = known_nbody_forces(manifest)
    size, interval = manifest.num_dimensions, manifest.time_between_frames * SUBSAMPLE

    def split(name):
        files = [directory / file for file in manifest.splits[name]]
        frames = np.stack([open_trajectory(file, size + len(manifest.features))[::SUBSAMPLE] for file in files])
        return Trajectories.of(frames[..., :size], frames[:, 0, :, size:], manifest.features)

    def continue_truly(observed, count):
        features = observed.features
        return continue_from(
            observed.positions[:, -2:],
            features[..., forces.mass],
            features[..., forces.charge],
            observed.mask,
            forces.constants,
            interval=interval,
            num_frames=count,
        )

    config = manifest.provenance["config"]
    curves = {
        "pairs: mass_j": lambda r: config["gravitational_constant"] / r**2,
        "pairs: charge/mass_i charge_j": lambda r: -config["coulomb_constant"] / r**2,
    }
    splits = (split(name) for name in ("train", "validation", "test"))
    return Data(*splits, interval, continue_truly, curves)


def compare(data, warm_up_steps, rollout_steps):
    """Fit, and evaluate the fit and what it is compared with on the test split."""
    start, lines = time.process_time(), []

    def log(line):
        lines.append(f"{time.process_time() - start:.0f} s {line}")
        print(f"  {lines[-1]}", flush=True)

    fitted = fit(data.train, data.validation, warm_up_steps=warm_up_steps, rollout_steps=rollout_steps, log=log)
    seconds = time.process_time() - start
    windows = data.test.windows(warm_up_steps + rollout_steps, 5)
    observed, future = windows.windows(warm_up_steps, 10**6), windows.positions[:, warm_up_steps:]
    last, move = observed.positions[:, -1:], observed.positions[:, -1:] - observed.positions[:, -2:-1]
    predictions = {
        "constant position": last,
        "constant velocity": last + np.arange(1, rollout_steps + 1)[:, None, None] * move,
        "fitted": continue_windows(fitted.law, observed, rollout_steps),
        "floor": data.continue_truly(observed, rollout_steps),
    }
    return {
        "num_dimensions": future.shape[-1],
        "num_simulations": [len(split) for split in (data.train, data.validation, data.test)],
        "num_windows": len(windows),
        "cpu_seconds": seconds,
        "log": lines,
        "terms": fitted.terms,
        "trials": [dataclasses.asdict(trial) for trial in fitted.trials],
        "gamma": {name: np.divide(values, data.interval).tolist() for name, values in fitted.frictions.items()},
        "errors": {name: errors(positions - future) for name, positions in predictions.items()},
        "limit": fitted.law.basis.limit / data.interval**2 if np.isfinite(fitted.law.basis.limit) else None,
        **curves(fitted, data),
    }


def errors(difference):
    """Mean and median absolute error per coordinate, the mean distance (ADE), and its median over windows."""
    size = np.abs(difference)
    distance = np.linalg.norm(difference, axis=-1)
    return {
        "mae": float(size.mean()),
        "median": float(np.median(size)),
        "ade": float(distance.mean()),
        "median_ade": float(np.median(distance.mean(axis=(1, 2)))),
    }


def curves(fitted, data):
    """Learned and true forces by distance in units of time, their standard errors, and the distances of the data."""
    knots, train = fitted.law.basis.knots, data.train
    edges = np.geomspace(knots.nearest, knots.farthest, NUM_DISTANCES + 1)
    distances = np.sqrt(edges[1:] * edges[:-1])
    found, concerned = {}, np.zeros(train.edges.shape, bool)
    for channel in (channel for channel in fitted.law.basis.channels if channel.name in data.true_curves):
        force, error = (values / data.interval**2 for values in fitted.curve(channel.name, distances))
        true = data.true_curves[channel.name](distances)
        found[channel.name] = {"learned": force.tolist(), "error": error.tolist(), "true": true.tolist()}
        concerned |= channel.weights(train.features, train.edges) != 0
    counts = np.zeros(NUM_DISTANCES)
    for frame in np.swapaxes(train.positions, 0, 1):
        pairs = find_pairs(frame, train.mask, train.cell, knots.farthest)
        chosen = pairs.distances[concerned[pairs.systems, pairs.i, pairs.j]]
        counts += np.histogram(chosen, edges)[0]
    return {"distances": distances.tolist(), "counts": counts.tolist(), "curves": found}


def table(fits):
    """Markdown: one line per law, dimensions and set of terms; the seeds are separated by commas."""
    columns = ("constant position", "constant velocity", "fitted", "floor")
    sizes = {"median": "median", "ade": "ADE"}
    found = [(name, "mae") for name in columns] + [(name, size) for size in sizes for name in ("fitted", "floor")]
    heads = [*columns, *(f"{name}, {sizes[size]}" for name, size in found[len(columns) :])]
    lines = [f"| law | terms | {' | '.join(heads)} | CPU s |", "|---|---|" + "--:|" * (len(heads) + 1)]
    for key in dict.fromkeys(map(_kind, fits)):
        same = [fit for fit in fits if _kind(fit) == key]
        cells = [", ".join(f"{fit['errors'][name][size]:.2g}" for fit in same) for name, size in found]
        seconds = ", ".join(f"{fit['cpu_seconds']:.0f}" for fit in same)
        law, dimensions, terms = key
        lines.append(f"| {law} {dimensions}D | {'; '.join(terms)} | {' | '.join(cells)} | {seconds} |")
    return "\n".join(lines)


def _kind(fit):
    return fit["law"], fit["num_dimensions"], tuple(fit["terms"])


if __name__ == "__main__":
    main()
