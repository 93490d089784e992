import dataclasses

import pytest

from pipelines.errors import UserError
from pipelines.laws.config import SpringsConfig
from pipelines.laws.dataset import write_dataset
from pipelines.molecules.prepare import prepare
from pipelines.nbody.config import SimulationConfig
from pipelines.nbody.simulate import simulate
from pipelines.workers import Workers
from tests.pipelines.molecules.systems import contents

pytestmark = pytest.mark.slow
TWO = Workers(2)


def test_datasets_do_not_depend_on_the_workers(eight, tmp_path):
    """Trajectories, N-body systems in two units of work, and springs in three."""
    nbody = SimulationConfig(num_train=17, num_validation=1, num_test=1, num_steps=4, save_every=2, num_particles=3)
    springs = SpringsConfig(num_train=22, num_validation=1, num_test=1, num_frames=4)
    for name, workers in (("one", Workers()), ("two", TWO)):
        prepare(eight, tmp_path / name / "molecules", command="", workers=workers)
        simulate(nbody, tmp_path / name / "nbody", command="", workers=workers)
        write_dataset(springs, tmp_path / name / "springs", command="", workers=workers)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_simulation_at_fault_is_said_and_the_others_are_kept(eight, tmp_path):
    path = eight.trajectory[3]
    text = path.read_text()
    path.write_text(text.replace(" 10.000", "    nan", 1) if " 10.000" in text else text[: len(text) // 2])
    with pytest.raises(UserError, match=str(path)):
        prepare(eight, tmp_path / "data", command="", workers=TWO)
    path.write_text(text)
    prepare(eight, tmp_path / "data", command="", workers=TWO)
    prepare(dataclasses.replace(eight), tmp_path / "whole", command="")
    assert contents(tmp_path / "data") == contents(tmp_path / "whole")
