"""`python -m socialmd_tf.simulate`: simulate a dataset of N-body systems or of another law of motion."""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pipelines.laws.config import CoulombConfig, LawConfig, LennardJonesConfig, SpringsConfig, TrapConfig
from pipelines.laws.dataset import write_dataset
from pipelines.manifest import Manifest
from pipelines.nbody.config import SimulationConfig
from pipelines.nbody.simulate import simulate
from pipelines.workers import Workers
from socialmd_tf.commands import load_tensorflow, parse, run

PROG = "python -m socialmd_tf.simulate"


@dataclasses.dataclass(frozen=True)
class _Command:
    output: Path
    """Directory of the dataset: new, empty, or a dataset made with the same flags."""
    workers: Annotated[Workers, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=Workers, kw_only=True)
    law: Literal["nbody", "springs", "trap", "lennard-jones", "coulomb"] = "nbody"
    """Law of motion. Each law has its own flags: add --help to see them."""


@dataclasses.dataclass(frozen=True)
class SimulateCommand(_Command):
    """Simulate N-body systems of charges and masses.

    Writes a dataset with training, validation and test splits. The same seed gives the same bytes. If the command
    is interrupted, run it again to resume. The defaults are those of the thesis's second experiment and take some
    minutes.
    """

    config: Annotated[SimulationConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=SimulationConfig)


@dataclasses.dataclass(frozen=True)
class SpringsCommand(_Command):
    """Simulate springs of rest length 0 on a random graph.

    U = sum over edges of k r^2 / 2. The bonds are written beside every trajectory. If the command is interrupted, run
    it again to resume.
    """

    config: Annotated[SpringsConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=SpringsConfig)


@dataclasses.dataclass(frozen=True)
class TrapCommand(_Command):
    """Simulate soft disks (spheres) in a harmonic trap with friction.

    U = sum over pairs closer than d of epsilon (1 - r / d)^2 / 2 + sum over particles of k |x|^2 / 2. With a
    temperature the motion is Langevin dynamics. If the command is interrupted, run it again to resume.
    """

    config: Annotated[TrapConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=TrapConfig)


@dataclasses.dataclass(frozen=True)
class LennardJonesCommand(_Command):
    """Simulate a Lennard-Jones liquid in a periodic square (cube).

    U = sum over pairs of 4 (r^-12 - r^-6) S(r), where S falls smoothly from 1 to 0. Positions are written unwrapped,
    the box in the manifest. If the command is interrupted, run it again to resume.
    """

    config: Annotated[LennardJonesConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(
        default_factory=LennardJonesConfig
    )


@dataclasses.dataclass(frozen=True)
class CoulombCommand(_Command):
    """Simulate charges of -1 and 1 in open space with clipped forces.

    U = sum over pairs of k q_i q_j / r. Forces are clipped as in the charged particles of Kipf et al. 2018. If the
    command is interrupted, run it again to resume.
    """

    config: Annotated[CoulombConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=CoulombConfig)


_COMMANDS = {
    "springs": SpringsCommand,
    "trap": TrapCommand,
    "lennard-jones": LennardJonesCommand,
    "coulomb": CoulombCommand,
}


def command_line(config: SimulationConfig | LawConfig, law: str = "nbody") -> str:
    """The command that makes this dataset, with every flag.

    Args:
        config: Configuration of the dataset.
        law: Its law.

    Returns:
        One line, without the output directory: the content of a dataset does not depend on its place.
    """
    choice = [] if law == "nbody" else [f"--law {law}"]
    flags = [_flag(name.replace("_", "-"), value) for name, value in dataclasses.asdict(config).items()]
    return " ".join([PROG, *choice, *flags])


def _flag(name: str, value: object) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name} {value}"


def main() -> None:
    """Parse the flags, simulate, print a summary."""
    command = parse(_COMMANDS.get(_law(sys.argv[1:]), SimulateCommand), prog=PROG)
    if isinstance(command, SimulateCommand):
        load_tensorflow()
        print(simulate(command.config, command.output, command=command_line(command.config), workers=command.workers))
    else:
        line = command_line(command.config, command.law)
        manifest = write_dataset(command.config, command.output, command=line, workers=command.workers)
        print(_summary(command, manifest))


def _law(args: list[str]) -> str | None:
    """The law that the flags choose; whether it exists is checked when all flags are parsed."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--law", nargs="?")
    law: str | None = parser.parse_known_args(args)[0].law
    return law


def _summary(command: _Command, manifest: Manifest) -> str:
    counts = ", ".join(f"{len(files)} for {split}" for split, files in manifest.splits.items())
    box = f"; periodic box {' x '.join(f'{side:.6g}' for side in manifest.box)}" if manifest.box else ""
    return f"{command.output}: simulations of {command.law} in {manifest.num_dimensions}D: {counts}{box}"


if __name__ == "__main__":
    run(main)
