import os
import re
import resource
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

import pipelines.dataset
import pipelines.windows
from pipelines import augment
from pipelines.config import DataConfig
from pipelines.dataset import batches, num_windows, windows
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.shares import Share

SMALL = DataConfig(subsample=4, subsample_phases=2, warm_up_steps=2, rollout_steps=3, window_shift=2, rotations=3)


@pytest.fixture
def directory(write_dataset, random_trajectory):
    """Three trajectories of 2 phases x 3 windows each."""
    return write_dataset({"train": [random_trajectory(seed=seed) for seed in range(3)], "test": []})


def flat(dataset):
    """Batches as lists of arrays: positions, features, mask, targets."""
    return [
        [inputs["positions"], inputs["features"], inputs["mask"], targets]
        for inputs, targets in dataset.as_numpy_iterator()
    ]


def assert_equal(first, second):
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        for values, others in zip(one, other, strict=True):
            np.testing.assert_array_equal(values, others)


def joined(dataset):
    """All samples of a stream of batches in four arrays."""
    return [np.concatenate(values) for values in zip(*flat(dataset), strict=True)]


@pytest.mark.slow_cases("100-20000")
@pytest.mark.parametrize(("num_simulations", "num_samples"), [(100, 20_000), (20, 4_000)])
def test_thesis_sample_counts(write_dataset, random_trajectory, num_simulations, num_samples):
    trajectory = random_trajectory(num_frames=1000, num_particles=2)
    directory = write_dataset({"train": [trajectory] * num_simulations})
    config = DataConfig()
    assert num_windows(directory, "train", config) * config.rotations == num_samples
    epoch = batches(directory, "train", config, batch_size=32, seed=0, shuffle=True)
    assert len(epoch) == num_samples / 32
    assert sum(len(targets) for _, targets in epoch.as_numpy_iterator()) == num_samples


def test_a_split_may_have_more_files_than_a_process_may_open(write_dataset, random_trajectory):
    directory = write_dataset({"train": [random_trajectory(num_particles=2)] * 200})
    used = len(os.listdir("/proc/self/fd"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 100, hard))
    try:
        assert num_windows(directory, "train", SMALL) == 200 * 6
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_batch_has_the_promised_structure(directory):
    epoch = batches(directory, "train", SMALL, batch_size=10, seed=0, shuffle=True)
    assert epoch.element_spec == (
        {
            "positions": tf.TensorSpec([None, 2, 3, 2], tf.float32),
            "features": tf.TensorSpec([None, 3, 1], tf.float32),
            "mask": tf.TensorSpec([None, 3], tf.float32),
        },
        tf.TensorSpec([None, 3, 3, 2], tf.float32),
    )


def test_last_batch_of_an_epoch_is_kept(directory):
    stream = batches(directory, "train", SMALL, batch_size=10, seed=0, shuffle=True, num_epochs=2)
    assert [len(targets) for *_, targets in flat(stream)] == [10, 10, 10, 10, 10, 4] * 2
    assert len(stream) == 12


def test_windows_stand_by_file_phase_and_time(write_dataset):
    frame = np.arange(40, dtype=np.float32)
    trajectories = [np.stack([frame, frame, np.full(40, file)], axis=-1)[:, None] for file in (0.0, 1.0)]
    directory = write_dataset({"train": trajectories})
    elements = list(windows(directory, "train", SMALL).as_numpy_iterator())
    found = [(inputs["features"][0, 0], inputs["positions"][0, 0, 0]) for inputs, _ in elements]
    expected = [(file, start) for file in (0, 1) for start in (0, 8, 16, 2, 10, 18)]
    assert found == expected
    assert num_windows(directory, "train", SMALL) == len(windows(directory, "train", SMALL)) == len(expected)


def test_unshuffled_unrotated_batches_are_the_windows(directory):
    config = DataConfig(**{**vars(SMALL), "rotations": 0})
    expected = flat(windows(directory, "train", config).batch(5))
    assert_equal(flat(batches(directory, "train", config, batch_size=5, seed=0, shuffle=False)), expected)


@pytest.mark.slow
def test_unshuffled_copies_are_whole_rounds_of_the_windows(directory):
    masses = joined(windows(directory, "train", SMALL).batch(18))[1]
    stream = batches(directory, "train", SMALL, batch_size=18, seed=0, shuffle=False)
    rounds = flat(stream)
    assert len(rounds) == SMALL.rotations
    for _, features, *_ in rounds:
        np.testing.assert_array_equal(features, masses)


def test_shuffled_epoch_is_a_permutation_of_the_windows(directory):
    config = DataConfig(**{**vars(SMALL), "rotations": 0})
    expected = flat(windows(directory, "train", config).batch(1))
    shuffled = flat(batches(directory, "train", config, batch_size=1, seed=0, shuffle=True))
    keys = [[sample[0].tobytes() for sample in samples] for samples in (expected, shuffled)]
    assert keys[0] != keys[1]
    assert sorted(keys[0]) == sorted(keys[1])


def test_every_window_comes_as_often_as_there_are_rotations(write_dataset):
    """Rotations keep the distance from the origin, which here is the number of the frame."""
    frame = np.arange(40, dtype=np.float32)
    directory = write_dataset({"train": [np.stack([frame, 0 * frame, 0 * frame], axis=-1)[:, None]]})
    positions, _, _, targets = joined(batches(directory, "train", SMALL, batch_size=7, seed=0, shuffle=True))
    frames = np.linalg.norm(np.concatenate([positions, targets], axis=1), axis=-1)[:, :, 0].round().astype(int)
    expected = {tuple(range(start, start + 20, 4)): 3 for start in (0, 8, 16, 2, 10, 18)}
    assert Counter(map(tuple, frames.tolist())) == expected
    assert len(np.unique(positions[:, 1], axis=0)) == len(positions)


@pytest.mark.slow_cases("3")
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_samples_are_windows_turned_by_one_proper_rotation(write_dataset, random_trajectory, num_dimensions):
    names = [f"dipole_{axis}" for axis in "xyz"[:num_dimensions]]
    trajectory = random_trajectory(num_particles=4, num_dimensions=num_dimensions, num_features=1 + len(names))
    directory = write_dataset({"train": [trajectory]}, num_dimensions=num_dimensions, features=["mass", *names])
    config = DataConfig(**{**vars(SMALL), "rotations": 1})
    before = joined(windows(directory, "train", config).batch(4))
    after = joined(batches(directory, "train", config, batch_size=4, seed=0, shuffle=False))
    np.testing.assert_array_equal(after[1][..., 0], before[1][..., 0])
    vectors = [
        np.concatenate(
            [values[0].reshape(6, -1, num_dimensions), values[1][..., 1:], values[3].reshape(6, -1, num_dimensions)],
            axis=1,
        ).astype(np.float64)
        for values in (before, after)
    ]
    for sample_before, sample_after in zip(*vectors, strict=True):
        rotation = np.linalg.lstsq(sample_before, sample_after)[0].T
        np.testing.assert_allclose(sample_before @ rotation.T, sample_after, atol=1e-5)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(num_dimensions), atol=1e-5)
        assert np.linalg.det(rotation) == pytest.approx(1.0, abs=1e-5)


def test_systems_of_different_sizes_share_a_batch(write_dataset, random_trajectory):
    arrays = [random_trajectory(num_particles=num_particles) for num_particles in (2, 4)]
    directory = write_dataset({"train": arrays})
    positions, features, mask, targets = joined(batches(directory, "train", SMALL, batch_size=8, seed=0, shuffle=True))
    assert sorted(mask.sum(axis=-1).tolist()) == [2.0] * 18 + [4.0] * 18
    for time in range(2):
        np.testing.assert_array_equal(positions[:, time][mask == 0], 0.0)
    np.testing.assert_array_equal(features[mask == 0], 0.0)
    np.testing.assert_array_equal(targets[:, 0][mask == 0], 0.0)
    assert np.all(np.abs(targets[:, 0][mask == 1]).max(axis=-1) > 0)


def test_same_seed_gives_the_same_batches_whatever_the_parallelism_and_the_global_seed(directory):
    def stream(num_threads, seed=5):
        options = tf.data.Options()
        options.threading.private_threadpool_size = num_threads
        options.autotune.enabled = num_threads > 1
        dataset = batches(directory, "train", SMALL, batch_size=4, seed=seed, shuffle=True, num_epochs=2)
        return flat(dataset.with_options(options))

    alone = stream(1)
    tf.random.set_seed(99)
    assert_equal(alone, stream(8))
    assert not np.array_equal(alone[0][0], stream(1, seed=6)[0][0])


@pytest.mark.slow
def test_epochs_differ_and_can_be_entered_at_any(directory):
    def stream(first_epoch, num_epochs):
        return flat(
            batches(
                directory,
                "train",
                SMALL,
                batch_size=7,
                seed=1,
                shuffle=True,
                num_epochs=num_epochs,
                first_epoch=first_epoch,
            )
        )

    whole = stream(0, 4)
    epochs = [whole[start : start + 8] for start in range(0, 32, 8)]
    assert_equal(stream(2, 4), epochs[2] + epochs[3])
    assert_equal(stream(2, 3), epochs[2])
    assert not np.array_equal(epochs[2][0][0], epochs[3][0][0])
    assert len(batches(directory, "train", SMALL, batch_size=7, seed=1, shuffle=True, first_epoch=1)) == 0


def test_order_and_rotations_both_change_with_the_epoch(write_dataset):
    frame = np.arange(40, dtype=np.float32)
    directory = write_dataset({"train": [np.stack([frame, 0 * frame, 0 * frame], axis=-1)[:, None]]})
    stream = batches(directory, "train", SMALL, batch_size=18, seed=0, shuffle=True, num_epochs=2)
    first, second = (positions[:, 1, 0] for positions, *_ in flat(stream))
    assert np.any(np.linalg.norm(first, axis=-1).round() != np.linalg.norm(second, axis=-1).round())
    angles = [np.sort(np.arctan2(positions[:, 1], positions[:, 0])) for positions in (first, second)]
    assert not np.allclose(*angles, atol=1e-3)


@pytest.mark.slow_cases(all_but=["7-256"])
@pytest.mark.parametrize(("batch_size", "together"), [(1, 256), (7, 256), (64, 256), (7, 16), (4, 1)])
def test_windows_that_stay_on_disk_give_the_same_batches(directory, monkeypatch, batch_size, together):
    options = {"batch_size": batch_size, "seed": 5, "shuffle": True, "num_epochs": 3, "first_epoch": 1}
    expected = flat(batches(directory, "train", SMALL, **options))
    monkeypatch.setattr(pipelines.windows, "_KEPT_BYTES", 0)
    monkeypatch.setattr(pipelines.dataset, "_READ_TOGETHER", together)
    found = flat(batches(directory, "train", SMALL, **options))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for values, others in zip(one, other, strict=True):
            # The sine of an angle may differ in its last bit by how many are computed together.
            np.testing.assert_allclose(values, others, rtol=0, atol=0 if together == 256 else 1e-5)


def test_order_is_that_of_a_shuffle_of_all_numbers(directory):
    """The definition: window order[i] % W in the order of epoch e, turned by rotation i."""
    whole = joined(windows(directory, "train", SMALL).batch(18))
    stream = joined(batches(directory, "train", SMALL, batch_size=7, seed=3, shuffle=True, num_epochs=2, first_epoch=1))
    order_seed, rotation_seed = tf.unstack(tf.random.split(tf.constant([3, 1], tf.int64), 2))
    order = tf.random.experimental.stateless_shuffle(tf.range(54), order_seed).numpy() % 18
    turns = augment.rotations(augment.rotation_draws(54, 2, rotation_seed)).numpy()
    for place in range(54):
        for values in (0, 3):
            expected = whole[values][order[place]] @ turns[place].T
            np.testing.assert_allclose(stream[values][place], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "read",
    [
        num_windows,
        windows,
        lambda *arguments: batches(*arguments, batch_size=1, seed=0, shuffle=True),
    ],
)
@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("training", "tiny: `split` must be one of train, test. Received: 'training'"),
        ("test", "tiny: the split 'test' is empty; expected at least one file"),
    ],
)
def test_split_must_exist_and_have_files(directory, read, split, message):
    with pytest.raises(UserError, match=re.escape(message)):
        read(directory, split, SMALL)


def test_trajectory_must_hold_a_window_of_every_phase(write_dataset, random_trajectory):
    assert SMALL.min_frames == 19
    directory = write_dataset({"train": [random_trajectory(num_frames=19)]})
    assert num_windows(directory, "train", SMALL) == 2
    directory = write_dataset({"train": [random_trajectory(num_frames=19), random_trajectory(num_frames=18)]})
    expected = re.escape(
        "train/00001.npy: expected at least 19 frames for one window of T + T' = 5 frames, 4 stored frames apart, "
        "in each of 2 phases, found 18"
    )
    with pytest.raises(UserError, match=expected):
        windows(directory, "train", SMALL)


def test_faulty_header_is_refused_before_anything_is_read(directory):
    np.save(directory / "train/00001.npy", np.zeros((40, 3, 3), np.int16))
    with pytest.raises(UserError, match=r"train/00001\.npy: expected dtype float32 or float64, found int16"):
        windows(directory, "train", SMALL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1. Received: 0"),
        ({"first_epoch": 3, "num_epochs": 2}, "`first_epoch` must be in [0, 2]. Received: 3"),
        ({"first_epoch": -1}, "`first_epoch` must be in [0, 1]. Received: -1"),
    ],
)
def test_batches_refuses_arguments_out_of_range(directory, arguments, message):
    with pytest.raises(UserError) as error:
        batches(directory, "train", SMALL, **{"batch_size": 1, "seed": 0, "shuffle": True, **arguments})
    assert str(error.value) == message


def test_dataset_without_features(write_dataset, random_trajectory):
    directory = write_dataset({"train": [random_trajectory(num_features=0)]}, features=())
    assert Manifest.load(directory).features == ()
    _, features, _, targets = joined(batches(directory, "train", SMALL, batch_size=4, seed=0, shuffle=True))
    assert features.shape == (18, 3, 0) and targets.shape == (18, 3, 3, 2)


@pytest.mark.slow_cases("2")
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_anchors_turn_with_the_positions(write_dataset, random_trajectory, num_dimensions):
    names = [f"anchor_{axis}" for axis in "xyz"[:num_dimensions]]
    trajectory = random_trajectory(num_dimensions=num_dimensions, num_features=1 + num_dimensions)
    directory = write_dataset({"train": [trajectory]}, num_dimensions=num_dimensions, features=["mass", *names])
    found = {}
    for rotations in (0, 1):
        config = DataConfig(subsample=1, warm_up_steps=3, rollout_steps=2, window_shift=5, rotations=rotations)
        (inputs, _), *_ = batches(directory, "train", config, batch_size=8, seed=1, shuffle=False)
        anchors = inputs["features"][..., 1:]
        found[rotations] = anchors, np.linalg.norm(inputs["positions"] - anchors[:, None], axis=-1)
    (still, distances), (turned, same_distances) = found.values()
    np.testing.assert_allclose(same_distances, distances, rtol=1e-4)
    assert np.abs(turned - still).max() > 0.1


def test_the_shares_of_all_workers_are_the_batches(directory):
    """54 samples in batches of 12, of which the last has 6; the shares of it are 2, 2, 2 and 0."""
    settings = {"batch_size": 12, "seed": 3, "shuffle": True, "num_epochs": 2}
    whole = flat(batches(directory, "train", SMALL, **settings))
    parts = [list(batches(directory, "train", SMALL, share=Share(index, 4), **settings)) for index in range(4)]
    assert [len(part) for part in parts] == [len(whole)] * 4 == [10] * 4
    assert [len(part[4][1]) for part in parts] == [2, 2, 2, 0]
    for number, batch in enumerate(whole):
        for place, values in ((0, "positions"), (1, "features"), (2, "mask")):
            np.testing.assert_array_equal(np.concatenate([part[number][0][values] for part in parts]), batch[place])
        np.testing.assert_array_equal(np.concatenate([part[number][1] for part in parts]), batch[3])
        for part in parts:
            assert part[number][2].numpy().tolist() == [len(batch[3]), batch[2].sum()]


def test_a_batch_that_workers_cannot_share_is_refused(directory):
    with pytest.raises(UserError, match=r"`batch_size` must be a multiple of the number of workers, 4\. Received: 6"):
        batches(directory, "train", SMALL, batch_size=6, seed=0, shuffle=False, share=Share(0, 4))
