"""What was found, as tables for people: Markdown that also reads as plain text."""

from socialmd_tf.evaluation import molecule_statistics
from socialmd_tf.report.number_format import decimals_for, is_number, number, with_error

_NLL_DECIMALS = 3
"""The zero of a NLL means nothing: none of its digits are more significant than others."""


def markdown(header, rows):
    """A Markdown table; the first column is text, the others are numbers."""
    rows = [header, ("---",) + ("---:",) * (len(header) - 1), *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    )


def predictors(results):
    """A line for every predictor.

    Args:
        results: Dictionary of name -> what `metrics.summary` returns.
    """
    header = ("predictor", "NLL", "MAE", "median AE", "ADE", "FDE", "50 % region", "90 % region")
    errors = {"nll": "nll_standard_error", "mae": "mae_standard_error"}
    columns = []
    for key in ("nll", "mae", "median_ae", "ade", "fde"):
        decimals = _NLL_DECIMALS if key == "nll" else decimals_for([result[key] for result in results.values()])
        columns.append([with_error(row[key], row.get(errors.get(key)), decimals) for row in results.values()])
    for key in ("coverage_50", "coverage_90"):
        columns.append([f"{100 * result[key]:.1f} %" for result in results.values()])
    return markdown(header, zip(results, *columns, strict=True))


def comparisons(rows):
    """A line for every compared pair, see `comparison.compare`."""
    header = ("first - second", "MAE", "95 % interval", "NLL", "95 % interval")
    decimals = {"mae": decimals_for([row["mae_difference"] for row in rows]), "nll": _NLL_DECIMALS}
    lines = []
    for row in rows:
        cells = [f"{row['first']} - {row['second']}"]
        for kind, digits in decimals.items():
            low, high = (number(end, digits, "+") for end in row[f"{kind}_interval"])
            cells += [number(row[f"{kind}_difference"], digits, "+"), f"[{low}, {high}]"]
        lines.append(tuple(cells))
    return markdown(header, lines)


def strata(results):
    """MAE and median absolute error of every predictor, particles told apart by how closely they meet."""
    names, counts = [], []
    for stratum in _strata(next(iter(results.values()))):
        names.append(_crossing(stratum) if "crossing" in stratum else _approach(stratum))
        counts.append(f"{stratum['count']}")
    columns = []
    for result in results.values():
        entries = _strata(result)
        digits = [decimals_for([entry[key] for entry in entries]) for key in ("mae", "median_ae")]
        columns.append(
            [
                f"{number(entry['mae'], digits[0])} / {number(entry['median_ae'], digits[1])}"
                if entry["count"]
                else "-"
                for entry in entries
            ]
        )
    return markdown(
        ("closest approach in mean moves", "particles", *results), zip(names, counts, *columns, strict=True)
    )


def _strata(result):
    return [*result["strata"]["closest_approach"], *result["strata"]["crossing"]]


def _approach(stratum):
    return f"{stratum['from']:g} or more" if stratum["to"] is None else f"{stratum['from']:g} to {stratum['to']:g}"


def _crossing(stratum):
    return "crossing" if stratum["crossing"] else "not crossing"


def observables(results):
    """Distances of the summary statistics from the truth's, and drifts beside the truth's."""
    header = ("predictor", "NLL per mean move", "speed", "pair distance", "MSD", "energy drift", "momentum drift")
    columns = [[number(result["nll_per_move"], _NLL_DECIMALS) for result in results.values()]]
    for key in ("speed", "radial_distribution", "mean_squared_displacement"):
        distances = [result["observables"][key]["distance"] for result in results.values()]
        columns.append([number(distance, decimals_for(distances)) for distance in distances])
    for key in ("energy_drift", "momentum_drift"):
        columns.append([_drift(result["observables"].get(key)) for result in results.values()])
    return markdown(header, zip(results, *columns, strict=True))


def molecules(results):
    """Errors of the summary statistics of molecules, and those of the truth; nothing for other data."""
    chosen = molecule_statistics.by_predictor(results)
    if not chosen:
        return ""
    names = list(next(iter(chosen.values())))
    header = ["predictor", *(statistic["title"] for statistic in next(iter(chosen.values())).values())]
    rows = [(name, *(_error(found[key]) for key in names)) for name, found in chosen.items()]
    return markdown(tuple(header), rows)


def _error(statistic):
    spread = statistic["error_standard_error"]
    spread = f" ± {spread:.2g}" if is_number(spread) else ""
    return f"{statistic['error']:.4g}{spread} ({100 * statistic['relative_error']:.1f} %)"


def _drift(values):
    return "-" if values is None else f"{values['rollout']:.2e} ({values['truth']:.2e})"
