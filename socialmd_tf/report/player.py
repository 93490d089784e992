"""Data of the report's player of rollouts: frames as JSON, thinned out to what a browser can animate."""

import html
import json

import numpy as np
from scipy.stats import chi2

from socialmd_tf.report import plots
from socialmd_tf.report.number_format import with_unit
from socialmd_tf.report.shown_box import ShownBox

MAX_PARTICLES = 200
"""Largest number of particles per window."""
MAX_POINTS = 300_000
"""Approximate limit of positions in the whole page: windows x predictors x frames x particles."""
PROBABILITY = 0.9
"""Probability of the predictive regions that are drawn."""


def thin_out(windows):
    """Choose evenly spread particles and frames, within `MAX_PARTICLES` and about `MAX_POINTS`.

    Args:
        windows: `ExampleWindow`s.

    Returns:
        For every window (indices of particles, indices of observed frames, indices of predicted frames): every k-th
        frame before and after the last observed one, and the last predicted frame.
    """
    particles = [evenly(window.truth.shape[1], MAX_PARTICLES) for window in windows]
    points = sum(
        len(kept) * len(window.truth) * len(window.predictions) for window, kept in zip(windows, particles, strict=True)
    )
    every = max(1, -(-points // MAX_POINTS))
    return [(kept, *_frames(window, every)) for window, kept in zip(windows, particles, strict=True)]


def evenly(count, limit):
    """At most `limit` of `count` indices, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, limit)).astype(int))


def caption(window):
    """Title of a window."""
    return f"{window.label}: MAE {window.mae:.3g} (trajectory {window.trajectory}, frame {window.first_frame})"


def data(windows, unit):
    """The frames of every window and predictor.

    An ellipse is the projection on the x-y plane of the 90 % predictive region of a D-dimensional Gaussian:
    mean + L (cos, sin), where L L^T is the x-y block of the covariance times the 90 % quantile of chi squared with D
    degrees of freedom.

    Args:
        windows: `ExampleWindow`s.
        unit: Length unit; "1" for none.

    Returns:
        JSON that can stand inside a script element. Every window has `label`, `range` (of x and of y), `steps` (one
        per frame; 0 is the last observed frame), `particles` (their indices), `observed` and `truth` (lists of `x`
        and `y`, one per frame), and for every predictor `name`, `mean` and `ellipse`, the entries of L. In a periodic
        box all positions are wrapped, `box` has the ends of its edges, and `breaks` beside `x` and `y` lists the
        particles that cross a face of the box on their way from the frame before.
    """
    chosen = thin_out(windows)
    values = {
        "axes": [html.escape(with_unit(name, unit), quote=False) for name in "xy"],
        "colors": {
            "true": plots.TRUE,
            "predicted": plots.PREDICTED,
            "observed": plots.OBSERVED,
            "background": plots.BACKGROUND,
        },
        "windows": [_window(window, *indices) for window, indices in zip(windows, chosen, strict=True)],
    }
    return script_json(values)


def script_json(value):
    """JSON without `<`, `>` and `&`, so that it cannot end its HTML element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _frames(window, every):
    observed, predicted = len(window.warm_up), len(window.truth)
    last = predicted - 1
    return (
        np.arange(observed - 1, -1, -every)[::-1],
        np.unique(np.append(np.arange(every - 1, predicted, every), last)),
    )


def _window(window, particles, observed, predicted):
    shown = ShownBox.around(window.box, window.warm_up)

    def of(frames, chosen):
        return np.asarray(frames, float)[chosen][:, particles]

    def after_observed(frames):
        """Columns of predicted frames, broken relative to the last observed frame, too."""
        return _columns(np.concatenate([of(window.warm_up, [-1]), of(frames, predicted)]), shown, decimals, skip=1)

    first_mean = next(iter(window.predictions.values()))[0]
    seen = shown.wrap(np.concatenate([window.warm_up, window.truth, first_mean]))
    outline = shown.outline()
    extent = plots.square_around(seen, outline)
    decimals = _decimals(extent[1] - extent[0], digits=5)
    return {
        "label": caption(window),
        "range": _rounded([extent[:2], extent[2:]], decimals),
        "steps": [int(step) for step in np.concatenate([observed - len(window.warm_up) + 1, predicted + 1])],
        "particles": particles.tolist(),
        "box": _rounded(outline, decimals),
        "observed": _columns(of(window.warm_up, observed), shown, decimals),
        "truth": after_observed(window.truth),
        "predictions": [
            {
                "name": name,
                "mean": after_observed(mean),
                "ellipse": _ellipses(of(covariance, predicted), decimals),
            }
            for name, (mean, covariance) in window.predictions.items()
        ],
    }


def _ellipses(covariance, decimals):
    """Lower triangles `l11, l21, l22` of `[T', N, D, D]`, each `[T', N]`."""
    finite = np.isfinite(covariance).all(axis=(-2, -1), keepdims=True)
    block = np.where(finite, covariance, np.nan)[..., :2, :2] * chi2.ppf(PROBABILITY, covariance.shape[-1])
    l11 = np.sqrt(np.maximum(block[..., 0, 0], 0.0))
    l21 = np.divide(block[..., 1, 0], l11, out=np.zeros_like(l11), where=l11 > 0)
    l22 = np.sqrt(np.maximum(block[..., 1, 1] - l21**2, 0.0))
    return [_rounded(entry, decimals) for entry in (l11, l21, l22)]


def _columns(frames, shown, decimals, skip=0):
    """Wrapped positions and breaks of frames `[T, N, D]`, without the first `skip` ones."""
    wrapped = shown.wrap(frames)[skip:]
    columns = {"x": _rounded(wrapped[..., 0], decimals), "y": _rounded(wrapped[..., 1], decimals)}
    if shown.box is not None:
        columns["breaks"] = [np.flatnonzero(row).tolist() for row in shown.breaks(frames)[skip:]]
    return columns


def _decimals(size, digits):
    """Decimals that show a number of this size with the given number of significant digits."""
    return digits - 1 - int(np.floor(np.log10(size)))


def _rounded(values, decimals):
    """Nested lists with None for NaN and infinity, which JSON lacks."""
    values = np.round(np.asarray(values, float), decimals) + 0.0
    return np.where(np.isfinite(values), values, None).tolist()
