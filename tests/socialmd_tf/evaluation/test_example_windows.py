import numpy as np
import pytest

from socialmd_tf.evaluation.evaluate import evaluate
from socialmd_tf.evaluation.example_windows import choose, describe
from tests.socialmd_tf.evaluation.test_evaluate import slow_windows


@pytest.mark.parametrize(
    ("errors", "chosen"),
    [
        ([1.0], [("best", 0)]),
        ([2.0, 1.0], [("best", 1), ("worst", 0)]),
        ([3.0, 1.0, 2.0], [("best", 1), ("median", 2), ("worst", 0)]),
        ([4.0, 1.0, 2.0, 3.0], [("best", 1), ("median", 2), ("worst", 0), ("rank 3 of 4", 3)]),
    ],
)
def test_the_best_the_lower_median_and_the_worst_come_first(errors, chosen):
    assert choose(np.array(errors)) == chosen


def test_at_most_eight_different_windows_are_chosen():
    chosen = choose(np.random.default_rng(0).random(100))
    assert len(chosen) == len({window for _, window in chosen}) == 8


def test_examples_are_real_windows_ranked_by_the_error_of_the_first_model(model, data):
    found = evaluate([model], data, "test")
    errors = []
    for observed, true in slow_windows(data, "test"):
        file = {3: "test/00001.npy", 4: "test/00000.npy"}[observed.shape[1]]
        mean, _ = model.moments(observed[None], np.load(data / file)[None, 0, :, 2:], 3)
        errors.append(np.abs(mean[0] - true).mean())
    errors.sort()
    labels = {window.label: window for window in found.examples}
    for label, rank in (("best", 0), ("median", 7), ("worst", 15)):
        assert labels[label].mae == pytest.approx(errors[rank], rel=1e-3)
    for window in found.examples:
        stored = np.load(data / f"test/{window.trajectory:05}.npy")
        frames = stored[..., :2]
        np.testing.assert_array_equal(window.truth[0], frames[window.first_frame])
        np.testing.assert_array_equal(window.warm_up[-1], frames[window.first_frame - window.stride])
        assert list(window.predictions) == list(found.results)
        assert {mean.shape for mean, _ in window.predictions.values()} == {window.truth.shape}
        mean, covariance = model.moments(window.warm_up[None], stored[None, 0, :, 2:], 3)
        np.testing.assert_allclose(window.predictions["small"][0], mean[0], atol=1e-4)
        np.testing.assert_allclose(window.predictions["small"][1], covariance[0], atol=1e-4)
        (drawn,) = window.samples.values()  # of the model; baselines draw none
        assert drawn.shape == (4, *window.truth.shape) and len(np.unique(drawn[:, -1, 0, 0])) == 4
        assert window.kinds == tuple(f"mass {mass:.3g}" for mass in stored[0, :, 2])


def test_particles_are_described_by_their_names_or_features():
    assert describe(("OQL", "ONC"), np.array([[0, 1], [1, 0]])) == ("ONC", "OQL")
    assert describe(("mass", "charge"), np.array([[1.0, -0.5]])) == ("mass 1, charge -0.5",)
    assert describe((), np.zeros((2, 0))) is None
