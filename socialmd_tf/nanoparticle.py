"""`python -m socialmd_tf.nanoparticle`: simulate coarse-grained nanoparticles."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from pipelines.errors import require
from pipelines.molecules.nanoparticle.config import NanoparticleConfig
from pipelines.molecules.nanoparticle.generate import generate
from pipelines.molecules.nanoparticle.reruns import RestartConfig, generate_reruns
from pipelines.workers import Workers
from socialmd_tf.commands import parse, run

PROG = "python -m socialmd_tf.nanoparticle"


@dataclasses.dataclass(frozen=True)
class NanoparticleCommand:
    """Simulate coarse-grained nanoparticles that carry a drug, with one PDB file per frame: data to try `prepare` on.

    A stand-in for the all-atom simulations of the thesis, which are not public. A gold core (AU) carries strands that
    end in a drug (OCQ, OQL; hydrophilic: OCP, PAN) or a background molecule (OCN, ONC). The solvent is implicit: beads
    attract each other in proportion to their hydrophobicity. All heads are equal at first; then hydrophobic drugs sink
    in and the background comes to the surface. Needs OpenMM (pip install openmm). The same
    command completes a run that was stopped. A simulation of 2 000 beads takes minutes on one core.

    With --restart-from, simulations are run again from one of their frames, with other random numbers: their
    differences are those that no prediction can avoid.
    """

    output: Path
    """Directory of the simulations: new, empty, or begun with the same flags."""
    config: Annotated[NanoparticleConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(
        default_factory=NanoparticleConfig
    )
    restart: Annotated[RestartConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=RestartConfig)
    workers: Annotated[Workers, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=Workers)

    def __post_init__(self) -> None:
        """Check the flags against each other."""
        for field in dataclasses.fields(self.config) if self.restart.restart_from else ():
            value = getattr(self.config, field.name)
            require(value == field.default, field.name, "left out beside `--restart-from`, which knows it", value)


def main() -> None:
    """Parse the flags, simulate, print the summary."""
    command = parse(NanoparticleCommand, prog=PROG)
    if command.restart.restart_from:
        print(generate_reruns(command.restart, command.output, command.workers))
    else:
        print(generate(command.config, command.output, command.workers))


if __name__ == "__main__":
    run(main)
