import json

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf.evaluation.compositions.evaluate import Compositions
from socialmd_tf.evaluation.compositions.settings import CompositionSettings
from tests.socialmd_tf.evaluation.compositions.conftest import TrueLaw

MOVES = ("move", "pair_distribution")


def evaluated(directory, fractions=(0.875,), num_samples=40, model=None, drugs=("D",), **settings):
    settings = CompositionSettings(drugs, "B", fractions, num_samples, **{"statistics": MOVES, **settings})
    return Compositions(model or TrueLaw(), directory, settings).evaluate()


def test_a_model_of_the_law_is_as_good_as_having_simulated_a_composition_and_others_are_not(write_mixtures):
    directory = write_mixtures(train=(0.125, 0.25, 0.375, 0.5) * 3, test=(0.875,) * 12)
    (found,) = evaluated(directory).compositions
    assert (found["in_training"], found["num_simulations"], found["num_reruns"]) == (False, 12, 0)
    ratios = {
        name: {statistic: numbers["ratio_to_simulations"] for statistic, numbers in predictor["scores"].items()}
        for name, predictor in found["predictors"].items()
    }
    for name, ratio in ratios["true"].items():
        assert ratio == pytest.approx(1, abs=0.15), name
    assert ratios["nearest_composition"]["move_D"] > 3
    assert ratios["composition_regression"]["move_D"] > 1.5 * ratios["true"]["move_D"]
    error = found["predictors"]["true"]["scores"]["move_D"]["ratio_to_simulations_standard_error"]
    assert 0 < error < 0.2
    assert found["predictors"]["true"]["scores"]["move_D"]["coverage_90"] == pytest.approx(0.9, abs=0.06)


def test_numbers_at_the_end_are_those_of_the_members_and_of_the_simulations(write_mixtures):
    directory = write_mixtures(test=(0.5, 0.5))
    found = evaluated(directory, fractions=(0.5, 1.0))
    half, pure = found.compositions
    final = half["predictors"]["true"]["final"]["move_D"]
    assert final["quantiles"][0] < final["mean"] < final["quantiles"][4] and final["standard_deviation"] > 0
    path = np.load(directory / "test/1.npy").astype(float)
    moves = np.linalg.norm(path[-1, :, :2] - path[-2, :, :2], axis=-1)
    assert half["simulated"]["move_D"][2] == pytest.approx(moves[path[0, :, 2] > 0].mean())
    assert half["in_training"] and len(half["simulated"]["move_D"]) == 3
    assert "move_B" not in pure["predictors"]["true"]["final"] and pure["simulated"]["move_D"] == []
    assert "pair_distribution_D_D" not in final and "move_W" not in found.statistics
    assert [each["fraction"] for each in found.simulations] == [0.25, 0.5, 0.75, 0.25, 0.5, 0.5]
    assert (found.num_steps, found.duration) == (17, 8.5)
    assert json.dumps(found.metrics())


def test_the_same_seed_gives_the_same_numbers(write_mixtures):
    directory = write_mixtures(test=(0.5,))
    once, again, other = (evaluated(directory, num_samples=4, seed=seed).metrics() for seed in (0, 0, 1))
    assert once == again and once != other


def test_re_runs_share_the_frames_of_their_file_before_they_begin(write_mixtures):
    directory = write_mixtures(test=(0.5, 0.5), num_reruns=2, frame=6)
    (found,) = evaluated(directory, fractions=(0.5,), num_samples=4).compositions
    assert (found["num_simulations"], found["num_reruns"]) == (2, 4)
    assert found["predictors"]["true"]["scores"]["move_D"]["ratio"] > 0
    settings = CompositionSettings(("D",), "B", (0.5,), 2, statistics=("move",))
    simulations = Compositions(TrueLaw(), directory, settings)._simulations.found
    runs = next(each for each in simulations if not each.in_training).runs["move_D"]
    assert runs.shape == (3, 17)
    assert (runs[:, :4] == runs[0, :4]).all()  # moves from frame 2 to 6
    assert (runs[1:, 4:] != runs[0, 4:]).all()
    again, types = np.load(directory / "reruns/0-1.npy"), np.load(directory / "test/0.npy")[0, :, 2] > 0
    moves = np.linalg.norm(np.diff(again[:, types, :2].astype(float), axis=0), axis=-1).mean(axis=1)
    assert runs[2, 4:] == pytest.approx(moves, rel=1e-5)


def test_systems_of_different_size_are_mixed_without_their_padding(write_mixtures):
    directory = write_mixtures(train=(0.25, 0.5, 0.75), num_particles=(8, 4))

    masks = []

    class Masked(TrueLaw):
        def paths(self, positions, features, horizon, seed, mask=None, known=None):
            masks.append(mask)
            paths = super().paths(positions, features, horizon, seed)
            return np.where(mask[:, None, :, None] > 0, paths, 1e6)  # must never be read

    (found,) = evaluated(directory, fractions=(0.5,), model=Masked(), num_samples=6).compositions
    assert found["predictors"]["true"]["final"]["move_D"]["mean"] < 10
    assert sorted(masks[0].sum(axis=1)) == [4, 4, 8, 8, 8, 8]


def test_paths_that_are_not_finite_are_counted(write_mixtures):
    class Diverging(TrueLaw):
        def paths(self, *args, **kwargs):
            paths = super().paths(*args, **kwargs)
            paths[0, -1] = np.inf
            return paths

    found = evaluated(write_mixtures(), model=Diverging(), fractions=(0.5,), num_samples=4)
    assert found.compositions[0]["num_not_finite"] == 1
    assert found.metrics()["compositions"][0]["predictors"]["true"]["final"]["move_D"]["mean"] is None


def test_a_longer_horizon_than_that_of_the_simulations_is_predicted_without_them(write_mixtures):
    found = evaluated(write_mixtures(test=(0.5,), num_reruns=1), fractions=(0.5,), horizon=50, num_samples=4)
    assert found.num_steps == 50 and found.simulations == []
    assert found.left_out["6 simulations or re-runs"] == "they end before the last predicted frame"
    assert list(found.compositions[0]["predictors"]) == ["true"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"drugs": ("X",)}, "`drug` must be a type of particles of the data, one of D, W, B. Received: 'X'"),
        ({"drugs": ("W",)}, "`drug` must be a type that the training split has, one of D, B. Received: 'W'"),
        ({"drugs": ("B",)}, "`background` must be another type than the drug. Received: 'B'"),
        ({"drugs": ()}, "`drug` must be one or more different types"),
        ({"fractions": (0.5, 1.2)}, "`fractions` must be one or more shares from 0 to 1"),
        ({"num_samples": 1}, "`num_samples` must be at least 2. Received: 1"),
        ({"horizon": 101}, "`horizon` must be from 1 to 100 stored frames, what the model can predict. Received: 101"),
        ({"statistics": ("radius",)}, "`statistics` must be ones that the dataset can have. Received: 'radius'"),
        ({"first_frame": -1}, "`first_frame` must be at least 0. Received: -1"),
    ],
)
def test_mistakes_are_refused_in_one_line(write_mixtures, settings, words):
    with pytest.raises(UserError) as refusal:
        evaluated(write_mixtures(), **settings)
    assert str(refusal.value).startswith(words) and "\n" not in str(refusal.value)


def test_features_that_are_no_types_are_refused(write_mixtures):
    directory = write_mixtures()
    for file in Manifest.load(directory).files:
        columns = np.load(directory / file)
        columns[..., 2] *= 0.5
        np.save(directory / file, columns)
    with pytest.raises(UserError, match="`data` must be a dataset whose features are types of particles, one-hot"):
        evaluated(directory)
