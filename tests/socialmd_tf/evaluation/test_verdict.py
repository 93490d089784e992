import math

import pytest

from socialmd_tf.evaluation.verdict import verdict

WALK = {"mae": 0.5, "nll": 1.0}
STILL = {"mae": 0.4, "nll": 2.0}


def row(second, mae, nll, width=0.01, first="ours"):
    differences = {"mae_difference": mae, "nll_difference": nll}
    intervals = {f"{kind}_interval": [value - width, value + width] for kind, value in (("mae", mae), ("nll", nll))}
    return {"first": first, "second": second, **differences, **intervals}


def judge(mae=-0.3, nll=-0.7, coverage=(0.5, 0.9), width=0.01, steps=None, **changes):
    """Of a model whose MAE and NLL differ so much from those of the best baselines; `steps` are coverages of steps."""
    ours = {"mae": 0.4 + mae, "nll": 1.0 + nll, "coverage_50": coverage[0], "coverage_90": coverage[1]}
    if steps:
        ours |= {f"coverage_{level}_per_step": list(values) for level, values in zip((50, 90), steps, strict=True)}
    results = {
        "ours": ours,
        "constant_position": STILL,
        "constant_velocity": WALK,
        "exact_integrator": {"mae": 0, "nll": -9},
    }
    rows = [
        row("constant_position", mae, nll - 1, width),
        row("constant_velocity", mae - 0.1, nll, width),
        row("exact_integrator", 1.0, 1.0, width),
        row("constant_position", 9.0, 9.0, width, first="other"),
    ]
    return verdict(results, rows, "ours", **changes)


def test_the_best_baseline_of_each_metric_counts():
    assert judge(unit="nm") == (
        "ours is better than the best baseline: MAE 0.1 nm against 0.4 nm of constant_position (difference -0.3, 95 % "
        "interval -0.31 to -0.29), NLL (nats) 0.3 against 1 of constant_velocity (difference -0.7, 95 % interval -0.71 "
        "to -0.69); its uncertainty is true: 50.0 % of the true positions are in the 50 % region, 90.0 % in the 90 % "
        "region."
    )


def test_coverages_have_their_standard_errors_if_there_are_several_simulations():
    ours = {"mae": 0.1, "nll": 0.3, "coverage_50": 0.5, "coverage_90": 0.9}
    errors = {"coverage_50_standard_error": 0.031, "coverage_90_standard_error": math.nan}
    sentence = verdict({"ours": ours | errors, "constant_position": STILL}, [row("constant_position", -1, -1)], "ours")
    assert "true: 50.0 ± 3.1 % of the true positions are in the 50 % region, 90.0 % in the 90 % region." in sentence


@pytest.mark.parametrize(
    ("mae", "nll", "words"),
    [
        (0.3, 0.7, "ours is worse than the best baseline: "),
        (-0.3, 0.7, "ours is better than the best baseline in MAE and worse in NLL: "),
        (0.005, -0.005, "ours is neither better nor worse than the best baseline: "),
        (0.005, -0.7, "ours is neither better nor worse than the best baseline in MAE and better in NLL: "),
    ],
)
def test_only_an_interval_without_zero_decides(mae, nll, words):
    assert judge(mae, nll).startswith(words)


@pytest.mark.parametrize(
    ("coverage", "word"),
    [
        ((0.46, 0.92), "true"),
        ((0.55, 0.87), "true"),
        ((0.44, 0.90), "too narrow"),
        ((0.52, 0.85), "too narrow"),
        ((0.48, 0.85), "too narrow"),
        ((0.60, 0.95), "too wide"),
        ((0.70, 0.85), "of the wrong shape"),
    ],
)
def test_coverages_decide_on_the_uncertainty(coverage, word):
    assert f"; its uncertainty is {word}: {100 * coverage[0]:.1f} % of" in judge(coverage=coverage)


def test_a_step_that_is_off_by_far_is_named():
    sentence = judge(steps=([0.45, 0.33, 0.6, 0.62], [0.9, 0.78, 0.95, 0.98]))
    assert sentence.endswith(
        "its uncertainty is true on average: 50.0 % of the true positions are in the 50 % region, 90.0 % in the 90 % "
        "region; step 2 is most off, with 33.0 % and 78.0 %."
    )


@pytest.mark.parametrize("steps", [([0.4, 0.6], [0.9, 0.9]), ([0.5, 0.5], [0.84, 0.96])])
def test_no_step_is_named_within_twice_the_tolerance(steps):
    assert judge(steps=steps) == judge()


def test_the_spread_of_a_sampled_model_is_that_of_frames():
    text = judge(coverage=(0.1, 0.2), nll=math.nan, is_sampled=True)
    assert text.startswith("ours is better than the best baseline in the MAE of its means: MAE 0.1 against 0.4 of ")
    assert "drawn paths" in text and "narrow" not in text and "NLL" not in text and "nan" not in text


def test_ensembles_take_the_place_of_single_frames():
    text = judge(nll=math.nan, is_sampled=True, of_paths="its paths are good")
    assert text.endswith("; its paths are good.") and "--num-samples" not in text


def test_one_simulation_gives_no_interval():
    text = judge(width=math.nan)
    assert text.startswith("ours is better than") and "one simulation gives no interval" in text


def test_without_baselines_there_is_no_verdict():
    assert verdict({"ours": {}}, [row("theirs", 1.0, 1.0)], "ours") is None
