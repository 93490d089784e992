"""Findings for tests of the report: small, with numbers that differ wherever they could be mixed up."""

import base64
import dataclasses
import gzip
import json

import numpy as np

from pipelines.common_windows import CommonWindows
from pipelines.config import DataConfig
from socialmd_tf.evaluation.example_windows import ExampleWindow
from socialmd_tf.evaluation.findings import Findings

HOSTILE = """</script><script>window.stolen = 1</script><img src=x onerror="window.stolen = 2"> "a" 'b' & %{x} $x$"""


def result(**more):
    """The promised metrics of a predictor and more."""
    return {
        "nll": -1.25,
        "mae": 0.125,
        "median_ae": 0.0625,
        "ade": 0.25,
        "fde": 0.5,
        "mae_per_step": [0.1, 0.2, 0.3, 0.4],
        "coverage_50": 0.51,
        "coverage_90": 0.87,
        **more,
    }


def full_result(**more):
    """All numbers of a predictor, but for molecules."""
    stratum = {"count": 12, "mae": 0.5, "median_ae": 0.4, "nll": 1.0}
    drift = {"rollout": 0.75, "truth": 0.25, "rollout_per_step": [0.5, 0.75], "truth_per_step": [0.2, 0.25]}
    numbers = {
        "nll_standard_error": 0.031,
        "mae_standard_error": 0.0042,
        "nll_per_move": 0.75,
        "mean_move": 0.1,
        "nll_per_step": [-3.0, -2.0, -1.0, 0.0],
        "coverage_50_per_step": [0.4, 0.5, 0.6, 0.7],
        "coverage_90_per_step": [0.8, 0.85, 0.9, 0.95],
        "calibration": {"levels": [0.1, 0.5, 0.9], "coverage": [0.2, 0.51, 0.87]},
        "strata": {
            "closest_approach": [{"from": 0.0, "to": 2.0, **stratum}, {"from": 2.0, "to": None, **stratum}],
            "crossing": [{"crossing": True, **stratum}, {"crossing": False, **stratum}],
        },
        "observables": {
            "speed": {"rollout": 0.1, "truth": 0.11, "distance": 0.0125},
            "radial_distribution": {"r": [0.1, 0.2], "rollout": [0.3, 0.4], "truth": [0.5, 0.6], "distance": 0.025},
            "mean_squared_displacement": {"rollout": [1.0, 2.0], "truth": [1.5, 2.5], "distance": 0.375},
            "energy_drift": drift,
            "momentum_drift": drift,
        },
    }
    return result(**{**numbers, **more})


MOLECULES = {
    "radial_distance_OQL": {
        "title": "mean distance of OQL from the centre",
        "power": 1,
        "steps": [1, 2, 3],
        "rollout": [2.5, 2.25, 2.0],
        "truth": [2.5, 2.5, 2.75],
        "error": 0.25,
        "error_standard_error": 0.03125,
        "relative_error": 0.1,
    },
    "accessible_area": {
        "title": "solvent accessible surface area",
        "power": 2,
        "steps": [1, 3],
        "rollout": [150.0, 125.0],
        "truth": [160.0, 170.0],
        "error": 27.5,
        "error_standard_error": float("nan"),
        "relative_error": 0.1666,
    },
}
"""What `molecule_statistics.compare` returns."""

COMPARISONS = [
    {
        "first": "ours",
        "second": "theirs",
        "mae_difference": -0.025,
        "mae_interval": [-0.035, -0.015],
        "nll_difference": 0.5,
        "nll_interval": [-0.25, 1.25],
        "num_simulations": 7,
    }
]


def window(
    seed, label="best", names=("ours", "theirs"), num_frames=(3, 4), num_particles=5, num_dimensions=2, box=None
):
    """A random `ExampleWindow`; the predictors' numbers differ."""
    generator = np.random.default_rng(seed)

    def frames(count):
        return generator.uniform(-3, 3, size=(count, num_particles, num_dimensions))

    def covariance(count):
        factor = generator.normal(size=(count, num_particles, num_dimensions, num_dimensions)) * 0.3
        return factor @ np.swapaxes(factor, -1, -2) + 0.01 * np.eye(num_dimensions)

    observed, predicted = num_frames
    return ExampleWindow(
        label=label,
        trajectory=seed,
        first_frame=100,
        stride=20,
        mae=0.123,
        warm_up=frames(observed),
        truth=frames(predicted),
        predictions={name: (frames(predicted), covariance(predicted)) for name in names},
        samples={names[0]: np.stack([frames(predicted), frames(predicted)])},
        kinds=tuple(("OQL", "ONC")[place % 2] for place in range(num_particles)),
        box=box,
    )


FORCES = [
    {
        "pair": "OQL and ONC",
        "quantity": "acceleration",
        "r": [0.5, 1.0, 2.0],
        "learned": {"ours": [4.0, 1.1, 0.25]},
        "true": [4.0, 1.0, 0.25],
        "edges": [0.5, 1.0, 2.0],
        "counts": [1, 3],
    }
]
"""What `pair_forces` returns."""

FINDINGS = Findings(
    data="nbody",
    length_unit="nm",
    split="test",
    models={"ours": "saved_models/ours/1"},
    windows=CommonWindows([DataConfig()]),
    num_windows=80,
    results={"ours": full_result(), "theirs": full_result(mae=0.5, nll=-0.5)},
    left_out={},
    comparisons=COMPARISONS,
    examples=[window(0), window(1, label="worst")],
    time_between_steps=0.5,
    time_unit="ps",
    about_data={"num_dimensions": 2, "num_particles": 25, "num_simulations": 20},
    about_models={
        "ours": {
            "preset": "forces",
            "num_parameters": 34353,
            "data": "theirs",
            "losses": {"loss": [1e6, 2.0, 1.5, 1.25], "val_loss": [2.5, 2.0, 1.75, 1.5]},
        }
    },
    pair_forces=FORCES,
    date="2026-11-26",
    command="socialmd-tf evaluate --model saved_models/ours",
)


def findings(**changes):
    """`FINDINGS` with other fields."""
    return dataclasses.replace(FINDINGS, **changes)


def unpacked(text):
    """The data of the player, which are packed JSON."""
    return json.loads(gzip.decompress(base64.b64decode(text)))


def texts(table):
    """Rows of a table as (name, text and detail of every cell)."""
    return [(name, *(f"{cell.text} {cell.detail}".strip() for cell in cells)) for name, cells in table.rows]


def bold(table):
    """(row, column) of the bold cells; columns count from 0 after the names."""
    return [(name, column) for name, cells in table.rows for column, cell in enumerate(cells) if cell.is_bold]
