"""Many concurrent requests, and many wrong ones, to `socialmd-tf serve`.

The default suite has a small version of what `pytest -m slow` does in full.
"""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tensorflow as tf
import urllib3

from socialmd_tf.serving import Client
from tests.socialmd_tf.serving.running import serving

pytest.importorskip("tensorflow_serving", reason="needs the extra `serving`: pip install 'socialmd_tf[serving]'")
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
"""Rounding of float32 in graphs that are optimised differently in the server."""
MAX_GROWTH = 64 * 2**20
"""Additional bytes that the server may hold after 10 000 requests, compared to 1 000: 7 kB per request."""


def random_request(generator):
    """A method, and its arguments, of random B, T, N and horizon."""
    batch_size, num_frames, num_particles = generator.integers(1, (4, 7, 31))
    positions = generator.normal(size=(batch_size, num_frames, num_particles, 2)).astype(np.float32)
    features = generator.normal(size=(batch_size, num_particles, 2)).astype(np.float32)
    arguments = [positions, features, int(generator.integers(1, 41))]
    if generator.random() < 0.3:
        return "sample", [*arguments, tuple(generator.integers(-(2**31), 2**31, 2).tolist())]
    return "rollout", arguments


def answers_under_load(server, requests, num_clients, **settings):
    """Answers to all requests, from concurrent clients of both protocols."""
    protocols = itertools.cycle(("grpc", "rest"))
    clients = [
        Client(server.address(protocol), "tiny", protocol=protocol, deadline=600.0, **settings)
        for protocol in itertools.islice(protocols, num_clients)
    ]

    def ask(number):
        client = clients[number]
        return {
            index: getattr(client, method)(*arguments)
            for index, (method, arguments) in list(enumerate(requests))[number::num_clients]
        }

    with ThreadPoolExecutor(num_clients) as threads:
        answers = {}
        for found in threads.map(ask, range(num_clients)):
            answers.update(found)
    for client in clients:
        client.close()
    return [answers[index] for index in range(len(requests))]


def check_load(server, model, num_requests, num_clients, **settings):
    generator = np.random.default_rng(num_requests)
    requests = [random_request(generator) for _ in range(num_requests)]
    answers = answers_under_load(server, requests, num_clients, **settings)
    for (method, arguments), answer in zip(requests, answers, strict=True):
        expected = {"rollout": model.moments, "sample": model.paths}[method](*arguments)
        pairs = [(answer, expected)] if method == "sample" else zip(answer, expected, strict=True)
        for found, right in pairs:
            np.testing.assert_allclose(found, right, **CLOSE)


def test_answers_under_load_are_those_of_the_model_in_process(server, in_process):
    check_load(server, in_process[2], num_requests=40, num_clients=8, longest_rollout=38)


@pytest.mark.slow
def test_32_clients_and_2000_requests(saved_models, in_process):
    with serving(saved_models) as server:
        check_load(server, in_process[2], num_requests=2000, num_clients=32, longest_rollout=35)


def right_inputs(generator, model):
    """Valid inputs of every signature."""
    batch_size, num_frames, num_particles = generator.integers(2, (4, 5, 9))
    positions = generator.normal(size=(batch_size, num_frames, num_particles, 2)).astype(np.float32)
    particles = {"features": np.ones((batch_size, num_particles, 2), np.float32)}
    mask = np.ones((batch_size, num_particles), np.float32)
    horizon, seed = np.array(2, np.int32), np.array([1, 2], np.int32)
    state = model._loaded.signatures["initial_state"](positions=tf.constant(positions[:, 0]))
    return {
        "rollout": {"positions": positions, **particles, "horizon": horizon},
        "sample": {"positions": positions, **particles, "horizon": horizon, "seed": seed},
        "density": {"positions": positions, **particles, "mask": mask, "horizon": horizon},
        "rollout_rows": {
            "positions": positions,
            **particles,
            "mask": mask,
            "horizon": np.repeat(horizon, batch_size),
            "seed": np.tile(seed, (batch_size, 1)),
        },
        "initial_state": {"positions": positions[:, 0]},
        "step": {
            "positions": positions[:, 0],
            **particles,
            "mask": mask,
            "observed": np.ones(batch_size, bool),
            **{name: value.numpy() for name, value in state.items()},
        },
    }


def faults_of(name, value):
    """Faults of one input: description and faulty value."""
    yield "an axis too many", value[None]
    if value.ndim:
        yield "an axis too few", value[0]
        yield "empty", value[:0]
        yield "another size of the first axis", np.concatenate([value, value])
        yield "another size of the last axis", np.concatenate([value, value], axis=-1)
    if value.ndim > 2:
        yield "another size of the second axis", np.concatenate([value, value[:, :1]], axis=1)
    if value.dtype == np.float32:
        for bad in (np.nan, np.inf, -np.inf):
            yield f"{bad} in every row", np.full_like(value, bad)
    if name == "horizon":
        for bad in (0, -1, -(2**31), 10_001, 2**31 - 1):
            yield f"horizon {bad}", np.full_like(value, bad)
    if name == "mask":
        yield "half a particle", np.full_like(value, 0.5)
    yield "another type", value.astype(np.float32 if value.dtype != np.float32 else np.int64)
    yield "a text", np.full(value.shape, "text")


def wrong_requests(generator, model, protocol):
    """Requests with one fault each: (description, signature, input, inputs)."""
    signatures = right_inputs(generator, model)
    for signature, right in signatures.items():
        for name, value in right.items():
            # A frame more or less is no mistake, and the number of systems follows the positions.
            free = {"another size of the second axis"} if signature[-4:] != "step" and name == "positions" else set()
            free |= {"another size of the first axis"} if signature == "initial_state" else set()
            free |= {"another type"} if protocol == "rest" and value.dtype == np.float32 else set()  # 1 for 1.0
            for what, wrong in faults_of(name, value):
                if what not in free:
                    yield what, signature, name, {**right, name: wrong}
            has_default = protocol == "grpc" and value.ndim < 2 and signature in ("rollout", "sample", "density")
            if not has_default:
                yield "missing", signature, name, {key: item for key, item in right.items() if key != name}
        if protocol == "grpc":  # over REST, a model server ignores unknown inputs
            yield "unknown", signature, "velocities", {**right, "velocities": np.zeros(1, np.float32)}
    yield "no such signature", "roll_over", "roll_over", signatures["rollout"]


def ask_over_grpc(stub, signature, inputs):
    """The server's error message, "" if it answers the request."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "tiny", signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    try:
        stub.Predict(request, timeout=600)
    except grpc.RpcError as error:
        assert error.code().name in ("INVALID_ARGUMENT", "FAILED_PRECONDITION"), error
        return error.details()
    return ""


def ask_over_rest(pool, signature, inputs):
    columns = {name: np.asarray(value).tolist() for name, value in inputs.items()}
    body = json.dumps({"signature_name": signature, "inputs": columns})  # with NaN and Infinity, which are not JSON
    answer = pool.request("POST", "/v1/models/tiny:predict", body=body, timeout=600.0, retries=False)
    assert answer.status in (200, 400), answer.data
    return answer.json()["error"] if answer.status == 400 else ""


def is_the_reason(reason, what, name):
    """Whether a refusal names the fault, with the input's name wherever the server can know it."""
    if what in ("another type", "a text"):  # refused before the graph begins
        return "Expects arg" in reason or "is not of expected type" in reason
    if name == "positions" and what.startswith("another size") and "`features`" in reason:
        return True  # if two sizes differ, either may be wrong
    return name in reason


def check_abuse(server, model, count):
    """Send wrong requests, each followed by a right one, whose answer must equal that in process."""
    generator = np.random.default_rng(count)
    channel = grpc.insecure_channel(server.address("grpc"))
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    pool = urllib3.connection_from_url(f"http://{server.address('rest')}")
    wrong = [(ask_over_grpc, stub, *request) for request in wrong_requests(generator, model, "grpc")]
    wrong += [(ask_over_rest, pool, *request) for request in wrong_requests(generator, model, "rest")]
    assert len(wrong) > 300
    right = right_inputs(generator, model)["rollout"].values()
    expected = model.moments(*right)
    misjudged = []
    with channel, pool, Client(server.address("grpc"), "tiny") as client:
        for ask, connection, what, signature, name, inputs in (
            wrong[index] for index in generator.permutation(len(wrong))[:count]
        ):
            reason = ask(connection, signature, inputs)
            if not is_the_reason(reason, what, name):
                misjudged.append(f"{ask.__name__} {signature} {name} {what}: {reason}")
            for answer, good in zip(client.rollout(*right), expected, strict=True):
                np.testing.assert_allclose(answer, good, **CLOSE)
    assert misjudged == []


def test_wrong_requests_are_refused_and_the_next_one_is_served(server, in_process):
    check_abuse(server, in_process[2], 40)


@pytest.mark.slow
def test_every_wrong_request_is_refused(server, in_process):
    check_abuse(server, in_process[2], 10_000)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "JSON Parse error"),
        (b'{"inputs": [', "JSON Parse error"),
        (b"[]", "Is not object"),
        (b"{}", "Missing 'inputs' or 'instances' key"),
        (b'{"inputs": 3}', "expecting an object"),
        (b'{"signature_name": 3, "inputs": {}}', "'signature_name' key must be a string"),
        (b'{"inputs": {"positions": [[[[0, 0]], [[0]]]], "features": [[[1, 1]]], "horizon": 1}}', "unexpected size: 1"),
        (b'{"inputs": {"positions": [[[[0, 0]], 3]], "features": [[[1, 1]]], "horizon": 1}}', "incorrect level"),
        (b'{"inputs": {"positions": [[[[0, 1e40]]]], "features": [[[1, 1]]], "horizon": 1}}', "loss of precision"),
        (b'{"inputs": {"positions": [[[[0, null]]]], "features": [[[1, 1]]], "horizon": 1}}', "not of expected type"),
        (b'{"instances": []}', "No values in 'instances' array"),
        (
            b'{"instances": [{"positions": [[[0, 0]]], "features": [[1, 1]], "horizon": 1, "velocities": 0}]}',
            "velocities",
        ),
        (b'{"instances": [{"positions": [[[0, 0]]], "features": [[1, 1]]}]}', "horizon"),
        (b'{"signature_name": "roll_over", "inputs": {}}', "roll_over"),
    ],
)
def test_json_that_is_no_request_is_refused(server, body, message):
    url = f"http://{server.address('rest')}/v1/models/tiny:predict"
    answer = urllib3.request("POST", url, body=body, timeout=60.0, retries=False)
    assert answer.status == 400
    assert message in answer.json()["error"]


@pytest.mark.slow
def test_memory_is_flat(saved_models):
    """Memory after 10 000 requests is that after 1 000, except for caches that fill."""
    generator = np.random.default_rng(0)
    held = {}
    with serving(saved_models) as server:
        for asked, in_all in ((1000, 1000), (9000, 10_000)):
            requests = [random_request(generator) for _ in range(asked)]
            answers_under_load(server, requests, num_clients=8)
            held[in_all] = server.resident_memory()
    print({count: f"{size / 2**20:.0f} MiB" for count, size in held.items()})
    assert held[10_000] - held[1000] < MAX_GROWTH
