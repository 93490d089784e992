"""One server for the tests of the client: `socialmd-tf serve`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from socialmd_tf.export.saved_model import ExportedModel
from tests.socialmd_tf.serving import exports
from tests.socialmd_tf.serving.docker import Container, serving_in_docker
from tests.socialmd_tf.serving.running import Running, serving

VERSIONS = {1: "absolute positions in 3D, no features", 2: "kinematic"}


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`saved_models/tiny`, whose two versions take different inputs."""
    directory = tmp_path_factory.mktemp("saved_models") / "tiny"
    exports.export_untrained(directory, {**exports.TINY, "interaction": "none"}, num_dimensions=3, features=())
    exports.export_untrained(directory, exports.ALONE, features=("mass", "charge"))
    return directory


@pytest.fixture(scope="session")
def in_process(saved_models: Path) -> dict[int, ExportedModel]:
    """The same versions, loaded here."""
    return {version: ExportedModel(saved_models / str(version)) for version in VERSIONS}


@pytest.fixture(scope="session")
def server(saved_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running | Container]:
    """Every version of `tiny` on `socialmd-tf serve`, or on the image in SOCIALMD_TF_SERVING_IMAGE."""
    pytest.importorskip("tensorflow_serving", reason="needs the extra `serving`: pip install 'socialmd_tf[serving]'")
    image = os.environ.get("SOCIALMD_TF_SERVING_IMAGE")
    if image:
        starting = serving_in_docker(saved_models, image, tmp_path_factory.mktemp("config"))
    else:
        starting = serving(saved_models, "--all-versions")
    with starting as running:
        yield running
