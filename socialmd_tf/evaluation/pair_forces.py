"""Learned forces between pairs of particles, beside the true ones where these are known."""

import numpy as np

from pipelines.errors import UserError
from pipelines.known_forces import known_forces
from socialmd_tf.evaluation.pair_distances import kinds_of_pairs
from socialmd_tf.layers.pairs.on_pairs import on_pairs
from socialmd_tf.model import rollout_layer
from socialmd_tf.parts import HEADS

MAX_CURVES = 10
_POINTS, _BINS = 200, 60
_WIDE = 10


def pair_forces(models, scored, manifest):
    """Force against distance for pairs of kinds of particles, of every model that has a force between pairs.

    A particle with the median features of its kind represents it, see `kinds_of_pairs`. Only what the layer of the
    force gives is shown: a correction that the network adds has no curve.

    Args:
        models: Name -> model, as `models.prepare` returns them.
        scored: The `ScoredWindows`.
        manifest: The dataset's `Manifest`.

    Returns:
        A list of dictionaries, those of the 10 most frequent pairs, and the reasons why models are left out, name ->
        reason. `pair` is the name; `quantity` "force" if a feature is called mass, else "acceleration"; `r` distances
        `[M]`, in units of length; `learned` name of a model -> force on the first particle by the second `[M]`,
        attraction positive, in the units of the dataset; `true` that of the true law, or None; `edges` `[K + 1]` and
        `counts` `[K]` the histogram of distances in the data.
    """
    layers, left_out = {}, {}
    for name, model in models.items():
        try:
            layer = _force_layer(model)
        except UserError as reason:
            left_out[f"{name}, pair forces"] = str(reason)
        else:
            if layer is not None:
                layers[name] = (layer, model.card["windows"]["subsample"] * manifest.time_between_frames)
    pairs = kinds_of_pairs(scored, manifest) if layers and scored.num_particles > 1 else []
    curves = [_curve(pair, layers, manifest) for pair in pairs]
    return [curve for curve in curves if curve["learned"]][:MAX_CURVES], left_out


def _force_layer(model):
    """The layer of a model's forces, or None; networks without forces are not rebuilt."""
    head = model.head_name
    if head is None or "force" not in HEADS[head].reads:
        return None
    return rollout_layer(model.network()).head.force


def spaced(pair, count):
    """Distances from the smallest to the largest of a `KindOfPair` `[count]`: evenly spaced, or their logarithms."""
    low, high = pair.distances.min(), pair.distances.max()
    return (np.geomspace if high > _WIDE * low else np.linspace)(low, high, count)


def distribution(pair):
    """The histogram of the distances of a `KindOfPair`: `edges` `[K + 1]` and `counts` `[K]`."""
    edges = spaced(pair, _BINS + 1)
    return {"edges": edges.tolist(), "counts": np.histogram(pair.distances, edges)[0].tolist()}


def _curve(pair, layers, manifest):
    r = spaced(pair, _POINTS)
    masses = dict(zip(manifest.particle_features, pair.features[0], strict=True))
    learned = {}
    for name, (layer, interval) in layers.items():
        acceleration = _learned(layer, r, pair, manifest.num_dimensions)
        if acceleration is not None:
            learned[name] = (masses.get("mass", 1.0) / interval**2 * acceleration).tolist()
    return {
        "pair": pair.name,
        "quantity": "force" if "mass" in masses else "acceleration",
        "r": r.tolist(),
        "learned": learned,
        "true": true_force(manifest, r, pair),
        **distribution(pair),
    }


def _learned(layer, r, pair, num_dimensions):
    """Acceleration of the first particle towards the second `[M]`, per squared frame interval; None without a term."""
    positions = _two_particles(r, num_dimensions).astype(np.float32)
    features = np.repeat(pair.features[None].astype(np.float32), len(r), axis=0)
    if not hasattr(layer, "terms"):
        return None if pair.bond else _along_x(_accelerations(layer, positions, features))
    term = layer.bonds if pair.bond else layer.pairs
    if term is None:
        return None
    known = np.full((len(r), 1, 3), (0, 1, pair.bond), np.int32) if pair.bond else features
    limit, weights = layer.terms["limit"] or np.inf, layer.bond_weights(features) if pair.bond else 1.0
    return np.clip(_along_x(weights * term(positions, known)), -limit, limit)


def _accelerations(layer, positions, features):
    """All that a layer of forces does to particles, see `VerletHead`."""
    prepared = layer.prepare({"positions": positions, "features": features, "mask": None})
    return on_pairs(lambda pairs: layer.on(pairs, positions, prepared), positions, None, layer.cutoff, None)


def _along_x(accelerations):
    """The component along x of the first particle `[M]`."""
    return np.asarray(accelerations, float)[:, 0, 0]


def _two_particles(r, num_dimensions):
    """One particle at the origin and one at the distances `[M]` along x: `[M, 2, D]`."""
    positions = np.zeros((len(r), 2, num_dimensions))
    positions[:, 1, 0] = r
    return positions


def true_force(manifest, r, pair):
    """Derivative of the energy of a `KindOfPair` by its distance `[M]`, without that of each alone; None if unknown."""
    forces = known_forces(manifest)
    if forces is None:
        return None
    bonds = None if manifest.edges is None else pair.bond * (1 - np.eye(2, dtype=int))

    def energy(distances):
        positions = _two_particles(distances, manifest.num_dimensions)
        alone = [
            forces.potential_energy(
                positions[:, [place]], pair.features[[place]], None if bonds is None else bonds[:1, :1]
            )
            for place in (0, 1)
        ]
        return forces.potential_energy(positions, pair.features, bonds) - sum(alone)

    step = 1e-5 * r
    return ((energy(r + step) - energy(r - step)) / (2 * step)).tolist()
