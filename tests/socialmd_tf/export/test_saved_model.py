import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import UserError
from socialmd_tf.export.frames import read
from socialmd_tf.export.model_card import PREDICTION_FIELDS
from socialmd_tf.export.saved_model import ExportedModel, load, load_keras_model
from socialmd_tf.layers.pairs.few_or_many import LIMIT
from socialmd_tf.model import rollout_layer
from tests.socialmd_tf.export.untrained import KINDS, export_untrained, random_inputs, untrained

SHIPPED = Path(__file__).parents[3] / "saved_models" / "nbody"


@pytest.mark.slow
def test_few_particles_and_many_are_seen_in_two_ways_that_one_export_knows(tmp_path):
    model, directory = export_untrained(tmp_path / "verlet", *KINDS["verlet"])
    loaded, layer = ExportedModel(directory), rollout_layer(model)
    for num_particles in (4, LIMIT + 10):
        positions, features = random_inputs(1, 2, num_particles, 3)
        steady = 6 * positions[:, :1] + 0.1 * np.arange(2, dtype=np.float32)[:, None, None]
        mean, covariance = loaded.moments(steady, features, 2)
        inputs = {"positions": steady, "features": features, "mask": np.ones((1, num_particles), np.float32)}
        parameters, _ = layer.run(inputs, 2)
        np.testing.assert_allclose(mean, layer.head.layout.mean(parameters), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(covariance, layer.head.layout.covariance(parameters), rtol=1e-3, atol=1e-3)


def test_the_density_is_the_model_s_own(exported):
    model, directory = exported
    positions, features = random_inputs(2, 2, 3, rollout_layer(model).head.layout.num_dimensions)
    mask = np.array([[1, 1, 1], [1, 1, 0]], np.float32)
    positions *= mask[:, None, :, None]
    inputs = {"positions": positions, "features": features, "mask": mask}
    real = np.broadcast_to(mask[:, None] > 0, (2, 3, 3))
    found = ExportedModel(directory).density(inputs)
    np.testing.assert_allclose(found[real], np.asarray(model(inputs))[real], rtol=1e-5, atol=1e-5)


def test_samples_have_seeds_and_fit_the_predicted_mean_and_covariance(exported):
    _, directory = exported
    loaded = ExportedModel(directory)
    positions, features = random_inputs(1, 2, 3, loaded.layout.num_dimensions)
    first = loaded.paths(positions, features, 2, (1, 2))
    np.testing.assert_array_equal(loaded.paths(positions, features, 2, (1, 2)), first)
    assert not np.any(loaded.paths(positions, features, 2, (1, 3)) == first)

    number = 4000
    many = [np.repeat(array, number, axis=0) for array in (positions, features)]
    drawn = loaded.paths(*many, 1, (0, 0))[:, 0].astype(np.float64)
    mean, covariance = (array[0, 0].astype(np.float64) for array in loaded.moments(positions, features, 1))
    for i in range(3):
        deviations = np.sqrt(np.diag(covariance[i]))
        assert np.all(np.abs(drawn[:, i].mean(axis=0) - mean[i]) < 5 * deviations / math.sqrt(number))
        found = np.cov(drawn[:, i].T)
        # The variance of a covariance's estimate is (C_aa C_bb + C_ab^2) / n for a Gaussian, and of that order here.
        error = np.sqrt((np.outer(deviations**2, deviations**2) + covariance[i] ** 2) / number)
        assert np.all(np.abs(found - covariance[i]) < 6 * error)
    assert np.abs(np.corrcoef(drawn[:, 0, 0], drawn[:, 1, 0])[0, 1]) < 5 / math.sqrt(
        number
    )  # particles are drawn independently


def test_samples_feed_back_what_was_drawn(gaussian):
    """The mean of the second frame is that of a rollout that observed the drawn first frame."""
    _, directory = gaussian
    loaded = ExportedModel(directory)
    positions, features = random_inputs(1, 2, 3, 2)
    # Each step has its own seed. With equal seeds, the standardised residual of the second step is the same whatever
    # came before.
    drawn = loaded.paths(positions, features, 2, (5, 6))
    longer = np.concatenate([positions, drawn[:, :1]], axis=1)
    mean, covariance = loaded.moments(longer, features, 1)
    unfed_mean, unfed_covariance = loaded.moments(positions, features, 2)
    again = loaded.paths(positions + 3.0, features, 2, (5, 6))
    mean_again, covariance_again = loaded.moments(np.concatenate([positions + 3.0, again[:, :1]], axis=1), features, 1)

    def residual(frame, center, matrix):
        return np.linalg.solve(np.linalg.cholesky(matrix), (frame - center)[..., None])

    expected = residual(again[:, 1], mean_again[:, 0], covariance_again[:, 0])
    found = residual(drawn[:, 1], mean[:, 0], covariance[:, 0])
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-3)
    wrong = residual(drawn[:, 1], unfed_mean[:, 1], unfed_covariance[:, 1])
    assert not np.allclose(wrong, expected, rtol=1e-2, atol=1e-3)


@pytest.mark.slow
def test_a_model_is_named_by_its_directory_also_from_inside(gaussian, monkeypatch):
    _, directory = gaussian
    monkeypatch.chdir(directory.parent)
    assert ExportedModel(".").name == "small"
    monkeypatch.chdir(directory)
    assert ExportedModel(".").name == "small"


@pytest.mark.slow
def test_a_directory_stands_for_its_newest_version(gaussian, tmp_path):
    _, first = gaussian
    for number in ("0009", "10"):
        shutil.copytree(first, tmp_path / "name" / number)
    newest, chosen = load(tmp_path / "name"), load(tmp_path / "name" / "0009")
    assert (newest.path.name, newest.name) == ("10", "name")
    assert repr(newest) == f"ExportedModel({str(tmp_path / 'name' / '10')!r})"
    assert (chosen.path.name, chosen.name) == ("0009", "name")
    shutil.rmtree(tmp_path / "name" / "10")
    assert load(tmp_path / "name").path.name == "0009"


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def point_to_lfs(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 308379\n")


@pytest.mark.slow_cases(all_but=["*index-unlink", "*data-00000-of-00001-point_to_lfs"])
@pytest.mark.parametrize("spoil", [truncate, point_to_lfs, lambda path: path.write_bytes(b""), Path.unlink])
@pytest.mark.parametrize("name", ["variables/variables.data-00000-of-00001", "variables/variables.index"])
def test_damaged_variables_are_one_line(gaussian, tmp_path, spoil, name):
    _, first = gaussian
    shutil.copytree(first, tmp_path / "name" / "1")
    spoil(tmp_path / "name" / "1" / name)
    with pytest.raises(UserError, match=r"must be a whole SavedModel.*cannot be read") as error:
        load(tmp_path / "name")
    assert str(tmp_path / "name" / "1") in str(error.value)
    assert ("Git LFS pointer" in str(error.value)) == (spoil is point_to_lfs)


@pytest.mark.parametrize("spoil", [truncate, point_to_lfs, lambda path: path.write_bytes(b"")])
def test_damaged_graphs_are_one_line(gaussian, tmp_path, spoil):
    _, first = gaussian
    shutil.copytree(first, tmp_path / "1")
    spoil(tmp_path / "1" / "saved_model.pb")
    with pytest.raises(UserError, match=r"must be a whole SavedModel"):
        load(tmp_path / "1")


@pytest.mark.parametrize("spoil", [truncate, point_to_lfs, Path.unlink, lambda path: path.write_text("{}")])
def test_damaged_cards_are_one_line(gaussian, tmp_path, spoil):
    _, first = gaussian
    shutil.copytree(first, tmp_path / "1")
    spoil(tmp_path / "1" / "assets.extra" / "model_card.json")
    for loader in (load, load_keras_model):
        with pytest.raises(UserError, match=r"model_card\.json|assets.extra"):
            loader(tmp_path / "1")


@pytest.mark.parametrize("field", PREDICTION_FIELDS)
def test_cards_without_what_a_prediction_needs_are_refused(gaussian, tmp_path, field):
    shutil.copytree(gaussian[1], tmp_path / "1")
    path = tmp_path / "1" / "assets.extra" / "model_card.json"
    card = json.loads(path.read_text())
    del card[field]
    path.write_text(json.dumps(card))
    with pytest.raises(UserError, match=rf"model_card\.json: .*`{field}`"):
        load(tmp_path / "1")


def test_other_directories_are_refused(tmp_path):
    for loader in (load, load_keras_model):
        with pytest.raises(UserError, match=r"must be a SavedModel or a directory of its versions\. Found none in "):
            loader(tmp_path)


def test_the_keras_model_is_rebuilt_with_its_scales(exported):
    model, directory = exported
    rebuilt, loaded = load_keras_model(directory), load(directory.parent)
    assert rebuilt.config == model.config
    size = loaded.layout.num_dimensions
    positions, features = random_inputs(2, 2, 3, size)
    inputs = {"positions": positions, "features": features, "mask": np.ones((2, 3), np.float32)}
    np.testing.assert_array_equal(np.asarray(rebuilt(inputs)), np.asarray(model(inputs)))
    np.testing.assert_allclose(loaded.density(inputs), np.asarray(rebuilt(inputs)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("spoil", [truncate, point_to_lfs, Path.unlink])
def test_damaged_keras_weights_are_one_line(gaussian, tmp_path, spoil):
    _, first = gaussian
    shutil.copytree(first, tmp_path / "1")
    spoil(tmp_path / "1" / "assets.extra" / "model.weights.h5")
    with pytest.raises(UserError, match=r"model\.weights\.h5") as error:
        load_keras_model(tmp_path / "1")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card.pop("model"), "expected the field `model`"),
        (lambda card: card["model"].update(bims=3), "unknown field `bims`"),
        (lambda card: card["model"].update(units="many"), "`units`"),
    ],
)
def test_damaged_configurations_are_one_line(gaussian, tmp_path, change, message):
    shutil.copytree(gaussian[1], tmp_path / "1")
    path = tmp_path / "1" / "assets.extra" / "model_card.json"
    card = json.loads(path.read_text())
    change(card)
    path.write_text(json.dumps(card))
    with pytest.raises(UserError, match=rf"model_card\.json: .*{message}"):
        load_keras_model(tmp_path / "1")


def test_keras_weights_of_another_model_are_refused(gaussian, tmp_path):
    shutil.copytree(gaussian[1], tmp_path / "1")
    untrained(*KINDS["pairwise"])[0].save_weights(tmp_path / "1" / "assets.extra/model.weights.h5")
    with pytest.raises(UserError, match=r"expected the weights of this model"):
        load_keras_model(tmp_path / "1")


@pytest.mark.slow
@pytest.mark.parametrize(("version", "narrowest"), [("1", 0.7), ("2", 0.999)])
def test_the_shipped_models_are_rebuilt(version, narrowest):
    """Four particles on a circle. Spreads of version 1 differ: the density's floor has changed since."""
    angles = np.pi / 2 * np.arange(4) + 0.02 * np.arange(5)[:, None]
    positions = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=-1)[None].astype(np.float32)
    features = np.array([[[1.0, 0.5], [2.0, -0.75], [3.0, 1.25], [4.0, -1.0]]], np.float32)
    inputs = {"positions": positions, "features": features, "mask": np.ones((1, 4), np.float32)}
    exported, rebuilt = load(SHIPPED / version), load_keras_model(SHIPPED / version)
    layout, found, expected = exported.layout, np.asarray(rebuilt(inputs)), exported.density(inputs)
    np.testing.assert_allclose(layout.mean(found), layout.mean(expected), rtol=0, atol=2e-6)
    spread, old_spread = (np.sqrt(np.linalg.det(layout.covariance(parameters))) for parameters in (found, expected))
    assert np.all((narrowest * old_spread < spread) & (spread < 1.001 * old_spread))


@pytest.fixture(scope="module")
def small(gaussian):
    return load(gaussian[1])


def test_rollout_and_sample_are_the_signatures_with_and_without_a_batch(exported):
    _, directory = exported
    model = load(directory)
    size = model.layout.num_dimensions
    positions, features = random_inputs(2, 4, 3, size)
    mean, covariance = model.moments(positions, features, 5)
    several = model.rollout(read(positions, features=features), num_steps=5)
    np.testing.assert_array_equal(several.mean, mean)
    np.testing.assert_array_equal(several.covariance, covariance)
    one = model.rollout(read(positions[0], features={"mass": features[0, :, 0]}), 5)
    np.testing.assert_allclose(one.mean, mean[0], rtol=1e-5, atol=1e-5)
    assert (one.mean.shape, one.covariance.shape) == ((5, 3, size), (5, 3, size, size))
    np.testing.assert_allclose(one.times, [4, 5, 6, 7, 8])  # four frames were observed, 1 apart
    assert (one.length_unit, one.time_unit, one.model) == ("nm", "ps", "small/1")

    drawn = model.sample(read(positions[0], features=features[0]), num_steps=5, num_samples=4, seed=1)
    assert drawn.positions.shape == (4, 5, 3, size)
    copies = [np.repeat(array[:1], 4, axis=0) for array in (positions, features)]
    np.testing.assert_array_equal(drawn.positions, model.paths(*copies, 5, (1, 0)))
    assert not np.array_equal(drawn.positions[0], drawn.positions[1])
    many = model.sample(read(positions, features=features), num_steps=5, num_samples=4)
    assert many.positions.shape == (2, 4, 5, 3, size)
    again = model.sample(read(positions, features=features), num_steps=5, num_samples=4, seed=0)
    np.testing.assert_array_equal(many.positions, again.positions)


@pytest.mark.parametrize("kind", ["gaussian", pytest.param("pairwise", marks=pytest.mark.slow)])
def test_padding_changes_nothing(kind, request):
    _, directory = request.getfixturevalue(kind)
    model = load(directory)
    positions, features = random_inputs(2, 2, 3, 2)
    padded = read(
        np.pad(positions, [(0, 0), (0, 0), (0, 2), (0, 0)]),
        features=np.pad(features, [(0, 0), (0, 2), (0, 0)]),
        mask=[1, 1, 1, 0, 0],
    )
    found, expected = model.rollout(padded, 3), model.rollout(read(positions, features=features), 3)
    np.testing.assert_allclose(found.mean[:, :, :3], expected.mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.covariance[:, :, :3], expected.covariance, rtol=1e-4, atol=1e-5)
    assert not found.mean[:, :, 3:].any() and not found.covariance[:, :, 3:].any()
    drawn = model.sample(padded, 3, num_samples=2).positions
    assert drawn.shape == (2, 2, 3, 5, 2) and drawn[..., :3, :].all() and not drawn[..., 3:, :].any()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"num_steps": 0}, "num_steps"),
        ({"num_steps": 10_001}, "num_steps"),
        ({"num_steps": 2.5}, "num_steps"),
        ({"num_samples": 0}, "num_samples"),
        ({"num_samples": True}, "num_samples"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**31}, "seed"),
    ],
)
def test_numbers_out_of_range_are_refused(small, arguments, name):
    positions, features = random_inputs(1, 2, 3, 2)
    (value,) = arguments.values()
    with pytest.raises(UserError, match=rf"^`{name}` must be .*Received: {value}$"):
        small.sample(read(positions, features=features), **arguments)


def check_compiled(directory):
    """Compiled predictions are those of the SavedModel, with padding and without."""
    plain, compiled = load(directory, compile="off"), load(directory, compile="on")
    positions, features = random_inputs(2, 2, 4, plain.layout.num_dimensions)
    mask = np.array([[1, 1, 1, 1], [1, 1, 1, 0]], np.float32)
    masked = positions * mask[:, None, :, None]
    for predict in (
        lambda model: model.moments(positions, features, 3),
        lambda model: model.moments(masked, features, 2, mask),
        lambda model: [model.paths(masked, features, 2, (1, 2), mask)],
    ):
        for found, wanted in zip(predict(compiled), predict(plain), strict=True):
            assert np.abs(wanted).max() > 0.1
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gaussian", "pairwise"])
def test_compiled_predictions_are_the_saved_model_s(kind, request):
    check_compiled(request.getfixturevalue(kind)[1])


@pytest.mark.slow
def test_compiled_predictions_of_steps_of_many_lengths(tmp_path):
    check_compiled(export_untrained(tmp_path / "verlet", *KINDS["verlet"])[1])


def test_models_are_compiled_on_or_off_or_where_there_is_a_gpu(gaussian):
    with pytest.raises(UserError, match=r"`compile` must be one of auto, on, off. Received: 'fast'"):
        load(gaussian[1], compile="fast")
