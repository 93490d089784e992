"""What one neighbour changes in the predicted move of a particle: pair curves of models that have no force layer."""

import numpy as np

from pipelines.boxes import half_height, minimum_image
from pipelines.common_windows import CommonWindows
from socialmd_tf.evaluation.pair_distances import find_kinds, kinds_of_pairs
from socialmd_tf.evaluation.pair_forces import MAX_CURVES, distribution, spaced, true_force
from socialmd_tf.parts import HEADS

_WINDOWS, _REMOVED = 16, 128
_BINS, _FEWEST = 24, 5
_RANGE = (0.1, 0.9)
_ROUNDING = 16
"""Responses of at most this number of float32 spacings of the largest coordinate are none."""
_AXES = {"positions": (1,), "velocities": (1,), "features": (0,), "mask": (0,), "edges": (0, 1)}
"""Axes of particles of each input of one window."""


def pair_responses(models, predictors, scored, manifest):
    """Response of the predicted next position of a particle to the presence of another one, against their distance.

    Particle j is taken out of all observed frames of a window. With the means m_i of the next position with and
    without it,

        response = (m_i with j - m_i without j) . (x_j - x_i) / |x_j - x_i|

    at the last observed frame, attraction positive. For the head `kinematic` this is an acceleration in units of the
    frame interval, and is given as acceleration, or as force if a feature is called mass; else it is a move per step.
    Of up to 16 windows 128 particles are taken out, one at a time; the mean and the range from the 10 % to the 90 %
    quantile in each of 24 bins of distances that has 5 pairs.

    Args:
        models: Name -> model, as `models.prepare` returns them. Those that forces move have no responses here:
            `pair_forces` shows their forces.
        predictors: Name -> `Predictor`.
        scored: The `ScoredWindows`.
        manifest: The dataset's `Manifest`.

    Returns:
        A list of dictionaries as those of `pair_forces`, of the 10 most frequent pairs. `quantity` may also be "move";
        `learned` has NaN where there are too few pairs, and `ranges` name of a model -> the two quantiles `[2, M]`.
        Models whose predictions do not depend on other particles have none.
    """
    chosen = [name for name, model in models.items() if model.head_name and not _is_moved_by_forces(model)]
    if not chosen or scored.num_particles < 2:
        return []
    kinds = find_kinds(scored, manifest)
    pairs = [pair for pair in kinds_of_pairs(scored, manifest) if not pair.bond]
    curves = {}
    for name in chosen:
        samples = _samples(predictors[name], scored, kinds)
        if np.abs(samples["response"]).max() <= samples["rounding"].max():
            continue
        quantity, unit = _quantity(models[name], samples, manifest)
        for pair in pairs[:MAX_CURVES]:
            first, second = (samples["kind"][:, place] == pair.kinds[place] for place in (0, 1))
            here = first & second
            r, mean, ranges = _binned(pair, samples["distance"][here], (samples["response"] * unit)[here])
            if np.isfinite(mean).any():
                curve = curves.setdefault((pair.name, quantity), _curve(pair, quantity, r, manifest))
                curve["learned"][name], curve["ranges"][name] = mean.tolist(), ranges.tolist()
    return list(curves.values())


def _is_moved_by_forces(model):
    """Whether all motion is that of forces; the law of a sampled head is only a part of its drift."""
    head = HEADS[model.head_name]
    return "force" in head.reads and not head.is_sampled


def _quantity(model, samples, manifest):
    """What the responses of a model are, and the number that each is multiplied by."""
    if model.head_name != "kinematic":
        return "move", 1.0
    rate = 1 / (model.card["windows"]["subsample"] * manifest.time_between_frames) ** 2
    if "mass" not in manifest.particle_features:
        return "acceleration", rate
    return "force", rate * samples["features"][:, manifest.particle_features.index("mass")]


def _samples(predictor, scored, kinds):
    """`distance`, `response`, its `rounding`, `kind` `[P, 2]` and the first one's `features` `[P, F]` of P pairs."""
    rows = np.unique(np.linspace(0, len(scored.index) - 1, min(len(scored.index), _WINDOWS)).astype(int))
    found = []
    for batch in scored.windows.batches(scored.directory, scored.split, scored.index[rows]):
        inputs = batch.inputs(predictor.windows)
        for place in range(len(batch.mask)):
            window = _taken({name: value[place] for name, value in inputs.items()}, batch.mask[place] > 0)
            if len(window["mask"]) > 1:
                found += _of_window(predictor, window, kinds, -(-_REMOVED // len(rows)), start=len(found))
    return {name: np.concatenate([each[name] for each in found]) for name in found[0]}


def _of_window(predictor, window, kinds, most, start):
    """The samples of one window, one dictionary for each of up to `most` particles that are taken out."""
    count = len(window["mask"])
    removed = np.unique((start + np.linspace(0, count, min(count, most), endpoint=False)).astype(int) % count)
    others = [np.delete(np.arange(count), j) for j in removed]
    with_all = _next(predictor, [window])[0]
    size = CommonWindows.batch_size(count)
    parts = [others[first : first + size] for first in range(0, len(others), size)]
    without = [each for part in parts for each in _next(predictor, [_taken(window, kept) for kept in part])]
    last, features, box = window["positions"][-1].astype(float), window["features"], window.get("box")
    kind, found, spacing = kinds.of(features), [], np.spacing(np.abs(window["positions"]).max())
    for j, kept, moved in zip(removed, others, without, strict=True):
        apart = minimum_image(last[j] - last[kept], box)
        distance = np.linalg.norm(apart, axis=-1)
        near = (distance > 0) & (distance <= (np.inf if box is None else half_height(box)))
        kept = kept[near]
        along = np.sum((with_all[kept] - moved[near]) * apart[near], axis=-1) / distance[near]
        pair = np.stack([kind[kept], np.full(len(kept), kind[j])], axis=-1)
        rounding = np.full(len(kept), _ROUNDING * spacing)
        found.append(
            {
                "distance": distance[near],
                "response": along,
                "rounding": rounding,
                "kind": pair,
                "features": features[kept],
            }
        )
    return found


def _taken(window, kept):
    """Inputs of one window with some of its particles."""
    taken = {}
    for name, value in window.items():
        for axis in _AXES.get(name, ()):
            value = np.compress(kept, value, axis) if kept.dtype == bool else np.take(value, kept, axis)
        taken[name] = value
    return taken


def _next(predictor, windows):
    """Means of the next positions of windows of N particles, `[B, N, D]`."""
    inputs = {name: np.stack([window[name] for window in windows]) for name in windows[0]}
    return np.asarray(predictor.layout.mean(predictor.next_frame(inputs)), float)[:, 0]


def _binned(pair, distances, responses):
    """Distances `[M]`, means `[M]` and quantiles `[2, M]` of the responses; NaN in bins with few of them."""
    edges = spaced(pair, _BINS + 1)
    bins = np.searchsorted(edges, distances, side="right") - 1
    values = [responses[bins == place] for place in range(_BINS)]
    is_known = np.array([len(own) >= _FEWEST for own in values])
    mean, ranges = np.full(_BINS, np.nan), np.full((2, _BINS), np.nan)
    for place in np.flatnonzero(is_known):
        mean[place], ranges[:, place] = values[place].mean(), np.quantile(values[place], _RANGE)
    return spaced(pair, 2 * _BINS + 1)[1::2], mean, ranges


def _curve(pair, quantity, r, manifest):
    true = None if quantity == "move" else true_force(manifest, r, pair)
    return {
        "pair": pair.name,
        "quantity": quantity,
        "r": r.tolist(),
        "learned": {},
        "ranges": {},
        "true": true,
        **distribution(pair),
    }
