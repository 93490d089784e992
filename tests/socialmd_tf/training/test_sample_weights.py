import numpy as np
import pytest

from pipelines import dataset
from pipelines.shares import Share
from socialmd_tf.training.sample_weights import with_sample_weights
from tests.socialmd_tf.training.small import WINDOWS


def test_sample_weights_average_one_and_leave_out_padding(mixed_data):
    plain = dataset.batches(mixed_data, "train", WINDOWS, batch_size=5, seed=0, shuffle=True)
    weighted = with_sample_weights(plain)
    assert len(weighted) == len(plain) == 4
    paddings = 0
    for (inputs, targets), (same, same_targets, weights) in zip(plain, weighted, strict=True):
        np.testing.assert_array_equal(same["positions"], inputs["positions"])
        np.testing.assert_array_equal(same_targets, targets)
        mask = inputs["mask"].numpy()
        assert weights.shape == targets.shape[:3]
        assert weights.numpy().mean() == pytest.approx(1.0, rel=1e-6)
        for step in range(3):
            np.testing.assert_array_equal(weights[:, step] > 0, mask > 0)
        assert np.ptp(weights.numpy()[weights.numpy() > 0]) == 0
        paddings += int((mask == 0).sum())
    assert paddings == 8  # one particle in every window of the smaller system


@pytest.mark.slow
def test_sample_weights_leave_out_later_frames(mixed_data):
    plain = dataset.batches(mixed_data, "train", WINDOWS, batch_size=5, seed=0, shuffle=True)
    for every, first in zip(with_sample_weights(plain), with_sample_weights(plain, num_steps=2), strict=True):
        np.testing.assert_allclose(first[2][:, :2], every[2][:, :2] * 3 / 2, rtol=1e-6)
        assert not np.any(first[2][:, 2:])
        np.testing.assert_array_equal(first[1], every[1])


def test_forced_batches_observe_all_frames_before_the_last_target(mixed_data):
    plain = dataset.batches(mixed_data, "train", WINDOWS, batch_size=5, seed=0, shuffle=True)
    pairs = zip(with_sample_weights(plain), with_sample_weights(plain, num_steps=0), strict=True)
    for (inputs, targets, weights), (forced, same_targets, same_weights) in pairs:
        frames = np.concatenate([inputs["positions"], targets], axis=1)
        np.testing.assert_array_equal(forced["positions"], frames[:, :-1])
        np.testing.assert_array_equal(same_targets, targets)
        np.testing.assert_array_equal(same_weights, weights)


def test_batches_are_filled_up_to_even_shares(mixed_data):
    plain = dataset.batches(mixed_data, "train", WINDOWS, batch_size=5, seed=0, shuffle=True)
    for (inputs, targets), (filled, _, weights) in zip(plain, with_sample_weights(plain, 3), strict=True):
        size, whole = len(targets), -(-len(targets) // 3) * 3
        assert len(weights) == len(filled["positions"]) == whole
        np.testing.assert_array_equal(filled["positions"][:size], inputs["positions"])
        assert not np.any(filled["mask"][size:]) and not np.any(weights[size:])
        assert weights.numpy().mean() == pytest.approx(1.0, rel=1e-6)


@pytest.mark.slow_cases(all_but=["2"])
@pytest.mark.parametrize("num_steps", [None, 0, 2])
def test_shares_have_the_weights_of_the_whole_batch(mixed_data, num_steps):
    """16 windows in batches of 6: the last batch has 4 for three workers, so that one share is filled up."""
    settings = {"batch_size": 6, "seed": 0, "shuffle": True}
    whole = with_sample_weights(dataset.batches(mixed_data, "train", WINDOWS, **settings), 3, num_steps)
    shares = [dataset.batches(mixed_data, "train", WINDOWS, share=Share(index, 3), **settings) for index in range(3)]
    for expected, *parts in zip(whole, *(with_sample_weights(share, 3, num_steps) for share in shares), strict=True):
        sizes = [len(part[1]) for part in parts]
        assert len(set(sizes)) == 1 and sum(sizes) == len(expected[1])
        for place in (1, 2):
            together = np.concatenate([part[place] for part in parts])
            np.testing.assert_allclose(together, expected[place], rtol=1e-6)
