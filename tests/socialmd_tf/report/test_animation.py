import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageColor

from socialmd_tf.report import plots
from socialmd_tf.report.animation import animation, regions

BOX = np.diag([4.0, 4.0])


def system(num_frames, num_dimensions=2):
    """Particles that move straight on, one of them across x = 2, and covariances of standard deviation 0.1."""
    starts = np.array([[0.0, 0.5], [1.5, -1.0], [-1.0, -0.5]])
    positions = starts + 0.1 * np.arange(num_frames)[:, None, None] * [1.0, 0.0]
    positions = np.pad(positions, [(0, 0), (0, 0), (0, num_dimensions - 2)])
    return positions, np.broadcast_to(0.01 * np.eye(num_dimensions), (*positions.shape, num_dimensions))


def frames_of(path):
    """The pictures of a GIF `[F, height, width, 3]`."""
    with Image.open(path) as film:
        pictures = []
        for index in range(film.n_frames):
            film.seek(index)
            pictures.append(np.asarray(film.convert("RGB")))
    return np.array(pictures)


def amounts(pictures, color):
    """Number of pixels of a color in every picture, as the palette of a GIF keeps it."""
    distance = np.abs(pictures.astype(int) - ImageColor.getrgb(color)).max(axis=-1)
    return (distance < 12).sum(axis=(1, 2))


@pytest.mark.slow
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_observed_predicted_and_true_frames_have_their_colours(tmp_path, num_dimensions):
    positions, covariance = system(6, num_dimensions)
    animation(
        tmp_path / "a.gif", positions[:3], positions[3:], covariance[3:], times=np.arange(6), truth=positions[3:5] + 0.4
    )
    pictures = frames_of(tmp_path / "a.gif")
    assert len(pictures) == 6 and min(pictures.shape[1:3]) > 300
    grey, red, white = (amounts(pictures, color) for color in (plots.OBSERVED, plots.PREDICTED, plots.TRUE))
    assert grey[:3].min() > grey[3:].max()  # all have the dot of the legend
    assert red[3:].min() > red[:3].max()
    assert white[3:5].min() > white[5]


@pytest.mark.slow
def test_perfect_predictions_do_not_hide_the_truth(tmp_path):
    positions, covariance = system(6)
    counts = []
    for name, truth in (("with.gif", positions[3:]), ("without.gif", None)):
        animation(tmp_path / name, positions[:3], positions[3:], covariance[3:], times=np.arange(6), truth=truth)
        picture = frames_of(tmp_path / name)[-1]
        counts.append([amounts(within_axes(picture)[None], color)[0] for color in (plots.TRUE, plots.PREDICTED)])
    (white, red), (no_white, most_red) = counts
    assert white > 60 and no_white == 0  # of three rings
    assert red > 0.5 * most_red


def within_axes(picture):
    """The part of a frame that the axes fill; the legend below them has their colour, too, but is narrower."""
    rows = rows_of_axes(picture)
    columns = np.flatnonzero((picture[rows[0]].astype(int) < 60).all(axis=-1))
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def rows_of_axes(picture):
    dark = np.abs(picture.astype(int) - ImageColor.getrgb(plots.BACKGROUND)).max(axis=-1) < 12
    return np.flatnonzero(dark.mean(axis=1) > 0.8)


def test_every_frame_says_its_time_above_the_axes(tmp_path):
    """Particles at rest: nothing but the clock changes between two observed or two predicted frames."""
    positions, covariance = np.tile([[0.0, 0.0], [1.0, 1.0]], (4, 1, 1)), np.zeros((4, 2, 2, 2))
    animation(
        tmp_path / "a.gif", positions[:1], positions[1:], covariance[1:], times=0.5 * np.arange(4), time_unit="ps"
    )
    pictures = frames_of(tmp_path / "a.gif")
    changed = np.argwhere((pictures[1] != pictures[2]).any(axis=-1))
    assert len(changed)
    assert (changed[:, 0] < rows_of_axes(pictures[1])[0]).all()


@pytest.mark.parametrize(("num_dimensions", "quantile"), [(2, 4.605170), (3, 6.251389)])
def test_regions_are_90_percent_ellipses(num_dimensions, quantile):
    """Full axes 2 sqrt(variance chi^2_0.9), the longer one along the larger variance."""
    covariance = np.zeros((3, num_dimensions, num_dimensions)) + np.eye(num_dimensions)
    covariance[0, :2, :2] = [[4.0, 0.0], [0.0, 1.0]]
    covariance[1, :2, :2] = [[2.5, 1.5], [1.5, 2.5]]  # variance 4 along (1, 1), 1 across
    covariance[2, 0, 0] = np.inf
    axes = Figure().add_subplot()
    found = regions(np.zeros((3, num_dimensions)), covariance, axes.transData)
    np.testing.assert_allclose(found.get_widths(), 2 * np.sqrt(4 * quantile), rtol=1e-6)
    np.testing.assert_allclose(found.get_heights(), 2 * np.sqrt(quantile), rtol=1e-6)
    np.testing.assert_allclose(found.get_angles() % 180, [0, 45], atol=1e-9)  # and none where it is infinite


@pytest.mark.slow
def test_images_in_a_periodic_box_are_the_same(tmp_path):
    positions, covariance = system(8)
    pictures = []
    for name, shift in (("a.gif", 0.0), ("b.gif", np.array([[4.0, 0.0], [-8.0, 4.0], [0.0, 0.0]]))):
        moved = positions + shift
        animation(tmp_path / name, moved[:2], moved[2:], covariance[2:], times=np.arange(8), box=BOX)
        pictures.append(frames_of(tmp_path / name))
    assert (pictures[0] != pictures[1]).mean() < 1e-3


@pytest.mark.slow
def test_no_trail_crosses_the_box(tmp_path):
    """A particle leaves through the face at x = 4: no line joins both sides."""
    positions, covariance = system(8)
    positions = positions[:, 1:2] + [2.0, 3.0]
    animation(tmp_path / "a.gif", positions[:7], positions[7:], covariance[7:, 1:2], times=np.arange(8), box=BOX)
    picture = frames_of(tmp_path / "a.gif")[6].astype(int)
    height, width = picture.shape[:2]
    middle = picture[height // 2 - 20 : height // 2 + 20, width * 3 // 10 : width * 6 // 10]
    assert (np.abs(picture - ImageColor.getrgb(plots.OBSERVED)).max(axis=-1) < 12).sum() > 100
    assert (np.abs(middle - ImageColor.getrgb(plots.BACKGROUND)).max(axis=-1) < 12).all()
