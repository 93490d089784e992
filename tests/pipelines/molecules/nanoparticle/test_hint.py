import shlex
from pathlib import Path

import numpy as np
import pytest

from pipelines.molecules.nanoparticle.beads import build
from pipelines.molecules.nanoparticle.config import NanoparticleConfig
from pipelines.molecules.nanoparticle.hint import prepare_command
from pipelines.molecules.nanoparticle.pdb_writer import pdb_text
from pipelines.molecules.prepare import prepare
from socialmd_tf.commands import parse
from socialmd_tf.prepare import PrepareCommand


@pytest.mark.slow_cases(all_but=["1-1", "2-12", "40-4", "5-5"])
@pytest.mark.parametrize("num_simulations", [1, 2, 4, 5, 12])
@pytest.mark.parametrize("num_frames", [1, 2, 5, 40])
def test_prepare_accepts_the_command(tmp_path, num_simulations, num_frames, drug="hydrophobic"):
    """Without OpenMM: all frames are the initial positions."""
    size = {"num_strands": 4, "chain_beads": 1, "head_beads": 2}
    config = NanoparticleConfig(num_simulations=num_simulations, num_frames=num_frames, drug=drug, **size)
    for index in range(num_simulations):
        beads = build(config, index)
        folder = tmp_path / "simulations" / f"{index:05d}"
        folder.mkdir(parents=True)
        for frame in range(num_frames):
            (folder / f"frame_{frame:02d}.pdb").write_text(pdb_text(beads, beads.positions, frame, frame))
    words = shlex.split(prepare_command(config, tmp_path / "simulations"))
    assert words[:3] == ["python", "-m", "socialmd_tf.prepare"]
    flags = [str(path) for word in words[3:] for path in (sorted(Path(word[:-1]).iterdir()) if "*" in word else [word])]
    flags[flags.index("DIR")] = str(tmp_path / "data")
    command = parse(PrepareCommand, prog="prepare", args=flags)
    summary = prepare(command.config, command.output, command="")
    assert sum(record.num_frames for record in summary.records) == num_simulations * num_frames
    assert np.load(tmp_path / "data" / "train" / "00000.npy").shape[1:] == (4, 3 + len(command.config.features))


def test_of_both_drugs_only_those_that_were_simulated_are_named(tmp_path):
    test_prepare_accepts_the_command(tmp_path, 1, 40, "both")
    config = NanoparticleConfig(num_simulations=4, drug="both")
    assert "--molecules OQL ONC PAN" in prepare_command(config, tmp_path)
