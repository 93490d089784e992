"""Data of the report's player of rollouts: frames as JSON, thinned out to what a browser can animate."""

import json

import numpy as np
from scipy.stats import chi2

from socialmd_tf.report import plots
from socialmd_tf.report.packed import packed
from socialmd_tf.report.shown_box import ShownBox

MAX_PARTICLES = 200
"""Largest number of particles per window."""
MAX_NUMBERS = 230_000
"""Approximate limit of numbers in the whole page, of which each takes three to five bytes."""
MOST_ROOM = 1.25
"""Largest factor by which regions enlarge what the player shows."""
PROBABILITY = 0.9
"""Probability of the predictive regions that are drawn."""


def thin_out(windows):
    """Choose evenly spread particles and frames, within `MAX_PARTICLES` and about `MAX_NUMBERS`.

    Args:
        windows: `ExampleWindow`s.

    Returns:
        For every window (indices of particles, indices of observed frames, indices of predicted frames): every k-th
        frame before and after the last observed one, and the last predicted frame.
    """
    particles = [evenly(window.truth.shape[1], MAX_PARTICLES) for window in windows]
    numbers = sum(
        len(kept) * len(window.truth) * _per_position(window) for window, kept in zip(windows, particles, strict=True)
    )
    every = max(1, -(-numbers // MAX_NUMBERS))
    return [(kept, *_frames(window, every)) for window, kept in zip(windows, particles, strict=True)]


def _per_position(window):
    """Numbers per particle and frame: of the truth, every mean and its region, every sample."""
    size = window.truth.shape[-1]
    drawn = sum(len(paths) for paths in window.samples.values())
    return size * (1 + drawn) + len(window.predictions) * (size + size * (size + 1) // 2)


def evenly(count, limit):
    """At most `limit` of `count` indices, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, limit)).astype(int))


def caption(window):
    """Title of a window."""
    return f"{window.label}: MAE {window.mae:.3g} (trajectory {window.trajectory}, frame {window.first_frame})"


def data(windows, unit, time=None):
    """The frames of every window and predictor, packed.

    A region is the 90 % predictive region of a D-dimensional Gaussian: mean + L u for all unit vectors u, where L L^T
    is the covariance times the 90 % quantile of chi squared with D degrees of freedom.

    Args:
        windows: `ExampleWindow`s.
        unit: Length unit; "1" for none.
        time: (time from one step to the next, its unit or None), or None.

    Returns:
        `packed` JSON. Every window has `label`, `center` and `size` of what it shows, `steps` (one per frame; 0 is the
        last observed frame), `particles` (their indices), `kinds`, `observed` and `truth` (lists of `x`, `y` and in 3D
        `z`, one per frame), and for every predictor `name`, `mean`, `region`, the entries of the lower triangle L row
        after row, and if it draws `samples`. In a periodic box all positions are wrapped, `box` has the ends of its
        edges, and `breaks` beside `x` and `y` lists the particles that cross a face of the box on their way from the
        frame before.
    """
    chosen = thin_out(windows)
    values = {
        "unit": unit,
        "time": None if time is None else {"step": time[0], "unit": time[1]},
        "colors": {
            "true": plots.TRUE,
            "predicted": plots.PREDICTED,
            "observed": plots.OBSERVED,
            "background": plots.BACKGROUND,
        },
        "windows": [_window(window, *indices) for window, indices in zip(windows, chosen, strict=True)],
    }
    return packed(json.dumps(values, separators=(",", ":"), allow_nan=False))


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
    edges = shown.edges()
    seen = shown.wrap(np.concatenate([window.warm_up, window.truth, first_mean]))
    center, size = plots.cube_around(seen, edges)
    if len(center) == 2:  # in three dimensions a turned cube has more room than its side
        size = _with_regions(size, center, shown, *next(iter(window.predictions.values())))
    decimals = _decimals(size, digits=5)
    return {
        "label": caption(window),
        "center": _rounded(center, decimals),
        "size": float(size),
        "steps": [int(step) for step in np.concatenate([observed - len(window.warm_up) + 1, predicted + 1])],
        "particles": particles.tolist(),
        "kinds": None if window.kinds is None else [window.kinds[place] for place in particles],
        "box": _rounded(edges, decimals),
        "observed": _columns(of(window.warm_up, observed), shown, decimals),
        "truth": after_observed(window.truth),
        "predictions": [
            {
                "name": name,
                "mean": after_observed(mean),
                "region": [_rounded(entry, decimals) for entry in regions(of(covariance, predicted))],
                **(
                    {"samples": [after_observed(path) for path in window.samples[name]]}
                    if name in window.samples
                    else {}
                ),
            }
            for name, (mean, covariance) in window.predictions.items()
        ],
    }


def _with_regions(size, center, shown, mean, covariance):
    """Side of a square that holds the regions, too, but at most `MOST_ROOM` times as long as before."""
    variances = np.diagonal(covariance, axis1=-2, axis2=-1)
    reach = np.sqrt(np.maximum(variances, 0) * chi2.ppf(PROBABILITY, mean.shape[-1]))
    needed = 2 * (np.abs(shown.wrap(mean) - center) + reach)
    return np.clip(np.max(needed, initial=0, where=np.isfinite(needed)), size, MOST_ROOM * size)


def regions(covariance):
    """Entries of the lower triangles L of 90 % regions, see `data`, row after row: of `[..., D, D]`, each `[...]`."""
    finite = np.isfinite(covariance).all(axis=(-2, -1), keepdims=True)
    matrix = np.where(finite, covariance, np.nan) * chi2.ppf(PROBABILITY, covariance.shape[-1])
    rows = []
    for row in range(covariance.shape[-1]):
        entries = []
        for column in range(row + 1):
            earlier = entries if column == row else rows[column][:column]
            rest = matrix[..., row, column] - sum(a * b for a, b in zip(entries, earlier, strict=True))
            if column == row:
                entries.append(np.sqrt(np.maximum(rest, 0.0)))  # a flat region has zeros
            else:
                diagonal = rows[column][column]
                entries.append(np.divide(rest, diagonal, out=np.zeros_like(rest), where=diagonal > 0))
        rows.append(entries)
    return [entry for entries in rows for entry in entries]


def _columns(frames, shown, decimals, skip=0):
    """Wrapped positions and breaks of frames `[T, N, D]`, without the first `skip` ones."""
    wrapped = shown.wrap(frames)[skip:]
    columns = {axis: _rounded(wrapped[..., place], decimals) for place, axis in enumerate("xyz"[: wrapped.shape[-1]])}
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
