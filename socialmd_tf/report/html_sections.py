"""The figures of every section of the HTML report, as pieces of HTML; empty where there is nothing to show."""

from socialmd_tf.report import charts, html_figures, player, plots
from socialmd_tf.report.html_tables import escaped
from socialmd_tf.report.number_format import with_unit
from socialmd_tf.report.tables import molecules_by_predictor, stratum_name

_MAX_DENSITIES = 6000
_MAX_RELATIVE_ERROR = 1.5
_APART = {
    "radial_distribution": ("distance r", "other particles per area (volume)", "Radial distribution"),
    "mean_squared_displacement": ("lag in frames", "squared displacement", "Mean squared displacement"),
    "energy_drift": ("predicted step", "|E - E0| / K0", "Energy drift"),
    "momentum_drift": ("predicted step", "|P - P0| / sum of m |v0|", "Momentum drift"),
}
"""Statistic -> titles of the x axis, of the y axis and of the chart."""


def steps(results, unit):
    """Charts of the mean absolute error and the negative log likelihood at every predicted step."""
    parts = []
    for key, title in (("mae_per_step", with_unit("MAE", unit)), ("nll_per_step", "NLL (nats)")):
        series = _per_step(results, key)
        if series:
            parts.append(
                html_figures.chart(charts.lines(series, "predicted step", title), f"{title} at every predicted step")
            )
    return "\n".join(parts)


def _per_step(results, key):
    """Name of a predictor -> (steps, numbers), for predictors that have these numbers."""
    values = {name: result[key] for name, result in results.items() if result.get(key)}
    return {name: (range(1, len(row) + 1), row) for name, row in values.items()}


def calibration(results):
    """Charts of the coverage of predictive regions: over their probability, and over the steps."""
    series = {
        name: (result["calibration"]["levels"], result["calibration"]["coverage"])
        for name, result in results.items()
        if result.get("calibration")
    }
    pictures = []
    if series:
        figure = charts.lines(
            series,
            "probability of the predictive region",
            "coverage",
            references=[("ideal", [0, 1], [0, 1])],
            shares="xy",
        )
        pictures.append(html_figures.figure("All steps", figure))
    for percent in (50, 90):
        series = _per_step(results, f"coverage_{percent}_per_step")
        if series:
            last = max(max(x) for x, _ in series.values())
            ideal = ("ideal", [1, last], [percent / 100] * 2)
            figure = charts.lines(series, "predicted step", "coverage", references=[ideal], shares="y")
            pictures.append(html_figures.figure(f"{percent} % predictive region per step", figure))
    note = (
        "Coverage is the share of true positions inside a predictive region. Below the grey line a predictor is "
        "overconfident, above it underconfident."
    )
    return html_figures.row(pictures, note)


def strata(results, unit):
    """Chart of the error by closest approach, see `Encounters.strata`."""
    chosen = {name: result["strata"]["closest_approach"] for name, result in results.items() if result.get("strata")}
    if not chosen:
        return ""
    categories = [f"{stratum_name(row)}<br>n = {row['count']:,}" for row in next(iter(chosen.values()))]
    series = {name: (categories, [row["mae"] for row in rows]) for name, rows in chosen.items()}
    return html_figures.chart(
        charts.lines(series, "closest approach in mean moves", with_unit("MAE", unit)), "MAE by closest approach"
    )


def statistics(results, unit):
    """Charts of summary statistics beside those of the truth, see `trajectory_statistics.compare`."""
    chosen = {name: result["observables"] for name, result in results.items() if result.get("observables")}
    return html_figures.row([_beside_truth(chosen, key, unit) for key in _APART])


def _beside_truth(chosen, key, unit):
    """Chart of one statistic of all predictors and of the truth; empty if none has it."""
    having = {name: found[key] for name, found in chosen.items() if key in found}
    if not having:
        return ""
    x_title, y_title, heading = _APART[key]
    first, suffix = next(iter(having.values())), "_per_step" if key.endswith("drift") else ""
    x = first.get("r", range(1, len(first["truth" + suffix]) + 1))
    series = {name: (found.get("r", x), found["rollout" + suffix]) for name, found in having.items()}
    radial = key == "radial_distribution"
    normalized = radial and first.get("normalized", False)
    if radial:
        x_title = with_unit(x_title, unit)
    if normalized:
        y_title = "g(r)"
    if key == "mean_squared_displacement":
        y_title = y_title if unit == "1" else f"{y_title} ({unit}^2)"
    truth = ("truth", x, first["truth" + suffix])
    axes = {"log_x": radial and not normalized, "linear_y": radial}
    return html_figures.figure(heading, charts.lines(series, x_title, y_title, references=[truth], **axes))


def molecules(results, unit):
    """Charts of the statistics of molecules beside those of the truth, see `molecule_statistics.compare`."""
    chosen = molecules_by_predictor(results)
    pictures = []
    for key, true in next(iter(chosen.values()), {}).items():
        near = {name: each[key] for name, each in chosen.items() if each[key]["relative_error"] <= _MAX_RELATIVE_ERROR}
        if not near:
            continue
        series = {name: (each["steps"], each["rollout"]) for name, each in near.items()}
        reference = ("truth", true["steps"], true["truth"])
        title = with_unit(true["title"], unit if unit == "1" or true["power"] == 1 else f"{unit}^2")
        figure = charts.lines(series, "predicted step", title, references=[reference])
        pictures.append(html_figures.figure(true["title"][0].upper() + true["title"][1:], figure))
    note = f"The charts leave out predictors with errors above {100 * _MAX_RELATIVE_ERROR:.0f} % of the truth."
    return html_figures.row(pictures, note)


def examples(windows, unit):
    """Pictures of the best, the median and the worst window, with the prediction of the first model."""
    if not windows:
        return ""
    name = next(iter(windows[0].predictions))
    keys = (("true", plots.TRUE), (f"mean predicted by {name}", plots.PREDICTED), ("observed", plots.OBSERVED))
    legend = "".join(f'<span class="key" style="background: {color}"></span>{escaped(text)}' for text, color in keys)
    note = (
        "Blue: predicted density; every frame of every particle is scaled to a maximum of 1. Windows are ranked by the "
        f"mean absolute error of {name}; the median is the lower of the two in the middle. Drag to zoom, double-click "
        "to zoom out."
    )
    pictures = [
        html_figures.figure(player.caption(window), _picture(window, unit), "picture")
        for window in windows
        if window.label in ("best", "median", "worst")
    ]
    return f"<p>Paths:{legend}</p>\n" + html_figures.row(
        pictures, f"{note}{_projected(windows)}{_wrapped(windows)}{_fewer_particles(windows)}"
    )


def _projected(windows):
    return " The third dimension is projected out." if windows[0].truth.shape[-1] == 3 else ""


def _wrapped(windows):
    return "" if windows[0].box is None else " Positions are wrapped into the periodic box (dotted)."


def _picture(window, unit):
    mean, covariance = next(iter(window.predictions.values()))
    particles = player.evenly(mean.shape[1], player.MAX_PARTICLES)
    frames = player.evenly(len(mean), _MAX_DENSITIES // len(particles))
    return charts.paths(
        window.warm_up[:, particles],
        window.truth[:, particles],
        mean[:, particles],
        (mean[frames][:, particles], covariance[frames][:, particles]),
        unit,
        window.box,
    )


def play(windows, unit):
    """The player: its controls, and the data for `player.js`."""
    if not windows:
        return ""
    note = (
        "Rings: true positions. Red dots: predicted means. Red ellipses: 90 % predictive regions of a Gaussian with "
        "the predicted mean and covariance"
        f"{', projected on the x-y plane' if windows[0].truth.shape[-1] == 3 else ''}. Lines: paths up to this frame. "
        "Drag to zoom, double-click to zoom out; the arrow keys move the slider."
    )
    return f"""<p class="note">{note}{_wrapped(windows)}{_fewer_particles(windows)}{_fewer_frames(windows)}</p>
<div class="controls">
<label>Window <select id="player-window"></select></label>
<label>Predictor <select id="player-predictor"></select></label>
<label><input type="checkbox" id="player-ellipses" checked> 90 % regions</label>
<button type="button" id="player-play">▶ Play</button>
<label class="time">Frame <input type="range" id="player-frame" min="0" step="1">
<output id="player-step"></output></label>
</div>
<div id="player-plot" role="figure" aria-label="particles of the chosen window at the chosen frame"></div>
<script type="application/json" id="player-data">{player.data(windows, unit)}</script>"""


def _fewer_particles(windows):
    """Sentence on particles that are not shown."""
    if max(window.truth.shape[1] for window in windows) <= player.MAX_PARTICLES:
        return ""
    return f" At most {player.MAX_PARTICLES} particles, spread evenly over all, are shown."


def _fewer_frames(windows):
    """Sentence on frames that the player does not show."""
    chosen = player.thin_out(windows)
    if all(len(window.truth) == len(kept) for window, (_, _, kept) in zip(windows, chosen, strict=True)):
        return ""
    return f" Frames are thinned out evenly, to about {player.MAX_POINTS:,} positions in all."
