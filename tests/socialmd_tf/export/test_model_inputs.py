import dataclasses

import numpy as np
import pytest

from pipelines.errors import UserError
from socialmd_tf.export.frames import Frames
from socialmd_tf.export.model_inputs import model_inputs

CARD = {
    "num_dimensions": 2,
    "features": ["mass", "charge"],
    "length_unit": "nm",
    "time_unit": "ps",
    "time_between_frames": 0.6,
    "warm_up_steps": 3,
}
POSITIONS = np.arange(2 * 10 * 4 * 2, dtype=np.float32).reshape(2, 10, 4, 2)
MASS, CHARGE = np.arange(4.0), -np.arange(4.0)
FEATURES = np.stack([MASS, CHARGE], axis=-1).astype(np.float32)


def frames_of(positions=POSITIONS[0], features=FEATURES, **others):
    return Frames(positions, features, **others)


def test_frames_of_an_unknown_interval_are_all_observed():
    positions, features, mask = model_inputs(frames_of(), CARD)
    np.testing.assert_array_equal(positions, POSITIONS[:1])
    np.testing.assert_array_equal(features, FEATURES[None])
    assert mask is None
    positions, features, _ = model_inputs(frames_of(POSITIONS), CARD)
    np.testing.assert_array_equal(positions, POSITIONS)
    np.testing.assert_array_equal(features, np.stack([FEATURES, FEATURES]))


@pytest.mark.parametrize(("interval", "stride"), [(0.6, 1), (0.3, 2), (0.15, 4), (0.6 * (1 + 1e-8), 1)])
def test_frames_of_a_known_interval_are_read_at_that_of_the_model(interval, stride):
    frames = frames_of(time_between_frames=interval)
    positions, _, _ = model_inputs(frames, CARD)
    np.testing.assert_array_equal(positions[0], POSITIONS[0, : 3 * stride : stride])
    positions, _, _ = model_inputs(frames[1:], CARD)
    np.testing.assert_array_equal(positions[0], POSITIONS[0, 1 : 1 + 3 * stride : stride])


@pytest.mark.parametrize("interval", [0.4, 0.7, 1.2, 0.6 * (1 + 1e-4)])
def test_intervals_that_do_not_divide_the_model_s_are_refused(interval):
    with pytest.raises(UserError, match=rf"`time_between_frames`.* 0\.6\. Received: {interval:.9g}$"):
        model_inputs(frames_of(time_between_frames=interval), CARD)


def test_too_few_frames_are_refused():
    frames = frames_of(time_between_frames=0.15, name="a.npy")[2:]
    with pytest.raises(UserError, match=r"^a\.npy: expected at least 3 frames.* 4 stored frames apart, found 2$"):
        model_inputs(frames, CARD)


@pytest.mark.parametrize(
    "features",
    [
        {"mass": MASS, "charge": CHARGE},
        {"charge": CHARGE, "mass": [MASS, MASS]},  # of both systems, or of each
        np.stack([FEATURES, FEATURES]),
        FEATURES.tolist(),
    ],
)
def test_features_are_ordered_by_name(features):
    _, found, _ = model_inputs(frames_of(POSITIONS, features), CARD)
    np.testing.assert_array_equal(found, np.stack([FEATURES, FEATURES]))


@pytest.mark.parametrize("features", [None, {}, np.zeros((4, 0))])
def test_a_model_without_features_needs_none(features):
    _, found, _ = model_inputs(frames_of(features=features), {**CARD, "features": []})
    assert (found.shape, found.dtype) == ((1, 4, 0), np.float32)


@pytest.mark.parametrize(
    ("changes", "fragments"),
    [
        ({"features": None}, ["`features`", "mass, charge", "None"]),
        ({"features": {"mass": MASS}}, ["`features`", "'charge'", "['mass']"]),
        ({"features": {"mass": MASS, "charge": CHARGE, "size": MASS}}, ["`features`", "'size'"]),
        ({"features": FEATURES[:, :1]}, ["`features`", "[4, 2]", "[4, 1]"]),
        ({"features": {"mass": MASS[:3], "charge": CHARGE}}, ["`mass`", "[4]", "[3]"]),
        ({"features": {"mass": MASS, "charge": ["+", "-", "+", "-"]}}, ["`charge`", "numbers"]),
        ({"features": np.full((4, 2), np.nan)}, ["`features`", "finite", "nan"]),
        ({"positions": np.zeros((5, 4, 3), np.float32)}, ["`positions`", "2 dimensions", "3"]),
        ({"length_unit": "A"}, ["`length_unit`", "'nm'", "'A'"]),
        ({"time_unit": "fs"}, ["`time_unit`", "'ps'", "'fs'"]),
        ({"velocities": POSITIONS[0]}, ["`velocities` must be left out"]),
        ({"box": np.ones(2)}, ["`box` must be left out"]),
        ({"mask": np.array([1, 1, 0.5, 0])}, ["`mask`", "zeros and ones", "0.5"]),
    ],
)
def test_what_does_not_fit_the_model_is_one_line(changes, fragments):
    with pytest.raises(UserError) as error:
        model_inputs(frames_of(**changes), CARD)
    message = str(error.value)
    assert "\n" not in message and all(fragment in message for fragment in fragments)


def test_positions_that_are_not_finite_are_named_by_frame_and_particle():
    positions = POSITIONS[0].copy()
    positions[7, 2, 1] = np.inf
    frames = frames_of(positions, time_between_frames=0.2, name="a.npy")
    with pytest.raises(UserError, match=r"^a\.npy: expected finite positions, found inf in frame 7, particle 2$"):
        model_inputs(frames[1:], CARD)
    model_inputs(frames, CARD)  # frame 7 is not observed
    with pytest.raises(UserError, match="found inf in frame 7, particle 2"):
        model_inputs(frames_of(np.stack([POSITIONS[0], positions]), FEATURES), CARD)


@pytest.mark.parametrize("stride", [1, 2])
def test_velocities_in_another_unit_are_refused(stride):
    """Straight motion with velocities per unit of time, at the model's interval and more often."""
    card, interval = CARD | {"model": {"observed_velocities": True}}, CARD["time_between_frames"] / stride
    velocities = np.random.default_rng(0).normal(size=(4, 2))
    positions = velocities * interval * np.arange(3 * stride)[:, None, None]

    def inputs(factor):
        moving = np.repeat(factor * velocities[None], 3 * stride, axis=0).astype("float32")
        known = {"velocities": moving, "time_between_frames": interval, "time_unit": "ps"}
        return model_inputs(frames_of(positions.astype("float32"), **known), card)

    np.testing.assert_allclose(inputs(1)[3]["velocities"][0, 0], velocities * card["time_between_frames"], rtol=1e-5)
    for factor in (1e3, -1):
        with pytest.raises(UserError, match=r"^`velocities` must be in .* per ps\. Received: positions move [^\n]+$"):
            inputs(factor)


@pytest.mark.parametrize("start", [0, 5])
def test_jumps_without_a_box_are_named_by_frame_and_particle(start):
    generator = np.random.default_rng(0)
    walk = (0.2 * generator.normal(size=(60, 4, 2))).cumsum(axis=0).astype("float32")
    frames = frames_of(walk, time_between_frames=0.03, name="a.npy")
    model_inputs(frames, CARD)
    wrapped = dataclasses.replace(frames, positions=walk % 2)
    first = start + 1 + np.argmax((np.abs(np.diff(walk[start:] % 2, axis=0)) > 1)[..., 0].any(axis=1))
    with pytest.raises(
        UserError, match=rf"^a\.npy: frame {first}, particle \d, column 0 \(x\): .* not wrapped [^\n]+$"
    ):
        model_inputs(wrapped[start:], CARD)


def test_masks_are_of_every_system():
    expected = np.array([[1, 1, 0, 0], [1, 1, 0, 0]])
    for mask in (np.array([1, 1, 0, 0]), expected):
        np.testing.assert_array_equal(model_inputs(frames_of(POSITIONS, mask=mask), CARD)[2], expected)


@pytest.mark.parametrize("head", ["kinematic", "verlet"])
def test_one_frame_gives_no_velocity(head):
    """Densities around rest, with the errors of velocities from two frames or more, would be wrong."""
    one, card = frames_of(POSITIONS[0][:1]), CARD | {"model": {"head": head}}
    with pytest.raises(UserError, match="at least 2 frames to observe, which give the velocities, found 1"):
        model_inputs(one, card)
    model_inputs(frames_of(POSITIONS[0][:2]), card)
    for other in ({"warm_up_steps": 1}, {"model": {"head": head, "measurement_noise": True}}):
        model_inputs(one, card | other)
    for others in ("displacement", "langevin", "mine"):
        model_inputs(one, card | {"model": {"head": others}})
