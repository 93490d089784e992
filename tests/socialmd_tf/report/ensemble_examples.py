"""`EnsembleFindings` for tests of the report."""

import numpy as np

from socialmd_tf.evaluation.ensembles.findings import EnsembleFindings, Fan


def numbers(ratio=1.0625, **more):
    """Numbers of one statistic of one predictor."""
    return {
        "num_starts": 2,
        "crps": 0.125,
        "crps_standard_error": 0.0125,
        "rerun_crps": 0.1,
        "ratio": ratio,
        "ratio_standard_error": 0.03,
        **more,
    }


SPREAD = {"spread_over_skill": 0.875, "coverage_50": 0.41, "coverage_90": 0.86, "rank_histogram": [0.1] * 10}


def ensembles(num_reruns=16, name="ours"):
    """Two statistics of a model and a baseline, with fans of the model."""
    grid = np.arange(1.0, 5.0)
    quantiles = np.linspace(1, 2, 5)[:, None] * np.ones(4)
    fans = [
        Fan("radius_OQL", "test/1.npy", "time", grid, quantiles, np.full((3, 4), 1.5)),
        Fan("pair_distribution_OQL_ONC", "test/1.npy", "distance", grid, quantiles, np.full((3, 4), 1.5)),
        Fan("radius_OQL", "test/2.npy", "time", grid, quantiles, np.full((3, 4), 1.5)),
    ]
    return EnsembleFindings(
        num_samples=64,
        num_steps=275,
        stored_frames_between_steps=1,
        frames={"test/1.npy": [24], "test/2.npy": [24]},
        num_reruns=num_reruns,
        statistics={
            "radius_OQL": {"title": "mean distance of OQL from the centre", "power": 1, "family": "radius"},
            "pair_distribution_OQL_ONC": {
                "title": "pair distances of OQL and ONC",
                "power": 0,
                "family": "pair_distribution",
            },
            "accessible_area": {"title": "surface", "power": 2, "family": "accessible_area"},
        },
        predictors={
            name: {
                "geometric_mean_ratio": 1.0625,
                "num_ratios": 3,
                "num_not_finite": 0,
                "statistics": {
                    "radius_OQL": numbers(**SPREAD),
                    "pair_distribution_OQL_ONC": numbers(**SPREAD),
                    "accessible_area": numbers(**{**SPREAD, "spread_over_skill": 0.5, "coverage_90": 0.89}),
                },
            },
            "constant_position": {
                "geometric_mean_ratio": float("nan"),
                "num_ratios": 2,
                "statistics": {"radius_OQL": numbers(5.0), "pair_distribution_OQL_ONC": numbers(float("nan"))},
            },
        },
        left_out={"same_composition": "there is none"},
        time_unit="ps",
        fans=fans,
    )
