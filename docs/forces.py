"""Picture of docs/forces.md: learned and true forces.

    python docs/forces.py

Reads the fits that `benchmarks/laws.py` wrote to runs/laws and writes images/forces.png beside this file.
"""

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

FITS = Path("runs/laws")
TITLES = {
    "springs-3d": "springs, 3D",
    "trap-2d": "disks in a trap, 2D",
    "lennard-jones-2d": "Lennard-Jones, 2D",
    "coulomb-3d": "clipped Coulomb, 3D",
    "nbody-2d": "N-body, 2D",
}
INVERSE_SQUARE = ("coulomb-3d", "nbody-2d")
"""Laws whose forces are drawn times r^2."""
COLORS = {"pairs: charge/mass_i charge_j": "#d55e00"}
COLOR = "#0072b2"


def main():
    laws = {name: [json.loads(path.read_text()) for path in sorted(FITS.glob(f"{name}-*.json"))] for name in TITLES}
    laws = {name: fits for name, fits in laws.items() if fits}
    figure = Figure(figsize=(3.1 * len(laws), 6.6), layout="constrained")
    grid = figure.subplots(3, len(laws), sharex="col", height_ratios=(3, 2, 1), squeeze=False)
    for (name, fits), axes in zip(laws.items(), grid.T, strict=True):
        column(name, fits, axes)
    grid[0, 0].legend(loc="best", fontsize=8, frameon=False)
    grid[1, 0].set_ylabel("|learned - true|")
    grid[2, 0].set_ylabel("pairs")
    figure.savefig(Path(__file__).parent / "images/forces.png", dpi=110)


def column(name, fits, axes):
    """Forces, their errors and the distances of the data of one law."""
    weigh = (lambda r: r**2) if name in INVERSE_SQUARE else np.ones_like
    axes[0].set_title(f"{TITLES[name]} ({len(fits)} seed{'s' * (len(fits) > 1)})", fontsize=10)
    axes[0].set_ylabel("force x r²" if name in INVERSE_SQUARE else "force", fontsize=9)
    for number, fit in enumerate(fits):
        r = np.array(fit["distances"])
        for term, curve in fit["curves"].items():
            learned, error, true = (weigh(r) * np.array(curve[key]) for key in ("learned", "error", "true"))
            color, first = COLORS.get(term, COLOR), number == 0
            axes[0].plot(r, learned, color=color, alpha=0.7, label="learned" if first else None)
            axes[1].plot(r, np.abs(learned - true), color=color, alpha=0.7, lw=0.8)
            if first:
                axes[0].fill_between(r, learned - 2 * error, learned + 2 * error, color=color, alpha=0.25, lw=0)
                axes[0].plot(r, true, color="black", ls=":", lw=1.6, label="true")
                axes[1].fill_between(r, 0, 2 * error, color=color, alpha=0.25, lw=0)
    limits(name, fits, axes[0], weigh)
    shares = np.mean([np.divide(fit["counts"], np.sum(fit["counts"])) for fit in fits], axis=0)
    axes[2].fill_between(fits[0]["distances"], 0, shares, color="0.6", lw=0)
    axes[2].set_yticks([])
    axes[1].set_yscale("log")
    axes[2].set_xscale("log")
    axes[2].xaxis.set_minor_formatter(NullFormatter())
    if name == "lennard-jones-2d":  # less than a decade
        axes[2].set_xticks([1, 2, 4], ["1", "2", "4"])
    axes[2].set_xlabel("distance r")


def limits(name, fits, axis, weigh):
    """Show what the force does where it is not huge."""
    trues = [weigh(np.array(fit["distances"])) * np.array(c["true"]) for fit in fits for c in fit["curves"].values()]
    low, high = np.min(trues), np.max(trues)
    if name == "lennard-jones-2d":
        low = -60
    margin = max(0.1 * (high - low), 0.2 * abs(high))
    axis.set_ylim(low - margin, high + margin)


if __name__ == "__main__":
    main()
