"""Cost of a frame of a nanoparticle: molecular dynamics, and paths drawn from a model instead, each on one core.

    python benchmarks/surrogate.py --model saved_models/nanoparticle --input data/nanoparticle/test/00036.npy

Needs OpenMM. The model is compiled by XLA, which takes some seconds once for each number of paths and particles, and is
not counted; `--compile off` shows what it costs otherwise. CPU time of the process is compared, not wall-clock time:
with one thread each, they differ only by what other programs take away. Molecular dynamics is the stand-in of
`python -m socialmd_tf.nanoparticle`, with as many strands as the input has molecules, without relaxation and without
writing files. Takes about half a minute.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

import socialmd_tf as smd
from pipelines.molecules.nanoparticle.beads import build
from pipelines.molecules.nanoparticle.config import NanoparticleConfig
from pipelines.molecules.nanoparticle.dynamics import simulate

REPEATS = 3
OBSERVED, PREDICTED, SAMPLES = 25, 275, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="saved_models/nanoparticle")
    parser.add_argument("--input", default="data/nanoparticle/test/00036.npy")
    parser.add_argument("--md-frames", type=int, default=60, help="frames of molecular dynamics per repeat")
    parser.add_argument("--compile", choices=["on", "off"], default="on", help="whether XLA compiles the model")
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    frames = smd.read(arguments.input)[:OBSERVED]
    model = smd.load(arguments.model, compile=arguments.compile)
    num_molecules = frames.positions.shape[-2]

    def dynamics() -> int:
        config = NanoparticleConfig(num_strands=num_molecules, num_frames=arguments.md_frames + 1, relaxation_steps=0)
        return sum(1 for _ in simulate(config, build(config, 0), 0)) - 1

    def ensemble() -> int:
        model.sample(frames, num_steps=PREDICTED, num_samples=SAMPLES, seed=0)
        return SAMPLES * PREDICTED

    def path() -> int:
        model.sample(frames, num_steps=PREDICTED, num_samples=1, seed=0)
        return PREDICTED

    print(f"{num_molecules} molecules; milliseconds of CPU per frame, median of {REPEATS} (smallest to largest)")
    md = report("molecular dynamics", dynamics)
    many = report(f"drawn, {SAMPLES} paths at a time", ensemble)
    report("drawn, one path", path)
    share = many * SAMPLES / md
    print(f"a drawn frame costs 1/{md / many:.0f} of one of molecular dynamics")
    print(f"{SAMPLES} paths of {PREDICTED} frames cost {share:.2f} times one such run of molecular dynamics")


def report(name: str, run: Callable[[], int]) -> float:
    """Print and return the median CPU time of a frame, in ms; the first run, which compiles, does not count."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.process_time()
        num_frames = run()
        times.append(1e3 * (time.process_time() - start) / num_frames)
    times = np.sort(times[1:]).tolist()
    print(f"{name:<28} {statistics.median(times):9.3f} ({times[0]:.3f} to {times[-1]:.3f})")
    return statistics.median(times)


if __name__ == "__main__":
    main()
