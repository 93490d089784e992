"""The tables of a report, each described once; `markdown_page` and `html_tables` render them."""

from socialmd_tf.report import ensemble_tables
from socialmd_tf.report.number_format import (
    decimals_for,
    error_of,
    is_number,
    number,
    percent,
    power_of_unit,
    with_unit,
)
from socialmd_tf.report.table import Cell, Table

_NLL_DECIMALS = 3  # the zero of a log likelihood is arbitrary, so significant digits mean nothing


def tables(findings):
    """All tables that have content.

    Args:
        findings: `Findings`.

    Returns:
        Dictionary of key -> `Table`.
    """
    results, unit, ensembles = findings.results, findings.length_unit, findings.ensembles
    found = {
        "predictors": predictors(results, unit),
        "comparisons": comparisons(findings.comparisons, unit),
        "strata": strata(results, unit),
        "statistics": statistics(results, unit),
        "molecules": molecules(results, unit),
    }
    if ensembles is not None:
        drawn = {"ensembles": ensemble_tables.scores(ensembles, unit)}
        drawn["ensemble_calibration"] = ensemble_tables.calibration(ensembles, findings.models)
        found = {**drawn, **found} if findings.random else {**found, **drawn}
    return {key: table for key, table in found.items() if table is not None}


def predictors(results, unit):
    """Errors and coverage, a row per predictor.

    Args:
        results: Name of a predictor -> its numbers, see `metrics.Tally.summary`.
        unit: Length unit of the data.
    """
    columns = [
        ("NLL (nats)", "nll", "nll_standard_error"),
        ("NLL per mean move (nats)", "nll_per_move", None),
        (with_unit("MAE", unit), "mae", "mae_standard_error"),
        (with_unit("median AE", unit), "median_ae", None),
        (with_unit("ADE", unit), "ade", None),
        (with_unit("FDE", unit), "fde", None),
    ]
    if any("one_frame_nll" in result for result in results.values()):
        columns.insert(0, ("one-frame NLL (nats)", "one_frame_nll", "one_frame_nll_standard_error"))
    cells = [_column(results, key, error_key) for _, key, error_key in columns]
    cells += [_coverages(results, key) for key in ("coverage_50", "coverage_90")]
    header = ["predictor", *(name for name, *_ in columns), "coverage 50 %", "coverage 90 %"]
    has_errors = any("±" in cell.detail for column in cells for cell in column)
    errors = " ±: standard error over simulations, because windows of one simulation are not independent."
    note = (
        "NLL: negative log likelihood of the true position, in nats per particle and step of a free rollout; the "
        "density is per unit of length or, in the second column, per mean move. MAE and median AE: absolute "
        "error per coordinate. ADE and FDE: Euclidean distance to the true position, over all steps and at the last "
        f"step.{errors if has_errors else ''} Coverage: share of true positions inside the 50 % and the 90 % "
        "predictive region (ideal: 50 % and 90 %)."
    )
    if "exact_integrator" in results:
        note += " exact_integrator moves the particles by the true forces: a goal, and no baseline."
    if columns[0][1] == "one_frame_nll":
        note += (
            " One-frame NLL: that of single frames after true ones, at up to eight frames of each window. Models of "
            "random motion have no NLL and no coverage of a rollout of means."
        )
    return Table("Predictors", header, _rows(results, cells), note, bold="lowest value of the column")


def comparisons(rows, unit):
    """Paired differences, a row per pair, see `paired_bootstrap.compare`; None if there are none."""
    if not rows:
        return None
    names = [f"{row['first']} \N{MINUS SIGN} {row['second']}" for row in rows]
    header = ["first \N{MINUS SIGN} second", with_unit("MAE", unit), "NLL (nats)"]
    count = rows[0]["num_simulations"]
    interval = f"with the 95 % bootstrap interval over {count} simulations" if count > 1 else "of a single simulation"
    note = f"Difference of the means on the same windows, {interval}. Negative: the first is better."
    cells = [_differences(rows, kind) for kind in ("mae", "nll")]
    bold = "the interval excludes zero" if count > 1 else ""
    return Table("Paired differences", header, _rows(names, cells), note, bold=bold)


def strata(results, unit):
    """Errors by close encounters, a row per stratum, see `close_encounters.Strata`; None without encounters."""
    chosen = {name: _strata(result["strata"]) for name, result in results.items() if result.get("strata")}
    if not chosen:
        return None
    there = [place for place, stratum in enumerate(next(iter(chosen.values()))) if stratum["count"]]
    chosen = {name: [entries[place] for place in there] for name, entries in chosen.items()}
    first = next(iter(chosen.values()))
    names = [stratum_name(stratum) for stratum in first]
    cells = [[Cell(f"{stratum['count']}") for stratum in first]]
    for entries in chosen.values():
        digits = [decimals_for([entry[key] for entry in entries]) for key in ("mae", "median_ae")]
        cells.append([_stratum_cell(entry, *digits) for entry in entries])
    move = next(iter(results.values()))["mean_move"]
    note = (
        f"{with_unit('MAE / median AE', unit)} of particles by their closest approach to any other particle in the "
        f"window, in mean moves per frame (one is {number(move, decimals_for([move]))}). A particle counts once per "
        "window. Between frames, particles are assumed to move on straight lines."
    )
    if "crossing" in names:
        note += (
            " Crossing particles pass another one between two frames, at less than a mean move and less than half of "
            "their distance at either frame."
        )
    return Table("Close encounters", ["closest approach", "particles", *chosen], _rows(names, cells), note)


def stratum_name(stratum):
    """Name of a stratum of `close_encounters.Strata`."""
    if "crossing" in stratum:
        return "crossing" if stratum["crossing"] else "not crossing"
    return f"{stratum['from']:g} or more" if stratum["to"] is None else f"{stratum['from']:g} to {stratum['to']:g}"


def statistics(results, unit):
    """Summary statistics of rollouts, a row per predictor, see `trajectory_statistics.compare`; None without any."""
    found = {name: result["observables"] for name, result in results.items() if result.get("observables")}
    if not found:
        return None
    columns = [
        (with_unit("moves", unit), "speed", "distance"),
        (with_unit("pair distances", unit), "radial_distribution", "distance"),
        ("mean squared displacement", "mean_squared_displacement", "distance"),
        ("energy drift", "energy_drift", "rollout"),
        ("momentum drift", "momentum_drift", "rollout"),
    ]
    columns = [column for column in columns if any(column[1] in each for each in found.values())]
    cells = []
    for _, name, key in columns:
        values = [each.get(name, {}).get(key) for each in found.values()]
        cells.append([Cell(number(value, decimals_for(values))) for value in values])
    first = next(iter(found.values()))
    truth = [Cell(_true_drift(first[name]) if key == "rollout" and name in first else "") for _, name, key in columns]
    note = (
        "Distance between the statistics of rollouts and of the truth. Moves per frame and pair distances: "
        "1-Wasserstein distance between the distributions. Mean squared displacement: sum of absolute differences "
        "over all lags, relative to the sum of the truth."
    )
    if any(cell.text for cell in truth):
        note += (
            " Drifts: median over windows at the last step; energy relative to the initial kinetic energy, momentum "
            "relative to the initial sum of m |v|. Velocities are finite differences between frames, so the truth "
            "drifts too: compare with its row."
        )
    header = ["predictor", *(title for title, *_ in columns)]
    rows = _rows(found, cells) + ([("truth", truth)] if any(cell.text for cell in truth) else [])
    return Table("Summary statistics", header, rows, note)


def molecules(results, unit):
    """Summary statistics of molecules, a row per predictor, see `molecule_statistics.compare`; None without any."""
    found = molecules_by_predictor(results)
    if not found:
        return None
    first = next(iter(found.values()))
    cells = []
    for name in first:
        errors = [each[name]["error"] for each in found.values()]
        decimals = decimals_for(errors)
        cells.append([_molecule_cell(each[name], decimals, min(errors)) for each in found.values()])
    note = (
        "Mean absolute error of the statistic of one window at one step, of predicted means and of paths drawn from "
        "the density (one per window); then the error relative to the mean of the truth. ±: standard error over "
        "simulations."
    )
    if any(name.startswith("radial_distance") for name in first):
        note += " Distances are from the centre."
    if "accessible_area" in first:
        note += " The area is that of spheres that stand for the molecules."
    titles = (with_unit(each["title"], power_of_unit(unit, each["power"])) for each in first.values())
    header = ["predictor", *titles]
    return Table("Statistics of molecules", header, _rows(found, cells), note, bold="lowest value of the column")


def molecules_by_predictor(results):
    """Statistics of molecules of every predictor, those of drawn paths after those of means.

    Args:
        results: Name of a predictor -> its numbers, see `ScoredWindows.score`.

    Returns:
        Dictionary of "name" or "name, drawn" -> statistics; empty if the particles are no molecules.
    """
    labels = (("molecules", "{}"), ("molecules_drawn", "{}, drawn"))
    return {
        label.format(name): result[key] for name, result in results.items() for key, label in labels if result.get(key)
    }


def _rows(names, columns):
    """Rows from columns of cells."""
    return [(name, list(cells)) for name, *cells in zip(names, *columns, strict=True)]


def _column(results, key, error_key):
    """Cells of one number of every predictor, all with the same decimals."""
    values = [result.get(key) for result in results.values()]
    decimals = _NLL_DECIMALS if "nll" in key else decimals_for(values)
    lowest = min(filter(is_number, values), default=None)
    cells = []
    for value, result in zip(values, results.values(), strict=True):
        text, error = number(value, decimals), result.get(error_key)
        detail = f"± {error_of(text, error)}" if is_number(value) and is_number(error) else ""
        cells.append(Cell(text, detail, value == lowest and lowest is not None))
    return cells


def _coverages(results, key):
    """Cells of a coverage of every predictor, in percent."""
    errors = [result.get(f"{key}_standard_error") for result in results.values()]
    details = [f"± {percent(error)}" if is_number(error) else "" for error in errors]
    return [Cell(percent(result[key]), detail) for result, detail in zip(results.values(), details, strict=True)]


def _differences(rows, kind):
    """Cells of a column of differences with their intervals."""
    decimals = _NLL_DECIMALS if kind == "nll" else decimals_for([row["mae_difference"] for row in rows])
    cells = []
    for row in rows:
        low, high = row[f"{kind}_interval"]
        has_interval = is_number(low) and is_number(high)
        detail = f"[{number(low, decimals, '+')}, {number(high, decimals, '+')}]" if has_interval else ""
        cells.append(Cell(number(row[f"{kind}_difference"], decimals, "+"), detail, has_interval and low * high > 0))
    return cells


def _strata(found):
    """All strata that split the particles; whether they cross does not if none or all do."""
    crossing = found["crossing"]
    return [*found["closest_approach"], *(crossing if all(stratum["count"] for stratum in crossing) else ())]


def _stratum_cell(stratum, mae_decimals, median_decimals):
    return Cell(number(stratum["mae"], mae_decimals), f"/ {number(stratum['median_ae'], median_decimals)}")


def _true_drift(drift):
    return number(drift["truth"], decimals_for([drift["truth"]]))


def _molecule_cell(statistic, decimals, lowest):
    text = number(statistic["error"], decimals)
    error = statistic["error_standard_error"]
    spread = f"± {error_of(text, error)} " if is_number(error) else ""
    return Cell(text, f"{spread}({percent(statistic['relative_error'])})", statistic["error"] == lowest)
