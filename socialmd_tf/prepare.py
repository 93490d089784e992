"""`python -m socialmd_tf.prepare`: a dataset from molecular trajectories."""

import dataclasses
import shlex
from pathlib import Path
from typing import Annotated

import tyro

from pipelines.molecules.config import MoleculesConfig
from pipelines.molecules.prepare import prepare
from pipelines.workers import Workers
from socialmd_tf.commands import parse, run

PROG = "python -m socialmd_tf.prepare"


@dataclasses.dataclass(frozen=True)
class PrepareCommand:
    """Make a dataset from molecular dynamics: each selected molecule becomes a particle with its name as feature.

    The atom nearest to the geometric centre of a molecule in the first frame represents the molecule in all frames
    (--particles: centres of mass, or all atoms). Positions are relative to the centre (the gold core of a nanoparticle;
    --center none for liquids and membranes), without periodic jumps. Datasets of liquids have the periodic box of the
    trajectory. Molecules are told apart by chain, residue number and residue name. XTC and other formats need
    MDAnalysis (pip install MDAnalysis). The same command completes a run that was stopped.

    Example: --topology md.gro --trajectory md.xtc --molecules OQL ONC --output data/nanoparticle
    """

    output: Path
    """Directory of the dataset: new, empty, or begun with the same flags and input files."""
    config: Annotated[MoleculesConfig, tyro.conf.OmitArgPrefixes]
    workers: Annotated[Workers, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=Workers)


def command_line(config: MoleculesConfig) -> str:
    """The command that makes this dataset, with all flags.

    Args:
        config: The dataset.

    Returns:
        One line, without the output directory. Flags with neither value nor default are left out.
    """
    words = PROG.split()
    for name, value in ((field.name, getattr(config, field.name)) for field in dataclasses.fields(config)):
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
            continue
        values = value if isinstance(value, tuple) else () if value is None else (value,)
        if values:
            words += [f"--{flag}", *map(str, values)]
    return shlex.join(words)


def main() -> None:
    """Parse the flags, prepare, print the summary."""
    command = parse(PrepareCommand, prog=PROG)
    line = command_line(command.config)
    print(prepare(command.config, command.output, command=line, workers=command.workers))


if __name__ == "__main__":
    run(main)
