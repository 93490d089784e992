import json
import threading
import time
from pathlib import Path

import pytest

keras_tuner = pytest.importorskip("keras_tuner", reason="needs the extra `tuning`")
pytest.importorskip("optuna", reason="needs the extra `tuning`")

from pipelines.errors import UserError  # noqa: E402
from socialmd_tf.tuning.oracles import build_oracle  # noqa: E402

TUNERS = ("tpe", "bayesian", "hyperband", "random", "grid")


def space():
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-4, 1e-2, sampling="log")
    hp.Choice("units", [8, 16])
    return hp


@pytest.fixture
def build(tmp_path):
    def build(tuner="random", name="search", max_trials=6, seed=0, **arguments):
        oracle = build_oracle(tuner, space(), max_trials=max_trials, epochs=4, seed=seed, **arguments)
        oracle.verbose = 0
        oracle._set_project_dir(str(tmp_path / name), "trials")
        return oracle

    return build


def finish(oracle, trial, status="COMPLETED", loss=None):
    if status == "COMPLETED":
        values = trial.hyperparameters.values
        oracle.update_trial(trial.trial_id, {"val_loss": values["rate"] * values["units"] if loss is None else loss})
    trial.status = status
    oracle.end_trial(trial)


def run(oracle, count=None):
    """Run trials one after the other; their values in the order in which they began."""
    while count is None or len(oracle.end_order) < count:
        trial = oracle.create_trial("tuner")
        if trial.status == "STOPPED":
            break
        finish(oracle, trial)
    return [oracle.trials[trial_id].hyperparameters.values for trial_id in oracle.start_order]


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_search_cut_anywhere_goes_on_as_if_whole(build, tuner):
    """Cut while a trial runs: that one begins again, and all values are those of an uncut search."""
    if tuner == "bayesian":
        pytest.importorskip("sklearn", reason="needs scikit-learn")
    whole = run(build(tuner, "whole"))
    assert len(whole) == 6
    cut = build(tuner, "cut")
    run(cut, 3)
    running = cut.create_trial("tuner")
    cut.save()
    again = build(tuner, "cut", seed=7)
    again.reload()
    assert again.create_trial("tuner").trial_id == running.trial_id
    finish(again, again.ongoing_trials["tuner"])
    assert run(again) == whole


def test_more_trials_may_follow(build):
    run(build(max_trials=3))
    more = build(max_trials=12)
    more.reload()
    assert len(run(more)) == 12 and more.stopped_because == "all trials are done"


def test_a_kill_between_two_files_is_mended(build, tmp_path):
    """A trial whose end only its own file knows is not run again; one that the oracle does not know never began."""
    oracle = build()
    run(oracle, 2)
    trial = oracle.create_trial("tuner")
    state = (tmp_path / "search" / "trials" / "oracle.json").read_text()
    finish(oracle, trial)
    oracle.create_trial("tuner")
    (tmp_path / "search" / "trials" / "oracle.json").write_text(state)
    again = build()
    again.reload()
    assert again.end_order == ["0", "1", "2"] and again._retry_queue == []
    assert list(again.trials) == ["0", "1", "2"]
    assert again.create_trial("tuner").trial_id == "3"


def cut(path):
    path.write_text(path.read_text()[:40])


def write_a_list(path):
    path.write_text("[1, 2]")


def write_an_object(path):
    path.write_text("{}")


@pytest.mark.parametrize("damage", [cut, Path.unlink, write_a_list, write_an_object])
@pytest.mark.parametrize("file", ["oracle.json", "trial_1/trial.json"])
def test_a_damaged_file_is_named_and_nothing_is_overwritten(build, tmp_path, file, damage):
    run(build(), 3)
    trials = tmp_path / "search" / "trials"
    damage(trials / file)
    left = {path: path.read_bytes() for path in trials.rglob("*.json")}
    with pytest.raises(UserError, match="--output") as error:
        build().reload()
    assert str(trials) in str(error.value) and "\n" not in str(error.value)
    assert {path: path.read_bytes() for path in trials.rglob("*.json")} == left


def test_files_are_json_and_none_is_left_half(build, tmp_path):
    run(build("tpe"))
    files = [path for path in (tmp_path / "search").rglob("*") if path.is_file()]
    assert len(files) == 7
    assert all(json.loads(path.read_text()) for path in files)


def test_a_silent_worker_loses_its_trial(build):
    oracle = build(max_trials=2, worker_timeout=0.2)
    lost, other = oracle.create_trial("dies"), oracle.create_trial("lives")
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        oracle.get_trial(other.trial_id)
        time.sleep(0.02)
    assert oracle.release_silent() == ["dies"]
    finish(oracle, other)
    again = oracle.create_trial("lives")
    assert again.trial_id == lost.trial_id and again.status == "RUNNING"
    finish(oracle, again)
    assert not oracle.is_over()
    assert oracle.create_trial("lives").status == "STOPPED"
    assert oracle.is_over() and oracle.end_order == ["1", "0"]


def test_a_worker_thought_dead_may_still_hand_in(build):
    """Its result counts once: the trial is not run again, and a second result changes nothing."""
    oracle = build(worker_timeout=0.05)
    trial = oracle.create_trial("slow")
    time.sleep(0.1)
    assert oracle.release_silent() == ["slow"]
    finish(oracle, trial, loss=1.0)
    finish(oracle, trial, loss=1.0)
    assert oracle.end_order == ["0"] and oracle.trials["0"].score == 1.0
    assert oracle.create_trial("other").trial_id == "1"


def test_a_trial_that_kills_its_workers_fails_in_the_end(build):
    oracle = build(worker_timeout=0.05)
    for attempt in range(3):
        assert oracle.create_trial(f"worker{attempt}").trial_id == "0"
        time.sleep(0.1)
        oracle.release_silent()
    assert oracle.trials["0"].status == "FAILED"
    assert "worker2 was silent" in oracle.trials["0"].message
    assert oracle.create_trial("another").trial_id == "1"


def test_all_workers_gone(build):
    oracle = build(worker_timeout=0.1)
    assert not oracle.is_deserted()  # they are awaited
    oracle.create_trial("worker")
    time.sleep(0.3)
    assert not oracle.is_deserted()
    oracle.release_silent()
    assert oracle.is_deserted() and not oracle.is_over()


def test_failures_in_a_row_end_the_search(build):
    oracle = build(max_trials=20)
    finish(oracle, oracle.create_trial("tuner"))
    for _ in range(5):
        finish(oracle, oracle.create_trial("tuner"), "FAILED")
    assert oracle.create_trial("tuner").status == "STOPPED"
    assert oracle.stopped_because == "the last 5 trials failed"
    # KerasTuner raises here with its lock held, after which every other thread waits for ever.
    asked = threading.Thread(target=oracle.is_over, daemon=True)
    asked.start()
    asked.join(5)
    assert not asked.is_alive()


def test_no_trial_begins_after_the_deadline(build):
    oracle = build(deadline=time.monotonic() - 1)
    assert oracle.create_trial("tuner").status == "STOPPED"
    assert oracle.stopped_because == "the time is up" and oracle.is_over()


def test_a_grid_ends_when_all_is_tried(build):
    values = run(build("grid", max_trials=100))
    assert len(values) == 20  # ten rates, two numbers of units
    assert [value["units"] for value in values[:4]] == [8, 16, 8, 16]
    assert [value["rate"] for value in values] == sorted(value["rate"] for value in values)


def test_hyperband_trains_the_better_ones_longer(build):
    epochs = [value["tuner/epochs"] for value in run(build("hyperband", max_trials=8))]
    assert min(epochs) < 4 and max(epochs) == 4


def test_neighboring_seeds_share_no_draws(build):
    rates = [[value["rate"] for value in run(build("random", str(seed), seed=seed))] for seed in range(3)]
    assert len({rate for some in rates for rate in some}) == 18
