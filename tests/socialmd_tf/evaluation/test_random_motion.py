"""What an evaluation says of models of random motion, which are rolled out by draws."""

import dataclasses
import math

import numpy as np
import pytest

from pipelines.common_windows import CommonWindows
from pipelines.manifest import Manifest
from pipelines.npy_files import save_trajectory
from socialmd_tf.config import TrainConfig
from socialmd_tf.evaluation import models as models_
from socialmd_tf.evaluation import one_frame
from socialmd_tf.evaluation.ensembles.evaluate import EnsembleSettings
from socialmd_tf.evaluation.evaluate import evaluate
from socialmd_tf.report import html_page, markdown_page
from socialmd_tf.training import train
from tests.socialmd_tf.evaluation.small_model import RANDOM


@pytest.fixture
def findings(random_model, model, data):
    return evaluate([random_model, model], data, "test", ensembles=EnsembleSettings(4, statistics=("move",)))


@pytest.mark.slow
def test_nothing_is_said_of_the_density_of_a_rollout_of_means(findings):
    ours, other = findings.results["random"], findings.results["small"]
    for key in ("nll", "nll_standard_error", "nll_per_move", "coverage_50", "coverage_90"):
        assert math.isnan(ours[key]) and not math.isnan(other[key]), key
    assert ours["nll_per_step"] == [] and ours["calibration"] == {} and other["calibration"]
    assert math.isnan(ours["strata"]["crossing"][1]["nll"]) and ours["strata"]["crossing"][1]["mae"] > 0
    assert ours["mae"] > 0 and all(math.isfinite(each["one_frame_nll"]) for each in findings.results.values())
    written = findings.metrics()
    assert written["predictors"]["random"]["nll"] is None
    with_random = [row for row in written["comparisons"] if "random" in (row["first"], row["second"])]
    assert with_random and all(
        row["nll_difference"] is None and row["mae_difference"] is not None for row in with_random
    )
    assert "Models of random motion: random." in findings.description() and "one-frame NLL" in str(findings)


@pytest.mark.slow
def test_the_likelihood_of_a_frame_is_that_after_true_frames(random_model, data):
    predictor = models_.predictor_of(random_model)
    windows = CommonWindows([predictor.windows])
    batch = next(windows.batches(data, "test", windows.index(data, "test")))
    found = one_frame.score(predictor, batch, windows)
    inputs = batch.inputs(predictor.windows)
    frames = np.concatenate([inputs["positions"], batch.targets], axis=1)
    for step in range(3):
        before = frames[:1, : 2 + step]
        known = inputs["features"][:1], 1, inputs["mask"][:1]
        mean, covariance = random_model.moments(before, *known)
        for particle in range(int(inputs["mask"][0].sum())):
            apart = frames[0, 2 + step, particle] - mean[0, 0, particle]
            matrix = covariance[0, 0, particle]
            nll = (apart @ np.linalg.solve(matrix, apart) + np.log(np.linalg.det(2 * np.pi * matrix))) / 2
            assert found.nll[0, step, particle] == pytest.approx(nll, rel=1e-4)


@pytest.mark.slow
def test_statistics_and_pictures_are_those_of_drawn_paths(findings, random_model):
    ours, truth = findings.results["random"]["observables"], findings.results["small"]["observables"]
    assert ours["speed"]["truth"] == truth["speed"]["truth"]
    means, _ = findings.examples[0].predictions["random"]
    moves = np.linalg.norm(np.diff(means, axis=0), axis=-1).mean()
    assert ours["speed"]["rollout"] > 1.5 * moves  # a mean of 16 paths hardly moves
    covariance = findings.examples[0].predictions["random"][1]
    assert np.trace(covariance[-1].mean(axis=0)) > 1.5 * np.trace(covariance[0].mean(axis=0))


@pytest.mark.slow
def test_the_report_begins_with_the_ensembles(findings):
    text = markdown_page.markdown(findings)
    assert text.index("## Ensembles") < text.index("## Predictors")
    assert "one-frame NLL (nats)" in text
    table = text[text.index("## Predictors") : text.index("## Paired")]
    (row,) = [line for line in table.splitlines() if line.startswith("| random ")]
    assert row.count("n/a") >= 4
    page = html_page.html(findings)
    assert page.index('id="ensembles"') < page.index('id="predictors"')


@pytest.mark.slow
def test_a_training_reports_ensembles_where_the_data_can_have_them(random_model, data, capsys):
    config = TrainConfig(data=str(data), model=RANDOM)
    assert train._findings(random_model, config, "test").ensembles.num_samples == 16
    manifest = Manifest.load(data)
    save_trajectory(data / "again.npy", np.load(data / "test/00000.npy"))
    reruns = {"again.npy": {"of": "test/00000.npy", "frame": 0}}  # before the model has observed its frames
    dataclasses.replace(manifest, reruns=reruns).save(data)
    assert train._findings(random_model, config, "test").ensembles is None
    assert "no ensembles in the report: `model` must name models that begin by frame 0" in capsys.readouterr().out


def test_other_models_have_no_single_frames(model, data):
    found = evaluate([model], data, "test")
    assert found.random == [] and "one_frame_nll" not in found.results["small"]
    assert not any("one-frame" in text for text in (str(found), markdown_page.markdown(found)))
