"""The figures of every section of the HTML report, as pieces of HTML; empty where there is nothing to show."""

from socialmd_tf.report import charts, html_figures
from socialmd_tf.report.number_format import power_of_unit, with_unit
from socialmd_tf.report.tables import molecules_by_predictor, stratum_name

_MAX_RELATIVE_ERROR = 1.5
_APART = {
    "radial_distribution": ("distance r", "other particles per area (volume)", "Radial distribution"),
    "mean_squared_displacement": ("lag in frames", "squared displacement", "Mean squared displacement"),
    "energy_drift": ("predicted step", "|E - E0| / K0", "Energy drift"),
    "momentum_drift": ("predicted step", "|P - P0| / sum of m |v0|", "Momentum drift"),
}
"""Statistic -> titles of the x axis, of the y axis and of the chart."""
_SCALED = {
    "acceleration": "Accelerations are such changes divided by the squared time of a step. ",
    "force": "Forces are such changes times the mass, divided by the squared time of a step. ",
}
"""What a response is -> how it follows from the change of a position; a move per step is this change."""


def forces(findings):
    """Charts of learned forces between pairs, see `pair_forces.pair_forces`, and of `pair_responses.pair_responses`."""
    curves = findings.pair_forces
    laws = [curve for curve in curves if "ranges" not in curve]
    responses = [curve for curve in curves if "ranges" in curve]
    grey = " Grey: the true law." if any(curve["true"] for curve in curves) else ""
    below = f"Below: how often each distance occurs in the last observed frames.{grey}"
    first = "mass of the first particle times its acceleration towards the second"
    note = (
        f"Force: {first}, as the model has learned it (without a mass, the acceleration); particles have the median "
        f"features of their kind. {below} Where there are no data, the curves mean nothing. The axis fits the "
        "distances of all but the closest and the farthest hundredth of pairs: drag to zoom."
    )
    quantities = {curve["quantity"] for curve in responses}
    scaled = "".join(text for quantity, text in _SCALED.items() if quantity in quantities)
    response_note = (
        "Response to single neighbours: how the predicted next position of a particle changes, towards another one, "
        "because this one is there: prediction with it minus prediction without it, averaged over pairs in the data; "
        "the band holds the middle 80 % of them, for the response also depends on all other particles. "
        f"{scaled}{below}"
    )
    parts = [(laws, note), (responses, response_note)]
    return "\n".join(_pair_charts(found, findings, text) for found, text in parts if found)


def _pair_charts(curves, findings, note):
    pictures = [
        html_figures.figure(
            curve["pair"][:1].upper() + curve["pair"][1:],
            charts.forces(
                curve,
                with_unit("distance", findings.length_unit),
                f"{_quantity(curve['quantity'], findings.length_unit, findings.time_unit)}, attraction positive",
            ),
        )
        for curve in curves
    ]
    return html_figures.row(pictures, note)


def _quantity(quantity, unit, time_unit):
    """Title of a response: forces have no unit that the data state."""
    if quantity == "move":
        return with_unit("move per step", unit)
    lengths = "" if unit == "1" else unit
    rate = f"{lengths or '1'}/{power_of_unit(time_unit, 2)}" if time_unit else lengths
    return "force" if quantity == "force" else with_unit("acceleration", rate or "1")


def steps(results, unit, time):
    """Charts of the mean absolute error and the negative log likelihood at every predicted step."""
    parts = []
    for key, title in (("mae_per_step", with_unit("MAE", unit)), ("nll_per_step", "NLL (nats)")):
        series = _per_step(results, key)
        if series:
            parts.append(
                html_figures.chart(
                    charts.lines(series, "predicted step", title, time=time, among=results),
                    f"{title} at every predicted step",
                )
            )
    return "\n".join(parts)


def _per_step(results, key):
    """Name of a predictor -> (steps, numbers), for predictors that have these numbers."""
    values = {name: result[key] for name, result in results.items() if result.get(key)}
    return {name: (range(1, len(row) + 1), row) for name, row in values.items()}


def calibration(results, time):
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
            among=results,
        )
        pictures.append(html_figures.figure("All steps", figure))
    for percent in (50, 90):
        series = _per_step(results, f"coverage_{percent}_per_step")
        if series:
            last = max(max(x) for x, _ in series.values())
            ideal = ("ideal", [1, last], [percent / 100] * 2)
            figure = charts.lines(
                series, "predicted step", "coverage", references=[ideal], shares="y", time=time, among=results
            )
            pictures.append(html_figures.figure(f"{percent} % predictive region per step", figure))
    note = (
        "Coverage is the share of true positions inside a predictive region. Below the grey line a predictor is "
        "overconfident, above it underconfident."
    )
    return html_figures.row(pictures, note)


def strata(results, unit):
    """Chart of the error by closest approach, see `close_encounters.Strata`."""
    chosen = {name: result["strata"]["closest_approach"] for name, result in results.items() if result.get("strata")}
    if not chosen:
        return ""
    there = [place for place, row in enumerate(next(iter(chosen.values()))) if row["count"]]
    rows = [next(iter(chosen.values()))[place] for place in there]
    categories = [f"{stratum_name(row)}<br>n = {row['count']:,}" for row in rows]
    series = {name: (categories, [found[place]["mae"] for place in there]) for name, found in chosen.items()}
    return html_figures.chart(
        charts.lines(series, "closest approach in mean moves", with_unit("MAE", unit), among=results),
        "MAE by closest approach",
    )


def statistics(results, unit, time):
    """Charts of summary statistics beside those of the truth, see `trajectory_statistics.compare`."""
    chosen = {name: result["observables"] for name, result in results.items() if result.get("observables")}
    return html_figures.row([_beside_truth(chosen, key, unit, time, among=results) for key in _APART])


def _beside_truth(chosen, key, unit, time, among):
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
        y_title = with_unit(y_title, power_of_unit(unit, 2))
    truth = ("truth", x, first["truth" + suffix])
    options = {"among": among, "log_x": radial and not normalized, "linear_y": radial, "time": None if radial else time}
    return html_figures.figure(heading, charts.lines(series, x_title, y_title, references=[truth], **options))


def molecules(results, unit, time):
    """Charts of the statistics of molecules beside those of the truth, see `molecule_statistics.compare`."""
    chosen = molecules_by_predictor(results)
    pictures, is_whole = [], True
    for key, true in next(iter(chosen.values()), {}).items():
        near = {name: each[key] for name, each in chosen.items() if each[key]["relative_error"] <= _MAX_RELATIVE_ERROR}
        if not near:
            is_whole = False
            continue
        series = {name: (each["steps"], each["rollout"]) for name, each in near.items()}
        reference = ("truth", true["steps"], true["truth"])
        title = with_unit(true["title"], power_of_unit(unit, true["power"]))
        figure = charts.lines(series, "predicted step", title, references=[reference], time=time)
        pictures.append(html_figures.figure(true["title"][0].upper() + true["title"][1:], figure))
        is_whole = is_whole and len(near) == len(chosen)
    note = f"The charts leave out predictors with errors above {100 * _MAX_RELATIVE_ERROR:.0f} % of the truth."
    return html_figures.row(pictures, "" if is_whole else note)
