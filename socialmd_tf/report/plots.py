"""Pictures; the only file that imports matplotlib."""

import io

import matplotlib
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.patheffects import Normal, Stroke

matplotlib.rcParams["svg.hashsalt"] = "socialmd_tf"
TRUE, PREDICTED, OBSERVED = "#ffffff", "#ff5040", "#8d97ad"
BACKGROUND = "#0a0c1a"
_GRID = 400
# Dark to middling blue: white and red lines stay readable on all of it, to colour-blind eyes too.
_DENSITY = LinearSegmentedColormap.from_list("density", [BACKGROUND, "#15264f", "#20508f", "#2f7fc4"])


def density_map(mean, covariance, extent):
    """Predicted density of all particles over all frames, on a grid.

    Each frame's density of each particle is scaled to a maximum of 1, so that sure and unsure predictions are
    both seen; the map is the largest over particles and frames. What is not finite is left out.

    Args:
        mean: `[T', N, D]`; the first two dimensions are drawn.
        covariance: `[T', N, D, D]`.
        extent: (x_min, x_max, y_min, y_max), in units of length.

    Returns:
        `[ny, nx]`, in [0, 1].
    """
    x, y = np.linspace(*extent[:2], _GRID), np.linspace(*extent[2:], _GRID)
    values = np.zeros((_GRID, _GRID))
    pixel = max(x[1] - x[0], y[1] - y[0])
    for center, matrix in zip(mean[..., :2].reshape(-1, 2), covariance[..., :2, :2].reshape(-1, 2, 2), strict=True):
        if not (np.isfinite(center).all() and np.isfinite(matrix).all()):
            continue
        matrix = matrix + np.eye(2) * pixel**2  # what is narrower than a pixel is drawn as wide as one
        reach = 4 * np.sqrt(np.diag(matrix))
        columns = slice(*np.searchsorted(x, (center[0] - reach[0], center[0] + reach[0])))
        rows = slice(*np.searchsorted(y, (center[1] - reach[1], center[1] + reach[1])))
        dx, dy = x[columns] - center[0], y[rows] - center[1]
        (a, b), (_, c) = np.linalg.inv(matrix)
        square = a * dx[None, :] ** 2 + 2 * b * dx[None, :] * dy[:, None] + c * dy[:, None] ** 2
        values[rows, columns] = np.maximum(values[rows, columns], np.exp(-square / 2))
    return values


def density_png(mean, covariance, extent):
    """The density map as a picture without axes; arguments as for `density_map`.

    Returns:
        Bytes of a PNG file, whose edges are the extent's.
    """
    file = io.BytesIO()
    values = density_map(mean, covariance, extent)
    imsave(file, values, cmap=_DENSITY, vmin=0, vmax=1, origin="lower", format="png", metadata={"Software": None})
    return file.getvalue()


def paths(path, warm_up, mean, covariance, *, truth=None, unit="1", title=""):
    """Draw predicted paths (red) over the predicted density, and the true ones (white); a dot ends each path.

    Args:
        path: File of the picture.
        warm_up: Observed frames `[T, N, D]`, in units of length; D = 3 is seen along the third axis.
        mean: Predicted frames `[T', N, D]`.
        covariance: `[T', N, D, D]`.
        truth: True frames `[<= T', N, D]`, or None.
        unit: Name of the unit of length; "1" for none.
        title: Title of the picture.
    """
    figure = Figure(figsize=(9, 7.5), layout="constrained")
    axes = figure.add_subplot()
    seen = [warm_up, mean] + ([] if truth is None else [truth])
    extent = square_around(np.concatenate(seen))
    image = axes.imshow(
        density_map(mean, covariance, extent), origin="lower", extent=extent, cmap=_DENSITY, vmin=0, vmax=1
    )
    figure.colorbar(image, ax=axes, label="predicted density of a frame / its maximum", shrink=0.8)
    _draw_lines(axes, warm_up, OBSERVED, "observed")
    if truth is not None:
        _draw_lines(axes, np.concatenate([warm_up[-1:], truth]), TRUE, "true", end="o")
    _draw_lines(axes, np.concatenate([warm_up[-1:], mean]), PREDICTED, "predicted", end="o")
    _label(axes, unit, title)
    axes.legend(loc="upper right", facecolor="0.15", labelcolor="white", framealpha=0.8).set_zorder(5)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def animation(path, warm_up, mean, covariance, *, truth=None, unit="1", title=""):
    """Draw the predicted frames one after the other as a GIF, with the true ones; arguments as for `paths`."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot()
    extent = square_around(np.concatenate([warm_up, mean] + ([] if truth is None else [truth])))
    axes.set_facecolor(BACKGROUND)
    axes.set(xlim=extent[:2], ylim=extent[2:], aspect="equal")
    _label(axes, unit, title)
    frames = np.concatenate([warm_up, mean])
    (dots,) = axes.plot([], [], "o", color=PREDICTED, markersize=5, label="predicted")
    (true_dots,) = axes.plot([], [], "o", color=TRUE, markersize=3, label="true")
    axes.legend(loc="upper right", facecolor="0.15", labelcolor="white")

    def draw(index):
        dots.set_data(frames[index, :, 0], frames[index, :, 1])
        step = index - len(warm_up)
        shown = truth is not None and 0 <= step < len(truth)
        true_dots.set_data(*(truth[step, :, :2].T if shown else ([], [])))
        return dots, true_dots

    FuncAnimation(figure, draw, frames=len(frames)).save(path, writer=PillowWriter(fps=8))


def square_around(frames):
    """A square with some margin that holds all positions that are finite.

    Args:
        frames: `[T, N, D]`; the first two dimensions count.

    Returns:
        (x_min, x_max, y_min, y_max), in units of length.
    """
    finite = frames[..., :2][np.isfinite(frames).all(axis=-1)]
    low, high = finite.min(axis=0), finite.max(axis=0)
    center, half = (low + high) / 2, 0.54 * max(*(high - low), 1e-6)
    return (center[0] - half, center[0] + half, center[1] - half, center[1] + half)


def length(name, unit):
    """The title of an axis of lengths, with its unit; "1" for none."""
    return name if unit == "1" else f"{name} ({unit})"


def _draw_lines(axes, frames, color, label, end=None):
    outline = [Stroke(linewidth=2.6, foreground=BACKGROUND), Normal()]
    mark = {"marker": end, "markersize": 4, "markevery": [len(frames) - 1], "linewidth": 1.3, "color": color}
    axes.plot(frames[..., 0], frames[..., 1], path_effects=outline, **mark)
    axes.plot([], [], color=color, label=label)


def _label(axes, unit, title):
    axes.set(xlabel=length("x", unit), ylabel=length("y", unit), title=title)
