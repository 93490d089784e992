"""The real model server in a container, for machines with Docker: `.ci/serving-with-docker`.

The tests of the client take it instead of `socialmd-tf serve` when the environment variable
SOCIALMD_TF_SERVING_IMAGE names the image.
"""

import contextlib
import dataclasses
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from socialmd_tf.serving import Client, assets

PORTS = {"grpc": 8500, "rest": 8501}
SECONDS_TO_LOAD = 300


@dataclasses.dataclass(frozen=True)
class Container:
    """A running model server."""

    name: str
    id: str

    def address(self, protocol: str) -> str:
        return docker("port", self.id, str(PORTS[protocol])).splitlines()[0]

    def log(self) -> str:
        return docker("logs", "--tail", "50", self.id)


def docker(*arguments: str) -> str:
    """Run a Docker command and return its output."""
    result = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"docker {' '.join(arguments)}: {result.stderr}"
    return result.stdout.strip()


def is_ready(container: Container, version: int) -> bool:
    """Whether the server has loaded a version."""
    with Client(container.address("rest"), container.name, version=version, protocol="rest") as client:
        return client.is_ready()


@contextlib.contextmanager
def serving_in_docker(directory: Path, image: str, config_directory: Path) -> Iterator[Container]:
    """Serve every version of `saved_models/NAME` on free ports of 127.0.0.1, until the context ends.

    Args:
        directory: `saved_models/NAME`.
        image: Name and tag.
        config_directory: An empty directory for the server's configuration.
    """
    (config_directory / "models.config").write_text(assets.models_config([directory.name], policy="all {}"))
    identity = docker(
        *("run", "--detach", "--rm", "--entrypoint", "tensorflow_model_server"),
        *(part for port in PORTS.values() for part in ("--publish", f"127.0.0.1::{port}")),
        *("--volume", f"{directory.parent.absolute()}:/models:ro"),
        *("--volume", f"{config_directory.absolute()}:/config:ro"),
        *(image, "--port=8500", "--rest_api_port=8501", "--model_config_file=/config/models.config"),
    )
    try:
        container, started = Container(directory.name, identity), time.monotonic()
        versions = [int(path.name) for path in directory.iterdir() if path.name.isdecimal()]
        while not all(is_ready(container, version) for version in versions):
            assert time.monotonic() - started < SECONDS_TO_LOAD, container.log()
            time.sleep(1)
        yield container
    finally:
        docker("rm", "--force", identity)
