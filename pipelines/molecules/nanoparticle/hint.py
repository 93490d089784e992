"""The command that turns simulated nanoparticles into a dataset."""

import shlex
from pathlib import Path

from pipelines.errors import UserError
from pipelines.molecules.config import MoleculesConfig
from pipelines.molecules.nanoparticle.beads import GROUPS, TETHER
from pipelines.molecules.nanoparticle.config import NanoparticleConfig
from pipelines.molecules.splits import cut, cut_simulations


def prepare_command(config: NanoparticleConfig, folder: Path) -> str:
    """A `prepare` command that accepts the simulations, with the beads that hold the strands as anchors.

    Whole simulations go to the splits if there are enough of them; otherwise each simulation is split in time.

    Args:
        config: The simulations.
        folder: Directory that holds them.

    Returns:
        One line; the output directory is left open.
    """
    defaults = MoleculesConfig(trajectory=(folder,))
    words = [f"python -m socialmd_tf.prepare --trajectory {shlex.quote(str(folder))}/*"]
    lengths = [config.num_frames]
    try:
        cut_simulations(config.num_simulations, defaults.fractions)
        words.append("--split-by file")
    except UserError:
        lengths = [len(frames) for frames in cut(config.num_frames, defaults.fractions).values()]
    if min(lengths) < defaults.min_frames:
        words.append(f"--min-frames {max(min(lengths), 1)}")
    if min(lengths) < 1:
        words.append("--fractions 1 0 0")
    drugs = dict.fromkeys(map(config.drug_of, range(config.num_simulations)))  # of `both`, few have one
    names = dict.fromkeys(name for drug in drugs for name in GROUPS[drug][:2])
    words.append(f"--molecules {' '.join(names)} --anchor {TETHER}")
    words.append(f"--time-between-frames {config.time_between_frames:g} --output DIR")
    return " ".join(words)
