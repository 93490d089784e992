"""Tables and picture of the comparisons made by `comparisons.sh`.

python docs/experiments/summary.py           # prints the tables of runs/comparisons in Markdown
python docs/experiments/summary.py --draw    # draws the table of models in README.md as comparisons.png
"""

import json
import re
import statistics
import sys
from pathlib import Path

from matplotlib.figure import Figure

from socialmd_tf.report.number_format import number, with_error

RUNS = Path("runs/comparisons")
PAGE = Path(__file__).with_name("README.md")
MODELS = {
    "stacked": "four stacked grids, 4 x 4 filters, one Gaussian, every 20th frame",
    "single-grid": "one 64 x 64 grid",
    "filters-2x2": "2 x 2 filters",
    "mixture": "mixture of five Gaussians",
    "lstm": "plain LSTM, no neighbours",
    "every-10th": "every 10th frame",
    "every-5th": "every 5th frame",
    "stacked-seed-1": "`stacked`, seed 1",
    "stacked-seed-2": "`stacked`, seed 2",
    "lstm-seed-1": "`lstm`, seed 1",
    "lstm-seed-2": "`lstm`, seed 2",
}
BASELINES = ("constant_position", "constant_velocity", "exact_integrator")


def main():
    if sys.argv[1:] == ["--draw"]:
        draw(table_rows(PAGE.read_text()))
        return
    reports = {path.parent.name: json.loads(path.read_text()) for path in sorted(RUNS.glob("reports/*/metrics.json"))}
    trained = [name for name in MODELS if num_parameters(name)]
    print_models(reports, trained)
    print_seeds(reports)
    print_pairs(reports)


def print_models(reports, trained):
    """Print one row per model, on the windows of the first comparison that contains it."""
    print("| model | description | parameters | NLL | MAE | median AE | FDE | coverage 50 % | coverage 90 % |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for name in [*trained, *BASELINES]:
        found = [report["predictors"][name] for report in reports.values() if name in report["predictors"]]
        if found:
            description, size = MODELS.get(name, ""), num_parameters(name)
            print(f"| `{name}` | {description} | {size} | {numbers(found[0])} |")
    print()


def num_parameters(name):
    cards = sorted(Path("saved_models").glob(f"{name}/*/assets.extra/model_card.json"))
    return f"{json.loads(cards[-1].read_text())['num_parameters']:,}".replace(",", " ") if cards else ""


def numbers(result):
    means = (
        with_error(result[key], result[f"{key}_standard_error"], digits) for key, digits in (("nll", 3), ("mae", 4))
    )
    shares = (f"{100 * result[key]:.1f} %" for key in ("coverage_50", "coverage_90"))
    return " | ".join([*means, number(result["median_ae"], 4), number(result["fde"], 3), *shares])


def print_seeds(reports):
    """Print mean and standard deviation over the seeds of each model, on the same windows."""
    found = reports.get("seeds", {"predictors": {}})["predictors"]
    print("| model | seeds | NLL | MAE |\n|---|---:|---:|---:|")
    for model in dict.fromkeys(without_seed(name) for name in found if name in MODELS):
        results = [result for name, result in found.items() if without_seed(name) == model]
        nll, mae = (
            f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"
            for values, digits in (([r["nll"] for r in results], 3), ([r["mae"] for r in results], 4))
        )
        print(f"| `{model}` | {len(results)} | {nll} | {mae} |")
    print()


def without_seed(name):
    return name.split("-seed-")[0]


def print_pairs(reports):
    """Print paired differences between models of the same seed."""
    print("| comparison | difference of | mean | 95 % interval |\n|---|---|---:|---:|")
    for report in reports.values():
        for pair in report["comparisons"]:
            names = pair["first"], pair["second"]
            if set(names) <= set(MODELS) and len({name.removeprefix(without_seed(name)) for name in names}) == 1:
                for key in ("nll", "mae"):
                    low, high = pair[f"{key}_interval"]
                    difference = f"{pair[f'{key}_difference']:+.4f} | {low:+.4f} to {high:+.4f}"
                    print(f"| `{pair['first']}` minus `{pair['second']}` | {key.upper()} | {difference} |")


def table_rows(page):
    """Rows of the table that `print_models` made: name -> mean and error of NLL and MAE, and coverages in percent."""
    table = re.search(r"^\| model \| description .*\n\|[-:| ]+\n((?:\|.*\n)+)", page, re.MULTILINE)[1]
    rows = {}
    for line in table.splitlines():
        name, _, _, *numbers = (cell.strip() for cell in line.strip("|").split("|"))
        found = [[float(number) for number in re.findall(r"-?[\d.]+", cell)] for cell in numbers]
        rows[name.split("`")[1]] = {"nll": found[0], "mae": found[1], "50": found[4], "90": found[5]}
    return rows


def draw(rows):
    """Draw one row per model, with a dot per seed, for MAE, NLL and coverage."""
    names = list(dict.fromkeys(without_seed(name) for name in rows))
    figure = Figure(figsize=(5.2, 7.6), layout="constrained")
    panels = (
        ("MAE (length unit of the data)", ("mae",), ()),
        ("NLL (nats per particle and step)", ("nll",), ()),
        ("coverage (%): 50 % region (circles), 90 % region (squares)", ("50", "90"), (50, 90)),
    )
    for axes, (title, keys, ideals) in zip(figure.subplots(3, 1, sharey=True), panels, strict=True):
        for ideal in ideals:
            axes.axvline(ideal, color="0.6", linewidth=1, linestyle=":")
        for name, row in rows.items():
            for key, marker in zip(keys, "os", strict=False):
                value, *error = row[key]
                place = names.index(without_seed(name)) + 0.2 * (seed(name) - 1) * is_repeated(name, rows)
                color = "0.35" if name in BASELINES else "C0"
                axes.errorbar(value, place, xerr=error or None, fmt=marker, color=color, markersize=4, capsize=2)
        axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlabel(title)
        axes.grid(axis="x", color="0.9")
        axes.set_axisbelow(True)
    figure.suptitle(
        "rollouts of 30 frames, test split; bars: standard error\nover 20 simulations; three dots: three seeds",
        size=9.5,
    )
    figure.savefig(Path(__file__).with_name("comparisons.png"), dpi=150, metadata={"Software": None})


def seed(name):
    return int(name.partition("-seed-")[2] or 0)


def is_repeated(name, rows):
    return sum(without_seed(other) == without_seed(name) for other in rows) > 1


if __name__ == "__main__":
    main()
