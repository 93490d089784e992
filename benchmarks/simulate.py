"""Time a velocity Verlet step: XLA with the system axis last, and the NumPy reference.

Run by hand, on an idle machine: `python benchmarks/simulate.py`. Takes under a minute.
"""

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pipelines.nbody.config import SimulationConfig
from pipelines.nbody.forces import couplings, forces
from pipelines.nbody.initial_conditions import draw, generator
from pipelines.nbody.verlet import advance, velocity_verlet

REPEATS = 9
LANES = 8  # as the simulator's
CONFIG = SimulationConfig()
CONSTANTS = (CONFIG.coulomb_constant, CONFIG.gravitational_constant)


def seconds_per_step(run: Callable[[], object], num_system_steps: int) -> list[float]:
    """Sorted times of one step of one system over the repeats, without the first, which compiles."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) / num_system_steps)
    return sorted(times[1:])


def report(name: str, times: list[float]) -> None:
    microseconds = [1e6 * t for t in times]
    hours = statistics.median(times) * 140 * CONFIG.num_steps / 3600
    print(
        f"{name:<28} {statistics.median(microseconds):9.3f} us per step and system "
        f"({microseconds[0]:.3f} to {microseconds[-1]:.3f});  140 systems x 10^6 steps: "
        + (f"{hours:.2f} h" if hours >= 1 else f"{60 * hours:.1f} min")
    )


def main() -> None:
    systems = [draw(generator(0, "train", index, 0), CONFIG) for index in range(LANES)]
    first = systems[0]
    batch = [np.stack([array.T for array in arrays], axis=-1) for arrays in zip(*systems, strict=True)][:3]
    batch.append(np.stack([couplings(s.masses, s.charges, *CONSTANTS) for s in systems], axis=-1))
    processors = os.cpu_count() or 1

    def numpy_reference() -> object:
        return velocity_verlet(
            first.positions,
            first.velocities,
            lambda x: forces(x, first.masses, first.charges, *CONSTANTS) / first.masses[:, None],
            CONFIG.time_step,
            500,
        )

    def xla(_: int = 0) -> object:
        return advance(*batch, CONFIG.time_step, CONFIG.save_every)

    reference = seconds_per_step(numpy_reference, 500)
    one = seconds_per_step(xla, LANES * CONFIG.save_every)
    with ThreadPoolExecutor(processors) as threads:
        every = seconds_per_step(
            lambda: list(threads.map(xla, range(4 * processors))), 4 * processors * LANES * CONFIG.save_every
        )
    print(f"{CONFIG.num_particles} particles, {LANES} systems at a time, median of {REPEATS} (smallest to largest)")
    report("NumPy reference", reference)
    report("XLA, one thread", one)
    report(f"XLA, {processors} threads", every)
    ratios = [statistics.median(reference) / statistics.median(times) for times in (one, every)]
    print(f"XLA is {ratios[0]:.0f} times as fast as the reference on one thread, {ratios[1]:.0f} times on {processors}")
    print("Redrawn initial conditions are not counted; with the default system they add about half to the work.")


if __name__ == "__main__":
    main()
