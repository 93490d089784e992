"""Boxes, bonds and velocities in requests, against `socialmd-tf serve`."""

import contextlib

import numpy as np
import pytest

from socialmd_tf.export.saved_model import ExportedModel
from socialmd_tf.serving import Client, optional_inputs
from socialmd_tf.serving.errors import InvalidRequest
from tests.socialmd_tf.serving.exports import BONDS, BOX, export_with_optional_inputs
from tests.socialmd_tf.serving.running import serving

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
VECTORS = np.stack([np.diag(BOX)] * 2)
MATRIX = np.zeros((2, 4, 4), np.int32)
for _i, _j, _kind in BONDS:
    MATRIX[:, _i, _j] = MATRIX[:, _j, _i] = _kind


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return ExportedModel(export_with_optional_inputs(tmp_path_factory.mktemp("saved_models") / "bonded"))


@pytest.fixture(scope="module")
def connect(model):
    """A factory of clients with one protocol."""
    pytest.importorskip("tensorflow_serving", reason="needs the extra `serving`: pip install 'socialmd_tf[serving]'")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(model.path.parent))

        def make(protocol="grpc", **settings):
            client = Client(server.address(protocol), "bonded", protocol=protocol, **{"deadline": 600.0, **settings})
            return stack.enter_context(client)

        yield make


def systems(num_frames=3):
    """Unwrapped positions, features and velocities of two systems of four particles."""
    generator = np.random.default_rng(num_frames)
    positions = (0.3 * generator.normal(size=(2, num_frames, 4, 2))).cumsum(axis=1).astype(np.float32)
    velocities = (0.3 * generator.normal(size=positions.shape)).astype(np.float32)
    return positions, np.ones((2, 4, 1), np.float32), velocities


POSITIONS, FEATURES, VELOCITIES = systems()
KNOWN = {"box": BOX, "edges": BONDS, "velocities": VELOCITIES}
AS_TENSORS = {"box": VECTORS, "edges": MATRIX, "velocities": VELOCITIES}


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_answers_as_the_model_does_in_process(connect, model, protocol):
    expected = model.moments(POSITIONS, FEATURES, 4, known=AS_TENSORS)
    for found, wanted in zip(connect(protocol).rollout(POSITIONS, FEATURES, 4, **KNOWN), expected, strict=True):
        np.testing.assert_allclose(found, wanted, **CLOSE)
    drawn = connect(protocol).sample(POSITIONS, FEATURES, 3, (1, 2), **KNOWN)
    wanted = model.paths(POSITIONS, FEATURES, 3, (1, 2), known=AS_TENSORS)
    np.testing.assert_allclose(drawn, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_box_and_velocities_matter_and_bonds_are_sent(connect, monkeypatch):
    client = connect()
    apart = POSITIONS + np.array([[0, 0], [2, 0], [0, 2.4], [2.9, 2.4]], np.float32)  # half a box
    usual = client.rollout(apart, FEATURES, 2, **KNOWN)
    for changes in ({"box": (60.0, 50.0)}, {"velocities": -VELOCITIES}):
        changed = client.rollout(apart, FEATURES, 2, **{**KNOWN, **changes})
        assert max(np.abs(new - old).max() for new, old in zip(changed, usual, strict=True)) > 1e-5, changes
    sent, predict = [], client._transport.predict
    monkeypatch.setattr(client._transport, "predict", lambda *given: sent.append(given[:2]) or predict(*given))
    client.rollout(POSITIONS, FEATURES, 2, **KNOWN)
    client.start(POSITIONS, FEATURES, **KNOWN)
    assert [name for name, _ in sent] == ["rollout", "initial_state", *3 * ["step"]]
    for name, tensors in sent:
        assert name == "initial_state" or np.array_equal(tensors["edges"], MATRIX)


@pytest.mark.slow
def test_forms_of_box_and_bonds_and_wrapped_positions_give_the_same(connect):
    client = connect()
    mean, _ = client.rollout(POSITIONS, FEATURES, 3, **KNOWN)
    for changes in (
        {"box": np.diag(BOX)},
        {"box": VECTORS},
        {"edges": MATRIX},
        {"edges": BONDS[:, [1, 0, 2]].tolist()},
    ):
        np.testing.assert_array_equal(client.rollout(POSITIONS, FEATURES, 3, **{**KNOWN, **changes})[0], mean)
    wrapped = POSITIONS % np.array(BOX, np.float32)
    assert np.abs(np.diff(wrapped, axis=1)).max() > 2.5
    shift = wrapped[:, :1] - POSITIONS[:, :1]
    found, _ = client.rollout(wrapped, FEATURES, 3, **KNOWN)
    np.testing.assert_allclose(found - shift, mean, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_long_rollouts_and_couplings_give_the_same_frame_by_frame(connect):
    whole = connect().rollout(POSITIONS, FEATURES, 6, **KNOWN)
    pieces = connect(longest_rollout=2).rollout(POSITIONS, FEATURES, 6, **KNOWN)
    for found, wanted in zip(pieces, whole, strict=True):
        np.testing.assert_allclose(found, wanted, **CLOSE)
    known = {**KNOWN, "velocities": VELOCITIES[:, :1]}
    coupling = connect("rest").start(POSITIONS[:, :1], FEATURES, **known)
    wrapped = POSITIONS % np.array(BOX, np.float32)
    for frame in (1, 2):
        coupling.step(wrapped[:, frame], VELOCITIES[:, frame])
    np.testing.assert_allclose(coupling.mean, whole[0][:, 0], **CLOSE)


@pytest.mark.slow
def test_a_frame_of_a_coupling_may_lack_velocities(connect):
    """Then the model goes by the positions, and predicts something else."""
    coupling, given = (
        connect().start(POSITIONS[:, :2], FEATURES, **{**KNOWN, "velocities": VELOCITIES[:, :2]}) for _ in "12"
    )
    without, _ = coupling.step(POSITIONS[:, 2])
    with_velocities, _ = given.step(POSITIONS[:, 2], VELOCITIES[:, 2])
    assert np.isfinite(without).all() and np.abs(without - with_velocities).max() > 1e-4
    with pytest.raises(InvalidRequest, match="`velocities` must be left out: without a `frame`"):
        coupling.step(None, VELOCITIES[:, 2])
    with pytest.raises(InvalidRequest, match=r"`velocities` must be of shape \[2, 4, 2\]"):
        coupling.step(POSITIONS[:, 2], VELOCITIES)


BAD = [
    ({"box": None}, "`box` must be given: the model takes it"),
    ({"edges": None}, "`edges` must be given"),
    ({"velocities": None}, "`velocities` must be given"),
    ({"box": (1.0, 2.0, 3.0)}, r"`box` must be of shape \[2\]"),
    ({"box": np.ones((3, 2, 2))}, r"`box` must be of shape \[2, 2, 2\]"),
    ({"box": [[1.0, 2.0], [1.0]]}, "`box` must be one array"),
    ({"box": (-1.0, 2.0)}, "`box` must be edge lengths of at least 0"),
    ({"box": (0.0, 0.0)}, "`box` must be of linearly independent"),
    ({"box": np.ones((2, 2))}, "`box` must be of linearly independent"),
    ({"box": (np.inf, 1.0)}, "`box` must be finite"),
    ({"edges": BONDS.astype(float)}, "`edges` must be integers"),
    ({"edges": MATRIX[:1]}, r"`edges` must be integers, .* Received: int32 \[1, 4, 4\]"),
    ({"edges": np.triu(MATRIX)}, "`edges` must be symmetric"),
    ({"edges": -MATRIX}, "`edges` must be types of bonds of at least 0"),
    ({"edges": [[0, 4, 1]]}, r"`edges` must be rows of two particles from 0 to 3 .* Received: \[0, 4, 1\]"),
    ({"edges": [[1, 1, 1]]}, r"Received: \[1, 1, 1\]"),
    ({"edges": [[0, 1, 0]]}, r"Received: \[0, 1, 0\]"),
    ({"edges": [[0, 1, 1], [1, 0, 2]]}, r"each pair once. Received: \[1, 0, 2\]"),
    ({"velocities": VELOCITIES[:, :1]}, r"`velocities` must be of shape \[2, 3, 4, 2\]. Received: \[2, 1, 4, 2\]"),
    ({"velocities": VELOCITIES * np.nan}, "`velocities` must be finite"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_refuses_what_does_not_fit_in_one_line(changes, message):
    with pytest.raises(InvalidRequest, match=message) as caught:
        optional_inputs.check({**KNOWN, **changes}, dict.fromkeys(KNOWN), POSITIONS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("factor", "ratio"), [(10, "0.1"), (-1, "-1"), (1e-3, "1e\\+03"), (1.5, None)])
def test_velocities_in_another_unit_are_refused(factor, ratio):
    frames = np.arange(3)[:, None, None]
    straight = POSITIONS[:, :1] + frames * np.ones((1, 3, 4, 2), np.float32)
    given = {**KNOWN, "velocities": np.full(straight.shape, factor)}
    wrapped = (straight % np.array(BOX)).astype(np.float32)
    if ratio is None:
        optional_inputs.check(given, dict.fromkeys(KNOWN), wrapped)
    else:
        with pytest.raises(
            InvalidRequest, match=f"`velocities` must be in length units .* positions move {ratio} times"
        ):
            optional_inputs.check(given, dict.fromkeys(KNOWN), wrapped)


def test_velocities_of_random_directions_say_nothing_of_their_unit():
    optional_inputs.check({**KNOWN, "velocities": 100 * VELOCITIES}, dict.fromkeys(KNOWN), POSITIONS)


@pytest.mark.parametrize("name", KNOWN)
def test_refuses_what_the_model_does_not_take(server, name):
    positions = POSITIONS[..., [0, 1]]
    with (
        Client(server.address("grpc"), "tiny") as client,
        pytest.raises(InvalidRequest, match=f"`{name}` must be left out: this model takes none"),
    ):
        client.start(positions, np.ones((2, 4, 2)), **{name: KNOWN[name]})


@pytest.mark.slow
def test_the_server_knows_the_types_of_bonds_and_the_smallest_box(connect):
    for changes, message in (({"edges": [[0, 1, 3]]}, "from 0 to 2"), ({"box": (1.0, 1.0)}, "at least .* high")):
        with pytest.raises(InvalidRequest, match=message):
            connect().rollout(POSITIONS, FEATURES, 2, **{**KNOWN, **changes})


def test_following_a_frame_is_exact_in_a_tilted_box_with_an_open_axis():
    box = np.array([[[4.0, 1.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 0.0]]])
    generator = np.random.default_rng(0)
    last = generator.normal(size=(1, 5, 3)).astype(np.float32)
    frame = last + generator.uniform(-0.7, 0.7, size=last.shape).astype(np.float32)
    frame[..., 2] += 100  # along the open axis, nothing is an image
    images = generator.integers(-3, 4, size=(1, 5, 3)) @ box
    found = optional_inputs.follow((frame + images).astype(np.float32), last, box)
    np.testing.assert_allclose(found, frame, atol=1e-5)
