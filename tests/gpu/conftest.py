"""All tests here need a GPU: `pytest -m gpu tests/gpu`."""

import pytest
import tensorflow as tf


@pytest.fixture(autouse=True, scope="session")
def gpu():
    """Skip where there is no GPU."""
    if not tf.config.list_physical_devices("GPU"):
        pytest.skip("needs a GPU; TensorFlow sees none")
