"""Pictures of predicted paths; of the report, this is the only file that imports matplotlib."""

import contextlib
import io
import itertools
import textwrap
import warnings

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.patheffects import Normal, Stroke
from scipy.stats import chi2

from pipelines.atomic_files import write_atomically
from socialmd_tf.report.number_format import with_unit
from socialmd_tf.report.shown_box import ShownBox

matplotlib.rcParams["svg.hashsalt"] = "socialmd_tf"
TRUE, PREDICTED, OBSERVED, DRAWN = "#ffffff", "#ff5040", "#8d97ad", "#ffb000"
BACKGROUND, REGION = "#0a0c1a", "#56b4e9"
_FAN = "#d55e00"
_DRUGS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7")
_MOST_COLUMNS = 4
_GRID = 400
_BROAD = 0.25
"""Share of a picture from which on ellipses replace the map of densities."""
# Dark to medium blue, on which white and red lines stay readable, also for colour-blind readers.
_DENSITY = LinearSegmentedColormap.from_list("density", [BACKGROUND, "#15264f", "#20508f", "#2f7fc4"])


def density_map(mean, covariance, extent):
    """Predicted density of all particles in all frames, on a grid.

    The density of every particle in every frame is scaled to a maximum of 1, so that narrow and wide densities are
    both visible; the map is the maximum over particles and frames. Densities that are not finite are left out.

    Args:
        mean: Predicted means `[T', N, D]`; the first two dimensions are drawn.
        covariance: `[T', N, D, D]`.
        extent: (x_min, x_max, y_min, y_max), in units of length.

    Returns:
        Array `[ny, nx]` of numbers from 0 to 1.
    """
    x, y = np.linspace(*extent[:2], _GRID), np.linspace(*extent[2:], _GRID)
    values = np.zeros((_GRID, _GRID))
    pixel = max(x[1] - x[0], y[1] - y[0])
    for center, matrix in zip(mean[..., :2].reshape(-1, 2), covariance[..., :2, :2].reshape(-1, 2, 2), strict=True):
        if not (np.isfinite(center).all() and np.isfinite(matrix).all()):
            continue
        matrix = matrix + np.eye(2) * pixel**2  # narrow densities are drawn at least one pixel wide
        reach = 4 * np.sqrt(np.diag(matrix))
        columns = slice(*np.searchsorted(x, (center[0] - reach[0], center[0] + reach[0])))
        rows = slice(*np.searchsorted(y, (center[1] - reach[1], center[1] + reach[1])))
        dx, dy = x[columns] - center[0], y[rows] - center[1]
        (a, b), (_, c) = np.linalg.inv(matrix)
        square = a * dx[None, :] ** 2 + 2 * b * dx[None, :] * dy[:, None] + c * dy[:, None] ** 2
        values[rows, columns] = np.maximum(values[rows, columns], np.exp(-square / 2))
    return values


def is_broad(values):
    """Whether a density map would fill the picture, and say nothing."""
    return (values > 0.5).mean() > _BROAD


def outlines(mean, covariance):
    """Outlines of the 90 % regions of D-dimensional Gaussians on the x-y plane.

    Args:
        mean: `[N, D]`.
        covariance: `[N, D, D]`; particles whose numbers are not finite are left out.

    Returns:
        `[<= N, 65, 2]`.
    """
    finite = np.isfinite(mean).all(axis=-1) & np.isfinite(covariance).all(axis=(-2, -1))
    values, vectors = np.linalg.eigh(covariance[finite][:, :2, :2])
    axes = vectors * np.sqrt(np.maximum(values, 0) * chi2.ppf(0.9, mean.shape[-1]))[:, None]
    angle = np.linspace(0, 2 * np.pi, 65)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    return mean[finite][:, None, :2] + np.swapaxes(axes @ circle, 1, 2)


def density_png(values):
    """Draw a density map as a picture without axes.

    Returns:
        Bytes of a PNG file that covers the extent of the map.
    """
    file = io.BytesIO()
    imsave(file, values, cmap=_DENSITY, vmin=0, vmax=1, origin="lower", format="png", metadata={"Software": None})
    return file.getvalue()


def paths(file, warm_up, mean, covariance, *, truth=None, samples=(), unit="1", title="", box=None):
    """Draw predicted paths (red), drawn ones (orange) and true ones (white) over the predicted density.

    A dot ends each predicted and each true path.

    In a periodic box all positions are wrapped into it, and paths are broken at its faces.

    Args:
        file: Binary file or path for the PNG picture.
        warm_up: Observed frames `[T, N, D]`, in units of length; a third dimension is projected out.
        mean: Predicted frames `[T', N, D]`.
        covariance: `[T', N, D, D]`.
        truth: True frames `[<= T', N, D]`, or None.
        samples: Drawn trajectories `[S, T', N, D]`, or empty.
        unit: Length unit; "1" for none.
        title: Title of the picture.
        box: Lattice vectors of the periodic box in rows `[D, D]`, or None.
    """
    figure = Figure(figsize=(9, 7.9), layout="constrained")
    axes = figure.add_subplot()
    shown = ShownBox.around(box, warm_up)
    extent = square_around(shown.wrap(joined(warm_up, mean, truth, *samples)), shown.outline())
    density = density_map(shown.wrap(mean), covariance, extent)
    if is_broad(density):
        axes.set(xlim=extent[:2], ylim=extent[2:], aspect="equal", facecolor=BACKGROUND)
        axes.plot(
            *np.moveaxis(outlines(shown.wrap(mean[-1]), covariance[-1]), -1, 0).swapaxes(1, 2), color=REGION, lw=1
        )
        axes.plot([], [], color=REGION, label="90 % region at the last step")
    else:
        image = axes.imshow(density, origin="lower", extent=extent, cmap=_DENSITY, vmin=0, vmax=1)
        figure.colorbar(image, ax=axes, label="predicted density, relative to its maximum per frame", shrink=0.8)
    draw_outline(axes, shown)
    _draw_samples(axes, shown, warm_up[-1:], samples)
    _draw_lines(axes, shown.lines(warm_up), OBSERVED, "observed")
    # The true path is thin and on top of the predicted one: neither hides the other.
    _draw_lines(axes, shown.lines(np.concatenate([warm_up[-1:], mean])), PREDICTED, "predicted", width=2.6, end="o")
    if truth is not None:
        _draw_lines(axes, shown.lines(np.concatenate([warm_up[-1:], truth])), TRUE, "true", width=1.0, end="o")
    label(axes, unit, title)
    add_legend(figure)
    save(figure, file, format="png", dpi=110, metadata={"Software": None})


def fans(file, charts, title):
    """Draw ensembles as bands over what was observed.

    Args:
        file: Binary file or path to write the PNG to.
        charts: (heading, `Fan`, title of the x axis, title of the y axis) of each chart.
        title: Title of the picture.
    """
    columns = min(len(charts), _MOST_COLUMNS)
    rows = -(-len(charts) // columns)
    figure = Figure(figsize=(4.2 * columns, 2.9 * rows + 0.5), layout="constrained")
    for place, (heading, fan, x_title, y_title) in enumerate(charts):
        axes = figure.add_subplot(rows, columns, place + 1)
        for low, high, opacity in ((0, 4, 0.2), (1, 3, 0.35)):
            axes.fill_between(fan.x, fan.quantiles[low], fan.quantiles[high], color=_FAN, alpha=opacity, linewidth=0)
        for run in fan.runs[1:]:
            axes.plot(fan.x, run, color="#8a8a8a", linewidth=0.6)
        axes.plot(fan.x, fan.quantiles[2], color=_FAN)
        axes.plot(fan.x, fan.runs[0], color="black")
        axes.set_title(heading, fontsize=9, parse_math=False)
        axes.set_xlabel(x_title, parse_math=False)
        axes.set_ylabel(y_title, parse_math=False)
    figure.suptitle(title, fontsize=10, parse_math=False)
    save(figure, file, format="png", dpi=110)


def joined(warm_up, mean, truth, *samples):
    """All frames of a picture, one after the other; a truth that is None is left out."""
    return np.concatenate([warm_up, mean, *samples] + ([] if truth is None else [truth]))


def compositions(file, panels, title):
    """Draw statistics over the share of a drug: bands of predictions, and points of simulations over them.

    Args:
        file: Binary file or path to write the PNG to.
        panels: See `socialmd_tf.report.compositions.panels`.
        title: Title of the picture.
    """
    columns = min(len(panels), _MOST_COLUMNS - 1)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(5 * columns, 3.8 * rows + 0.5), layout="constrained")
    for place, (y_title, curves) in enumerate(panels):
        axes = figure.add_subplot(rows, columns, place + 1)
        for (drug, curve), color in zip(curves.items(), itertools.cycle(_DRUGS)):
            fractions, quantiles = curve["fractions"], np.reshape(curve["quantiles"], (-1, 5)).T
            for low, high, opacity in ((0, 4, 0.15), (1, 3, 0.3)):
                axes.fill_between(fractions, quantiles[low], quantiles[high], color=color, alpha=opacity, linewidth=0)
            axes.plot(fractions, quantiles[2], color=color, label=f"{drug}, predicted")
            axes.plot(fractions, curve["regression"], color=color, linewidth=1, linestyle="--")
            for kind, face in (("seen", "none"), ("unseen", color)):
                points = np.reshape(curve[kind], (-1, 2)).T
                axes.plot(*points, "o", color=color, markerfacecolor=face, markersize=5, linestyle="none")
        axes.set_xlabel("share of the drug")
        axes.set_title(textwrap.fill(y_title, 50), fontsize=9, parse_math=False)
        axes.legend(fontsize=8)
    note = (
        "bands: middle 50 % and 90 % of single systems; circles: simulations, filled if not in the training split; "
        "dashed: quadratic regression of the training simulations"
    )
    figure.suptitle(f"{title}\n{note}", fontsize=9, parse_math=False)
    save(figure, file, format="png", dpi=110)


def save(figure, file, **options):
    """Save a figure, without warnings about the font."""
    with no_glyph_warnings():
        figure.savefig(file, **options)


@contextlib.contextmanager
def no_glyph_warnings():
    """Let characters that the font lacks become boxes without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Glyph .* missing from font", category=UserWarning)
        yield


def square_around(frames, outline=()):
    """A square with a margin around all finite positions and a box.

    Args:
        frames: `[T, N, D]`; the first two dimensions count.
        outline: Edges of the box `[E, 2, 2]`.

    Returns:
        (x_min, x_max, y_min, y_max), in units of length.
    """
    finite = frames[np.isfinite(frames).all(axis=-1)][..., :2]
    (x, y), size = cube_around(finite, outline)
    return (x - size / 2, x + size / 2, y - size / 2, y + size / 2)


def cube_around(frames, edges=()):
    """A square (cube) with a margin around all finite positions and a box.

    Args:
        frames: `[..., D]`.
        edges: Edges of the box `[E, 2, D]`.

    Returns:
        Its center `[D]` and the length of its side.
    """
    finite = frames[np.isfinite(frames).all(axis=-1)].astype(np.float64)
    finite = np.concatenate([finite, np.reshape(edges, (-1, frames.shape[-1]))])
    low, high = finite.min(axis=0), finite.max(axis=0)
    center, size = (low + high) / 2, 1.08 * max(high - low)
    return center, size or 2e-6 * max(1.0, *abs(center))  # particles may all stand still at one point


def _draw_lines(axes, frames, color, label, width=1.3, end=None):
    outline = [Stroke(linewidth=width + 1.3, foreground=BACKGROUND), Normal()] if label != "true" else None
    mark = {"marker": end, "markersize": 3 + width, "markevery": [len(frames) - 1], "linewidth": width, "color": color}
    axes.plot(frames[..., 0], frames[..., 1], path_effects=outline, **mark)
    axes.plot([], [], color=color, label=label)


def _draw_samples(axes, shown, last, samples):
    """Draw thin lines from the last observed frame `[1, N, D]` on, one per particle and drawn trajectory."""
    for number, sample in enumerate(samples):
        lines = shown.lines(np.concatenate([last, sample]))
        first, *_ = axes.plot(lines[..., 0], lines[..., 1], color=DRAWN, linewidth=0.7, alpha=0.6)
        if number == 0:
            first.set_label(f"drawn ({len(samples)} of each)")


def draw_outline(axes, shown):
    """Draw the edges of the box of a `ShownBox`."""
    for edge in shown.outline():
        axes.plot(*edge.T, color=OBSERVED, linewidth=1.4, linestyle=":")


def add_legend(figure):
    """Add a legend below the axes, where it hides nothing; it is dark, because the truth is white."""
    figure.legend(loc="outside lower center", ncols=5, facecolor=BACKGROUND, framealpha=1, labelcolor="white")


def label(axes, unit, title):
    """Label the axes; names are plain text, not formulas between dollar signs."""
    axes.set_xlabel(with_unit("x", unit), parse_math=False)
    axes.set_ylabel(with_unit("y", unit), parse_math=False)
    axes.set_title(title, parse_math=False)


def draw_forces(distances, curves, unit, path):
    """Draw the pair forces of a law, with bands of two standard errors.

    Args:
        distances: `[M]`, in units of length.
        curves: Name of a term -> dictionary of `force` and `standard_error`, each `[M]`.
        unit: Unit of length; "1" means dimensionless.
        path: The picture.
    """
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, curve in curves.items():
        force, error = np.array(curve["force"]), np.array(curve["standard_error"])
        (line,) = axes.plot(distances, force, label=name)
        axes.fill_between(distances, force - 2 * error, force + 2 * error, color=line.get_color(), alpha=0.3)
    largest = [np.quantile(np.abs(curve["force"]), 0.9) for curve in curves.values()]
    if curves:
        axes.set_yscale("symlog", linthresh=max(1e-2 * max(largest), 1e-300), linscale=2)
        axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        axes.legend()
    axes.set_xscale("log")
    axes.set_xlabel(with_unit("distance", unit))
    axes.set_ylabel("acceleration per squared frame interval\n(positive: attraction; linear near zero)")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    write_atomically(path, lambda file: file.write(content.getbuffer()))
