"""Statistics of pairs of particles along a path: contacts, how long they last, distances."""

import math

import numpy as np

from pipelines.boxes import minimum_image, volume

_PAIRS = 1 << 18
"""Of about so many pairs the distances are in memory at once."""


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
    groups, found = setting.groups.names, {}
    total, before, number, remaining, spread = _sums(path, system, setting)
    missing = np.full(number.shape[1:], math.nan), np.full(spread.shape[1:], math.nan)
    for pair in _kinds_of_pairs(len(groups)):
        a, b = divmod(pair, len(groups))
        names, per_particle = (groups[a], groups[b]), (1 + (a == b)) / max((system.kinds == a).sum(), 1)
        found["contacts", *names] = number[pair] * per_particle if total[pair] else missing[0]
        found["residence", *names] = remaining[pair] / before[pair] if before[pair] else missing[0]
        shares_of_pairs = spread[pair] / total[pair] if total[pair] else missing[1]
        found["pair_distribution", *names] = shares_of_pairs * _ideal(system.box, setting)
    return found


def _kinds_of_pairs(num_groups):
    """Numbers a G + b of the kinds of pairs of groups a <= b."""
    return [a * num_groups + b for a in range(num_groups) for b in range(a, num_groups)]


def _sums(path, system, setting):
    """Numbers of pairs of each kind; arguments as of `pair_curves`.

    Returns:
        Of all, and of those in contact at the start, `[G^2]`; at the spread steps of those in contact, and of those
        that still are, `[G^2, K]`; and of those in each shell, `[G^2, K, shells]`.
    """
    num_groups, steps = len(setting.groups.names), setting.spread_steps
    size, shells = num_groups**2, len(setting.pair_edges) - 1
    total, before = np.zeros(size), np.zeros(size)
    number, remaining, spread = (np.zeros((size, len(steps), *more)) for more in ((), (), (shells,)))
    for first, second in _pairs(len(system.kinds)):
        kinds = system.kinds[first], system.kinds[second]
        kinds = np.minimum(*kinds) * num_groups + np.maximum(*kinds)
        members = {kind: kinds == kind for kind in _kinds_of_pairs(num_groups)}
        limits = setting.contact_distances(system.features, first, second)

        def distances(step, first=first, second=second):
            apart = path[step].take(first, axis=0) - path[step].take(second, axis=0)
            return np.linalg.norm(minimum_image(apart, system.box), axis=-1)

        at_start = distances(0) < limits
        total += np.bincount(kinds, minlength=size)
        before += np.bincount(kinds, at_start, size)
        for place, step in enumerate(steps):
            lengths = distances(step)
            touching = lengths < limits
            number[:, place] += np.bincount(kinds, touching, size)
            remaining[:, place] += np.bincount(kinds, touching & at_start, size)
            for kind, ours in members.items():
                spread[kind, place] += _counts(lengths[ours], setting.pair_edges)
    return total, before, number, remaining, spread


def _pairs(num_particles):
    """Numbers of the particles of all pairs, in groups of a size that does not grow with the system."""
    numbers, rows = np.arange(num_particles), max(_PAIRS // max(num_particles, 1), 1)
    for start in range(0, num_particles, rows):
        first, second = np.nonzero(numbers[start : start + rows, None] < numbers)
        yield start + first, second


def shares(values, edges):
    """Share of the values in each of the shells `[len(edges) - 1]`; NaN without values."""
    return _counts(values, edges) / len(values) if len(values) else np.full(len(edges) - 1, math.nan)


def _counts(values, edges):
    """Numbers of the values in shells of equal width."""
    return np.histogram(values, len(edges) - 1, (edges[0], edges[-1]))[0]


def _ideal(box, setting):
    """V / V_shell in a periodic box, which turns shares into g(r); else 1."""
    total = volume(box)
    if not math.isfinite(total):
        return 1.0
    unit_ball = math.pi if setting.num_dimensions == 2 else 4 / 3 * math.pi
    return total / (unit_ball * np.diff(setting.pair_edges**setting.num_dimensions))
