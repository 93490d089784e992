import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf.evaluation.compositions.mixture import Mixture
from socialmd_tf.evaluation.compositions.starts import RelabelledStarts
from tests.socialmd_tf.evaluation.compositions.conftest import WINDOWS


def starts_of(directory, first_frame=0, config=WINDOWS):
    return RelabelledStarts(Manifest.load(directory), directory, config, first_frame)


def test_frames_are_those_of_training_files_each_as_often_and_only_types_are_new(write_mixtures):
    directory = write_mixtures(train=(0.25, 0.5, 0.75), test=(0.5,), num_particles=(8, 5, 6))
    files = [np.load(directory / f"train/{number}.npy") for number in range(3)]
    (inputs,) = starts_of(directory, first_frame=4).batches(Mixture("W", "B", 0.5), 9, seed=0)
    seen = []
    for positions, features, mask in zip(inputs["positions"], inputs["features"], inputs["mask"], strict=True):
        real = int(mask.sum())
        (number,) = [place for place, file in enumerate(files) if file.shape[1] == real]
        seen.append(number)
        assert (positions[:, :real] == files[number][4:7, :, :2]).all()
        assert features[:real, 1].sum() == (real + 1) // 2 and not features[:real, 0].any()
        assert not features[real:].any()
    assert sorted(seen) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_seeds_fix_frames_and_types_and_mixtures_share_frames(write_mixtures):
    starts = starts_of(write_mixtures(train=(0.5,) * 5))

    def drawn(fraction, seed):
        (inputs,) = starts.batches(Mixture("D", "B", fraction), 8, seed)
        return inputs

    once, again, other = drawn(0.5, 0), drawn(0.5, 0), drawn(0.5, 1)
    assert all((once[name] == again[name]).all() for name in once)
    assert (once["positions"] != other["positions"]).any() and (once["features"] != other["features"]).any()
    assert (once["positions"] == drawn(0.25, 0)["positions"]).all()
    assert len({row.tobytes() for row in once["features"]}) > 4  # members differ in who is a drug


def test_a_start_too_late_is_refused(write_mixtures):
    directory = write_mixtures(num_frames=10)
    assert starts_of(directory, 6).last_frame == 8
    with pytest.raises(UserError, match=r"train/0.npy: expected at least 11 frames.*from frame 7 on; found 10"):
        starts_of(directory, 7)
