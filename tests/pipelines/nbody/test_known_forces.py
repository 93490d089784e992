import pytest

from pipelines.manifest import Manifest
from pipelines.nbody.known_forces import NBodyForces, known_nbody_forces

CONFIG = {"coulomb_constant": 300.0, "gravitational_constant": 20}
PROVENANCE = {"command": "python -m socialmd_tf.simulate --seed 0", "config": CONFIG}


def manifest(provenance=PROVENANCE, features=("kind", "charge", "mass")):
    return Manifest("tiny", 2, features, "1", 0.1, {}, provenance)


@pytest.mark.parametrize("command", ["python -m socialmd_tf.simulate --seed 0", "python -m socialmd_tf.train"])
def test_our_data_tell_their_forces(command):
    forces = known_nbody_forces(manifest({**PROVENANCE, "command": command}))
    assert forces == NBodyForces(300.0, 20, mass=2, charge=1)
    assert forces.constants == CONFIG


@pytest.mark.parametrize(
    "changes",
    [
        {"provenance": {}},
        {"provenance": {"config": CONFIG}},
        {"provenance": {**PROVENANCE, "command": "measured"}},
        {"provenance": {**PROVENANCE, "config": "lost"}},
        {"provenance": {**PROVENANCE, "config": {"coulomb_constant": 300.0}}},
        {"provenance": {**PROVENANCE, "config": {**CONFIG, "gravitational_constant": float("nan")}}},
        {"features": ("mass",)},
        {"features": ("charge",)},
    ],
)
def test_other_data_do_not(changes):
    assert known_nbody_forces(manifest(**changes)) is None
