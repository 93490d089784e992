"""Tables and picture of docs/experiments/molecules.md.

    python docs/experiments/molecules.py

Reads data/nanoparticles and the reports made by molecules.sh, writes molecules.png beside this file, and prints the
tables in Markdown.
"""

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

REPORTS = {name: Path("runs") / f"molecules-{name}" / "metrics.json" for name in ("3d", "2d", "real")}
SIMULATED = Path("data/nanoparticles/radial_distances")
LEFT_OUT = ("constant_velocity", "constant_acceleration")  # their errors would dwarf all others


def main():
    reports = {name: json.loads(path.read_text())["predictors"] for name, path in REPORTS.items() if path.exists()}
    for name, predictors in reports.items():
        print(f"\n{name}\n\n{positions(predictors)}\n\n{statistics(predictors)}")
    draw({name: reports[name] for name in ("3d", "2d") if name in reports})


def positions(predictors):
    """Table of the errors of single molecules."""
    rows = [
        "| predictor | NLL | MAE (nm) | FDE (nm) | coverage 50 % | coverage 90 % |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, result in predictors.items():
        error = f"{result['mae']:.4f} ± {result['mae_standard_error'] or float('nan'):.4f}"
        nll = f"{result['nll']:.3f} ± {result['nll_standard_error'] or float('nan'):.3f}"
        shares = " | ".join(f"{100 * result[key]:.1f} %" for key in ("coverage_50", "coverage_90"))
        rows.append(f"| `{name}` | {nll} | {error} | {result['fde']:.3f} | {shares} |")
    return "\n".join(rows)


def lines(predictors):
    """Yield a label and the statistics of predicted means and of sampled paths."""
    for name, result in predictors.items():
        for key, label in (("molecules", f"`{name}`"), ("molecules_drawn", f"`{name}`, sampled")):
            if key in result:
                yield label, result[key]


def statistics(predictors):
    """Table of the errors of summary statistics."""
    first = next(iter(predictors.values()))["molecules"]
    rows = ["| predictor | " + " | ".join(each["title"] for each in first.values()) + " |"]
    rows.append("|---" + "|---:" * len(first) + "|")
    for label, found in lines(predictors):
        cells = [
            f"{each['error']:.3g} ± {each['error_standard_error'] or float('nan'):.1g} "
            f"({100 * each['relative_error']:.1f} %)"
            for each in found.values()
        ]
        rows.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def draw(reports):
    """Figure 16 on the left; the predictors' versions (figure 21) on the right."""
    figure = Figure(figsize=(15, 4.4), layout="constrained")
    axes = figure.subplots(1, 2 + len(reports))
    simulated(axes[0])
    for axis, (name, predictors) in zip(axes[1:], reports.items(), strict=False):
        distances(axis, name, predictors)
    area(axes[-1], reports["3d"])
    figure.savefig(Path(__file__).with_name("molecules.png"), dpi=110)


def simulated(axis):
    runs = [json.loads(path.read_text()) for path in sorted(SIMULATED.glob("*.json"))]
    for group, color in zip(runs[0], ("#d55e00", "#0072b2", "#e69f00", "#56b4e9"), strict=True):
        rows = np.array([run[group] for run in runs])
        mean, error = rows.mean(axis=0), rows.std(axis=0, ddof=1) / len(rows) ** 0.5
        axis.plot(mean, color=color, label=group)
        axis.fill_between(range(len(mean)), mean - error, mean + error, color=color, alpha=0.3)
    axis.set(title=f"simulated: {len(runs)} nanoparticles", xlabel="frame", ylabel="mean distance from the centre (nm)")
    axis.legend()


def distances(axis, name, predictors):
    styles = iter(("-", "--", ":", "-.", (0, (5, 1)), (0, (1, 3))))
    for predictor, result in predictors.items():
        if predictor in LEFT_OUT:
            continue
        style = next(styles)
        for group, color in (("OQL", "#d55e00"), ("ONC", "#0072b2")):
            found = result["molecules"][f"radial_distance_{group}"]
            axis.plot(
                found["steps"], found["rollout"], ls=style, color=color, label=predictor if group == "ONC" else None
            )
    for group, color in (("OQL", "#d55e00"), ("ONC", "#0072b2")):
        found = next(iter(predictors.values()))["molecules"][f"radial_distance_{group}"]
        axis.plot(found["steps"], found["truth"], color=color, lw=6, alpha=0.3)
        low, high = min(found["truth"]), max(found["truth"])
        axis.set_ylim(min(axis.get_ylim()[0], low), max(axis.get_ylim()[1], high))
    axis.set(title=f"test, {name.upper()}: truth wide, OQL red", xlabel="predicted step")
    axis.set_ylabel("mean distance from the centre (nm)")
    axis.legend(fontsize="x-small")


def area(axis, predictors):
    for label, found in lines({name: each for name, each in predictors.items() if name not in LEFT_OUT}):
        axis.plot(found["accessible_area"]["steps"], found["accessible_area"]["rollout"], label=label.replace("`", ""))
    axis.plot(found["accessible_area"]["steps"], found["accessible_area"]["truth"], color="black", lw=3, label="truth")
    axis.set(title="accessible surface, 3D", xlabel="predicted step", ylabel="area (nm$^2$)")
    axis.legend(fontsize="x-small")


if __name__ == "__main__":
    main()
