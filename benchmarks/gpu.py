"""Measure training steps and rollouts on a GPU, compiled by XLA and not: every figure in one run of four minutes.

    python benchmarks/gpu.py --output gpu.json [--only thesis rollout] [--seconds 240] [--small]

A training step is that of `train`: 25 particles in 2D with two features, 5 + 30 frames (for `verlet` each frame is
predicted from the observed ones before it). Rollouts predict 30 frames after 5, with exported models. All begin with
initial states of the N-body data, in straight motion. A figure is the median of steps that are waited for; the first
ones, which compile, are not among them. Processes (gpu_measurements.py) share the work: one measures while the
others compile; --processes 1 measures undisturbed and takes longer. A measurement that takes too long or ends its
process is noted, and the others go on. Prints a line per measurement, and tables in Markdown at the end. --small tries
it on a CPU.
"""

import argparse
import collections
import contextlib
import dataclasses
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from pipelines.atomic_files import write_json

WORKER = Path(__file__).with_name("gpu_measurements.py")
LIMIT = 100.0  # seconds of one measurement
TARGETS = {
    "training lstm B=256": {"milliseconds": 8},
    "training pairwise B=8": {"peak_gib": 0.1},
    "training pairwise B=256": {"milliseconds": 15, "peak_gib": 2.2},
    "training thesis B=8": {"peak_gib": 0.3},
    "training thesis B=64": {"peak_gib": 2.5},
    "training thesis B=256": {"milliseconds": 100, "peak_gib": 9.8},
    "training verlet B=256": {"milliseconds": 60},
    "rollout nbody N=25 B=64": {"scene_frames_per_second": 10_000},
    "rollout nbody N=25 B=1024": {"scene_frames_per_second": 100_000},
}
"""At most these milliseconds and GiB, at least these scene-frames per second, on an H100 or H200. The memory is half of
what it was before steps were compiled."""


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A training step or a rollout of a model, or the `precision` of the first predicted frame."""

    kind: str
    model: str
    num_particles: int = 25
    batch_size: int = 64
    is_compiled: bool = True

    @property
    def title(self):
        """The name, without `is_compiled`."""
        size = f" N={self.num_particles}" if self.kind == "rollout" else ""
        return f"{self.kind} {self.model}{size} B={self.batch_size}"

    @property
    def full_title(self):
        """The name, with `is_compiled`."""
        return f"{self.title}, {'' if self.is_compiled else 'not '}compiled"


def measurements():
    """All, the ones with targets first."""
    training = [("lstm", 256), ("pairwise", 256), ("verlet", 256), ("thesis", 256)]
    rest = [("thesis", 8), ("thesis", 64), ("pairwise", 8)]
    rollouts = [("nbody", 25, 64), ("nbody", 25, 1024), ("thesis", 25, 64), ("thesis", 25, 1024)]
    more = [("pairwise", 25, 1024), ("thesis", 1000, 8)]
    found = [
        *(Measurement("training", model, batch_size=size) for model, size in training),
        *(Measurement("rollout", *sizes) for sizes in rollouts),
        *(Measurement("precision", model) for model in ("nbody",)),
        *(Measurement("training", model, batch_size=size) for model, size in rest),
        *(Measurement("rollout", *sizes) for sizes in more),
    ]
    plain = [each for each in found if each.kind != "precision"]
    return [*found, *(dataclasses.replace(each, is_compiled=False) for each in plain)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="file of all figures, JSON")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of titles, such as training or thesis")
    parser.add_argument("--seconds", type=float, default=240.0, help="for everything; what no longer fits is left out")
    parser.add_argument("--processes", type=int, default=3, help="one measures while the others compile")
    parser.add_argument("--small", action="store_true", help="tiny networks, systems and batches")
    arguments = parser.parse_args()
    results = {"small": arguments.small, "processes": arguments.processes, "measurements": {}}

    def note(measured, line):
        results.update(line.pop("machine", {}))
        results["measurements"][measured.full_title] = line
        print(f"{measured.full_title}: {text(line)}", flush=True)
        write_json(arguments.output, results)

    measure(arguments, note)
    print(f"\ncard {results.get('card')}, TensorFlow {results.get('tensorflow')}{tables(results['measurements'])}")


def measure(arguments, note):
    """Call `note` with each of the chosen measurements and its figures, or the reason why there are none."""
    end = time.monotonic() + arguments.seconds
    chosen = [each for each in measurements() if any(part in each.title for part in arguments.only)]
    groups = collections.defaultdict(list)  # what one process should measure, since it loads a model once for all sizes
    for each in chosen:
        groups[each.title if each.kind == "training" else each.model, each.is_compiled].append(each)
    waiting, lock = list(groups.values()), threading.Lock()
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, WORKER, Path(directory) / "lock", *["--small"] * arguments.small]

        def work_off():
            worker = Worker(command)
            while True:
                with lock:
                    group = waiting.pop(0) if waiting else []
                if not group:
                    break
                for measured in group:
                    figures = worker.measure(measured, min(LIMIT, end - time.monotonic()))
                    with lock:
                        note(measured, figures)
            worker.stop()

        threads = [threading.Thread(target=work_off) for _ in range(arguments.processes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class Worker:
    """A process of gpu_measurements.py, which is started anew when it ended or took too long."""

    def __init__(self, command):
        self.command, self.process = command, None

    def measure(self, measured, seconds):
        """Figures of a measurement, or the reason why there are none after so many seconds."""
        if seconds <= 0:
            return {"error": "no time left"}
        if self.process is None:
            environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self.process = subprocess.Popen(self.command, text=True, env=environment, **pipes)
            self.printed = queue.Queue()
            threading.Thread(target=forward, args=(self.process.stdout, self.printed), daemon=True).start()
        try:
            self.process.stdin.write(json.dumps(dataclasses.asdict(measured)) + "\n")
            self.process.stdin.flush()
            line = self.printed.get(timeout=seconds)
        except queue.Empty:
            self.stop()
            return {"error": f"took more than the {seconds:.0f} s left for it"}
        except BrokenPipeError:
            line = None
        if line is None:
            code = self.process.wait()
            self.stop()
            return {"error": f"the process ended with {code}"}
        return line

    def stop(self):
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def forward(stream, printed):
    """Put each line of JSON into a queue, and None at the end."""
    with contextlib.suppress(ValueError):  # of a stream that was closed
        for line in stream:
            if line.startswith("{"):
                printed.put(json.loads(line))
    printed.put(None)


def text(figures):
    """Figures on one line."""
    return ", ".join(f"{name.replace('_', ' ')} {shown(value)}" for name, value in figures.items() if value is not None)


def shown(value):
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return " to ".join(map(shown, value)) if isinstance(value, list) else str(value)


def tables(found):
    """Compiled against not, one row per title, in Markdown."""
    rows = []
    for kind, figure, title in (
        ("training", "milliseconds", "ms / step"),
        ("rollout", "scene_frames_per_second", "scene-frames / s"),
    ):
        rows += [
            "",
            f"| {kind} | {title} | compiled | times faster | target | peak GiB | compiled | target | compiling s |",
        ]
        rows.append("|---" + "|---:" * 8 + "|")
        for measured in dict.fromkeys(each for each in measurements() if each.kind == kind and each.is_compiled):
            both = (dataclasses.replace(measured, is_compiled=False), measured)
            plain, compiled = (found.get(each.full_title, {}) for each in both)
            if plain or compiled:
                cells = [
                    *(each.get(figure) for each in (plain, compiled)),
                    gain(plain, compiled),
                    TARGETS.get(measured.title, {}).get(figure),
                    *(each.get("peak_gib") for each in (plain, compiled)),
                    TARGETS.get(measured.title, {}).get("peak_gib"),
                    compiled.get("first_calls_seconds"),
                ]
                texts = ["" if cell is None else shown(cell) for cell in cells]
                rows.append(f"| {measured.title.removeprefix(kind)} | {' | '.join(texts)} |")
    return "\n".join(rows)


def gain(plain, compiled):
    """How many times faster the compiled one is."""
    seconds = [each.get("median_seconds") for each in (plain, compiled)]
    return seconds[0] / seconds[1] if all(seconds) else None


if __name__ == "__main__":
    main()
