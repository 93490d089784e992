import dataclasses

import pytest

from pipelines.errors import UserError
from pipelines.molecules.nanoparticle.config import NanoparticleConfig

SMALL = NanoparticleConfig(num_strands=6, chain_beads=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"drug": "salty"}, "`drug` must be 'hydrophobic', 'hydrophilic' or 'both'. Received: 'salty'"),
        ({"num_frames": 0}, "`num_frames` must be at least 1. Received: 0"),
        ({"num_strands": 1}, "`num_strands` must be at least 2. Received: 1"),
        ({"relaxation_steps": -1}, "`relaxation_steps` must be at least 0. Received: -1"),
        ({"friction": 0.0}, "`friction` must be positive. Received: 0.0"),
        ({"drug_fractions": (0.5, 1.0)}, "`drug_fractions` must be one or more shares above 0 and below 1. Received"),
        ({"seed": -1}, "`seed` must be at least 0 and below 2^31. Received: -1"),
    ],
)
def test_refuses_what_cannot_be(changes, message):
    with pytest.raises(UserError) as error:
        dataclasses.replace(SMALL, **changes)
    assert str(error.value).startswith(message)


def test_both_drugs_come_at_every_share_in_turn():
    config = NanoparticleConfig(drug="both", drug_fractions=(0.2, 0.8), num_strands=10)
    found = [(config.drug_of(index), config.num_drugs(index)) for index in range(5)]
    hydrophobic, hydrophilic = [("hydrophobic", 2), ("hydrophobic", 8)], [("hydrophilic", 2), ("hydrophilic", 8)]
    assert found == [*hydrophobic, *hydrophilic, hydrophobic[0]]
