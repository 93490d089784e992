"""Starts and ends the stand-in for TensorFlow Serving (see `stand_in_server.py`)."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]


@dataclasses.dataclass(frozen=True)
class StandIn:
    """A running stand-in server."""

    name: str
    process: subprocess.Popen[str]
    ports: dict[str, int]

    def address(self, protocol: str) -> str:
        return f"127.0.0.1:{self.ports[protocol]}"

    def resident_memory(self) -> int:
        """Bytes of memory that the process holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024


@contextlib.contextmanager
def serving(directory: Path, *arguments: str) -> Iterator[StandIn]:
    """Serve `saved_models/NAME` in a new process, until the context ends."""
    command = [sys.executable, "-m", "tests.socialmd_tf.serving.stand_in_server", str(directory.absolute()), *arguments]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        impatient = threading.Timer(240, process.kill)
        impatient.start()
        try:
            ports = process.stdout.readline()
            impatient.cancel()
            yield StandIn(directory.name, process, json.loads(ports))
        finally:
            impatient.cancel()
            process.kill()  # closing its input would also end it, but only after the current request
