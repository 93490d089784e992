"""The picture of the model family, images/models.svg.

python docs/models.py
"""

import itertools
from pathlib import Path

from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from socialmd_tf.config import PRESETS

WIDTH, HEIGHT = 4.8, 7.62  # inches: a column that a phone shows at a readable size
GROUND, BOX, LINE, TEXT, NOTE = "#ffffff", "#eef1fb", "#3949ab", "#111827", "#4b5563"
LEFT, RIGHT = 0.55, 4.65

STAGES = (
    (
        "Observed frames",
        "positions of all particles at T frames, features\n(mass, charge, type); box, bonds and velocities if known",
        (),
    ),
    (
        "Interaction: what a particle sees of the others",
        "their states or positions, summed over neighbours",
        (
            (
                "stacked_pooling",
                "images of neighbours on grids of 4 sizes",
                ("thesis", "thesis-mixture", "thesis-monogrid"),
            ),
            ("multiscale_pooling", "grids of 7 sizes, read bin by bin", ("kinematic",)),
            ("pairwise", "a function of every pair", ("pairwise", "verlet", "forces")),
            ("none", "each particle alone", ("lstm", "molecules-lstm", "langevin")),
        ),
    ),
    (
        "Cell: what it remembers",
        "an LSTM, with the same weights for every particle\n(langevin: running averages of the positions)",
        (),
    ),
    (
        "Head: what moves the particle",
        "a rule of motion, and what is learned beside it",
        (
            ("absolute", "predicted directly", ("thesis", "lstm", "molecules-lstm")),
            ("displacement", "standing still + learned move", ()),
            ("kinematic", "straight on + learned acceleration", ("kinematic", "pairwise")),
            ("verlet", "motion under learned or fitted forces", ("verlet", "forces")),
            ("langevin", "learned drift, friction and noise", ("langevin",)),
        ),
    ),
    ("Predicted density of the next position", "mean and covariance, one Gaussian or a mixture", ()),
)


def main():
    """Draw the picture beside this script."""
    for name in {preset for *_, parts in STAGES for _, _, presets in parts for preset in presets}:
        check(name)
    rcParams["svg.hashsalt"] = "socialmd_tf"
    figure = Figure(figsize=(WIDTH, HEIGHT), facecolor=GROUND)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, HEIGHT))
    axes.set_axis_off()
    top = HEIGHT - 0.12
    edges = []
    for title, text, parts in STAGES:
        bottom = draw_stage(axes, top, title, text, parts)
        edges.append((top, bottom))
        top = bottom - 0.26
    for (_, above), (below, _) in itertools.pairwise(edges):
        arrow(axes, (WIDTH / 2, above), (WIDTH / 2, below))
    draw_feedback(axes, edges[-1], edges[1])
    figure.savefig(Path(__file__).parent / "images" / "models.svg", metadata={"Date": None, "Creator": None})


def check(name):
    """Every preset of the picture has the parts that the picture gives it."""
    config = PRESETS[name]
    given = {part for *_, parts in STAGES for part, _, presets in parts if name in presets}
    assert given <= {config.head, config.interaction}, name


def draw_stage(axes, top, title, text, parts):
    """Draw a box with its title, a sentence and its variants, and return its lower edge."""
    height = 0.38 + 0.17 * len(text.split("\n")) + 0.36 * len(parts)
    corner = (LEFT, top - height)
    box = FancyBboxPatch(corner, RIGHT - LEFT, height, boxstyle="round,pad=0,rounding_size=0.08", fc=BOX, ec=LINE)
    axes.add_patch(box)
    axes.text(LEFT + 0.1, top - 0.08, title, size=10, weight="bold", color=TEXT, va="top")
    axes.text(LEFT + 0.1, top - 0.28, text, size=8.6, color=TEXT, va="top", linespacing=1.25)
    for place, (name, meaning, presets) in enumerate(parts):
        y = top - 0.36 - 0.17 * len(text.split("\n")) - 0.36 * place
        axes.text(LEFT + 0.1, y, name, size=8.6, family="monospace", weight="bold", color=LINE, va="top")
        axes.text(RIGHT - 0.1, y, meaning, size=8.6, color=TEXT, va="top", ha="right")
        named = ", ".join(presets) or f"any preset with --model.head {name}"
        axes.text(RIGHT - 0.1, y - 0.155, named, size=7.8, color=NOTE, va="top", ha="right")
    return corner[1]


def draw_feedback(axes, last, first):
    """Draw the line by which a predicted position becomes the next input."""
    y, end = sum(last) / 2, first[0] - 0.2
    axes.plot([LEFT, 0.28, 0.28], [y, y, end], color=LINE, linewidth=1.4, solid_capstyle="butt")
    arrow(axes, (0.28, end), (LEFT, end))
    axes.text(0.14, (y + end) / 2, "rollout: the mean (or a drawn position) is fed back", size=8.6, color=TEXT,
              rotation=90, va="center", ha="center")  # fmt: skip


def arrow(axes, start, end):
    """Draw an arrow between two points."""
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, color=LINE, linewidth=1.4,
                                   shrinkA=0, shrinkB=0))  # fmt: skip


if __name__ == "__main__":
    main()
