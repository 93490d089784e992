import math

import pytest

from socialmd_tf.evaluation.ensembles.findings import EnsembleFindings
from socialmd_tf.evaluation.ensembles.verdict import verdict


def scored(ratio=math.nan, coverage=None, **crps):
    statistics = {name: {"crps": value} for name, value in crps.items()}
    if coverage:
        statistics["move"] |= {"spread_over_skill": 1.0, "coverage_50": coverage[0], "coverage_90": coverage[1]}
    return {"geometric_mean_ratio": ratio, "num_ratios": 3, "statistics": statistics}


def judge(**predictors):
    return verdict(EnsembleFindings(16, 10, 1, {}, 0, {}, predictors, {}, None, []), ["ours", "other"])


def test_the_baseline_that_wins_most_statistics_counts():
    text = judge(
        ours=scored(move=1.0, radius=2.0, area=3.0),
        other=scored(move=0.0, radius=0.0, area=0.0),
        still=scored(move=9.0, radius=1.0, area=9.0),
        walk=scored(move=0.5, radius=math.nan, area=9.0),
    )
    assert text == "the CRPS of its drawn paths is lower than that of walk, the best baseline, in 1 of 2 statistics"


@pytest.mark.parametrize(
    ("coverage", "word"), [((0.48, 0.91), "true"), ((0.3, 0.8), "too narrow"), ((0.7, 0.9), "too wide")]
)
def test_reruns_and_coverages_are_named(coverage, word):
    text = judge(ours=scored(1.04, coverage, move=1.0), walk=scored(move=2.0))
    assert ", it is 1.04 times that of re-runs (geometric mean of 3 statistics); their spread is " + word in text
    assert f"{100 * coverage[0]:.1f} % of the true values are in the middle 50 % of the paths" in text


def test_a_model_without_ensembles_has_no_clause():
    assert judge(walk=scored(move=1.0)) is None
