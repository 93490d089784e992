import pytest
import tyro

from socialmd_tf.command_line.flags import field_texts, find_flags
from socialmd_tf.compositions import CompositionsCommand
from socialmd_tf.nanoparticle import NanoparticleCommand
from socialmd_tf.prepare import PrepareCommand
from socialmd_tf.rollout import RolloutCommand
from socialmd_tf.serve import ServeCommand
from socialmd_tf.serving.__main__ import ServingCommand
from socialmd_tf.simulate import SimulateCommand
from socialmd_tf.simulate_charges import SimulateChargesCommand
from socialmd_tf.tune import TuneConfig
from tests.socialmd_tf.command_line.options import Ellipse, Needy, Options, Pen


def spellings(config_type, default=None):
    return {flag.field: flag.spelling for flag in find_flags(config_type, default)}


def texts(config_type, default=None):
    return {flag.field: flag.text for flag in find_flags(config_type, default)}


def test_flags_have_the_names_and_kinds_of_the_fields():
    assert spellings(Options) == {
        "radius": "--radius FLOAT",
        "output": "--output TEXT",
        "template": "--template PATH",
        "pen.width": "--pen.width FLOAT",
        "pen.color": "--pen.color {black,red}",
        "pen.dashes": "--pen.dashes INT ...",
        "paper.landscape": "--landscape, --no-landscape",
    }
    assert spellings(Needy) == {"model": "--model PATH ...", "data": "--data PATH", "seed": "--seed INT"}


def test_texts_are_docstrings_and_defaults():
    found = texts(Options)
    assert found["radius"] == "Radius, in millimetres. (default: 1.0)"
    assert found["pen.width"] == "Width of the line, in millimetres. (default: 0.5)"
    assert found["pen.dashes"] == "Lengths of dashes and gaps. (default: 3 1)"
    assert found["paper.landscape"] == "Turn the page. (default: no)"
    assert found["template"] == "Picture to draw on."
    assert texts(Needy)["data"] == "Directory. (required)"


def test_defaults_may_be_given():
    given = texts(Options, Options(radius=3.0, pen=Pen(dashes=())))
    assert given["radius"].endswith("(default: 3.0)")
    assert given["pen.dashes"] == "Lengths of dashes and gaps."


def test_texts_are_inherited_and_replaced():
    assert field_texts(Ellipse)["radius"] == "Radius along the longer axis."
    assert field_texts(Ellipse)["output"] == field_texts(Options)["output"]
    assert spellings(Ellipse)["eccentricity"] == "--eccentricity E"
    assert texts(Ellipse)["eccentricity"] == "How flat it is. (default: 0.0)"


def test_required_flags_are_known():
    assert [flag.field for flag in find_flags(Needy) if flag.is_required] == ["model", "data"]


COMMANDS = {
    TuneConfig: [],
    SimulateCommand: ["--output", "x"],
    SimulateChargesCommand: ["--output", "x"],
    PrepareCommand: ["--output", "x", "--trajectory", "x.pdb"],
    NanoparticleCommand: ["--output", "x"],
    CompositionsCommand: ["--model", "x", "--data", "x", "--output", "x", "--drug", "D", "--background", "B"],
    RolloutCommand: ["--model", "x", "--input", "x", "--data", "x", "--output", "x.npz"],
    ServeCommand: [],
    ServingCommand: [],
}


@pytest.mark.parametrize("config_type", COMMANDS)
def test_flags_of_every_command_are_those_that_are_parsed(config_type):
    """Each flag with its own default changes nothing, and every flag has a text."""
    required = COMMANDS[config_type]
    config = tyro.cli(config_type, args=required)
    for flag in find_flags(config_type, config):
        assert flag.text[0] != "(", flag
        value = config
        for name in flag.field.split("."):
            value = getattr(value, name)
        first, *no = flag.spelling.split(", ")
        if no:
            args = [first if value else no[0]]
        elif value is None or value == ():
            continue
        elif flag.is_positional:
            args = [str(value)]
        else:
            args = [first.split()[0], *map(str, value if isinstance(value, tuple) else (value,))]
        assert tyro.cli(config_type, args=[*required, *args]) == config, args
