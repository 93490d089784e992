import pytest

from pipelines.errors import UserError
from socialmd_tf.export.versions import find_version, versions


def make(directory, *names):
    for name in names:
        (directory / name).mkdir(parents=True)
        (directory / name / "saved_model.pb").touch()


def test_versions_are_numbers_with_or_without_leading_zeros(tmp_path):
    assert versions(tmp_path / "none") == []
    make(tmp_path, "10", "0009", "2", ".3.partial")
    assert versions(tmp_path) == [2, 9, 10]


def test_the_newest_version_is_found_by_number_not_by_text(tmp_path):
    make(tmp_path, "9", "0010", "notes", ".11.partial")
    (tmp_path / "12").mkdir()  # no SavedModel
    assert find_version(tmp_path) == tmp_path / "0010"
    assert find_version(str(tmp_path / "9")) == tmp_path / "9"
    with pytest.raises(
        UserError, match=rf"Found none in {tmp_path / '12'}\. There are the versions 0010, 9 in {tmp_path}$"
    ):
        find_version(tmp_path / "12")


def test_models_and_versions_that_are_there_are_named(tmp_path):
    for name in ("one", "two"):
        make(tmp_path / name, "1")
    known = f". There are the models one, two in {tmp_path}"
    for place in (tmp_path, tmp_path / "tow"):
        with pytest.raises(UserError) as error:
            find_version(place)
        assert str(error.value).endswith(f"Found none in {place}{known}")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "file").touch()
    for directory in (tmp_path, tmp_path / "file"):
        with pytest.raises(UserError, match=r"`export_directory`.*file"):
            versions(directory)


@pytest.mark.parametrize("path", [None, 3, ["saved_models/nbody"]])
def test_a_path_is_needed(path):
    with pytest.raises(UserError, match="`model` must be the path"):
        find_version(path)
