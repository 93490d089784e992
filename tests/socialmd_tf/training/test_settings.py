from socialmd_tf.training.settings import difference, flatten


def test_nested_settings_have_dotted_names():
    assert flatten({"a": 1, "b": {"c": 2, "d": {"e": [3]}}}) == {"a": 1, "b.c": 2, "b.d.e": [3]}


def test_the_first_difference_is_named():
    saved = {"a": 1, "b": 2, "c": 3}
    assert difference(saved, {"a": 1, "b": 5, "c": 6}, ("c",)) == "`b` is 2 there and 5 here"
    assert difference(saved, {"a": 1, "b": 2, "c": 6}, ("c",)) is None
    assert difference(saved, {"b": 2, "c": 3}, ()) == "`a` is 1 there and None here"


def test_whole_groups_of_settings_are_not_printed():
    found = difference({"terms": {"pairs": [1, 2]}}, {"terms": {"pairs": []}}, ())
    assert found == "`terms` is not the same there as here"


def test_only_names_of_runs_and_models_are_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert difference({"initial_model": "a"}, {"initial_model": str(tmp_path / "a")}, ()) is None
    assert difference({"initial_model": None}, {"initial_model": "a"}, ()) is not None
    assert difference({"name": "a"}, {"name": str(tmp_path / "a")}, ()) is not None
