"""What one neighbour changes in a prediction, beside sums over pairs that are known."""

import types

import numpy as np
import pytest

from pipelines.common_windows import CommonWindows
from pipelines.manifest import Manifest
from socialmd_tf.evaluation.pair_responses import pair_responses
from socialmd_tf.evaluation.predictors import Predictor
from socialmd_tf.evaluation.scored_windows import ScoredWindows
from socialmd_tf.layers.density import DensityLayout
from tests.socialmd_tf.evaluation.small_model import WINDOWS

NAMES = ("mass", "charge")


def model(head="kinematic"):
    return types.SimpleNamespace(head_name=head, card={"windows": {"subsample": WINDOWS.subsample}})


def predictor(strength):
    """Moves by the sum over pairs of m_j strength(r) towards the others, and by 7 along x."""

    def predict(inputs):
        x, mass = inputs["positions"][:, -1], inputs["features"][..., 0]
        apart = x[:, None] - x[:, :, None]
        if "box" in inputs:
            size = np.diagonal(inputs["box"], axis1=-2, axis2=-1)[:, None, None]
            apart = apart - size * np.round(apart / size)
        r = np.linalg.norm(apart, axis=-1) + np.eye(x.shape[1])
        moved = x + np.array([7, 0]) + np.einsum("bij,bijd->bid", mass[:, None] * strength(r) / r, apart)
        return np.concatenate([moved, np.ones((*moved.shape[:2], 3))], axis=-1)[:, None]

    return Predictor(predict, DensityLayout(2, 1, True), WINDOWS)


@pytest.fixture
def charged(write_dataset, random_trajectory):
    """Two files of 6 particles of mass 2 with charges of both signs."""
    files = []
    for seed in (3, 4):
        frames = random_trajectory(num_particles=6, seed=seed)[..., :2]
        features = np.stack([np.full(6, 2.0), [1, -1, 2, -2, 3, -3]], axis=-1)
        files.append(np.concatenate([frames, np.broadcast_to(features, (len(frames), 6, 2))], axis=-1))
    files = [frames.astype(np.float32) for frames in files]
    return write_dataset({"train": files[:1], "test": files}, features=NAMES)


def responses(directory, strength, head="kinematic"):
    scored = ScoredWindows(CommonWindows([WINDOWS]), directory, "test")
    return pair_responses({"ours": model(head)}, {"ours": predictor(strength)}, scored, Manifest.load(directory))


def test_the_response_of_a_sum_over_pairs_is_the_term_of_the_pair(charged):
    """A move per squared frame is a force of mass times move / interval^2, whatever the other particles do."""
    curves = responses(charged, lambda r: 1.5 - 0.1 * r)
    assert len(curves) == 3 and {curve["quantity"] for curve in curves} == {"force"}
    interval = WINDOWS.subsample * 0.1
    for curve in curves:
        r, force = np.array(curve["r"]), np.array(curve["learned"]["ours"])
        known = np.isfinite(force)
        assert known.any()
        step = np.diff(curve["r"]).max()  # the mean over a bin is the value somewhere in it
        np.testing.assert_allclose(
            force[known], 2 * 2 * (1.5 - 0.1 * r[known]) / interval**2, atol=0.4 * step / interval**2
        )
        low, high = np.array(curve["ranges"]["ours"])
        assert (low[known] <= force[known]).all() and (force[known] <= high[known]).all()


def test_other_heads_move_by_lengths(charged):
    curves = responses(charged, np.ones_like, head="langevin")
    found = np.concatenate([curve["learned"]["ours"] for curve in curves])
    assert {curve["quantity"] for curve in curves} == {"move"} and curves[0]["true"] is None
    np.testing.assert_allclose(found[np.isfinite(found)], 2.0, rtol=1e-4)


def test_responses_reach_across_a_box(write_dataset, random_trajectory):
    frames = random_trajectory(num_particles=8, num_features=1, seed=5)
    frames[..., 2] = 2.0
    directory = write_dataset({"train": [frames], "test": [frames]}, box=(6.0, 6.0))
    (curve,) = responses(directory, np.ones_like, head="displacement")
    found = np.array(curve["learned"]["ours"])
    assert max(curve["r"]) < 3 and np.isfinite(found).sum() > 10
    np.testing.assert_allclose(found[np.isfinite(found)], 2.0, rtol=1e-4)


def test_models_without_neighbours_or_with_forces_have_no_responses(charged):
    assert responses(charged, np.zeros_like) == []
    assert responses(charged, np.ones_like, head="verlet") == []
