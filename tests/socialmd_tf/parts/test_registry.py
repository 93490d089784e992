import sys

import pytest

from pipelines.errors import UserError
from socialmd_tf.config import ModelConfig
from socialmd_tf.parts import CELLS, HEADS, INTERACTIONS, Head, Registry

FACTS = {"reads": ("cutoff",), "kinematic": True}


def build(config, name):
    """A head for tests.

    With more than one line.
    """


def other(config, name):
    """Another one."""


@pytest.fixture
def registry():
    registry = Registry("head", Head)
    registry.register("first", **FACTS)(build)
    return registry


def test_a_part_has_its_builder_and_its_facts(registry):
    part = registry["first"]
    assert (part.build, part.reads, part.kinematic, part.calibrates) == (build, ("cutoff",), True, False)
    assert part.summary == "A head for tests"
    assert list(registry) == ["first"]


def test_registering_leaves_the_builder_as_it_is(registry):
    assert registry.register("second")(other) is other


def test_a_name_belongs_to_one_builder(registry):
    registry.register("first", **FACTS)(build)  # a notebook cell that is run again
    with pytest.raises(UserError, match="'first' is registered twice") as error:
        registry.register("first")(other)
    assert all(name in str(error.value) for name in (".build", ".other"))


@pytest.mark.parametrize("name", ["", "a:b", "a b", "a,b"])
def test_refuses_names_that_lists_and_modules_could_not_hold(registry, name):
    with pytest.raises(UserError, match="`name`"):
        registry.register(name)


@pytest.mark.parametrize("name", ["second", "", None, 3, "os:first_", "no_such_module:first", ".relative:first"])
def test_refuses_unknown_names_in_one_line(registry, name):
    with pytest.raises(UserError, match="`head`") as error:
        registry[name]
    assert "\n" not in str(error.value)


def test_a_name_with_a_module_imports_it(registry, tmp_path, monkeypatch):
    (tmp_path / "plugin_of_a_test.py").write_text("import tests_registry\ntests_registry.register('mine')(print)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "tests_registry", registry)
    assert registry["plugin_of_a_test:mine"].build is print
    assert "mine" in registry.help("Heads")
    with pytest.raises(UserError, match="first, mine"):
        registry["plugin_of_a_test:yours"]


def test_help_has_every_part_with_a_line():
    for registry in (CELLS, HEADS, INTERACTIONS):
        text = registry.help("Which")
        assert text.startswith("Which. ")
        assert all(f"{name}: {registry[name].summary}" in text for name in registry)
        assert all(registry[name].build.__doc__ for name in registry)


def test_a_part_that_claims_to_read_an_unknown_field_is_refused():
    HEADS.register("astray", reads=("cut_off",))(build)
    try:
        with pytest.raises(UserError, match="cut_off"):
            ModelConfig(head="astray")
    finally:
        del HEADS._parts["astray"]
