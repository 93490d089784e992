import itertools
import math

import numpy as np
import pytest

from socialmd_tf.layers.pairs.radial_pulls import radial_functions
from socialmd_tf.layers.pairs.shared_noise import shared_noise
from tests.socialmd_tf.layers import periodic
from tests.socialmd_tf.layers.conftest import LIMITS

CUTOFF, FUNCTIONS = 2.0, 4
SHARES = np.array([[0.4, -0.2, 0.1, 0.3], [0.2, 0.1, -0.3, 0.05]], "float32")


def system(num_dimensions=2, num_particles=6):
    """Positions and normal numbers of two systems, the second padded."""
    generator = np.random.default_rng(0)
    mask = np.ones((2, num_particles))
    mask[1, -1] = 0
    shape = (2, num_particles, num_dimensions)
    return [array.astype("float32") for array in (generator.normal(size=shape), generator.normal(size=shape), mask)]


def by_loops(positions, normal, mask):
    """The definition, pair by pair."""
    positions, normal = np.asarray(positions, np.float64), np.asarray(normal, np.float64)
    size, centers = positions.shape[-1], np.linspace(0.16 * CUTOFF, 0.84 * CUTOFF, FUNCTIONS)
    width, noise = centers[1] - centers[0], normal.copy()
    for b, i in itertools.product(*map(range, mask.shape)):
        variance = np.eye(size)
        for j in range(mask.shape[1]):
            apart = positions[b, j] - positions[b, i]
            distance = math.hypot(*apart)
            if i == j or not mask[b, i] or not mask[b, j] or distance > CUTOFF:
                continue
            functions = np.exp(-0.5 * ((distance - centers) / width) ** 2) * (1 - (distance / CUTOFF) ** 6)
            along, across = SHARES @ functions
            line = np.outer(apart, apart) / distance**2
            noise[b, i] += (along * line + across * (np.eye(size) - line)) @ normal[b, j]
            variance += along**2 * line + across**2 * (np.eye(size) - line)
        values, axes = np.linalg.eigh(variance)
        noise[b, i] = axes @ (axes.T @ noise[b, i] / np.sqrt(values))
    return noise


@pytest.mark.slow_cases("shapes by values-pairs of blocks-2")
@pytest.mark.usefixtures("form", "held")
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_equals_loops_over_pairs(num_dimensions):
    positions, normal, mask = system(num_dimensions)
    expected = by_loops(positions, normal, mask)
    assert np.abs(expected - normal).max() > 0.3
    np.testing.assert_allclose(shared_noise(normal, positions, mask, CUTOFF, SHARES), expected, rtol=1e-4, atol=1e-5)


def test_two_particles_are_correlated_as_the_shares_say():
    distance, count = 1.1, 200_000
    positions = np.tile(np.array([[0.0, 0.0], [distance, 0.0]], "float32"), (count, 1, 1))
    normal = np.random.default_rng(1).normal(size=positions.shape).astype("float32")
    noise = np.asarray(shared_noise(normal, positions, None, CUTOFF, SHARES), np.float64)
    along, across = SHARES @ np.asarray(radial_functions(distance / CUTOFF, FUNCTIONS))
    expected = [2 * along / (1 + along**2), 2 * across / (1 + across**2)]
    np.testing.assert_allclose(np.mean(noise[:, 0] * noise[:, 1], axis=0), expected, atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_each_vector_alone_is_a_standard_normal_one(num_dimensions):
    count, (positions, _, _) = 100_000, system(num_dimensions)
    normal = np.random.default_rng(1).normal(size=(count, *positions.shape[1:])).astype("float32")
    noise = np.asarray(shared_noise(normal, np.tile(positions[:1], (count, 1, 1)), None, CUTOFF, SHARES), np.float64)
    covariances = np.einsum("cni,cnj->nij", noise, noise) / count
    np.testing.assert_allclose(covariances, np.tile(np.eye(num_dimensions), (len(covariances), 1, 1)), atol=0.02)


def test_particles_out_of_reach_share_nothing():
    positions, normal, mask = system()
    np.testing.assert_array_equal(shared_noise(normal, 100 * positions, mask, CUTOFF, SHARES), normal)


def test_noise_turns_with_the_system():
    positions, normal, mask = system(3)
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
    turned = shared_noise(*((values @ turn).astype("float32") for values in (normal, positions)), mask, CUTOFF, SHARES)
    expected = np.asarray(shared_noise(normal, positions, mask, CUTOFF, SHARES)) @ turn
    np.testing.assert_allclose(turned, expected, atol=1e-5)


@pytest.mark.slow_cases("pairs of blocks-*")
@pytest.mark.parametrize("box", [periodic.BOXES["sheared"], periodic.BOXES["triclinic"]], ids=["2D", "3D"])
@pytest.mark.parametrize("way", LIMITS)
def test_a_box_is_the_open_system_of_all_images(box, way, hold_pairs):
    boxes, positions, mask = periodic.system(box)
    positions = periodic.wrapped(positions, boxes)
    normal = np.random.default_rng(1).normal(size=positions.shape).astype("float32")
    images, *repeated = periodic.all_images(boxes, positions, normal, mask)
    expected = shared_noise(repeated[0], images, repeated[1], periodic.CUTOFF, SHARES)
    hold_pairs(way)
    found = shared_noise(normal, positions, mask, periodic.CUTOFF, SHARES, boxes)
    np.testing.assert_allclose(found, expected[:, : positions.shape[1]], rtol=1e-4, atol=2e-5)
