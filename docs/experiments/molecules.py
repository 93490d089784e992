"""Tables and picture of docs/experiments/molecules.md.

    python docs/experiments/molecules.py

Reads the reports made by molecules.sh, writes molecules.png beside this file, and prints the tables in Markdown.
"""

import json
import shutil
from pathlib import Path

import numpy as np

SEEDS = [f"nanoparticle-{seed}" for seed in range(3)]
ABLATIONS = ["no-anchors", "no-pairs", "lstm", "shared"]
BASELINES = ["constant_position", "random_walk", "composition_regression"]


def main():
    reports = {name: Path("runs") / f"molecules-{name}" for name in [*SEEDS, *ABLATIONS]}
    found = {name: read(path) for name, path in reports.items() if (path / "metrics.json").exists()}
    seeds = [name for name in SEEDS if name in found]
    print(f"{ratios(found, seeds)}\n\n{coverage(found, seeds)}\n\n{ablations(found, seeds)}")
    shutil.copyfile(reports[seeds[0]] / "fans.png", Path(__file__).with_name("molecules.png"))


def read(directory):
    """The scores of the baselines and, as "model", of the model of a report."""
    metrics = json.loads((directory / "metrics.json").read_text())
    predictors = metrics["ensembles"]["predictors"]
    return {"model": predictors[metrics["model"]], **{name: predictors[name] for name in BASELINES}}


def ratio(predictor, statistic):
    found = predictor["statistics"].get(statistic)
    return "" if found is None or found["ratio"] is None else f"{found['ratio']:.2f}"


def ratios(found, seeds):
    """Ratios to the re-runs, of baselines and of every seed, with the standard error of the first seed."""
    first = found[seeds[0]]
    rows = [
        f"| statistic | {' | '.join(name.replace('_', ' ') for name in BASELINES)} | {' | '.join(seeds)} | mean |",
        f"|---{'|--:' * (len(BASELINES) + len(seeds) + 1)}|",
    ]
    for name in first["model"]["statistics"]:
        cells = [ratio(first[baseline], name) for baseline in BASELINES]
        ours = [found[seed]["model"]["statistics"][name] for seed in seeds]
        cells += [f"{each['ratio']:.2f} ± {each['ratio_standard_error']:.2f}" for each in ours]
        rows.append(f"| {name} | {' | '.join(cells)} | {np.mean([each['ratio'] for each in ours]):.3f} |")
    means = [f"{first[baseline]['geometric_mean_ratio']:.2f}" for baseline in BASELINES]
    models = [found[seed]["model"]["geometric_mean_ratio"] for seed in seeds]
    means += [f"{value:.3f}" for value in models]
    return "\n".join([*rows, f"| geometric mean | {' | '.join(means)} | {np.mean(models):.3f} |"])


def coverage(found, seeds):
    """Coverage of the middle 50 and 90 % of the ensembles, means over seeds."""
    rows = ["| statistic | 50 % | 90 % |", "|---|--:|--:|"]
    for name in found[seeds[0]]["model"]["statistics"]:
        ours = [found[seed]["model"]["statistics"][name] for seed in seeds]
        if "coverage_50" in ours[0]:
            shares = [f"{100 * np.mean([each[key] for each in ours]):.0f}" for key in ("coverage_50", "coverage_90")]
            rows.append(f"| {name} | {' | '.join(shares)} |")
    return "\n".join(rows)


def ablations(found, seeds):
    """Ratios of the models that lack something, beside the first seed."""
    names = [seeds[0], *(name for name in ABLATIONS if name in found)]
    rows = [f"| statistic | {' | '.join(names)} |", f"|---{'|--:' * len(names)}|"]
    statistics = found[seeds[0]]["model"]["statistics"]
    rows += [f"| {each} | {' | '.join(ratio(found[name]['model'], each) for name in names)} |" for each in statistics]
    return "\n".join(rows)


if __name__ == "__main__":
    main()
