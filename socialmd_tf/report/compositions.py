"""Findings about compositions as tables, a picture and files."""

import csv
import io
import math
import statistics
from pathlib import Path

from pipelines.atomic_files import write_atomically, write_json, write_text
from socialmd_tf.report.markdown_page import render
from socialmd_tf.report.number_format import (
    decimals_for,
    is_number,
    power_of_unit,
    readable_time,
    with_error,
    with_unit,
)
from socialmd_tf.report.table import Cell, Table

_NUMBERS = ("mean", "standard_deviation", "q05", "q25", "q50", "q75", "q95")


def write(findings, output):
    """Write `compositions.json`, `.csv`, `.md` and `.png`, each whole or not at all.

    Args:
        findings: `CompositionFindings`.
        output: The directory; created if missing.
    """
    from socialmd_tf.report import plots

    output = Path(output)
    write_json(output / "compositions.json", findings.metrics())
    write_text(output / "compositions.csv", table_of_numbers(findings))
    write_text(output / "compositions.md", markdown(findings))
    title = f"{findings.data}: {findings.num_samples} paths of {findings.model} per composition, {_moment(findings)}"
    write_atomically(output / "compositions.png", lambda file: plots.compositions(file, panels(findings), title))


def markdown(findings):
    """The tables, as text of `compositions.md`."""
    parts = [f"{findings.description()}\n"]
    for table in (values(findings), scores(findings)):
        if table is not None:
            parts.append(f"## {table.title}\n\n{render(table)}\n\n{table.note}\n")
    return "\n".join(parts)


def values(findings):
    """The numbers at the last step, a row per composition.

    Args:
        findings: `CompositionFindings`.
    """
    columns = _statistics(findings)
    rows = [
        (_name(found), [_value(findings, found, names) for names in columns.values()])
        for found in findings.compositions
    ]
    note = (
        f"Predicted {_moment(findings)}: mean ± standard deviation of the members of the ensemble; in brackets those "
        "of the simulations of this composition, and their number (without re-runs)."
    )
    return Table("Compositions", ["composition", *columns], rows, note)


def scores(findings):
    """The scores by simulations that the model was not trained on; None without any."""
    predictors = list(dict.fromkeys(name for found in findings.compositions for name in found["predictors"]))
    rows = []
    for found in findings.compositions:
        for statistic, described in findings.statistics.items():
            each = [found["predictors"].get(name, {"scores": {}})["scores"].get(statistic) for name in predictors]
            if any(each):
                rows.append((f"{_name(found)}: {described['title']}", [_score(one) for one in each]))
    if not rows:
        return None
    note = (
        "Fair continuous ranked probability score of the ensemble, averaged over steps and simulations of the "
        "composition in the other splits, divided by that of the simulations of other starts: 1 is as good as having "
        "simulated the composition. In brackets: divided by that of re-runs from the same state, which know the start. "
        "±: jackknife over simulations, for three and more."
    )
    return Table("Scores", ["composition and statistic", *predictors], rows, note)


def table_of_numbers(findings):
    """A CSV table of the numbers at the last step, with a row per composition, statistic and source.

    Args:
        findings: `CompositionFindings`.

    Returns:
        Text. The source is a predictor, or one simulation: `simulation_train`, or `simulation_unseen` for those of
        other splits than the training split.
    """
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["drug", "background", "fraction", "statistic", "unit", "source", *_NUMBERS])

    def add(found, statistic, source, cells):
        unit = power_of_unit(findings.length_unit, findings.statistics[statistic]["power"])
        labels = [found["drug"], found["background"], f"{found['fraction']:.6g}", statistic, unit, source]
        rows.writerow([*labels, *(f"{cell:.6g}" if is_number(cell) else "" for cell in cells)])

    for found in findings.compositions:
        for name, predictor in found["predictors"].items():
            for statistic, final in predictor["final"].items():
                add(found, statistic, name, [final["mean"], final["standard_deviation"], *final["quantiles"]])
    for found in findings.simulations:
        source = "simulation_train" if found["in_training"] else "simulation_unseen"
        for statistic, value in found["final"].items():
            if is_number(value):
                add(found, statistic, source, [value, *[None] * (len(_NUMBERS) - 1)])
    return file.getvalue()


def panels(findings):
    """What to draw: a panel per statistic, with a curve per drug.

    Args:
        findings: `CompositionFindings`.

    Returns:
        List of (title of the y axis, drug -> dictionary of `fractions` `[C]`, `quantiles` `[C, 5]`, `regression` `[C]`
        (NaN where there is none), and points (fraction, number) of simulations, `seen` in training and `unseen`).
    """
    drugs = dict.fromkeys(each["drug"] for each in findings.compositions)
    return [
        (title, {drug: _curve(findings, drug, names) for drug in drugs})
        for title, names in _statistics(findings).items()
    ]


def _curve(findings, drug, names):
    rows = {"fractions": [], "quantiles": [], "regression": [], "seen": [], "unseen": []}
    for found in sorted(findings.compositions, key=lambda each: each["fraction"]):
        final = _final(found, findings.model, names) if found["drug"] == drug else None
        if final is not None:
            fit = _final(found, "composition_regression", names)
            rows["fractions"].append(found["fraction"])
            rows["quantiles"].append(final["quantiles"])
            rows["regression"].append(math.nan if fit is None else fit["mean"])
    for each in findings.simulations:
        value = next((each["final"][name] for name in names if is_number(each["final"].get(name))), None)
        if each["drug"] == drug and value is not None:
            rows["seen" if each["in_training"] else "unseen"].append((each["fraction"], value))
    return rows


def _statistics(findings):
    """Title -> names of the statistics that are the same but for the drug, as the radius of one drug and of another."""
    drugs = {each["drug"] for each in findings.compositions}
    found = {}
    for name, described in findings.statistics.items():
        groups = described["groups"]
        words = sorted(("the drug" if group in drugs else "the background" for group in groups), reverse=True)
        if described["has_final"]:
            title = described["title"].replace(" and ".join(groups), " and ".join(words))
            found.setdefault(with_unit(title, power_of_unit(findings.length_unit, described["power"])), []).append(name)
    return found


def _final(found, predictor, names):
    """The numbers of a predictor for the one of these statistics that a composition has, or None."""
    final = found["predictors"].get(predictor, {"final": {}})["final"]
    return next((final[name] for name in names if name in final), None)


def _value(findings, found, names):
    ours = _final(found, findings.model, names)
    if ours is None:
        return Cell("-")
    decimals = decimals_for([ours["standard_deviation"]])
    simulated = next((found["simulated"][name] for name in names if found["simulated"].get(name)), [])
    text = with_error(ours["mean"], ours["standard_deviation"], decimals)
    if not simulated:
        return Cell(text)
    error = statistics.stdev(simulated) if len(simulated) > 1 else None
    return Cell(text, f"({with_error(statistics.fmean(simulated), error, decimals)}, {len(simulated)})")


def _score(numbers):
    if not numbers:
        return Cell("-")
    ratio, error = numbers["ratio_to_simulations"], numbers["ratio_to_simulations_standard_error"]
    text = with_error(ratio, error, 2) if is_number(ratio) else "n/a"
    return Cell(text, f"({numbers['ratio']:.2f})" if is_number(numbers["ratio"]) else "")


def _name(found):
    return f"{found['drug']} {found['fraction']:g}"


def _moment(findings):
    factor, unit = readable_time(findings.duration, findings.time_unit)
    time = f"{factor * findings.duration:g} {unit}" if unit else f"{findings.num_steps} frames"
    return f"{time} after the last observed frame"
