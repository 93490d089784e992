"""`python -m socialmd_tf.simulate_charges`: simulate the charged particles of Kipf et al. 2018."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from pipelines.nbody.charged_box import simulate
from pipelines.nbody.config import ChargedBoxConfig
from socialmd_tf.commands import load_tensorflow, parse, run

PROG = "python -m socialmd_tf.simulate_charges"


@dataclasses.dataclass(frozen=True)
class SimulateChargesCommand:
    """Simulate charges in a box with elastic walls: the benchmark of Kipf et al. 2018 (NRI).

    Writes a dataset with training, validation and test splits, and the true velocities in velocities/. The same seed
    gives the same bytes, and a larger dataset begins with the simulations of a smaller one. If the command is
    interrupted, run it again to resume. The defaults, 70 000 simulations as in the paper, take some minutes and half
    a gigabyte.
    """

    output: Path
    """Directory of the dataset: new, empty, or a dataset made with the same flags."""
    config: Annotated[ChargedBoxConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=ChargedBoxConfig)


def command_line(config: ChargedBoxConfig) -> str:
    """The command that makes this dataset, with every flag except the output directory."""
    flags = [f"--{name.replace('_', '-')} {value}" for name, value in dataclasses.asdict(config).items()]
    return " ".join([PROG, *flags])


def main() -> None:
    """Parse the flags, simulate, print a summary."""
    command = parse(SimulateChargesCommand, prog=PROG)
    load_tensorflow()
    manifest = simulate(command.config, command.output, command=command_line(command.config))
    counts = ", ".join(f"{len(files)} for {split}" for split, files in manifest.splits.items())
    print(f"{command.output}: simulations: {counts}")


if __name__ == "__main__":
    run(main)
