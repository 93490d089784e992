import json

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.nanoparticle import generate
from pipelines.molecules.nanoparticle.config import NanoparticleConfig
from pipelines.molecules.nanoparticle.reruns import RestartConfig, generate_reruns
from pipelines.workers import Workers

pytest.importorskip("openmm")

CONFIG = NanoparticleConfig(
    num_simulations=2, num_strands=6, chain_beads=2, num_frames=12, steps_per_frame=10, relaxation_steps=20
)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    directory = tmp_path_factory.mktemp("originals")
    generate.generate(CONFIG, directory)
    return directory


def texts(folder):
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("frame", [0, 3, 4, 6])
def test_a_rerun_with_the_same_seed_is_the_simulation(originals, tmp_path, frame):
    """From stored states (0 and 4), and from frames between them."""
    folder = originals / "simulations" / "00001"
    generate_reruns(RestartConfig((folder,), frame, num_reruns=1, rerun_seed=CONFIG.seed), tmp_path / "out")
    expected = texts(folder)
    found = texts(tmp_path / "out" / "simulations" / f"00001_{frame:03d}_00")
    assert list(found) == list(expected)[frame:]
    assert found == {name: expected[name] for name in found}


def test_reruns_begin_at_the_frame_and_then_differ(originals, tmp_path):
    folder = originals / "simulations" / "00001"
    summary = generate_reruns(RestartConfig((folder,), 6, num_reruns=2), tmp_path / "out", workers=Workers(2))
    expected = texts(folder)
    first, second = (texts(tmp_path / "out" / "simulations" / f"00001_006_{number:02d}") for number in range(2))
    assert first["frame_06.pdb"] == second["frame_06.pdb"] == expected["frame_06.pdb"]
    assert len({each["frame_07.pdb"] for each in (first, second, expected)}) == 3
    listed = json.loads((tmp_path / "out" / "reruns.json").read_text())
    assert [each["frame"] for each in listed.values()] == [6, 6]
    for name, each in listed.items():
        assert (tmp_path / "out" / name).is_dir()
        assert (tmp_path / "out" / each["of"]).resolve() == folder.resolve()
    assert "--reruns" in str(summary)


def test_states_are_those_of_the_frames(originals):
    """At frames 0, 4 and 9 of 12."""
    states = np.load(originals / "states" / "00001.npy")
    assert states.shape == (3, 2, 6 * 7, 3) and states.dtype == np.float64
    lines = texts(originals / "simulations" / "00001")["frame_09.pdb"].splitlines()
    beads = [line for line in lines if line.startswith("HETATM") and line[17:20] != " AU"]
    written = [[float(line[start : start + 8]) for start in (30, 38, 46)] for line in beads]
    np.testing.assert_allclose(10 * states[2, 0], written, atol=6e-4)
    assert states[2, 1].std() > 0


def test_a_rerun_that_is_complete_is_kept(originals, tmp_path):
    config = RestartConfig((originals / "simulations" / "00000",), 4, num_reruns=2)
    generate_reruns(config, tmp_path / "out")
    complete = tmp_path / "out" / "simulations" / "00000_004_01"
    before = [path.stat().st_mtime_ns for path in complete.iterdir()]
    generate_reruns(config, tmp_path / "out")
    assert [path.stat().st_mtime_ns for path in complete.iterdir()] == before


def test_refuses_what_cannot_be_restarted(originals, tmp_path):
    folder = originals / "simulations" / "00000"
    rules = [
        ({"restart_from": (folder,), "frame": 11}, "`frame` must be at most 10, so that a frame of "),
        ({"restart_from": (tmp_path,), "frame": 2}, "`restart_from` must be simulations that `nanoparticle` made"),
        ({"restart_from": (folder, folder), "frame": 2}, "`restart_from` must be simulations of different numbers"),
    ]
    for fields, message in rules:
        with pytest.raises(UserError) as error:
            generate_reruns(RestartConfig(**fields), tmp_path / "out")
        assert str(error.value).startswith(message)
    with pytest.raises(UserError, match=r"^`frame` must be given with `--restart-from`, and only then"):
        RestartConfig((folder,))
    assert not (tmp_path / "out").exists()


def test_refuses_a_machine_that_does_not_repeat_the_motion(originals, tmp_path):
    folder = tmp_path / "copy" / "simulations" / "00000"
    for path in originals.rglob("*"):
        if path.is_file():
            target = tmp_path / "copy" / path.relative_to(originals)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    (folder / "frame_03.pdb").write_text((folder / "frame_02.pdb").read_text())
    with pytest.raises(UserError, match=r"does not repeat the motion up to frame 3; expected a `--frame` whose state"):
        generate_reruns(RestartConfig((folder,), 3), tmp_path / "out")
