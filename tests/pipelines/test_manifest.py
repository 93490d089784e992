import json
import re
from pathlib import Path

import pytest

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.validation import check, validate

FIELDS = {
    "format": 1,
    "name": "tiny",
    "num_dimensions": 2,
    "features": ["mass", "charge"],
    "length_unit": "nm",
    "time_between_frames": 1e-4,
    "splits": {"train": ["train/0.npy"], "test": []},
    "provenance": {"seed": 0},
}


def write_fields(directory: Path, fields: object) -> Path:
    (directory / "dataset.json").write_text(json.dumps(fields), encoding="utf-8")
    return directory


def test_manifest_reads_the_promised_format(tmp_path):
    manifest = Manifest.load(write_fields(tmp_path, FIELDS))
    assert manifest == Manifest(
        name="tiny",
        num_dimensions=2,
        features=("mass", "charge"),
        length_unit="nm",
        time_between_frames=1e-4,
        splits={"train": ("train/0.npy",), "test": ()},
        provenance={"seed": 0},
    )


def test_manifest_survives_saving_and_equal_manifests_give_equal_bytes(tmp_path):
    manifest = Manifest.load(write_fields(tmp_path, FIELDS))
    for name in ("a", "b"):
        manifest.save(tmp_path / name)
        assert Manifest.load(tmp_path / name) == manifest
    assert (tmp_path / "a/dataset.json").read_bytes() == (tmp_path / "b/dataset.json").read_bytes()
    assert (tmp_path / "a/dataset.json").read_text(encoding="utf-8") == json.dumps(FIELDS, indent=2) + "\n"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["dataset.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "`format` must be 1. Received: 2"),
        ({"name": ""}, "`name` must be a text that is not empty. Received: ''"),
        ({"num_dimensions": 4}, "`num_dimensions` must be 2 or 3. Received: 4"),
        ({"num_dimensions": "2"}, "`num_dimensions` must be 2 or 3. Received: '2'"),
        ({"features": "mass"}, "`features` must be a list of texts. Received: 'mass'"),
        ({"features": [1]}, "`features` must be a list of texts. Received: [1]"),
        ({"features": ["a", "a"]}, "`features` must be a list of different names. Received: ['a', 'a']"),
        ({"length_unit": None}, "`length_unit` must be a text. Received: None"),
        ({"time_between_frames": 0}, "`time_between_frames` must be a positive number. Received: 0"),
        ({"time_between_frames": float("nan")}, "`time_between_frames` must be a positive number. Received: nan"),
        ({"time_between_frames": True}, "`time_between_frames` must be a positive number. Received: True"),
        ({"splits": []}, "`splits` must be an object of lists of files. Received: []"),
        ({"splits": {"train": "a.npy"}}, "`splits.train` must be a list of files. Received: 'a.npy'"),
        (
            {"splits": {"train": ["../a.npy"]}},
            "`splits.train` must be a list of files inside the dataset. Received: '../a.npy'",
        ),
        (
            {"splits": {"train": ["/a.npy"]}},
            "`splits.train` must be a list of files inside the dataset. Received: '/a.npy'",
        ),
        ({"provenance": "me"}, "`provenance` must be an object. Received: 'me'"),
        ({"time_between_frames": 10**400}, f"`time_between_frames` must be a positive number. Received: {10**199}..."),
        ({"time_unit": 1}, "`time_unit` must be a text. Received: 1"),
        (
            {"group": ["train/0.npy"]},
            "`group` must be an object that maps files to simulations. Received: ['train/0.npy']",
        ),
        ({"group": {"train/1.npy": 0}}, "`group` must be about files of `splits`. Received: 'train/1.npy'"),
        ({"group": {"train/0.npy": 0.5}}, "`group.train/0.npy` must be a text or an integer. Received: 0.5"),
        ({"group": {"train/0.npy": True}}, "`group.train/0.npy` must be a text or an integer. Received: True"),
        (
            {"extra": 1},
            "unknown field 'extra'; expected format, name, num_dimensions, features, length_unit, "
            "time_between_frames, splits, provenance, time_unit, group, box, box_files, edges, reruns",
        ),
    ],
)
def test_manifest_refuses_a_wrong_field(tmp_path, change, message):
    with pytest.raises(UserError) as error:
        Manifest.load(write_fields(tmp_path, FIELDS | change))
    assert str(error.value) == f"{tmp_path / 'dataset.json'}: {message}"


def test_manifest_reads_and_keeps_the_optional_fields(tmp_path):
    fields = FIELDS | {"time_unit": "ps", "group": {"train/0.npy": "run 1"}}
    manifest = Manifest.load(write_fields(tmp_path, fields))
    assert (manifest.time_unit, manifest.group) == ("ps", {"train/0.npy": "run 1"})
    manifest.save(tmp_path / "again")
    assert json.loads((tmp_path / "again/dataset.json").read_text(encoding="utf-8")) == fields


@pytest.mark.parametrize(
    "fields",
    [
        {"box": [6.0, 0]},
        {"box": [[6.0, 0.0], [1.5, 5.0]]},
        {"box_files": {"train/0.npy": "train/0.box.npy"}},
        {"edges": "bonds.npy"},
        {"edges": {"train/0.npy": "train/0.edges.npy"}},
        {"features": ["mass", "velocity_x", "velocity_y"]},
    ],
)
def test_manifest_keeps_boxes_bonds_and_velocities(tmp_path, fields):
    manifest = Manifest.load(write_fields(tmp_path, FIELDS | fields))
    manifest.save(tmp_path / "again")
    assert json.loads((tmp_path / "again/dataset.json").read_text(encoding="utf-8")) == FIELDS | fields
    assert Manifest.load(tmp_path / "again") == manifest
    assert manifest.is_periodic == ("box" in fields or "box_files" in fields)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"box": [6.0]}, "box"),
        ({"box": 6.0}, "box"),
        ({"box": "6"}, "box"),
        ({"box": [6.0, -1.0]}, "box"),
        ({"box": [0.0, 0.0]}, "box"),
        ({"box": [6.0, float("inf")]}, "box"),
        ({"box": [[6.0, 0.0], [12.0, 0.0]]}, "box"),
        ({"box": [6.0, 6.0], "box_files": {"train/0.npy": "box.npy"}}, "box"),
        ({"box_files": "box.npy"}, "box_files"),
        ({"box_files": {}}, "box_files"),
        ({"box_files": {"train/0.npy": "../box.npy"}}, "box_files"),
        ({"box_files": {"train/1.npy": "box.npy"}}, "box_files"),
        ({"edges": 3}, "edges"),
        ({"edges": "/bonds.npy"}, "edges"),
        ({"edges": "bonds.txt"}, "edges"),
        ({"edges": {}}, "edges"),
        ({"features": ["velocity_x", "mass", "velocity_y"]}, "features"),
        ({"features": ["velocity_y", "velocity_x"]}, "features"),
        ({"features": ["velocity_y"]}, "features"),
    ],
)
def test_manifest_refuses_wrong_boxes_bonds_and_velocities(tmp_path, fields, field):
    with pytest.raises(UserError, match=f"`{field}` must be"):
        Manifest.load(write_fields(tmp_path, FIELDS | fields))


def test_observed_velocities_are_no_features():
    manifest = Manifest("tiny", 2, ("a", "velocity_x", "velocity_y", "b"), "1", 1.0, {}, {})
    assert (manifest.velocity_start, manifest.particle_features, manifest.num_columns) == (1, ("a", "b"), 6)
    in_three = Manifest("tiny", 3, ("velocity_x", "velocity_y", "velocity_z"), "1", 1.0, {}, {})
    assert (in_three.velocity_start, in_three.particle_features) == (0, ())
    assert Manifest("tiny", 2, ("a",), "1", 1.0, {}, {}).velocity_start is None


def test_anchors_are_features_but_not_of_the_particle_itself():
    manifest = Manifest("tiny", 2, ("a", "velocity_x", "velocity_y", "anchor_x", "anchor_y", "b"), "1", 1.0, {}, {})
    assert manifest.particle_features == ("a", "anchor_x", "anchor_y", "b")
    assert (manifest.anchor_start, manifest.own_features) == (1, ("a", "b"))
    assert Manifest("tiny", 2, ("a",), "1", 1.0, {}, {}).anchor_start is None
    for features in (("anchor_x",), ("anchor_x", "anchor_y"), ("anchor_y", "anchor_x", "anchor_z")):
        with pytest.raises(UserError, match="with successive anchor_x, anchor_y, anchor_z, or none of them"):
            Manifest("tiny", 3, features, "1", 1.0, {}, {})


def test_a_file_without_a_group_is_a_simulation_by_itself():
    splits = {"train": ("a.npy", "b.npy"), "test": ("c.npy",)}
    manifest = Manifest("tiny", 2, (), "1", 1.0, splits, {}, group={"a.npy": 7, "c.npy": 7})
    assert [manifest.group_of(file) for file in ("a.npy", "b.npy", "c.npy")] == [7, "b.npy", 7]
    assert Manifest("tiny", 2, (), "1", 1.0, splits, {}).group_of("a.npy") == "a.npy"


@pytest.mark.parametrize("name", list(FIELDS))
def test_manifest_refuses_a_missing_field(tmp_path, name):
    write_fields(tmp_path, {key: value for key, value in FIELDS.items() if key != name})
    expected = "`format` must be 1" if name == "format" else f"missing field '{name}'"
    with pytest.raises(UserError, match=re.escape(expected)):
        Manifest.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"format": 1,\n "name" "tiny"}', "line 2, column 9: not JSON: Expecting ':' delimiter"),
        (b"[1]", "expected a JSON object, found list"),
        (b'{"name": "\xff"}', "not UTF-8 text"),
        (b'{"name": "\\ud800"}', "not UTF-8 text"),
        (b"[" * 100_000, "not JSON that can be read"),
        (b"1" * 10_000, "not JSON that can be read"),
    ],
)
def test_manifest_refuses_what_is_no_json_object(tmp_path, content, message):
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(UserError, match=re.escape(f"dataset.json: {message}")):
        Manifest.load(tmp_path)


def test_missing_directory_and_missing_manifest_have_different_messages(tmp_path):
    with pytest.raises(UserError, match="gone: no such directory"):
        Manifest.load(tmp_path / "gone")
    for read in (Manifest.load, validate, check):
        with pytest.raises(UserError, match=r"dataset\.json: No such file or directory"):
            read(tmp_path)


def test_constructed_manifest_is_checked_too():
    with pytest.raises(UserError, match=r"`num_dimensions` must be 2 or 3\. Received: 1"):
        Manifest("tiny", 1, (), "1", 1.0, {}, {})
