"""Tables and picture of trainings as long as the thesis's.

    python docs/experiments/thesis_length.py [--runs runs/thesis-length] [--picture docs/experiments/thesis_length.png]

Reads the runs that thesis_length.sh made, finished ones or not, draws their curves as in figures 26 to 28 of the
thesis, and prints the tables in Markdown. Validation figures are those of the best epoch by NLL, whose weights are
exported and evaluated on the test split.
"""

import argparse
import csv
import json
import math
import re
import statistics
from pathlib import Path

from matplotlib.figure import Figure

from socialmd_tf.report.number_format import number, percent, with_error

MODELS = {
    "thesis": "four stacked grids, one Gaussian",
    "thesis-mixture": "mixture of five Gaussians",
    "thesis-monogrid": "one grid of 64 x 64 bins",
    "filters-2x2": "2 x 2 filters",
    "kinematic": "corrections of straight motion, seven grids, mixture of three",
    "lstm": "no neighbours",
}
BASELINES = ("constant_position", "constant_velocity", "exact_integrator")
REPORTED = {"val_loss": -3.4332, "val_mae": 0.0681}
"""What the thesis reports for its validation split (section 4.5), on data of its own."""
FIGURES = {
    "stacked grids and a single one (thesis, figure 26)": ("thesis", "thesis-monogrid"),
    "filters of 4 x 4 and 2 x 2 (thesis, figure 27)": ("thesis", "filters-2x2"),
    "the single-density model (thesis, figure 28)": ("thesis",),
}
LOSSES = {"loss": "NLL (nats per particle and step)", "mae": "MAE (length unit of the data)"}
HIGHEST = 4.0
"""Largest NLL that is drawn; after epochs that predict one frame, that of rollouts can be far larger."""
COLORS = dict(zip(MODELS, ("#0072b2", "#009e73", "#d55e00", "#cc79a7", "#e69f00", "0.4"), strict=True))
LINES = ("-", "--", ":", "-.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/thesis-length"))
    parser.add_argument("--picture", type=Path, default=Path(__file__).with_suffix(".png"))
    arguments = parser.parse_args()
    runs = [read(path) for path in sorted(arguments.runs.glob("*-seed-*/history.csv"), key=order)]
    if not runs:
        parser.error(f"no runs of thesis_length.sh in {arguments.runs}")
    print(runs_table(runs), seeds_table(runs), sep="\n\n")
    draw(runs, arguments.picture)


def order(path):
    """Models in the order of `MODELS`, then seeds."""
    model, seed = name_and_seed(path.parent.name)
    return list(MODELS).index(model), seed


def name_and_seed(name):
    model, _, seed = name.rpartition("-seed-")
    return model, int(seed)


def read(path):
    """A run: model, seed, epochs, seconds of training, and the reports of the test split if it has finished."""
    with path.open() as file:
        epochs = [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
    model, seed = name_and_seed(path.parent.name)
    log, metrics = path.parents[1] / "logs" / f"{path.parent.name}.log", path.with_name("metrics.json")
    seconds = re.findall(r"^epoch \d+ of \d+, done, (\d+) s", log.read_text(), re.MULTILINE) if log.exists() else []
    report = json.loads(metrics.read_text()) if metrics.exists() else None
    return {
        "model": model,
        "seed": seed,
        "epochs": epochs,
        "best": min(epochs, key=lambda epoch: epoch["val_loss"]),
        "minutes": sum(map(int, seconds)) / 60 if seconds else None,
        "test": report["predictors"] | {"model": report["predictors"][report["model"]]} if report else {},
        "planned": json.loads(path.with_name("config.json").read_text())["epochs"],
    }


def runs_table(runs):
    """A row per run, the thesis's own figures, and the baselines on the test split."""
    rows = [
        "| model | description | seed | epochs | best | minutes | validation NLL | MAE | test NLL | MAE | median AE "
        "| coverage 50 % | coverage 90 % |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for run in runs:
        best, done = run["best"], len(run["epochs"])
        epochs = f"{done}" if done == run["planned"] else f"{done} of {run['planned']}"
        rows.append(
            f"| `{run['model']}` | {MODELS[run['model']]} | {run['seed']} | {epochs} | {best['epoch']:.0f} "
            f"| {number(run['minutes'], 1)} | {best['val_loss']:.3f} | {best['val_mae']:.4f} "
            f"| {test_cells(run['test'].get('model'))} |"
        )
    nll, mae = REPORTED.values()
    rows.append(f"| the thesis, section 4.5 | on data of its own | | 40 | | | {nll} | {mae} | | | | | |")
    for name in BASELINES:
        found = next((run["test"][name] for run in runs if name in run["test"]), None)
        if found:
            rows.append(f"| `{name}` | | | | | | | | {test_cells(found)} |")
    return "\n".join(rows)


def test_cells(result):
    """Five cells of a report's metrics; errors are over simulations."""
    if result is None:
        return " | ".join([""] * 5)
    means = (with_error(result[key], result[f"{key}_standard_error"], d) for key, d in (("nll", 3), ("mae", 4)))
    return " | ".join([*means, number(result["median_ae"], 4), *(percent(result[f"coverage_{n}"]) for n in (50, 90))])


def seeds_table(runs):
    """Means over the seeds of each model, with their standard errors; runs that have not finished are left out."""
    rows = [
        "| model | seeds | validation NLL | MAE | test NLL | MAE | coverage 50 % | coverage 90 % |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for model in MODELS:
        finished = [run for run in runs if run["model"] == model and len(run["epochs"]) == run["planned"]]
        tested = [run["test"]["model"] for run in finished if run["test"]]
        if finished:
            cells = [
                *(
                    over_seeds([run["best"][key] for run in finished], d)
                    for key, d in (("val_loss", 3), ("val_mae", 4))
                ),
                *(over_seeds([test[key] for test in tested], d) for key, d in (("nll", 3), ("mae", 4))),
                *(
                    over_seeds([100 * test[f"coverage_{n}"] for test in tested], 1) + " %" * bool(tested)
                    for n in (50, 90)
                ),
            ]
            rows.append(f"| `{model}` | {len(finished)} | {' | '.join(cells)} |")
    return "\n".join(rows)


def over_seeds(values, decimals):
    """Mean and standard error, s / sqrt(n); of a single seed the value."""
    if not values:
        return ""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return with_error(statistics.mean(values), error, decimals)


def draw(runs, path):
    """NLL and MAE per epoch: a row of axes per figure whose models were trained, and one for the other models."""
    found = {run["model"] for run in runs}
    shown = {title: models for title, models in FIGURES.items() if found.issuperset(models)}
    others = tuple(found - {model for models in shown.values() for model in models})
    shown |= {"other models": others} if others else {}
    figure = Figure(figsize=(11, 3.6 * len(shown)), layout="constrained")
    for row, (title, models) in zip(figure.subplots(len(shown), 2, squeeze=False), shown.items(), strict=True):
        for axes, (loss, label) in zip(row, LOSSES.items(), strict=True):
            for run in runs:
                if run["model"] in models:
                    curves(axes, run, loss)
            axes.axhline(REPORTED[f"val_{loss}"], color="0.6", lw=1)
            place = (0.99, REPORTED[f"val_{loss}"])
            axes.annotate(
                "the thesis, data of its own", place, xycoords=axes.get_yaxis_transform(), fontsize=7, ha="right"
            )
            axes.set(xlabel="epoch (20 000 samples)", ylabel=label, title=title)
        row[0].legend(fontsize="x-small")
        drawn = [value for line in row[0].lines for value in line.get_ydata() if value <= HIGHEST]
        row[0].set_ylim(min(drawn) - 0.5, min(max(drawn) + 0.5, HIGHEST))
        row[1].set_ylim(bottom=0)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def curves(axes, run, loss):
    """Validation, and training in a thinner line; the latter predicts fewer frames in the first epochs."""
    epochs = [epoch["epoch"] for epoch in run["epochs"]]
    style = {"color": COLORS[run["model"]], "linestyle": LINES[run["seed"] % len(LINES)]}
    validation = [epoch[f"val_{loss}"] for epoch in run["epochs"]]
    axes.plot(epochs, validation, **style, lw=1.8, label=f"{run['model']}, seed {run['seed']}, validation")
    training = [epoch.get(loss, math.nan) for epoch in run["epochs"]]
    axes.plot(epochs, training, **style, lw=0.8, alpha=0.6, label=f"{run['model']}, seed {run['seed']}, training")


if __name__ == "__main__":
    main()
