import pytest

from socialmd_tf.command_line.help_page import Group, help_page
from tests.socialmd_tf.command_line.options import Hang, Needy, Options

GROUPS = (
    Group("Circle", ("radius", "output")),
    Group("Pen", ("pen.width", "pen.color", "pen.dashes"), is_shown=False),
)


def test_a_page_without_groups(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert (
        help_page(Options, "draw circle")
        == """\
usage: draw circle [flags]

Draw a circle.

It is drawn with a pen on paper.

Flags:
  --radius FLOAT            Radius, in millimetres.
                            (default: 1.0)
  --output TEXT             File of the picture. (default:
                            circle.png)
  --template PATH           Picture to draw on.
  --pen.width FLOAT         Width of the line, in
                            millimetres. (default: 0.5)
  --pen.color {black,red}   Color of the line. (default:
                            black)
  --pen.dashes INT ...      Lengths of dashes and gaps.
                            (default: 3 1)
  --landscape, --no-landscape
                            Turn the page. (default: no)

Help:
  -h, --help                Show this page.
"""
    )


def test_required_flags_are_in_the_usage():
    assert help_page(Needy, "draw").startswith("usage: draw --model PATH ... --data PATH [flags]\n")


def test_values_without_a_flag_are_in_the_usage_by_their_names():
    page = help_page(Hang, "hang")
    assert page.startswith("usage: hang PICTURE [WALL] [flags]\n")
    assert "\n  PICTURE                   The picture. (required)\n" in page
    assert "\n  WALL                      The wall. (default: north)\n" in page


def test_groups_may_have_lines_that_are_no_flags():
    page = help_page(Options, "draw", groups=(Group("Pens", (), (("fine", "For maps."),)), *GROUPS))
    assert "\nPens:\n  fine                      For maps.\n\nCircle:" in page


def test_hidden_groups_are_named_and_shown_when_asked_for():
    page, whole = (help_page(Options, "draw", groups=GROUPS, show_all=asked) for asked in (False, True))
    assert "--pen.width" not in page and "Not shown: Pen (3)." in page
    assert "--pen.width" in whole and "Not shown" not in whole
    for text in (page, whole):
        assert text.index("Circle:") < text.index("--radius") < text.index("Other flags:") < text.index("--template")
        assert "--help-all" in text
    assert whole.index("Circle:") < whole.index("Pen:") < whole.index("Other flags:")


def test_pages_without_hidden_groups_do_not_offer_more():
    assert "--help-all" not in help_page(Options, "draw", groups=GROUPS[:1])
    assert "--help-all" not in help_page(Options, "draw")


@pytest.mark.parametrize(("columns", "widest"), [(40, 40), (80, 80), (120, 100)])
def test_lines_are_no_wider_than_the_terminal(monkeypatch, columns, widest):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert max(map(len, help_page(Options, "draw", groups=GROUPS).splitlines())) <= widest
