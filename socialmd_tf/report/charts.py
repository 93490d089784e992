"""Interactive charts of the report; this is the only file that imports plotly."""

import base64
import html
import math
import textwrap

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from socialmd_tf.report import plots
from socialmd_tf.report.number_format import with_unit
from socialmd_tf.report.shown_box import ShownBox

# The colour-blind safe palette of Okabe and Ito (2008); dashes distinguish lines without colour.
_COLORS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_LOG_FROM = 30
_TITLE_WIDTH = 32
"""Letters of a line of a title: what fits beside a chart, and below it on a phone."""
_MOST_POINTS = 500
"""Points of a line, so that the page stays below 4 MB for any number of steps."""
_TIMES, _DECADES = 6, 8
"""Most ticks of times, and of powers of ten."""


def library():
    """Source of plotly.js, to be included once per page."""
    return get_plotlyjs()


def plain(text):
    """Text that plotly.js shows unchanged; plotly.js interprets HTML tags."""
    return html.escape(str(text), quote=False)


def lines(series, x_title, y_title, *, references=(), shares="", log_x=False, linear_y=False, time=None, among=()):
    """Draw a line per name. The y axis is logarithmic if values are not negative and span a factor of 30.

    Of lines of more than 500 points, 500 evenly spaced ones are drawn, the first and the last among them.

    Args:
        series: Dictionary of name -> (x, y), two lists of numbers; x can also be category labels.
        x_title: Title of the x axis, with the unit.
        y_title: Title of the y axis, with the unit.
        references: (name, x, y) of grey reference lines.
        shares: Axes that run from 0 to 1: "", "y" or "xy".
        log_x: Whether the x axis is logarithmic.
        linear_y: Whether the y axis is linear whatever the values span.
        time: (time per unit of x, its unit or None) for a second x axis of times above the chart, or None.
        among: All names of the page, if there are more: each has the same colour in all charts.

    Returns:
        The figure as JSON for plotly.js.
    """
    places = {name: place for place, name in enumerate(among or series)}
    values = np.concatenate([np.asarray(y, float) for _, y in series.values()])
    is_log = "y" not in shares and not linear_y and _spread(values) >= _LOG_FROM
    left_out = " (zeros not shown)" if is_log and (values == 0).any() else ""
    figure = go.Figure(layout=_layout(x_title, y_title + left_out))
    for name, x, y in references:
        _add_line(figure, name, x, y, {"color": "#8a8a8a", "width": 4}, mode="lines")
    for name, (x, y) in series.items():
        style = {**_style(places[name]), "width": 3 if places[name] == 0 else 2}
        _add_line(figure, name, x, y, style, mode="lines+markers" if len(x) < 50 else "lines")
    if is_log:
        decades = math.log10(_spread(values))
        minor = {"dtick": "D1", "showgrid": True, "gridcolor": "#f1f1f1"} if decades < _DECADES else {}
        figure.update_yaxes(type="log", dtick=max(1, math.ceil(decades / _DECADES)), minor=minor)
    if log_x:
        figure.update_xaxes(type="log")
    if "x" in shares:
        figure.update_xaxes(range=[0, 1])
        figure.update_layout(hovermode="closest")
    if "y" in shares:
        figure.update_yaxes(range=[0, 1.02])
    if time is not None:
        _add_times(figure, *(list(next(iter(series.values()))[0])[end] for end in (0, -1)), *time)
    return figure.to_json()


def losses(series):
    """Draw losses over epochs; those of first epochs that would flatten all others are above the chart.

    Args:
        series: Dictionary of name -> (epochs, losses).

    Returns:
        The figure as JSON for plotly.js.
    """
    figure = go.Figure(layout=_layout("epoch", "loss (nats)"))
    for index, (name, (x, y)) in enumerate(series.items()):
        _add_line(figure, name, list(x), y, _style(index), mode="lines+markers")
    figure.update_xaxes(dtick=max(1, -(-len(x) // 10)))
    values = np.sort(np.concatenate([y for _, y in series.values()]))
    values = values[np.isfinite(values)]
    usual = values[-1] if len(values) < 4 else np.median(values) + 10 * (np.median(values) - values[0])
    if values[-1] > usual > values[0]:
        high = values[values <= usual][-1]
        margin = 0.06 * (high - values[0])
        figure.update_yaxes(range=[values[0] - margin, high + margin])
    figure.update_layout(margin={"t": 30, "b": 40}, showlegend=True)
    return figure.to_json()


def forces(curve, x_title, y_title):
    """Draw the force between a pair of particles, and below it how often each distance occurs in the data.

    The y axis shows the forces at the distances of all but the closest and the farthest hundredth of the pairs.

    Args:
        curve: An entry of `Findings.pair_forces`; with `ranges`, these are bands around the lines.
        x_title: Title of the axis of distances, with the unit.
        y_title: Title of the axis of forces, with the unit.

    Returns:
        The figure as JSON for plotly.js.
    """
    figure = go.Figure(layout=_layout(x_title, y_title))
    r, edges, counts = (np.asarray(curve[name], float) for name in ("r", "edges", "counts"))
    known = [*([curve["true"]] if curve["true"] else []), *curve["learned"].values()]
    known += [bound for bounds in curve.get("ranges", {}).values() for bound in bounds]
    if curve["true"]:
        _add_line(figure, "true law", r, curve["true"], {"color": "#8a8a8a", "width": 5}, mode="lines")
    for index, (name, force) in enumerate(curve["learned"].items()):
        if "ranges" in curve:
            _add_band(figure, r, curve["ranges"][name], _COLORS[index % len(_COLORS)])
        _add_line(figure, name, r, force, _style(index), mode="lines")
    figure.add_bar(
        x=(edges[1:] + edges[:-1]) / 2,
        y=counts / counts.sum(),
        width=np.diff(edges),
        yaxis="y2",
        marker={"color": "#b9c2cf"},
        showlegend=False,
        hovertemplate="%{y:.3~g} of pairs",
        name="",
    )
    shares = np.cumsum(counts) / counts.sum()
    low, high = edges[np.searchsorted(shares, 0.01)], edges[np.searchsorted(shares, 0.99) + 1]
    usual = np.concatenate([np.asarray(force, float)[(r >= low) & (r <= high)] for force in known])
    usual = usual[np.isfinite(usual)]
    if len(usual):
        bottom, top = min(usual.min(), 0), max(usual.max(), 0)
        margin = 0.08 * (top - bottom) or 1.0
        figure.update_layout(yaxis={"range": [bottom - margin, top + margin]})
    axis = figure.layout.yaxis.to_plotly_json() | {"title": {"text": "pairs"}, "range": None}
    figure.update_layout(yaxis={"domain": [0.33, 1], "zeroline": True, "zerolinecolor": "#888888"})
    figure.update_layout(yaxis2={**axis, "domain": [0, 0.24], "showticklabels": False, "ticks": ""})
    figure.update_xaxes(anchor="y2", type="log" if r[-1] > 10 * r[0] else "linear")
    return figure.to_json()


def _add_band(figure, x, bounds, color):
    """A shaded band between two curves `[2, M]`, of the points that are numbers."""
    x, (low, high) = np.asarray(x, np.float32), np.asarray(bounds, np.float32)
    known = np.isfinite(low) & np.isfinite(high)
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    edge = {"mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip", "name": ""}
    figure.add_scatter(x=x[known], y=low[known], **edge)
    figure.add_scatter(
        x=x[known], y=high[known], fill="tonexty", fillcolor=f"rgba({red}, {green}, {blue}, 0.2)", **edge
    )


def fan(x, quantiles, runs, x_title, y_title):
    """Draw an ensemble as bands, with the curves that were observed; of long curves as many points as of `lines`.

    Args:
        x: `[K]`.
        quantiles: The 5, 25, 50, 75 and 95 % quantiles of the ensemble `[5, K]`.
        runs: The file (black) and its re-runs (grey), `[1 + R, K]`.
        x_title: Title of the x axis, with the unit.
        y_title: Title of the y axis, with the unit.

    Returns:
        The figure as JSON for plotly.js.
    """
    figure = go.Figure(layout=_layout(x_title, y_title))
    chosen = _evenly(len(x))
    x, quantiles, runs = (np.asarray(values, np.float32)[..., chosen] for values in (x, quantiles, runs))
    hidden = {"mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
    for low, high, name, opacity in ((0, 4, "middle 90 %", 0.2), (1, 3, "middle 50 %", 0.35)):
        figure.add_scatter(x=x, y=quantiles[low], **hidden)
        shade = {"fill": "tonexty", "fillcolor": f"rgba(213, 94, 0, {opacity})"}
        figure.add_scatter(x=x, y=quantiles[high], name=name, **{**hidden, **shade, "showlegend": True})
    for place, run in enumerate(runs[1:]):
        line = {"color": "#8a8a8a", "width": 1}
        figure.add_scatter(x=x, y=run, name="re-runs", mode="lines", line=line, showlegend=place == 0, hoverinfo="skip")
    for name, y, color in (("median", quantiles[2], _COLORS[0]), ("file", runs[0], "#000000")):
        _add_line(figure, name, x, y, {"color": color, "width": 2}, mode="lines")
    return figure.to_json()


def paths(observed, truth, mean, densities, unit, box=None):
    """Draw predicted paths (red) and true paths (white) over the predicted density.

    Args:
        observed: Observed frames `[T, N, D]`, in units of length; a third dimension is projected out.
        truth: True frames `[T', N, D]`.
        mean: Predicted frames `[T', N, D]`.
        densities: Means `[T'', N, D]` and covariances `[T'', N, D, D]` of the densities to draw.
        unit: Length unit; "1" for none.
        box: Lattice vectors of the periodic box in rows `[D, D]`, into which positions are wrapped; or None.

    Returns:
        The figure as JSON for plotly.js.
    """
    shown = ShownBox.around(box, observed)
    extent = plots.square_around(shown.wrap(np.concatenate([observed, truth, mean])), shown.outline())
    figure = go.Figure(layout=_layout(with_unit("x", unit), with_unit("y", unit)))
    values = plots.density_map(shown.wrap(densities[0]), densities[1], extent)
    if plots.is_broad(values):
        _add_regions(figure, plots.outlines(shown.wrap(densities[0][-1]), densities[1][-1]))
    else:
        _add_picture(figure, plots.density_png(values), extent)
    # The true path is thin and on top of the predicted one: neither hides the other.
    for name, frames, color, width in (
        ("observed", observed, plots.OBSERVED, 1.8),
        ("predicted", np.concatenate([observed[-1:], mean]), plots.PREDICTED, 3.2),
        ("true", np.concatenate([observed[-1:], truth]), plots.TRUE, 1.3),
    ):
        _add_paths(figure, name, shown.lines(frames), color, width)
    for edge in shown.outline():
        x, y = edge.T
        line = {"color": plots.OBSERVED, "width": 1, "dash": "dot"}
        figure.add_scatter(x=x, y=y, mode="lines", line=line, name="box", hoverinfo="skip")
    figure.update_layout(plot_bgcolor=plots.BACKGROUND, hovermode="closest", margin={"t": 10}, showlegend=False)
    figure.update_xaxes(range=extent[:2], showgrid=False, constrain="domain")
    figure.update_yaxes(range=extent[2:], showgrid=False, scaleanchor="x", constrain="domain")
    return figure.to_json()


def _evenly(count):
    """At most `_MOST_POINTS` of `count` indices, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).astype(int))


def _add_line(figure, name, x, y, style, mode):
    x, y = ([values[place] for place in _evenly(len(values))] for values in (x, y))
    figure.add_scatter(
        x=list(x) if isinstance(x[0], str) else np.asarray(x, np.float32),
        y=np.asarray(y, np.float32),
        name=plain(name),
        mode=mode,
        line=style,
        marker={"size": 5},
        hovertemplate="%{y:.4~g}",
    )


def _add_picture(figure, png, extent):
    """Add a PNG below all traces."""
    figure.add_layout_image(
        source=f"data:image/png;base64,{base64.b64encode(png).decode()}",
        xref="x",
        yref="y",
        x=extent[0],
        y=extent[3],
        sizex=extent[1] - extent[0],
        sizey=extent[3] - extent[2],
        sizing="stretch",
        layer="below",
    )


def _add_regions(figure, outlines):
    """Add outlines `[N, M, 2]` as one trace, separated by NaN."""
    gaps = np.full((len(outlines), 1, 2), np.nan)
    x, y = np.concatenate([outlines, gaps], axis=1).reshape(-1, 2).T.astype(np.float32)
    line = {"color": plots.REGION, "width": 1.2}
    figure.add_scatter(x=x, y=y, mode="lines", line=line, name="90 % region", hoverinfo="skip")


def _add_paths(figure, name, frames, color, width):
    """Add one trace with the paths of all particles, separated by NaN, and one with the ends of predicted paths."""
    cut = np.concatenate([frames[..., :2], np.full_like(frames[:1, :, :2], np.nan)]).astype(np.float32)
    points = cut.transpose(1, 0, 2).reshape(-1, 2)
    moves = np.append(True, (points[1:] != points[:-1]).any(axis=1))  # unbroken paths in a box have frames twice
    x, y = points[moves].T
    hover = {"name": name, "hovertemplate": "%{x:.4~g}, %{y:.4~g}"}
    figure.add_scatter(x=x, y=y, mode="lines", line={"color": color, "width": width}, **hover)
    if name != "observed":
        x, y = cut[-2].T
        ring = {"color": color, "size": 11, "symbol": "circle-open", "line": {"width": 2}}
        marker = ring if name == "true" else {"color": color, "size": 6}
        figure.add_scatter(x=x, y=y, mode="markers", marker=marker, **hover)


def _add_times(figure, first, last, interval, unit):
    """Add an axis of times above the chart, with ticks at round times."""
    span = (last - first) * interval
    if span <= 0:
        return
    power = 10.0 ** math.floor(math.log10(span / _TIMES))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= span / _TIMES)
    times = step * np.arange(math.ceil(first * interval / step), math.floor(last * interval / step * (1 + 1e-9)) + 1)
    figure.add_scatter(x=[first, last], y=[None, None], xaxis="x2", showlegend=False, hoverinfo="skip")
    figure.update_layout(
        xaxis2={
            "overlaying": "x",
            "side": "top",
            "matches": "x",
            "tickvals": (times / interval).tolist(),
            "ticktext": [f"{time:.6g}" for time in times],
            "title": {"text": _title(with_unit("time", unit or "1")), "standoff": 4},
            "ticks": "outside",
            "showgrid": False,
            "zeroline": False,
            "linecolor": "#888888",
            "automargin": True,
        }
    )


def _title(text):
    """A title in lines that fit."""
    return "<br>".join(map(plain, textwrap.wrap(str(text), _TITLE_WIDTH)))


def _style(index):
    return {"color": _COLORS[index % len(_COLORS)], "dash": _DASHES[index % len(_DASHES)]}


def _spread(values):
    """Ratio of the largest to the smallest positive value; 1 if any value is negative."""
    positive = values[np.isfinite(values) & (values > 0)]
    return positive.max() / positive.min() if len(positive) and not (values < 0).any() else 1.0


def _layout(x_title, y_title):
    axis = {"gridcolor": "#e6e6e6", "zeroline": False, "automargin": True, "ticks": "outside", "linecolor": "#888888"}
    axis["exponentformat"] = "power"
    return go.Layout(
        template="none",
        font={"family": "system-ui, sans-serif", "size": 13},
        margin={"l": 60, "r": 15, "t": 10, "b": 50},
        xaxis={"title": {"text": _title(x_title)}, **axis},
        yaxis={"title": {"text": _title(y_title)}, **axis},
        legend={"orientation": "h", "yref": "container", "y": 1, "yanchor": "top", "x": 0},
        hovermode="x unified",
        hoverlabel={"namelength": -1},
    )
