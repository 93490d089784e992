"""Which terms a model may have, from what the data hold."""

import numpy as np
from scipy.spatial import KDTree

from pipelines.boxes import half_height, wrap
from pipelines.errors import UserError, require
from socialmd_tf.config.fitting import KINDS, FitConfig
from socialmd_tf.fitting.basis import ONE, Basis, Channel, Factor, find_pairs
from socialmd_tf.fitting.splines import Knots
from socialmd_tf.fitting.trajectories import MANY

_QUANTILE = 1e-5
_MARGIN = 0.05
_MAX_TYPES = 8
_CORE = 0.1
_FRAMES_LOOKED_AT = 2000
_PAIRS_LOOKED_AT = 20_000_000
_NEIGHBORS = 150


def candidate_basis(trajectories, num_knots, choices=None):
    """All terms that the data could need.

    Pairs: 1, f_i, f_j, f_i f_j for all features f but types; one per pair of types; one per type of bond. Without a
    box a field. Friction. With a `mass`, see `basis.py`. Channels whose weights depend linearly on those of others are
    left out.

    Args:
        trajectories: `Trajectories`.
        num_knots: Splines of a channel.
        choices: The `FitConfig`: terms, cutoff and core that the user has chosen. None for none.

    Returns:
        The `Basis`; its knots range from 0.95 of the 1e-5 quantile of the distances to 1.05 of the largest, or to
        the cutoff: `largest_cutoff`, if none is chosen.

    Raises:
        UserError: The data cannot have a chosen term or cutoff.
    """
    choices = choices or FitConfig()
    cell, kinds = trajectories.cell, choices.terms or KINDS
    check_choices(choices, None if cell is None else half_height(cell), trajectories.edges.any())
    cutoff = choices.force_cutoff or largest_cutoff(trajectories)
    center, length = _extent(trajectories)
    distances = _distances(trajectories, cutoff)
    if not len(distances) and "pairs" in choices.terms:
        raise UserError("`terms` must be without pairs, as no two particles of the data see each other")
    # Without pairs the range does not matter.
    nearest, farthest = _range(distances) if len(distances) else (0.1 * length, length)
    own_factors = _own_factors(trajectories)
    return Basis(
        knots=Knots(nearest, min(farthest, cutoff), num_knots),
        channels=_channels(trajectories, kinds) if len(distances) else (),
        fields=own_factors if cell is None and "field" in kinds else (),
        frictions=own_factors if "friction" in kinds else (),
        center=center,
        length=length,
        core=choices.force_core or _CORE * nearest,
        cutoff=cutoff,
    )


def check_choices(choices, half_height, has_bonds):
    """Refuse choices that the data cannot have.

    Args:
        choices: The `FitConfig`.
        half_height: Half the smallest height of the boxes; None without a box.
        has_bonds: Whether there are bonds.

    Raises:
        UserError: A chosen term is not in the data, or the cutoff reaches farther than nearest images.
    """
    if "bonds" in choices.terms and not has_bonds:
        raise UserError("`terms` must be without bonds, as the data have no `edges`")
    is_open = half_height is None
    require(is_open or "field" not in choices.terms, "terms", "without a field in a periodic box", choices.terms)
    if not is_open and choices.force_cutoff is not None and choices.force_cutoff > half_height:
        raise UserError(
            f"`force_cutoff` must be at most half the smallest height of the box, {half_height:g}. "
            f"Received: {choices.force_cutoff:g}"
        )


def largest_cutoff(trajectories):
    """Largest distance of a pair force that the data allow and that a fit can afford.

    Without a box infinity; in a box half its smallest height. In a box of many particles at most the median distance of
    a particle to its 150th neighbour in the first frames.
    """
    if trajectories.cell is None:
        return np.inf
    half = half_height(trajectories.cell)
    if not trajectories.are_large:
        return half
    systems = zip(trajectories.positions[:, 0], trajectories.mask, trajectories.cell, strict=True)
    reaches = [_reach(wrap(positions[real], cell)) for positions, real, cell in systems]
    return min(half, float(np.median(np.concatenate(reaches))))


def _reach(positions):
    """Distances to their 150th neighbours of the particles in the middle third along each axis; of all, if none is."""
    low, high = np.quantile(positions, (1 / 3, 2 / 3), axis=0)
    inner = positions[np.all((positions >= low) & (positions <= high), axis=1)]
    chosen = inner if len(inner) else positions
    return KDTree(positions).query(chosen, k=[_NEIGHBORS + 1])[0][:, 0]


def _distances(trajectories, cutoff):
    """Distances of pairs in some of the frames."""
    frames = trajectories.positions
    pairs_of_frame = frames.shape[2] * min(frames.shape[2], _NEIGHBORS)
    most = max(1, min(_FRAMES_LOOKED_AT, _PAIRS_LOOKED_AT // pairs_of_frame))
    every = max(1, frames.shape[0] * frames.shape[1] // most)
    distances = []
    for number, frame in enumerate(np.swapaxes(frames, 0, 1)):
        chosen = np.arange(number % every, len(frame), every)
        if len(chosen):
            cells = None if trajectories.cell is None else trajectories.cell[chosen]
            distances.append(find_pairs(frame[chosen], trajectories.mask[chosen], cells, cutoff).distances)
    return np.concatenate(distances)


def _range(distances):
    return (1 - _MARGIN) * np.quantile(distances, _QUANTILE), (1 + _MARGIN) * distances.max()


def _extent(trajectories):
    """Center `[D]` and root mean square distance from it, by component."""
    real = np.moveaxis(trajectories.positions, 1, 2)[trajectories.mask].reshape(-1, trajectories.positions.shape[-1])
    return tuple(real.mean(axis=0).tolist()), float(real.std())


def _own_factors(trajectories):
    """Factors of fields and friction."""
    if "mass" not in trajectories.feature_names or not _is_mass(trajectories):
        return (ONE,)
    return (ONE, Factor("1/mass", ((trajectories.feature_names.index("mass"), -1.0),)))


def _is_mass(trajectories):
    """Whether the feature called mass is positive, and not the same for all."""
    values = trajectories.features[trajectories.mask][:, trajectories.feature_names.index("mass")]
    return values.min() > 0 and np.ptp(values) > 0


def _channels(trajectories, kinds):
    per_mass = _own_factors(trajectories)[-1]
    bonds = [Channel(per_mass, edge=int(kind)) for kind in np.unique(trajectories.edges) if kind]
    channels = [Channel(), *_feature_channels(trajectories)]
    weighted = [Channel(_product(channel.own, per_mass), channel.other) for channel in channels]
    return _independent([*(weighted if "pairs" in kinds else []), *(bonds if "bonds" in kinds else [])], trajectories)


def _feature_channels(trajectories):
    """Channels by the features: products for ordinary ones, pairs of types for types."""
    numbers, types = [], []
    for index, name in enumerate(trajectories.feature_names):
        if name is None:
            continue
        values = np.unique(trajectories.features[trajectories.mask][:, index])
        if name in ("type", "species", "element") and len(values) <= _MAX_TYPES:
            types.append([Factor(f"[{name} = {value:g}]", indicates=(index, float(value))) for value in values])
        else:
            numbers.append(Factor(name, ((index, 1.0),)))
    channels = [Channel(own, other) for own in (ONE, *numbers) for other in (ONE, *numbers)][1:]
    return channels + [Channel(own, other) for kinds in types for own in kinds for other in kinds]


def _product(factor, by):
    """A factor times another one, whose powers of features cancel or add."""
    if by == ONE:
        return factor
    powers = dict(factor.powers)
    for index, power in by.powers:
        powers[index] = powers.get(index, 0.0) + power
    powers = tuple((index, power) for index, power in sorted(powers.items()) if power)
    if not powers and factor.indicates is None:
        return ONE
    name = by.name if factor == ONE else f"{factor.name}{by.name.removeprefix('1')}"
    return Factor(name, powers, factor.indicates)


def _independent(channels, trajectories):
    """Channels whose weights are no combinations of those before them, on all pairs of up to 256 particles."""
    trajectories = trajectories.of_particles(MANY)
    mask = trajectories.mask[:, :, None] & trajectories.mask[:, None, :]
    different = mask & ~np.eye(mask.shape[1], dtype=bool)
    kept, directions = [], []
    for channel in channels:
        weights = channel.weights(trajectories.features, trajectories.edges)[different]
        rest = weights
        for _ in range(2):  # twice, against rounding
            for direction in directions:
                rest = rest - (direction @ rest) * direction
        size = np.linalg.norm(rest)
        if size > 1e-6 * np.linalg.norm(weights):
            kept.append(channel)
            directions.append(rest / size)
    return tuple(kept)
