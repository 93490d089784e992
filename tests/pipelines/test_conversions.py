"""Files of another type or order are read, and a line says so."""

import numpy as np

from pipelines.config import DataConfig
from pipelines.conversions import conversion_notes
from pipelines.dataset import batches
from pipelines.validation import validate

CONFIG = DataConfig(subsample=4, subsample_phases=2, warm_up_steps=2, rollout_steps=3, window_shift=2, rotations=2)


def test_converted_files_give_the_same_batches_and_a_note(write_dataset, random_trajectory):
    trajectories = [random_trajectory(seed=seed) for seed in range(4)]
    plain = write_dataset({"train": trajectories}, name="plain")
    other = write_dataset({"train": trajectories}, name="other")
    kinds = ((np.float64, "C"), (np.float64, "C"), (">f4", "C"), (np.float32, "F"))
    for number, (dtype, order) in enumerate(kinds):
        np.save(other / f"train/0000{number}.npy", trajectories[number].astype(dtype, order=order))
    assert validate(other) == [] == conversion_notes(plain)
    assert conversion_notes(other) == [
        "note: train/00000.npy and 1 more file: float64, converted when read (positions are rounded to float32 after "
        "unwrapping)",
        "note: train/00002.npy: big-endian, converted when read",
        "note: train/00003.npy: Fortran order, converted when read (slow to read; numpy.save(file, "
        "numpy.ascontiguousarray(trajectory)) makes it fast)",
    ]
    streams = [batches(each, "train", CONFIG, batch_size=5, seed=1, shuffle=True) for each in (plain, other)]
    for (inputs, targets), (others, other_targets) in zip(*(s.as_numpy_iterator() for s in streams), strict=True):
        np.testing.assert_array_equal(inputs["positions"], others["positions"])
        np.testing.assert_array_equal(targets, other_targets)


def test_float64_is_unwrapped_before_it_is_rounded(write_dataset):
    """Far from the origin, float32 would lose the moves; the window begins where the particle is in the box."""
    path = 0.3 * np.arange(60)[:, None, None] * np.ones((1, 1, 2))
    directory = write_dataset({"train": [path]}, features=(), box=(5.0, 5.0))
    np.save(directory / "train/00000.npy", path % 5.0)
    config = DataConfig(subsample=1, warm_up_steps=2, rollout_steps=38, window_shift=20, rotations=0)
    ((inputs, targets),) = batches(directory, "train", config, batch_size=9, seed=0, shuffle=False).as_numpy_iterator()
    frames = np.concatenate([inputs["positions"], targets], axis=1)
    np.testing.assert_allclose(np.diff(frames, axis=1), 0.3, atol=2e-6)
    assert frames[:, 0].max() < 5.0 and frames.max() > 11.0
