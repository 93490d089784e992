"""Fit laws of motion in closed form and compare free rollouts with baselines and with the true law.

    python benchmarks/laws.py --laws springs trap lennard-jones --seeds 0 1 2
    python -m socialmd_tf.simulate --output data/nbody
    python benchmarks/laws.py --laws nbody --data data/nbody

For each law and seed: the errors of validation windows while the fit runs, and then, once, those of the test split. The
floor is the true law from the last two observed frames. Data are rounded to float32, as datasets store them.
"""

import argparse
import dataclasses
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from pipelines.laws.config import CoulombConfig, LennardJonesConfig, SpringsConfig, TrapConfig
from pipelines.laws.simulate import law_of, simulate
from pipelines.laws.systems import one_system
from pipelines.manifest import Manifest
from pipelines.nbody.initial_conditions import generator
from pipelines.nbody.known_forces import known_nbody_forces
from pipelines.nbody.two_frames import continue_from
from pipelines.npy_files import open_trajectory
from socialmd_tf.fitting.fit import fit
from socialmd_tf.fitting.integrator import continue_windows
from socialmd_tf.fitting.trajectories import Trajectories

WINDOWS = {"springs": (10, 20), "coulomb": (10, 20), "trap": (5, 30), "lennard-jones": (5, 30), "nbody": (5, 30)}
"""Observed and predicted frames of each law."""
CONFIGS = {
    "springs": SpringsConfig(num_train=100),
    "trap": TrapConfig(num_train=100),
    "lennard-jones": LennardJonesConfig(num_train=20, num_validation=8, num_test=8),
    "coulomb": CoulombConfig(num_train=300, num_validation=200, num_test=200),
}
CONFIGS_3D = {
    "lennard-jones": dataclasses.replace(
        CONFIGS["lennard-jones"], num_dimensions=3, num_particles=100, cutoff=2.0, switch=1.6
    )
}
SUBSAMPLE = 20


@dataclasses.dataclass(frozen=True)
class Data:
    """Three splits and the true law."""

    train: Trajectories
    validation: Trajectories
    test: Trajectories
    continue_truly: object
    """Observed windows and the number of frames -> positions under the true law."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--laws", nargs="+", choices=list(WINDOWS), default=list(CONFIGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--dimensions", type=int, choices=[2, 3], help="of the law; its default without")
    parser.add_argument("--data", type=Path, help="an N-body dataset, for the law `nbody`")
    arguments = parser.parse_args()
    print("| law | seed | predictor | MAE | median | ADE | seconds |\n|---|--:|---|--:|--:|--:|--:|")
    for name in arguments.laws:
        for seed in arguments.seeds:
            data = nbody(arguments.data) if name == "nbody" else simulated(configuration(name, arguments, seed))
            compare(f"{name} {data.train.positions.shape[-1]}D", seed, data, *WINDOWS[name])


def configuration(name, arguments, seed):
    if arguments.dimensions == 3 and name in CONFIGS_3D:
        return dataclasses.replace(CONFIGS_3D[name], seed=seed)
    dimensions = arguments.dimensions or CONFIGS[name].num_dimensions
    return dataclasses.replace(CONFIGS[name], num_dimensions=dimensions, seed=seed)


def simulated(config):
    """Data under a law of `pipelines.laws`."""
    law, interval = law_of(config), config.time_step * config.save_every

    def split(name):
        generators = [generator(config.seed, name, index, 0) for index in range(getattr(config, f"num_{name}"))]
        simulations = simulate(config, generators)
        charges = simulations.charges[..., None] if simulations.charges.any() else None
        positions = simulations.positions.astype(np.float32)
        return Trajectories.of(
            positions, charges, ("charge",) if charges is not None else (), simulations.edges, box=law.box(config)
        )

    def on(features, edges, mask, cell):
        def accelerations(positions, velocities, chosen=slice(None)):
            charges = features[chosen, :, 0] if features.shape[-1] else np.zeros(positions.shape[:2])
            systems = one_system(positions, velocities, edges=edges[chosen], charges=charges)
            return law.accelerations(config, systems)(positions) * interval**2 - config.friction * interval * velocities

        return accelerations

    true = SimpleNamespace(on=on, basis=SimpleNamespace(length=1.0))
    splits = [split(name) for name in ("train", "validation", "test")]
    return Data(*splits, lambda observed, count: continue_windows(true, observed, count))


def nbody(directory):
    """An N-body dataset, every 20th frame."""
    manifest = Manifest.load(directory)
    forces = known_nbody_forces(manifest)
    size = manifest.num_dimensions

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
            interval=manifest.time_between_frames * SUBSAMPLE,
            num_frames=count,
        )

    return Data(*(split(name) for name in ("train", "validation", "test")), continue_truly)


def compare(name, seed, data, warm_up_steps, rollout_steps):
    """Fit, and print the errors of the fit and of what it is compared with on the test split."""
    start = time.perf_counter()
    fitted = fit(
        data.train,
        data.validation,
        warm_up_steps=warm_up_steps,
        rollout_steps=rollout_steps,
        log=lambda line: print(f"  {time.perf_counter() - start:.0f} s {line}", flush=True),
    )
    seconds = time.perf_counter() - start
    windows = data.test.windows(warm_up_steps + rollout_steps, 5)
    observed, future = windows.windows(warm_up_steps, 10**6), windows.positions[:, warm_up_steps:]
    last, move = observed.positions[:, -1:], observed.positions[:, -1:] - observed.positions[:, -2:-1]
    steps = np.arange(1, rollout_steps + 1)[:, None, None]
    predictions = {
        "constant position": np.broadcast_to(last, future.shape),
        "constant velocity": last + steps * move,
        f"fitted: {', '.join(fitted.terms)}": continue_windows(fitted.law, observed, rollout_steps),
        "floor": data.continue_truly(observed, rollout_steps),
    }
    for predictor, positions in predictions.items():
        errors = np.abs(positions - future)
        lengths = np.linalg.norm(positions - future, axis=-1)
        print(
            f"| {name} | {seed} | {predictor} | {errors.mean():.2e} | {np.median(errors):.2e} | {lengths.mean():.2e} "
            f"| {seconds if predictor.startswith('fitted') else 0:.0f} |",
            flush=True,
        )
    for term, (gamma, error) in fitted.frictions.items():
        print(f"  {term}: gamma {gamma:.6f} +- {error:.1g} per frame")


if __name__ == "__main__":
    main()
