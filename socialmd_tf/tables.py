"""What was found, as tables for people: Markdown that also reads as plain text."""

import math

from socialmd_tf import molecule_statistics


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
    rows = [
        (
            name,
            f"{result['nll']:.3f} ± {result['nll_standard_error']:.3f}",
            f"{result['mae']:.4f} ± {result['mae_standard_error']:.4f}",
            *(f"{result[key]:.4f}" for key in ("median_ae", "ade", "fde")),
            *(f"{100 * result[key]:.1f} %" for key in ("coverage_50", "coverage_90")),
        )
        for name, result in results.items()
    ]
    return markdown(header, rows)


def comparisons(rows):
    """A line for every compared pair, see `comparison.compare`."""
    header = ("first - second", "MAE", "95 % interval", "NLL", "95 % interval")
    lines = []
    for row in rows:
        cells = [f"{row['first']} - {row['second']}"]
        for kind, digits in (("mae", 4), ("nll", 3)):
            low, high = row[f"{kind}_interval"]
            cells += [f"{row[f'{kind}_difference']:+.{digits}f}", f"[{low:+.{digits}f}, {high:+.{digits}f}]"]
        lines.append(tuple(cells))
    return markdown(header, lines)


def strata(results):
    """MAE and median absolute error of every predictor, particles told apart by how closely they meet."""
    first = next(iter(results.values()))["strata"]
    rows = []
    for kind, stratum_name in (("closest_approach", _approach), ("crossing", _crossing)):
        for place, stratum in enumerate(first[kind]):
            entries = [result["strata"][kind][place] for result in results.values()]
            cells = [f"{entry['mae']:.4f} / {entry['median_ae']:.4f}" if entry["count"] else "-" for entry in entries]
            rows.append((stratum_name(stratum), f"{stratum['count']}", *cells))
    return markdown(("closest approach in mean moves", "particles", *results), rows)


def _approach(stratum):
    return f"{stratum['from']:g} or more" if stratum["to"] is None else f"{stratum['from']:g} to {stratum['to']:g}"


def _crossing(stratum):
    return "crossing" if stratum["crossing"] else "not crossing"


def observables(results):
    """Distances of the summary statistics from the truth's, and drifts beside the truth's."""
    header = ("predictor", "NLL per mean move", "speed", "pair distance", "MSD", "energy drift", "momentum drift")
    rows = []
    for name, result in results.items():
        found = result["observables"]
        distances = (found[key]["distance"] for key in ("speed", "radial_distribution", "mean_squared_displacement"))
        drifts = (found.get(key) for key in ("energy_drift", "momentum_drift"))
        rows.append((name, _number(result["nll_per_move"], 3), *map(_number, distances), *map(_drift, drifts)))
    return markdown(header, rows)


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
    spread = f" ± {spread:.2g}" if math.isfinite(spread) else ""
    return f"{statistic['error']:.4g}{spread} ({100 * statistic['relative_error']:.1f} %)"


def _number(value, digits=4):
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"


def _drift(values):
    return "-" if values is None else f"{values['rollout']:.2e} ({values['truth']:.2e})"
