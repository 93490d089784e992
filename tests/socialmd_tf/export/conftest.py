"""Exported models with random weights, shared by all tests of exports: (model, directory of the version)."""

import pytest

from tests.socialmd_tf.export.untrained import KINDS, export_untrained


@pytest.fixture(scope="session")
def gaussian(tmp_path_factory):
    return export_untrained(tmp_path_factory.mktemp("saved") / "small", *KINDS["gaussian"])


@pytest.fixture(scope="session")
def mixture_3d(tmp_path_factory):
    return export_untrained(tmp_path_factory.mktemp("saved") / "small", *KINDS["mixture-3d"])


@pytest.fixture(scope="session")
def pairwise(tmp_path_factory):
    return export_untrained(tmp_path_factory.mktemp("saved") / "small", *KINDS["pairwise"])


@pytest.fixture(
    params=["gaussian", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("mixture_3d", "pairwise"))]
)
def exported(request):
    return request.getfixturevalue(request.param)
