import dataclasses

import pytest

from socialmd_tf.config import TrainConfig
from socialmd_tf.config.batches import MOST_PARTICLES, batch_note, bounded


@pytest.mark.parametrize("preset", ["thesis", "forces"])
def test_batches_of_large_systems_have_fewer_windows_down_to_one(preset):
    config = TrainConfig.of_preset(preset)
    for number in (1, 25, 256, 257, 1000, 4096, 10_000, 100_000):
        found = bounded(config, number)
        assert dataclasses.replace(found, batch_size=config.batch_size) == config
        assert 1 <= found.batch_size <= config.batch_size
        assert found.batch_size == 1 or found.batch_size * number <= MOST_PARTICLES
        assert found.batch_size == config.batch_size or (found.batch_size + 1) * number > MOST_PARTICLES
    assert bounded(config, 256) == config and bounded(config, 100_000).batch_size == 1


def test_a_change_is_said_and_what_the_user_has_chosen_stays():
    config = TrainConfig.of_preset("forces")
    assert batch_note(config, 1000) == []
    assert batch_note(config, 4096) == ["--batch-size is 2 instead of 8: 4 096 particles per window"]
    chosen = dataclasses.replace(config, batch_size=7)
    assert bounded(chosen, 100_000) == chosen and batch_note(chosen, 100_000) == []
