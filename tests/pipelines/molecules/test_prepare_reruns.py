import json

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.molecules.prepare import prepare
from pipelines.validation import check
from tests.pipelines.molecules.systems import BOX, config_of, contents, nanoparticle, walk, write_pdb

FRAME = 12


@pytest.fixture
def files(tmp_path):
    """Two simulations of 40 frames and a re-run of the second from frame 12 on, in a box; its true positions."""
    molecules, first = nanoparticle()
    paths = [walk(first, 40, seed=seed) for seed in range(2)]
    again = walk(paths[1][FRAME], 30, seed=5)
    for name, frames in (("a", paths[0]), ("b", paths[1]), ("again", again)):
        write_pdb(tmp_path / f"{name}.pdb", molecules, (frames + np.array([8.0, 0, 0])) % np.array(BOX), box=BOX)
    return again


def listed(directory, **entries):
    path = directory / "reruns.json"
    path.write_text(json.dumps(entries or {"again.pdb": {"of": "b.pdb", "frame": FRAME}}))
    return path


def config(directory, reruns, **changes):
    by_file = {"split_by": "file", "fractions": (0.5, 0.0, 0.5)}
    return config_of(directory / "a.pdb", directory / "b.pdb", reruns=(reruns,), **{**by_file, **changes})


def test_a_rerun_continues_from_the_frame(files, tmp_path):
    summary = prepare(config(tmp_path, listed(tmp_path)), tmp_path / "data", command="")
    manifest = Manifest.load(tmp_path / "data")
    assert manifest.reruns == {"reruns/00000.npy": {"of": "test/00001.npy", "frame": FRAME}}
    assert manifest.files == ["train/00000.npy", "test/00001.npy"]
    original, again = (np.load(tmp_path / "data" / name) for name in ("test/00001.npy", "reruns/00000.npy"))
    np.testing.assert_allclose(again[0], original[FRAME], atol=1e-6)
    expected = (files[:, [6, 9, 12, 15, 18, 21]] - files[:, [2]]) / 10
    np.testing.assert_allclose(again[..., :3], expected, atol=3e-4)
    assert "re-runs: 1, of 1 file" in str(summary)
    check(tmp_path / "data", min_frames=3)


def test_split_in_time_the_frame_is_that_of_the_part(files, tmp_path):
    reruns = listed(tmp_path, **{"again.pdb": {"of": "b.pdb", "frame": FRAME}})
    values = {"split_by": "time", "fractions": (0.25, 0.25, 0.5)}
    settings = config_of(tmp_path / "b.pdb", reruns=(reruns,), **values)
    prepare(settings, tmp_path / "data", command="")
    assert Manifest.load(tmp_path / "data").reruns == {"reruns/00000.npy": {"of": "validation/00000.npy", "frame": 2}}
    check(tmp_path / "data")


def test_the_same_command_writes_missing_reruns(files, tmp_path):
    settings = config(tmp_path, listed(tmp_path))
    prepare(settings, tmp_path / "whole", command="")
    prepare(settings, tmp_path / "data", command="")
    for name in ("dataset.json", "reruns/00000.json", "reruns/00000.npy"):
        (tmp_path / "data" / name).unlink()
    prepare(settings, tmp_path / "data", command="")
    assert contents(tmp_path / "data") == contents(tmp_path / "whole")
    assert prepare(settings, tmp_path / "data", command="").was_complete
    listed(tmp_path, **{"again.pdb": {"of": "b.pdb", "frame": FRAME}, "a.pdb": {"of": "a.pdb", "frame": 0}})
    with pytest.raises(UserError, match="holds a dataset of 1 re-runs, `--reruns` has 2"):
        prepare(settings, tmp_path / "data", command="")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            {"again.pdb": {"of": "a.pdb", "frame": FRAME}},
            "{0}/again.pdb: not a re-run of {0}/a.pdb: expected its posit",
        ),
        (
            {"again.pdb": {"of": "b.pdb", "frame": 13}},
            "{0}/again.pdb: not a re-run of {0}/b.pdb: expected its positions",
        ),
        (
            {"again.pdb": {"of": "b.pdb", "frame": 40}},
            "{0}/again.pdb: restarts frame 40 of a simulation of 40 frames; e",
        ),
        (
            {"again.pdb": {"of": "c.pdb", "frame": 1}},
            "{0}/reruns.json: again.pdb is a re-run of c.pdb, which is none of",
        ),
        ({"other.pdb": {"of": "b.pdb", "frame": 1}}, "{0}/reruns.json: other.pdb: no such file"),
        ({"again.pdb": {"of": "b.pdb"}}, "{0}/reruns.json: again.pdb: expected {{"),
        ({"again.pdb": {"of": "b.pdb", "frame": -1}}, "{0}/reruns.json: again.pdb: expected a `frame` of at least 0"),
    ],
)
def test_refuses_other_reruns(files, tmp_path, entries, message):
    with pytest.raises(UserError) as error:
        prepare(config(tmp_path, listed(tmp_path, **entries)), tmp_path / "data", command="")
    assert str(error.value).startswith(message.format(tmp_path))
    assert not (tmp_path / "data" / "dataset.json").exists()
    assert not list((tmp_path / "data").glob("reruns/*.npy"))


def test_refuses_lists_that_cannot_be_read(files, tmp_path):
    (tmp_path / "bad.json").write_text("[")
    for name, message in (("bad.json", "not JSON"), ("missing.json", "No such file")):
        with pytest.raises(UserError, match=message):
            prepare(config(tmp_path, tmp_path / name), tmp_path / "data", command="")
    with pytest.raises(UserError, match="`reruns` must be left out for flat slices"):
        config(tmp_path, listed(tmp_path), num_dimensions=2, slice_half_thickness=1.0)
