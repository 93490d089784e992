import sys
from pathlib import Path

import pytest

from pipelines.errors import UserError
from socialmd_tf.command_line.help_page import Group
from socialmd_tf.command_line.parse import parse, typed
from tests.socialmd_tf.command_line.options import Copies, Hang, Needy, Options


def parse_options(*args, default=None, options=Options):
    return parse(options, prog="python -m circle", default=default, args=args)


def test_flags_fill_the_dataclass():
    assert parse_options() == Options()
    assert parse_options("--radius", "2", "--output", "x.png") == Options(2.0, "x.png")
    assert parse_options("--radius", "2", default=Options(output="y.png")) == Options(2.0, "y.png")


def test_some_values_need_no_flag():
    assert parse_options("a.png", options=Hang) == Hang(Path("a.png"))
    assert parse_options("--height", "2", "a.png", "south", options=Hang) == Hang(Path("a.png"), "south", 2.0)


@pytest.mark.parametrize(
    ("options", "args", "fragments"),
    [
        (Options, ("--radios", "2"), ["--radios"]),
        (Options, ("--radius", "wide"), ["--radius: expected a number. Received: 'wide'"]),
        (Copies, ("--number", "2.5"), ["--number: expected a whole number. Received: '2.5'"]),
        (Options, ("--radius",), ["--radius: expected a value, found none"]),
        (Options, ("--radios", "2", "--more"), ["unknown flag --radios; the most similar one is --radius."]),
        (Options, ("--entirely-else", "2"), ["unknown flag --entirely-else. "]),
        (Options, ("stray",), ["stray"]),
        (Options, ("--radius", "-3"), ["`radius` must be positive. Received: -3.0"]),
        (Needy, (), ["--data"]),
        (Hang, (), ["missing PICTURE"]),
        (Hang, ("a.png", "north", "stray"), ["stray"]),
    ],
)
def test_what_cannot_be_parsed_is_one_line(options, args, fragments, capsys):
    with pytest.raises(UserError) as error:
        parse_options(*args, options=options)
    message = str(error.value)
    for fragment in fragments:
        assert fragment in message
    assert "\n" not in message
    assert not set(message) & set("│╭╰─╮╯")
    assert capsys.readouterr() == ("", "")


def test_what_cannot_be_parsed_points_to_the_help():
    with pytest.raises(UserError, match=r"\. See python -m circle --help$"):
        parse_options("--radios", "2")


def test_missing_flags_are_named_without_their_texts():
    for args, expected in ((), "missing --model, --data"), (("--model=x",), "missing --data"):
        with pytest.raises(UserError) as error:
            parse_options(*args, options=Needy)
        assert str(error.value) == f"{expected}. See python -m circle --help"


def printed(capsys, *args, **options):
    with pytest.raises(SystemExit) as stop:
        parse(Options, prog="python -m circle", args=args, **options)
    assert not stop.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_ends_well_whatever_else_is_wrong(flag, capsys):
    shown = printed(capsys, "--radios", flag)
    assert shown.startswith("usage: python -m circle [flags]\n") and "Draw a circle." in shown


def groups(options):
    return [Group("Circle", ("radius",)), Group("Large", ("output",), is_shown=options.radius > 2)]


@pytest.mark.parametrize(
    ("args", "is_shown"),
    [(["--radius", "3"], True), (["--radius", "1"], False), ([], True), (["--radius", "-1"], True)],
)
def test_help_shows_the_groups_of_what_the_flags_choose(capsys, args, is_shown):
    """Faulty flags choose nothing: the page is that of the defaults."""
    default = Options(radius=5.0)
    page = printed(capsys, *args, "--help", default=default, groups=groups)
    assert ("--output" in page) == is_shown and "(default: 5.0)" in page
    whole = printed(capsys, *args, "--help-all", default=default, groups=groups)
    assert "--output" in whole and "(default: 5.0)" in whole


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("/usr/lib/python3/socialmd_tf/train.py", "python -m socialmd_tf.train"),
        ("/home/me/my files/train.py", "python -m socialmd_tf.train"),
        ("socialmd-tf train", "socialmd-tf train"),
        ("python -m socialmd_tf train", "python -m socialmd_tf train"),
    ],
)
def test_help_names_what_was_typed(monkeypatch, capsys, first, expected):
    monkeypatch.setattr(sys, "argv", [first, "--radios"])
    assert typed("python -m socialmd_tf.train") == expected
    with pytest.raises(UserError, match=rf"See {expected} --help$"):
        parse(Options, prog="python -m socialmd_tf.train")
    monkeypatch.setattr(sys, "argv", [first, "--help"])
    with pytest.raises(SystemExit):
        parse(Options, prog="python -m socialmd_tf.train")
    assert capsys.readouterr().out.startswith(f"usage: {expected} [flags]")
