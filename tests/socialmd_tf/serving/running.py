"""Starts and ends `socialmd-tf serve` in a process of its own."""

import contextlib
import dataclasses
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
SECONDS_TO_START = 240

# The server ends with its standard input, too, so that it cannot outlive tests that were killed.
LAUNCH = """
import os, signal, sys, threading
def end_with_standard_input():
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=end_with_standard_input, daemon=True).start()
from socialmd_tf import commands, serve
commands.run(serve.main)
"""


@dataclasses.dataclass(frozen=True)
class Running:
    """A running server."""

    name: str
    process: subprocess.Popen[str]
    ports: dict[str, int]
    printed: str

    def address(self, protocol: str) -> str:
        return f"127.0.0.1:{self.ports[protocol]}"

    def resident_memory(self) -> int:
        """Bytes of memory that the process holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def stop(self) -> int:
        """Press Ctrl-C -> exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@contextlib.contextmanager
def serving(directory: Path, *arguments: str, program: Sequence[str] = ("-c", LAUNCH)) -> Iterator[Running]:
    """Serve `saved_models/NAME` on free ports, or those in the arguments, until the context ends."""
    free = [f"--{name}-port=0" for name in ("rest", "grpc") if not any(f"--{name}-port" in word for word in arguments)]
    process = subprocess.Popen(
        [sys.executable, *program, str(directory.absolute()), *free, *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        impatient = threading.Timer(SECONDS_TO_START, process.kill)
        impatient.start()
        try:
            printed = ""
            for line in process.stdout:
                printed += line
                if line.startswith("Serving."):
                    break
            impatient.cancel()
            ports = re.findall(r"^(REST|gRPC) at .*127.0.0.1:(\d+)$", printed, re.MULTILINE)
            yield Running(directory.name, process, {name.lower(): int(port) for name, port in ports}, printed)
        finally:
            impatient.cancel()
            process.kill()  # at once, whatever it does; `stop` is the clean end
