"""`python -m socialmd_tf.nanoparticle`: simulate coarse-grained nanoparticles."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from pipelines.molecules.nanoparticle.config import NanoparticleConfig
from pipelines.molecules.nanoparticle.generate import generate
from socialmd_tf.commands import parse, run

PROG = "python -m socialmd_tf.nanoparticle"


@dataclasses.dataclass(frozen=True)
class NanoparticleCommand:
    """Simulate coarse-grained nanoparticles that carry a drug, a PDB file a frame: something to try `prepare` on.

    A stand-in for the thesis's all-atom simulations, which are not public. A gold core (AU) carries strands that end in
    a drug (OCQ, OQL) or a background molecule (OCN, ONC). The solvent is implicit: beads attract each other the more
    the more hydrophobic they are. Heads begin equal; then hydrophobic drugs sink in and the background comes to the
    surface. Needs the extra `openmm`: pip install 'socialmd_tf[openmm]'. A run that was stopped goes on when the same
    command is run again. A simulation of 2 000 beads takes minutes on one core.
    """

    output: Path
    """Directory of the simulations; new, empty, or one of the same flags."""
    config: Annotated[NanoparticleConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(
        default_factory=NanoparticleConfig
    )


def main() -> None:
    """Parse the flags, simulate, print the summary."""
    command = parse(NanoparticleCommand, prog=PROG)
    print(generate(command.config, command.output))


if __name__ == "__main__":
    run(main)
