"""Statistics of pairs of particles along a path: contacts, how long they last, distances."""

import math

import numpy as np

from pipelines.boxes import minimum_image, volume


def pair_curves(path, system, setting):
    """Statistics of the pairs of each two groups a <= b, at the spread steps.

    - `contacts`: mean number of particles of b in contact with a particle of a;
    - `residence`: share of the pairs in contact at the last observed frame that are in contact;
    - `pair_distribution`: share of the pairs in each shell of distance; in a periodic box, divided by that of an ideal
      gas, V_shell / V: g(r).

    Args:
        path: `[T' + 1, n, D]`.
        system: The `System`.
        setting: The `Setting`.

    Returns:
        Dictionary of (family, first group, second group) -> `[K]`, or `[K, shells]` of distributions; NaN where there
        is no such pair.
    """
    groups = setting.groups.names
    first, second = np.triu_indices(len(system.kinds), k=1)
    kinds = np.sort(np.stack([system.kinds[first], system.kinds[second]]), axis=0)
    limits = setting.contact_distances(system.features, first, second)
    frames = path[[0, *setting.spread_steps]]
    distances = [np.linalg.norm(minimum_image(x[first] - x[second], system.box), axis=-1) for x in frames]
    found = {}
    for a in range(len(groups)):
        for b in range(a, len(groups)):
            chosen = (kinds[0] == a) & (kinds[1] == b)
            ours = np.stack([each[chosen] for each in distances])
            found |= {
                (name, groups[a], groups[b]): curve
                for name, curve in _of_pairs(ours, limits[chosen], a == b, (system.kinds == a).sum()).items()
            }
            found["pair_distribution", groups[a], groups[b]] = _shells(ours[1:], system.box, setting)
    return found


def shares(values, edges):
    """Share of the values in each of the shells `[len(edges) - 1]`; NaN without values."""
    return np.histogram(values, edges)[0] / len(values) if len(values) else np.full(len(edges) - 1, math.nan)


def _of_pairs(distances, limits, is_same, count):
    """Contacts and residence from distances `[1 + K, P]`, the last observed frame first."""
    touching = distances < limits
    at_start = touching[0].sum()
    number = touching[1:].sum(axis=1)
    nothing = np.full(len(number), math.nan)
    remaining = touching[1:, touching[0]].sum(axis=1)
    return {
        "contacts": (1 + is_same) * number / count if distances.shape[1] else nothing,
        "residence": remaining / at_start if at_start else nothing,
    }


def _shells(distances, box, setting):
    found = np.stack([shares(row, setting.pair_edges) for row in distances])
    total = volume(box)
    if not math.isfinite(total):
        return found
    unit_ball = math.pi if setting.num_dimensions == 2 else 4 / 3 * math.pi
    return found * total / (unit_ball * np.diff(setting.pair_edges**setting.num_dimensions))
