import io
import math

import numpy as np
import pytest
from PIL import Image, ImageColor

from socialmd_tf.report import plots
from socialmd_tf.report.animation import animation

EXTENT = (-2.0, 2.0, -2.0, 2.0)


def value_at(values, x, y):
    """The value of the grid point nearest to (x, y)."""
    axis = np.linspace(-2.0, 2.0, len(values))
    return values[np.argmin(np.abs(axis - y)), np.argmin(np.abs(axis - x))]


def test_the_map_is_highest_at_the_mean_and_right_one_sigma_away():
    mean = np.array([[[0.5, -0.25]]])
    covariance = np.diag([0.3**2, 0.6**2])[None, None]
    values = plots.density_map(mean, covariance, EXTENT)
    axis = np.linspace(-2.0, 2.0, len(values))
    row, column = np.unravel_index(values.argmax(), values.shape)
    assert (axis[column], axis[row]) == pytest.approx((0.5, -0.25), abs=axis[1] - axis[0])
    assert values.max() == pytest.approx(1.0, abs=1e-3)
    one_sigma = math.exp(-0.5)
    for x, y in ((0.8, -0.25), (0.2, -0.25), (0.5, 0.35), (0.5, -0.85)):
        assert value_at(values, x, y) == pytest.approx(one_sigma, abs=0.02)
    assert value_at(values, 0.5 + 0.3 * math.sqrt(2), -0.25) == pytest.approx(math.exp(-1), abs=0.02)


def test_the_map_follows_the_correlation():
    covariance = np.array([[0.25, 0.2], [0.2, 0.25]])[None, None]
    values = plots.density_map(np.zeros((1, 1, 2)), covariance, EXTENT)
    # (1, 1) is an eigenvector of variance 0.45, (1, -1) of 0.05.
    assert value_at(values, 0.4, 0.4) == pytest.approx(math.exp(-0.32 / 0.45 / 2), abs=0.02)
    assert value_at(values, 0.4, -0.4) == pytest.approx(math.exp(-0.32 / 0.05 / 2), abs=0.02)


def test_the_map_is_the_largest_over_particles_and_frames():
    mean = np.array([[[-1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, -1.0]]])
    covariance = np.broadcast_to(0.01 * np.eye(2), (2, 2, 2, 2))
    together = plots.density_map(mean, covariance, EXTENT)
    apart = [
        plots.density_map(mean[t : t + 1, i : i + 1], covariance[:1, :1], EXTENT) for t in range(2) for i in range(2)
    ]
    np.testing.assert_array_equal(together, np.max(apart, axis=0))


def test_the_narrowest_density_is_visible():
    values = plots.density_map(np.zeros((1, 1, 2)), np.zeros((1, 1, 2, 2)), EXTENT)
    assert values.max() > 0.5


def test_the_map_leaves_out_densities_that_are_not_finite():
    mean = np.array([[[0.0, 0.0], [np.nan, 0.0], [1.0, 1.0]]])
    covariance = 0.1 * np.tile(np.eye(2), (1, 3, 1, 1))
    covariance[0, 2] = np.inf
    values = plots.density_map(mean, covariance, EXTENT)
    np.testing.assert_array_equal(values, plots.density_map(mean[:, :1], covariance[:, :1], EXTENT))
    assert plots.square_around(mean) == pytest.approx((-0.04, 1.04, -0.04, 1.04))


def test_densities_that_fill_the_picture_are_drawn_as_outlines(tmp_path):
    """The outline of a 90 % region of a 2D Gaussian has chi squared 4.605."""
    mean = np.array([[0.5, -0.25], [np.nan, 0.0]])
    covariance = np.array([[[0.5, 0.2], [0.2, 0.3]]] * 2)
    assert plots.is_broad(plots.density_map(mean[None], covariance[None] * 9, EXTENT))
    assert not plots.is_broad(plots.density_map(mean[None], covariance[None] / 9, EXTENT))
    (outline,) = plots.outlines(mean, covariance) - mean[0]
    distance = np.einsum("ki,ij,kj->k", outline, np.linalg.inv(covariance[0]), outline)
    np.testing.assert_allclose(distance, 4.605, rtol=1e-3)
    frames = moving(6)
    plots.paths(tmp_path / "broad.png", moving(2), frames, np.broadcast_to(np.eye(2), (6, 3, 2, 2)), truth=frames)
    picture = np.asarray(Image.open(tmp_path / "broad.png").convert("RGB"))
    for color in (plots.REGION, plots.TRUE, plots.PREDICTED):
        assert (picture == ImageColor.getrgb(color)).all(axis=-1).sum() > 20


def moving(num_frames, num_dimensions=2):
    return np.random.default_rng(num_frames).normal(size=(num_frames, 3, num_dimensions))


@pytest.mark.slow
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_paths_are_drawn(tmp_path, num_dimensions):
    warm_up, mean = moving(4, num_dimensions), moving(6, num_dimensions)
    covariance = np.broadcast_to(0.01 * np.eye(num_dimensions), (6, 3, num_dimensions, num_dimensions))
    plots.paths(tmp_path / "with.png", warm_up, mean, covariance, truth=mean[:2] + 0.1, unit="nm", title="both")
    plots.paths(tmp_path / "without.png", warm_up, mean, covariance)
    pictures = [np.asarray(Image.open(tmp_path / name).convert("RGB")) for name in ("with.png", "without.png")]
    for picture in pictures:
        assert picture.shape[0] > 500 and picture.shape[1] > 500
        assert (picture == ImageColor.getrgb(plots.PREDICTED)).all(axis=-1).sum() > 100
    assert (pictures[0] != pictures[1]).any()


def test_the_picture_of_the_map_is_upright():
    mean = np.array([[[1.0, -1.5]]])
    png = plots.density_png(plots.density_map(mean, 0.01 * np.eye(2)[None, None], EXTENT))
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("L"), float)
    row, column = np.unravel_index(picture.argmax(), picture.shape)
    # Rows of a picture count from the top, where y is largest.
    assert ((column + 0.5) / picture.shape[1], (row + 0.5) / picture.shape[0]) == pytest.approx(
        (3 / 4, 7 / 8), abs=0.01
    )


@pytest.mark.slow_cases(all_but=["x_{"])
@pytest.mark.parametrize("name", ["a $x$", "$1_{2$", "x_{", "\\frac{", "two\nlines", "\u7c92\u5b50", ""])
def test_names_are_drawn_as_they_are(tmp_path, name):
    """Names of files, datasets and units are no formulas, whatever characters they have."""
    warm_up, mean = moving(2), moving(3)
    covariance = np.broadcast_to(0.01 * np.eye(2), (3, 3, 2, 2))
    plots.paths(tmp_path / "a.png", warm_up, mean, covariance, unit=name, title=name)
    animation(tmp_path / "a.gif", warm_up, mean, covariance, times=np.arange(5), time_unit=name, unit=name, title=name)
    for file in ("a.png", "a.gif"):
        with Image.open(tmp_path / file) as picture:
            assert min(picture.size) > 300


@pytest.mark.slow
def test_legends_hide_nothing(tmp_path, monkeypatch):
    """They are inside the picture and outside the axes, whether densities are drawn as a map or as outlines."""
    figures = []
    save = plots.save
    monkeypatch.setattr(
        plots, "save", lambda figure, *rest, **options: figures.append(figure) or save(figure, *rest, **options)
    )
    warm_up, mean, covariance = moving(4), moving(6), np.broadcast_to(np.eye(2), (6, 3, 2, 2))
    for scale in (1e-4, 1.0):
        plots.paths(tmp_path / "a.png", warm_up, mean, scale * covariance, truth=mean, samples=mean[None])
    animation(tmp_path / "a.gif", warm_up, mean, covariance, times=np.arange(10), truth=mean)
    for figure in figures:
        (legend,) = figure.legends
        box = legend.get_window_extent()
        assert not any(box.overlaps(axes.get_tightbbox()) for axes in figure.axes)
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and figure.bbox.y0 <= box.y0


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e9])
def test_the_square_fits_any_unit_of_length(scale):
    frames = np.array([[[0.0, 1.0]], [[4.0, 2.0]]])
    assert plots.square_around(scale * frames) == pytest.approx(
        [scale * edge for edge in plots.square_around(frames)], rel=1e-9
    )


def test_a_particle_at_rest_has_a_square_too():
    low, high, *_ = plots.square_around(np.full((3, 1, 2), 5e5, np.float32))
    assert low < 5e5 < high


def test_the_square_holds_all_positions():
    frames = np.array([[[0.0, 1.0, 9.0]], [[4.0, 2.0, -9.0]]])
    assert plots.square_around(frames) == pytest.approx((-0.16, 4.16, -0.66, 3.66))


@pytest.mark.slow
def test_the_same_paths_give_the_same_bytes(tmp_path):
    warm_up, mean = moving(4), moving(6)
    covariance = np.broadcast_to(0.01 * np.eye(2), (6, 3, 2, 2))
    for name in ("a.png", "b.png"):
        plots.paths(tmp_path / name, warm_up, mean, covariance)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.slow
def test_drawn_paths_are_thin_lines_of_their_own_colour(tmp_path):
    """Two drawn trajectories of three particles far from everything else: each leaves its colour where it ends."""
    warm_up = np.array([[[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]])
    mean = np.repeat(warm_up, 2, axis=0)
    covariance = np.broadcast_to(1e-4 * np.eye(2), (2, 3, 2, 2))
    samples = np.stack([mean + np.array([0.0, 1.0]), mean - np.array([0.0, 1.0])])
    counts = []
    for name, drawn in (("with.png", samples), ("without.png", ())):
        plots.paths(tmp_path / name, warm_up, mean, covariance, samples=drawn)
        picture = np.asarray(Image.open(tmp_path / name).convert("RGB")).astype(int)
        red, green, blue = np.moveaxis(picture, -1, 0)
        counts.append(((red > 130) & (green > 80) & (green < 160) & (blue < 60)).sum(axis=1))
    half = len(counts[0]) // 2
    assert counts[0][:half].sum() > 100 and counts[0][half:].sum() > 100
    assert counts[1].sum() == 0
