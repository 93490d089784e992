import json

from tests.socialmd_tf.report.report_examples import COMPARISONS, findings, full_result, result


def test_metrics_are_json_ready_with_none_for_missing_numbers():
    nan = float("nan")
    rows = [{**COMPARISONS[0], "mae_interval": [nan, float("inf")]}]
    metrics = findings(results={"ours": result(mae=nan, nll=-1.0)}, comparisons=rows).metrics()
    json.dumps(metrics, allow_nan=False)
    assert metrics["model"] == "ours" and metrics["num_steps"] == 30
    assert metrics["predictors"]["ours"]["mae"] is None and metrics["predictors"]["ours"]["nll"] == -1.0
    assert metrics["comparisons"][0]["mae_interval"] == [None, None]


def test_the_text_is_a_table_of_predictors():
    lines = str(findings(results={"ours": full_result(mae=0.01234), "constant_velocity": result()})).splitlines()
    assert lines[0] == findings().description()
    assert lines[2].split() == ["NLL", "MAE", "coverage", "50", "%", "coverage", "90", "%"]
    assert lines[3].split() == ["ours", "-1.250", "0.01234", "51.0", "%", "87.0", "%"]
    assert len({len(line) for line in lines[2:]}) == 1


def test_models_in_memory_are_named():
    assert findings(models={"socialmd": "in memory"}).description().startswith("socialmd (in memory) on the test split")


def test_the_verdict_is_in_the_text_and_in_the_metrics():
    rows = [{**COMPARISONS[0], "first": "ours", "second": "constant_velocity"}]
    found = findings(results={"ours": full_result(), "constant_velocity": result()}, comparisons=rows)
    assert found.verdict.startswith("ours is ") and found.metrics()["verdict"] == found.verdict
    assert str(found).splitlines()[-1] == found.verdict
    assert findings(results={"ours": full_result()}, comparisons=[]).metrics()["verdict"] is None
