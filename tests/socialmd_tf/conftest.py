"""One exported model for the tests of evaluations and of commands."""

import pytest


@pytest.fixture(scope="session")
def small_export(tmp_path_factory):
    """A small model with random weights for two dimensions and one feature, exported and loaded."""
    from tests.socialmd_tf.evaluation.small_model import exported_model  # TensorFlow, which not all tests need

    return exported_model(tmp_path_factory.mktemp("saved") / "small")
