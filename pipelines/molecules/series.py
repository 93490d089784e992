"""Which files belong to which simulation, and in what order."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from pipelines.errors import UserError
from pipelines.molecules.config import MoleculesConfig, numerical_key


@dataclasses.dataclass(frozen=True)
class Simulation:
    """One simulation on disk."""

    topology: Path
    """The file that names the molecules."""
    parts: tuple[Path, ...]
    """Its trajectory files, in the order of time."""

    @property
    def label(self) -> str:
        """Name for messages: the file, or the directory of the parts."""
        return str(self.parts[0] if len(self.parts) == 1 else self.parts[0].parent)


def find_simulations(config: MoleculesConfig) -> list[Simulation]:
    """Group the files of a configuration into simulations.

    Args:
        config: `trajectory`, `topology` and `split_by`.

    Returns:
        The simulations, in the order given.

    Raises:
        UserError: A file is missing, a directory is empty, files and directories are mixed, or the number of
            topologies is neither 0, 1 nor the number of simulations.
    """
    for path in (*config.trajectory, *config.topology):
        if not path.exists():
            raise UserError(f"{path}: no such file")
    directories = [path for path in config.trajectory if path.is_dir()]
    if config.split_by == "file":
        series = [parts_of(path) if path.is_dir() else (path,) for path in config.trajectory]
    elif not directories:
        series = [_numerical_if_alphabetical(config.trajectory)]
    elif len(directories) == len(config.trajectory):
        series = [parts_of(path) for path in directories]
    else:
        raise UserError(
            "`trajectory` must be files of one simulation, or directories of one simulation each. Received both; "
            f"{directories[0]} is a directory"
        )
    topologies = config.topology or tuple(parts[0] for parts in series)
    if len(topologies) == 1:
        topologies *= len(series)
    if len(topologies) != len(series):
        raise UserError(
            f"`topology` must be one file, or one for each of the {len(series)} simulations. "
            f"Received: {len(topologies)}"
        )
    return [Simulation(topology, parts) for topology, parts in zip(topologies, series, strict=True)]


def _numerical_if_alphabetical(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The alphabetical order of a shell's `*` becomes numerical; another order is kept."""
    alphabetical = [str(path) for path in paths] == sorted(str(path) for path in paths)
    return tuple(sorted(paths, key=numerical_key) if alphabetical else paths)


def parts_of(directory: Path) -> tuple[Path, ...]:
    """The files of a simulation in a directory, in numerical order.

    Raises:
        UserError: There are none, or files of several kinds.
    """
    files = [path for path in directory.iterdir() if path.is_file() and not path.name.startswith(".")]
    if not files:
        raise UserError(f"{directory}: expected the trajectory files of a simulation, found none")
    kinds = sorted({path.suffix for path in files})
    if len(kinds) > 1:
        raise UserError(f"{directory}: expected trajectory files of one kind, found {', '.join(kinds)}")
    return tuple(sorted(files, key=numerical_key))
