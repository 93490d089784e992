import pytest

from pipelines.errors import UserError
from socialmd_tf.tuning.ranges import Range, parse_range


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("1:8", int, Range(low=1, high=8, step=1)),
        ("1:9:4", int, Range(low=1, high=9, step=4)),
        ("8:64:2:log", int, Range(low=8, high=64, step=2, log=True)),
        ("1e-4:1e-2:log", float, Range(low=1e-4, high=1e-2, log=True)),
        ("1:2", float, Range(low=1.0, high=2.0)),
        ("32,64", int, Range((32, 64))),
        ([32, 64], int, Range((32, 64))),
        (0.5, float, Range((0.5,))),
        ("true,false", bool, Range((True, False))),
        ("absolute", str, Range(("absolute",))),
    ],
)
def test_what_a_range_may_look_like(text, kind, expected):
    assert parse_range("x", text, kind) == expected


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2:1", int),
        ("1:1", float),
        ("0:1:log", float),
        ("1:9:1:log", int),
        ("1:9:0", int),
        ("1:2:3:4", int),
        ("1:", float),
        ("a:b", float),
        ("1.5", int),
        (1.5, int),
        (True, int),
        ("nan", float),
        ("1:inf", float),
        ("maybe", bool),
        ("3,3", int),
        ("", int),
        ([], int),
        (None, float),
        ({}, float),
    ],
)
def test_what_is_no_range(text, kind):
    with pytest.raises(UserError, match=r"^`x` must be "):
        parse_range("x", text, kind)
