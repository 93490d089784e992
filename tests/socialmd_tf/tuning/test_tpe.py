import math

import numpy as np
import pytest

keras_tuner = pytest.importorskip("keras_tuner", reason="needs the extra `tuning`")
optuna = pytest.importorskip("optuna", reason="needs the extra `tuning`")

from keras_tuner.engine import hyperparameters as hps  # noqa: E402

from socialmd_tf.tuning.tpe import TPEOracle, decode, distribution, encode, importances, rebuild_study  # noqa: E402


def space():
    """A learning rate and a size, and for each of two kinds of model what the other does not have."""
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-5, 1e-1, sampling="log")
    hp.Int("units", 16, 256, step=16)
    hp.Choice("kind", ["plain", "grids"])
    with hp.conditional_scope("kind", ["grids"]):
        hp.Float("side", 1.0, 20.0)
        hp.Boolean("wide")
    with hp.conditional_scope("kind", ["plain"]):
        hp.Int("depth", 1, 8)
    hp.Fixed("batch", 32)
    return hp


def loss(values):
    """0 at rate 1e-3, 128 units, kind grids, side 7 and not wide; the other kind reaches 0.5."""
    shared = (math.log10(values["rate"]) + 3) ** 2 + (values["units"] / 128 - 1) ** 2
    if values["kind"] == "grids":
        return shared + ((values["side"] - 7) / 10) ** 2 + 0.1 * values["wide"]
    return shared + 0.5 + ((values["depth"] - 5) / 8) ** 2


def build(kind, seed, max_trials=40, directory=None, **arguments):
    """An oracle that writes its files, or none without a directory."""

    class Oracle(kind):
        def save(self):
            if directory is not None:
                super().save()

        def _save_trial(self, trial):
            if directory is not None:
                super()._save_trial(trial)

    objective = keras_tuner.Objective("val_loss", "min")
    # Far apart: KerasTuner's random search draws from seed, seed + 1, ...
    oracle = Oracle(objective=objective, seed=1000 * seed + 1, max_trials=max_trials, **arguments)
    oracle.verbose = 0
    if directory is not None:
        oracle._set_project_dir(str(directory), "trials")
    return oracle


def run(oracle, loss=loss, stop_after=None):
    """Run trials until the oracle stops; a loss of None is a failed trial. Returns the values of all, in order."""
    while stop_after is None or len(oracle.end_order) < stop_after:
        trial = oracle.create_trial("tuner")
        if trial.status == "STOPPED":
            break
        end(oracle, trial, loss(trial.hyperparameters.values))
    return [oracle.trials[trial_id].hyperparameters.values for trial_id in oracle.start_order]


def end(oracle, trial, result):
    trial.status = "FAILED" if result is None else "COMPLETED"
    if result is not None:
        oracle.update_trial(trial.trial_id, {"val_loss": result})
    oracle.end_trial(trial)


def best(oracle):
    return min(trial.score for trial in oracle.trials.values() if trial.status == "COMPLETED")


@pytest.mark.slow
def test_beats_random_search():
    """Over 20 seeds and 40 trials: half of its median loss, and a lower loss for at least 14 of the seeds."""
    found = {}
    for kind in (TPEOracle, keras_tuner.oracles.RandomSearchOracle):
        oracles = [build(kind, seed, hyperparameters=space()) for seed in range(20)]
        for oracle in oracles:
            run(oracle)
        found[kind] = np.array([best(oracle) for oracle in oracles])
    ours, random = found.values()
    assert np.median(ours) < 0.5 * np.median(random)
    assert (ours < random).sum() >= 14


def test_values_keep_to_the_space():
    """Steps, bounds, conditions and fixed values; the logarithm of a logarithmic one is uniform at first."""
    values = run(build(TPEOracle, 0, 90, hyperparameters=space(), num_startup_trials=70))
    for value in values:
        assert 1e-5 <= value["rate"] <= 1e-1
        assert value["units"] in range(16, 257, 16) and type(value["units"]) is int
        expected = {"side", "wide"} if value["kind"] == "grids" else {"depth"}
        assert set(value) == {"rate", "units", "kind", "batch"} | expected
        assert value["batch"] == 32
        assert 1 <= value.get("side", 1.0) <= 20 and value.get("depth", 1) in range(1, 9)
        assert value.get("wide", False) in (False, True)
    assert {value["units"] for value in values} == set(range(16, 257, 16))
    logarithms = np.log10([value["rate"] for value in values[:70]])
    assert logarithms.mean() == pytest.approx(-3, abs=0.35)
    assert logarithms.std() == pytest.approx(4 / math.sqrt(12), abs=0.25)


@pytest.mark.parametrize(
    "hp",
    [
        hps.Float("x", 0.5, 2.0),
        hps.Float("x", 1e-4, 1e-1, sampling="log"),
        hps.Float("x", 1e-4, 1e-1, sampling="reverse_log"),
        hps.Float("x", 1e-4, 1e-1, sampling="log", step=10),
        hps.Float("x", 0.0, 1.0, step=0.1),
        hps.Int("x", 3, 11),
        hps.Int("x", 3, 11, step=4),
        hps.Int("x", 8, 64, step=2, sampling="log"),
        hps.Int("x", 1, 1000, sampling="log"),
        hps.Choice("x", [0.0, 0.1, 10.0]),
        hps.Choice("x", [3, 1, 2], ordered=False),
        hps.Choice("x", ["a", "b"]),
        hps.Boolean("x"),
    ],
    ids=str,
)
def test_values_survive_the_way_to_optuna_and_back(hp):
    for probability in np.linspace(0, 0.999, 23):
        value = hp.prob_to_value(probability)
        there = encode(hp, value)
        assert distribution(hp)._contains(distribution(hp).to_internal_repr(there))
        assert decode(hp, there) == pytest.approx(value) if isinstance(value, float) else decode(hp, there) == value


def test_a_value_off_by_rounding_stays_in_bounds():
    assert encode(hps.Float("x", 1e-4, 1e-1, sampling="log"), 1e-4 * (1 - 1e-7)) == 1e-4
    assert encode(hps.Float("x", 0.0, 1.0, step=0.1), 0.30000000000000004) == 3


def test_no_values_twice_and_an_end_when_all_are_tried():
    hp = keras_tuner.HyperParameters()
    hp.Choice("a", [1, 2, 3])
    hp.Boolean("b")
    oracle = build(TPEOracle, 0, 100, hyperparameters=hp, num_startup_trials=2)
    values = run(oracle, lambda values: values["a"])
    assert len({tuple(sorted(value.items())) for value in values}) == len(values) == 6


@pytest.mark.slow
def test_failed_trials_do_not_poison_the_search():
    """All rates above 2e-3 fail: the search learns to avoid them, and still finds the best ones below."""

    def fails_above(values):
        return None if values["rate"] > 2e-3 else loss(values)

    oracles = [build(TPEOracle, seed, hyperparameters=space(), max_consecutive_failed_trials=None) for seed in range(5)]
    late = []
    for oracle in oracles:
        late += [values["rate"] > 2e-3 for values in run(oracle, fails_above)[20:]]
    assert np.mean(late) < 0.3  # of random trials 42 %
    assert np.median([best(oracle) for oracle in oracles]) < 0.25


def test_the_study_has_every_trial_with_its_state():
    oracle = build(TPEOracle, 0, hyperparameters=space())
    ended = [oracle.create_trial(f"tuner{index}") for index in range(4)]
    for trial, result in zip(ended, (1.0, None, 2.0), strict=False):
        end(oracle, trial, result)
    study = rebuild_study(oracle)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "COMPLETE", "RUNNING"]
    assert [trial.value for trial in study.trials] == [1.0, None, 2.0, None]
    for trial, ours in zip(study.trials, ended, strict=True):
        assert trial.params["rate"] == ours.hyperparameters.values["rate"]
        assert trial.params["units"] == ours.hyperparameters.values["units"] // 16 - 1
        assert "batch" not in trial.params


def test_the_rates_of_workers_that_run_at_once_differ():
    oracle = build(TPEOracle, 0, hyperparameters=space())
    run(oracle, stop_after=15)
    rates = [oracle.create_trial(f"tuner{index}").hyperparameters.values["rate"] for index in range(4)]
    assert len(set(rates)) == 4


@pytest.mark.parametrize("done", [3, 15])
def test_an_oracle_read_from_its_files_goes_on_as_if_never_stopped(tmp_path, done):
    whole = run(build(TPEOracle, 3, 20, tmp_path / "whole", hyperparameters=space()))
    run(build(TPEOracle, 3, 20, tmp_path / "halves", hyperparameters=space()), stop_after=done)
    # The seed is one of the files' things, too.
    second = build(TPEOracle, 99, 20, tmp_path / "halves", hyperparameters=space())
    second.reload()
    assert run(second) == whole


def test_importance_finds_what_matters():
    oracle = build(TPEOracle, 0, 60, hyperparameters=space(), num_startup_trials=60)
    run(oracle, lambda values: (math.log10(values["rate"]) + 3) ** 2)
    shares = importances(oracle)
    assert next(iter(shares)) == "rate" and shares["rate"] > 0.4
    assert sum(shares.values()) == pytest.approx(1)
    assert importances(build(TPEOracle, 0, hyperparameters=space())) == {}
