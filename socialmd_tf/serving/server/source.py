"""Which versions of which models a server offers."""

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pipelines.errors import UserError
from socialmd_tf.export.versions import SAVED_MODEL
from socialmd_tf.serving import assets


@dataclasses.dataclass(frozen=True)
class Source:
    """Directories of models, and the versions to serve."""

    directories: Mapping[str, Path]
    """Name of a model -> absolute path of NAME, which holds VERSION/. All have the same parent."""
    versions: Literal["newest", "all"] | int
    """The newest version of each model, which is also TensorFlow Serving's default, or all of them, or only this."""

    def wanted(self, name: str) -> dict[int, Path]:
        """Version -> directory of what is to be served of a model now; empty if there is nothing."""
        entries = self.directories[name].glob(f"*/{SAVED_MODEL}")
        found = {int(entry.parent.name): entry.parent for entry in entries if entry.parent.name.isdecimal()}
        if self.versions == "all":
            return found
        chosen = max(found, default=0) if self.versions == "newest" else self.versions
        return {chosen: found[chosen]} if chosen in found else {}

    def command(self, rest_port: int, grpc_port: int = 8500) -> str:
        """The shell commands that make TensorFlow Serving serve the same, on the same ports.

        A single model is named on the command line. Several models, or other versions than the newest, need a file.
        """
        start = f"tensorflow_model_server --port={grpc_port} --rest_api_port={rest_port}"
        if len(self.directories) == 1 and self.versions == "newest":
            ((name, directory),) = self.directories.items()
            return f"{start} --model_name={name} --model_base_path={shlex.quote(str(directory))}"
        policies = {"newest": "", "all": "all {}"}
        policy = policies.get(str(self.versions), f"specific {{ versions: {self.versions} }}")
        parent = next(iter(self.directories.values())).parent
        config = assets.models_config(list(self.directories), str(parent), policy)
        return f"cat > models.config <<'END'\n{config}END\n{start} --model_config_file=models.config"


def find_source(path: Path, all_versions: bool = False) -> Source:
    """Find the models to serve.

    Args:
        path: `saved_models` for all of its models, `saved_models/NAME` for one, or `saved_models/NAME/VERSION` for one
            version.
        all_versions: Whether to serve every version instead of the newest.

    Raises:
        UserError: There is no model, or a name is not allowed in a URL.
    """
    path = path.absolute()
    policy: Literal["newest", "all"] = "all" if all_versions else "newest"
    if (path / SAVED_MODEL).exists():
        if not path.name.isdecimal():
            raise UserError(f"a served SavedModel must lie in NAME/VERSION, with a number VERSION. Received: {path}")
        assets.check_name(path.parent.name)
        return Source({path.parent.name: path.parent}, int(path.name))
    if any(entry.parent.name.isdecimal() for entry in path.glob(f"*/{SAVED_MODEL}")):
        assets.check_name(path.name)
        return Source({path.name: path}, policy)
    return Source({name: path / name for name in assets.model_names(path)}, policy)
