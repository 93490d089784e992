import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from pipelines.boxes import inverse
from socialmd_tf.report import charts, player, plots
from socialmd_tf.report.shown_box import ShownBox
from tests.boxes import CUBE, SLAB, TRICLINIC
from tests.socialmd_tf.report.report_examples import unpacked, window

SQUARE = 10.0 * np.eye(2)
THROUGH_A_FACE = np.array([[[7.0, 5.0]], [[9.0, 5.0]], [[11.0, 5.0]], [[13.0, 5.5]]])
"""Four frames of one particle that leaves the square at x = 10."""


def test_a_path_through_a_face_is_broken_by_hand():
    shown = ShownBox.around(SQUARE, THROUGH_A_FACE)
    np.testing.assert_allclose(shown.wrap(THROUGH_A_FACE)[:, 0], [[7, 5], [9, 5], [1, 5], [3, 5.5]])
    np.testing.assert_array_equal(shown.breaks(THROUGH_A_FACE)[:, 0], [False, False, True, False])
    nan = np.nan
    expected = [[7, 5], [7, 5], [9, 5], [nan, nan], [1, 5], [1, 5], [3, 5.5]]
    np.testing.assert_allclose(shown.lines(THROUGH_A_FACE)[:, 0], expected)


@pytest.mark.parametrize("box", [CUBE, SLAB, TRICLINIC], ids=["cube", "slab", "triclinic"])
def test_no_line_is_longer_than_the_move_that_it_shows(box):
    paths = np.random.default_rng(0).normal(size=(30, 20, 3)).cumsum(axis=0)
    shown = ShownBox.around(box, paths)
    lines = shown.lines(paths)
    drawn = np.linalg.norm(np.diff(lines, axis=0), axis=-1)
    moves = np.linalg.norm(np.diff(paths, axis=0), axis=-1)
    assert np.isnan(lines).any()
    assert np.nanmax(drawn) <= moves.max() + 1e-9
    fractions = ((lines - shown.corner) @ inverse(box))[..., box.any(axis=1)]
    assert np.nanmin(fractions) > -1e-9 and np.nanmax(fractions) < 1 + 1e-9
    np.testing.assert_allclose(lines[-1], shown.wrap(paths[-1]))


def test_open_space_is_left_alone():
    shown = ShownBox.around(None, THROUGH_A_FACE)
    assert shown.wrap(THROUGH_A_FACE) is shown.lines(THROUGH_A_FACE) is THROUGH_A_FACE
    assert not shown.breaks(THROUGH_A_FACE).any() and shown.outline().shape == (0, 2, 2)


def test_the_copy_of_the_box_that_holds_the_particles_is_shown():
    inside = np.random.default_rng(1).uniform(0, 10, size=(1, 50, 2))
    np.testing.assert_array_equal(ShownBox.around(SQUARE, inside).corner, [0, 0])
    np.testing.assert_array_equal(ShownBox.around(SQUARE, inside - 5).corner, [-5, -5])


@pytest.mark.parametrize(("box", "num_edges"), [(SQUARE, 4), (np.diag([10.0, 0.0]), 1), (CUBE, 8), (SLAB, 3)])
def test_the_outline_has_the_edges_of_the_box(box, num_edges):
    """Edges in front of others count once; four edges of a cube point along z and become points."""
    shown = ShownBox.around(box, np.zeros((1, 1, len(box))))
    edges = shown.outline()
    assert len(edges) == num_edges
    corners = {tuple(corner) for corner in edges.reshape(-1, 2)}
    assert all(tuple(shown.corner[:2]) <= corner for corner in corners)
    assert max(np.linalg.norm(end - start) for start, end in edges) == pytest.approx(np.abs(box[:, :2]).max())


def periodic_window():
    """An example window of 20 particles that leave a square of side 4 again and again."""
    return window(0, num_frames=(3, 6), num_particles=20, box=4.0 * np.eye(2))


def test_the_player_gets_wrapped_frames_and_breaks():
    example = periodic_window()
    (shown,) = unpacked(player.data([example], "1"))["windows"]
    view = ShownBox.around(example.box, example.warm_up)
    low, high = view.corner[0], view.corner[0] + 4
    last = example.warm_up[-1:]
    series = [(shown["truth"], example.truth)]
    series += [(each["mean"], example.predictions[each["name"]][0]) for each in shown["predictions"]]
    for columns, frames in series:
        for axis, name in enumerate("xy"):
            np.testing.assert_allclose(columns[name], view.wrap(frames)[..., axis], atol=1e-3)
            assert low - 1e-3 <= np.min(columns[name]) and np.max(columns[name]) <= high + 1e-3
        expected = view.breaks(np.concatenate([last, frames]))[1:]
        assert [sorted(row) for row in columns["breaks"]] == [np.flatnonzero(row).tolist() for row in expected]
        assert expected[0].any()  # also on the way from the last observed frame
    assert len(shown["box"]) == 4
    np.testing.assert_allclose(shown["center"], [(low + high) / 2] * 2, atol=0.2)
    # The regions of these predictions reach far beyond the faces.
    assert shown["size"] == pytest.approx(4 * 1.08 * player.MOST_ROOM, abs=0.2)


def test_narrow_regions_leave_the_player_as_large_as_the_box():
    example = periodic_window()
    narrow = {name: (mean, 1e-9 * covariance) for name, (mean, covariance) in example.predictions.items()}
    (shown,) = unpacked(player.data([dataclasses.replace(example, predictions=narrow)], "1"))["windows"]
    assert shown["size"] == pytest.approx(4 * 1.08, abs=0.2)


def test_the_player_of_open_space_has_neither_box_nor_breaks():
    (shown,) = unpacked(player.data([window(0)], "1"))["windows"]
    assert shown["box"] == [] and "breaks" not in shown["truth"]


def test_charts_draw_the_box_and_broken_paths():
    example = periodic_window()
    mean, covariance = example.predictions["ours"]
    figure = json.loads(charts.paths(example.warm_up, example.truth, mean, (mean, covariance), "1", example.box))
    assert [trace["name"] for trace in figure["data"]].count("box") == 4
    assert figure["layout"]["xaxis"]["range"][1] - figure["layout"]["xaxis"]["range"][0] < 5


def test_pictures_of_other_images_are_the_same(tmp_path):
    """Three particles are moved by lattice vectors; without wrapping they would be elsewhere."""
    example = periodic_window()
    mean, covariance = example.predictions["ours"]
    shift = np.zeros((20, 2))
    shift[:3] = [[4.0, 0.0], [-4.0, 8.0], [0.0, 4.0]]
    pictures = []
    for name, moved, box in (("a.png", 0.0, example.box), ("b.png", shift, example.box), ("c.png", 0.0, None)):
        warm_up, predicted, truth = (each + moved for each in (example.warm_up, mean, example.truth))
        plots.paths(tmp_path / name, warm_up, predicted, covariance, truth=truth, box=box)
        pictures.append(np.asarray(Image.open(tmp_path / name).convert("RGB")))
    first, second, unwrapped = pictures
    assert (first != second).mean() < 1e-3 < (first != unwrapped).mean()
