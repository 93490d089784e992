"""Tables and picture of the comparisons made by `comparisons.sh`.

    python docs/experiments/summary.py

Reads runs/comparisons, writes comparisons.png (training curves and errors per step) beside this file, and prints the
tables in Markdown.
"""

import csv
import json
import statistics
from pathlib import Path

from matplotlib.figure import Figure

from socialmd_tf.report.number_format import number, with_error

RUNS = Path("runs/comparisons")
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
    reports = {path.parent.name: json.loads(path.read_text()) for path in sorted(RUNS.glob("reports/*/metrics.json"))}
    trained = [name for name in MODELS if num_parameters(name)]
    curves = {name: list(csv.DictReader((RUNS / name / "history.csv").open())) for name in trained}
    print_models(reports, trained)
    print_seeds(reports)
    print_pairs(reports)
    draw(reports, curves)


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


def draw(reports, curves):
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, epochs in curves.items():
        errors = [float(epoch["val_mae"]) for epoch in epochs]
        left.plot(range(1, len(epochs) + 1), errors, marker=".", label=name, **style(name))
    left.set(xlabel="epoch (100 steps of 8 windows)", ylabel="MAE (length unit of the data)")
    left.set(title="validation split, rollout of 30 frames")
    drawn = set()
    for report in reports.values():
        frames = [report["stored_frames_between_steps"] * (step + 1) for step in range(report["num_steps"])]
        for name, result in report["predictors"].items():
            if name not in drawn and (name in MODELS or name in BASELINES):
                drawn.add(name)
                right.plot(frames, result["mae_per_step"], **style(name))
                if name in BASELINES:
                    right.annotate(name, (frames[-1], result["mae_per_step"][-1]), ha="right", va="bottom", fontsize=8)
    right.set(xlabel="stored frames after the last observed one", title="test split")
    for axes in (left, right):
        axes.set_ylim(bottom=0)
    figure.legend(loc="outside lower center", ncols=5)
    figure.savefig(Path(__file__).with_name("comparisons.png"), dpi=110, metadata={"Software": None})


def style(name):
    """Colour by model, line style by seed."""
    if name in BASELINES:
        return {"color": "0.4", "linestyle": (0, (1, 1))}
    model, _, seed = name.partition("-seed-")
    models = list(dict.fromkeys(without_seed(name) for name in MODELS))
    return {"color": f"C{models.index(model)}", "linestyle": ("-", "--", ":")[int(seed or 0)]}


if __name__ == "__main__":
    main()
