"""All ways to hold pairs."""

import pytest

from socialmd_tf.layers.pairs import few_or_many, on_pairs
from socialmd_tf.layers.static_shapes import static_shapes

LIMITS = {
    "all pairs": {},
    "pairs of blocks": {"BLOCK": 4, "LIMIT": 0, "CROWDED": -1},
    "listed pairs": {"LIMIT": 0, "CROWDED": 1},
}


@pytest.fixture
def hold_pairs(monkeypatch):
    """Set the limits to such that few particles' pairs are held in one of the ways: `hold_pairs("listed pairs")`."""

    def hold(way):
        monkeypatch.undo()
        for name, value in LIMITS[way].items():
            for module in (on_pairs, few_or_many):
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, value)

    return hold


@pytest.fixture(params=LIMITS)
def held(request, hold_pairs):
    """Every way to hold pairs."""
    hold_pairs(request.param)


@pytest.fixture(params=["shapes by values", "static shapes"])
def form(request):
    """Both forms of the layers that have one with static shapes."""
    with static_shapes(request.param == "static shapes"):
        yield
