import pytest

keras_tuner = pytest.importorskip("keras_tuner", reason="needs the extra `tuning`")

from socialmd_tf.config import PRESETS, TrainConfig  # noqa: E402
from socialmd_tf.tuning.hypermodel import HyperModel  # noqa: E402
from socialmd_tf.tuning.hyperparameters import value_in  # noqa: E402
from socialmd_tf.tuning.oracles import combinations  # noqa: E402
from socialmd_tf.tuning.search_space import search_space  # noqa: E402

EVERYTHING = {
    "model.interaction": "none,stacked_pooling,multiscale_pooling,pairwise,both",
    "model.head": "absolute,kinematic,verlet",
    "batch_size": "8,16",
}


def build(preset="thesis", ranges=None, only=()):
    config = TrainConfig(preset=preset, model=PRESETS[preset])
    return HyperModel(config, search_space(config, ranges or {}, only))


def drawn(space, count):
    """The trials' `HyperParameters` of a random search."""
    oracle = keras_tuner.oracles.RandomSearchOracle(
        keras_tuner.Objective("val_loss", "min"), count, seed=1, hyperparameters=space.hyperparameters()
    )
    oracle.verbose, oracle.save, oracle._save_trial = 0, lambda: None, lambda trial: None
    return [oracle.create_trial(f"tuner{index}").hyperparameters for index in range(count)]


@pytest.mark.parametrize(
    ("preset", "ranges"), [("thesis", {}), ("pairwise", {}), ("thesis-mixture", EVERYTHING), ("pairwise", EVERYTHING)]
)
def test_every_draw_is_a_configuration_with_those_values(preset, ranges):
    space = build(preset, ranges)
    for hp in drawn(space, 150):
        config = space.config(hp)
        assert all(value_in(config, name) == pytest.approx(value) for name, value in hp.values.items())


def test_conditional_ones_appear_with_their_parents_alone():
    seen = set()
    for hp in drawn(build(ranges=EVERYTHING), 100):
        interaction, head = hp.values["model.interaction"], hp.values["model.head"]
        assert ("model.bins" in hp.values) == (interaction == "stacked_pooling")
        pooling = ("stacked_pooling", "multiscale_pooling", "both")
        assert ("model.side_lengths.largest" in hp.values) == (interaction in pooling)
        assert ("model.cutoff" in hp.values) == (interaction in ("pairwise", "both"))
        assert ("model.correlated" in hp.values) == (head == "absolute")
        assert ("model.charges" in hp.values) == (head == "verlet")
        seen.add((interaction, head))
    assert len(seen) == 15


def test_a_parent_with_one_value_needs_no_scope():
    hp = build().hyperparameters()
    assert all(entry.conditions == [] for entry in hp.space)


def test_types_of_hyperparameters():
    kinds = {entry.name: type(entry).__name__ for entry in build().hyperparameters().space}
    assert kinds["learning_rate"] == "Float"
    assert kinds["model.units"] == "Choice"
    assert kinds["model.side_lengths.count"] == "Int"
    assert kinds["model.correlated"] == "Boolean"
    assert kinds["model.head"] == "Fixed"


def test_hyperband_sets_the_epochs():
    space = build()
    hp = space.hyperparameters()
    assert space.config(hp).epochs == TrainConfig.epochs
    hp.values |= {"tuner/epochs": 3, "tuner/initial_epoch": 1, "tuner/bracket": 0}
    assert space.config(hp).epochs == 3


def test_all_combinations_of_a_conditional_space():
    space = build(
        ranges={"model.interaction": "stacked_pooling,pairwise", "model.bins": "8,16", "model.cutoff": "1,2,3"}
    )
    hp = [
        entry
        for entry in space.hyperparameters().space
        if entry.name in ("model.interaction", "model.bins", "model.cutoff")
    ]
    found = [tuple(values.values()) for values in combinations(hp)]
    assert found == [
        ("stacked_pooling", 8),
        ("stacked_pooling", 16),
        ("pairwise", 1.0),
        ("pairwise", 2.0),
        ("pairwise", 3.0),
    ]
