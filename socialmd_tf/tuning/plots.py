"""Pictures of a hyperparameter search."""

import itertools
import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipelines.atomic_files import write_atomically

_COLUMNS = 3
_PAIRED = 4
_GRID = 60
_BANDWIDTH = 0.15
_SHOWN_QUANTILE = 0.9
_MARGIN = 0.06
_MARKERS = {
    "o": "a trial; later ones are brighter",
    "^": "loss above the picture",
    "x": "failed trial",
    "*": "best trial",
}
_DECADES = 1.5
_FEW = 8
_LANDSCAPE = 10
"""Trials from which on a surface is drawn: fewer do not determine one."""


def losses(path, trials, ranges):
    """Draw the loss of all trials against each hyperparameter.

    Losses above their 90 % quantile are triangles at the upper edge, and failed trials crosses there. Later trials are
    brighter; the best trial is a star. A legend says so.

    Args:
        path: File of the picture.
        trials: Pairs (values, loss) in the order of their start; the loss of a failed trial is None.
        ranges: Names -> `Range`s of the hyperparameters to draw.
    """
    top = _top(trials)
    figure, panels = _panels(len(ranges))
    shown = set()
    for axes, (name, searched) in zip(panels, ranges.items(), strict=True):
        order = [index for index, (values, _) in enumerate(trials) if name in values]
        x = _positions([trials[index][0][name] for index in order], searched)
        y = np.array([math.inf if trials[index][1] is None else trials[index][1] for index in order])
        for marker, chosen in (("o", y <= top), ("^", (y > top) & np.isfinite(y))):
            colors = np.array(order)[chosen]
            axes.scatter(x[chosen], np.minimum(y, top)[chosen], c=colors, marker=marker, vmin=0, vmax=len(trials))
            shown |= {marker} if chosen.any() else set()
        failed = np.isinf(y)
        axes.scatter(x[failed], np.full(failed.sum(), top), c="red", marker="x")
        shown |= {"x"} if failed.any() else set()
        if len(y) and np.isfinite(y).any():
            axes.scatter(x[y.argmin()], y.min(), marker="*", s=180, color="red", zorder=4)
            shown.add("*")
        axes.set(ylabel="validation loss")
        _label(axes.xaxis, name, searched)
    _add_legend(figure, [marker for marker in _MARKERS if marker in shown])
    _save(figure, path)


def _add_legend(figure, markers):
    """Add what markers mean, below all panels."""
    looks = {"linestyle": "", "markersize": 8}
    handles = [
        Line2D([], [], marker=marker, color="red" if marker in "x*" else "tab:green", label=_MARKERS[marker], **looks)
        for marker in markers
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)


def surfaces(path, trials, ranges, names):
    """Draw the loss over pairs of hyperparameters (as in figure 20 of the thesis), smoothed by a Gaussian kernel.

    Each panel has all trials with both hyperparameters, whatever their other values; the dots are the trials. Below ten
    of them there is no surface: the dots have the colours of their losses.

    Args:
        path: File of the picture.
        trials: As for `losses`.
        ranges: As for `losses`.
        names: The hyperparameters by importance, the most important one first; the first four are drawn.
    """
    top = _top(trials)
    done = [(values, min(loss, top)) for values, loss in trials if loss is not None]
    shared = [name for name in names if sum(name in values for values, _ in done) > 1][:_PAIRED]
    pairs = [
        (first, second)
        for first, second in itertools.combinations(shared, 2)
        if any(first in values and second in values for values, _ in done)
    ]
    if not pairs:
        return
    figure, panels = _panels(len(pairs))
    for axes, (first, second) in zip(panels, pairs, strict=True):
        both = [(values, loss) for values, loss in done if first in values and second in values]
        x = _positions([values[first] for values, _ in both], ranges[first])
        y = _positions([values[second] for values, _ in both], ranges[second])
        z = np.array([loss for _, loss in both])
        grid_x, grid_y = (np.linspace(*_limits(ranges[name]), _GRID) for name in (first, second))
        if len(both) < _LANDSCAPE:
            drawn = axes.scatter(x, y, c=z, cmap="viridis_r", edgecolors="black", s=60)
            axes.set_title(f"{len(both)} trials, too few for a surface", fontsize=9)
        else:
            surface = _smooth(x, y, z, grid_x, grid_y)
            drawn = axes.contourf(grid_x, grid_y, surface, levels=12, cmap="viridis_r")
            axes.scatter(x, y, c="white", edgecolors="black", s=22, zorder=3)
            axes.set_title(f"{len(both)} trials (dots), smoothed", fontsize=9)
        figure.colorbar(drawn, ax=axes, label="validation loss")
        _label(axes.xaxis, first, ranges[first])
        _label(axes.yaxis, second, ranges[second])
    _save(figure, path)


def importance(path, shares):
    """Draw the importance of the hyperparameters.

    Args:
        path: File of the picture.
        shares: Names -> shares, in descending order.
    """
    figure = Figure(figsize=(8, 1 + 0.35 * len(shares)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(list(shares), list(shares.values()), color="steelblue")
    axes.invert_yaxis()
    axes.set(xlabel="importance for reaching the best tenth (PED-ANOVA)", xlim=(0, 1))
    _save(figure, path)


def _panels(count):
    """A figure and its `count` axes, in rows of three."""
    columns = min(count, _COLUMNS)
    rows = -(-count // columns)
    figure = Figure(figsize=(4.6 * columns, 3.6 * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, index + 1) for index in range(count)]


def _top(trials):
    """The largest loss inside the picture."""
    found = [loss for _, loss in trials if loss is not None]
    return float(np.quantile(found, _SHOWN_QUANTILE)) if found else 1.0


def _positions(values, searched):
    """Coordinates of values on an axis: their index in a list of values, else themselves or their logarithms."""
    if searched.values:
        return np.array([searched.values.index(value) for value in values], dtype=float)
    return np.log10(values) if searched.log else np.array(values, dtype=float)


def _limits(searched):
    low, high = _positions(searched.extremes[:: len(searched.extremes) - 1], searched)
    margin = _MARGIN * (high - low)
    return low - margin, high + margin


def _smooth(x, y, z, grid_x, grid_y):
    """Averages of z around the points of the grid `[ny, nx]`, weighted by a Gaussian of the distance."""
    unit_x, unit_y = (np.ptp(grid) or 1.0 for grid in (grid_x, grid_y))
    square = ((grid_x[None, :, None] - x) / unit_x) ** 2 + ((grid_y[:, None, None] - y) / unit_y) ** 2
    weights = np.exp(-(square - square.min(axis=-1, keepdims=True)) / (2 * _BANDWIDTH**2))
    return (weights * z).sum(axis=-1) / weights.sum(axis=-1)


def _label(axis, name, searched):
    axis.set_label_text(name)
    axis.axes.set(**{f"{axis.axis_name}lim": _limits(searched)})
    ticks = _ticks(searched)
    if ticks is not None:
        axis.set_ticks(_positions(ticks, searched), [str(tick) if searched.values else f"{tick:g}" for tick in ticks])


def _ticks(searched):
    """Values of the ticks of an axis, or None for Matplotlib's own."""
    if searched.values:
        return searched.values
    if searched.log:
        low, high = math.log10(searched.low), math.log10(searched.high)
        first = (1,) if high - low > _DECADES else (1, 2, 5)
        exponents = range(math.floor(low), math.ceil(high) + 1)
        ticks = [factor * 10.0**exponent for exponent in exponents for factor in first]
        return [tick for tick in ticks if searched.low * 0.999 <= tick <= searched.high * 1.001]
    if searched.step and (searched.high - searched.low) / searched.step <= _FEW:
        return list(np.arange(searched.low, searched.high + searched.step / 2, searched.step))
    return None


def _save(figure, path):
    """Write a PNG picture, whole or not at all."""
    write_atomically(Path(path), lambda file: figure.savefig(file, format="png", dpi=110, metadata={"Software": None}))
