"""The tables of ensembles; `tables.py` describes the others."""

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

_RATIO_DECIMALS = 2


def scores(ensembles, unit):
    """The score of every statistic, a row each, with a column per predictor.

    Args:
        ensembles: `EnsembleFindings`.
        unit: Length unit of the data.
    """
    has_floor = ensembles.num_reruns > 0
    key, error_key = ("ratio", "ratio_standard_error") if has_floor else ("crps", "crps_standard_error")
    predictors = ensembles.predictors
    rows = []
    for name, described in ensembles.statistics.items():
        found = [predictor["statistics"].get(name) for predictor in predictors.values()]
        title = (
            described["title"] if has_floor else with_unit(described["title"], power_of_unit(unit, described["power"]))
        )
        rows.append((_capital(title), _cells(found, key, error_key)))
    if has_floor:
        rows.append(("Geometric mean", [_mean_cell(predictor) for predictor in predictors.values()]))
    note = f"{ensembles.description()} {_note(has_floor)}"
    return Table("Ensembles", ["statistic", *predictors], rows, note, bold="lowest value of the row")


def calibration(ensembles, models):
    """Spread and coverage of the ensembles of models, a row per statistic; None without models that draw.

    Args:
        ensembles: `EnsembleFindings`.
        models: Names of the models.
    """
    drawn = {name: ensembles.predictors[name] for name in models if name in ensembles.predictors}
    if not drawn:
        return None
    header = ["statistic"]
    for name in drawn:
        header += [f"{name}, {column}" for column in ("spread / skill", "coverage 50 %", "coverage 90 %")]
    rows = []
    for name, described in ensembles.statistics.items():
        found = [predictor["statistics"].get(name, {}) for predictor in drawn.values()]
        if any("coverage_50" in each for each in found):
            cells = [cell for each in found for cell in _calibration_cells(each)]
            rows.append((_capital(described["title"]), cells))
    rows.append(("Mean", [cell for name in drawn for cell in _calibration_cells(ensembles.calibration(name))]))
    note = (
        "Spread / skill: root mean square spread of the ensemble over that of the error of its mean; 1 is ideal, less "
        "is overconfident. Coverage: share of true values between the quantiles of the ensemble that hold the middle "
        "50 % and 90 % (ideal: 50 % and 90 %)."
    )
    return Table("Calibration of ensembles", header, rows, note)


def _note(has_floor):
    score = "Fair continuous ranked probability score (CRPS) of the ensemble, averaged over steps and files"
    others = "Whole configuration: energy score. ±: standard error over simulations (jackknife)."
    if not has_floor:
        return f"{score}, in the unit of the statistic. {others}"
    return (
        f"{score}, divided by that of the re-runs of the same simulation from the same frame: 1 is as good as running "
        f"the simulation again, and no forecast can be better on average. {others} Geometric mean: of the statistics "
        "that a predictor has."
    )


def _cells(found, key, error_key):
    values = [each and each[key] for each in found]
    decimals = _RATIO_DECIMALS if key == "ratio" else decimals_for(filter(is_number, values))
    lowest = min(filter(is_number, values), default=None)
    cells = []
    for each, value in zip(found, values, strict=True):
        if each is None:
            cells.append(Cell("-"))
            continue
        text = f"{value:.{decimals}f}" if key == "ratio" and is_number(value) else number(value, decimals)
        detail = f"± {error_of(text, each[error_key])}" if is_number(value) and is_number(each[error_key]) else ""
        cells.append(Cell(text, detail, value == lowest and is_number(value)))
    return cells


def _mean_cell(predictor):
    value, count = predictor["geometric_mean_ratio"], predictor["num_ratios"]
    return Cell(f"{value:.{_RATIO_DECIMALS}f}" if is_number(value) else "n/a", f"({count} statistics)")


def _calibration_cells(found):
    if "coverage_50" not in found:
        return [Cell("-")] * 3
    ratio = found["spread_over_skill"]
    spread = f"{ratio:.{_RATIO_DECIMALS}f}" if is_number(ratio) else "n/a"
    return [Cell(spread), Cell(percent(found["coverage_50"])), Cell(percent(found["coverage_90"]))]


def _capital(text):
    return text[:1].upper() + text[1:]
