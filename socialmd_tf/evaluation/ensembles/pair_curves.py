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
    chosen = {(a, b): (kinds[0] == a) & (kinds[1] == b) for a in range(len(groups)) for b in range(a, len(groups))}

    def distances(step):
        return np.linalg.norm(minimum_image(path[step][first] - path[step][second], system.box), axis=-1)

    at_start = distances(0) < limits
    rows = {pair: [] for pair in chosen}
    for step in setting.spread_steps:  # one at a time: a large system has many pairs
        lengths = distances(step)
        touching = lengths < limits
        for pair, ours in chosen.items():
            counts = touching[ours].sum(), (touching & at_start)[ours].sum()
            rows[pair].append((*counts, shares(lengths[ours], setting.pair_edges)))
    found = {}
    for (a, b), ours in chosen.items():
        number, remaining, spread = (np.array(values) for values in zip(*rows[a, b], strict=True))
        nothing, before = np.full(len(number), math.nan), at_start[ours].sum()
        per_particle = (1 + (a == b)) / max((system.kinds == a).sum(), 1)
        names = groups[a], groups[b]
        found["contacts", *names] = number * per_particle if ours.any() else nothing
        found["residence", *names] = remaining / before if before else nothing
        found["pair_distribution", *names] = spread * _ideal(system.box, setting)
    return found


def shares(values, edges):
    """Share of the values in each of the shells `[len(edges) - 1]`; NaN without values."""
    return np.histogram(values, edges)[0] / len(values) if len(values) else np.full(len(edges) - 1, math.nan)


def _ideal(box, setting):
    """V / V_shell in a periodic box, which turns shares into g(r); else 1."""
    total = volume(box)
    if not math.isfinite(total):
        return 1.0
    unit_ball = math.pi if setting.num_dimensions == 2 else 4 / 3 * math.pi
    return total / (unit_ball * np.diff(setting.pair_edges**setting.num_dimensions))
