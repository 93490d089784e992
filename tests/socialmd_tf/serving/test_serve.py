"""`socialmd-tf serve`: the command, and what differs from a client's view of a server (see test_client.py)."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from pipelines.errors import UserError
from pipelines.extras import install_command
from socialmd_tf import serve
from socialmd_tf.serving import Client
from socialmd_tf.serving.errors import Unavailable
from socialmd_tf.serving.grpc_transport import GrpcTransport
from socialmd_tf.serving.server.source import find_source
from tests.socialmd_tf.serving.running import ENVIRONMENT, LAUNCH, ROOT, serving
from tests.socialmd_tf.serving.test_load import right_inputs

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
SIGNATURES = ("rollout", "sample", "density", "rollout_rows", "initial_state", "step")


def ask(address, path, body=None):
    """HTTP status and JSON of the answer, with the standard library alone."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(f"http://{address}/v1/models/{path}", data, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def as_lists(inputs):
    return {name: np.asarray(value).tolist() for name, value in inputs.items()}


@pytest.mark.slow_cases(all_but=["rollout", "initial_state"])
@pytest.mark.parametrize("signature", SIGNATURES)
def test_every_signature_answers_as_the_saved_model(server, in_process, signature):
    inputs = right_inputs(np.random.default_rng(1), in_process[2])[signature]
    function = in_process[2]._loaded.signatures[signature]
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    expected = {name: value.numpy() for name, value in function(**tensors).items()}
    body = {"signature_name": signature, "inputs": as_lists(inputs)}
    status, answer = ask(server.address("rest"), "tiny:predict", body)
    assert status == 200
    over_rest = answer["outputs"] if len(expected) > 1 else {name: answer["outputs"] for name in expected}
    transport = GrpcTransport(server.address("grpc"), "tiny")
    over_grpc = transport.predict(signature, inputs, None, 120.0)
    transport.close()
    assert set(over_rest) == set(over_grpc) == set(expected)
    for name, value in expected.items():
        if value.dtype == object:
            assert over_rest[name] == over_grpc[name].tolist() == [text.decode() for text in value]
        else:
            np.testing.assert_allclose(over_rest[name], value, **CLOSE)
            np.testing.assert_allclose(over_grpc[name], value, **CLOSE)


def test_status_and_metadata(server):
    address = server.address("rest")
    fine = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    both, newest, first = {"version": "2", **fine}, "tiny/metadata", "tiny/versions/1/metadata"
    assert ask(address, "tiny") == (200, {"model_version_status": [both, {"version": "1", **fine}]})
    assert ask(address, "tiny/versions/1") == (200, {"model_version_status": [{"version": "1", **fine}]})
    for path, version in ((newest, "2"), (first, "1")):
        status, answer = ask(address, path)
        assert status == 200
        assert answer["model_spec"] == {"name": "tiny", "signature_name": "", "version": version}
        assert {"serving_default", *SIGNATURES} <= set(answer["metadata"]["signature_def"]["signature_def"])


RIGHT = {"positions": [[[[0, 0], [1, 0]], [[0.1, 0], [1, 0.1]]]], "features": [[[1, 1], [1, -1]]], "horizon": 3}


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("tiny:predict", {"inputs": {**RIGHT, "horizon": 0}}, 400, "`horizon` must be from 1 to 10000"),
        ("tiny:predict", {"inputs": {**RIGHT, "features": [[[1, 1]]]}}, 400, "`features`"),
        ("tiny:predict", {"inputs": {**RIGHT, "positions": [[[[float("nan"), 0]] * 2] * 2]}}, 400, "`positions`"),
        ("tiny:predict", {"inputs": {**RIGHT, "features": json.loads(100 * "[" + 100 * "]")}}, 400, "at 100 levels"),
        ("tiny:predict", {"inputs": {**RIGHT, "horizon": 2.5}}, 400, "is not of expected type: int32"),
        ("tiny:predict", {"inputs": {"positions": RIGHT["positions"]}}, 400, "Missing named input: "),
        ("tiny:predict", {"signature_name": "roll", "inputs": RIGHT}, 400, '"roll" not found in signature def'),
        ("tiny/versions/9:predict", {"inputs": RIGHT}, 404, "Servable not found for request: Specific(tiny, 9)"),
        ("other:predict", {"inputs": RIGHT}, 404, "Servable not found for request: Latest(other)"),
        ("other", None, 404, "Could not find any versions of model other"),
        ("tiny/versions/9", None, 404, "Could not find version 9 of model tiny"),
        ("tiny/versions/9/metadata", None, 404, "Servable not found for request: Specific(tiny, 9)"),
        ("tiny:classify", {"inputs": RIGHT}, 400, "Malformed request: POST /v1/models/tiny:classify"),
        ("tiny/versions/one", None, 400, "Malformed request: GET /v1/models/tiny/versions/one"),
    ],
)
def test_wrong_requests_get_the_reason(server, path, body, status, message):
    found, answer = ask(server.address("rest"), path, body)
    assert found == status and set(answer) == {"error"} and message in answer["error"]


def test_a_body_in_chunks_is_one_body(server):
    whole = json.dumps({"inputs": RIGHT}).encode()
    connection = http.client.HTTPConnection(server.address("rest"), timeout=120)
    for chunks in ([whole], [whole[:20], whole[20:]]):  # twice over the same connection
        connection.request("POST", "/v1/models/tiny:predict", iter(chunks), encode_chunked=True)
        answer = connection.getresponse()
        assert answer.status == 200 and np.shape(json.load(answer)["outputs"]["mean"]) == (1, 3, 2, 2)
    connection.close()


def test_a_body_of_unknown_length_is_refused(server):
    connection = http.client.HTTPConnection(server.address("rest"), timeout=60)
    connection.request("POST", "/v1/models/tiny:predict", headers={"Content-Length": "long"})
    answer = connection.getresponse()
    assert answer.status == 400 and "unknown length of the body" in json.load(answer)["error"]
    connection.close()


def typed(*words):
    """The command in a process of its own -> exit status, stdout, stderr."""
    command = [sys.executable, "-m", "socialmd_tf", "serve", *map(str, words)]
    result = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout, result.stderr


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.slow
def test_serves_the_newest_version_follows_exports_and_stops_at_ctrl_c(saved_models, tmp_path):
    """The command on a directory of models, from its first line to its last."""
    shutil.copytree(saved_models / "1", tmp_path / "models" / "tiny" / "1")
    with serving(tmp_path / "models", program=("-m", "socialmd_tf", "serve")) as server:
        directory = tmp_path / "models" / "tiny"
        assert server.printed.startswith("loading tiny\nloaded tiny, version 1\nREST at http://127.0.0.1:")
        ports = f"--port={server.ports['grpc']} --rest_api_port={server.ports['rest']}"
        assert f"\ntensorflow_model_server {ports} --model_name=tiny --model_base_path={directory}\n" in server.printed
        assert "\ndocker compose " in server.printed
        assert ask(server.address("rest"), "tiny/metadata")[1]["model_spec"]["version"] == "1"

        shutil.copytree(saved_models / "2", tmp_path / "copy")
        os.rename(tmp_path / "copy", directory / "2")  # as `train` exports
        until(lambda: ask(server.address("rest"), "tiny/metadata")[1]["model_spec"]["version"] == "2")
        assert ask(server.address("rest"), "tiny/versions/1")[0] == 404

        long = threading.Thread(target=roll_out_for_long, args=(server.address("grpc"), answers := []))
        long.start()
        time.sleep(1.0)
        assert long.is_alive()
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 20
        assert server.process.stdout.read() == "loaded tiny, version 2\nstopped\n"
        long.join(60)
        assert [type(answer) for answer in answers] == [Unavailable]


def roll_out_for_long(address, answers):
    """A request of minutes; its exception goes to `answers`."""
    generator = np.random.default_rng(0)
    positions = generator.normal(size=(64, 2, 100, 2))
    with Client(address, "tiny", deadline=600.0, retries=0) as client:
        try:
            answers.append(client.sample(positions, np.ones((64, 100, 2)), 10_000))
        except Unavailable as error:
            answers.append(error)


@pytest.mark.slow
def test_rest_works_without_the_libraries_for_grpc(saved_models):
    without = "import sys; sys.modules['grpc'] = sys.modules['tensorflow_serving'] = None\n"
    with serving(saved_models / "1", program=("-c", without + LAUNCH)) as server:
        assert f"\nno gRPC: it needs {install_command('serving')}\n" in server.printed
        assert set(server.ports) == {"rest"}
        with Client(server.address("rest"), "tiny", protocol="rest") as client:  # the only version that was named
            assert client.metadata().version == 1
            assert client.rollout([[[[0, 0, 0], [1, 0, 0]]]], horizon=2)[0].shape == (1, 2, 2, 3)
        assert server.stop() == 0


def test_a_directory_without_models_is_one_line(tmp_path):
    status, printed, error = typed(tmp_path)
    assert (status, printed) == (2, "")
    assert error.startswith("error: `saved_models` must hold NAME/VERSION/saved_model.pb. Found none in")
    assert error.count("\n") == 1


@pytest.fixture
def busy_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.mark.parametrize("name", ["rest-port", "grpc-port"])
def test_a_busy_port_is_one_line_and_at_once(saved_models, busy_port, name):
    other = {"rest-port": "grpc-port", "grpc-port": "rest-port"}[name]
    status, printed, error = typed(saved_models, f"--{name}={busy_port}", f"--{other}=0")
    assert (status, printed) == (2, "")
    reason = f"must be a free port, or 0. Received: {busy_port} (Address already in use). Change --{name}."
    assert error == f"error: `{name.replace('-', '_')}` {reason}\n"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rest_port": -1}, "`rest_port` must be a port from 0 to 65535. Received: -1"),
        ({"grpc_port": 65536}, "`grpc_port` must be a port from 0 to 65535. Received: 65536"),
        ({"rest_port": 8500}, "`grpc_port` must differ from `rest_port`. Received: 8500 for both"),
    ],
)
def test_ports_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        serve.ServeCommand(**settings)


def test_what_cannot_be_loaded_is_named(tmp_path):
    broken = tmp_path / "tiny" / "1" / "saved_model.pb"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no SavedModel")
    with pytest.raises(UserError, match=f"{broken.parent} cannot be loaded: "):
        serve.serve(serve.ServeCommand(tmp_path, rest_port=0, grpc_port=0))


def with_models(directory, *versions):
    """Make directories that look like exported models."""
    for version in versions:
        (directory / version).mkdir(parents=True)
        (directory / version / "saved_model.pb").touch()
    return directory


def test_names_that_no_url_takes_are_refused(tmp_path):
    for path in (with_models(tmp_path / "my model", "1"), tmp_path, tmp_path / "my model" / "1"):
        with pytest.raises(UserError, match="must consist of letters"):
            find_source(path)
    with pytest.raises(UserError, match="must lie in NAME/VERSION, with a number VERSION"):
        find_source(with_models(tmp_path / "tiny", "newest") / "newest")


@pytest.mark.parametrize(
    ("path", "all_versions", "wanted"),
    [
        ("", False, {"one": {10}, "two": {1}}),
        ("", True, {"one": {2, 10}, "two": {1}}),
        ("one", False, {"one": {10}}),
        ("one", True, {"one": {2, 10}}),
        ("one/0002", False, {"one": {2}}),
    ],
)
def test_the_command_of_tensorflow_serving_serves_the_same(tmp_path, path, all_versions, wanted):
    """Its flags and its configuration name the models and versions that this server loads."""
    pytest.importorskip("tensorflow_serving")
    from tensorflow_serving.config import model_server_config_pb2

    with_models(tmp_path / "my models" / "one", "0002", "10", "notes")
    with_models(tmp_path / "my models" / "two", "1")
    source = find_source(tmp_path / "my models" / path, all_versions)
    assert {name: set(source.wanted(name)) for name in source.directories} == wanted
    script = f'tensorflow_model_server() {{ printf "%s\\n" "$@"; }}\n{source.command(2, 1)}'
    printed = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    flags = dict(line.removeprefix("--").split("=", 1) for line in printed.splitlines())
    assert (flags.pop("port"), flags.pop("rest_api_port")) == ("1", "2")
    if flags.pop("model_config_file", None) is None:
        served = {flags["model_name"]: (flags["model_base_path"], "")}
    else:
        text = (tmp_path / "models.config").read_text()
        parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
        served = {
            entry.name: (entry.base_path, str(entry.model_version_policy)) for entry in parsed.model_config_list.config
        }
    assert set(served) == set(wanted)
    policy = "all" if all_versions else "specific" if "/" in path else ""
    for name, (base_path, found) in served.items():
        assert base_path == str(tmp_path / "my models" / name)
        assert found.startswith(policy) and bool(found) == bool(policy)
