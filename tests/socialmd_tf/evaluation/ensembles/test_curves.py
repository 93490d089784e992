import dataclasses
import math

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.molecules.solvent_accessible_area import accessible_areas
from socialmd_tf.evaluation.ensembles import pair_curves
from socialmd_tf.evaluation.ensembles import setting as setting_module
from socialmd_tf.evaluation.ensembles.curves import FAMILIES, System, choose, curves, statistics
from socialmd_tf.evaluation.ensembles.setting import find_setting

MOLECULES = Manifest(
    "m",
    3,
    ("OQL", "ONC", "anchor_x", "anchor_y", "anchor_z"),
    "nm",
    1.0,
    {},
    {"command": "python -m socialmd_tf.prepare", "config": {"molecules": ["OQL", "ONC"], "radii": [0.3, 0.4]}},
)
KINDS = np.array([0, 1, 1, 0])
FEATURES = np.concatenate([np.eye(2)[KINDS], np.zeros((4, 3))], axis=1)


def walk(num_steps=6, num_particles=4, num_dimensions=3, seed=0):
    moves = np.random.default_rng(seed).normal(size=(num_steps + 1, num_particles, num_dimensions))
    return 0.4 * moves.cumsum(axis=0)


def found(path, manifest=MOLECULES, features=FEATURES, box=None, names=None):
    setting = find_setting(manifest, [(path[0], features, box)], [], len(path) - 1)
    names = choose(setting, ())[0] if names is None else names
    return curves(path, System(setting.kinds(features), features, box), setting, names), setting


def test_curves_of_groups_by_loops():
    path = walk()
    curve, _ = found(path)
    for step in range(1, 7):
        x, start = path[step], path[0]
        assert curve["radius_OQL"][step - 1] == pytest.approx(np.mean([np.linalg.norm(x[i]) for i in (0, 3)]))
        assert curve["move_ONC"][step - 1] == pytest.approx(
            np.mean([np.linalg.norm(x[i] - path[step - 1, i]) for i in (1, 2)])
        )
        assert curve["displacement_ONC"][step - 1] == pytest.approx(
            np.mean([np.sum((x[i] - start[i]) ** 2) for i in (1, 2)])
        )
        area = accessible_areas(x, np.array([0.3, 0.4, 0.4, 0.3]), 0.14).sum()
        assert curve["accessible_area"][step - 1] == pytest.approx(area)


def test_curves_of_pairs_by_loops():
    path, radii = walk(seed=3), [0.3, 0.4, 0.4, 0.3]
    curve, setting = found(path)
    groups = {"OQL": (0, 3), "ONC": (1, 2)}

    def touches(x, i, j):
        return np.linalg.norm(x[i] - x[j]) < radii[i] + radii[j] + 0.28

    for first, second in (("OQL", "OQL"), ("OQL", "ONC"), ("ONC", "ONC")):
        pairs = [(i, j) for i in groups[first] for j in groups[second] if i != j]
        at_start = [pair for pair in pairs if touches(path[0], *pair)]
        for step in range(1, 7):
            x = path[step]
            number = sum(touches(x, *pair) for pair in pairs) / 2
            assert curve[f"contacts_{first}_{second}"][step - 1] == pytest.approx(number)
            if at_start:
                remaining = sum(touches(x, *pair) for pair in at_start) / len(at_start)
                assert curve[f"residence_{first}_{second}"][step - 1] == pytest.approx(remaining)
            distances = [np.linalg.norm(x[i] - x[j]) for i, j in pairs]
            shares = np.histogram(distances, setting.pair_edges)[0] / len(pairs)
            assert curve[f"pair_distribution_{first}_{second}"][step - 1] == pytest.approx(shares)


def test_pairs_in_pieces_give_the_same_curves(monkeypatch):
    whole, _ = found(walk(seed=3))
    monkeypatch.setattr(pair_curves, "_PAIRS", 4)
    pieces, _ = found(walk(seed=3))
    for name, values in whole.items():
        np.testing.assert_array_equal(pieces[name], values)


def test_contacts_of_a_large_system_follow_from_some_of_its_particles(monkeypatch):
    path = walk(num_steps=3, num_particles=300)
    features = np.zeros((300, 0))
    manifest = Manifest("m", 3, (), "nm", 1.0, {}, {})
    every = found(path, manifest, features)[1]
    monkeypatch.setattr(setting_module, "_PAIRS", 100 * 300)
    some = found(path, manifest, features)[1]
    assert every.contact != some.contact
    np.testing.assert_allclose(some.contact, every.contact, rtol=0.2)
    np.testing.assert_allclose(some.pair_edges, every.pair_edges, rtol=0.1)


def test_shares_around_the_centre_by_hand():
    path = walk()
    curve, setting = found(path)
    radii = np.linalg.norm(path[2, [0, 3]], axis=1)
    assert curve["radial_distribution_OQL"][1] == pytest.approx(np.histogram(radii, setting.center_edges)[0] / 2)
    assert setting.center_edges[-1] == pytest.approx(np.linalg.norm(path[0], axis=1).max())


def test_the_autocorrelation_of_moves_to_and_fro_alternates_and_that_of_rest_is_zero():
    path = np.zeros((7, 4, 3))
    path[1::2, :, 0] = 1.0
    curve, _ = found(path)
    assert curve["velocity_autocorrelation_OQL"] == pytest.approx([-1, 1, -1, 1, -1])
    assert found(np.ones((7, 4, 3)))[0]["velocity_autocorrelation_OQL"].tolist() == [0.0] * 5


def test_an_ideal_gas_in_a_box_has_g_of_one():
    generator = np.random.default_rng(0)
    path, box = generator.uniform(0, 3, (30, 60, 3)), 3.0 * np.eye(3)
    manifest = Manifest("gas", 3, (), "1", 1.0, {}, {}, box=(3.0, 3.0, 3.0))
    curve, setting = found(path, manifest, np.zeros((60, 0)), box)
    assert setting.pair_edges[-1] == pytest.approx(1.5)
    assert curve["pair_distribution_all_all"].mean(axis=0)[2:] == pytest.approx(np.ones(6), abs=0.1)
    shifted, _ = found(path + 3.0 * np.eye(3)[0] * (np.arange(60) % 2)[:, None], manifest, np.zeros((60, 0)), box)
    assert shifted["contacts_all_all"] == pytest.approx(curve["contacts_all_all"])


def test_curves_do_not_change_with_rotation_and_order():
    path = walk()
    turn, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    order = [2, 0, 3, 1]
    curve, _ = found(path, names=[name for name in FAMILIES if name != "accessible_area"])
    turned, _ = found(
        path[:, order] @ turn, features=FEATURES[order], names=[name for name in FAMILIES if name != "accessible_area"]
    )
    for name, values in curve.items():
        assert turned[name] == pytest.approx(values, nan_ok=True), name


def test_an_empty_group_has_no_numbers():
    features = FEATURES[[0, 0, 0, 0]]
    setting = find_setting(MOLECULES, [(walk()[0], features, None)], [FEATURES], 6)
    curve = curves(walk(), System(setting.kinds(features), features, None), setting, list(choose(setting, ())[0]))
    for name, values in curve.items():
        assert np.isnan(values).all() == ("ONC" in name) or name.startswith("residence"), name
    assert set(curve) == set(statistics(setting, choose(setting, ())[0]))


@pytest.mark.parametrize(
    ("change", "features", "asked", "reason"),
    [
        ({}, FEATURES, "speed", "must be of radius, "),
        ({"provenance": {}}, FEATURES, "radius", "does not say that its particles are molecules"),
        ({"provenance": {}}, FEATURES, "accessible_area", "does not state radii"),
        ({}, FEATURES[:1], "contacts", "no system has two particles"),
    ],
)
def test_statistics_that_a_dataset_cannot_have_are_refused_by_name_and_else_left_out(change, features, asked, reason):
    manifest = dataclasses.replace(MOLECULES, **change)
    setting = find_setting(manifest, [(walk()[0][: len(features)], features, None)], [], 6)
    with pytest.raises(UserError, match="`statistics` must be") as error:
        choose(setting, (asked,))
    assert reason in str(error.value)
    names, lacking = choose(setting, ())
    assert asked not in names and (asked in lacking or asked == "speed")


@pytest.mark.parametrize(
    ("names", "rows", "groups"),
    [
        (("charge",), [[1.0], [-1.0], [1.0]], ("charge=-1", "charge=1")),
        (("mass",), [[m] for m in (1.1, 1.2, 1.3, 1.4, 1.5)], ("all",)),
        ((), [[], []], ("all",)),
        (("A", "B", "C"), [[1, 0, 0], [0, 0, 1]], ("A", "C")),
    ],
)
def test_groups_are_names_or_few_values_or_all(names, rows, groups):
    features = np.array(rows, float).reshape(len(rows), len(names))
    manifest = Manifest("d", 2, names, "1", 1.0, {}, {})
    setting = find_setting(manifest, [(np.random.default_rng(0).normal(size=(len(rows), 2)), features, None)], [], 3)
    assert setting.groups.names == groups
    if names == ("charge",):
        assert setting.kinds(features).tolist() == [1, 0, 1]
    assert not math.isnan(setting.contact)
