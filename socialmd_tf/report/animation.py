"""Animations of rollouts: GIF files with time, trails and 90 % predictive regions."""

import io
import textwrap

import numpy as np
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import chi2

from socialmd_tf.report import plots
from socialmd_tf.report.shown_box import ShownBox

PROBABILITY = 0.9
TRAIL = 10
"""Frames that a trail is long."""
_MILLISECONDS_PER_FRAME = 125
_WIDTH, _HEIGHT = 6, 6.6  # inches
_LETTERS = 64
"""Letters that a line of the title has room for."""
_DOT = {"marker": "o", "markersize": 4.5, "markeredgewidth": 0, "linestyle": "none"}
_RING = {"marker": "o", "markersize": 7.5, "markeredgewidth": 1.2, "markerfacecolor": "none", "linestyle": "none"}


def animation(file, warm_up, mean, covariance, *, times, time_unit=None, truth=None, unit="1", title="", box=None):
    """Draw observed, predicted and true frames one after the other as a GIF.

    Observed positions are grey, predicted ones red; true ones are white rings, so that neither hides the other. Each
    predicted frame has its 90 % predictive regions, and each frame trails of the last frames and its time. In a
    periodic box all positions are wrapped into it.

    Args:
        file: Binary file or path for the GIF.
        warm_up: Observed frames `[T, N, D]`, in units of length; a third dimension is projected out.
        mean: Predicted frames `[T', N, D]`.
        covariance: `[T', N, D, D]`.
        times: `[T + T']`, of the observed and the predicted frames.
        time_unit: Unit of the times, or None.
        truth: True frames `[<= T', N, D]`, or None.
        unit: Length unit; "1" for none.
        title: Title of the picture.
        box: Lattice vectors of the periodic box in rows `[D, D]`, or None.
    """
    figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.08)
    axes = figure.add_subplot(facecolor=plots.BACKGROUND, aspect="equal")
    shown = ShownBox.around(box, warm_up)
    extent = plots.square_around(shown.wrap(plots.joined(warm_up, mean, truth)), shown.outline())
    axes.set(xlim=extent[:2], ylim=extent[2:])
    plots.draw_outline(axes, shown)
    plots.label(axes, unit, "")
    for name, color, style in (
        ("observed", plots.OBSERVED, _DOT),
        ("predicted, 90 % region", plots.PREDICTED, _DOT),
        ("true", plots.TRUE, _RING),
    ):
        axes.plot([], [], color=color, label=name, **style)
    plots.add_legend(figure)
    figure.suptitle(textwrap.fill(title, _LETTERS), parse_math=False)
    predicted = np.concatenate([warm_up, mean])
    num_observed, num_frames = len(warm_up), len(predicted)
    first_time = _clock(0, num_observed, num_frames, times, time_unit)
    clock = axes.set_title(first_time, loc="left", fontsize="medium", parse_math=False)
    with plots.no_glyph_warnings():
        figure.draw_without_rendering()
    figure.set_layout_engine("none")  # nothing moves from frame to frame
    true = predicted[:num_observed] if truth is None else np.concatenate([warm_up, truth])
    pictures = []
    for index in range(num_frames):
        step = index - num_observed
        drawn = [_trails(axes, shown, predicted, index, num_observed, plots.PREDICTED, width=2.4)]
        if index < len(true):
            drawn.append(_trails(axes, shown, true, index, num_observed, plots.TRUE, width=1.0))
        if step >= 0:
            drawn.append(axes.add_collection(regions(shown.wrap(mean[step]), covariance[step], axes.transData)))
        drawn += _dots(axes, shown.wrap(predicted[index]), plots.OBSERVED if step < 0 else plots.PREDICTED, _DOT)
        if 0 <= step and index < len(true):
            drawn += _dots(axes, shown.wrap(true[index]), plots.TRUE, _RING)
        clock.set_text(_clock(index, num_observed, num_frames, times, time_unit))
        buffer = io.BytesIO()
        plots.save(figure, buffer, format="png")
        pictures.append(Image.open(buffer).convert("RGB"))
        for artist in drawn:
            artist.remove()
    colors = pictures[-1].quantize()  # one palette, so that nothing flickers
    first, *others = [picture.quantize(palette=colors, dither=Image.Dither.NONE) for picture in pictures]
    first.save(file, format="GIF", save_all=True, append_images=others, duration=_MILLISECONDS_PER_FRAME, loop=0)


def regions(mean, covariance, transform):
    """The 90 % predictive regions of one frame: ellipses, the projections of ellipsoids in three dimensions.

    Args:
        mean: `[N, D]`.
        covariance: `[N, D, D]`.
        transform: Of the centres, such as `axes.transData`.

    Returns:
        A matplotlib collection.
    """
    finite = np.isfinite(mean).all(axis=-1) & np.isfinite(covariance).all(axis=(-2, -1))
    variances, axes = np.linalg.eigh(covariance[finite][:, :2, :2])
    lengths = 2 * np.sqrt(chi2.ppf(PROBABILITY, mean.shape[-1]) * np.maximum(variances, 0))
    angles = np.degrees(np.arctan2(axes[:, 1, 1], axes[:, 0, 1]))  # of the longer axis
    return EllipseCollection(
        lengths[:, 1],
        lengths[:, 0],
        angles,
        units="xy",
        offsets=mean[finite][:, :2],
        offset_transform=transform,
        edgecolors=plots.PREDICTED,
        facecolors=(*to_rgba(plots.PREDICTED)[:3], 0.15),
        linewidths=0.8,
    )


def _trails(axes, shown, frames, index, num_observed, color, width):
    """Lines along the last moves of all particles that fade with age, and are broken at the faces of a box."""
    since = max(0, index - TRAIL)
    path = frames[since : index + 1]
    wrapped, breaks = shown.wrap(path)[..., :2], shown.breaks(path)
    lines, colors = [], []
    for later in range(1, len(path)):
        whole = ~breaks[later]
        lines += list(np.stack([wrapped[later - 1], wrapped[later]], axis=1)[whole])
        kind = plots.OBSERVED if since + later < num_observed else color
        colors += [to_rgba(kind, 0.7 * later / len(path))] * int(whole.sum())
    return axes.add_collection(LineCollection(lines, colors=colors, linewidths=width))


def _dots(axes, frame, color, style):
    return axes.plot(frame[:, 0], frame[:, 1], color=color, **style)


def _clock(index, num_observed, num_frames, times, unit):
    kind = "observed" if index < num_observed else "predicted"
    return f"time {times[index]:.6g}{f' {unit}' if unit else ''}   frame {index + 1} of {num_frames}, {kind}"
