import functools
import http.server
import shutil
import subprocess
import sys
import threading

import pytest
import tensorflow as tf
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

from pipelines.errors import UserError
from socialmd_tf.serving import assets

INT64, BOOL, STRING = ".google.protobuf.Int64Value", "TYPE_BOOL", ".google.protobuf.StringValue"
BATCHING_FIELDS = [
    ("max_batch_size", 1, INT64),
    ("batch_timeout_micros", 2, INT64),
    ("max_enqueued_batches", 3, INT64),
    ("num_batch_threads", 4, INT64),
    ("thread_pool_name", 5, STRING),
    ("pad_variable_length_inputs", 7, BOOL),
]
"""Fields of TensorFlow Serving's BatchingParameters (servables/tensorflow/session_bundle_config.proto), which is not
among the protos that tensorflow-serving-api brings."""


@pytest.fixture
def saved_models(tmp_path):
    """A directory that looks like two models, one with two versions, and an empty one."""
    for version in ("first/1", "first/2", "second-model/7"):
        path = tmp_path / "saved_models" / version / "saved_model.pb"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    (tmp_path / "saved_models" / "empty").mkdir()
    return tmp_path / "saved_models"


def batching_parameters():
    """The message type, made from the list of its fields."""
    file = descriptor_pb2.FileDescriptorProto(name="batching.proto", package="test", syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="BatchingParameters")
    for name, number, kind in BATCHING_FIELDS:
        field = message.field.add(name=name, number=number, label="LABEL_OPTIONAL")
        field.type = kind if kind == BOOL else "TYPE_MESSAGE"
        if kind != BOOL:
            field.type_name = kind
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("test.BatchingParameters"))()


def test_the_list_of_models_is_a_model_server_config(saved_models, tmp_path):
    proto = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2", reason="needs the extra serving")
    assets.write(saved_models, tmp_path / "serving")
    config = text_format.Parse((tmp_path / "serving" / "models.config").read_text(), proto.ModelServerConfig())
    assert [(model.name, model.base_path, model.model_platform) for model in config.model_config_list.config] == [
        ("first", "/models/first", "tensorflow"),
        ("second-model", "/models/second-model", "tensorflow"),
    ]


def test_the_batching_parameters_are_those_of_the_server(saved_models, tmp_path):
    assets.write(saved_models, tmp_path)
    found = text_format.Parse((tmp_path / "batching.config").read_text(), batching_parameters())
    assert found.max_batch_size.value == 32 and found.batch_timeout_micros.value == 2000
    assert not found.pad_variable_length_inputs
    with pytest.raises(text_format.ParseError):
        text_format.Parse("largest_batch { value: 3 }", batching_parameters())


def compose(directory):
    return yaml.safe_load((directory / "docker-compose.yml").read_text())["services"]


def test_compose_pins_the_image_and_listens_on_this_machine_only(saved_models, tmp_path):
    assets.write(saved_models, tmp_path / "deep" / "serving")
    services = compose(tmp_path / "deep" / "serving")
    assert set(services) == {"serving", "serving-batched"}
    assert "profiles" not in services["serving"]
    for service in services.values():
        image, _, tag = service["image"].partition(":")
        assert image == "tensorflow/serving" and len(tag.split(".")) == 3
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        models, *files = service["volumes"]
        assert (tmp_path / "deep" / "serving" / models["source"]).resolve() == saved_models.resolve()
        assert (models["type"], models["target"], models["read_only"]) == ("bind", "/models", True)
        assert service["healthcheck"]["retries"] > 0
        for flag in (flag for flag in service["command"] if "=/config/" in flag):
            (mount,) = (volume for volume in files if flag.endswith(volume.split(":")[1]))
            assert (tmp_path / "deep" / "serving" / mount.split(":")[0]).exists()
    assert not any("batching" in flag for flag in services["serving"]["command"])
    assert "--enable_model_warmup=false" in services["serving-batched"]["command"]


@pytest.mark.parametrize("name", ["two words", "run $HOME {1$", "a:b", "it's #1", 'say "x"', "a: b"])
def test_paths_with_special_characters_stay_what_they_are(saved_models, tmp_path, name):
    directory = tmp_path / name / "saved_models"
    directory.parent.mkdir()
    saved_models.rename(directory)
    assets.write(directory, tmp_path / "serving")
    source = compose(tmp_path / "serving")["serving"]["volumes"][0]["source"]
    assert (tmp_path / "serving" / source.replace("$$", "$")).resolve() == directory.resolve()
    assert "$" not in source.replace("$$", "")


def test_the_image_is_of_a_tensorflow_that_the_models_may_be_made_with():
    """The image is at least as new as the installed TensorFlow: newer servers read older models."""
    served, installed = (tuple(map(int, text.split(".")[:2])) for text in (assets.IMAGE.split(":")[1], tf.__version__))
    assert served >= installed


def test_no_file_says_where_it_was_made(saved_models, tmp_path):
    for path in assets.write(saved_models, tmp_path / "serving"):
        assert str(tmp_path) not in path.read_text()
    assert sorted(path.name for path in (tmp_path / "serving").iterdir()) == [
        "batching.config",
        "docker-compose.yml",
        "models.config",
    ]


class Status(http.server.BaseHTTPRequestHandler):
    """The server's answer about models: `states` by name."""

    protocol_version = "HTTP/1.1"

    def __init__(self, states, *args):
        self.states = states
        super().__init__(*args)

    def do_GET(self):
        state = self.states.get(self.path.removeprefix("/v1/models/"))
        body = f'{{"model_version_status": [{{"version": "1", "state": "{state}"}}]}}'.encode()
        self.send_response(200 if state else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.mark.skipif(shutil.which("bash") is None, reason="the health check is a line of bash")
@pytest.mark.parametrize(
    ("states", "is_healthy"),
    [
        ({"first": "AVAILABLE", "second-model": "AVAILABLE"}, True),
        ({"first": "AVAILABLE", "second-model": "LOADING"}, False),
        ({"first": "AVAILABLE"}, False),
        (None, False),
    ],
)
def test_the_health_check_asks_for_every_model(saved_models, tmp_path, states, is_healthy):
    assets.write(saved_models, tmp_path)
    command = [part.replace("$$", "$") for part in compose(tmp_path)["serving"]["healthcheck"]["test"][1:]]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Status, states or {})) as server:
        port = server.server_port
        command[-1] = command[-1].replace("/8501", f"/{port}")
        if states is not None:
            threading.Thread(target=server.serve_forever).start()
        else:
            server.server_close()
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        finally:
            if states is not None:
                server.shutdown()
    assert (result.returncode == 0) == is_healthy, result.stderr


def test_models_that_cannot_be_served_are_refused(saved_models, tmp_path):
    with pytest.raises(UserError, match=r"`saved_models` must hold NAME/VERSION/saved_model\.pb\. Found none in "):
        assets.write(tmp_path / "nowhere", tmp_path / "serving")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="`output` must be a directory"):
        assets.write(saved_models, tmp_path / "file")
    (saved_models / "second-model").rename(saved_models / "second model")
    with pytest.raises(UserError, match=r"the name of a served model must.* Received: 'second model'"):
        assets.write(saved_models, tmp_path / "serving")
    assert not (tmp_path / "serving").exists()


def test_the_command_says_what_it_wrote_and_what_is_missing(saved_models, tmp_path):
    command = [sys.executable, "-m", "socialmd_tf.serving", "--output", str(tmp_path / "serving"), "--saved-models"]
    result = subprocess.run([*command, str(saved_models)], capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["wrote"] * 3
    result = subprocess.run([*command, str(tmp_path / "none")], capture_output=True, text=True, check=False)
    assert result.returncode == 2 and result.stderr.count("\n") == 1 and "Found none" in result.stderr
