"""The figures of ensembles: fans over what was observed, in the HTML report and as a picture."""

import dataclasses

from socialmd_tf.report import charts, html_figures
from socialmd_tf.report.html_figures import row
from socialmd_tf.report.number_format import power_of_unit, readable_time, with_unit


def fans(findings):
    """Charts of the ensemble of the first model over what was observed; empty without ensembles.

    Args:
        findings: `Findings`.
    """
    ensembles = findings.ensembles
    if ensembles is None or not ensembles.fans:
        return ""
    note = (
        f"Bands: the middle 50 % and 90 % of the ensemble of {drawn(ensembles)}, with its median. Black: the file. "
        "Grey: its re-runs. Times count from the last observed frame; distributions over distances are those at the "
        "last step."
    )
    return row([_figure(*each) for each in described(ensembles.fans, ensembles, findings.length_unit)], note)


def ranks(findings):
    """Chart of the rank histograms of the models, averaged over statistics; empty without ensembles of models.

    Args:
        findings: `Findings`.
    """
    series = {}
    for name in findings.models if findings.ensembles else ():
        statistics = findings.ensembles.predictors.get(name, {"statistics": {}})["statistics"].values()
        histograms = [found["rank_histogram"] for found in statistics if "rank_histogram" in found]
        if histograms:
            shares = [sum(each) / len(histograms) for each in zip(*histograms, strict=True)]
            series[name] = [(place + 0.5) / len(shares) for place in range(len(shares))], shares
    if not series:
        return ""
    flat = ("ideal", [0, 1], [1 / len(shares)] * 2)
    figure = charts.lines(series, "rank among the members", "share of true values", references=[flat], linear_y=True)
    heading = "Rank histogram, mean over statistics (U-shaped: too narrow; humped: too wide)"
    return html_figures.figure(heading, figure)


def picture(file, findings):
    """Draw the fans of the first file as a PNG.

    Args:
        file: Binary file or path.
        findings: `Findings` with `ensembles` that have fans.
    """
    from socialmd_tf.report import plots

    ensembles = findings.ensembles
    first = [fan for fan in ensembles.fans if fan.file == ensembles.fans[0].file]
    title = (
        f"{findings.data}, {first[0].file}: {ensembles.num_samples} paths drawn from {drawn(ensembles)} "
        "(middle 50 % and 90 %, median); black: the file, grey: its re-runs"
    )
    plots.fans(file, described(first, ensembles, findings.length_unit), title)


def drawn(ensembles):
    """Name of the predictor whose fans are shown."""
    return next(iter(ensembles.predictors))


def described(fans, ensembles, unit):
    """Each fan with its words: (heading, `Fan`, title of the x axis, title of the y axis)."""
    largest = max((fan.x[-1] for fan in fans if fan.axis == "time"), default=0.0)
    factor, times = readable_time(largest, ensembles.time_unit or "1")
    axes = {"time": with_unit("time", times), "lag": with_unit("lag", times), "distance": with_unit("distance", unit)}
    found = []
    for fan in fans:
        fan = fan if fan.axis == "distance" else dataclasses.replace(fan, x=fan.x * factor)
        statistic = ensembles.statistics[fan.statistic]
        value = with_unit(statistic["family"].replace("_", " "), power_of_unit(unit, statistic["power"]))
        found.append((statistic["title"][:1].upper() + statistic["title"][1:], fan, axes[fan.axis], value))
    return found


def _figure(heading, fan, x_title, y_title):
    return html_figures.figure(f"{heading}, {fan.file}", charts.fan(fan.x, fan.quantiles, fan.runs, x_title, y_title))
