"""`python -m socialmd_tf.serving`: write the files that start TensorFlow Serving."""

import dataclasses
from pathlib import Path

from socialmd_tf import commands
from socialmd_tf.serving import assets


@dataclasses.dataclass(frozen=True)
class ServingCommand:
    """Write models.config, batching.config and docker-compose.yml for TensorFlow Serving.

    The server listens on 127.0.0.1 and serves the newest version of every model. A running server loads versions that
    are exported later. For a model with a new name, run this command again and restart the server.
    """

    saved_models: Path = Path("saved_models")
    """Directory of the models, which holds NAME/VERSION/."""
    output: Path = Path("serving")
    """Directory for the files. They refer to the models by a relative path."""


def main() -> None:
    """Run the command."""
    command = commands.parse(ServingCommand, prog="python -m socialmd_tf.serving")
    for path in assets.write(command.saved_models, command.output):
        print(f"wrote {path}")


if __name__ == "__main__":
    commands.run(main)
