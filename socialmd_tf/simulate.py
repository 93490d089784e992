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
    """Simulate N-body systems of charges and masses: trajectories to learn from.

    Writes a dataset of three splits. The same seed gives the same bytes; a run that was stopped continues
    when the same command is run again. The defaults, the thesis's second experiment, take some minutes.
    """

    output: Path
    """Directory of the dataset; new, empty, or a dataset of the same flags."""
    config: Annotated[SimulationConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=SimulationConfig)


def command_line(config: SimulationConfig) -> str:
    """The command that gives this dataset, every flag spelled out.

    Args:
        config: The dataset.

    Returns:
        One line. The output directory is left out: what a dataset says doesn't depend on where it is.
    """
    flags = [f"--{name.replace('_', '-')} {value}" for name, value in dataclasses.asdict(config).items()]
    return " ".join([PROG, *flags])


def main() -> None:
    """Parse the flags, simulate, print the summary."""
    command = parse(SimulateCommand, prog=PROG)
    load_tensorflow()
    print(simulate(command.config, command.output, command=command_line(command.config)))


if __name__ == "__main__":
    run(main)
