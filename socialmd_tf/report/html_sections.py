"""The sections of the report that hold pictures, each a piece of HTML, or nothing where there is nothing to show."""

from socialmd_tf.evaluation import molecule_statistics
from socialmd_tf.report import charts, html_tables, player, plots
from socialmd_tf.report.html_tables import escaped

_MAX_DENSITIES = 6000
_FARTHEST = 1.5


def steps(results, unit):
    """Error and negative log likelihood of every predicted step."""
    parts = []
    for key, title in (("mae_per_step", plots.length("MAE", unit)), ("nll_per_step", "NLL (nats)")):
        series = _per_step(results, key)
        if series:
            parts.append(_chart(charts.lines(series, "predicted step", title), f"{title} of every predicted step"))
    return "\n".join(parts)


def _per_step(results, key):
    """What predictors have of a number a step, as name -> (steps, numbers)."""
    values = {name: result[key] for name, result in results.items() if result.get(key)}
    return {name: (range(1, len(row) + 1), row) for name, row in values.items()}


def calibration(results):
    """What the predicted regions hold against what they say that they hold."""
    series = {
        name: (result["calibration"]["levels"], result["calibration"]["coverage"])
        for name, result in results.items()
        if result.get("calibration")
    }
    pictures = []
    if series:
        figure = charts.lines(
            series,
            "stated probability of the region",
            "share of true positions inside",
            references=[("as stated", [0, 1], [0, 1])],
            shares="xy",
        )
        pictures.append(_figure("All steps together", figure, "calibration curve"))
    for percent in (50, 90):
        series = _per_step(results, f"coverage_{percent}_per_step")
        if series:
            last = max(max(x) for x, _ in series.values())
            figure = charts.lines(
                series,
                "predicted step",
                "share of true positions inside",
                references=[("as stated", [1, last], [percent / 100] * 2)],
                shares="y",
            )
            heading = f"Region of {percent} %, step by step"
            pictures.append(_figure(heading, figure, heading))
    if not pictures:
        return ""
    note = "Below the grey line a prediction is surer than it should be, above it less sure."
    return f'<p class="note">{note}</p><div class="row">' + "\n".join(pictures) + "</div>"


def strata(results, unit):
    """Error by how closely particles meet, as `Encounters.strata` gives it."""
    chosen = {name: result["strata"] for name, result in results.items() if result.get("strata")}
    if not chosen:
        return ""
    first = next(iter(chosen.values()))
    pictures = []
    for key, heading, label in (
        ("closest_approach", "By closest approach in the window, in mean moves of a frame", _approach_label),
        (
            "crossing",
            "By whether a particle passes another between two frames, nearer than a mean move",
            _crossing_label,
        ),
    ):
        if key in first:
            categories = [f"{label(row)}<br>n = {row['count']:,}" for row in first[key]]
            series = {name: (categories, [row["mae"] for row in rows[key]]) for name, rows in chosen.items()}
            pictures.append(_figure(heading, charts.lines(series, "", plots.length("MAE", unit)), heading))
    note = (
        "n particles, each counted once a window. The mean move is that of a particle from one frame of a true "
        "window to the next. Between frames, particles are taken to move straight."
    )
    return f'<p class="note">{note}</p><div class="row">' + "\n".join(pictures) + "</div>"


def _approach_label(row):
    return f"{row['from']:g} or more" if row["to"] is None else f"{row['from']:g} to {row['to']:g}"


def _crossing_label(row):
    return "passes another" if row["crossing"] else "passes none"


def observables(results, unit):
    """Summary statistics of rollouts beside those of the truth, as `observables.compare` gives them."""
    chosen = {name: result["observables"] for name, result in results.items() if result.get("observables")}
    if not chosen:
        return ""
    distance = plots.length("distance r", unit)
    squares = "squared length" if unit == "1" else f"squared length ({unit} squared)"
    pictures = [
        _beside_truth(chosen, *columns)
        for columns in (
            ("radial_distribution", "", "r", distance, "others per area (volume)", "How many others are at a distance"),
            (
                "mean_squared_displacement",
                "",
                None,
                "frames from one to the other",
                squares,
                "Mean squared displacement",
            ),
            ("energy_drift", "_per_step", None, "predicted step", "|E - E0| / K0", "Energy drift"),
            ("momentum_drift", "_per_step", None, "predicted step", "|P - P0| / sum of m |v0|", "Momentum drift"),
        )
    ]
    return f'{html_tables.observables(chosen, unit)}<div class="row">{"".join(pictures)}</div>'


def molecules(results, unit):
    """Statistics of molecules beside those of the truth, as `molecule_statistics.compare` gives them."""
    chosen = molecule_statistics.by_predictor(results)
    if not chosen:
        return ""
    pictures = []
    for key, true in next(iter(chosen.values())).items():
        near = {name: found[key] for name, found in chosen.items() if found[key]["relative_error"] <= _FARTHEST}
        if not near:
            continue
        series = {name: (found["steps"], found["rollout"]) for name, found in near.items()}
        reference = ("truth", true["steps"], true["truth"])
        title = plots.length(true["title"], unit if unit == "1" or true["power"] == 1 else f"{unit} squared")
        heading = true["title"][0].upper() + true["title"][1:]
        figure = charts.lines(series, "predicted step", title, references=[reference])
        pictures.append(_figure(heading, figure, heading))
    note = f"Errors of more than {_FARTHEST:g} times the truth are in the table alone: they would hide all others."
    return f'{html_tables.molecules(chosen)}<p class="note">{note}</p><div class="row">{"".join(pictures)}</div>'


def _beside_truth(chosen, name, suffix, x_key, x_title, y_title, heading):
    """A picture of one statistic of all predictors that have it and of the truth; of none, nothing."""
    having = {predictor: found[name] for predictor, found in chosen.items() if name in found}
    if not having:
        return ""
    first = next(iter(having.values()))
    x = first[x_key] if x_key else range(1, len(first["truth" + suffix]) + 1)
    series = {predictor: (found.get(x_key, x), found["rollout" + suffix]) for predictor, found in having.items()}
    truth = ("truth", x, first["truth" + suffix])
    figure = charts.lines(series, x_title, y_title, references=[truth], log_x=x_key is not None)
    return _figure(heading, figure, heading)


def paths(shown, unit):
    """Pictures of the windows: what the first predictor says and what is true."""
    if not shown:
        return ""
    name = next(iter(shown[0].predictions))
    keys = (("true", plots.TRUE), (f"mean that {name} predicts", plots.PREDICTED), ("observed", plots.OBSERVED))
    legend = "".join(f'<span class="key" style="background: {color}"></span>{escaped(text)}' for text, color in keys)
    note = (
        "Blue: the predicted density, each frame's scaled to a maximum of 1, the largest over particles and frames. "
        f"The windows are ranked by the mean absolute error of {name} over all their particles and steps: best is the "
        "lowest of all windows, worst the highest, median the middle one (the lower of two). Drag to zoom."
    )
    pictures = (
        _figure(player.caption(window), *_picture(window, unit), "picture")
        for window in shown
        if window.label in ("best", "median", "worst")
    )
    return (
        f'<p>Paths:{legend}</p>\n<p class="note">{escaped(note)}{_projected(shown)}{_fewer_particles(shown)}</p>\n'
        '<div class="row">' + "\n".join(pictures) + "</div>"
    )


def _projected(shown):
    return " Three dimensions are seen along the third axis." if shown[0].truth.shape[-1] == 3 else ""


def _picture(window, unit):
    mean, covariance = next(iter(window.predictions.values()))
    particles = player.evenly(mean.shape[1], player.MAX_PARTICLES)
    frames = player.evenly(len(mean), _MAX_DENSITIES // len(particles))
    figure = charts.paths(
        window.warm_up[:, particles],
        window.truth[:, particles],
        mean[:, particles],
        (mean[frames][:, particles], covariance[frames][:, particles]),
        unit,
    )
    return figure, f"paths of the window {window.label}"


def play(shown, unit):
    """The player: its controls, and the data that `player.js` moves."""
    if not shown:
        return ""
    note = (
        "Rings: true positions. Red dots: predicted means. Red outlines: ellipses that hold the true position with "
        f"probability 90 % if the prediction is right (of a Gaussian of the predicted mean and covariance"
        f"{', the shadow of its ellipsoid on the x-y plane' if shown[0].truth.shape[-1] == 3 else ''}). Lines: the "
        "paths so far. Drag to zoom, double-click to see everything, arrow keys move the slider."
    )
    return f"""<p class="note">{note}{_fewer_particles(shown)}{_fewer_frames(shown)}</p>
<div class="controls">
<label>Window <select id="player-window"></select></label>
<label>Predictor <select id="player-predictor"></select></label>
<label><input type="checkbox" id="player-ellipses" checked> 90 % ellipses</label>
<button type="button" id="player-play">▶ Play</button>
<label class="time">Frame <input type="range" id="player-frame" min="0" step="1">
<output id="player-step"></output></label>
</div>
<div id="player-plot" role="figure" aria-label="particles of the chosen window at the chosen frame"></div>
<script type="application/json" id="player-data">{player.data(shown, unit)}</script>"""


def _fewer_particles(shown):
    """Which particles are left out, in words."""
    if max(window.truth.shape[1] for window in shown) <= player.MAX_PARTICLES:
        return ""
    return f" Of more than {player.MAX_PARTICLES} particles, {player.MAX_PARTICLES} spread evenly are shown."


def _fewer_frames(shown):
    """Which frames are left out of the player, in words."""
    chosen = player.thin_out(shown)
    if all(len(window.truth) == len(kept) for window, (_, _, kept) in zip(shown, chosen, strict=True)):
        return ""
    return f" Frames are thinned out evenly, to about {player.MAX_POINTS:,} positions in all."


def _figure(heading, figure, label, kind="chart"):
    return f"<figure><figcaption>{escaped(heading)}</figcaption>{_chart(figure, label, kind)}</figure>"


def _chart(figure, label, kind="chart"):
    """An element for a chart, and the chart's data after it; `player.js` draws the one into the other."""
    safe = figure.replace("<", "\\u003c")
    return (
        f'<div class="{kind}" role="figure" aria-label="{escaped(label)}"></div>'
        f'<script type="application/json" class="figure">{safe}</script>'
    )
