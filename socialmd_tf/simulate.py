"""`python -m socialmd_tf.simulate`: simulate an N-body dataset."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from pipelines.nbody.config import SimulationConfig
from pipelines.nbody.simulate import simulate
from socialmd_tf.commands import load_tensorflow, parse, run

PROG = "python -m socialmd_tf.simulate"


@dataclasses.dataclass(frozen=True)
class SimulateCommand:
    """Simulate N-body systems of charges and masses.

    Writes a dataset with training, validation and test splits. The same seed gives the same bytes. If the command
    is interrupted, run it again to resume. The defaults are those of the thesis's second experiment and take some
    minutes.
    """

    output: Path
    """Directory of the dataset: new, empty, or a dataset made with the same flags."""
    config: Annotated[SimulationConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=SimulationConfig)


def command_line(config: SimulationConfig) -> str:
    """The command that makes this dataset, with every flag.

    Args:
        config: Configuration of the dataset.

    Returns:
        One line, without the output directory: the content of a dataset does not depend on its place.
    """
    flags = [f"--{name.replace('_', '-')} {value}" for name, value in dataclasses.asdict(config).items()]
    return " ".join([PROG, *flags])


def main() -> None:
    """Parse the flags, simulate, print a summary."""
    command = parse(SimulateCommand, prog=PROG)
    load_tensorflow()
    print(simulate(command.config, command.output, command=command_line(command.config)))


if __name__ == "__main__":
    run(main)
