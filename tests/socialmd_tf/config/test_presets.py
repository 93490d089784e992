import pytest

from pipelines.errors import UserError
from socialmd_tf.config import PRESETS, ModelConfig, TrainConfig, preset


def test_presets_are_those_of_the_thesis():
    assert preset("thesis") == ModelConfig()
    assert (preset("thesis-mixture").num_components, preset("thesis-mixture").correlated) == (5, False)
    assert (preset("thesis-monogrid").bins, preset("thesis-monogrid").side_lengths) == (64, (11.0,))


@pytest.mark.parametrize("name", [None, 3, {}, ["lstm"]])
def test_a_preset_is_named_by_a_text(name):
    with pytest.raises(UserError, match="`preset`"):
        preset(name)


@pytest.mark.parametrize("refuse", [lambda: preset("thesys"), lambda: TrainConfig(preset="thesys")])
def test_an_unknown_preset_is_refused_with_the_names_of_the_others(refuse):
    with pytest.raises(UserError, match="`preset`") as error:
        refuse()
    assert all(name in str(error.value) for name in PRESETS)
    assert str(error.value).endswith("Received: 'thesys'")
