"""The tables of the report, each a piece of HTML, or nothing where there is nothing to show."""

import html

from socialmd_tf.report import plots
from socialmd_tf.report.number_format import decimals_for, error_of, is_number, number


def escaped(value):
    """Text as HTML."""
    return html.escape(str(value))


def predictors(results, unit):
    """The table of all predictors."""
    of_length = "" if unit == "1" else f" ({unit})"
    columns = [
        ("NLL (nats)", "nll", "nll_standard_error"),
        ("NLL in mean moves", "nll_per_move", None),
        (f"MAE{of_length}", "mae", "mae_standard_error"),
        (f"Median AE{of_length}", "median_ae", None),
        (f"ADE{of_length}", "ade", None),
        (f"FDE{of_length}", "fde", None),
    ]
    columns = [column for column in columns if all(column[1] in result for result in results.values())]
    cells = [_column(results, key, error_key) for _, key, error_key in columns]
    cells += [[_percent(result[key]) for result in results.values()] for key in ("coverage_50", "coverage_90")]
    header = [name for name, *_ in columns] + ["in 50\u00a0% region", "in 90\u00a0% region"]
    note = (
        "NLL: negative log likelihood of the true position, nats per particle and step of a free rollout, the density "
        "being per unit of length or, where said, per mean move of a frame. MAE and median AE: absolute error per "
        "coordinate. ADE and FDE: Euclidean distance to the true position, over all steps and at the last one. The "
        "lowest of a column is in bold. ± is the standard error over trajectories, since windows of one trajectory "
        "are not independent. The regions are those that the prediction says hold the true position with probability "
        "50 % and 90 %."
    )
    return _table(["predictor", *header], zip(results, *cells, strict=True)) + f'<p class="note">{note}</p>'


def compared(comparisons, unit):
    """The table of paired differences, as `comparison.compare` gives them."""
    if not comparisons:
        return ""
    names = [f"{row['first']} \u2212 {row['second']}" for row in comparisons]
    rows = zip(names, *(_differences(comparisons, kind) for kind in ("mae", "nll")), strict=True)
    note = (
        "Difference of the means over the same windows, and the interval that holds 95 % of its bootstrap values, "
        f"drawn from {comparisons[0]['num_trajectories']} whole trajectories. Below zero the first is better. Bold: "
        "the interval does not hold zero."
    )
    header = ["first \u2212 second", plots.length("MAE", unit), "NLL (nats)"]
    return _table(header, rows) + f'<p class="note">{note}</p>'


def observables(found, unit):
    """The table of summary statistics: of every predictor what `observables.compare` gives."""
    columns = [
        (plots.length("moves", unit), "speed", "distance"),
        (plots.length("pair distances", unit), "radial_distribution", "distance"),
        ("mean squared displacement", "mean_squared_displacement", "distance"),
        ("energy drift", "energy_drift", "rollout"),
        ("momentum drift", "momentum_drift", "rollout"),
    ]
    columns = [column for column in columns if any(column[1] in statistics for statistics in found.values())]
    cells = []
    for _, name, key in columns:
        values = [statistics.get(name, {}).get(key) for statistics in found.values()]
        cells.append([_number(value, decimals_for(values)) for value in values])
    truth = next(iter(found.values()))
    rows = list(zip(found, *cells, strict=True))
    rows.append(("truth", *(_true_drift(truth.get(name, {})) if key == "rollout" else "" for _, name, key in columns)))
    note = (
        "How far the rollouts' statistics are from the truth's: Wasserstein distances of the distributions of moves "
        "from frame to frame and of the distances of all pairs; relative difference of the mean squared displacements "
        "(sum of absolute differences by sum). Drifts are medians over windows at the last step, by finite "
        "differences from frame to frame, which drift for the truth too: of energy relative to the kinetic energy at "
        "the start, of momentum relative to the sum of m |v| there."
    )
    return _table(["predictor", *(title for title, *_ in columns)], rows) + f'<p class="note">{note}</p>'


def molecules(found):
    """The table of statistics of molecules: of every predictor what `molecule_statistics.compare` gives."""
    first = next(iter(found.values()))
    cells = []
    for name in first:
        errors = [statistics[name]["error"] for statistics in found.values()]
        decimals = decimals_for(errors)
        cells.append(
            [
                (
                    f"{_number(statistics[name]['error'], decimals)} "
                    f"<small>± {_number(statistics[name]['error_standard_error'], decimals)}, "
                    f"{_percent(statistics[name]['relative_error'])}</small>",
                    "best" if statistics[name]["error"] == min(errors) else "",
                )
                for statistics in found.values()
            ]
        )
    note = (
        "Of predicted means, and of paths drawn from the density, one a window. Mean absolute error of the statistic "
        "of a window at a step: of the mean distance from the centre, the mean move between frames and, in three "
        "dimensions, the solvent accessible surface area of spheres in place of the molecules. In the unit of the "
        "data, areas in its square; ± is the standard error over trajectories, then the error by the mean of "
        "the truth. The lowest of a column is in bold."
    )
    header = ["predictor", *(statistic["title"] for statistic in first.values())]
    return _table(header, zip(found, *cells, strict=True)) + f'<p class="note">{note}</p>'


def _true_drift(drift):
    return _number(drift.get("truth"), decimals_for([drift.get("truth")]))


def _differences(comparisons, kind):
    """Cells of a column of differences with their intervals."""
    decimals = decimals_for([row[f"{kind}_difference"] for row in comparisons])
    cells = []
    for row in comparisons:
        low, high = row[f"{kind}_interval"]
        interval = f"[{_number(low, decimals)}, {_number(high, decimals)}]"
        difference = _number(row[f"{kind}_difference"], decimals)
        is_sure = is_number(low) and is_number(high) and low * high > 0
        cells.append((f"{difference} <small>{interval}</small>", "best" if is_sure else ""))
    return cells


def _column(results, key, error_key):
    """Cells of a column, all with the same decimals."""
    values = [result[key] for result in results.values()]
    decimals = 3 if key.startswith("nll") else decimals_for(values)  # the zero of an NLL means nothing
    lowest = min(filter(is_number, values), default=None)
    cells = []
    for value, result in zip(values, results.values(), strict=True):
        error = result.get(error_key)
        text = _number(value, decimals)
        spread = f" <small>± {error_of(text, error)}</small>" if is_number(error) else ""
        cells.append((text + spread, "best" if value == lowest else ""))
    return cells


def _number(value, decimals):
    return number(value, decimals).replace("-", "\u2212")


def _percent(share):
    return f"{100 * share:.1f} %" if is_number(share) else "n/a"


def _table(header, rows):
    """A table whose first column names the rows; cells are HTML, or HTML and a class."""
    head = "".join(f'<th scope="col">{escaped(name)}</th>' for name in header)
    body = ""
    for name, *cells in rows:
        pairs = (cell if isinstance(cell, tuple) else (cell, "") for cell in cells)
        body += f'<tr><th scope="row" title="{escaped(name)}">{escaped(name)}</th>'
        body += "".join(f'<td class="{kind}">{cell}</td>' if kind else f"<td>{cell}</td>" for cell, kind in pairs)
        body += "</tr>\n"
    return (
        '<div class="wide" tabindex="0" role="region" aria-label="table"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n"
    )
