"""All tests here need a GPU: `pytest -m gpu tests/gpu`."""

import pytest
import tensorflow as tf


@pytest.fixture(autouse=True, scope="session")
def gpu():
    """Skip where there is no GPU."""
    if not tf.config.list_physical_devices("GPU"):
        pytest.skip("needs a GPU; TensorFlow sees none")


@pytest.fixture
def tf32(request):
    """Whether products may be rounded to TF32; TensorFlow's default on a GPU."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(request.param)
    yield request.param
    tf.config.experimental.enable_tensor_float_32_execution(before)
