import numpy as np
import pytest
from PIL import Image

from socialmd_tf.tuning import plots
from socialmd_tf.tuning.ranges import Range

RANGES = {
    "rate": Range(low=1e-4, high=1e-2, log=True),
    "size": Range((8, 16, 32)),
    "count": Range(low=1, high=4, step=1),
    "side": Range(low=1.0, high=2.0),
    "kind": Range(("a", "b")),
}


def trials(count):
    """Every fifth has failed, every seventh has an enormous loss, and half have no `side`."""
    random = np.random.default_rng(0)
    found = []
    for index in range(count):
        values = {
            "rate": float(10 ** random.uniform(-4, -2)),
            "size": int(random.choice([8, 16, 32])),
            "count": int(random.integers(1, 5)),
            "kind": str(random.choice(["a", "b"])),
        }
        if index % 2:
            values["side"] = float(random.uniform(1, 2))
        loss = (np.log10(values["rate"]) + 3) ** 2 + (1e9 if index % 7 == 6 else 0)
        found.append((values, None if index % 5 == 4 else float(loss)))
    return found


def is_picture(path):
    with Image.open(path) as image:
        return len(image.convert("L").getcolors()) > 5


@pytest.mark.slow_cases("2", "30")
@pytest.mark.parametrize("count", [1, 2, 30])
def test_pictures_of_any_number_of_trials(tmp_path, count):
    plots.losses(tmp_path / "losses.png", trials(count), RANGES)
    assert is_picture(tmp_path / "losses.png")
    plots.surfaces(tmp_path / "surfaces.png", trials(count), RANGES, list(RANGES))
    assert (tmp_path / "surfaces.png").exists() == (count > 1)  # one point is no surface


def test_a_picture_of_failures_alone(tmp_path):
    plots.losses(tmp_path / "losses.png", [(values, None) for values, _ in trials(3)], RANGES)
    plots.surfaces(tmp_path / "surfaces.png", [(values, None) for values, _ in trials(3)], RANGES, list(RANGES))
    assert is_picture(tmp_path / "losses.png") and not (tmp_path / "surfaces.png").exists()


@pytest.mark.parametrize(("count", "is_surface"), [(3, False), (30, True)])
def test_few_trials_are_no_landscape(tmp_path, monkeypatch, count, is_surface):
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    plots.surfaces(tmp_path / "surfaces.png", trials(count), RANGES, ["rate", "size", "count"])
    kinds = {type(drawn).__name__ for axes in figures[0].axes if axes.get_title() for drawn in axes.collections}
    assert kinds == ({"QuadContourSet", "PathCollection"} if is_surface else {"PathCollection"})


def test_the_legend_names_the_markers_that_are_there(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    for found in (trials(30), [({"rate": 1e-3}, 1.0), ({"rate": 1e-4}, 1.0)]):
        plots.losses(tmp_path / "losses.png", found, RANGES)
    (many,), (few,) = (figure.legends for figure in figures)
    assert [text.get_text() for text in many.get_texts()] == list(plots._MARKERS.values())
    assert [text.get_text() for text in few.get_texts()] == [plots._MARKERS["o"], plots._MARKERS["*"]]


def test_importance(tmp_path):
    plots.importance(tmp_path / "importance.png", {"rate": 0.8, "size": 0.2})
    assert is_picture(tmp_path / "importance.png")


def test_a_smoothed_surface_passes_through_lone_points_and_stays_between_them():
    grid = np.linspace(0, 10, 21)
    x, y, z = np.array([0.0, 10.0]), np.array([0.0, 10.0]), np.array([1.0, 3.0])
    surface = plots._smooth(x, y, z, grid, grid)
    assert surface[0, 0] == pytest.approx(1, abs=1e-6) and surface[-1, -1] == pytest.approx(3, abs=1e-6)
    assert surface[0, -1] == pytest.approx(2)
    assert np.isfinite(surface).all() and surface.min() >= 1 - 1e-9 and surface.max() <= 3 + 1e-9


@pytest.mark.parametrize(
    ("searched", "expected"),
    [
        (RANGES["rate"], [1e-4, 1e-3, 1e-2]),
        (Range(low=4.0, high=22.0, log=True), [5, 10, 20]),
        (RANGES["size"], [8, 16, 32]),
        (RANGES["count"], [1, 2, 3, 4]),
    ],
)
def test_ticks(searched, expected):
    assert list(plots._ticks(searched)) == pytest.approx(expected)
