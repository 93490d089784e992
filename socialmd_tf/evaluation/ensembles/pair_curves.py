"""Statistics of pairs of particles along a path: contacts, how long they last, distances."""

import math

import numpy as np

from pipelines.boxes import minimum_image, volume

_PAIRS = 1 << 18


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
    count, steps = len(groups), setting.spread_steps
    sizes = [setting.pair_edges.size - 1, len(steps)]
    kinds_of_pairs = [a * count + b for a in range(count) for b in range(a, count)]
    total, before = np.zeros(count**2), np.zeros(count**2)
    number, remaining = np.zeros((count**2, sizes[1])), np.zeros((count**2, sizes[1]))
    spread = np.zeros((count**2, sizes[1], sizes[0]))
    for first, second in _pairs(len(system.kinds)):
        kinds = system.kinds[first], system.kinds[second]
        kinds = np.minimum(*kinds) * count + np.maximum(*kinds)
        limits = setting.contact_distances(system.features, first, second)

        def distances(step, first=first, second=second):
            apart = path[step].take(first, axis=0) - path[step].take(second, axis=0)
            return np.linalg.norm(minimum_image(apart, system.box), axis=-1)

        at_start = distances(0) < limits
        total += np.bincount(kinds, minlength=count**2)
        before += np.bincount(kinds, at_start, minlength=count**2)
        members = {pair: kinds == pair for pair in kinds_of_pairs}
        for place, step in enumerate(steps):
            lengths = distances(step)
            touching = lengths < limits
            number[:, place] += np.bincount(kinds, touching, minlength=count**2)
            remaining[:, place] += np.bincount(kinds, touching & at_start, minlength=count**2)
            for pair, ours in members.items():
                spread[pair, place] += _counts(lengths[ours], setting.pair_edges)
    found = {}
    for pair in kinds_of_pairs:
        a, b = divmod(pair, count)
        nothing, names = np.full(sizes[1], math.nan), (groups[a], groups[b])
        per_particle = (1 + (a == b)) / max((system.kinds == a).sum(), 1)
        found["contacts", *names] = number[pair] * per_particle if total[pair] else nothing
        found["residence", *names] = remaining[pair] / before[pair] if before[pair] else nothing
        of_all = spread[pair] / total[pair] if total[pair] else np.full(sizes[::-1], math.nan)
        found["pair_distribution", *names] = of_all * _ideal(system.box, setting)
    return found


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
