import dataclasses
import json
import math

import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf.evaluation.ensembles.evaluate import Ensembles, EnsembleSettings
from tests.socialmd_tf.evaluation.ensembles.conftest import Redrawn


def evaluated(directory, num_samples=16, models=None, **settings):
    models = {"redrawn": Redrawn()} if models is None else models
    return Ensembles(EnsembleSettings(num_samples, **settings), models, directory, "test").evaluate()


@pytest.mark.slow
def test_an_ensemble_of_the_true_law_is_as_good_as_re_runs_and_others_are_not(write_reruns):
    directory = write_reruns(num_files=24, num_reruns=4)
    found = evaluated(directory, 32, {"redrawn": Redrawn(), "noisy": Redrawn(2.0)}).predictors
    assert found["redrawn"]["geometric_mean_ratio"] == pytest.approx(1.0, abs=0.05)
    assert found["noisy"]["geometric_mean_ratio"] > 1.2
    assert found["constant_position"]["geometric_mean_ratio"] > 2
    assert found["random_walk"]["geometric_mean_ratio"] > 1.05
    for name, numbers in found["redrawn"]["statistics"].items():
        assert numbers["ratio"] == pytest.approx(1.0, abs=0.2), name
        if name.startswith(("move", "displacement")):
            assert abs(numbers["ratio"] - 1) < 4 * numbers["ratio_standard_error"], name
            assert numbers["spread_over_skill"] == pytest.approx(1.0, abs=0.15)
            assert numbers["coverage_50"] == pytest.approx(0.5, abs=0.06)
            assert numbers["coverage_90"] == pytest.approx(0.9, abs=0.05)
            assert numbers["rank_histogram"] == pytest.approx([0.1] * 10, abs=0.04)
    assert found["noisy"]["statistics"]["move_A"]["spread_over_skill"] < 1
    assert "spread_over_skill" not in found["constant_position"]["statistics"]["move_A"]


def test_the_moves_of_a_random_walk_have_the_variance_of_the_training_split(write_reruns):
    directory = write_reruns()
    ensembles = Ensembles(EnsembleSettings(200), {"redrawn": Redrawn()}, directory, "test")
    case = next(iter(ensembles._cases))
    paths = ensembles._predictors["random_walk"].paths(case, 0)
    assert paths[:, 0] == pytest.approx(np.broadcast_to(case.runs[0, 0], paths[:, 0].shape))
    manifest = Manifest.load(directory)
    files = [np.load(directory / file).astype(float) for file in manifest.splits["train"]]
    moves = [np.diff(file[:, file[0, :, 2] > 0, :2], axis=0) for file in files]
    expected = np.sqrt(np.mean(np.concatenate([each.ravel() for each in moves]) ** 2))
    assert np.diff(paths[:, :, ::2], axis=1).std() == pytest.approx(expected, rel=0.03)


@pytest.mark.slow
def test_starts_are_those_of_the_re_runs_and_every_file_counts(write_reruns):
    found = evaluated(write_reruns(num_files=3, num_reruns=2))
    assert found.frames == {"test/1.npy": [6], "test/3.npy": [6], "test/5.npy": [6]}
    assert (found.num_reruns, found.num_steps, found.stored_frames_between_steps) == (6, 13, 1)
    assert "frame 6 of 3 files (3 in all); 6 re-runs begin there" in found.description()
    assert found.predictors["redrawn"]["statistics"]["move_A"]["num_starts"] == 3
    assert json.dumps(found.metrics())


@pytest.mark.slow
def test_without_re_runs_ensembles_begin_where_all_models_can_and_have_no_floor(write_reruns):
    views = {"redrawn": Redrawn(), "coarse": Redrawn(windows=DataConfig(2, 1, 4, 2, 1, 0))}
    found = evaluated(write_reruns(num_reruns=0), models=views)
    assert set(map(tuple, found.frames.values())) == {(6,)}  # 3 x 2, more than 4 x 1
    assert (found.num_steps, found.stored_frames_between_steps) == (6, 2)
    numbers = found.predictors["coarse"]["statistics"]["move_A"]
    assert math.isnan(numbers["ratio"]) and math.isnan(numbers["rerun_crps"]) and numbers["crps"] > 0
    assert math.isnan(found.predictors["coarse"]["geometric_mean_ratio"])


@pytest.mark.slow
def test_re_runs_that_repeat_the_simulation_leave_no_ratio(write_reruns):
    found = evaluated(write_reruns(same=True)).predictors["redrawn"]
    assert all(numbers["rerun_crps"] == pytest.approx(0, abs=1e-6) for numbers in found["statistics"].values())
    assert found["statistics"]["contacts_A_B"]["ratio"] != found["statistics"]["contacts_A_B"]["ratio"]


@pytest.mark.slow
def test_same_composition_and_regression_apply_where_training_files_do(write_reruns):
    found = evaluated(write_reruns(num_files=6, num_particles=(4, 5, 7)))
    same = found.predictors["same_composition"]
    assert same["statistics"]["move_A"]["num_starts"] == 6 and "configuration" not in same["statistics"]
    assert found.predictors["composition_regression"]["statistics"]["move_A"]["num_starts"] == 6
    assert found.left_out.keys() == {"radius", "accessible_area", "radial_distribution", "training_stretches"}


@pytest.mark.slow
def test_simulations_that_are_split_in_time_are_compared_with_their_training_part(write_reruns):
    directory = write_reruns(num_files=3, num_reruns=0)
    manifest = Manifest.load(directory)
    assert "training_stretches" in evaluated(directory, horizon=10).left_out
    group = {file: file.split("/")[1] for file in manifest.files} | {"train/0.npy": "1.npy", "train/2.npy": "3.npy"}
    dataclasses.replace(manifest, group=group).save(directory)
    ensembles = Ensembles(EnsembleSettings(4, horizon=10), {"redrawn": Redrawn()}, directory, "test")
    members = [ensembles._predictors["training_stretches"].curves(case) for case in ensembles._cases]
    assert [len(each.get("move_A", ())) for each in members] == [10, 10, 0]  # from frames 0 to 9 of 20
    path = np.load(directory / "train/0.npy").astype(float)
    moves = np.linalg.norm(np.diff(path[3:14, path[0, :, 2] > 0, :2], axis=0), axis=-1).mean(axis=1)
    assert members[0]["move_A"][3] == pytest.approx(moves)
    found = ensembles.evaluate().predictors["training_stretches"]["statistics"]
    assert found["move_A"]["num_starts"] == 2 and found["move_A"]["crps"] > 0


def test_baselines_without_training_files_are_left_out_with_the_reason(write_reruns):
    directory = write_reruns(num_files=3)
    manifest = Manifest.load(directory)
    for file in manifest.splits["train"]:
        np.save(directory / file, np.load(directory / file)[:12])  # too short
    left_out = evaluated(directory).left_out
    assert "no simulation of the same composition" in left_out["same_composition"]
    assert "two groups" in left_out["composition_regression"]


def test_the_regression_is_exact_for_a_quadratic_law():
    from socialmd_tf.evaluation.ensembles.baselines import quadratic_fit

    shares = np.array([0.1, 0.2, 0.4, 0.5, 0.8])
    values = (3 - 2 * shares + 5 * shares**2)[:, None]
    assert quadratic_fit(shares, values, 0.6) == pytest.approx(np.full((5, 1), 3 - 1.2 + 1.8))
    noisy = quadratic_fit(shares, values + np.array([0.0, 1, -1, 1, 0])[:, None], 0.6)
    assert noisy.std() > 0.3


def test_paths_that_are_not_finite_are_counted_and_give_no_score(write_reruns):
    class Diverging(Redrawn):
        def paths(self, *args, **kwargs):
            paths = super().paths(*args, **kwargs)
            paths[0, -1] = np.inf
            return paths

    found = evaluated(write_reruns(num_files=2), models={"diverging": Diverging()}).predictors["diverging"]
    assert found["num_not_finite"] == 2
    assert all(math.isnan(numbers["crps"]) for numbers in found["statistics"].values())


def test_models_that_draw_nothing_are_left_out(write_reruns):
    silent = Redrawn()
    silent.draw = None
    found = evaluated(write_reruns(num_files=2), models={"silent": silent, "redrawn": Redrawn()})
    assert "silent" not in found.predictors and found.left_out["silent"] == "only exported models draw paths"
    alone = evaluated(write_reruns(num_files=2), models={"silent": silent})
    assert alone.fans == [] and "random_walk" in alone.predictors


def test_a_periodic_box_and_its_re_runs_are_unwrapped(write_reruns):
    open_, inside = ({}, {"box": (40.0, 40.0)})
    expected = evaluated(write_reruns(num_files=2, **open_)).predictors["redrawn"]["statistics"]
    directory = write_reruns(num_files=2, **inside)
    manifest = Manifest.load(directory)
    for file in (*manifest.files, *manifest.reruns):
        columns = np.load(directory / file)
        columns[..., :2] %= 40.0
        np.save(directory / file, columns)
    found = evaluated(directory).predictors["redrawn"]["statistics"]
    for name in ("move_A", "displacement_B", "residence_A_B", "contacts_A_A", "velocity_autocorrelation_A"):
        assert found[name]["rerun_crps"] == pytest.approx(expected[name]["rerun_crps"], rel=1e-3), name


@pytest.mark.slow
def test_fans_hold_the_runs_and_the_quantiles(write_reruns):
    found = evaluated(write_reruns(num_files=5), 20)
    files = {fan.file for fan in found.fans}
    assert files == {"test/1.npy", "test/5.npy", "test/9.npy"}
    fan = next(each for each in found.fans if each.statistic == "displacement_A")
    assert fan.runs.shape == (4, 13) and fan.x.tolist() == [0.5 * k for k in range(1, 14)]
    assert (np.diff(fan.quantiles, axis=0) >= 0).all()
    shells = next(each for each in found.fans if each.statistic == "pair_distribution_A_B")
    assert shells.axis == "distance" and shells.quantiles.shape == (5, 8)


def test_files_that_end_where_the_re_runs_begin_are_refused(write_reruns):
    with pytest.raises(UserError, match="expected at least 1 frames after the last observed one, found 0"):
        evaluated(write_reruns(num_files=1, frame=19))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"horizon": 14}, "`horizon` must be at most 13 stored frames, as far as test/1.npy goes. Received: 14"),
        ({"statistics": ("radius",)}, "`statistics` must be ones that the dataset can have. Received: 'radius'"),
        ({"horizon": 0}, "`horizon` must be an integer of at least 1. Received: 0"),
        ({"num_samples": 1}, "`num_samples` must be an integer of at least 2. Received: 1"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(write_reruns, settings, words):
    with pytest.raises(UserError) as error:
        evaluated(write_reruns(num_files=1), **settings)
    assert words in str(error.value)


def test_models_that_begin_after_the_re_runs_or_do_not_go_as_far_are_refused(write_reruns):
    late = Redrawn(windows=DataConfig(2, 1, 5, 2, 1, 0))
    with pytest.raises(UserError, match="begin by frame 6, where the re-runs of test/1"):
        evaluated(write_reruns(num_files=1), models={"late": late})
    short = Redrawn()
    short.card = {**short.card, "max_horizon": 7}
    assert evaluated(write_reruns(num_files=1), models={"short": short}).num_steps == 7
    with pytest.raises(UserError, match="at most 7 stored frames, the models' `max_horizon`"):
        evaluated(write_reruns(num_files=1), models={"short": short}, horizon=8)
    with pytest.raises(UserError, match="at least 2 stored frames, one step"):
        evaluated(write_reruns(num_files=1, num_reruns=0), models={"m": late}, horizon=1)


def test_chosen_statistics_alone_are_computed(write_reruns):
    found = evaluated(write_reruns(num_files=1), statistics=("move", "contacts"), horizon=4)
    assert {each["family"] for each in found.statistics.values()} == {"move", "contacts"}
    assert found.num_steps == 4 and not found.left_out.keys() & {"radius"}
