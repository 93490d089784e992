"""The client, over loopback, against `socialmd-tf serve`."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from socialmd_tf.serving import Client
from socialmd_tf.serving.errors import DeadlineExceeded, InvalidRequest, ServingError, Unavailable
from socialmd_tf.serving.rest_transport import RestTransport
from tests.socialmd_tf.serving.conftest import VERSIONS
from tests.socialmd_tf.serving.running import ROOT, serving

PROTOCOLS = ("grpc", "rest")
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(params=PROTOCOLS)
def protocol(request):
    return request.param


@pytest.fixture
def connect(server, protocol):
    """A factory of clients with one protocol."""
    with contextlib.ExitStack() as stack:

        def make(**settings):
            client = Client(server.address(protocol), "tiny", protocol=protocol, **settings)
            return stack.enter_context(client)

        yield make


def systems(version, num_frames=3, batch_size=2, num_particles=4):
    """Positions and features; one of the models has no features."""
    generator = np.random.default_rng(num_frames)
    num_dimensions, num_features = (3, 0) if version == 1 else (2, 2)
    positions = generator.normal(size=(batch_size, num_frames, num_particles, num_dimensions))
    return positions.cumsum(axis=1).astype(np.float32), np.ones((batch_size, num_particles, num_features), np.float32)


@pytest.mark.slow_cases("*-2")
@pytest.mark.parametrize("version", VERSIONS)
def test_answers_as_the_model_does_in_process(connect, in_process, version):
    client, model = connect(version=version), in_process[version]
    positions, features = systems(version)
    for found, expected in zip(
        client.rollout(positions, features, 7), model.moments(positions, features, 7), strict=True
    ):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, **CLOSE)
    for seed in ((1, 2), (-3, 2**31 - 1)):
        drawn = client.sample(positions, features, 5, seed)
        np.testing.assert_allclose(drawn, model.paths(positions, features, 5, seed), **CLOSE)


def test_takes_lists_and_needs_no_features_if_the_model_has_none(connect, in_process):
    positions, features = systems(1)
    mean, _ = connect(version=1).rollout(positions.tolist(), horizon=2)
    np.testing.assert_allclose(mean, in_process[1].moments(positions, features, 2)[0], **CLOSE)
    with pytest.raises(InvalidRequest, match="`features` must be given: the model takes 2 per particle"):
        connect().rollout(systems(2)[0], horizon=2)


@pytest.mark.slow_cases("*-2")
@pytest.mark.parametrize("version", VERSIONS)
def test_long_rollouts_go_frame_by_frame_and_give_the_same(connect, version):
    positions, features = systems(version)
    whole = connect(version=version).rollout(positions, features, 9)
    pieces = connect(version=version, longest_rollout=4).rollout(positions, features, 9)
    for found, expected in zip(pieces, whole, strict=True):
        np.testing.assert_allclose(found, expected, **CLOSE)


def test_large_answers_go_frame_by_frame(connect, monkeypatch):
    client = connect()
    asked = []
    predict = client._transport.predict
    monkeypatch.setattr(client._transport, "predict", lambda name, *rest: asked.append(name) or predict(name, *rest))
    monkeypatch.setattr("socialmd_tf.serving.client._LARGEST_ANSWER", 3 * 2 * 4 * (2 + 4) * 4)  # three frames
    client.rollout(*systems(2), 3)
    assert asked == ["rollout"]
    client.rollout(*systems(2), 4)
    assert asked == ["rollout", "initial_state", *6 * ["step"]]


@pytest.mark.parametrize("version", VERSIONS)
def test_follows_a_running_experiment(connect, in_process, version):
    """With every frame observed, the prediction of the next one is that of a rollout of one frame."""
    positions, features = systems(version, num_frames=6)
    coupling = connect(version=version).start(positions[:, :2], features)
    for known in range(2, 7):
        expected = in_process[version].moments(positions[:, :known], features, 1)
        np.testing.assert_allclose(coupling.mean, expected[0][:, 0], **CLOSE)
        np.testing.assert_allclose(coupling.covariance, expected[1][:, 0], **CLOSE)
        if known < 6:
            mean, _ = coupling.step(positions[:, known])
            assert mean is coupling.mean
    free = in_process[version].moments(positions, features, 4)
    for frame in range(1, 4):  # nothing is observed from here on
        mean, covariance = coupling.step()
        np.testing.assert_allclose(mean, free[0][:, frame], **CLOSE)
        np.testing.assert_allclose(covariance, free[1][:, frame], **CLOSE)


def test_a_refused_frame_leaves_the_coupling_where_it_was(connect):
    positions, features = systems(2)
    coupling, undisturbed = (connect().start(positions, features) for _ in range(2))
    for wrong, message in ((positions[:, 0, :2], "of shape"), (positions[:, 0] * np.nan, "finite")):
        with pytest.raises(InvalidRequest, match=f"`frame` must be {message}"):
            coupling.step(wrong)
    np.testing.assert_array_equal(coupling.step(positions[:, 0])[0], undisturbed.step(positions[:, 0])[0])


def test_a_coupling_stays_with_its_version(connect, monkeypatch):
    client = connect()
    asked = []
    predict = client._transport.predict
    monkeypatch.setattr(
        client._transport, "predict", lambda *given: asked.append((given[0], given[2])) or predict(*given)
    )
    client.start(*systems(2, num_frames=1)).step()
    client.rollout(*systems(2), 1)
    assert asked == [("initial_state", 2), ("step", 2), ("step", 2), ("rollout", None)]


def test_metadata(connect):
    found = connect(version=1).metadata()
    assert (found.name, found.version) == ("tiny", 1)
    assert {"rollout", "sample", "step", "serving_default"} <= set(found.signatures)
    taken = found.signatures["sample"].inputs
    assert {name: (spec.dtype, spec.shape) for name, spec in taken.items()} == {
        "positions": ("float32", (None, None, None, 3)),
        "features": ("float32", (None, None, 0)),
        "horizon": ("int32", ()),
        "seed": ("int32", (2,)),
    }
    assert found.signatures["rollout"].outputs["covariance"].shape == (None, None, None, 3, 3)
    assert found.signatures["step"].inputs["observed"].dtype == "bool"
    assert connect().metadata().version == max(VERSIONS)


def test_both_protocols_report_the_same(server):
    found = []
    for protocol in PROTOCOLS:
        with Client(server.address(protocol), "tiny", protocol=protocol) as client:
            found.append(client.metadata())
    assert found[0] == found[1]


def test_is_ready(server, protocol, free_ports):
    def is_ready(address, model, version=None):
        with Client(address, model, protocol=protocol, version=version) as client:
            return client.is_ready()

    assert is_ready(server.address(protocol), "tiny")
    assert is_ready(server.address(protocol), "tiny", 1)
    assert not is_ready(server.address(protocol), "tiny", 9)
    assert not is_ready(server.address(protocol), "other")
    assert not is_ready(f"127.0.0.1:{free_ports[0]}", "tiny")


POSITIONS, FEATURES = systems(2)
WRAPPED = np.random.default_rng(0).normal(scale=0.2, size=(2, 60, 4, 2)).cumsum(axis=1) % 2
BAD = [
    ({"positions": POSITIONS[0]}, r"`positions` must be of shape \[B, T, N, 2\]. Received: \[3, 4, 2\]"),
    ({"positions": POSITIONS[..., :1]}, r"`positions` must be of shape \[B, T, N, 2\]"),
    ({"positions": POSITIONS[:, :0]}, r"`positions` must be of shape"),
    ({"positions": np.where(POSITIONS == POSITIONS[1, 2, 3, 0], np.nan, POSITIONS)}, r"nan at \[1, 2, 3, 0\]"),
    ({"positions": POSITIONS.astype(float) * 1e39}, r"`positions` must be finite in float32"),
    ({"positions": POSITIONS > 0}, r"`positions` must be numbers .* type: bool"),
    ({"positions": POSITIONS.astype(str)}, "`positions` must be numbers"),
    ({"positions": POSITIONS * 1j}, "`positions` must be numbers"),
    ({"positions": [[1.0, 2.0], [3.0]]}, "`positions` must be one array"),
    ({"positions": WRAPPED}, r"`positions`: row 0: frame \d+, particle \d, column 1 \(y\): .* found a jump of"),
    ({"features": FEATURES[:, :3]}, r"`features` must be of shape \[2, 4, 2\]. Received: \[2, 3, 2\]"),
    ({"features": FEATURES[:1]}, r"`features` must be of shape \[2, 4, 2\]"),
    ({"features": FEATURES * np.inf}, "`features` must be finite"),
    ({"features": None}, "`features` must be given"),
    ({"horizon": 0}, "`horizon` must be an integer from 1"),
    ({"horizon": -3}, "`horizon` must be an integer from 1"),
    ({"horizon": 2**31}, "`horizon` must be an integer from 1 to 2147483647. Received: 2147483648"),
    ({"horizon": 10**30}, "`horizon` must be an integer"),
    ({"horizon": 2.0}, r"`horizon` must be an integer .* Received: 2.0"),
    ({"horizon": True}, "`horizon` must be an integer"),
    ({"horizon": "3"}, "`horizon` must be an integer"),
    ({"horizon": [3]}, "`horizon` must be an integer"),
    ({"seed": 1}, r"`seed` must be integers of shape \[2\]"),
    ({"seed": (1, 2, 3)}, r"`seed` must be integers of shape \[2\]"),
    ({"seed": (1, 2**31)}, "`seed` must be integers"),
    ({"seed": (1.0, 2.0)}, "`seed` must be integers"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_refuses_what_does_not_fit_before_it_is_sent(server, monkeypatch, changes, message):
    with Client(server.address("grpc"), "tiny") as client:
        client.metadata()
        monkeypatch.setattr(client._transport, "predict", lambda *_: pytest.fail("sent"))
        asked = {"positions": POSITIONS, "features": FEATURES, "horizon": 3, **changes}
        methods = [client.sample] if "seed" in changes else [client.sample, client.rollout]
        for method in methods:
            with pytest.raises(InvalidRequest, match=message):
                method(**asked)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"protocol": "http"}, "`protocol` must be 'grpc' or 'rest'. Received: 'http'"),
        ({"deadline": 0}, "`deadline` must be positive and finite. Received: 0"),
        ({"deadline": float("inf")}, "`deadline` must be positive"),
        ({"deadline": float("nan")}, "`deadline` must be positive"),
        ({"retries": -1}, "`retries` must be an integer from 0"),
        ({"longest_rollout": 0}, "`longest_rollout` must be an integer from 1"),
        ({"model": ""}, "`address` and `model` must be non-empty strings"),
        ({"address": None}, "`address` and `model` must be non-empty strings"),
    ],
)
def test_refuses_settings_that_make_no_sense(settings, message):
    with pytest.raises(InvalidRequest, match=message):
        Client(**{"address": "127.0.0.1:1", "model": "tiny", **settings})


def test_the_server_s_reason_reaches_the_caller(connect):
    with pytest.raises(InvalidRequest, match="`horizon` must be from 1 to 10000"):
        connect(longest_rollout=20_000).rollout(POSITIONS, FEATURES, 10_001)
    lacks = r"Servable not found for request: Specific\(tiny, 9\)\. .*no such version"
    with pytest.raises(InvalidRequest, match=lacks):
        connect(version=9).rollout(POSITIONS, FEATURES, 1)


def test_a_refused_row_is_a_refused_request(connect, monkeypatch):
    client = connect()
    monkeypatch.setattr(client, "_ask", lambda *_: {"mean": 0, "refused": np.array(["", "`positions` is odd"], object)})
    with pytest.raises(InvalidRequest, match="`positions` is odd in row 1"):
        client._predict("step", {}, None)


def test_json_cannot_express_nan(server):
    transport = RestTransport(server.address("rest"), "tiny")
    with pytest.raises(InvalidRequest, match="`positions` must be finite to be sent as JSON"):
        transport.predict("rollout", {"positions": np.array([np.nan])}, None, 1.0)


def test_a_closed_client_answers_nothing(server, protocol):
    with Client(server.address(protocol), "tiny", protocol=protocol) as client:
        assert client.is_ready()
    client.close()
    for method in (client.metadata, client.is_ready, lambda: client.rollout(POSITIONS, FEATURES)):
        with pytest.raises(RuntimeError, match="the client is closed"):
            method()


WITHOUT = """
import json, sys
from socialmd_tf.serving import Client
for protocol, address in json.loads(sys.argv[1]).items():
    with Client(address, "tiny", protocol=protocol, version=1) as client:
        mean, _ = client.rollout([[[[0, 0, 0], [1, 0, 0]]]], horizon=2)
        assert mean.shape == (1, 2, 2, 3)
    if protocol == "rest":
        assert not {"grpc", "google.protobuf"} & set(sys.modules)
heavy = ("tensorflow", "tensorflow_serving", "keras", "scipy", "tyro", "h5py", "zarr", "pipelines.dataset")
assert [name for name in heavy if name in sys.modules] == []
"""


def test_neither_protocol_needs_tensorflow(server):
    addresses = {protocol: server.address(protocol) for protocol in ("rest", "grpc")}
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT, json.dumps(addresses)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.fixture
def free_ports():
    """Two unused ports."""
    with socket.socket() as one, socket.socket() as other:
        for listening in (one, other):
            listening.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def test_no_server(protocol, free_ports):
    with (
        Client(f"127.0.0.1:{free_ports[0]}", "tiny", protocol=protocol, retries=1, deadline=10.0) as client,
        pytest.raises(
            Unavailable, match=rf"{free_ports[0]}.*`socialmd-tf serve .*docker.*tensorflow_model_server --port=8500 .*`"
        ),
    ):
        client.metadata()


@pytest.fixture
def late_clients(free_ports):
    """A client of each protocol whose server has not started."""
    with contextlib.ExitStack() as stack:
        settings = {"retries": 1000, "deadline": 300.0}
        yield {
            protocol: stack.enter_context(Client(f"127.0.0.1:{port}", "tiny", protocol=protocol, **settings))
            for protocol, port in zip(PROTOCOLS, free_ports, strict=True)
        }


class Asking(threading.Thread):
    """A request in another thread; `answer()` waits for its result."""

    def __init__(self, question):
        super().__init__(daemon=True)
        self.question, self.result = question, None
        self.start()

    def run(self):
        try:
            self.result = self.question()
        except ServingError as error:
            self.result = error

    def answer(self):
        self.join(300)
        return self.result


@pytest.mark.slow
def test_a_server_that_comes_late_then_hangs_then_dies(saved_models, late_clients, free_ports):
    """Late: a retry succeeds. Hanging: the deadline holds. Killed during a request: Unavailable."""
    asking = [Asking(client.metadata) for client in late_clients.values()]
    time.sleep(0.3)  # so that each client has failed once
    assert all(thread.is_alive() for thread in asking)
    arguments = [f"--{name}-port={port}" for name, port in zip(PROTOCOLS, free_ports, strict=True)]
    with serving(saved_models, *arguments) as server:
        assert [thread.answer().version for thread in asking] == 2 * [max(VERSIONS)]
        for client in late_clients.values():
            client._known = client.metadata()
        server.process.send_signal(signal.SIGSTOP)  # from here on it answers nothing

        for client in late_clients.values():
            client._deadline = 0.5
            began = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                client.rollout(POSITIONS, FEATURES, 1)
            assert time.monotonic() - began < 20
            client._deadline, client._retries = 300.0, 0

        asking = [
            Asking(lambda client=client: client.rollout(POSITIONS, FEATURES, 1)) for client in late_clients.values()
        ]
        time.sleep(0.5)  # so that each request is under way
        assert all(thread.is_alive() for thread in asking)
        server.process.kill()
        assert [type(thread.answer()) for thread in asking] == 2 * [Unavailable]


class Odd(BaseHTTPRequestHandler):
    """Answers with the status in the path and a body that no model server sends."""

    def do_GET(self):
        status, body = self.path.split("/")[1:3]
        self.send_response(int(status))
        self.send_header("Content-Length", "100" if body == "cut" else str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("200/welcome", ServingError, "HTTP status 200, not JSON: b'welcome'"),
        ("200/cut", Unavailable, "IncompleteRead|Connection broken"),
        ("200/[1]", ServingError, "1"),
        ("404/nothing", InvalidRequest, "HTTP status 404, not JSON"),
        ('503/{"error":"full"}', Unavailable, "full"),
        ('504/{"error":"late"}', DeadlineExceeded, "late"),
        ('500/{"error":"broken"}', ServingError, "broken"),
    ],
)
def test_odd_answers_over_rest(path, error, message):
    server = HTTPServer(("127.0.0.1", 0), Odd)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with server:
        address = f"http://127.0.0.1:{server.server_port}/{path}"
        with (
            Client(address, "tiny", protocol="rest", retries=0) as client,
            pytest.raises(error, match=message) as caught,
        ):
            client.metadata()
        assert type(caught.value) is error
        server.shutdown()
    thread.join()
