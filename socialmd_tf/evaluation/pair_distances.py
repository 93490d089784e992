"""Pairs of kinds of particles, and their distances in the windows of an evaluation."""

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np

from pipelines.boxes import half_height, minimum_image
from socialmd_tf.evaluation.ensembles.groups import find_groups

MAX_WINDOWS, MAX_PARTICLES = 64, 1000
_SIGNED = 2


@dataclasses.dataclass(frozen=True)
class Kinds:
    """The kinds of particles of some data."""

    names: list[str]
    of: Callable
    """Function of features `[n, F]` that returns the kind of each particle, integers `[n]`."""


@dataclasses.dataclass(frozen=True)
class KindOfPair:
    """All pairs of particles of two kinds, or all bonds of a type."""

    name: str
    """Names of the two kinds, or the type of the bonds."""
    kinds: tuple[int, int]
    """The two kinds, see `Kinds`; zeros for bonds."""
    features: np.ndarray
    """Median features of the two kinds `[2, F]`."""
    bond: int
    """Type of the bonds; 0 for all pairs, bonded or not."""
    distances: np.ndarray
    """Their distances, to nearest images and up to half the width of a box."""


@dataclasses.dataclass(frozen=True)
class _System:
    """One frame of one window."""

    positions: np.ndarray
    features: np.ndarray
    box: np.ndarray | None
    bonds: np.ndarray | None


def find_kinds(scored, manifest):
    """Find the kinds of particles.

    Kinds are `find_groups`; particles that are one group are told apart by the signs of up to two features that have
    both.

    Args:
        scored: The `ScoredWindows`.
        manifest: The dataset's `Manifest`.

    Returns:
        The `Kinds` of the windows that `kinds_of_pairs` reads.
    """
    return _kinds(manifest, np.concatenate([system.features for system in _systems(scored)]))


def kinds_of_pairs(scored, manifest):
    """Find the pairs of kinds, see `find_kinds`, and the types of bonds.

    Distances are those in the last observed frame of at most 64 evenly spaced windows, between at most 1000
    evenly spaced particles.

    Args:
        scored: The `ScoredWindows`.
        manifest: The dataset's `Manifest`.

    Returns:
        `KindOfPair`s, the most frequent first; those without two different distances are left out.
    """
    systems = list(_systems(scored))
    features = np.concatenate([system.features for system in systems])
    found_kinds = _kinds(manifest, features)
    names, kinds = found_kinds.names, found_kinds.of(features)
    typical = [np.median(features[kinds == kind], axis=0) for kind in range(len(names))]
    found, start = {}, 0
    for system in systems:
        own, start = kinds[start : start + len(system.positions)], start + len(system.positions)
        first, second = np.triu_indices(len(own), k=1)
        distances = np.linalg.norm(
            minimum_image(system.positions[second] - system.positions[first], system.box), axis=-1
        )
        counts = (distances > 0) & (distances <= (np.inf if system.box is None else half_height(system.box)))
        low, high = np.minimum(own[first], own[second]), np.maximum(own[first], own[second])
        for one, other in itertools.combinations_with_replacement(range(len(names)), 2):
            here = counts & (low == one) & (high == other)
            found.setdefault((one, other, 0), []).append(distances[here])
        bonds = np.zeros_like(first) if system.bonds is None else system.bonds[first, second]
        for bond in np.unique(bonds[bonds > 0]):
            found.setdefault((0, 0, int(bond)), []).append(distances[counts & (bonds == bond)])
    pairs = [
        KindOfPair(
            _name(names, one, other, bond),
            (one, other),
            np.stack([typical[one], typical[other]]),
            bond,
            np.concatenate(parts),
        )
        for (one, other, bond), parts in found.items()
    ]
    several = [pair for pair in pairs if len(pair.distances) and np.ptp(pair.distances) > 0]
    return sorted(several, key=lambda pair: -len(pair.distances))


def _name(names, one, other, bond):
    if bond:
        return f"bonds of type {bond}"
    return "all pairs" if len(names) == 1 else f"{names[one]} and {names[other]}"


def _systems(scored):
    """The last observed frame of evenly spaced windows."""
    chosen = _evenly(len(scored.index), MAX_WINDOWS)
    for batch in scored.windows.batches(scored.directory, scored.split, scored.index[chosen]):
        inputs = batch.inputs(scored.windows.reference)
        for place, mask in enumerate(batch.mask > 0):
            real = np.flatnonzero(mask)
            kept = real[_evenly(len(real), MAX_PARTICLES)]
            yield _System(
                inputs["positions"][place, -1, kept].astype(float),
                batch.features[place][kept].astype(float),
                np.asarray(inputs["box"][place], float) if "box" in inputs else None,
                inputs["edges"][place][np.ix_(kept, kept)] if "edges" in inputs else None,
            )


def _evenly(count, limit):
    """At most `limit` of `count` indices, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, limit)).astype(int))


def _kinds(manifest, features):
    columns = [manifest.particle_features.index(name) for name in manifest.own_features]
    values = features[:, columns]
    groups = find_groups(manifest.own_features, [values])
    if groups.rows is not None:
        return Kinds(list(groups.names), lambda features: groups.of(features[:, columns]))
    signed = [column for column, own in zip(columns, values.T, strict=True) if own.min() < 0 < own.max()][:_SIGNED]
    if not signed:
        return Kinds(list(groups.names), lambda features: np.zeros(len(features), int))
    rows = np.unique(features[:, signed] >= 0, axis=0)
    names = [manifest.particle_features[column] for column in signed]
    signs = [[f"{name} {'>= 0' if sign else '< 0'}" for name, sign in zip(names, row, strict=True)] for row in rows]

    def of(features):
        return np.argmax(((features[:, None, signed] >= 0) == rows).all(axis=-1), axis=1)

    return Kinds([", ".join(parts) for parts in signs], of)
