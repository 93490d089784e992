"""The files that start a model server: its list of models, its batching, and a docker-compose.yml."""

import json
import os
import re
from pathlib import Path

from pipelines.atomic_files import write_text
from pipelines.errors import UserError

IMAGE = "tensorflow/serving:2.21.0"
"""The released image of the TensorFlow version that exports the models."""

BATCHING = """\
# Requests that arrive together are answered in one batch, if they have the same T and N. Padding is off: the server
# pads with copies of an input's first number, which would turn padding into particles.
max_batch_size { value: 32 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 100 }
num_batch_threads { value: 4 }
pad_variable_length_inputs: false
"""

COMPOSE = """\
# docker compose up -d --wait                                   all signatures, gRPC on 8500, REST on 8501
# docker compose --profile batched up -d --wait serving-batched rollout_rows, initial_state and step, 8510 and 8511
x-server: &server
  image: {image}
  entrypoint: [tensorflow_model_server]
  volumes:
    - type: bind
      source: {models}
      target: /models
      read_only: true
    - ./models.config:/config/models.config:ro
    - ./batching.config:/config/batching.config:ro
  environment:
    TF_CPP_MIN_LOG_LEVEL: "1"
    TF_XLA_FLAGS: --tf_xla_auto_jit=-1
  restart: unless-stopped
  healthcheck:
    # The image has no HTTP client.
    test:
      - CMD
      - bash
      - -c
      - |
        for model in {names}; do
          exec 3<>/dev/tcp/127.0.0.1/8501 || exit 1
          printf 'GET /v1/models/%s HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' "$$model" >&3
          grep -q '"AVAILABLE"' <&3 || exit 1
        done
    interval: 10s
    timeout: 5s
    retries: 3
    start_period: 120s

services:
  serving:
    <<: *server
    command:
      - --port=8500
      - --rest_api_port=8501
      - --model_config_file=/config/models.config
    ports:
      - 127.0.0.1:8500:8500
      - 127.0.0.1:8501:8501

  # A batching server refuses signatures whose inputs do not all have one row per system, such as `rollout` with its
  # one horizon. The warm-up requests for these signatures would keep it from starting.
  serving-batched:
    <<: *server
    profiles: [batched]
    command:
      - --port=8500
      - --rest_api_port=8501
      - --model_config_file=/config/models.config
      - --enable_batching=true
      - --batching_parameters_file=/config/batching.config
      - --enable_model_warmup=false
    ports:
      - 127.0.0.1:8510:8500
      - 127.0.0.1:8511:8501
"""


def write(saved_models: Path, output: Path) -> list[Path]:
    """Write `models.config`, `batching.config` and `docker-compose.yml` for all models of a directory.

    The files contain no absolute path: the two directories can be moved together.

    Args:
        saved_models: Directory of `NAME/VERSION/`.
        output: Directory to write to.

    Returns:
        The files.

    Raises:
        UserError: There is no model, or a name is not allowed in a URL.
    """
    names = model_names(saved_models)
    if output.exists() and not output.is_dir():
        raise UserError(f"`output` must be a directory. Received: {output}")
    texts = {
        "models.config": models_config(names),
        "batching.config": BATCHING,
        "docker-compose.yml": COMPOSE.format(image=IMAGE, models=_quoted(saved_models, output), names=" ".join(names)),
    }
    for name, text in texts.items():
        write_text(output / name, text)
    return [output / name for name in texts]


def _quoted(saved_models: Path, output: Path) -> str:
    """The relative path of the models as a YAML string, in which Compose replaces no variables."""
    path = Path(os.path.relpath(saved_models, output)).as_posix()
    return json.dumps((path if path.startswith(".") else f"./{path}").replace("$", "$$"), ensure_ascii=False)


def model_names(saved_models: Path) -> list[str]:
    """Names of the models with at least one version.

    Raises:
        UserError: There is none, or a name is not allowed in a URL.
    """
    versions = sorted(saved_models.glob("*/*/saved_model.pb")) if saved_models.is_dir() else []
    names = sorted({path.parent.parent.name for path in versions if path.parent.name.isdecimal()})
    if not names:
        raise UserError(f"`saved_models` must hold NAME/VERSION/saved_model.pb. Found none in {saved_models}")
    for name in names:
        check_name(name)
    return names


def check_name(name: str) -> None:
    """Refuse a name of a model that is not allowed in a URL.

    Raises:
        UserError: It is not.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise UserError(
            f"the name of a served model must consist of letters, digits, '_', '.' and '-'. Received: {name!r}"
        )


def models_config(names: list[str], parent: str = "/models", policy: str = "") -> str:
    """The server's list of models, a `ModelServerConfig` in text format.

    Args:
        names: Names of the models.
        parent: Absolute path of the directory that holds them, where the server runs.
        policy: A `ServableVersionPolicy` such as `all {}`; empty for the newest version of each model.
    """
    lines = ["model_config_list {"]
    for name in names:
        path = json.dumps(f"{parent}/{name}", ensure_ascii=False)
        lines += ["  config {", f'    name: "{name}"', f"    base_path: {path}", '    model_platform: "tensorflow"']
        lines += [f"    model_version_policy {{ {policy} }}"] if policy else []
        lines += ["  }"]
    return "\n".join([*lines, "}", ""])
