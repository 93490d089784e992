"""`python -m socialmd_tf.serve`: serve exported models on this machine, as TensorFlow Serving would."""

import dataclasses
import importlib.util
import os
import shlex
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from pipelines.errors import UserError, require
from pipelines.extras import install_command
from socialmd_tf import commands
from socialmd_tf.serving.server.source import Source, find_source

if TYPE_CHECKING:
    from socialmd_tf.serving.server.grpc_server import GrpcServer
    from socialmd_tf.serving.server.models import Models
    from socialmd_tf.serving.server.rest_server import RestServer

PROG = "python -m socialmd_tf.serve"
_SECONDS_BETWEEN_LOOKS = 1.0  # for new versions, as TensorFlow Serving


@dataclasses.dataclass(frozen=True)
class ServeCommand:
    """Serve exported models on this machine, over the REST and gRPC interfaces of TensorFlow Serving.

    The server listens on 127.0.0.1 only. It needs neither Docker nor TensorFlow Serving, and prints how to start
    those, for many callers or other machines. It loads versions that are exported while it runs. Ctrl-C stops it.
    """

    saved_models: tyro.conf.Positional[Path] = Path("saved_models")
    """Models to serve: a directory of models, one model (saved_models/NAME), or one version
    (saved_models/NAME/VERSION)."""
    rest_port: int = 8501
    """Port for REST; 0 takes a free one."""
    grpc_port: int = 8500
    """Port for gRPC; 0 takes a free one. gRPC needs the libraries grpcio and tensorflow-serving-api."""
    all_versions: bool = False
    """Serve all versions of each model, not only the newest."""

    def __post_init__(self) -> None:
        for name in ("rest_port", "grpc_port"):
            port = getattr(self, name)
            require(0 <= port < 2**16, name, "a port from 0 to 65535", port)
        if self.rest_port == self.grpc_port != 0:
            raise UserError(f"`grpc_port` must differ from `rest_port`. Received: {self.grpc_port} for both")


def main() -> None:
    """Run the command."""
    command = commands.parse(ServeCommand, prog=PROG)
    for number in (signal.SIGINT, signal.SIGTERM):  # shells start background processes with Ctrl-C ignored
        signal.signal(number, signal.default_int_handler)
    try:
        serve(command)
    except KeyboardInterrupt:
        print("stopped", flush=True)
        os._exit(0)  # Python would wait for rollouts that still run, which nothing can interrupt


def serve(command: ServeCommand) -> None:
    """Serve until Ctrl-C.

    Args:
        command: What to serve, and where.

    Raises:
        UserError: There is no model that can be loaded, or a port is in use.
    """
    source = find_source(command.saved_models, command.all_versions)
    for name in ("rest_port", "grpc_port") if _has_grpc() else ("rest_port",):  # refused before the slow start
        _check_is_free(name, getattr(command, name))
    print(f"loading {', '.join(source.directories)}", flush=True)
    commands.load_tensorflow()
    from socialmd_tf.serving.server.models import Models

    models = Models(source)
    lines = models.refresh()
    if not models.has_any():
        raise UserError("; ".join(lines))
    print("\n".join(lines), flush=True)
    servers = _start(models, command)  # kept: a gRPC server that is forgotten stops
    print(_alternatives(source, [server.port for server in servers]))
    print("Serving. The first request to each signature takes some seconds longer. Ctrl-C stops.", flush=True)
    while True:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
        for line in models.refresh():
            print(line, flush=True)


def _start(models: "Models", command: ServeCommand) -> "list[RestServer | GrpcServer]":
    """Start the servers: REST, and gRPC if its libraries are installed."""
    from socialmd_tf.serving.server.rest_server import RestServer

    rest = RestServer(models, command.rest_port)
    rest.start()
    print(f"REST at http://127.0.0.1:{rest.port}")
    if not _has_grpc():
        print(f"no gRPC: it needs {install_command('serving')}")
        return [rest]
    from socialmd_tf.serving.server.grpc_server import GrpcServer

    grpc = GrpcServer(models, command.grpc_port)
    grpc.start()
    print(f"gRPC at 127.0.0.1:{grpc.port}")
    return [rest, grpc]


def _has_grpc() -> bool:
    return all(map(importlib.util.find_spec, ("grpc", "tensorflow_serving")))


def _check_is_free(name: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"`{name}` must be a free port, or 0. Received: {port} ({reason})") from None


def _alternatives(source: Source, ports: list[int]) -> str:
    """How to serve the same with TensorFlow Serving; every command can be copied with its line."""
    parent = shlex.quote(str(next(iter(source.directories.values())).parent))
    return f"""
TensorFlow Serving, for many callers, serves the same in place of this server:

{source.command(*ports)}

or in Docker, the newest version of all models on the ports 8500 and 8501:

python -m socialmd_tf.serving --saved-models {parent} --output serving
docker compose --project-directory serving up --detach --wait
"""


if __name__ == "__main__":
    commands.run(main)
