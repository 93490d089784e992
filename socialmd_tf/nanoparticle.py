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
    """Simulate coarse-grained nanoparticles that carry a drug, with one PDB file per frame: data to try `prepare` on.

    A stand-in for the all-atom simulations of the thesis, which are not public. A gold core (AU) carries strands that
    end in a drug (OCQ, OQL) or a background molecule (OCN, ONC). The solvent is implicit: beads attract each other in
    proportion to their hydrophobicity. All heads are equal at first; then hydrophobic drugs sink in and the background
    comes to the surface. Needs the extra `openmm`: pip install 'socialmd_tf[openmm]'. The same command completes a run
    that was stopped. A simulation of 2 000 beads takes minutes on one core.
    """

    output: Path
    """Directory of the simulations: new, empty, or begun with the same flags."""
    config: Annotated[NanoparticleConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(
        default_factory=NanoparticleConfig
    )


def main() -> None:
    """Parse the flags, simulate, print the summary."""
    command = parse(NanoparticleCommand, prog=PROG)
    print(generate(command.config, command.output))


if __name__ == "__main__":
    run(main)
