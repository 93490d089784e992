import keras
import numpy as np
import pytest
import scipy.stats

from socialmd_tf.evaluation import metrics, sample
from socialmd_tf.evaluation.metrics import LEVELS, MeanAbsoluteError, Scores, StratumTally, Tally, score
from socialmd_tf.evaluation.sample import Sample
from socialmd_tf.layers import DensityLayout

LAYOUT = DensityLayout(2, 1, False)


def evaluate(predictor, layout, batches, simulations, mean_move=1.0):
    """Summary of a predictor on batches."""
    tally = Tally()
    for inputs, targets in batches:
        tally.add(score(predictor(inputs), layout, targets, inputs["mask"]))
    return tally.summary(np.asarray(simulations), mean_move)


def stratum(scores, chosen):
    """Result of a `StratumTally` that was given the particles one after the other."""
    tally = StratumTally()
    for particle in range(chosen.shape[1]):
        tally.add(scores, chosen & (np.arange(chosen.shape[1]) == particle))
    return tally.result()


def gaussian(mean, scale):
    """Parameters of Gaussians without correlation."""
    return np.concatenate([mean, np.broadcast_to(scale, mean.shape)], axis=-1).astype("float32")


def walks(num_windows=6, num_steps=4, num_particles=3, seed=0, batch_size=2):
    """Batches of random targets; every second window has one particle of padding."""
    generator = np.random.default_rng(seed)
    targets = generator.normal(size=(num_windows, num_steps, num_particles, 2)).astype("float32")
    mask = np.ones((num_windows, num_particles), "float32")
    mask[::2, -1] = 0
    return [
        ({"mask": mask[start : start + batch_size], "index": start}, targets[start : start + batch_size])
        for start in range(0, num_windows, batch_size)
    ]


def predictor_of(batches, function):
    """A predictor that returns a function of the truth."""
    truth = {inputs["index"]: targets for inputs, targets in batches}
    return lambda inputs: function(truth[inputs["index"]])


def test_a_predictor_that_knows_the_truth_makes_no_error():
    batches = walks()
    cheat = predictor_of(batches, lambda targets: gaussian(targets, 1e-3))
    result = evaluate(cheat, LAYOUT, batches, np.arange(6))
    for name in ("mae", "median_ae", "ade", "fde", "mae_standard_error", "nll_standard_error"):
        assert result[name] == 0.0
    assert result["mae_per_step"] == [0.0] * 4
    assert (result["coverage_50"], result["coverage_90"]) == (1.0, 1.0)
    assert result["nll"] == pytest.approx(np.log(2 * np.pi * 1e-6), rel=1e-5)


def test_errors_by_hand():
    targets = np.zeros((1, 2, 2, 2), "float32")
    mean = np.array([[[[3, 4], [0, 1]], [[6, 8], [9, 9]]]], "float32")  # [B, T', N, D]
    batches = [({"mask": np.ones((1, 2), "float32")}, targets)]
    result = evaluate(lambda inputs: gaussian(mean, 1.0), LAYOUT, batches, np.zeros(1))
    assert result["mae"] == pytest.approx((3 + 4 + 0 + 1 + 6 + 8 + 9 + 9) / 8)
    assert result["median_ae"] == pytest.approx(5.0)
    assert result["mae_per_step"] == pytest.approx([2.0, 8.0])
    assert result["ade"] == pytest.approx((5 + 1 + 10 + 9 * np.sqrt(2)) / 4)
    assert result["fde"] == pytest.approx((10 + 9 * np.sqrt(2)) / 2)
    assert result["nll"] == pytest.approx(np.log(2 * np.pi) + (25 + 1 + 100 + 162) / 8)
    assert np.isnan(result["nll_standard_error"]) and np.isnan(result["mae_standard_error"])


def test_median_is_over_coordinates():
    mean = np.array([1, 2, 3, 10], "float32").reshape(1, 1, 2, 2)
    batches = [({"mask": np.ones((1, 2), "float32")}, np.zeros_like(mean))]
    assert evaluate(lambda inputs: gaussian(mean, 1.0), LAYOUT, batches, np.zeros(1))["median_ae"] == 2.5


@pytest.mark.parametrize(("stated", "true"), [(1.0, 1.0), (2.0, 1.0), (1.0, 2.0)])
def test_a_gaussian_process_of_known_density(stated, true):
    """Targets of scale `true` around a mean, predicted with scale `stated`."""
    generator = np.random.default_rng(0)
    means = generator.normal(size=(200, 5, 4, 2))
    targets = (means + true * generator.normal(size=means.shape)).astype("float32")
    batches = [({"mask": np.ones((200, 4), "float32")}, targets)]
    result = evaluate(lambda inputs: gaussian(means, stated), LAYOUT, batches, np.arange(200))
    ratio = (true / stated) ** 2
    nll = np.log(2 * np.pi * stated**2) + ratio
    assert result["nll"] == pytest.approx(nll, abs=5 * ratio / np.sqrt(4000))
    assert result["nll_standard_error"] == pytest.approx(ratio / np.sqrt(4000), rel=0.2)
    assert result["mae"] == pytest.approx(true * np.sqrt(2 / np.pi), rel=0.05)
    for name, probability in (("coverage_50", 0.5), ("coverage_90", 0.9)):
        radius = scipy.stats.chi2(2).ppf(probability)
        expected = scipy.stats.chi2(2).cdf(radius / ratio)
        error = np.sqrt(expected * (1 - expected) / 4000)
        assert result[name] == pytest.approx(expected, abs=4 * error)


def test_a_mixture_of_known_density_has_its_coverage():
    layout = DensityLayout(2, 2, False)
    generator = np.random.default_rng(0)
    shape = (100, 5, 4)
    parameters = np.broadcast_to([0.0, np.log(3.0), -2, 0, 2, 1, 0.5, 0.5, 1, 1.5], (*shape, layout.size))
    second = generator.random(shape) < 0.75
    loc = np.where(second[..., None], [2, 1], [-2, 0])
    scale = np.where(second[..., None], [1, 1.5], [0.5, 0.5])
    targets = (loc + scale * generator.normal(size=loc.shape)).astype("float32")
    batches = [({"mask": np.ones((100, 4), "float32")}, targets)]
    result = evaluate(lambda inputs: parameters.astype("float32"), layout, batches, np.arange(100))
    for name, probability in (("coverage_50", 0.5), ("coverage_90", 0.9)):
        error = np.sqrt(probability * (1 - probability) / 2000)
        assert result[name] == pytest.approx(probability, abs=4 * error + 1 / 256)


def test_padding_does_not_count():
    batches = walks()

    def wrong_in_the_padding(inputs):
        targets = dict((batch[0]["index"], batch[1]) for batch in batches)[inputs["index"]]
        return gaussian(targets + 50 * (1 - inputs["mask"])[:, None, :, None], 1.0)

    result = evaluate(wrong_in_the_padding, LAYOUT, batches, np.arange(6))
    assert result["mae"] == result["median_ae"] == result["ade"] == result["fde"] == 0.0
    assert result["nll"] == pytest.approx(np.log(2 * np.pi))
    assert result["coverage_50"] == 1.0


def test_the_batch_size_does_not_matter():
    results = []
    for batch_size in (1, 2, 6):
        batches = walks(batch_size=batch_size)
        results.append(
            evaluate(
                lambda inputs: gaussian(np.zeros((len(inputs["mask"]), 4, 3, 2)), 1.0),
                LAYOUT,
                batches,
                np.arange(6),
            )
        )
    for result in results[1:]:
        for name, value in result.items():
            expected = results[0][name]
            if name == "calibration":
                value, expected = value["coverage"], expected["coverage"]
            assert value == pytest.approx(expected, rel=1e-5)


def test_standard_error_is_over_simulations():
    # Three simulations of two windows with mean errors (1, 3), (2, 2) and (6, 4): means 2, 2 and 5.
    errors = np.array([1, 3, 2, 2, 6, 4], "float32")
    targets = np.zeros((6, 4, 3, 2), "float32")
    batches = [({"mask": np.ones((6, 3), "float32")}, targets)]
    mean = np.broadcast_to(errors[:, None, None, None], targets.shape)
    result = evaluate(lambda inputs: gaussian(mean, 1.0), LAYOUT, batches, np.array([7, 7, 3, 3, 5, 5]))
    assert result["mae"] == pytest.approx(3.0)
    assert result["mae_standard_error"] == pytest.approx(np.sqrt(3.0) / np.sqrt(3))
    nll = np.array([(1 + 9) / 2, 4, (36 + 16) / 2])  # but for a constant, mean squared errors
    assert result["nll_standard_error"] == pytest.approx(nll.std(ddof=1) / np.sqrt(3), rel=1e-5)
    # Errors (e, e) are inside the 50 % region up to e^2 = ln 2, none of them, and inside the 90 % region up to ln 10,
    # of which there is one, in the first simulation.
    assert result["coverage_50_standard_error"] == 0.0
    assert result["coverage_90_standard_error"] == pytest.approx(np.std([0.5, 0, 0], ddof=1) / np.sqrt(3))


def test_metric_is_the_mean_absolute_error_of_real_particles():
    metric = MeanAbsoluteError(LAYOUT)
    targets = np.zeros((1, 1, 2, 2), "float32")
    parameters = gaussian(np.array([1, 3, 50, 50], "float32").reshape(targets.shape), 1.0)
    metric.update_state(targets, parameters, sample_weight=np.array([[[1.0, 0.0]]]))
    assert float(metric.result()) == 2.0
    metric.update_state(targets, parameters + 4, sample_weight=np.array([[[1.0, 0.0]]]))
    assert float(metric.result()) == 4.0


def test_metric_round_trip():
    metric = MeanAbsoluteError(LAYOUT, name="error")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert again.layout == LAYOUT
    assert again.get_config() == metric.get_config()


def test_the_likelihood_in_moves_does_not_depend_on_the_unit_of_length():
    batches = walks()
    scaled = [(inputs, 1000 * targets) for inputs, targets in batches]
    results = [
        evaluate(lambda inputs: gaussian(np.zeros((2, 4, 3, 2)), 0.5 * unit), LAYOUT, each, np.arange(6), 0.25 * unit)  # noqa: B023
        for unit, each in ((1.0, batches), (1000.0, scaled))
    ]
    assert results[0]["nll_per_move"] == pytest.approx(results[1]["nll_per_move"], rel=1e-5)
    assert results[1]["nll"] == pytest.approx(results[0]["nll"] + 2 * np.log(1000), rel=1e-5)


def test_the_likelihood_in_moves_is_that_of_the_scaled_positions():
    """A standard Gaussian in units of a mean move of 0.1, said in units of length."""
    targets = np.zeros((1, 1, 1, 2), "float32")
    batches = [({"mask": np.ones((1, 1), "float32")}, targets)]
    result = evaluate(lambda inputs: gaussian(targets, 0.1), LAYOUT, batches, [0], 0.1)
    assert result["nll_per_move"] == pytest.approx(np.log(2 * np.pi), rel=1e-5)
    assert result["nll"] < result["nll_per_move"]
    assert result["mean_move"] == 0.1
    assert np.isnan(evaluate(lambda inputs: gaussian(targets, 0.1), LAYOUT, batches, [0], 0.0)["nll_per_move"])


COVARIANCE = np.array([[2.0, 1.2], [1.2, 1.5]])


def correlated_walk(seed=0, num_windows=300, num_steps=4, num_particles=4):
    """Last positions and random walks of known covariance that continue them; one particle is padding."""
    generator = np.random.default_rng(seed)
    start = generator.normal(size=(num_windows, 1, num_particles, 2))
    moves = generator.multivariate_normal([0, 0], COVARIANCE, size=(num_windows, num_steps, num_particles))
    targets = (start + moves.cumsum(axis=1)).astype("float32")
    mask = np.ones((num_windows, num_particles), "float32")
    mask[:, -1] = 0
    targets[:, :, -1] = 1e6  # padding must not matter
    return start, targets, mask


def test_a_correlated_random_walk_gets_its_exact_likelihood_and_coverage():
    """After k steps the density is N(x_T, k C): expected NLL log(2 pi) + log det(k C) / 2 + 1, uniform levels."""
    layout = DensityLayout(2, 1, True)
    start, targets, mask = correlated_walk()
    factor = np.linalg.cholesky(COVARIANCE)[np.tril_indices(2)]
    steps = np.arange(1, 5)
    scales = np.sqrt(steps)[:, None, None] * factor
    parameters = np.concatenate(
        [np.broadcast_to(start, targets.shape), np.broadcast_to(scales, (*targets.shape[:-1], 3))], axis=-1
    ).astype("float32")
    result = evaluate(lambda inputs: parameters, layout, [({"mask": mask}, targets)], np.arange(300))
    # One window's levels are of one walk: 900 independent ones a step.
    expected = np.log(2 * np.pi) + np.log(np.linalg.det(COVARIANCE)) / 2 + np.log(steps) + 1
    assert result["nll_per_step"] == pytest.approx(expected, abs=4 / np.sqrt(900))
    for level, coverage in zip(LEVELS, result["calibration"]["coverage"], strict=True):
        assert coverage == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 900))
    assert result["calibration"]["levels"] == list(LEVELS)
    assert result["coverage_50_per_step"] == pytest.approx([0.5] * 4, abs=4 * np.sqrt(0.25 / 900))
    assert result["coverage_90_per_step"] == pytest.approx([0.9] * 4, abs=4 * np.sqrt(0.09 / 900))
    # The same numbers as scipy's density gives, one by one.
    exact = [
        -scipy.stats.multivariate_normal(start[w, 0, n], (k + 1) * COVARIANCE).logpdf(targets[w, k, n])
        for w, k, n in np.ndindex(300, 4, 3)
    ]
    assert result["nll"] == pytest.approx(np.mean(exact), rel=1e-5)


def test_a_mixture_gets_its_exact_likelihood():
    layout = DensityLayout(2, 2, False)
    generator = np.random.default_rng(0)
    targets = generator.normal(size=(50, 2, 3, 2)).astype("float32")
    numbers = [np.log(1.0), np.log(3.0), -1, 0, 1, 1, 0.5, 0.7, 1, 1.5]
    parameters = np.broadcast_to(numbers, (*targets.shape[:-1], 10)).astype("float32")
    batches = [({"mask": np.ones((50, 3), "float32")}, targets)]
    result = evaluate(lambda inputs: parameters, layout, batches, np.arange(50))
    normal = scipy.stats.multivariate_normal
    density = 0.25 * normal([-1, 0], np.diag([0.25, 0.49])).pdf(targets)
    density += 0.75 * normal([1, 1], np.diag([1.0, 2.25])).pdf(targets)
    assert result["nll"] == pytest.approx(-np.log(density).mean(), rel=1e-5)


def test_a_stratum_counts_real_particles_only():
    error = np.arange(8.0).reshape(2, 1, 2, 2)
    scores = Scores(10 * error[..., 0], error, error[..., 0], np.array([[1, 1], [1, 0]]))
    found = stratum(scores, np.array([[False, True], [True, True]]))
    assert found == {"count": 2, "mae": 3.5, "median_ae": 3.5, "nll": 30.0}
    empty = stratum(scores, np.zeros((2, 2), bool))
    assert empty["count"] == 0 and all(np.isnan(empty[name]) for name in ("mae", "median_ae", "nll"))
    tally = Tally()
    tally.add(scores)
    assert tally.window_mae() == pytest.approx([1.5, 4.5])


def test_the_median_of_many_numbers_is_that_of_a_sample(monkeypatch):
    values = np.random.default_rng(1).exponential(size=50_000)
    exact, sampled = Sample(), Sample()
    for part in np.array_split(values, 7):
        exact.add(part)
    assert exact.median() == np.median(values)
    monkeypatch.setattr(sample, "_SAMPLE", 4_000)
    for part in np.array_split(values, 7):
        sampled.add(part)
    assert 0 < abs(sampled.median() - np.median(values)) < 0.1
    assert 2_000 <= sum(map(len, sampled._parts)) <= 4_000


@pytest.mark.slow_cases("2")
@pytest.mark.parametrize("num_components", [1, 2])
def test_densities_of_many_particles_are_scored_in_pieces(monkeypatch, num_components):
    layout = DensityLayout(2, num_components, False)
    generator = np.random.default_rng(0)
    parameters = generator.uniform(0.5, 1.5, (3, 4, 5, layout.size)).astype("float32")
    targets, mask = generator.normal(size=(3, 4, 5, 2)).astype("float32"), np.ones((3, 5))
    whole = score(parameters, layout, targets, mask)
    monkeypatch.setattr(metrics, "_DENSITIES", 7)
    pieces = score(parameters, layout, targets, mask)
    for name in ("nll", "error", "mask"):
        np.testing.assert_allclose(getattr(pieces, name), getattr(whole, name), rtol=1e-5)
    # Levels of mixtures are estimated from 59 samples of each component.
    np.testing.assert_allclose(pieces.level, whole.level, atol=1e-5 if num_components == 1 else 0.2)


@pytest.mark.parametrize("sizes", [(5, 3), (40, 3), (3, 40), (40, 90)])
def test_samples_are_joined_at_one_share(monkeypatch, sizes):
    """Numbers of the two parts are kept with the same probability, and no more than the limit."""
    monkeypatch.setattr(sample, "_SAMPLE", 20)
    first, second = Sample(), Sample()
    first.add(np.zeros(sizes[0]))
    second.add(np.ones(sizes[1]))
    shares = first._share, second._share
    first.join(second)
    assert first._size == sum(map(len, first._parts)) <= 20
    assert first._share <= min(shares) and second._share >= first._share
    if sum(sizes) <= 20:
        assert np.concatenate(first._parts).tolist() == [0.0] * sizes[0] + [1.0] * sizes[1]
