import pytest

from pipelines.errors import UserError
from pipelines.molecules.splits import cut, cut_simulations, cut_time

THESIS = (0.7, 0.15, 0.15)


def test_the_thesis_trajectory():
    assert cut(300, THESIS) == {"train": range(210), "validation": range(210, 255), "test": range(255, 300)}
    assert cut(300, (0.7, 0.3, 0.0)) == {"train": range(210), "validation": range(210, 300), "test": range(300, 300)}


@pytest.mark.parametrize(
    "fractions", [THESIS, (0.7, 0.3, 0.0), (1.0, 0.0, 0.0), (1 / 3, 1 / 3, 1 / 3), (0.1, 0.0, 0.9)]
)
@pytest.mark.parametrize("count", [1, 2, 7, 44, 101, 1000])
def test_every_frame_is_in_one_split_and_in_order(count, fractions):
    parts = cut(count, fractions)
    assert [frame for frames in parts.values() for frame in frames] == list(range(count))
    for fraction, frames in zip(fractions, parts.values(), strict=True):
        assert abs(len(frames) - fraction * count) <= 1


def test_a_trajectory_shorter_than_a_window():
    with pytest.raises(UserError) as error:
        cut_time("a.xtc", 101, THESIS, 35)
    values = ["a.xtc", "101 frames", "validation split gets 15", "`--fractions 0.7 0.15 0.15`", "`--min-frames` = 35"]
    assert all(value in str(error.value) for value in values)
    with pytest.raises(UserError, match=r"a.xtc: 34 frames; expected at least `--min-frames` = 35"):
        cut_time("a.xtc", 34, (1.0,), 35, splits=("test",))
    assert len(cut_time("a.xtc", 101, THESIS, 15)["validation"]) == 15
    assert cut_time("a.xtc", 35, (1.0, 0.0, 0.0), 35)["train"] == range(35)


def test_whole_simulations():
    assert cut_simulations(4, (0.5, 0.25, 0.25)) == ["train", "train", "validation", "test"]
    assert cut_simulations(44, (0.7, 0.3, 0.0)) == ["train"] * 31 + ["validation"] * 13
    with pytest.raises(UserError, match=r"`fractions` .* 2 simulations, test gets none"):
        cut_simulations(2, THESIS)
